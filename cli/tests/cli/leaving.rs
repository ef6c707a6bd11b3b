//! A device that ends itself, and one that may not act yet.

use super::process::{Device, Ran, pair_with_laptop, pair_with_laptop_and_phone};
use super::terminal::Terminal;

#[test]
fn a_device_leaves_for_ever_and_says_so() {
    let (_folder, _up, laptop, phone) = pair_with_laptop_and_phone();
    phone.run(&["earn", "7"]).done();
    phone.run(&["leave"]).failed(2, "NOT_CONFIRMED");
    laptop.run(&["leave", "--yes"]).failed(1, "LAST_ADMIN");
    let left = phone.run(&["leave", "--yes"]).done();
    assert_eq!((&left["name"], &left["lost"]), (&"phone".into(), &0.into()));
    assert_eq!(left["root_keys"], false);
    for args in [
        &["balance"][..],
        &["earn", "1"],
        &["link"],
        &["devices"],
        &["leave", "--yes"],
    ] {
        let error = phone.run(args).failed(1, "DEVICE_REVOKED");
        assert_eq!(error["left"], true, "{error}");
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .contains("has left the identity"),
            "{error}"
        );
        assert!(error["next"].as_str().unwrap().contains("join"), "{error}");
    }
    let status = phone.run(&["status"]).done();
    assert_eq!(
        (&status["state"], &status["left"]),
        (&"degraded".into(), &true.into())
    );
    let devices = laptop.run(&["devices"]).done();
    assert_eq!(devices["devices"][1]["state"], "revoked");
    assert_eq!(laptop.balance(), "7");
}

#[test]
fn a_person_at_a_terminal_is_asked_and_only_yes_is_an_answer() {
    let (_folder, up, laptop) = pair_with_laptop();
    let phone = up.device("phone");
    laptop.link(&phone, "link", &["--admin"]);
    let ask = || Terminal::start(&mut laptop.words(&["leave"]));
    let answers: [fn(&mut Terminal); 4] = [
        |person| person.types("no"),
        |person| person.types(""),
        |person| person.types("yes please"),
        Terminal::ends_input,
    ];
    for answer in answers {
        let mut person = ask();
        let asked = person.shows("Type yes: ");
        assert!(asked.contains("\"laptop\" leaves the identity for ever."));
        assert!(asked.contains("root keys stay in this folder"), "{asked}");
        answer(&mut person);
        let (code, shown) = person.end();
        assert_eq!(code, Some(1), "{shown}");
        assert!(shown.contains("nothing was changed"), "{shown}");
    }
    assert_eq!(laptop.balance(), "0");
    // Who does not want to be asked is not, also there.
    let silent = Terminal::start(&mut laptop.words(&["leave", "--no-input"]));
    let (code, shown) = silent.end();
    assert_eq!(code, Some(2), "{shown}");
    assert!(
        shown.contains("--yes") && !shown.contains("Type yes"),
        "{shown}"
    );

    let mut person = ask();
    person.shows("Type yes: ");
    person.types(" YES ");
    let (code, shown) = person.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("\"laptop\" has left."), "{shown}");
    laptop.run(&["balance"]).failed(1, "DEVICE_REVOKED");
    let devices = phone.run(&["devices"]).done();
    assert_eq!(devices["devices"][0]["state"], "revoked", "{devices}");
}

#[test]
fn what_the_service_lacks_is_not_given_up_by_itself() {
    let (_folder, up, laptop, phone) = pair_with_laptop_and_phone();
    let stopped = up.stop();
    phone.run(&["earn", "7"]).done();
    let error = phone.run(&["leave", "--yes"]).failed(75, "UNACKED");
    assert_eq!(error["unacked"], 1, "{error}");
    // Nobody leaves offline, whatever is typed.
    phone
        .run(&["leave", "--yes", "--force"])
        .failed(75, "UNREACHABLE");
    let _up = stopped.start();
    // Through its agent all is the same.
    let _agent = phone.agent(&[]);
    assert_eq!(phone.balance(), "7");
    phone.run(&["leave", "--yes"]).done();
    phone.run(&["balance"]).failed(1, "DEVICE_REVOKED");
    assert_eq!(laptop.balance(), "7");
}

#[test]
fn whoever_ends_the_last_admin_that_may_act_is_told_until_when_nobody_can() {
    for act in [&["leave", "--yes"][..], &["devices", "revoke", "laptop"]] {
        let (_folder, up, laptop) = pair_with_laptop();
        let (phone, tablet) = (up.device("phone"), up.device("tablet"));
        let linked = laptop.link(&phone, "link", &["--admin"]);
        laptop.link(&tablet, "link", &["--admin"]);
        // Ending one in probation ends nobody's rights.
        let ended = laptop.run(&["devices", "revoke", "tablet"]).done();
        assert_eq!(ended.get("no_admin_until_ms"), None, "{ended}");
        let ended = laptop.run(act).done();
        assert_eq!(
            ended["no_admin_until_ms"], linked["probation_ends_ms"],
            "{ended}"
        );
        phone.run(&["link"]).failed(1, "PROBATION");
    }
    let (_folder, up, laptop) = pair_with_laptop();
    laptop.link(&up.device("phone"), "link", &["--admin"]);
    let ended = Ran::of(&mut laptop.words(&["leave", "--yes"]));
    let said = "the last admin that is not in probation: until ";
    assert!(ended.stderr.contains(said), "{ended:?}");
}

#[test]
fn an_admin_leaves_when_another_one_stays_and_is_told_of_its_root_keys() {
    let (_folder, up, laptop) = pair_with_laptop();
    let phone = up.device("phone");
    laptop.link(&phone, "link", &["--admin"]);
    let left = laptop.run(&["leave", "--yes"]).done();
    assert_eq!(left["root_keys"], true);
    phone.run(&["leave", "--yes"]).failed(1, "LAST_ADMIN");
}

/// As the page says how to move to a new phone.
#[test]
fn a_phone_that_moves_out_leaves_no_root_key_behind() {
    let (folder, up, old) = pair_with_laptop();
    old.run(&["earn", "5"]).done();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (saved, password) = (file("ana.backup"), file("password"));
    std::fs::write(&password, "correct horse battery staple\n").unwrap();
    let backup = |device: &Device, act: &[&str]| {
        let secret = ["--password-file", &password];
        device.run(&[&["backup"], act, &secret].concat())
    };
    backup(&old, &["create", &saved]).done();
    let new = up.device("new");
    backup(&new, &["restore", &saved]).done();
    assert_eq!(new.balance(), "5");
    let left = Ran::of(&mut old.words(&["leave", "--yes"]));
    let next = "backup create FILE --remove";
    assert!(left.stdout.contains(next), "{left:?}");
    let taken = backup(&old, &["create", &file("second.backup"), "--remove"]).done();
    assert_eq!(
        (&taken["proof"], &taken["removed"]),
        (&"complete".into(), &true.into())
    );
    assert!(!old.home.join("identity.key").exists());
    assert!(!old.home.join("next-identity.key").exists());
    new.run(&["rotate"]).done();
}

#[test]
fn a_new_admin_is_told_when_it_may_act() {
    let (_folder, up, laptop) = pair_with_laptop();
    let phone = up.device("phone");
    let linked = laptop.link(&phone, "link", &["--admin"]);
    let ends_ms = linked["probation_ends_ms"].as_i64().unwrap();
    let devices = laptop.run(&["devices"]).done()["devices"].take();
    let (first, second) = (&devices[0], &devices[1]);
    assert!(first["probation_ends_ms"].is_null(), "{devices}");
    assert_eq!(second["probation_ends_ms"], ends_ms);
    assert_eq!(ends_ms - second["added_ms"].as_i64().unwrap(), 86_400_000);
    assert_eq!(second["added_by"]["label"], "laptop");
    assert!(first["last_statement_ms"].as_i64() >= second["added_ms"].as_i64());
    assert!(second["last_entry_ms"].is_null(), "{devices}");
    for args in [
        &["devices", "rename", "laptop", "x"][..],
        &["devices", "revoke", "laptop"],
        &["link"],
        &["enrol-token", "create", "--out", "-"],
    ] {
        let error = phone.run(args).failed(1, "PROBATION");
        assert_eq!(error["probation_ends_ms"], ends_ms, "{error}");
        assert!(
            error["message"].as_str().unwrap().contains("(UTC)"),
            "{error}"
        );
        assert!(error["next"].as_str().unwrap().contains("wait"), "{error}");
    }
    // What concerns itself alone, it may.
    phone.run(&["devices", "rename", "phone", "pocket"]).done();
    let listed = Ran::of(&mut laptop.words(&["devices"]));
    assert!(listed.stdout.contains("all, from "), "{listed:?}");
    phone.run(&["earn", "1"]).done();
    let devices = laptop.run(&["devices"]).done();
    assert!(devices["devices"][1]["last_entry_ms"].is_i64(), "{devices}");
}
