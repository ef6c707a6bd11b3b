//! The number that a person carries from the new device to the linked one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use super::process::{Device, Ran, Running, Up, pair_with_laptop, pair_with_laptop_and_phone};

/// A device that shows a code, and one that joins with it and shows the number.
fn asks(laptop: &Device, other: &Device) -> (Running, Running, String) {
    let mut linking = Running::start(&mut laptop.command(&["link"]));
    let shown = linking.line();
    let code = shown["code"].as_str().unwrap();
    // Short enough to be typed.
    assert_eq!(code.len(), 14, "{code}");
    let join = ["join", code, "--identity-url", &other.identity_url];
    let mut joining = Running::start(&mut other.command(&join));
    let number = joining.event("number");
    let digits = number["number"].as_str().unwrap().to_owned();
    assert_eq!(digits.len(), 7, "{number}");
    let asked = linking.event("request");
    assert_eq!(asked["admin"], false, "{asked}");
    (linking, joining, digits)
}

/// Another number than this one.
fn wrong(number: &str) -> &'static str {
    if number == "000 000" {
        "000 001"
    } else {
        "000 000"
    }
}

fn is_alone(laptop: &Device) {
    let devices = laptop.run(&["devices"]).done();
    assert_eq!(devices["devices"].as_array().unwrap().len(), 1, "{devices}");
}

#[test]
fn a_number_may_be_mistyped_twice() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let laptop = up.device("laptop");
    laptop.init();
    let (mut linking, mut joining, number) = asks(&laptop, &up.device("phone"));
    // No number at all costs no try.
    for typed in ["", "12", "1234567", "12 34 5x"] {
        linking.types(typed);
    }
    for left in [2, 1] {
        linking.types(wrong(&number));
        assert_eq!(linking.event("wrong_number")["tries_left"], left);
    }
    linking.types(&number.replace(' ', ""));
    linking.event("linked");
    joining.event("joined");
    assert_eq!(linking.end().code, Some(0));
    assert_eq!(joining.end().code, Some(0));
}

#[test]
fn three_wrong_numbers_link_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let laptop = up.device("laptop");
    laptop.init();
    let (mut linking, mut joining, number) = asks(&laptop, &up.device("phone"));
    for _ in 0..2 {
        linking.types(wrong(&number));
        linking.event("wrong_number");
    }
    linking.types(wrong(&number));
    linking.end().failed(1, "LINK_NUMBER");
    joining.end().failed(1, "LINK_ENDED");
    is_alone(&laptop);
}

#[test]
fn a_person_may_say_no_and_nobody_is_let_in_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let laptop = up.device("laptop");
    laptop.init();
    let (mut linking, mut joining, _) = asks(&laptop, &up.device("phone"));
    linking.types("n");
    linking.end().failed(1, "LINK_NUMBER");
    joining.end().failed(1, "LINK_ENDED");
    let (mut linking, mut joining, _) = asks(&laptop, &up.device("phone"));
    linking.close_input();
    linking.end().failed(1, "LINK_NUMBER");
    joining.end().failed(1, "LINK_ENDED");
    let refused = Ran::of(&mut laptop.command(&["link", "--no-input"]));
    refused.failed(2, "LINK_NUMBER");
    is_alone(&laptop);
}

#[test]
fn who_leaves_before_the_number_ends_the_link() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let laptop = up.device("laptop");
    laptop.init();
    let (mut linking, mut joining, _) = asks(&laptop, &up.device("phone"));
    joining.signal("INT");
    assert_eq!(joining.end().code, Some(130));
    // It does not wait for the number any more.
    linking.end().failed(1, "LINK_GONE");
    let (mut linking, mut joining, _) = asks(&laptop, &up.device("phone"));
    linking.signal("INT");
    assert_eq!(linking.end().code, Some(130));
    joining.end().failed(1, "LINK_GONE");
    is_alone(&laptop);
}

#[test]
fn the_number_goes_through_a_running_agent() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let laptop = up.device("laptop");
    laptop.init();
    let mut agent = laptop.agent(&[]);
    let (mut linking, mut joining, number) = asks(&laptop, &up.device("phone"));
    linking.types(wrong(&number));
    linking.event("wrong_number");
    linking.types(&number);
    linking.event("linked");
    joining.event("joined");
    assert_eq!(linking.end().code, Some(0));
    // Nobody types it, and the other leaves: both end the command, not the agent.
    let (mut linking, _joining, _) = asks(&laptop, &up.device("tablet"));
    linking.close_input();
    linking.end().failed(1, "LINK_NUMBER");
    let (mut linking, mut joining, _) = asks(&laptop, &up.device("kiosk"));
    joining.signal("INT");
    assert_eq!(joining.end().code, Some(130));
    linking.end().failed(1, "LINK_GONE");
    assert!(agent.goes_on());
}

/// What people read.
#[test]
fn the_words_say_who_asks_and_what_to_type() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let (laptop, phone) = (up.device("laptop"), up.device("phone"));
    laptop.init();
    let mut linking = Running::start(&mut laptop.command(&["link"]));
    let shown = linking.line();
    let code = shown["code"].as_str().unwrap();
    let join = [
        "join",
        code,
        "--identity-url",
        &phone.identity_url,
        "--name",
        "laptop",
    ];
    let mut joining = Running::start(&mut phone.words(&join));
    let text = joining.text_until("Waits until");
    assert!(
        text.contains("On the device that shows the code, type"),
        "{text}"
    );
    let number = text.lines().find(|line| line.starts_with("  ")).unwrap();
    linking.event("request");
    linking.types(number);
    linking.event("linked");
    let ran = joining.end();
    assert!(ran.stdout.contains("Joined π:"), "{ran:?}");
}

/// What undoes a link means the device that was linked, whatever others are called.
#[test]
fn what_undoes_a_link_is_not_ambiguous() {
    let (_folder, up, laptop, phone) = pair_with_laptop_and_phone();
    let twin = up.device("twin");
    let mut linking = Running::start(&mut laptop.words(&["link"]));
    let shown = linking.text_until("  code  ");
    let code = shown.split_whitespace().next_back().unwrap();
    let join = ["join", code, "--identity-url", &twin.identity_url];
    let mut joining = Running::start(twin.command(&join).args(["--name", "phone"]));
    linking.types(joining.event("number")["number"].as_str().unwrap());
    let joined = joining.event("joined");
    let said = linking.end();
    let (_, undo) = said.stdout.split_once("Undo:").unwrap();
    let undo: Vec<&str> = undo.split_whitespace().skip(1).collect();
    assert_eq!(laptop.run(&undo).done()["device"], joined["device"]);
    twin.run(&["balance"]).failed(1, "DEVICE_REVOKED");
    phone.run(&["balance"]).done();
}

/// Somebody is shown a phisher's link in the place of his own device's: his new device says whose
/// identity it would join before it shows a number, and nothing of his is there yet.
#[test]
fn a_phishers_identity_is_named_before_the_number_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let [own, phisher, new] = ["own", "phisher", "new"].map(|name| up.device(name));
    let mine = own.init()["short_id"].as_str().unwrap().to_owned();
    let theirs = phisher.init()["short_id"].as_str().unwrap().to_owned();
    let mut linking = Running::start(&mut phisher.command(&["link"]));
    let link = linking.line()["link"].as_str().unwrap().to_owned();
    let mut joining = Running::start(&mut new.words(&["join", &link]));
    let said = joining.text_until("Waits until");
    let named = said.find(&format!("Asks to join {theirs}.")).unwrap();
    let digits = |line: &&str| line.trim().len() == 7 && line.trim().as_bytes()[3] == b' ';
    let number = said.lines().find(digits).unwrap();
    assert!(named < said.find(number).unwrap(), "{said}");
    assert!(!said.contains(&mine), "{said}");
    linking.event("request");
    // The person sees that it is not his, and nobody has typed the number.
    joining.signal("INT");
    assert_eq!(joining.end().code, Some(130));
    assert!(!new.home.join("home.json").exists());
    assert!(!new.home.join("ledger.redb").exists());
    linking.end().failed(1, "LINK_GONE");
    own.link(&new, "link", &[]);
    is_alone(&phisher);
}

/// The lines of text that a command prints through an agent, for somebody at a terminal or not.
fn printed(laptop: &Device, terminal: bool) -> impl Iterator<Item = String> {
    let look = json!({ "json": false, "terminal": terminal, "colours": false, "input": true });
    let command = json!({ "link": { "admin": false } });
    let job = json!({ "perform": { "command": command, "look": look } });
    let request = json!({ "version": 4, "job": job, "home": "/home" });
    let mut stream = UnixStream::connect(laptop.home.join("agent.sock")).unwrap();
    writeln!(stream, "{request}").unwrap();
    let lines = BufReader::new(stream).lines();
    lines.filter_map(|line| {
        let said: Value = serde_json::from_str(&line.unwrap()).unwrap();
        said["said"]["out"].as_str().map(str::to_owned)
    })
}

/// A person at a terminal sees the time that is left go down.
#[test]
fn the_seconds_left_are_counted_down_at_a_terminal() {
    let (_folder, _up, laptop) = pair_with_laptop();
    let _agent = laptop.agent(&[]);
    let mut said = printed(&laptop, true);
    let shown = said.next().unwrap();
    assert!(
        shown.contains("code") && !shown.contains("Waits"),
        "{shown}"
    );
    let mut left: Vec<u32> = Vec::new();
    while left.len() < 3 {
        let line = said.next().unwrap();
        let time = line.strip_prefix("\rWaits for it (").unwrap();
        let (minutes, rest) = time.split_once(':').unwrap();
        let seconds = rest.strip_suffix(" left). ").unwrap();
        left.push(minutes.parse::<u32>().unwrap() * 60 + seconds.parse::<u32>().unwrap());
    }
    assert!(
        left[0] <= 120 && left[0] - 1 == left[1] && left[1] - 1 == left[2],
        "{left:?}"
    );
    drop(said);
    // Elsewhere it is said once, with the code.
    let shown = printed(&laptop, false).next().unwrap();
    assert!(shown.contains(" left). Show the code"), "{shown}");
}
