//! A running agent, and what becomes of commands that go through it.

use std::net::TcpListener;

use device_agent::{Agent, Details, Options};
use serde_json::Value;

use super::process::{Device, Ran, Running, Up, pair_with_laptop, pair_with_laptop_and_phone};

/// A service that never answers.
pub(crate) fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// Starts a command through a running agent, and waits until it is recorded.
fn recorded(laptop: &Device, args: &[&str], balance: &str) -> Running {
    let earning = Running::start(&mut laptop.command(args));
    // Watching does not wait for the service.
    while Running::start(&mut laptop.command(&["watch"])).line()["balance"] != balance {}
    earning
}

#[test]
fn it_keeps_the_device_synced_and_ends_in_order() {
    let (_folder, up, laptop, phone) = pair_with_laptop_and_phone();
    let mut agent = laptop.agent(&[]);
    phone.run(&["earn", "5"]).done();
    assert_eq!(laptop.balance(), "5");
    // What happened before somebody watched is no news.
    let mut watching = Running::start(&mut laptop.command(&["watch"]));
    assert_eq!(watching.line()["balance"], "5");
    phone.run(&["earn", "2"]).done();
    assert_eq!(watching.event("entries_kept")["balance"], "7");
    phone.run(&["devices", "rename", "phone", "pocket"]).done();
    assert_eq!(agent.event("devices_changed")["log_position"], 3);
    // Everybody hears of a new device, and of one that goes.
    laptop.link(&up.device("tablet"), "link", &[]);
    let linked = agent.event("device_linked");
    assert_eq!(
        (&linked["name"], &linked["admin"]),
        (&"tablet".into(), &false.into())
    );
    assert_eq!(watching.event("device_linked"), linked);
    laptop
        .run(&["devices", "revoke", "tablet", "--reason", "lost"])
        .done();
    let revoked = agent.event("device_revoked");
    assert_eq!(
        (&revoked["device"], &revoked["reason"]),
        (&linked["device"], &"lost".into())
    );
    // Why stays with it, for whoever reads the list.
    let listed = phone.run(&["devices"]).done();
    let rows = listed["devices"].as_array().unwrap();
    let reasons: Vec<&Value> = rows.iter().map(|row| &row["reason"]).collect();
    assert_eq!(reasons, [&Value::Null, &Value::Null, &"lost".into()]);
    let table = Ran::of(&mut phone.words(&["devices"])).stdout;
    assert!(table.contains("revoked: lost"), "{table}");
    agent.signal("TERM");
    let ran = agent.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("stopped"), "{ran:?}");
    // What is asked of it ends with it, in order too.
    assert_eq!(watching.event("state_changed")["state"], "stopped");
    assert_eq!(watching.end().code, Some(0));
    assert!(!laptop.home.join("agent.sock").exists());
    assert_eq!(laptop.balance(), "7");
}

#[test]
fn commands_share_it_and_a_second_agent_is_refused() {
    let (_folder, _up, laptop) = pair_with_laptop();
    let _agent = laptop.agent(&[]);
    laptop.run(&["agent"]).failed(75, "HOME_IN_USE");
    laptop.run(&["init"]).failed(1, "DEVICE_EXISTS");
    let mut earning: Vec<Running> = (0..8)
        .map(|_| Running::start(&mut laptop.command(&["earn", "2"])))
        .collect();
    let mut keys: Vec<Value> = earning
        .iter_mut()
        .map(|earning| {
            let mut done = earning.line();
            assert_eq!(done["synced"], true, "{done}");
            assert_eq!(earning.end().code, Some(0));
            done["event_key"].take()
        })
        .collect();
    keys.sort_by_key(ToString::to_string);
    keys.dedup();
    assert_eq!(keys.len(), 8);
    assert_eq!(laptop.balance(), "16");
}

#[test]
fn a_device_is_linked_and_cut_off_through_it() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (laptop, phone) = (up.device("laptop"), up.device("phone"));
    laptop.init();
    let _agent = laptop.agent(&[]);
    laptop.link(&phone, "code", &["--admin"]);
    let phone_agent = phone.agent(&[]);
    laptop.run(&["earn", "10"]).done();
    assert_eq!(phone.balance(), "10");
    phone.run(&["devices", "rename", "phone", "pocket"]).done();
    phone
        .run(&["devices", "rename", "laptop", "desk"])
        .failed(1, "PROBATION");
    laptop.run(&["devices", "revoke", "pocket"]).done();
    phone.run(&["balance"]).failed(1, "DEVICE_REVOKED");
    drop(phone_agent);
    phone.run(&["balance"]).failed(1, "DEVICE_REVOKED");
    // Somebody who gives up linking leaves nothing behind.
    let mut linking = Running::start(&mut laptop.command(&["link"]));
    assert_eq!(linking.line()["event"], "code");
    linking.signal("INT");
    assert_eq!(linking.end().code, Some(130));
    assert_eq!(laptop.balance(), "10");
}

#[test]
fn killed_in_the_middle_it_leaves_a_key_to_try_again_with() {
    let (_folder, _up, laptop) = pair_with_laptop();
    let (_silent, url) = silent();
    let mut agent = laptop.agent(&["--ledger-url", &url]);
    let mut earning = recorded(&laptop, &["earn", "5"], "5");
    agent.signal("KILL");
    assert_eq!(agent.end().code, None);
    let error = earning.end().failed(75, "AGENT_GONE");
    let key = error["event_key"].as_str().unwrap();
    let next = error["next"].as_str().unwrap();
    assert!(next.contains(&format!("--key {key}")), "{error}");
    // Its socket is still there, and nobody listens.
    assert!(laptop.home.join("agent.sock").exists());
    let again = laptop.run(&["earn", "5", "--key", key]).done();
    assert_eq!(
        (&again["repeated"], &again["balance"], &again["synced"]),
        (&true.into(), &"5".into(), &true.into())
    );
    // The next agent takes the place over.
    let _agent = laptop.agent(&[]);
    assert_eq!(laptop.balance(), "5");
}

#[test]
fn who_leaves_in_the_middle_leaves_nothing_half_done() {
    let (_folder, _up, laptop) = pair_with_laptop();
    let (_silent, url) = silent();
    let agent = laptop.agent(&["--ledger-url", &url]);
    let mut earning = recorded(&laptop, &["earn", "5", "--key", "shift-1"], "5");
    earning.signal("INT");
    earning.end().failed(130, "INTERRUPTED");
    drop(agent);
    let _agent = laptop.agent(&[]);
    let again = laptop.run(&["earn", "5", "--key", "shift-1"]).done();
    assert_eq!(
        (&again["repeated"], &again["balance"]),
        (&true.into(), &"5".into())
    );
}

#[test]
fn who_does_not_read_holds_nobody_up() {
    let (_folder, _up, laptop) = pair_with_laptop();
    fill(&laptop, 4_000);
    let list = ["history", "--limit", "4000"];
    let alone = laptop.run(&list).done();
    let mut agent = laptop.agent(&[]);
    let mut reading = Running::start(&mut laptop.command(&list));
    for _ in 0..3 {
        assert_eq!(laptop.balance(), "4000");
    }
    // More than pipe and socket hold.
    assert!(alone.to_string().len() > 1_000_000);
    assert!(reading.goes_on());
    assert_eq!(reading.line(), alone);
    assert_eq!(reading.end().code, Some(0));
    // Nor does it hold up the end.
    let _stuck = Running::start(&mut laptop.command(&list));
    assert_eq!(laptop.balance(), "4000");
    agent.signal("TERM");
    assert_eq!(agent.end().code, Some(0));
}

/// Records many credits, faster than the command would.
fn fill(laptop: &Device, postings: usize) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let agent = Agent::open(&laptop.home, Options::default()).await.unwrap();
        let details = || Details {
            memo: "m".repeat(128),
            ..Details::default()
        };
        let all = (0..postings).map(|_| agent.earn(1, details()));
        for recorded in futures::future::join_all(all).await {
            recorded.unwrap();
        }
        agent.sync().await.unwrap();
        agent.stop().await;
    });
}

#[test]
fn what_is_revoked_is_remembered_without_the_service() {
    let (_folder, up, laptop, phone) = pair_with_laptop_and_phone();
    laptop.run(&["devices", "revoke", "phone"]).done();
    phone.run(&["balance"]).failed(1, "DEVICE_REVOKED");
    up.stop();
    phone.run(&["balance"]).failed(1, "DEVICE_REVOKED");
    let mut agent = Running::start(&mut phone.command(&["agent"]));
    let said = agent.line();
    assert_eq!(
        (&said["event"], &said["state"]),
        (&"up".into(), &"degraded".into())
    );
    phone.run(&["spend", "1"]).failed(1, "DEVICE_REVOKED");
    let status = phone.run(&["status"]).done();
    assert_eq!(status["sync_reason"], "DEVICE_REVOKED");
}
