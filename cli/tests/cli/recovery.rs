//! 24 words bring an identity back, and whoever has a device left can stop it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::process::{Device, Ran, Running, Up, command};

fn start(folder: &Path, veto: &str) -> Up {
    let options = ["--veto", veto, "--probation", "0s"].map(AsRef::as_ref);
    Up::start_with(folder, &options)
}

fn words(set: &Value) -> String {
    let words = set["words"].as_array().unwrap().iter();
    words
        .map(|w| w.as_str().unwrap())
        .collect::<Vec<_>>()
        .join(" ")
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

/// Recovers with words, as on a machine that knows nothing else.
fn recover(device: &Device, identity: &Value, words: &Path) -> Ran {
    Ran::of(&mut recovering(device, identity, words))
}

fn recovering(device: &Device, identity: &Value, words: &Path) -> Command {
    let identity = identity.as_str().unwrap();
    let words = words.to_str().unwrap();
    let url = device.identity_url.as_str();
    let name = device.home.file_name().unwrap().to_str().unwrap();
    device.command(&[
        "recover",
        "--identity",
        identity,
        "--words-file",
        words,
        "--identity-url",
        url,
        "--name",
        name,
    ])
}

fn set(device: &Device) -> Value {
    let set = device.run(&["recovery", "set"]).done();
    assert_eq!(set["words"].as_array().unwrap().len(), 24, "{set}");
    set
}

#[test]
fn words_on_paper_bring_back_an_identity_whose_devices_are_all_lost() {
    let folder = tempfile::tempdir().unwrap();
    let up = start(folder.path(), "2s");
    let (phone, tablet) = (up.device("phone"), up.device("tablet"));
    let made = phone.init();
    phone.run(&["earn", "40"]).done();
    let status = phone.run(&["recovery", "status"]).done();
    assert_eq!(
        (&status["set"], &status["root_key"]),
        (&false.into(), &true.into())
    );
    let paper = set(&phone);
    assert_eq!(paper["identity"], made["identity"]);
    assert_eq!(paper["veto_ms"], 2_000);
    let status = phone.run(&["recovery", "status"]).done();
    assert_eq!(
        (&status["set"], status.get("pending")),
        (&true.into(), None)
    );
    for file in fs::read_dir(&phone.home).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        let found = |word: &str| bytes.windows(word.len()).any(|at| at == word.as_bytes());
        assert!(!found(&words(&paper)), "the words are kept nowhere");
    }

    let file = written(folder.path(), "words", &words(&paper).to_uppercase());
    let asked = recover(&tablet, &paper["identity"], &file).done();
    assert_eq!(asked["state"], "waiting");
    assert!(!tablet.home.join("home.json").exists());
    tablet.run(&["balance"]).failed(1, "NO_DEVICE");
    // Another run asks for nothing else, and from here on the words are not needed.
    fs::remove_file(&file).unwrap();
    let again = loop {
        let again = tablet
            .run(&["recover", "--name", "tablet", "--revoke-others"])
            .done();
        if again["state"] == "linked" {
            break again;
        }
        assert_eq!(again["effective_ms"], asked["effective_ms"]);
    };
    assert_eq!(again["identity"], made["identity"]);
    assert_eq!(again["revoked"], json!([made["device"]]));
    phone.run(&["balance"]).failed(1, "DEVICE_REVOKED");
    assert_eq!(tablet.balance(), "40");
    tablet.run(&["spend", "15"]).done();
    assert_eq!(tablet.balance(), "25");
    tablet.run(&["recover"]).failed(1, "DEVICE_EXISTS");

    // It holds the root keys, as the first device did.
    let names = |home: &Path| {
        let mut names: Vec<String> = fs::read_dir(home)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("identity") || name.contains("recovering"))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&tablet.home), ["identity.key", "next-identity.key"]);
    let password = written(folder.path(), "password", "correct horse battery staple\n");
    let password = ["--password-file", password.to_str().unwrap()];
    let saved = folder.path().join("ana.backup");
    let saved = saved.to_str().unwrap();
    let create = [&["backup", "create", saved, "--remove"][..], &password].concat();
    assert_eq!(tablet.run(&create).done()["removed"], true);
    let verify = [&["backup", "verify", saved][..], &password].concat();
    let verified = tablet.run(&verify).done();
    assert_eq!(
        (&verified["proof"], &verified["identity"]),
        (&"complete".into(), &made["identity"])
    );
    tablet.run(&["recovery", "set"]).failed(1, "NO_ROOT_KEY");
    let third = Device {
        home: folder.path().join("third"),
        identity_url: String::new(),
    };
    let restore = [&["backup", "restore", saved][..], &password].concat();
    assert_eq!(third.run(&restore).done()["identity"], made["identity"]);
    assert_eq!(third.balance(), "25");
    set(&third);
}

#[test]
fn without_a_veto_time_one_run_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let up = start(folder.path(), "0s");
    let phone = up.device("phone");
    phone.init();
    let paper = set(&phone);
    let file = written(folder.path(), "words", &words(&paper));
    let tablet = up.device("tablet");
    let linked = recover(&tablet, &paper["identity"], &file).done();
    assert_eq!(
        (&linked["state"], &linked["revoked"]),
        (&"linked".into(), &json!([]))
    );
    assert_eq!(phone.balance(), tablet.balance());
    phone.run(&["recovery", "set"]).failed(1, "NO_ROOT_KEY");
    // The periods of a ledger stay as they are.
    up.stop();
    let mut other = command(folder.path(), "127.0.0.1:0", "127.0.0.1:0");
    Ran::of(other.args(["--veto", "1h"])).failed(1, "KEYS_EXIST");
}

/// Killed when the log has the device, and the folder does not say yet that one lives there.
#[test]
fn a_recovery_that_is_killed_in_the_middle_is_finished_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let up = start(folder.path(), "0s");
    let phone = up.device("phone");
    phone.init();
    phone.run(&["earn", "40"]).done();
    let paper = set(&phone);
    let file = written(folder.path(), "words", &words(&paper));
    let tablet = up.device("tablet");
    fs::create_dir(&tablet.home).unwrap();
    let mut agent = phone.agent(&[]);
    // The draft of that file is a pipe that nobody reads, so writing it never ends.
    let mut shell = Command::new("sh");
    let stuck = "mkfifo \"$0/.home.json.$$\" && exec \"$@\"";
    shell.arg("-c").arg(stuck).arg(&tablet.home);
    let recovering = recovering(&tablet, &paper["identity"], &file);
    shell.arg(recovering.get_program());
    shell.args(recovering.get_args());
    for (name, value) in recovering.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut stuck = Running::start(&mut shell);
    let linked = agent.event("device_linked");
    assert_eq!(linked["name"], "tablet");
    assert!(stuck.goes_on());
    stuck.signal("KILL");
    assert_eq!(stuck.end().code, None);
    assert!(!tablet.home.join("home.json").exists());
    tablet.run(&["balance"]).failed(1, "NO_DEVICE");

    let again = recover(&tablet, &paper["identity"], &file).done();
    assert_eq!(
        (&again["state"], &again["device"]),
        (&"linked".into(), &linked["device"])
    );
    assert_eq!(tablet.balance(), "40");
    let devices = tablet.run(&["devices"]).done();
    assert_eq!(devices["devices"].as_array().unwrap().len(), 2, "{devices}");
    // It holds the root keys.
    set(&tablet);
}

#[test]
fn a_recovery_that_was_killed_before_it_revoked_the_others_goes_on_with_that() {
    let folder = tempfile::tempdir().unwrap();
    let up = start(folder.path(), "0s");
    let (phone, kiosk) = (up.device("phone"), up.device("kiosk"));
    let made = phone.init();
    let linked = phone.link(&kiosk, "link", &[]);
    let paper = set(&phone);
    let file = written(folder.path(), "words", &words(&paper));
    let tablet = up.device("tablet");
    // A ledger service that says nothing holds it up between its link and the others.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut command = tablet.command(&["recover", "--name", "tablet"]);
    command.args(["--words-file", file.to_str().unwrap(), "--ledger-url", &url]);
    command.args(["--identity", paper["identity"].as_str().unwrap()]);
    command.args(["--identity-url", &tablet.identity_url]);
    let mut recovering = Running::start(&mut command);
    let _stream = silent.accept().unwrap();
    assert!(tablet.home.join("home.json").exists());
    recovering.signal("KILL");
    assert_eq!(recovering.end().stdout, "");
    drop(silent);

    let ledger = up.url("ledger");
    let there = |args: &[&str]| tablet.run(&[args, &["--ledger-url", &ledger]].concat());
    let status = there(&["status"]).done();
    assert_eq!(status["recovery_unfinished"], true, "{status}");
    let doctor = there(&["doctor"]).done();
    let said = doctor["checks"].as_array().unwrap();
    let said = said.iter().find(|check| check["check"] == "recovery");
    assert_eq!(said.unwrap()["verdict"], "warn", "{doctor}");
    there(&["recover", "--identity", &"00".repeat(32)]).failed(1, "OTHER_IDENTITY");
    let again = there(&["recover", "--revoke-others"]).done();
    assert_eq!(
        (&again["state"], &again["name"]),
        (&"linked".into(), &"tablet".into())
    );
    assert_eq!(
        again["revoked"],
        json!([made["device"], linked["device"]]),
        "{again}"
    );
    phone.run(&["balance"]).failed(1, "DEVICE_REVOKED");
    there(&["recover", "--revoke-others"]).failed(1, "DEVICE_EXISTS");
    assert_eq!(there(&["status"]).done().get("recovery_unfinished"), None);
}

#[test]
fn whoever_has_an_admin_device_left_stops_a_recovery() {
    let folder = tempfile::tempdir().unwrap();
    let up = start(folder.path(), "1h");
    let (phone, kiosk) = (up.device("phone"), up.device("kiosk"));
    phone.init();
    phone.link(&kiosk, "link", &[]);
    let mut agent = phone.agent(&[]);
    let mut told = |change: &str| loop {
        let told = agent.event("keys_changed");
        if told["change"] == change {
            return told;
        }
    };
    phone.run(&["recovery", "veto"]).failed(1, "NO_RECOVERY");
    let paper = set(&phone);
    told("recovery_set");
    let file = written(folder.path(), "words", &words(&paper));
    let thief = up.device("thief");
    let asked = recover(&thief, &paper["identity"], &file).done();
    let notice = told("recovery_asked");
    assert_eq!(notice["effective_ms"], asked["effective_ms"]);
    let status = phone.run(&["recovery", "status"]).done();
    assert_eq!(status["pending"]["effective_ms"], asked["effective_ms"]);
    // Another folder cannot ask meanwhile, and this one says the same again, with words or without.
    let other = up.device("other");
    let pending = recover(&other, &paper["identity"], &file).failed(1, "RECOVERY_PENDING");
    assert_eq!(pending["effective_ms"], asked["effective_ms"]);
    assert_eq!(recover(&thief, &paper["identity"], &file).done(), asked);
    assert_eq!(thief.run(&["recover"]).done(), asked);
    // Killed before the answer was written down: the words are asked for again, and say the same.
    let state = thief.home.join("recovering.json");
    let text = fs::read_to_string(&state).unwrap();
    let effective_ms = asked["effective_ms"].to_string();
    assert!(text.contains(&effective_ms), "{text}");
    fs::write(&state, text.replace(&effective_ms, "null")).unwrap();
    let silent = thief.run(&["recover", "--no-input"]);
    silent.failed(2, "RECOVERY_WORDS");
    let again = recover(&thief, &paper["identity"], &file).done();
    assert_eq!(again, asked);

    kiosk.run(&["recovery", "veto"]).failed(1, "FORBIDDEN");
    let vetoed = phone.run(&["recovery", "veto"]).done();
    assert_eq!(vetoed["position"], notice["position"]);
    told("recovery_vetoed");
    let status = phone.run(&["recovery", "status"]).done();
    assert_eq!(status.get("pending"), None);
    recover(&thief, &paper["identity"], &file).failed(1, "RECOVERY_ENDED");
    // What was vetoed is asked for anew, under other keys, until the words are worth nothing.
    assert_eq!(
        recover(&thief, &paper["identity"], &file).done()["state"],
        "waiting"
    );
    told("recovery_asked");
    let next = set(&phone);
    assert_ne!(words(&next), words(&paper));
    assert_eq!(
        phone.run(&["recovery", "status"]).done().get("pending"),
        None
    );
    recover(&thief, &paper["identity"], &file).failed(1, "WRONG_WORDS");
    assert_eq!(phone.balance(), kiosk.balance());
}

#[test]
fn a_recovery_that_was_vetoed_says_so_without_the_words_once_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let up = start(folder.path(), "2s");
    let (phone, tablet) = (up.device("phone"), up.device("tablet"));
    phone.init();
    let paper = set(&phone);
    let file = written(folder.path(), "words", &words(&paper));
    let asked = recover(&tablet, &paper["identity"], &file).done();
    phone.run(&["recovery", "veto"]).done();
    // Until then it cannot know: the log is told to no stranger.
    let ended = loop {
        let again = tablet.run(&["recover"]);
        if again.code != Some(0) {
            break again;
        }
        assert_eq!(again.json(), asked);
    };
    ended.failed(1, "RECOVERY_ENDED");
    tablet.run(&["recover"]).failed(1, "RECOVERY_ENDED");
    recover(&tablet, &paper["identity"], &file).failed(1, "RECOVERY_ENDED");
    let anew = recover(&tablet, &paper["identity"], &file).done();
    assert_eq!(anew["state"], "waiting");
}

#[test]
fn words_that_do_not_fit_are_told_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let up = start(folder.path(), "1h");
    let (phone, stranger, tablet) = (
        up.device("phone"),
        up.device("stranger"),
        up.device("tablet"),
    );
    phone.init();
    let theirs = stranger.init()["identity"].clone();
    phone.run(&["rotate"]).done();
    let paper = set(&phone);
    let text = words(&paper);
    let mine = &paper["identity"];
    let typed: Vec<&str> = text.split(' ').collect();
    let case = |name: &str, text: &str| written(folder.path(), name, text);
    let short = case("short", &typed[1..].join(" "));
    let unknown = case("unknown", &text.replacen(typed[3], "edge-ledger", 1));
    let mut swapped = typed.clone();
    let at = (1..24).find(|at| typed[*at] != typed[0]).unwrap();
    swapped.swap(0, at);
    // One in 256 swaps fits the checksum, and is another key.
    let swapped = recover(&tablet, mine, &case("swapped", &swapped.join(" ")));
    assert!(matches!(swapped.code, Some(1 | 2)), "{swapped:?}");
    for file in [&short, &unknown] {
        let error = recover(&tablet, mine, file).failed(2, "RECOVERY_WORDS");
        for word in &typed {
            assert!(
                !error["message"]
                    .as_str()
                    .unwrap()
                    .contains(&format!(" {word} ")),
                "{error}"
            );
        }
    }
    let right = case("right", &text);
    let other = case("other", &words(&set(&stranger)));
    recover(&tablet, mine, &other).failed(1, "WRONG_WORDS");
    recover(&tablet, &theirs, &right).failed(1, "WRONG_WORDS");
    recover(&tablet, &"00".into(), &right).failed(2, "KEY_FORMAT");
    recover(&tablet, mine, &folder.path().join("missing")).failed(2, "RECOVERY_WORDS");
    let url = tablet.identity_url.as_str();
    let identity = mine.as_str().unwrap();
    tablet
        .run(&["recover", "--identity-url", url])
        .failed(2, "USAGE");
    let nobody = [
        "recover",
        "--identity",
        identity,
        "--identity-url",
        url,
        "--no-input",
    ];
    tablet.run(&nobody).failed(2, "RECOVERY_WORDS");
    let file = right.to_str().unwrap();
    let wrong = "0123456789abcdef0123456789abcdef";
    tablet
        .run(&[
            "recover",
            "--identity",
            identity,
            "--words-file",
            file,
            "--identity-url",
            url,
            "--ledger-id",
            wrong,
        ])
        .failed(1, "UNTRUSTED");
    assert_eq!(
        phone.run(&["recovery", "status"]).done().get("pending"),
        None
    );

    // A folder in which one identity is being recovered takes no other.
    assert_eq!(recover(&tablet, mine, &right).done()["state"], "waiting");
    recover(&tablet, &theirs, &other).failed(1, "OTHER_IDENTITY");
    // Asking goes on where it was when the service is away.
    let stopped = up.stop();
    tablet.run(&["recover"]).failed(75, "UNREACHABLE");
    let _up = stopped.start();
    assert_eq!(tablet.run(&["recover"]).done()["state"], "waiting");
}

/// What a person at a terminal sees of `recovery set`, and types: through the agent, to which the
/// command says that it has a terminal.
fn at_a_terminal(device: &Device, wrong: bool) -> (Vec<String>, Value) {
    let look = json!({ "json": false, "terminal": true, "colours": false, "input": true });
    let command = json!({ "recovery": { "act": { "set": { "veto_time": null } } } });
    let job = json!({ "perform": { "command": command, "look": look } });
    let request = json!({ "version": 4, "job": job, "home": "/home" });
    let mut stream = UnixStream::connect(device.home.join("agent.sock")).unwrap();
    writeln!(stream, "{request}").unwrap();
    let (mut words, mut shown) = (Vec::new(), String::new());
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    for line in lines {
        let said: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if let Some(out) = said["said"]["out"].as_str() {
            shown.push_str(out);
            if words.is_empty() {
                let numbered = shown.split(". ").skip(1);
                let numbered = numbered.map_while(|text| text.split_whitespace().next());
                words = numbered.take(24).map(str::to_owned).collect();
            }
        } else if let Some(prompt) = said["said"]["ask"].as_str() {
            let place = prompt.strip_prefix("Word ").unwrap().trim_end_matches(": ");
            let place: usize = place.parse().unwrap();
            let typed = if wrong { "wrong" } else { &words[place - 1] };
            let typed = json!({ "line": format!(" {}\n", typed.to_uppercase()) });
            writeln!(stream, "{typed}").unwrap();
        } else if said != "taken" {
            let told = shown.matches("identity   ").count();
            assert_eq!(told, 1, "shown once: {shown}");
            return (words, said);
        }
    }
    panic!("it hung up: {shown}")
}

#[test]
fn words_are_set_once_two_of_them_were_typed_back() {
    let folder = tempfile::tempdir().unwrap();
    let up = start(folder.path(), "1h");
    let phone = up.device("phone");
    let made = phone.init();
    let _agent = phone.agent(&[]);
    let (_, ended) = at_a_terminal(&phone, true);
    assert_eq!(ended["failed"]["reason"], "RECOVERY_WORDS");
    assert_eq!(phone.run(&["recovery", "status"]).done()["set"], false);
    let (words, ended) = at_a_terminal(&phone, false);
    assert_eq!(ended, "done");
    assert_eq!(phone.run(&["recovery", "status"]).done()["set"], true);
    let file = written(folder.path(), "words", &words.join("\n"));
    let asked = recover(&up.device("tablet"), &made["identity"], &file).done();
    assert_eq!(asked["state"], "waiting");
}
