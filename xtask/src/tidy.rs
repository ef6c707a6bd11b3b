//! `cargo xtask tidy`: the rules of the house that neither rustfmt nor clippy knows.

use std::fmt;
use std::path::Path;

use anyhow::bail;

use crate::output;
use crate::root::{self, File};

mod core_rules;
mod links;
mod machine;
mod names;
mod rust_source;
mod sizes;
mod unfinished;

use rust_source::RustSource;

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    says: String,
}

impl Finding {
    fn new(path: &str, line: usize, says: impl Into<String>) -> Self {
        Self {
            path: String::from(path),
            line,
            says: says.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}:{}: {}", self.path, self.line, self.says)
    }
}

/// Checks every text file of the workspace.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let files = root::text_files(root)?;
    let findings = check(&files, &|path| root.join(path).exists());
    for finding in &findings {
        output::line(&finding.to_string());
    }
    if !findings.is_empty() {
        bail!("places that break a rule of the house: {}", findings.len());
    }
    output::line(&format!("{} files follow the rules", files.len()));
    Ok(())
}

fn check(files: &[File], exists: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        findings.extend(names::check(&file.path));
        findings.extend(machine::check(file));
        if file.path.ends_with(".md") {
            findings.extend(links::check(file, exists));
        }
        if file.path.ends_with(".rs") {
            let source = RustSource::new(file);
            findings.extend(sizes::check(&source));
            findings.extend(names::check_modules(&source));
            findings.extend(names::check_crate_doc(&source));
            findings.extend(unfinished::check(&source));
            findings.extend(core_rules::check(&source));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File {
            path: String::from(path),
            text: String::from(text),
        }
    }

    #[test]
    fn every_rule_is_asked_for_the_files_it_is_about() {
        let good = [
            file("cli/src/main.rs", "//! Commands.\n\nfn main() {}\n"),
            file("README.md", "[the command](cli/src/main.rs)\n"),
        ];
        assert_eq!(check(&good, &|path| path == "cli/src/main.rs"), []);

        let bad = [
            file("README.md", "[gone](gone.md)\n"),
            file("deploy/run", &format!("cd /{}/someone\n", "home")),
            file("cli/src/lib.rs", "mod utils {}\nfn f() { todo!() }\n"),
            file("crates/core/src/lib.rs", "//! Core.\nuse tokio::time;\n"),
            file("cli/src/helpers.rs", &"\n".repeat(501)),
        ];
        let found = check(&bad, &|_| false);
        let mut paths: Vec<&str> = found.iter().map(|finding| finding.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(
            paths,
            [
                "README.md",
                "cli/src/helpers.rs",
                "cli/src/helpers.rs",
                "cli/src/lib.rs",
                "cli/src/lib.rs",
                "cli/src/lib.rs",
                "crates/core/src/lib.rs",
                "deploy/run",
            ]
        );
    }
}
