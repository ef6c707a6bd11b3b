//! The workspace is the same on every machine: no file names a place on one.

use super::Finding;
use crate::root::File;

/// The folders in which checkouts and homes lie.
const HOMES: [&str; 6] = ["home", "root", "Users", "work", "workspace", "builds"];

/// The user that base images bring along.
const NO_ONE: &str = "nonroot";

/// Where packages come from is the user's setting: host and the part behind it.
const REGISTRIES: [(&str, &str); 9] = [
    ("index", ".crates.io"),
    ("static", ".crates.io"),
    ("pypi.org", "/simple"),
    ("files", ".pythonhosted.org"),
    ("registry", ".npmjs.org"),
    ("proxy", ".golang.org"),
    ("deb", ".debian.org"),
    ("--index", "-url"),
    ("replace", "-with ="),
];

pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for place in HOMES.into_iter().filter(|name| names_folder(line, name)) {
            let says = format!("`/{place}/…` is a path of one machine");
            findings.push(Finding::new(&file.path, index + 1, says));
        }
        for (start, end) in REGISTRIES {
            let host = format!("{start}{end}");
            if line.contains(&host) {
                let says = format!("`{host}`: where packages come from is the user's setting");
                findings.push(Finding::new(&file.path, index + 1, says));
            }
        }
    }
    findings
}

/// Whether a line holds an absolute path into a folder of this name.
fn names_folder(line: &str, name: &str) -> bool {
    let folder = format!("/{name}/");
    line.match_indices(&folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let is_absolute = !before
            .is_some_and(|of| of.is_alphanumeric() || matches!(of, '.' | '_' | '-' | '}' | ')'));
        is_absolute && !line[at + folder.len()..].starts_with(NO_ONE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: String) -> usize {
        let path = String::from("a/b.toml");
        check(&File { path, text }).len()
    }

    #[test]
    fn relative_paths_and_urls_pass() {
        for good in [
            "cd target/tools",
            "the framework/library",
            "COPY --from=build /usr/local/bin/x /app/x",
        ] {
            assert_eq!(found(String::from(good)), 0, "{good}");
        }
        assert_eq!(found(format!("https://example.org/{}/page", "home")), 0);
        assert_eq!(found(format!("${{HERE}}/{}/x", "work")), 0);
        assert_eq!(found(format!("USER /{}/nonroot", "home")), 0);
    }

    #[test]
    fn paths_of_a_machine_fail() {
        for home in HOMES {
            assert_eq!(found(format!("path = \"/{home}/me/x\"")), 1, "{home}");
            assert_eq!(found(format!("file:///{home}/me/x")), 1, "{home}");
        }
    }

    #[test]
    fn links_to_packages_pass_and_registries_fail() {
        let lock = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        assert_eq!(found(String::from(lock)), 0);
        assert_eq!(found(String::from("https://crates.io/crates/redb")), 0);
        for (start, end) in REGISTRIES {
            assert_eq!(found(format!("x {start}{end} y")), 1, "{start}{end}");
        }
    }
}
