//! Users who may do less than is needed: told at the start, with what to allow, and nothing is left
//! behind.

use std::time::Duration;

use edge_ledger_core::identity::Point;
use edge_ledger_store::conformance::fixtures::{Device, admissible, append, fresh_identity, tips};
use edge_ledger_store::redis::commands::acl_rules;
use edge_ledger_store::redis::server::{DURABLE, Server};
use edge_ledger_store::redis::{ConnectError, Lack, RedisConfig, RedisStore};
use edge_ledger_store::{Health, LedgerStore as _, LogVersion, Origin, StoreError};
use tokio::task::JoinSet;

use super::conforming::stores;

const CRATE: &str = include_str!("../../src/redis.rs");
const PATIENCE: Duration = Duration::from_secs(60);
const AT_ONCE: usize = 24;

/// What the page allows, but for one rule.
fn without(rule: &str) -> Vec<String> {
    let mut rules = acl_rules(CRATE);
    let all = rules.len();
    rules.retain(|other| other != rule);
    assert_eq!(rules.len() + 1, all, "{rule}");
    rules
}

fn with_user(server: &Server, user: &str, rules: &[String]) -> RedisConfig {
    let told = format!("ACL SETUSER {user} reset on >secret {}", rules.join(" "));
    let answer = server.command(&told);
    assert!(answer.starts_with("+OK"), "{told}: {answer}");
    RedisConfig::new(format!("redis://{user}:secret@127.0.0.1:{}", server.port()))
}

async fn refusal(config: RedisConfig) -> ConnectError {
    RedisStore::connect(config).await.unwrap_err()
}

/// All keys of the server, but for the one that every store writes when nothing else is written.
fn keys(server: &Server) -> String {
    let all = "return table.concat(redis.call('KEYS', '*'), ' ')";
    let keys = server.command(&format!("EVAL \"{all}\" 0"));
    keys.replace("el:probe:{g}\r\n", "").trim().to_owned()
}

#[tokio::test]
async fn each_command_that_is_missing_is_named_with_the_rule_that_gives_it() {
    let server = Server::start();
    let rules = acl_rules(CRATE);
    let commands: Vec<_> = rules.iter().filter(|rule| rule.starts_with('+')).collect();
    assert!(commands.len() > 20, "{rules:?}");
    for rule in commands {
        let mut config = with_user(&server, "limited", &without(rule));
        if rule == "+select" {
            config.url.push_str("/1");
        }
        let refusal = refusal(config).await;
        let said = refusal.to_string();
        if rule == "+config|get" {
            // Which the operator may declare instead.
            assert!(matches!(refusal, ConnectError::Untold(_)), "{refusal:?}");
        } else {
            let ConnectError::Denied { user, lacks, .. } = &refusal else {
                panic!("{rule}: {refusal:?}")
            };
            assert_eq!((user.as_str(), lacks.len()), ("limited", 1), "{said}");
            let named = format!("the command {}", &rule[1..]);
            assert!(said.contains(&named), "{said}");
            let line = format!("`ACL SETUSER limited {rule}`");
            assert!(said.contains(&line), "{said}");
        }
        assert!(said.contains(rule), "{said}");
        assert_eq!(keys(&server), "", "{rule}");
    }
    let config = with_user(&server, "limited", &rules);
    RedisStore::connect(config).await.unwrap();
    assert_eq!(keys(&server), "");
}

#[tokio::test]
async fn all_that_is_missing_is_told_at_once() {
    let server = Server::start();
    let mut rules = acl_rules(CRATE);
    for rule in ["-evalsha", "-hset", "resetchannels"] {
        rules.push(rule.to_owned());
    }
    let refusal = refusal(with_user(&server, "limited", &rules)).await;
    let ConnectError::Denied { lacks, .. } = &refusal else {
        panic!("{refusal:?}")
    };
    let missing = [
        Lack::Command("hset"),
        Lack::Command("evalsha"),
        Lack::Channels,
    ];
    assert_eq!(lacks[..], missing);
    let line = "`ACL SETUSER limited +hset +evalsha &el:feed:{*}`";
    assert!(refusal.to_string().contains(line), "{refusal}");
}

#[tokio::test]
async fn keys_and_channels_that_are_missing_are_named() {
    let server = Server::start();
    let but_for_links = [
        "log",
        "statements",
        "tips",
        "entries",
        "nonce",
        "session",
        "fence",
        "replicas",
    ];
    let but_for_links = but_for_links.map(|kind| format!("~el:{kind}:*"));
    let but_for_links = [&but_for_links[..], &["~el:probe:*".to_owned()]].concat();
    for (gone, instead, named, given) in [
        ("~el:*", vec!["~other:*".to_owned()], "el:log:{g}", "~el:*"),
        ("~el:*", vec!["%R~el:*".to_owned()], "el:log:{g}", "~el:*"),
        ("~el:*", but_for_links, "the key el:link:{g}:", "~el:*"),
        (
            "&el:feed:{*}",
            vec![],
            "the channels el:feed:{*}",
            "&el:feed:{*}",
        ),
        (
            "&el:feed:{*}",
            vec!["&el:feed:{g}".to_owned()],
            "the channels el:feed:{*}",
            "&el:feed:{*}",
        ),
    ] {
        let rules = [without(gone), instead].concat();
        let refusal = refusal(with_user(&server, "limited", &rules)).await;
        let said = refusal.to_string();
        assert!(
            matches!(refusal, ConnectError::Denied { .. }),
            "{refusal:?}"
        );
        assert!(said.contains(named), "{said}");
        assert!(
            said.contains(&format!("`ACL SETUSER limited {given}`")),
            "{said}"
        );
        assert_eq!(keys(&server), "", "{rules:?}");
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_told_so() {
    let server = Server::start();
    let sound = with_user(&server, "limited", &acl_rules(CRATE));
    let port = server.port();
    let mut refused = Vec::new();
    for who in ["limited:canary", "unknown:canary"] {
        refused.push(RedisConfig::new(format!("redis://{who}@127.0.0.1:{port}")));
    }
    for config in refused {
        let refusal = refusal(config).await;
        assert!(
            matches!(refusal, ConnectError::NotLetIn { .. }),
            "{refusal:?}"
        );
        assert!(!format!("{refusal} {refusal:?}").contains("canary"));
    }
    assert!(server.command("ACL SETUSER limited off").starts_with("+OK"));
    let off = refusal(sound).await;
    assert!(matches!(&off, ConnectError::NotLetIn { user, .. } if user == "limited"));
    // Nobody in particular, where everybody needs a password.
    let told = server.command("ACL SETUSER default resetpass >other");
    assert!(told.starts_with("+OK"), "{told}");
    let nobody = refusal(RedisConfig::new(server.url())).await;
    assert!(matches!(&nobody, ConnectError::NotLetIn { user, .. } if user == "default"));
}

#[tokio::test]
async fn commands_that_are_switched_off_are_named() {
    let renamed = [
        "--rename-command",
        "HSETNX",
        "",
        "--rename-command",
        "SET",
        "STORE",
    ];
    let server = Server::start_with(&[DURABLE, &renamed].concat());
    let refusal = refusal(RedisConfig::new(server.url())).await;
    let ConnectError::NoCommand { commands, .. } = &refusal else {
        panic!("{refusal:?}")
    };
    // Without SET, what would leave something is not tried.
    assert_eq!(commands[..], ["set"]);
    assert_eq!(keys(&server), "");
    let server = Server::start_with(&[DURABLE, &renamed[..3]].concat());
    let said = self::refusal(RedisConfig::new(server.url()))
        .await
        .to_string();
    assert!(
        said.contains("hsetnx") && said.contains("rename-command"),
        "{said}"
    );
    assert_eq!(keys(&server), "");
}

#[tokio::test]
async fn what_nobody_may_delete_expires() {
    let server = Server::start();
    let mut rules = acl_rules(CRATE);
    rules.extend(["-del", "-unlink", "-pexpire"].map(ToOwned::to_owned));
    let refusal = refusal(with_user(&server, "limited", &rules)).await;
    assert!(
        matches!(refusal, ConnectError::Denied { .. }),
        "{refusal:?}"
    );
    let left = keys(&server);
    assert!(left.starts_with("el:probe:{g}:"), "{left}");
    let ends = server.command(&format!("PTTL {left}"));
    let ends: i64 = ends.trim_start_matches(':').trim().parse().unwrap();
    assert!((1..=60_000).contains(&ends), "{ends}");
}

#[tokio::test]
async fn any_number_of_processes_may_start_at_once() {
    let server = Server::start();
    let config = with_user(&server, "limited", &acl_rules(CRATE));
    let mut starts = JoinSet::new();
    for _ in 0..AT_ONCE {
        starts.spawn(RedisStore::connect(config.clone()));
    }
    for started in starts.join_all().await {
        started.unwrap();
    }
    assert_eq!(keys(&server), "");
}

/// A server that is full or cannot save is none that denies anything.
#[tokio::test]
async fn a_full_server_is_started_on() {
    let server = Server::start();
    let config = with_user(&server, "limited", &acl_rules(CRATE));
    assert!(
        server
            .command("CONFIG SET maxmemory 1mb")
            .starts_with("+OK")
    );
    RedisStore::connect(config).await.unwrap();
    assert_eq!(keys(&server), "");
}

#[tokio::test]
async fn a_right_that_is_taken_away_later_is_missed_until_it_is_given_back() {
    let server = Server::start();
    let config = with_user(&server, "limited", &acl_rules(CRATE));
    let store = RedisStore::connect(config.clone()).await.unwrap();
    let mut health = store.health();
    let stores = stores(config, ()).await;
    let identity = fresh_identity();
    let device = Device::new(identity);
    let run = device.chain(Point::START, 2, 0);
    let append_run = || {
        let runs = vec![admissible(&run)];
        store.append(identity, LogVersion(0), Origin(1), runs)
    };
    let told = server.command("ACL SETUSER limited -hset");
    assert!(told.starts_with("+OK"), "{told}");
    let refused = append_run().await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    // The next connection knows what it is.
    let Err(StoreError::Unavailable(why)) = append_run().await else {
        panic!("it was appended")
    };
    assert!(why.contains("+hset"), "{why}");
    let missed = health.wait_for(|health| *health == Health::Unavailable);
    tokio::time::timeout(PATIENCE, missed)
        .await
        .unwrap()
        .unwrap();
    let told = server.command("ACL SETUSER limited +hset");
    assert!(told.starts_with("+OK"), "{told}");
    append(&stores, identity, &[&run]).await;
    let back = health.wait_for(|health| *health == Health::Serving);
    tokio::time::timeout(PATIENCE, back).await.unwrap().unwrap();
    assert_eq!(tips(&stores, identity, &device).await, [run.last()]);
}
