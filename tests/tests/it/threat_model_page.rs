//! The page of threats names tests: each is there, where the page says.

use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../../docs/threat-model.md");

/// Words in backquotes, in order.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut named = 0;
    for line in PAGE.lines().filter(|line| line.starts_with('|')) {
        let mut source = None;
        for word in quoted(line) {
            let is_file = Path::new(word).extension().is_some_and(|is| is == "rs");
            if is_file {
                let text = fs::read_to_string(root.join(word));
                source = Some((word, text.unwrap_or_else(|error| panic!("{word}: {error}"))));
            } else if let Some((file, text)) = &source {
                assert!(text.contains(&format!("fn {word}()")), "{word} in {file}");
                named += 1;
            }
        }
    }
    assert!(named > 90, "the page has another form: {named}");
}

#[test]
fn every_actor_attack_and_row_has_a_test() {
    let tables = ["## Per actor", "## Attacks", "## The rows"];
    for table in tables {
        let (_, rest) = PAGE.split_once(table).expect("a table");
        let rest = rest.split("\n## ").next().unwrap_or_default();
        let mut rows = rest.lines().filter(|line| line.starts_with("| "));
        let head = rows.next().unwrap_or_default();
        assert!(head.ends_with("| shown by |"), "{table}: {head}");
        let columns = head.matches('|').count();
        let mut seen = 0;
        for line in rows.filter(|line| !line.starts_with("| ---")) {
            assert_eq!(line.matches('|').count(), columns, "{line}");
            let last = line.trim_end_matches([' ', '|']).rsplit('|').next();
            let last = last.unwrap_or_default().trim();
            assert!(last == "above" || last.contains(".rs` `"), "{line}");
            seen += 1;
        }
        assert!(seen > 10, "{table} has {seen} rows");
    }
}
