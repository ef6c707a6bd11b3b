//! Nothing grows beyond what a reader holds in mind.

use super::Finding;
use super::rust_source::{RustSource, is_name, item_end, line_of, words};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const MAIN_LINES_MAX: usize = 60;

pub(super) fn check(source: &RustSource<'_>) -> Vec<Finding> {
    if source.is_test() || source.path.contains("/generated/") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        let says = format!("{lines} lines; a file has at most {FILE_LINES_MAX}");
        findings.push(Finding::new(source.path, 1, says));
    }
    if source.path.ends_with("/src/main.rs") && lines > MAIN_LINES_MAX {
        let says = format!("{lines} lines; a main.rs has at most {MAIN_LINES_MAX}");
        findings.push(Finding::new(source.path, 1, says));
    }
    for (name, first, last) in functions(&source.shipped) {
        let lines = last - first + 1;
        if lines > FUNCTION_LINES_MAX {
            let says = format!("`fn {name}` has {lines} lines, at most {FUNCTION_LINES_MAX}");
            findings.push(Finding::new(source.path, first, says));
        }
    }
    findings
}

/// Name, first and last line of every function, without attributes and documentation.
fn functions(code: &str) -> Vec<(&str, usize, usize)> {
    let mut found = Vec::new();
    for at in words(code, "fn") {
        let rest = code[at + 2..].trim_start();
        let name = &rest[..rest.find(|of| !is_name(of)).unwrap_or(rest.len())];
        // `fn(u8)` is a type.
        if name.is_empty() {
            continue;
        }
        if let Some(end) = item_end(code, at) {
            found.push((name, line_of(code, at), line_of(code, end)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::File;

    fn findings(path: &str, text: String) -> Vec<Finding> {
        let path = String::from(path);
        check(&RustSource::new(&File { path, text }))
    }

    fn function(lines: usize) -> String {
        format!(
            "fn f<const N: usize>(x: [u8; 4]) -> fn(u8)\n{{\n{}}}\n",
            "x;\n".repeat(lines - 3)
        )
    }

    #[test]
    fn files_up_to_500_lines_pass() {
        assert_eq!(findings("a/src/b.rs", "\n".repeat(500)), []);
        assert_eq!(findings("a/src/b.rs", "\n".repeat(501)).len(), 1);
        assert_eq!(findings("a/tests/it/b.rs", "\n".repeat(501)), []);
        assert_eq!(findings("a/src/generated/b.rs", "\n".repeat(501)), []);
    }

    #[test]
    fn mains_up_to_60_lines_pass() {
        assert_eq!(findings("a/src/main.rs", "\n".repeat(60)), []);
        assert_eq!(findings("a/src/main.rs", "\n".repeat(61)).len(), 1);
        assert_eq!(findings("a/tests/it/main.rs", "\n".repeat(61)), []);
        assert_eq!(findings("a/examples/b/main.rs", "\n".repeat(61)), []);
    }

    #[test]
    fn functions_up_to_70_lines_pass() {
        assert_eq!(findings("a/src/b.rs", function(70)), []);
        let found = findings("a/src/b.rs", format!("\n{}", function(71)));
        assert_eq!(
            found,
            [Finding::new(
                "a/src/b.rs",
                2,
                "`fn f` has 71 lines, at most 70"
            )]
        );
        let method = format!("impl A {{\n{}\n}}\n", function(71));
        assert_eq!(findings("a/src/b.rs", method).len(), 1);
    }

    #[test]
    fn only_shipped_functions_count() {
        let test = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(71));
        assert_eq!(findings("a/src/b.rs", test), []);
        let text = format!("const A: &str = \"{}\";", function(71));
        assert_eq!(findings("a/src/b.rs", text), []);
        assert_eq!(findings("tests/src/b.rs", function(71)), []);
        assert_eq!(
            findings("a/src/b.rs", String::from("fn g();\n").repeat(80)),
            []
        );
    }
}
