//! What alerts and dashboards ask for is there: metrics by the names that the code has, and a part of
//! the runbook for each alert.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use edge_ledger_telemetry::names::{Kind, METRICS};

use super::site::files;

/// How the names of our metrics begin, as Prometheus has them.
const OURS: [&str; 6] = [
    "rpc_",
    "db_",
    "edge_ledger_",
    "ledger_",
    "identity_",
    "agent_",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Everything that a query may name: metrics as they are scraped, and their labels.
fn known() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for metric in METRICS {
        let name = metric.prometheus();
        if metric.kind == Kind::Histogram {
            known.extend(["bucket", "sum", "count"].map(|part| format!("{name}_{part}")));
        } else {
            known.insert(name);
        }
        known.extend(
            metric
                .attributes
                .iter()
                .map(|label| label.replace('.', "_")),
        );
    }
    known
}

/// The words of a text that are names of ours; those of recorded rules have a colon.
fn names(text: &str) -> BTreeSet<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_:-/.".contains(c);
    let words = text.split(|c| !is_word(c));
    words
        .filter(|word| OURS.iter().any(|ours| word.starts_with(ours)))
        .filter(|word| !word.contains([':', '-', '/', '.']))
        .collect()
}

#[test]
fn alerts_and_dashboards_ask_for_metrics_that_are_there() -> anyhow::Result<()> {
    let known = known();
    let mut asked = 0;
    for file in files(&root().join("deploy/monitoring"))? {
        let is_query = file
            .extension()
            .is_some_and(|of| of == "yaml" || of == "json");
        if !is_query {
            continue;
        }
        let text = std::fs::read_to_string(&file)?;
        if file.extension().is_some_and(|of| of == "json") {
            let board: serde_json::Value = serde_json::from_str(&text)?;
            assert!(board["uid"].is_string(), "{}: no uid", file.display());
        }
        for name in names(&text) {
            asked += 1;
            assert!(known.contains(name), "{}: {name}", file.display());
        }
    }
    assert!(asked > 20, "{asked}");
    Ok(())
}

/// The anchor of a heading, as it is linked.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn each_alert_has_its_part_of_the_runbook() -> anyhow::Result<()> {
    let runbook = std::fs::read_to_string(root().join("docs/runbook.md"))?;
    let headings = runbook.lines().filter(|line| line.starts_with("##"));
    let anchors: BTreeSet<String> = headings
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect();
    let mut alerts = 0;
    for file in std::fs::read_dir(root().join("deploy/monitoring/alerts"))? {
        let path = file?.path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        let of = |key: &str| {
            let lines = text
                .lines()
                .map(str::trim)
                .map(|line| line.trim_start_matches("- "));
            let values = lines.filter_map(|line| line.strip_prefix(key).map(str::trim));
            values.map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        let (names, urls) = (of("alert:"), of("runbook_url:"));
        assert_eq!(names.len(), urls.len(), "{}", path.display());
        for (name, url) in names.iter().zip(urls) {
            alerts += 1;
            let (page, at) = url.trim_matches(['"', '\'']).split_once('#').unwrap();
            assert!(page.ends_with("docs/runbook.md"), "{name}: {page}");
            assert!(anchors.contains(at), "{name}: no part {at}");
        }
    }
    assert!(alerts > 10, "{alerts}");
    Ok(())
}
