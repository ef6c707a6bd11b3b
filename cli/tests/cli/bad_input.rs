//! What makes no sense is refused before anything happens, and said to programs too.

use super::process::{Device, Ran, Up, edge_ledger};

const COMMANDS: [&[&str]; 25] = [
    &["up"],
    &["demo"],
    &["init"],
    &["link"],
    &["join"],
    &["devices"],
    &["devices", "list"],
    &["devices", "rename"],
    &["devices", "revoke"],
    &["enrol-token"],
    &["enrol-token", "create"],
    &["enrol-token", "list"],
    &["enrol-token", "revoke"],
    &["leave"],
    &["earn"],
    &["spend"],
    &["refund"],
    &["balance"],
    &["history"],
    &["watch"],
    &["status"],
    &["agent"],
    &["doctor"],
    &["completions"],
    &["man"],
];

#[test]
fn every_command_has_help() {
    let folder = tempfile::tempdir().unwrap();
    for command in COMMANDS {
        let ran = Ran::of(edge_ledger(folder.path()).args(command).arg("--help"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains("Usage: edge-ledger"), "{ran:?}");
        assert!(ran.stdout.contains("EDGE_LEDGER_HOME"), "{ran:?}");
    }
    let help = Ran::of(edge_ledger(folder.path()).arg("--help")).stdout;
    for command in COMMANDS {
        assert!(help.contains(command[0]), "{help}");
    }
    for code in ["  0 ", "  1 ", "  2 ", "  75 ", "  130 "] {
        assert!(help.contains(code), "{help}");
    }
    let version = Ran::of(edge_ledger(folder.path()).arg("--version"));
    assert!(version.stdout.starts_with("edge-ledger "), "{version:?}");
}

#[test]
fn what_is_typed_wrongly_is_told_in_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["frobnicate"][..],
        &[],
        &["earn"],
        &["earn", "-5"],
        &["balance", "now"],
        &["devices", "revoke", "x", "--reason", "boredom"],
        &["up", "--identity-listen", "nowhere"],
        &["history", "--limit", "many"],
        &["join"],
        &["join", "CODE", "--token-file", "f"],
        &["join", "--token-file", "f", "--replace"],
        &["enrol-token", "create", "--uses", "0"],
        &["enrol-token", "create", "--uses", "65"],
        &["enrol-token", "create", "--expires", "0h"],
        &["enrol-token", "create", "--expires", "367d"],
        &["enrol-token", "create", "--expires", "24"],
        &["enrol-token", "revoke"],
    ] {
        let words = Ran::of(edge_ledger(folder.path()).args(args));
        assert_eq!(
            (words.code, words.stdout.as_str()),
            (Some(2), ""),
            "{words:?}"
        );
        assert!(words.stderr.contains("--help"), "{words:?}");
        let json = Ran::of(edge_ledger(folder.path()).args(args).arg("--json"));
        let error = json.failed(2, "USAGE");
        assert!(
            error["next"].as_str().unwrap().contains("--help"),
            "{error}"
        );
    }
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (args, missing) in [
        (&["join"][..], "CODE|LINK"),
        (&["up", "--tls-cert", "x"], "--tls-key"),
        (&["devices", "revoke"], "DEVICE"),
    ] {
        let json = Ran::of(edge_ledger(folder.path()).args(args).arg("--json"));
        let error = json.failed(2, "USAGE");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(missing), "{error}");
    }
}

#[test]
fn keys_and_ids_that_are_no_hex_or_of_a_wrong_length_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let laptop = up.device("laptop");
    for id in [
        "",
        "zz",
        &"ab".repeat(15),
        &"ab".repeat(17),
        &"zz".repeat(16),
        &"é".repeat(16),
    ] {
        laptop
            .run(&["init", "--ledger-id", id])
            .failed(2, "KEY_FORMAT");
    }
    assert!(!laptop.home.exists());
    laptop.init();
    let long = "k".repeat(129);
    for key in ["0xzz", "0x123", "", &long] {
        laptop
            .run(&["earn", "1", "--key", key])
            .failed(2, "KEY_FORMAT");
        laptop
            .run(&["spend", "1", "--key", key])
            .failed(2, "KEY_FORMAT");
        laptop.run(&["refund", key]).failed(2, "KEY_FORMAT");
    }
    for device in ["zz".repeat(16), "ab".repeat(17), "a".repeat(31)] {
        laptop
            .run(&["devices", "revoke", &device])
            .failed(2, "KEY_FORMAT");
        laptop
            .run(&["devices", "rename", &device, "x"])
            .failed(2, "KEY_FORMAT");
    }
    laptop
        .run(&["devices", "revoke", &"ab".repeat(16)])
        .failed(1, "UNKNOWN_DEVICE");
    for code in [
        "",
        "ABCD",
        "edge-ledger:link/1/x",
        "edge-ledger:link/1/x?ledger=zz&at=http://a",
    ] {
        up.device("phone")
            .run(&["join", code])
            .failed(2, "LINK_CODE");
    }
    let history = laptop.run(&["history"]).done();
    assert_eq!(history["total"], 0);
}

#[test]
fn addresses_that_nobody_could_dial_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let laptop = Device {
        home: folder.path().join("laptop"),
        identity_url: String::new(),
    };
    for url in [
        "",
        "nonsense",
        "127.0.0.1:7420",
        "ftp://127.0.0.1:7420",
        "http://",
        "http://127.0.0.1:",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:7420/path",
        "http://somebody@127.0.0.1:7420",
        "http://a b",
    ] {
        for option in ["--identity-url", "--ledger-url"] {
            for command in ["balance", "init", "agent", "doctor"] {
                let error = laptop.run(&[command, option, url]).failed(2, "URL_FORMAT");
                assert!(
                    error["message"].as_str().unwrap().contains(option),
                    "{error}"
                );
            }
        }
    }
    // Somebody may have written a password into it: it is not repeated.
    for url in [
        "http://somebody:canary@127.0.0.1:7420",
        "http://somebody:can@ary@127.0.0.1:7420",
        "http://somebody:canary/@127.0.0.1",
        "somebody:canary@127.0.0.1:7420",
        "http://127.0.0.1:7420/?password=canary",
        "http://127.0.0.1:7420#canary",
    ] {
        for option in ["--identity-url", "--ledger-url"] {
            let ran = laptop.run(&["balance", option, url]);
            ran.failed(2, "URL_FORMAT");
            assert!(!format!("{ran:?}").contains("ary"), "{ran:?}");
        }
    }
    // One that cannot be dialled among others, and a password that a comma cuts into two.
    let sound = "http://127.0.0.1:7420";
    for list in [
        format!("{sound},nonsense"),
        format!("{sound},,{sound}"),
        format!("{sound},"),
        "http://somebody:can,ary@127.0.0.1:7420".to_owned(),
        format!("{sound},http://127.0.0.1:7420#can,ary"),
    ] {
        for option in ["--identity-url", "--ledger-url"] {
            let ran = laptop.run(&["balance", option, &list]);
            ran.failed(2, "URL_FORMAT");
            let said = format!("{ran:?}");
            assert!(!said.contains("can,") && !said.contains("ary"), "{said}");
        }
    }
    let nine: Vec<String> = (1..=9).map(|n| format!("http://127.0.0.{n}")).collect();
    let error = laptop
        .run(&["balance", "--ledger-url", &nine.join(",")])
        .failed(2, "USAGE");
    assert!(
        error["message"].as_str().unwrap().contains("at most 8"),
        "{error}"
    );
    // A sound one is not at fault, nor are several.
    laptop
        .run(&["balance", "--ledger-url", &nine[..8].join(",")])
        .failed(1, "NO_DEVICE");
    laptop
        .run(&["balance", "--ledger-url", "https://[::1]:7420/"])
        .failed(1, "NO_DEVICE");
}

#[test]
fn amounts_names_and_memos_have_their_limits() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let laptop = up.device("laptop");
    for name in ["", " ", "a\nb", &"n".repeat(65)] {
        let init = [
            "init",
            "--identity-url",
            &laptop.identity_url,
            "--name",
            name,
        ];
        laptop.run(&init).failed(2, "NAME_FORMAT");
    }
    laptop.init();
    for amount in ["", "abc", "1e3", "0x10", "1,5", "1.5", "+1", " 1", "1_000"] {
        laptop.run(&["earn", amount]).failed(2, "AMOUNT_FORMAT");
    }
    for amount in ["0", "9007199254740992", "99999999999999999999999999"] {
        laptop.run(&["earn", amount]).failed(2, "AMOUNT_RANGE");
        laptop.run(&["spend", amount]).failed(2, "AMOUNT_RANGE");
    }
    let (fits, long) = ("m".repeat(128), "m".repeat(129));
    laptop
        .run(&["earn", "1", "--memo", &long])
        .failed(2, "ENTRY_SIZE");
    laptop.run(&["earn", "1", "--memo", &fits]).done();
    laptop
        .run(&["devices", "rename", "laptop", ""])
        .failed(2, "NAME_FORMAT");
    for name in ["", "a\nb", &"n".repeat(65)] {
        laptop
            .run(&["enrol-token", "create", "--out", "-", "--name", name])
            .failed(2, "NAME_FORMAT");
    }
    let most = laptop.run(&["earn", "9007199254740991"]).done();
    assert_eq!(most["amount"].as_u64(), Some(9_007_199_254_740_991));
    assert_eq!(most["balance"], "9007199254740992");
    assert_eq!(most["available"].as_u64(), Some(9_007_199_254_740_991));
    assert_eq!(laptop.balance(), "9007199254740992");
}
