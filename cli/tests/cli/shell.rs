//! What shells and manuals are given.

use std::fs;

use super::process::{Ran, edge_ledger};

const COMMANDS: [&str; 4] = ["agent", "devices", "doctor", "earn"];

#[test]
fn shells_complete_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let words = Ran::of(edge_ledger(folder.path()).args(["completions", shell]));
        assert_eq!(words.code, Some(0), "{words:?}");
        for word in COMMANDS.into_iter().chain(["--home", "edge-ledger"]) {
            let option = word.trim_start_matches('-');
            assert!(words.stdout.contains(option), "{word}: {words:?}");
        }
        let json = Ran::of(edge_ledger(folder.path()).args(["completions", shell, "--json"]));
        let json = json.done();
        assert_eq!(json["shell"], shell);
        let script = json["script"].as_str().unwrap();
        assert_eq!(script.trim_end(), words.stdout.trim_end());
    }
    Ran::of(edge_ledger(folder.path()).args(["completions", "cmd", "--json"])).failed(2, "USAGE");
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("man/man1");
    let written = Ran::of(
        edge_ledger(folder.path())
            .args(["man", "--json", "--dir"])
            .arg(&dir),
    );
    let written = written.done();
    let pages = written["pages"].as_array().unwrap();
    assert_eq!(pages.len(), fs::read_dir(&dir).unwrap().count());
    for command in COMMANDS {
        let page = fs::read_to_string(dir.join(format!("edge-ledger-{command}.1"))).unwrap();
        assert!(page.contains(r"\-\-ledger\-url"), "{page}");
    }
    let whole = fs::read_to_string(dir.join("edge-ledger.1")).unwrap();
    assert!(whole.contains("Exit codes"), "{whole}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = Ran::of(
        edge_ledger(folder.path())
            .args(["man", "--json", "--dir"])
            .arg(&file),
    );
    refused.failed(1, "MAN_IO");
}
