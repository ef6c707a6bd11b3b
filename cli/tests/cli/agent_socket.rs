//! The socket of a running agent, and how it gets on with the system.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};

use serde_json::{Value, json};

use super::process::{Device, Running, pair_with_laptop};

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// What the agent answers to a line, up to its end.
fn answers(laptop: &Device, line: &str) -> Vec<Value> {
    let mut stream = UnixStream::connect(laptop.home.join("agent.sock")).unwrap();
    // It may hang up before all of it is written.
    let _ = stream.write_all(line.as_bytes());
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect()
}

#[test]
fn only_its_user_may_connect() {
    let (_folder, _up, laptop) = pair_with_laptop();
    fs::set_permissions(&laptop.home, Permissions::from_mode(0o755)).unwrap();
    let _agent = laptop.agent(&[]);
    assert_eq!(mode(&laptop.home), 0o700);
    assert_eq!(mode(&laptop.home.join("agent.sock")), 0o600);
}

#[test]
fn what_is_no_socket_is_not_taken_over() {
    let (_folder, _up, laptop) = pair_with_laptop();
    let path = laptop.home.join("agent.sock");
    fs::write(&path, "mine").unwrap();
    laptop.run(&["agent"]).failed(1, "AGENT_SOCKET");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    // Nor does it keep a command from the device.
    assert_eq!(laptop.balance(), "0");
}

#[test]
fn what_is_not_understood_is_refused_and_disturbs_nobody() {
    let (_folder, _up, laptop) = pair_with_laptop();
    let _agent = laptop.agent(&[]);
    let look = json!({ "json": true, "terminal": false, "colours": false, "input": false });
    let request = |version: u32, command: Value| {
        let job = json!({ "perform": { "command": command, "look": look } });
        let request = json!({ "version": version, "job": job, "home": "/home" });
        format!("{request}\n")
    };
    for line in [
        "nonsense\n".to_owned(),
        "{}\n".to_owned(),
        request(2, "balance".into()),
        request(4, "frobnicate".into()),
    ] {
        let said = answers(&laptop, &line);
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(said[0]["failed"]["reason"], "AGENT_VERSION", "{said:?}");
    }
    assert_eq!(answers(&laptop, &"x".repeat(1 << 20)), Vec::<Value>::new());
    // Somebody who connects and says nothing.
    let _idle = UnixStream::connect(laptop.home.join("agent.sock")).unwrap();
    let said = answers(&laptop, &request(4, "status".into()));
    assert_eq!(
        (&said[0], said.last().unwrap()),
        (&"taken".into(), &"done".into())
    );
    let shown: Value = serde_json::from_str(said[1]["said"]["out"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&shown["state"], &shown["home"]),
        (&"online".into(), &"/home".into())
    );
}

#[test]
fn it_serves_as_many_as_it_says_and_says_so_to_one_more() {
    let (_folder, _up, laptop) = pair_with_laptop();
    let _agent = laptop.agent(&[]);
    let connect = |_| {
        let mut stream = UnixStream::connect(laptop.home.join("agent.sock")).unwrap();
        let look = json!({ "json": true, "terminal": false, "colours": false, "input": false });
        let job = json!({ "perform": { "command": "watch", "look": look } });
        let request = json!({ "version": 4, "job": job, "home": "/home" });
        stream.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut answers = BufReader::new(stream);
        let mut taken = String::new();
        answers.read_line(&mut taken).unwrap();
        assert_eq!(taken.trim(), "\"taken\"");
        answers
    };
    let mut watching: Vec<_> = (0..64).map(connect).collect();
    laptop.run(&["balance"]).failed(75, "AGENT_BUSY");
    watching.pop();
    // Room is made as soon as it is noticed.
    while laptop.run(&["balance"]).code == Some(75) {}
    assert_eq!(laptop.balance(), "0");
}

#[test]
fn other_addresses_than_the_agents_are_refused() {
    let (_folder, up, laptop) = pair_with_laptop();
    let _agent = laptop.agent(&[]);
    let same = ["balance", "--ledger-url", &up.url("ledger")];
    laptop.run(&same).done();
    let other = ["balance", "--ledger-url", "http://127.0.0.1:1"];
    let error = laptop.run(&other).failed(75, "HOME_IN_USE");
    assert!(
        error["next"].as_str().unwrap().contains("--ledger-url"),
        "{error}"
    );
}

#[test]
fn systemd_is_told_when_it_is_ready_alive_and_ending() {
    let (folder, _up, laptop) = pair_with_laptop();
    let path = folder.path().join("notify");
    let system = UnixDatagram::bind(&path).unwrap();
    let mut command = laptop.command(&["agent"]);
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "100000");
    let mut agent = Running::start(&mut command);
    assert_eq!(agent.line()["event"], "up");
    let hear = || {
        let mut said = [0; 64];
        let count = system.recv(&mut said).unwrap();
        String::from_utf8(said[..count].to_vec()).unwrap()
    };
    assert_eq!(hear().trim(), "READY=1");
    for _ in 0..3 {
        assert_eq!(hear().trim(), "WATCHDOG=1");
    }
    agent.signal("TERM");
    while hear().trim() != "STOPPING=1" {}
    assert_eq!(agent.end().code, Some(0));
}

#[test]
fn one_that_does_not_answer_is_said_to_be_silent() {
    let (_folder, _up, laptop) = pair_with_laptop();
    let agent = laptop.agent(&[]);
    agent.signal("STOP");
    laptop.run(&["balance"]).failed(75, "AGENT_SILENT");
    let doctor = laptop.run(&["doctor"]);
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    let checks = doctor.json()["checks"].take();
    let agents = |check: &&Value| check["check"] == "agent" && check["verdict"] == "fail";
    assert_eq!(
        checks.as_array().unwrap().iter().filter(agents).count(),
        1,
        "{checks}"
    );
    agent.signal("CONT");
    assert_eq!(laptop.balance(), "0");
}
