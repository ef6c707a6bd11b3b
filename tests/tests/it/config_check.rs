//! `config check` and `config print`: everything that is wrong at once, as a start says it, and no
//! secret.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use edge_ledger_tests::service::run;
use serde_json::Value;

use crate::certificates::Authority;
use crate::start_refused::refused;
use crate::two_services::{CANARY, path, spread_keys};

const SERVICES: [&str; 2] = ["identity-service", "ledger-service"];

/// What `config check` says is wrong.
fn problems(service: &str, args: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<Vec<Value>> {
    let args = [args, &["config", "check", "--json"]].concat();
    let ended = run(service, &args, settings)?;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let said: Value = serde_json::from_str(&ended.output.concat())?;
    assert_eq!(said["ok"], false);
    let problems = said["problems"].as_array().context("no problems")?;
    assert!(!said.to_string().contains(CANARY), "{said}");
    Ok(problems.clone())
}

fn words<'a>(problems: &'a [Value], word: &str) -> Vec<&'a str> {
    let problems = problems.iter();
    problems
        .map(|problem| problem[word].as_str().unwrap_or_default())
        .collect()
}

#[test]
fn a_check_says_everything_at_once() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("identity.toml");
    fs::write(
        &file,
        "[server]\nlisten = \"0.0.0.0:7410\"\nport = 1\n[identity]\nlink_life = \"1h\"\n\
         [shutdown]\ngrace = \"5s\"\n",
    )?;
    let config = ["--config", path(&file)?];
    let said = problems("identity-service", &config, &[])?;
    assert_eq!(
        words(&said, "key"),
        [
            "server.port",
            "server.audiences",
            "tls.certificate_file",
            "keys.dir",
            "store.kind",
            "shutdown.grace",
            "identity.ledger_urls",
            "identity.link_life",
        ]
    );
    let args = [&config[..], &["config", "check"]].concat();
    let ended = run("identity-service", &args, &[])?;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.log.len(), 1 + 2 * said.len(), "{ended:?}");

    // What may hold a password is not repeated.
    let url = format!("http://somebody:{CANARY}@127.0.0.1:7420");
    let said = problems("identity-service", &[], &[("identity.ledger_urls", &url)])?;
    let said = Value::from(said).to_string();
    assert!(said.contains("http://***@127.0.0.1:7420"), "{said}");

    // What is no setting of this service is none.
    let ended = run("ledger-service", &args, &[])?;
    let said = ended.log.join("\n");
    assert!(said.contains("identity.link_life"), "{said}");
    Ok(())
}

#[test]
fn plaintext_beyond_loopback_is_a_problem_until_it_is_accepted() -> anyhow::Result<()> {
    let open = [
        ("server.listen", "10.0.0.7:7410"),
        ("server.audiences", "id.example:443"),
        ("store.kind", "redis"),
        ("store.url", "redis://127.0.0.1:6379"),
        ("keys.dir", "/keys"),
        ("identity.ledger_urls", "http://ledger.example:7420"),
    ];
    let settings_only = ["config", "check", "--json", "--settings-only"];
    let ended = run("identity-service", &settings_only, &open)?;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let said: Value = serde_json::from_str(&ended.output.concat())?;
    let said = said["problems"].as_array().context("no problems")?;
    assert_eq!(
        words(said, "key"),
        ["tls.certificate_file", "identity.ledger_urls"]
    );
    for problem in said {
        let next = problem["next"].as_str().unwrap_or_default();
        assert!(next.contains("tls.accept_plaintext = true"), "{problem}");
    }
    let accepted = [&open[..], &[("tls.accept_plaintext", "true")]].concat();
    let ended = run("identity-service", &settings_only, &accepted)?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    Ok(())
}

/// Settings of which every one names something that cannot be used, beside one that is wrong by
/// itself.
fn all_wrong(folder: &Path) -> anyhow::Result<Vec<(&'static str, String)>> {
    let keys = folder.join("identity-service");
    fs::set_permissions(keys.join("service.key"), Permissions::from_mode(0o644))?;
    fs::remove_file(keys.join("sealing.key"))?;
    fs::remove_file(keys.join("genesis"))?;
    let over = Authority::new()?.certify(folder, "127.0.0.1", false)?;
    let url_file = folder.join("redis-url");
    fs::write(&url_file, format!("redis://:{CANARY}@127.0.0.1/abc"))?;
    Ok(vec![
        // Kept for documentation, and no machine's.
        ("server.listen", "192.0.2.1:7410".to_owned()),
        ("server.audiences", "id.example:7410".to_owned()),
        ("keys.dir", path(&keys)?.to_owned()),
        ("store.kind", "redis".to_owned()),
        ("store.url_file", path(&url_file)?.to_owned()),
        ("tls.certificate_file", path(&over.certificate)?.to_owned()),
        ("tls.key_file", path(&over.key)?.to_owned()),
        ("log.level", "a=b=c".to_owned()),
        ("identity.ledger_urls", "https://ledger.example".to_owned()),
    ])
}

#[test]
fn what_the_settings_name_is_looked_at_by_a_check_and_by_a_start_alike() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    spread_keys(folder.path())?;
    let settings = all_wrong(folder.path())?;
    let settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let checked = problems("identity-service", &[], &settings)?;
    let said = words(&checked, "key").into_iter();
    let said = said.zip(words(&checked, "reason"));
    let said: Vec<String> = said
        .map(|(key, reason)| format!("{key} {reason}"))
        .collect();
    let expected = [
        "log.level CONFIGURATION",
        "server.listen CANNOT_LISTEN",
        "keys.dir KEYS_EXPOSED",
        "keys.dir KEYS_MISSING",
        "keys.dir KEYS_MISSING",
        "store.url_file CONFIGURATION",
        "tls.certificate_file TLS",
    ];
    assert_eq!(said, expected, "{checked:?}");
    let text = Value::from(checked.clone()).to_string();
    for word in [
        "sealing.key",
        "genesis",
        "0644",
        "2001-01-01",
        "192.0.2.1:7410",
    ] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
    let refused = refused("identity-service", &settings)?;
    for (of_check, of_start) in [
        ("key", "key"),
        ("reason", "reason"),
        ("source", "source"),
        ("wrong", "error"),
        ("next", "next"),
    ] {
        // When it was looked at is not when it was started.
        let without_time = |text: &str| text.split(", and it is").next().map(str::to_owned);
        let said = |all: &[Value], word: &str| -> Vec<_> {
            words(all, word).into_iter().map(without_time).collect()
        };
        assert_eq!(said(&checked, of_check), said(&refused, of_start));
    }

    // On another machine nothing of it can be told but what the settings themselves say.
    let args = ["config", "check", "--json", "--settings-only"];
    let ended = run("identity-service", &args, &settings)?;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let said: Value = serde_json::from_str(&ended.output.concat())?;
    assert_eq!(said["problems"].as_array().map(Vec::len), Some(1), "{said}");
    assert_eq!(said["problems"][0]["key"], "log.level", "{said}");
    Ok(())
}

#[test]
fn files_that_are_not_there_are_said_together() -> anyhow::Result<()> {
    let settings = [
        ("keys.dir", "/nowhere/keys"),
        ("store.kind", "redis"),
        ("store.url", "redis://127.0.0.1:99999"),
        ("tls.certificate_file", "/nowhere/tls.crt"),
        ("tls.key_file", "/nowhere/tls.key"),
        ("tls.client_ca_file", "/nowhere/ca.crt"),
    ];
    for service in SERVICES {
        let said = problems(service, &[], &settings)?;
        assert_eq!(
            words(&said, "key"),
            [
                "store.url",
                "keys.dir",
                "tls.certificate_file",
                "tls.key_file",
                "tls.client_ca_file",
            ]
        );
        for problem in &said {
            assert!(!problem["next"].as_str().unwrap_or_default().is_empty());
        }
    }
    Ok(())
}

#[test]
fn servers_of_ice_and_their_secret_are_looked_at() -> anyhow::Result<()> {
    let settings = [
        ("signal.stun_urls", "stun.example:3478"),
        ("signal.turn_urls", "turn:turn.example:3478"),
        ("signal.turn_secret_file", "/nowhere/secret"),
    ];
    let said = problems("identity-service", &[], &settings)?;
    let of_signal = said.iter().filter(|problem| {
        let key = problem["key"].as_str().unwrap_or_default();
        key.starts_with("signal.")
    });
    let of_signal: Vec<Value> = of_signal.cloned().collect();
    assert_eq!(
        words(&of_signal, "key"),
        ["signal.stun_urls", "signal.turn_secret_file"]
    );
    let wrong = words(&of_signal, "wrong");
    assert!(
        wrong[1].starts_with("cannot read /nowhere/secret"),
        "{wrong:?}"
    );
    // Nobody else has them.
    let said = problems("ledger-service", &[], &settings)?;
    let unknown = words(&said, "wrong");
    assert!(
        unknown.contains(&"there is no such setting here"),
        "{said:?}"
    );
    Ok(())
}

#[test]
fn what_is_sound_is_said_to_be_and_a_print_hides_secrets() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    spread_keys(folder.path())?;
    let certified = Authority::new()?.certify(folder.path(), "127.0.0.1", true)?;
    // Nobody is there, and nobody is asked.
    let url = format!("redis://default:{CANARY}@127.0.0.1:1/1");
    for service in SERVICES {
        let keys = folder.path().join(service);
        let sound = |keys| {
            [
                ("keys.dir", keys),
                ("store.kind", "redis"),
                ("store.url", url.as_str()),
                (
                    "tls.certificate_file",
                    path(&certified.certificate).unwrap_or_default(),
                ),
                ("tls.key_file", path(&certified.key).unwrap_or_default()),
            ]
        };
        let ended = run(service, &["config", "check"], &sound(path(&keys)?))?;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let elsewhere = sound("/keys");
        let ended = run(service, &["config", "check"], &elsewhere)?;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let settings_only = ["config", "check", "--settings-only"];
        let ended = run(service, &settings_only, &elsewhere)?;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        for args in [&["config", "print"][..], &["config", "print", "--json"]] {
            let ended = run(service, args, &elsewhere)?;
            assert_eq!(ended.code, Some(0), "{ended:?}");
            let said = ended.output.join("\n");
            assert!(said.contains("redis://***@127.0.0.1"), "{said}");
            assert!(said.contains("EDGE_LEDGER__KEYS__DIR"), "{said}");
            assert!(!said.contains(CANARY), "{said}");
        }
    }
    Ok(())
}

/// A check may be run beside the service that it is about.
#[test]
fn a_port_that_is_taken_is_no_problem_of_a_check() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    spread_keys(folder.path())?;
    let keys = folder.path().join("ledger-service");
    let held = std::net::TcpListener::bind("127.0.0.1:0")?;
    let taken = held.local_addr()?.to_string();
    let settings = [
        ("server.listen", taken.as_str()),
        ("keys.dir", path(&keys)?),
        ("store.kind", "redis"),
        ("store.url", "redis://127.0.0.1:1"),
    ];
    let ended = run("ledger-service", &["config", "check"], &settings)?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    Ok(())
}
