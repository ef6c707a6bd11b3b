//! Starts the binary: services that go on, commands that end. What a test starts ends with it.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The command, with nothing of the environment that could change what it does.
pub(crate) fn edge_ledger(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_edge-ledger"));
    for name in [
        "CARGO",
        "EDGE_LEDGER_HOME",
        "EDGE_LEDGER_IDENTITY_URL",
        "EDGE_LEDGER_LEDGER_URL",
        "EDGE_LEDGER_TLS_CA",
        "RUST_LOG",
        "XDG_DATA_HOME",
    ] {
        command.env_remove(name);
    }
    command
        .env("HOME", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The one object that was printed.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The one object of a command that did what was asked.
    #[track_caller]
    pub(crate) fn done(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.json()
    }

    /// The error of a command that ended with a code and a reason.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, reason: &str) -> Value {
        assert_eq!(self.code, Some(code), "{self:?}");
        let error = self.json()["error"].take();
        assert_eq!(error["reason"], reason, "{self:?}");
        assert!(!error["message"].as_str().unwrap().is_empty(), "{self:?}");
        error
    }
}

/// A command that goes on. Killed by its id when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// The next line as JSON. Fails when the command ended instead.
    #[track_caller]
    pub(crate) fn line(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| {
            let ran = self.end();
            panic!("{error} in {line:?}: {ran:?}")
        })
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
    }

    /// Lets it know that nobody types any more.
    pub(crate) fn close_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// What is said up to a line that begins so.
    pub(crate) fn text_until(&mut self, begins: &str) -> String {
        let mut text = String::new();
        loop {
            let before = text.len();
            assert!(self.stdout.read_line(&mut text).unwrap() > 0, "{text}");
            if text[before..].starts_with(begins) {
                return text;
            }
        }
    }

    /// Carries the number from a device that joins to this one, which links. Returns what this one
    /// said of the request, and the other at its end.
    pub(crate) fn let_in(&mut self, joining: &mut Self) -> (Value, Value) {
        let number = joining.event("number");
        let asked = self.event("request");
        self.types(number["number"].as_str().unwrap());
        let joined = joining.event("joined");
        assert_eq!(joining.end().code, Some(0));
        (asked, joined)
    }

    /// The next line that reports an event.
    pub(crate) fn event(&mut self, event: &str) -> Value {
        loop {
            let line = self.line();
            if line["event"] == event {
                return line;
            }
        }
    }

    /// Whether it has not ended.
    pub(crate) fn goes_on(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for the end.
    pub(crate) fn end(&mut self) -> Ran {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        Self::ended(&mut self.child, rest)
    }

    fn ended(child: &mut Child, stdout: String) -> Ran {
        let mut stderr = String::new();
        if let Some(mut pipe) = child.stderr.take() {
            pipe.read_to_string(&mut stderr).unwrap();
        }
        let code = child.wait().unwrap().code();
        Ran {
            code,
            stdout,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pair and a device with an identity, in a folder of their own.
pub(crate) fn pair_with_laptop() -> (TempDir, Up, Device) {
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path());
    let laptop = up.device("laptop");
    laptop.init();
    (folder, up, laptop)
}

/// The same with a second device of the identity.
pub(crate) fn pair_with_laptop_and_phone() -> (TempDir, Up, Device, Device) {
    let (folder, up, laptop) = pair_with_laptop();
    let phone = up.device("phone");
    laptop.link(&phone, "link", &[]);
    (folder, up, laptop, phone)
}

/// The pair of services, through `up`.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) running: Running,
    pub(crate) said: Value,
    folder: PathBuf,
}

impl Up {
    /// Starts the pair on ports that are free.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// Starts it with further options.
    pub(crate) fn start_with(folder: &Path, options: &[&OsStr]) -> Self {
        let mut command = command(folder, "127.0.0.1:0", "127.0.0.1:0");
        Self::run(folder, command.args(options))
    }

    pub(crate) fn run(folder: &Path, command: &mut Command) -> Self {
        let mut running = Running::start(command);
        let said = running.line();
        Self {
            running,
            said,
            folder: folder.to_owned(),
        }
    }

    /// Ends the pair in order, and waits for the end.
    pub(crate) fn stop(mut self) -> Stopped {
        self.running.signal("TERM");
        let ran = self.running.end();
        assert_eq!(ran.code, Some(0), "{ran:?}");
        Stopped {
            said: self.said.clone(),
            folder: self.folder.clone(),
        }
    }

    pub(crate) fn url(&self, service: &str) -> String {
        self.said[format!("{service}_url")]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(crate) fn ledger_id(&self) -> &str {
        self.said["ledger_id"].as_str().unwrap()
    }

    /// A device that finds these services.
    pub(crate) fn device(&self, name: &str) -> Device {
        Device {
            home: self.folder.join(name),
            identity_url: self.url("identity"),
        }
    }
}

/// A pair that was stopped.
#[derive(Debug)]
pub(crate) struct Stopped {
    said: Value,
    folder: PathBuf,
}

impl Stopped {
    /// Starts it again where it was.
    pub(crate) fn start(&self) -> Up {
        let listen = |name: &str| {
            let url = self.said[name].as_str().unwrap();
            url.strip_prefix("http://").unwrap().to_owned()
        };
        let (identity, ledger) = (listen("identity_url"), listen("ledger_url"));
        Up::run(&self.folder, &mut command(&self.folder, &identity, &ledger))
    }
}

/// `up --json` in a folder.
pub(crate) fn command(folder: &Path, identity: &str, ledger: &str) -> Command {
    let mut command = edge_ledger(folder);
    command.args([
        "up",
        "--json",
        "--identity-listen",
        identity,
        "--ledger-listen",
        ledger,
    ]);
    command.arg("--data").arg(folder.join("server"));
    command
}

/// A device's folder, and the services that it finds.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) home: PathBuf,
    pub(crate) identity_url: String,
}

impl Device {
    /// A command of this device, without `--json`.
    pub(crate) fn words(&self, args: &[impl AsRef<OsStr>]) -> Command {
        let mut command = edge_ledger(self.home.parent().unwrap());
        command.arg("--home").arg(&self.home).args(args);
        command
    }

    /// A command of this device.
    pub(crate) fn command(&self, args: &[impl AsRef<OsStr>]) -> Command {
        let mut command = self.words(args);
        command.arg("--json");
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[impl AsRef<OsStr>]) -> Ran {
        Ran::of(&mut self.command(args))
    }

    /// Makes an identity.
    pub(crate) fn init(&self) -> Value {
        let name = self.home.file_name().unwrap().to_str().unwrap();
        self.run(&["init", "--identity-url", &self.identity_url, "--name", name])
            .done()
    }

    /// Links another device as `link` and `join` do; `form` is `code` or `link`.
    pub(crate) fn link(&self, other: &Self, form: &str, options: &[&str]) -> Value {
        let mut linking = Running::start(self.command(&["link"]).args(options));
        let shown = linking.line();
        assert_eq!(shown["event"], "code");
        assert!(
            (1..=120).contains(&shown["expires_in_s"].as_u64().unwrap()),
            "{shown}"
        );
        let name = other.home.file_name().unwrap().to_str().unwrap();
        let mut join = other.command(&["join", shown[form].as_str().unwrap(), "--name", name]);
        if form == "code" {
            join.args(["--identity-url", &other.identity_url]);
        }
        let (asked, joined) = linking.let_in(&mut Running::start(&mut join));
        assert_eq!(
            (&asked["name"], &asked["device"]),
            (&joined["name"], &joined["device"])
        );
        let linked = linking.line();
        assert_eq!(linked["event"], "linked");
        assert_eq!(linked["device"], joined["device"]);
        let ran = linking.end();
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
        linked
    }

    /// Starts its agent.
    pub(crate) fn agent(&self, options: &[&str]) -> Running {
        let mut agent = Running::start(self.command(&["agent"]).args(options));
        assert_eq!(agent.line()["event"], "up");
        agent
    }

    /// The balance, which the service confirmed.
    #[track_caller]
    pub(crate) fn balance(&self) -> String {
        let shown = self.run(&["balance"]).done();
        assert_eq!(shown["synced"], true, "{shown}");
        shown["balance"].as_str().unwrap().to_owned()
    }
}
