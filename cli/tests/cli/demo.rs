//! `demo` holds, and says so.

use super::process::{Ran, edge_ledger};

#[test]
fn every_step_of_the_demo_holds() {
    let folder = tempfile::tempdir().unwrap();
    let ran = Ran::of(edge_ledger(folder.path()).args(["demo", "--json"]));
    let report = ran.done();
    assert_eq!(report["ok"], true, "{report}");
    assert_eq!(
        (&report["balance"], &report["heads_equal"]),
        (&"255".into(), &true.into())
    );
    assert!(report["entries"].as_u64().unwrap() >= 200, "{report}");
    let (p50, p99) = (
        &report["propagation_ms"]["p50"],
        &report["propagation_ms"]["p99"],
    );
    assert!(
        p50.as_f64().unwrap() > 0.0 && p50.as_f64() <= p99.as_f64(),
        "{report}"
    );
    for step in report["steps"].as_array().unwrap() {
        assert_eq!(step["ok"], true, "{report}");
        assert!(step["name"].is_string() && step["ms"].is_u64(), "{report}");
    }
    assert!(ran.stderr.is_empty(), "{ran:?}");
    // It lives in a temporary folder, and leaves nothing behind.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_person_sees_each_step_and_who_has_what() {
    let folder = tempfile::tempdir().unwrap();
    let ran = Ran::of(edge_ledger(folder.path()).arg("demo").env("NO_COLOR", "1"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ticks = ran
        .stdout
        .lines()
        .filter(|line| line.starts_with('✓'))
        .count();
    assert!(ticks >= 10 && !ran.stdout.contains('✗'), "{}", ran.stdout);
    assert!(ran.stdout.contains("p99") && ran.stdout.contains("the service is down"));
}

#[test]
fn a_demo_that_nobody_reads_has_not_shown_anything() {
    let folder = tempfile::tempdir().unwrap();
    for options in [&["demo"][..], &["demo", "--json"]] {
        let mut child = edge_ledger(folder.path()).args(options).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(1), "{options:?}");
    }
}
