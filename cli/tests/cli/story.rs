//! One identity, from its first device to the end of its second.

use super::process::{Ran, Running, Up, pair_with_laptop, pair_with_laptop_and_phone};

#[test]
fn two_devices_share_a_balance_until_one_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (laptop, phone) = (up.device("laptop"), up.device("phone"));
    let made = laptop.init();
    assert_eq!(made["ledger_id"], up.ledger_id());
    assert!(made["short_id"].as_str().unwrap().starts_with("π:"));
    let linked = laptop.link(&phone, "link", &[]);
    assert_eq!(linked["admin"], false);

    let earned = laptop
        .run(&["earn", "100", "--memo", "first shift", "--key", "shift-1"])
        .done();
    assert_eq!(earned["event_key"], "shift-1");
    assert_eq!(earned["ack"], "durable");
    assert_eq!(earned["synced"], true);
    assert_eq!(phone.balance(), "100");

    let spent = phone.run(&["spend", "30", "--memo", "coffee"]).done();
    assert_eq!(
        (&spent["amount"], &spent["balance"]),
        (&30.into(), &"70".into())
    );
    assert_eq!(spent["available"], 70);
    let refused = phone.run(&["spend", "71"]).failed(1, "no_funds");
    assert_eq!(
        (&refused["available"], &refused["asked"]),
        (&70.into(), &71.into())
    );

    let key = spent["event_key"].as_str().unwrap();
    assert_eq!(phone.run(&["refund", key, "10"]).done()["balance"], "80");
    assert_eq!(phone.run(&["refund", key]).done()["balance"], "100");
    laptop.run(&["refund", key]).failed(1, "NOTHING_TO_REFUND");
    assert_eq!(laptop.balance(), "100");

    let history = laptop.run(&["history"]).done();
    let items = history["items"].as_array().unwrap();
    let kinds: Vec<_> = items
        .iter()
        .map(|item| item["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["credit", "debit", "refund", "refund"]);
    assert_eq!(items[0]["memo"], "first shift");
    assert_eq!(items[1]["device_name"], "phone");
    let weighs = |name: &str| {
        items
            .iter()
            .map(|item| item[name] == true)
            .collect::<Vec<_>>()
    };
    // Of the two refunds of one debit, the larger weighs.
    assert_eq!(weighs("counted"), [true, true, false, true]);
    assert_eq!(weighs("outweighed"), [false, false, true, false]);
    let latest = laptop.run(&["history", "--limit", "1"]).done();
    assert_eq!(latest["items"].as_array().unwrap().len(), 1);
    assert_eq!(latest["total"], 4);

    phone
        .run(&["devices", "rename", "laptop", "mine"])
        .failed(1, "FORBIDDEN");
    phone.run(&["link"]).failed(1, "FORBIDDEN");
    laptop.run(&["devices", "rename", "phone", "pocket"]).done();
    let revoked = laptop
        .run(&["devices", "revoke", "pock", "--reason", "lost"])
        .done();
    assert_eq!(
        (&revoked["name"], &revoked["reason"]),
        (&"pocket".into(), &"lost".into())
    );
    for args in [
        &["balance"][..],
        &["earn", "1"],
        &["spend", "1"],
        &["history"],
        &["devices"],
        &["link"],
    ] {
        phone.run(args).failed(1, "DEVICE_REVOKED");
    }
    let earned = phone.run(&["earn", "1", "--key", "late"]);
    let earned = earned.failed(1, "DEVICE_REVOKED");
    assert_eq!(
        (&earned["recorded"], &earned["event_key"]),
        (&true.into(), &"late".into())
    );
    let status = phone.run(&["status"]).done();
    assert_eq!(
        (&status["state"], &status["synced"]),
        (&"degraded".into(), &false.into())
    );
    assert_eq!(status["sync_reason"], "DEVICE_REVOKED");

    let devices = laptop.run(&["devices"]).done();
    let states: Vec<_> = devices["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| &d["state"])
        .collect();
    assert_eq!(states, ["active", "revoked"]);
    assert_eq!(laptop.balance(), "100");
    laptop
        .run(&["devices", "revoke", "laptop"])
        .failed(1, "LAST_ADMIN");
}

#[test]
fn a_code_is_typed_in_any_case_and_works_once() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (laptop, phone, third) = (up.device("laptop"), up.device("phone"), up.device("third"));
    laptop.init();
    let linked = laptop.link(&phone, "code", &["--admin"]);
    assert_eq!(linked["admin"], true);
    // An admin may link too, but not while it is in probation.
    phone
        .run(&["devices", "rename", "laptop", "mine"])
        .failed(1, "PROBATION");
    laptop.link(&third, "code", &[]);

    let mut linking = Running::start(&mut laptop.command(&["link"]));
    let code = linking.line()["code"]
        .as_str()
        .unwrap()
        .to_lowercase()
        .replace('-', " ");
    let fourth = up.device("fourth");
    let join = ["join", &code, "--identity-url", &fourth.identity_url];
    linking.let_in(&mut Running::start(&mut fourth.command(&join)));
    linking.event("linked");
    let again = up.device("again").run(&join);
    let reason = again.json()["error"]["reason"].take();
    // Whether the session is still known to be used up, or forgotten.
    assert!(
        ["LINK_TAKEN", "LINK_GONE"].contains(&reason.as_str().unwrap()),
        "{again:?}"
    );
    assert_eq!(again.code, Some(1));
}

#[test]
fn equal_names_are_told_apart() {
    let (folder, up, laptop) = pair_with_laptop();
    for place in ["a", "b"] {
        let mut phone = up.device("phone");
        phone.home = folder.path().join(place).join("phone");
        laptop.link(&phone, "link", &[]);
    }
    let devices = laptop.run(&["devices", "list"]).done();
    let label = |at: usize| devices["devices"][at]["label"].as_str().unwrap().to_owned();
    assert_eq!(label(0), "laptop");
    assert!(label(1) != label(2) && label(1).starts_with("phone #"));
    let error = laptop
        .run(&["devices", "revoke", "phone"])
        .failed(1, "AMBIGUOUS_DEVICE");
    assert_eq!(error["devices"], serde_json::json!([label(1), label(2)]));
    laptop.run(&["devices", "revoke", &label(2)]).done();
    let devices = laptop.run(&["devices"]).done();
    assert_eq!(devices["devices"][1]["state"], "active");
    assert_eq!(devices["devices"][2]["state"], "revoked");
}

#[test]
fn a_key_counts_once() {
    let (_folder, _up, laptop) = pair_with_laptop();
    let earn = |amount| laptop.run(&["earn", amount, "--key", "shift-1"]);
    assert_eq!(earn("100").done()["repeated"], false);
    let again = earn("100").done();
    assert_eq!(
        (&again["repeated"], &again["balance"]),
        (&true.into(), &"100".into())
    );
    earn("101").failed(1, "EVENT_KEY_CONFLICT");
    assert_eq!(laptop.balance(), "100");
}

#[test]
fn watching_tells_what_others_do_until_it_is_interrupted() {
    let (_folder, _up, laptop, phone) = pair_with_laptop_and_phone();
    let mut watching = Running::start(&mut laptop.command(&["watch"]));
    assert_eq!(watching.line()["event"], "watching");
    watching.event("connected");
    let in_use = laptop.run(&["balance"]).failed(75, "HOME_IN_USE");
    assert!(in_use["next"].as_str().unwrap().contains("watch"));
    phone.run(&["earn", "7"]).done();
    let kept = watching.event("entries_kept");
    assert_eq!(
        (&kept["entries"], &kept["balance"]),
        (&1.into(), &"7".into())
    );
    watching.signal("INT");
    let ran = watching.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(laptop.balance(), "7");
}

#[test]
fn a_person_reads_words() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let laptop = up.device("laptop");
    let words = |args: &[&str]| {
        let ran = Ran::of(&mut laptop.words(args));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(
            !ran.stdout.contains('\x1b') && !ran.stderr.contains('\x1b'),
            "{ran:?}"
        );
        ran.stdout
    };
    let init = words(&["init", "--identity-url", &laptop.identity_url]);
    assert!(init.contains("Next:  edge-ledger"), "{init}");
    assert!(words(&["earn", "100"]).starts_with("Earned 100 credits. Balance 100 credits."));
    assert!(words(&["spend", "1", "--memo", "gum"]).starts_with("Spent 1 credit. Balance 99"));
    assert_eq!(words(&["balance"]), "99 credits\n");
    assert!(words(&["history"]).contains("gum"));
    assert!(words(&["status"]).starts_with("online  99 credits"));
    assert!(words(&["devices"]).contains("(this one)"));
    let refused = Ran::of(&mut laptop.words(&["spend", "100"]));
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    assert!(
        refused.stderr.contains("99 credits available"),
        "{refused:?}"
    );
}
