//! Names of files and modules say what is in them, and every crate says what it is.

use super::Finding;
use super::rust_source::{RustSource, is_name, line_of, words};

/// Names of rooms for things without a place.
const EMPTY_NAMES: [&str; 7] = [
    "utils", "common", "helpers", "misc", "shared", "types", "prelude",
];

/// Files whose folders and names are names of ours.
const NAMED: [&str; 3] = [".rs", ".proto", "Cargo.toml"];

pub(super) fn check(path: &str) -> Vec<Finding> {
    if !NAMED.iter().any(|end| path.ends_with(end)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for part in path.split('/') {
        let name = part.split('.').next().unwrap_or(part);
        if EMPTY_NAMES.contains(&name) {
            findings.push(Finding::new(path, 1, empty_name(name)));
        }
        if part == "mod.rs" {
            let says = "a module foo is in foo.rs, not in foo/mod.rs";
            findings.push(Finding::new(path, 1, says));
        }
    }
    findings
}

/// Modules that have no file.
pub(super) fn check_modules(source: &RustSource<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for at in words(&source.code, "mod") {
        let rest = source.code[at + 3..].trim_start();
        let (name, rest) = rest.split_at(rest.find(|of| !is_name(of)).unwrap_or(rest.len()));
        // A module with a file has been found by its path.
        if EMPTY_NAMES.contains(&name) && rest.trim_start().starts_with('{') {
            let line = line_of(&source.code, at);
            findings.push(Finding::new(source.path, line, empty_name(name)));
        }
    }
    findings
}

/// The page with which a crate opens.
pub(super) fn check_crate_doc(source: &RustSource<'_>) -> Vec<Finding> {
    let is_crate = ["src/lib.rs", "src/main.rs"]
        .iter()
        .any(|end| source.path.ends_with(end));
    let has_doc = || source.text.lines().any(|line| line.starts_with("//!"));
    if is_crate && !has_doc() {
        let says = "a crate opens with `//!`: what it is for, and its invariants";
        return vec![Finding::new(source.path, 1, says)];
    }
    Vec::new()
}

fn empty_name(name: &str) -> String {
    format!("`{name}` names nothing; a thing lives with its noun")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::File;

    fn file(path: &str, text: &str) -> File {
        File {
            path: String::from(path),
            text: String::from(text),
        }
    }

    #[test]
    fn names_without_meaning_fail() {
        for good in [
            "a/src/typestate.rs",
            "docs/common/x.md",
            "a/src/shared_key.rs",
        ] {
            assert_eq!(check(good), [], "{good}");
        }
        for bad in [
            "a/src/utils.rs",
            "a/src/common/x.rs",
            "crates/helpers/Cargo.toml",
            "proto/a/v1/types.proto",
            "a/tests/it/misc.rs",
            "a/src/shared.rs",
            "a/src/prelude.rs",
        ] {
            assert_eq!(check(bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn module_folders_have_no_mod_rs() {
        assert_eq!(check("a/src/b/model.rs"), []);
        assert_eq!(check("a/src/b/mod.rs").len(), 1);
    }

    #[test]
    fn modules_within_a_file_are_named_too() {
        let good = file("a/src/b.rs", "mod types_of_x { }\n// mod utils {\n");
        assert_eq!(check_modules(&RustSource::new(&good)), []);
        let bad = file("a/src/b.rs", "\npub(crate) mod utils {\n}\n");
        let found = check_modules(&RustSource::new(&bad));
        assert_eq!(found, [Finding::new("a/src/b.rs", 2, empty_name("utils"))]);
    }

    #[test]
    fn a_crate_opens_with_its_doc() {
        let lib = |text| check_crate_doc(&RustSource::new(&file("a/src/lib.rs", text))).len();
        assert_eq!(lib("//! What it is.\n"), 0);
        assert_eq!(lib("#![expect(x)]\n//! What it is.\n"), 0);
        assert_eq!(lib("/// An item.\npub mod a;\n"), 1);
        assert_eq!(lib(""), 1);
        let other = file("a/src/b.rs", "");
        assert_eq!(check_crate_doc(&RustSource::new(&other)), []);
    }
}
