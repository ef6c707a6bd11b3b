//! The Redis of the manifests: what it is told, whom it lets in, and that both services start on it.

use std::fs;
use std::process::Command;

use anyhow::Context as _;
use edge_ledger_store::redis::commands::acl_rules;
use edge_ledger_store::redis::server::free_port;
use edge_ledger_tests::Process;
use serde_json::Value;

use crate::cluster::Laid;
use crate::object::{at, list, text};
use crate::rendered::{APART, Rendered, root};
use crate::secrets;

const CONF: &str = "deploy/kubernetes/components/redis/redis.conf";
const MIB: u64 = 1024 * 1024;

#[test]
fn the_user_may_do_what_the_page_for_operators_says_and_no_more() -> anyhow::Result<()> {
    let page = fs::read_to_string(root().join("docs/two-services.md"))?;
    let users = secrets::users()?;
    let lines: Vec<&str> = users.lines().collect();
    assert_eq!(lines[0], "user default off");
    let words: Vec<&str> = lines[1].split(' ').collect();
    assert_eq!(words[..3], ["user", "edge-ledger", "on"]);
    assert!(words[3].starts_with('#') && words[3].len() == 65);
    assert_eq!(words[4..], acl_rules(&page));
    assert_eq!(lines.len(), 2);
    Ok(())
}

/// What `redis.conf` sets.
fn directive(conf: &str, name: &str) -> anyhow::Result<String> {
    let mut lines = conf.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.with_context(|| format!("no {name}"))?.to_owned())
}

#[test]
fn redis_keeps_what_it_answered_and_writes_where_its_claim_is() -> anyhow::Result<()> {
    let conf = fs::read_to_string(root().join(CONF))?;
    for (name, expected) in [
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("no-appendfsync-on-rewrite", "no"),
        ("maxmemory-policy", "noeviction"),
        ("port", "6379"),
    ] {
        assert_eq!(directive(&conf, name)?, expected, "{name}");
    }
    for overlay in ["redis", "h2c"] {
        let rendered = Rendered::of(overlay)?;
        let pod = rendered.pod("redis")?;
        let container = pod.container()?;
        let mounts = list(container, "/volumeMounts");
        let of = |name: &str| {
            let mut mounts = mounts.iter();
            mounts
                .find(|mount| mount["name"] == *name)
                .map(|of| text(of, "/mountPath"))
        };
        assert_eq!(Some(&directive(&conf, "dir")?[..]), of("data"));
        let users = directive(&conf, "aclfile")?;
        assert_eq!(users.strip_suffix("/users.acl"), of("acl"));
        let file = at(container, "/args/0").as_str().context("no file")?;
        assert_eq!(file.strip_suffix("/redis.conf"), of("config"));
        // While the file is written anew, memory may be needed twice.
        let data = directive(&conf, "maxmemory")?;
        let data: u64 = data.strip_suffix("mb").context("no mb")?.parse()?;
        let limit = text(container, "/resources/limits/memory");
        let limit: u64 = limit.strip_suffix("Gi").context("no Gi")?.parse()?;
        assert!(2 * data * MIB <= limit * 1024 * MIB);
    }
    Ok(())
}

/// The address in the Secret is that of the Service, and the user that of the file.
#[test]
fn the_address_is_in_a_file_of_its_own() -> anyhow::Result<()> {
    for overlay in APART {
        let rendered = Rendered::of(overlay)?;
        for service in ["identity-service", "ledger-service"] {
            let mounts = list(rendered.pod(service)?.container()?, "/volumeMounts");
            let mut mounts = mounts.iter().filter(|mount| mount["name"] == "redis");
            let path = mounts.next().map(|mount| text(mount, "/mountPath"));
            assert_eq!(path, Some("/run/secrets/redis"));
        }
    }
    Ok(())
}

/// Everything but the cluster: the Redis with its file and its users, and both services with their
/// files, variables and volumes, which ask for every right that they need when they start.
#[test]
fn both_services_start_on_it_and_ack_what_it_keeps() -> anyhow::Result<()> {
    let rendered = Rendered::of("redis")?;
    let port = free_port();
    let secrets = secrets::made(port)?;
    let redis = Laid::out(&rendered, "redis", &secrets)?;
    let mut server = started(&redis, port)?;
    loop {
        let line = server.line()?.context("Redis ended")?;
        if line.contains("Ready to accept connections") {
            break;
        }
    }
    for service in ["ledger-service", "identity-service"] {
        let laid = Laid::out(&rendered, service, &secrets)?;
        let ports = [
            ("EDGE_LEDGER__SERVER__LISTEN", "127.0.0.1:0"),
            ("EDGE_LEDGER__ADMIN__LISTEN", "127.0.0.1:0"),
        ];
        let serves = serves(laid.command(&ports)?)?;
        assert_eq!(serves["ack"], "durable", "{serves}");
        assert_eq!(serves["tls"], true, "{serves}");
    }
    Ok(())
}

/// Redis with its file, in which the places are those of a folder, on a port of this machine.
fn started(redis: &Laid<'_>, port: u16) -> anyhow::Result<Process> {
    let conf = redis.path("/etc/redis/redis.conf")?;
    let data = redis.path("/data")?;
    let moved = fs::read_to_string(&conf)?
        .replace("dir /data", &format!("dir {}", data.display()))
        .replace(
            "aclfile /",
            &format!("aclfile {}", redis.path("/")?.display()),
        );
    let file = data.join("moved.conf");
    fs::write(&file, moved)?;
    let mut server = Command::new("redis-server");
    server
        .arg(file)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    Process::start(&mut server)
}

/// What a service says once it serves; it is asked to end then, and does in good order.
fn serves(mut command: Command) -> anyhow::Result<Value> {
    // Its log is what it says, on standard error.
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec \"$0\" \"$@\" 2>&1"])
        .arg(command.get_program());
    shell.args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    command.env_clear();
    let mut process = Process::start(&mut shell)?;
    let mut said = String::new();
    while let Some(line) = process.line()? {
        let event: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        if event["message"] == "serves" {
            assert_eq!(process.terminate()?, Some(0));
            return Ok(event);
        }
        said.push_str(&line);
    }
    anyhow::bail!("it never served: {said}")
}
