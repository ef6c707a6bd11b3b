//! What happens while the services are away.

use std::net::TcpListener;

use super::process::{Ran, Running, Up, edge_ledger, pair_with_laptop_and_phone};

#[test]
fn what_is_recorded_offline_is_said_to_be_and_syncs_later() {
    let (_folder, up, laptop, phone) = pair_with_laptop_and_phone();
    laptop.run(&["earn", "100"]).done();
    assert_eq!(phone.balance(), "100");
    let stopped = up.stop();

    let earned = laptop.run(&["earn", "5", "--key", "offline"]).done();
    assert_eq!(
        (&earned["synced"], &earned["ack"]),
        (&false.into(), &serde_json::Value::Null)
    );
    assert!(!earned["sync_error"].as_str().unwrap().is_empty());
    assert_eq!(earned["balance"], "105");
    let words = Ran::of(&mut phone.words(&["spend", "40"]));
    assert_eq!(words.code, Some(0), "{words:?}");
    assert!(words.stderr.contains("not synced"), "{words:?}");
    phone.run(&["spend", "61"]).failed(1, "no_funds");
    let status = laptop.run(&["status"]).done();
    assert_eq!(
        (&status["state"], &status["unacked_entries"]),
        (&"offline".into(), &1.into())
    );
    for args in [
        &["link"][..],
        &["devices", "rename", "phone", "pocket"],
        &["devices", "revoke", "phone"],
    ] {
        let error = laptop.run(args).failed(75, "UNREACHABLE");
        assert!(
            error["next"].as_str().unwrap().contains("edge-ledger up"),
            "{error}"
        );
    }

    let _up = stopped.start();
    assert_eq!(laptop.balance(), "105");
    assert_eq!(phone.balance(), "65");
    assert_eq!(laptop.balance(), "65");
    let status = laptop.run(&["status"]).done();
    assert_eq!(
        (&status["state"], &status["unacked_entries"]),
        (&"online".into(), &0.into())
    );
    assert_eq!(status["acked"]["level"], "durable");
    assert_eq!(status["digest"], phone.run(&["status"]).done()["digest"]);
}

#[test]
fn nothing_is_made_without_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let laptop = up.device("laptop");
    up.stop();
    laptop
        .run(&["init", "--identity-url", &laptop.identity_url])
        .failed(75, "UNREACHABLE");
    laptop.run(&["balance"]).failed(1, "NO_DEVICE");
}

#[test]
fn who_interrupts_init_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut command = edge_ledger(folder.path());
    let mut init = Running::start(command.args(["init", "--json", "--identity-url", &url]));
    let _dialled = silent.accept().unwrap();
    init.signal("INT");
    init.end().failed(130, "INTERRUPTED");
}
