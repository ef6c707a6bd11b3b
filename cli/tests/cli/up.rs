//! `up`: what it prints, what it keeps, and what it refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use edge_ledger_chassis::Clock;

use super::process::{Device, Ran, Running, Up, command, edge_ledger, pair_with_laptop};

#[test]
fn data_and_keys_have_their_folders_and_the_ledger_stays_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let keys = fs::canonicalize(folder.path().join("server-keys")).unwrap();
    assert_eq!(up.said["keys"].as_str().unwrap(), keys.to_str().unwrap());
    assert_eq!(
        fs::metadata(&keys).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let ledger_id = up.ledger_id().to_owned();
    let laptop = up.device("laptop");
    laptop.init();
    laptop.run(&["earn", "5"]).done();
    let up = up.stop().start();
    assert_eq!(up.ledger_id(), ledger_id);
    assert_eq!(laptop.balance(), "5");
}

#[test]
fn a_second_one_on_the_same_data_or_port_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let any = "127.0.0.1:0";
    let second = Ran::of(&mut command(folder.path(), any, any));
    let error = second.failed(1, "STORE_IN_USE");
    assert!(
        error["next"].as_str().unwrap().contains("--data"),
        "{error}"
    );

    let elsewhere = tempfile::tempdir().unwrap();
    for service in ["identity", "ledger"] {
        let url = up.url(service);
        let taken = url.strip_prefix("http://").unwrap();
        let mut listens = [any, any];
        listens[usize::from(service == "ledger")] = taken;
        let second = Ran::of(&mut command(elsewhere.path(), listens[0], listens[1]));
        let error = second.failed(1, "PORT_IN_USE");
        let option = format!("--{service}-listen 127.0.0.1:0");
        assert!(error["next"].as_str().unwrap().contains(&option), "{error}");
    }
}

#[test]
fn data_is_not_served_under_other_keys() {
    let folder = tempfile::tempdir().unwrap();
    Up::start(folder.path()).stop();
    let any = "127.0.0.1:0";
    let run = |keys: &str| {
        let mut command = command(folder.path(), any, any);
        Ran::of(command.arg("--keys").arg(folder.path().join(keys)))
    };
    run("none").failed(1, "KEYS_MISSING");
    assert!(!folder.path().join("none").exists());
    let other = tempfile::tempdir().unwrap();
    Up::start(other.path()).stop();
    fs::rename(
        other.path().join("server-keys"),
        folder.path().join("other"),
    )
    .unwrap();
    run("other").failed(1, "KEYS_FOREIGN");
    fs::write(folder.path().join("server-keys/service.cert.new"), "").unwrap();
    fs::remove_file(folder.path().join("server-keys/genesis")).unwrap();
    run("server-keys").failed(1, "KEYS_MISSING");
}

#[test]
fn damaged_data_is_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    Up::start(folder.path()).stop();
    fs::write(folder.path().join("server/store.redb"), [7; 8192]).unwrap();
    let any = "127.0.0.1:0";
    let error = Ran::of(&mut command(folder.path(), any, any)).failed(1, "STORE_DAMAGED");
    assert!(
        error["next"].as_str().unwrap().contains("devices"),
        "{error}"
    );
}

#[test]
fn beyond_loopback_without_tls_it_has_to_be_told_to_and_warns() {
    let folder = tempfile::tempdir().unwrap();
    let free = || {
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("0.0.0.0:{}", held.local_addr().unwrap().port())
    };
    let (identity, ledger) = (free(), free());
    let error = Ran::of(&mut command(folder.path(), &identity, &ledger)).failed(1, "PLAINTEXT");
    for option in ["--identity-listen", "--ledger-listen"] {
        assert!(
            error["message"].as_str().unwrap().contains(option),
            "{error}"
        );
    }
    for word in [
        "--tls-cert FILE --tls-key FILE",
        "gateway",
        "--accept-plaintext",
    ] {
        assert!(error["next"].as_str().unwrap().contains(word), "{error}");
    }
    assert!(
        !folder.path().join("server-keys").exists(),
        "it made nothing"
    );
    // Each start says what it means.
    for _ in 0..2 {
        let mut accepts = command(folder.path(), &identity, &ledger);
        let mut running = Running::start(accepts.arg("--accept-plaintext"));
        running.line();
        running.signal("INT");
        let ran = running.end();
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stderr.contains("without TLS"), "{ran:?}");
    }
}

#[test]
fn beyond_loopback_it_wants_a_port() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Ran::of(&mut command(folder.path(), "0.0.0.0:0", "127.0.0.1:0"));
    refused.failed(2, "USAGE");
    let mut running = Running::start(&mut command(folder.path(), "[::1]:0", "127.0.0.1:0"));
    assert!(
        running.line()["identity_url"]
            .as_str()
            .unwrap()
            .starts_with("http://[::1]:")
    );
    running.signal("INT");
    let ran = running.end();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.stderr.contains("TLS"), "{ran:?}");
}

#[test]
fn who_registers_is_whom_it_was_told_to_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let start = |who: &str| {
        let options = ["--registration", who].map(AsRef::as_ref);
        Up::start_with(folder.path(), &options)
    };
    let keys = folder.path().join("server-keys");
    let up = start("invite");
    let (laptop, phone) = (up.device("laptop"), up.device("phone"));
    let init = |device: &Device, invite: &str| {
        let init = ["init", "--identity-url", &device.identity_url];
        device.run(&[&init[..], &["--invite", invite]].concat())
    };
    init(&laptop, "none").failed(1, "INVITE_INVALID");
    let mut command = edge_ledger(folder.path());
    command.args(["keys", "invite", "--json", "--dir"]);
    let made = Ran::of(command.arg(&keys)).done();
    let invite = made["invite"].as_str().unwrap();
    init(&laptop, invite).done();
    init(&phone, invite).failed(1, "INVITE_INVALID");
    up.stop();

    let up = start("closed");
    let phone = up.device("phone");
    init(&phone, invite).failed(1, "REGISTRATION_CLOSED");
    let (identity, ledger) = (up.url("identity"), up.url("ledger"));
    let urls = ["--identity-url", &identity, "--ledger-url", &ledger];
    let earned = laptop.run(&[&["earn", "1"], &urls[..]].concat()).done();
    assert_eq!(earned["synced"], true, "{earned}");
    up.stop();

    let up = start("open");
    up.device("phone").init();
}

#[test]
fn options_that_need_others_are_refused_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let any = "127.0.0.1:0";
    let run = |options: &[&str]| Ran::of(command(folder.path(), any, any).args(options));
    for options in [
        &["--tls-client-ca", "clients.pem"][..],
        &["--tls-client-name", "spiffe://a.example/b"],
        &["--registration", "friends"],
    ] {
        run(options).failed(2, "USAGE");
    }
    let named = |name: &str| {
        let files = ["--tls-cert", "a", "--tls-key", "b", "--tls-client-ca", "c"];
        run(&[&files[..], &["--tls-client-name", name]].concat())
    };
    named("kiosk").failed(2, "USAGE");
    named("spiffe://a.example/*").failed(2, "USAGE");
    let error = named("spiffe://a.example/b").failed(1, "TLS_FILE");
    let next = error["next"].as_str().unwrap();
    assert!(
        next.contains("--tls-cert") && next.contains("--tls-client-ca"),
        "{error}"
    );
}

#[test]
fn a_device_that_hangs_on_does_not_hold_it_up() {
    let (_folder, up, laptop) = pair_with_laptop();
    let mut watching = Running::start(&mut laptop.command(&["watch"]));
    watching.event("connected");
    let clock = Clock::system();
    up.stop();
    assert!(clock.monotonic_ms() < 5_000);
    watching.event("sync_failed");
}

#[test]
fn trust_is_asked_for_beyond_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    // Dialled like this it is the same service, but who knows.
    let url = up.url("identity").replace("127.0.0.1", "0.0.0.0");
    let device = Device {
        home: folder.path().join("laptop"),
        identity_url: url.clone(),
    };
    let init = ["init", "--identity-url", &url];
    device.run(&init).failed(1, "PLAINTEXT");
    let init = [&init[..], &["--accept-plaintext"]].concat();
    let error = device.run(&init).failed(1, "UNTRUSTED");
    assert_eq!(error["ledger_id"], up.ledger_id());
    let next = error["next"].as_str().unwrap();
    assert!(
        next.contains(&format!("--ledger-id {}", up.ledger_id())),
        "{next}"
    );
    let wrong = "00".repeat(16);
    let laptop = up.device("laptop");
    let init = [
        "init",
        "--identity-url",
        &laptop.identity_url,
        "--ledger-id",
        &wrong,
    ];
    laptop.run(&init).failed(1, "UNTRUSTED");
    laptop.init();
    laptop
        .run(&["init", "--identity-url", &laptop.identity_url])
        .failed(1, "DEVICE_EXISTS");
}

#[test]
fn nobody_reading_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = edge_ledger(folder.path());
    let child = command
        .arg("--help")
        .stdout(Stdio::from(writer))
        .spawn()
        .unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(
        !String::from_utf8_lossy(&ended.stderr).contains("panicked"),
        "{ended:?}"
    );

    let up = Up::start(folder.path());
    let laptop = up.device("laptop");
    laptop.init();
    for args in [&["balance"][..], &["history"], &["status"]] {
        for mut command in [laptop.words(args), laptop.command(args)] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let child = command.stdout(Stdio::from(writer)).spawn().unwrap();
            drop(command);
            let ended = child.wait_with_output().unwrap();
            assert_eq!(ended.status.code(), Some(0), "{ended:?}");
            assert!(ended.stderr.is_empty(), "{ended:?}");
        }
    }
}
