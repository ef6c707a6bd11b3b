//! What the other devices are told when one of them does what its person may not have wanted.

use serde_json::json;

use super::process::{Device, Running, Up};

/// The agent of a device, as a person reads it.
fn agent(device: &Device) -> Running {
    let mut agent = Running::start(&mut device.words(&["agent"]));
    agent.text_until("\"");
    agent
}

/// A thief with an unlocked admin device links one of his own: each other device says so, with what
/// ends it, and where that can be typed.
#[test]
fn every_other_device_is_told_of_a_thiefs_link_and_of_what_undoes_it() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start_with(folder.path(), &["--probation", "0s"].map(AsRef::as_ref));
    let [laptop, tablet, kiosk, thief] =
        ["laptop", "tablet", "kiosk", "thief"].map(|name| up.device(name));
    laptop.init();
    laptop.link(&tablet, "link", &["--admin"]);
    laptop.link(&kiosk, "link", &[]);
    let (mut at_laptop, mut at_kiosk) = (agent(&laptop), agent(&kiosk));
    let mut watching = Running::start(&mut kiosk.command(&["watch"]));
    watching.event("watching");

    let linked = tablet.link(&thief, "link", &["--admin"]);
    let undo = format!(
        "edge-ledger devices revoke {} --reason compromised",
        linked["device"].as_str().unwrap()
    );
    let notice = at_laptop.text_until("\"thief\"");
    assert!(notice.contains(&format!("Not yours?  {undo}")), "{notice}");
    let notice = at_kiosk.text_until("\"thief\"");
    let place = "on an admin device (\"laptop\", \"tablet\") type";
    assert!(notice.contains(&format!("{place}  {undo}")), "{notice}");
    let told = watching.event("device_linked");
    assert_eq!(
        (&told["may_revoke"], &told["admins"]),
        (&false.into(), &json!(["laptop", "tablet"]))
    );

    let typed: Vec<&str> = undo.split(' ').skip(1).collect();
    kiosk.run(&typed).failed(1, "FORBIDDEN");
    laptop.run(&typed).done();
    thief.run(&["balance"]).failed(1, "DEVICE_REVOKED");
    // So is a recovery that the thief asked for.
    let words = laptop.run(&["recovery", "set"]).done();
    let notice = at_kiosk.text_until("a recovery key was set");
    assert!(notice.contains("where the root keys are"), "{notice}");
    let words: Vec<&str> = words["words"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| w.as_str().unwrap())
        .collect();
    let file = folder.path().join("words");
    std::fs::write(&file, words.join(" ")).unwrap();
    let identity = told_identity(&laptop);
    let recover = [
        "recover",
        "--identity",
        &identity,
        "--words-file",
        file.to_str().unwrap(),
    ];
    let stolen = up.device("stolen");
    let url = stolen.identity_url.clone();
    stolen
        .run(&[&recover[..], &["--identity-url", &url]].concat())
        .done();
    let notice = at_kiosk.text_until("a recovery was asked for");
    assert!(
        notice.contains(&format!("{place}  edge-ledger recovery veto")),
        "{notice}"
    );
    let notice = at_laptop.text_until("a recovery was asked for");
    assert!(
        notice.contains("Not yours?  edge-ledger recovery veto"),
        "{notice}"
    );
    laptop.run(&["recovery", "veto"]).done();
}

fn told_identity(device: &Device) -> String {
    let status = device.run(&["status"]).done();
    status["identity"].as_str().unwrap().to_owned()
}
