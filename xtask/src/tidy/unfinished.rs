//! What is committed is done: nothing is left for later, ignored, or printed to look at.

use super::Finding;
use super::rust_source::{RustSource, line_of, words};

const MARKS: [&str; 5] = ["todo!", "unimplemented!", "dbg!", "#[ignore", "#![ignore"];

pub(super) fn check(source: &RustSource<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for mark in MARKS {
        for at in words(&source.code, mark) {
            let line = line_of(&source.code, at);
            let says = format!("`{mark}` is not committed");
            findings.push(Finding::new(source.path, line, says));
        }
    }
    for (index, line) in source.text.lines().enumerate() {
        if is_ignored_example(line) {
            let says = "an example in the documentation compiles, or is marked as `text`";
            findings.push(Finding::new(source.path, index + 1, says));
        }
    }
    findings
}

/// Whether a comment opens a block of code that is not compiled.
fn is_ignored_example(line: &str) -> bool {
    let Some((comment, marks)) = line.split_once("```") else {
        return false;
    };
    matches!(comment.trim(), "//!" | "///") && marks.split(',').any(|mark| mark.trim() == "ignore")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::File;

    fn found(text: &str) -> usize {
        let file = File {
            path: String::from("a/tests/it/b.rs"),
            text: String::from(text),
        };
        check(&RustSource::new(&file)).len()
    }

    #[test]
    fn unfinished_code_fails_in_tests_too() {
        for bad in [
            "fn f() { todo!() }",
            "fn f() { unimplemented!(\"x\") }",
            "fn f() { dbg!(1); }",
            "#[test]\n#[ignore]\nfn f() {}",
            "#[test]\n#[ignore = \"slow\"]\nfn f() {}",
            "/// ```ignore\n/// f();\n/// ```\nfn f() {}",
            "    //! ```rust,ignore",
        ] {
            assert_eq!(found(bad), 1, "{bad}");
        }
    }

    #[test]
    fn talk_of_it_passes() {
        for good in [
            "// todo!() and #[ignore]",
            "/// ```no_run\n/// ignore();\n/// ```\nfn f() {}",
            "const A: &str = \"dbg!(x)\";",
            "fn f() { my_todo!(); unreachable!() }",
        ] {
            assert_eq!(found(good), 0, "{good}");
        }
    }
}
