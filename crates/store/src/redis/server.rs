//! A private Redis server for tests: a child process with a folder of its own.
//!
//! Everything here panics where a server does not do as it should: that is the end of a test.

#![expect(clippy::unwrap_used, reason = "a test ends where its server fails")]

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

const STARTS_MAX: usize = 20;
const READY_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// So much data, and so slowly read, that a server is loading for a minute unless it is told to
/// hurry; it answers what may be answered meanwhile in each pause.
const SLOW_KEYS: usize = 3_000;
const SLOW: &[&str] = &[
    "--key-load-delay",
    "20000",
    "--loading-process-events-interval-bytes",
    "1024",
];

/// The settings of a server whose answers are worth an ack.
pub const DURABLE: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

/// A running server on a free port of loopback; it is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
    folder: TempDir,
    settings: Vec<String>,
}

impl Server {
    /// Starts one that is [`DURABLE`].
    pub fn start() -> Self {
        Self::start_with(DURABLE)
    }

    /// Starts one with these arguments of `redis-server`.
    pub fn start_with(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings: Vec<_> = settings.iter().map(|s| String::from(*s)).collect();
        for _ in 0..STARTS_MAX {
            // Somebody else may take the port before the server does.
            let port = free_port();
            if let Some(child) = launch(port, folder.path(), &settings, answers) {
                return Self {
                    child,
                    port,
                    folder,
                    settings,
                };
            }
        }
        panic!("redis-server does not start");
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address, as [`RedisConfig`](super::RedisConfig) takes it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A signal, by the kill command: the standard library knows only SIGKILL.
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(done.unwrap().success());
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts again on the same port and data.
    pub fn start_again(&mut self) {
        self.child = self.relaunch(&[], answers);
    }

    /// Kills it and starts it again on more data, which it loads until
    /// [`finish_loading`](Self::finish_loading).
    pub fn start_loading(&mut self) {
        let fill = format!(
            "EVAL \"for i = 1, {SLOW_KEYS} do \
             redis.call('SET', 'el:load:{{g}}:' .. i, string.rep('x', 1024)) end\" 0"
        );
        self.command(&fill);
        self.command("CONFIG SET rdbcompression no");
        self.command("BGREWRITEAOF");
        let is_written = |info: &str| {
            info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0")
        };
        while !is_written(&self.command("INFO persistence")) {
            sleep(POLL);
        }
        self.kill();
        self.child = self.relaunch(SLOW, is_loading);
    }

    /// Lets it load the rest.
    pub fn finish_loading(&self) {
        assert!(is_loading(self.port), "it loaded all meanwhile");
        self.command("CONFIG SET key-load-delay 0");
        let mut waited = Duration::ZERO;
        while !answers(self.port) {
            assert!(waited < READY_WITHIN, "it loads for ever");
            sleep(POLL);
            waited += POLL;
        }
    }

    fn relaunch(&self, more: &[&str], is_ready: fn(u16) -> bool) -> Child {
        let more = more.iter().map(|setting| String::from(*setting));
        let settings: Vec<_> = self.settings.iter().cloned().chain(more).collect();
        let launched = (0..STARTS_MAX).find_map(|_| {
            let child = launch(self.port, self.folder.path(), &settings, is_ready);
            if child.is_none() {
                sleep(Duration::from_millis(50));
            }
            child
        });
        launched.expect("the server starts again")
    }

    /// Sends a command as a line; returns the first line of the answer, or of a bulk answer all.
    pub fn command(&self, line: &str) -> String {
        command(self.port, line).unwrap()
    }

    /// Lines of MONITOR until the server is dropped.
    pub fn monitor(&self) -> impl Iterator<Item = String> + Send + use<> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"MONITOR\r\n").unwrap();
        let mut lines = BufReader::new(stream).split(b'\n');
        assert_eq!(lines.next().unwrap().unwrap(), b"+OK\r");
        lines
            .map_while(Result::ok)
            .map(|line| String::from_utf8_lossy(&line).into_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free just now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn answers(port: u16) -> bool {
    command(port, "PING").is_some_and(|pong| pong.starts_with("+PONG"))
}

fn is_loading(port: u16) -> bool {
    let info = command(port, "INFO persistence").unwrap_or_default();
    info.contains("\nloading:1\r")
}

/// Starts a process and waits until it is ready; `None` if it ended.
fn launch(
    port: u16,
    folder: &Path,
    settings: &[String],
    is_ready: fn(u16) -> bool,
) -> Option<Child> {
    let launched = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--dir"])
        .arg(folder)
        .args(settings)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match launched {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("redis-server is missing: apt-get install redis-server")
        }
        launched => launched.unwrap(),
    };
    let mut waited = Duration::ZERO;
    while waited < READY_WITHIN {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        // Somebody else's server may answer at this port.
        let info = command(port, "INFO server").unwrap_or_default();
        if info.contains(&format!("process_id:{}\r", child.id())) && is_ready(port) {
            return Some(child);
        }
        sleep(POLL);
        waited += POLL;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

fn command(port: u16, line: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    stream.write_all(format!("{line}\r\n").as_bytes()).ok()?;
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let Some(len) = first.strip_prefix('$') else {
        return Some(first);
    };
    let mut bulk = vec![0; len.trim().parse().unwrap_or(0)];
    reader.read_exact(&mut bulk).ok()?;
    Some(String::from_utf8_lossy(&bulk).into_owned())
}
