//! How a service's process ends when a call does not: its exit codes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use edge_ledger_chassis::limits::EXIT_WITHIN;
use edge_ledger_store::redis::server::Server;
use edge_ledger_tests::ServiceProcess;
use edge_ledger_tests::service::Ended;

use crate::two_services::{path, spread_keys};

/// A call whose request never ends. The service asks for the rest of it, and so has it for sure.
fn held(address: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    let request = format!(
        "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nhost: {address}\r\n\
         content-type: application/grpc\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer)?;
    anyhow::ensure!(answer.trim() == "HTTP/1.1 100 Continue", "{answer:?}");
    Ok(stream)
}

/// Ends each service, while a call does not, by `end`; returns how.
fn ended(
    grace: &str,
    end: impl Fn(&mut ServiceProcess) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Ended>> {
    let folder = tempfile::tempdir()?;
    spread_keys(folder.path())?;
    let redis = Server::start();
    let url = redis.url();
    let services = ["identity-service", "ledger-service"].into_iter();
    services
        .map(|name| {
            let keys = folder.path().join(name);
            let settings = [
                ("server.listen", "127.0.0.1:0"),
                ("keys.dir", path(&keys)?),
                ("store.kind", "redis"),
                ("store.url", url.as_str()),
                ("shutdown.grace", grace),
            ];
            let mut service = ServiceProcess::start(name, &settings)?;
            let _held = held(service.address())?;
            end(&mut service)?;
            service.end_within(EXIT_WITHIN)
        })
        .collect()
}

fn last(ended: &Ended) -> &str {
    ended.log.last().map_or("", String::as_str)
}

#[test]
fn what_is_still_open_after_the_grace_is_ended_with_code_3() -> anyhow::Result<()> {
    for ended in ended("100ms", |service| service.signal("TERM"))? {
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(
            last(&ended).contains("not done after the grace"),
            "{ended:?}"
        );
    }
    Ok(())
}

#[test]
fn a_second_signal_ends_it_at_once_with_code_130() -> anyhow::Result<()> {
    for second in ["TERM", "INT"] {
        let ended = ended("4500ms", |service| {
            service.signal("TERM")?;
            service.wait_for("drains")?;
            service.signal(second)
        })?;
        for ended in ended {
            assert_eq!(ended.code, Some(130), "{ended:?}");
            assert!(last(&ended).contains("a second signal"), "{ended:?}");
        }
    }
    Ok(())
}
