//! `docs/telemetry.md` has every metric as the code has it, and no other.

use std::path::Path;

use edge_ledger_telemetry::names::{Kind, METRICS, Metric, SCHEMA_URL};

/// With this variable in the environment the rows are written instead of compared.
const WRITE: &str = "EDGE_LEDGER_WRITE_DOCS";

fn row(metric: &Metric) -> String {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::UpDownCounter => "up-down counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let attributes: Vec<_> = metric
        .attributes
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    format!(
        "| `{}` | `{}` | {kind} | `{}` | {} | {} |",
        metric.name,
        metric.prometheus(),
        metric.unit,
        attributes.join(", "),
        metric.description.trim()
    )
}

#[test]
fn the_page_has_every_metric_and_no_other() -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/telemetry.md");
    let page = std::fs::read_to_string(&path)?;
    assert!(page.contains(SCHEMA_URL), "the page names another schema");
    let rows: Vec<String> = METRICS.iter().map(row).collect();
    let is_row = |line: &&str| line.starts_with("| `") && line.matches(" | ").count() == 5;
    if std::env::var_os(WRITE).is_some() {
        let mut written = String::new();
        for line in page.lines().filter(|line| !is_row(line)) {
            written.push_str(line);
            written.push('\n');
            if line.starts_with("| --- | --- | --- | --- | --- | --- |") {
                written.push_str(&rows.join("\n"));
                written.push('\n');
            }
        }
        std::fs::write(&path, written)?;
        return Ok(());
    }
    let written: Vec<&str> = page.lines().filter(is_row).collect();
    assert_eq!(written, rows, "{WRITE}=1 writes them");
    Ok(())
}
