//! The same as a user who may do no more than the documentation says (S-74), and every command of
//! it looked at: keys have the form that S-70 gives them.

use std::collections::BTreeSet;
use std::thread::JoinHandle;

use edge_ledger_store::conformance::Stores;
use edge_ledger_store::redis::RedisConfig;
use edge_ledger_store::redis::commands::{acl_rules, acl_settings, is_fit};
use edge_ledger_store::redis::server::{DURABLE, Server};

use super::conforming::stores;

const CRATE: &str = include_str!("../../src/redis.rs");

/// A server whose commands are looked at when it is dropped.
struct Watched {
    server: Option<Server>,
    looking: Option<JoinHandle<BTreeSet<String>>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        // The lines end with the server.
        drop(self.server.take());
        let odd = self.looking.take().map(|looking| looking.join().unwrap());
        if !std::thread::panicking() {
            assert_eq!(odd, Some(BTreeSet::new()), "commands with other keys");
        }
    }
}

async fn open() -> Stores {
    let user = acl_settings(CRATE, "secret");
    let settings = DURABLE
        .iter()
        .copied()
        .chain(user.iter().map(String::as_str));
    let server = Server::start_with(&settings.collect::<Vec<_>>());
    let url = format!("redis://edge-ledger:secret@127.0.0.1:{}", server.port());
    let lines = server.monitor();
    let looking = std::thread::spawn(move || lines.filter(|line| !is_fit(line)).collect());
    let watched = Watched {
        server: Some(server),
        looking: Some(looking),
    };
    stores(RedisConfig::new(url), watched).await
}

edge_ledger_store::conformance!(open);

#[test]
fn the_pages_say_what_the_crate_says() {
    let rules = acl_rules(CRATE);
    assert!(rules.len() > 10, "{rules:?}");
    assert_eq!(
        acl_rules(include_str!("../../../../docs/two-services.md")),
        rules
    );
}
