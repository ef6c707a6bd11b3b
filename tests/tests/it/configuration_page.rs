//! `docs/configuration.md` names every setting of both services as the code has it, and no other.

use std::collections::BTreeMap;

use edge_ledger_chassis::config::Setting;
use edge_ledger_chassis::run::{Service, settings};

const PAGE: &str = include_str!("../../../docs/configuration.md");

/// With this variable in the environment the rows are written instead of compared.
const WRITE: &str = "EDGE_LEDGER_WRITE_DOCS";

fn of<S: Service>() -> Vec<(&'static str, Setting)> {
    let settings = settings::<S>().into_iter();
    settings.map(|setting| (S::NAME, setting)).collect()
}

/// The rows that the page must have, in order.
fn rows() -> Vec<String> {
    let both = [
        of::<identity_service::Server>(),
        of::<ledger_service::Server>(),
    ]
    .concat();
    let mut order = Vec::new();
    let mut of_key: BTreeMap<&str, Vec<(&str, Setting)>> = BTreeMap::new();
    for (service, setting) in both {
        if !of_key.contains_key(setting.key) {
            order.push(setting.key);
        }
        of_key
            .entry(setting.key)
            .or_default()
            .push((service, setting));
    }
    order.iter().map(|key| row(&of_key[key])).collect()
}

fn row(settings: &[(&str, Setting)]) -> String {
    let (_, setting) = settings[0];
    let default = |setting: &Setting| match setting.default {
        "" => "none".to_owned(),
        default => format!("`{default}`"),
    };
    let is_same = settings
        .iter()
        .all(|(_, other)| other.default == setting.default);
    let default = if is_same {
        default(&setting)
    } else {
        let each = settings.iter();
        let each = each.map(|(service, setting)| format!("{} ({service})", default(setting)));
        each.collect::<Vec<_>>().join(", ")
    };
    format!(
        "| `{}` | {default} | {} | `{}` | {} |",
        setting.key,
        setting.form,
        setting.variable(),
        setting.meaning
    )
}

/// The page with these rows in the tables of their sections.
fn with_rows(page: &str, rows: &[String]) -> String {
    let mut written = String::new();
    let mut section = "";
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("## `[") {
            section = name.trim_end_matches("]`");
        }
        let is_row = !section.is_empty() && line.starts_with("| `");
        if !is_row {
            written.push_str(line);
            written.push('\n');
        }
        if line.starts_with("| ---") {
            let prefix = format!("| `{section}.");
            for row in rows.iter().filter(|row| row.starts_with(&prefix)) {
                written.push_str(row);
                written.push('\n');
            }
        }
    }
    written
}

#[test]
fn the_page_has_every_setting_and_no_other() {
    if std::env::var_os(WRITE).is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        std::fs::write(path, with_rows(PAGE, &rows())).expect("the page can be written");
        return;
    }
    let sections = PAGE.lines().skip_while(|line| !line.starts_with("## "));
    let written: Vec<&str> = sections.filter(|line| line.starts_with("| `")).collect();
    let expected = rows();
    assert_eq!(
        written,
        expected,
        "{WRITE}=1 writes them:\n{}",
        expected.join("\n")
    );
}

#[test]
fn every_section_has_its_heading() {
    for row in rows() {
        let section = row[3..].split('.').next().unwrap_or_default().to_owned();
        assert!(PAGE.contains(&format!("## `[{section}]`")), "{section}");
    }
}

#[test]
fn the_page_for_operators_gives_the_user_that_the_store_is_tried_with() {
    let page = include_str!("../../../docs/two-services.md");
    let store = include_str!("../../../crates/store/src/redis.rs");
    let rule = |text: &str| {
        let lines = text
            .lines()
            .map(|line| line.trim_start_matches("//!").trim());
        let lines = lines.skip_while(|line| !line.starts_with("ACL SETUSER"));
        let lines: Vec<&str> = lines.take_while(|line| *line != "```").collect();
        lines.join(" ")
    };
    let expected = rule(store);
    assert!(expected.contains("+evalsha"), "{expected}");
    assert_eq!(rule(page), expected);
}
