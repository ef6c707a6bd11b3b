//! What a server must be, and what is said when it is not.

use std::mem::discriminant;
use std::net::TcpListener;
use std::time::Duration;

use edge_ledger_core::ledger::Level;
use edge_ledger_store::LedgerStore as _;
use edge_ledger_store::redis::server::{Server, free_port};
use edge_ledger_store::redis::{AppendFsync, ConnectError, RedisConfig, RedisStore, Unanswered};

async fn refusal(config: RedisConfig) -> ConnectError {
    RedisStore::connect(config).await.unwrap_err()
}

#[tokio::test]
async fn a_server_that_syncs_always_is_durable() {
    let server = Server::start();
    let store = RedisStore::connect(RedisConfig::new(server.url())).await;
    assert_eq!(store.unwrap().level(), Level::Durable);
}

#[tokio::test]
async fn a_server_that_may_lose_answers_is_refused_or_accepted_by_name() {
    for settings in [
        &["--appendonly", "no"][..],
        &["--appendonly", "yes", "--appendfsync", "everysec"],
        &["--appendonly", "yes", "--appendfsync", "no"],
        // Acked, and in no file while the server writes its data anew.
        &[
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--no-appendfsync-on-rewrite",
            "yes",
        ],
    ] {
        let server = Server::start_with(settings);
        let mut config = RedisConfig::new(server.url());
        let said = refusal(config.clone()).await.to_string();
        let found = settings[settings.len() - 2..].join(" ");
        assert!(said.contains(found.trim_start_matches("--")), "{said}");
        for setting in ["`appendonly yes`", "`appendfsync always`", "`CONFIG SET`"] {
            assert!(said.contains(setting), "{said}");
        }
        config.accept_loss_window = true;
        let store = RedisStore::connect(config).await.unwrap();
        assert_eq!(store.level(), Level::Volatile);
    }
}

/// What an operator is told to write is what a server takes, and what is looked for.
#[tokio::test]
async fn the_settings_of_the_page_start_a_server_that_is_durable() {
    let page = include_str!("../../../../docs/two-services.md");
    let (_, rest) = page.split_once("In `redis.conf`:\n\n```\n").unwrap();
    let (settings, _) = rest.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redis.conf");
    std::fs::write(&file, settings).unwrap();
    let server = Server::start_with(&["--include", file.to_str().unwrap()]);
    let store = RedisStore::connect(RedisConfig::new(server.url())).await;
    assert_eq!(store.unwrap().level(), Level::Durable);
}

/// A server that was just told to keep a file of its writes has none that it could come back from
/// before all of its data is in one.
#[tokio::test]
async fn a_server_that_begins_to_keep_its_writes_is_waited_for() {
    let server = Server::start_with(&["--appendonly", "no", "--appendfsync", "always"]);
    for key in 0..20 {
        server.command(&format!("SET el:load:{{g}}:{key} x"));
    }
    // A second for each key: it will not have ended before it is looked at.
    server.command("CONFIG SET rdb-key-save-delay 1000000");
    server.command("CONFIG SET appendonly yes");
    let mut config = RedisConfig::new(server.url());
    config.load_timeout = Duration::from_millis(50);
    let early = refusal(config.clone()).await;
    assert!(matches!(&early, ConnectError::Rewriting { .. }), "{early}");
    // Once more, with an end in sight.
    server.command("CONFIG SET appendonly no");
    server.command("CONFIG SET rdb-key-save-delay 50000");
    server.command("CONFIG SET appendonly yes");
    config.load_timeout = Duration::from_secs(60);
    let store = RedisStore::connect(config).await;
    assert_eq!(store.unwrap().level(), Level::Durable);
}

#[tokio::test]
async fn a_server_that_evicts_is_refused_whatever_is_accepted() {
    let server = Server::start();
    server.command("CONFIG SET maxmemory-policy allkeys-lru");
    let mut config = RedisConfig::new(server.url());
    config.accept_loss_window = true;
    let refusal = refusal(config).await;
    assert!(matches!(&refusal, ConnectError::Evicts(policy) if policy == "allkeys-lru"));
    assert!(
        refusal
            .to_string()
            .contains("`maxmemory-policy noeviction`")
    );
}

#[tokio::test]
async fn what_the_server_does_not_tell_is_declared_or_refused() {
    let server = Server::start();
    server.command("ACL SETUSER blind on >secret ~el:* &* +@all -config");
    let url = format!("redis://blind:secret@127.0.0.1:{}", server.port());
    let mut config = RedisConfig::new(url);
    let untold = refusal(config.clone()).await;
    assert!(matches!(untold, ConnectError::Untold("appendfsync")));
    assert!(!untold.to_string().contains("secret"));
    config.declared_appendfsync = Some(AppendFsync::EverySecond);
    let weak = refusal(config.clone()).await;
    assert!(matches!(weak, ConnectError::LossWindow { .. }));
    config.declared_appendfsync = Some(AppendFsync::Always);
    let store = RedisStore::connect(config).await.unwrap();
    assert_eq!(store.level(), Level::Durable);
    // A declaration does not win over what the server tells.
    server.command("CONFIG SET appendfsync everysec");
    let mut config = RedisConfig::new(server.url());
    config.declared_appendfsync = Some(AppendFsync::Always);
    assert!(matches!(
        refusal(config).await,
        ConnectError::LossWindow { .. }
    ));
}

#[tokio::test]
async fn replicas_and_clusters_are_refused() {
    let server = Server::start();
    server.command("REPLICAOF 127.0.0.1 1");
    let replica = refusal(RedisConfig::new(server.url())).await;
    assert!(matches!(replica, ConnectError::Replica));
    let cluster = Server::start_with(&["--appendonly", "yes", "--cluster-enabled", "yes"]);
    let cluster = refusal(RedisConfig::new(cluster.url())).await;
    assert!(matches!(cluster, ConnectError::Mode(mode) if mode == "cluster"));
}

#[tokio::test]
async fn addresses_are_refused_without_repeating_secrets() {
    let port = free_port();
    for url in [
        "nonsense:hunter2".to_owned(),
        "rediss://user:hunter2@localhost".to_owned(),
        format!("redis://user:hunter2@127.0.0.1:{port}"),
    ] {
        let config = RedisConfig::new(url);
        assert!(!format!("{config:?}").contains("hunter2"));
        let refusal = refusal(config).await;
        assert!(!format!("{refusal} {refusal:?}").contains("hunter2"));
    }
    let server = Server::start();
    let url = format!("redis://user:hunter2@127.0.0.1:{}", server.port());
    let refusal = refusal(RedisConfig::new(url)).await;
    assert!(matches!(refusal, ConnectError::NotLetIn { .. }));
    assert!(!format!("{refusal} {refusal:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named() {
    let server = Server::start();
    let refusal = refusal(RedisConfig::new(format!("{}/99", server.url()))).await;
    assert!(
        matches!(refusal, ConnectError::NoDatabase { database: 99, .. }),
        "{refusal:?}"
    );
}

#[tokio::test]
async fn who_cannot_be_reached_is_named_with_the_cause() {
    // It accepts connections, and says nothing.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let no_name = format!("{}.invalid", "a".repeat(64));
    for (host, port, expected) in [
        ("127.0.0.1", free_port(), Unanswered::Refused),
        (
            "127.0.0.1",
            silent.local_addr().unwrap().port(),
            Unanswered::Silent,
        ),
        (&no_name, 6379, Unanswered::Name(String::new())),
    ] {
        let mut config = RedisConfig::new(format!("redis://user:hunter2@{host}:{port}"));
        config.response_timeout = Duration::from_millis(100);
        let refusal = refusal(config).await;
        let said = refusal.to_string();
        assert!(said.contains(&format!("{host}:{port}")), "{said}");
        assert!(!format!("{said} {refusal:?}").contains("hunter2"));
        let ConnectError::Unreachable { why, .. } = refusal else {
            panic!("{refusal:?}")
        };
        assert!(said.ends_with(&why.to_string()), "{said}");
        assert_eq!(discriminant(&why), discriminant(&expected), "{why:?}");
    }
}
