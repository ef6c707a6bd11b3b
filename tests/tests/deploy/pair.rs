//! The pair in one pod: what its arguments say is served, and told to devices.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::Context as _;
use edge_ledger_tests::Process;
use serde_json::Value;

use crate::cluster::Laid;
use crate::rendered::Rendered;
use crate::secrets;

/// Starts the program with the arguments of the pod; other addresses, since a test has those of a
/// machine that others use too.
#[test]
fn the_pair_serves_as_its_arguments_say() -> anyhow::Result<()> {
    let rendered = Rendered::of("embedded")?;
    let laid = Laid::out(&rendered, "edge-ledger", &secrets::made(1)?)?;
    let as_in_pod = laid.command(&[])?;
    let mut command = std::process::Command::new(as_in_pod.get_program());
    command.env_clear();
    for arg in as_in_pod.get_args() {
        let arg = arg.to_str().context("no text")?;
        let is_address = arg.starts_with("0.0.0.0:");
        command.arg(if is_address { "127.0.0.1:0" } else { arg });
    }
    let mut pair = Process::start(&mut command)?;
    let serves: Value = serde_json::from_str(&pair.line()?.context("it said nothing")?)?;
    let url = |name: &str| serves[name].as_str().unwrap_or_default().to_owned();
    assert!(url("identity_url").starts_with("https://"), "{serves}");
    for path in ["/livez", "/readyz"] {
        let answer = asked(&url("admin_url"), path)?;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
    assert_eq!(pair.terminate()?, Some(0));
    // The keys were read, and nothing was made beside them.
    let keys = laid.path("/run/secrets/keys")?;
    let names = keys.read_dir()?.count();
    assert_eq!(names, 4 + 2, "four keys, and what kubelet put there");
    Ok(())
}

fn asked(url: &str, path: &str) -> anyhow::Result<String> {
    let address = url.strip_prefix("http://").context("no address")?;
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
