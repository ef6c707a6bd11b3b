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
    assert!(named > 50, "the page has another form: {named}");
}

#[test]
fn every_attack_and_row_has_a_test() {
    let tables = PAGE.split_once("## Attacks").map_or("", |(_, rest)| rest);
    for line in tables.lines().filter(|line| line.starts_with("| ")) {
        let last = line.trim_end_matches([' ', '|']).rsplit('|').next();
        let last = last.unwrap_or_default().trim();
        let is_head = ["shown by", "---"].contains(&last);
        assert!(
            is_head || last == "above" || last.contains(".rs` `"),
            "{line}"
        );
    }
}
