//! A service that must not start says why and what to set; and how it ends before it serves.

use edge_ledger_store::redis::commands::acl_rules;
use edge_ledger_store::redis::server::Server;
use edge_ledger_tests::ServiceProcess;
use edge_ledger_tests::service::run;
use serde_json::Value;

use crate::two_services::{CANARY, check_log, path, spread_keys};

/// Runs a service that must not start; returns what its log says of it.
pub(crate) fn refused(name: &str, settings: &[(&str, &str)]) -> anyhow::Result<Vec<Value>> {
    let ended = run(name, &[], settings)?;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.output.is_empty(), "{ended:?}");
    check_log(&ended)?;
    let events = ended.log.iter().map(|line| serde_json::from_str(line));
    let events: Vec<Value> = events.collect::<Result<_, _>>()?;
    let errors: Vec<Value> = events
        .into_iter()
        .filter(|event| event["level"] == "ERROR")
        .collect();
    for error in &errors {
        let next = error["next"].as_str().unwrap_or_default();
        assert!(!next.is_empty(), "{error}");
    }
    Ok(errors)
}

#[track_caller]
fn assert_says(errors: &[Value], reason: &str, words: &[&str]) {
    let [error] = errors else {
        panic!("one error was expected: {errors:?}");
    };
    assert_eq!(error["reason"], reason, "{error}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}

#[test]
fn the_embedded_store_is_refused_also_when_nothing_is_said() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    spread_keys(folder.path())?;
    for name in ["identity-service", "ledger-service"] {
        let errors = refused(name, &[])?;
        let keys: Vec<&Value> = errors.iter().map(|error| &error["key"]).collect();
        assert_eq!(keys, ["keys.dir", "store.kind"], "{errors:?}");
        let keys = folder.path().join(name);
        let errors = refused(
            name,
            &[("keys.dir", path(&keys)?), ("store.kind", "embedded")],
        )?;
        let words = ["one process owns that file", "edge-ledger up", "redis"];
        assert_says(&errors, "CONFIGURATION", &words);
    }
    Ok(())
}

#[test]
fn what_prevents_a_start_is_said_with_what_to_set() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    spread_keys(folder.path())?;
    let honest = Server::start();
    let forgetful = Server::start_with(&["--appendonly", "no"]);
    let lazy = Server::start_with(&["--appendonly", "yes", "--appendfsync", "everysec"]);
    let (honest_url, forgetful_url, lazy_url) = (honest.url(), forgetful.url(), lazy.url());
    let keys = folder.path().join("identity-service");
    let keys = path(&keys)?;
    let with = |more: &[(&'static str, &str)]| -> anyhow::Result<Vec<Value>> {
        let mut settings = vec![
            ("server.listen", "127.0.0.1:0"),
            ("keys.dir", keys),
            ("store.kind", "redis"),
            ("store.url", honest_url.as_str()),
        ];
        // A later setting of the same name holds.
        settings.extend(more);
        refused("identity-service", &settings)
    };
    let errors = with(&[("store.url", &forgetful_url)])?;
    assert_says(
        &errors,
        "STORE_UNFIT",
        &["appendonly no", "appendfsync always"],
    );
    let errors = with(&[("store.url", &lazy_url)])?;
    assert_says(&errors, "STORE_UNFIT", &["everysec", "accept_loss_window"]);
    let secret = format!("redis://default:{CANARY}@127.0.0.1:1");
    let errors = with(&[("store.url", &secret)])?;
    assert_says(
        &errors,
        "STORE_UNREACHABLE",
        &["127.0.0.1:1", "refused", "store.url"],
    );

    // The ledger service needs no sealing key; the identity service does.
    let of_ledger = folder.path().join("ledger-service");
    let errors = with(&[("keys.dir", path(&of_ledger)?)])?;
    assert_says(
        &errors,
        "KEYS_MISSING",
        &["sealing.key", "edge-ledger keys init"],
    );
    let errors = with(&[("keys.dir", "/nowhere")])?;
    assert_says(&errors, "KEYS_MISSING", &["no folder /nowhere"]);
    let held = std::net::TcpListener::bind("127.0.0.1:0")?;
    let taken = held.local_addr()?.to_string();
    let errors = with(&[("server.listen", &taken)])?;
    assert_says(&errors, "PORT_IN_USE", &[&taken, "server.listen"]);
    Ok(())
}

#[test]
fn a_redis_that_denies_something_is_unfit_and_one_that_loads_is_waited_for() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    spread_keys(folder.path())?;
    let mut redis = Server::start();
    let keys = folder.path().join("ledger-service");
    let keys = path(&keys)?;
    let rules = acl_rules(include_str!("../../../docs/two-services.md")).join(" ");
    let user = format!("redis://limited:{CANARY}@127.0.0.1:{}", redis.port());
    let url = redis.url();
    let settings = |url| {
        [
            ("server.listen", "127.0.0.1:0"),
            ("keys.dir", keys),
            ("store.kind", "redis"),
            ("store.url", url),
            ("store.load_timeout", "1s"),
        ]
    };
    let errors = refused("ledger-service", &settings(&user))?;
    assert_says(&errors, "STORE_UNFIT", &["`limited`", "docs/redis.md"]);
    for denied in ["hset", "evalsha", "psubscribe"] {
        let user_is = format!("ACL SETUSER limited reset on >{CANARY} {rules} -{denied}");
        assert!(redis.command(&user_is).starts_with("+OK"));
        let errors = refused("ledger-service", &settings(&user))?;
        let line = format!("ACL SETUSER limited +{denied}");
        assert_says(&errors, "STORE_UNFIT", &[denied, &line, "docs/redis.md"]);
    }
    redis.start_loading();
    let errors = refused("ledger-service", &settings(&url))?;
    assert_says(
        &errors,
        "STORE_LOADING",
        &["still loading", "store.load_timeout"],
    );
    redis.finish_loading();
    Ok(())
}

#[test]
fn arguments_and_signals_before_it_serves() -> anyhow::Result<()> {
    for service in ["identity-service", "ledger-service"] {
        let ended = run(service, &["--version"], &[])?;
        let version = format!("{service} {}", edge_ledger_telemetry::version::LONG);
        assert_eq!((ended.code, ended.output), (Some(0), vec![version]));
        let ended = run(service, &["sevre"], &[])?;
        assert_eq!(ended.code, Some(2), "{ended:?}");
    }
    let folder = tempfile::tempdir()?;
    spread_keys(folder.path())?;
    let redis = Server::start();
    redis.signal("STOP");
    let keys = folder.path().join("ledger-service");
    let url = redis.url();
    let settings = [
        ("keys.dir", path(&keys)?),
        ("store.kind", "redis"),
        ("store.url", url.as_str()),
        ("store.response_timeout", "60s"),
        ("log.level", "debug"),
    ];
    let mut service = ServiceProcess::launch("ledger-service", &settings)?;
    service.wait_for("starts")?;
    assert_eq!(service.drain()?.code, Some(130));
    Ok(())
}
