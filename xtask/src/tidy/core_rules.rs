//! The core is pure: no I/O, no clock, no randomness, no order by hash.

use super::Finding;
use super::rust_source::{RustSource, is_name, item_end, line_of, words};

const CORE: &str = "crates/core/src/";

/// What the core does not use, and what it does instead.
const ABSENT: [(&str, &str); 11] = [
    (
        "HashMap",
        "BTreeMap: the order by hash differs from run to run",
    ),
    (
        "HashSet",
        "BTreeSet: the order by hash differs from run to run",
    ),
    ("SystemTime", "take the time as an argument"),
    ("Instant", "take the time as an argument"),
    ("rand::", "take random bytes as an argument"),
    ("tokio", "return what is to be done; a shell does it"),
    ("std::fs", "return what is to be done; a shell does it"),
    ("std::net", "return what is to be done; a shell does it"),
    ("std::env", "take settings as arguments"),
    ("std::thread", "return what is to be done; a shell does it"),
    ("std::process", "return what is to be done; a shell does it"),
];

pub(super) fn check(source: &RustSource<'_>) -> Vec<Finding> {
    if !source.path.starts_with(CORE) {
        return Vec::new();
    }
    let code = &source.code;
    let mut findings = Vec::new();
    for (absent, instead) in ABSENT {
        for at in words(code, absent).chain(in_groups(code, absent)) {
            let says = format!("the core does not use `{absent}`: {instead}");
            findings.push(Finding::new(source.path, line_of(code, at), says));
        }
    }
    findings
}

/// Finds `std::fs` in `use std::{fmt, fs}`.
fn in_groups<'a>(code: &'a str, absent: &'a str) -> impl Iterator<Item = usize> + 'a {
    const GROUP: &str = "std::{";
    let module = absent.strip_prefix("std::").unwrap_or_default();
    let groups = words(code, GROUP).filter(move |_| !module.is_empty());
    groups.filter_map(move |at| {
        let inner = at + GROUP.len();
        let end = item_end(code, inner - 1)?;
        let names = code.get(inner..end)?.split(|of| !is_name(of));
        names.into_iter().any(|name| name == module).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::File;

    fn found(path: &str, text: &str) -> usize {
        let file = File {
            path: String::from(path),
            text: String::from(text),
        };
        check(&RustSource::new(&file)).len()
    }

    #[test]
    fn the_core_without_the_world_passes() {
        for good in [
            "use std::collections::{BTreeMap, BTreeSet};",
            "use std::{fmt, time::Duration};",
            "/// A HashMap of tokio's std::fs.\nfn f(instant: i64) {}",
            "const A: &str = \"SystemTime\";",
            "fn f() { operand::g(); }",
        ] {
            assert_eq!(found("crates/core/src/ids.rs", good), 0, "{good}");
        }
    }

    #[test]
    fn the_core_with_the_world_fails() {
        for bad in [
            "use std::collections::HashMap;",
            "use std::collections::HashSet;",
            "fn f() { SystemTime::now(); }",
            "fn f() { Instant::now(); }",
            "fn f() { rand::rng(); }",
            "use tokio::time;",
            "use std::fs;",
            "use std::net::IpAddr;",
            "use std::{\n    fmt,\n    fs,\n};",
            "use std::{fmt, net::IpAddr};",
        ] {
            assert_eq!(found("crates/core/src/ids.rs", bad), 1, "{bad}");
            assert_eq!(found("crates/store/src/ids.rs", bad), 0, "{bad}");
        }
    }
}
