//! The same as a user who may do no more than the documentation says (S-74), and every command of
//! it looked at: keys have the form that S-70 gives them.

use std::collections::BTreeSet;
use std::thread::JoinHandle;

use edge_ledger_store::conformance::Stores;
use edge_ledger_store::redis::RedisConfig;
use edge_ledger_store::redis::server::Server;

use super::conforming::stores;

/// The documentation's line for operators.
fn acl_line() -> String {
    let source = include_str!("../../src/redis.rs");
    let lines = source
        .lines()
        .map(|line| line.trim_start_matches("//!").trim())
        .skip_while(|line| !line.starts_with("ACL SETUSER"))
        .take_while(|line| *line != "```");
    let line = lines.collect::<Vec<_>>().join(" ");
    line.replace(">PASSWORD", ">secret")
}

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
    let server = Server::start();
    assert!(server.command(&acl_line()).starts_with("+OK"));
    let url = format!("redis://edge-ledger:secret@127.0.0.1:{}", server.port());
    let lines = server.monitor();
    let looking = std::thread::spawn(move || lines.filter(|line| !is_fit(line)).collect());
    let watched = Watched {
        server: Some(server),
        looking: Some(looking),
    };
    stores(RedisConfig::new(url), watched).await
}

/// Whether a line of MONITOR names keys of the right form only.
fn is_fit(line: &str) -> bool {
    let Some((_, command)) = line.split_once("] \"") else {
        return false;
    };
    let words: Vec<_> = command
        .trim_end_matches(['\r', '"'])
        .split("\" \"")
        .collect();
    let name = words[0].to_ascii_uppercase();
    match name.as_str() {
        "EVALSHA" => {
            let count: usize = words[2].parse().unwrap();
            count > 0 && words[3..3 + count].iter().all(|key| is_key(key))
        }
        "INFO" | "TIME" | "CONFIG" | "SCRIPT" | "PING" | "HELLO" | "AUTH" => true,
        "PSUBSCRIBE" => words[1] == "el:feed:{*}",
        // All that are used take one key, or channel, first.
        _ => words.get(1).is_some_and(|key| is_key(key)),
    }
}

/// `^el:[a-z]+:\{(g|[0-9a-f]{64})\}(:[0-9a-z]{1,64})*$`
fn is_key(key: &str) -> bool {
    let Some((kind, rest)) = key
        .strip_prefix("el:")
        .and_then(|rest| rest.split_once(":{"))
    else {
        return false;
    };
    let Some((tag, rest)) = rest.split_once('}') else {
        return false;
    };
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let part = |part: &str| {
        let fits = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
        (1..=64).contains(&part.len()) && part.chars().all(fits)
    };
    !kind.is_empty()
        && kind.chars().all(|c| c.is_ascii_lowercase())
        && (tag == "g" || tag.len() == 64 && tag.chars().all(hex))
        && (rest.is_empty() || rest.starts_with(':') && rest[1..].split(':').all(part))
}

edge_ledger_store::conformance!(open);

#[test]
fn the_form_of_keys_is_told() {
    let tag = "0a".repeat(32);
    for good in [format!("el:log:{{{tag}}}"), "el:x:{g}:1:zz".to_owned()] {
        assert!(is_key(&good), "{good}");
    }
    let long = "a".repeat(65);
    for bad in [
        format!("el:log:{{{tag}}}:"),
        format!("el:log:{{{tag}}}:{long}"),
        format!("el:log:{{{}}}", tag.to_uppercase()),
        format!("el::{{{tag}}}"),
        "el:log:{g}x".to_owned(),
        "log:{g}".to_owned(),
    ] {
        assert!(!is_key(&bad), "{bad}");
    }
    assert!(!is_fit("1.0 [0 lua] \"GET\" \"other\""));
}
