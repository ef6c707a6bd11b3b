//! The services as processes of their own, with the log that they write.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use edge_ledger_chassis::limits::EXIT_WITHIN;
use serde_json::Value;

use crate::process::{binary, wait_within};

/// The longest silence of a service from which something is waited for.
const SAYS_WITHIN: Duration = Duration::from_secs(60);

/// A service that serves. Killed by its id when dropped.
#[derive(Debug)]
pub struct ServiceProcess {
    child: Child,
    log: Receiver<String>,
    /// What it said when it began to serve.
    pub serves: Value,
    said: Vec<String>,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// The lines of its standard output.
    pub output: Vec<String>,
    /// The lines of its log.
    pub log: Vec<String>,
}

impl ServiceProcess {
    /// Starts a service (`identity-service`, `ledger-service`) with settings in its environment,
    /// as `("store.url", "redis://…")` and `("OTEL_…", "…")`, and waits until it serves.
    ///
    /// # Errors
    /// When it cannot be started, or ends instead.
    pub fn start(name: &str, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut this = Self::launch(name, settings)?;
        this.serves = this.wait_for("serves")?;
        Ok(this)
    }

    /// Starts a service, and waits for nothing.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch(name: &str, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut command = command(name, settings)?;
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let lines = BufReader::new(child.stderr.take().context("no log")?);
        let (sender, log) = channel();
        // A pipe that nobody reads would stop the service.
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            log,
            serves: Value::Null,
            said: Vec::new(),
        })
    }

    /// The next line of its log with this message.
    ///
    /// # Errors
    /// When it ends instead, or says nothing for long.
    pub fn wait_for(&mut self, message: &str) -> anyhow::Result<Value> {
        Ok(self.wait_for_all(&[message])?.swap_remove(0))
    }

    /// The next lines of its log with these messages, which may come in any order.
    ///
    /// # Errors
    /// When it ends before it said all of them, or says nothing for long.
    pub fn wait_for_all(&mut self, messages: &[&str]) -> anyhow::Result<Vec<Value>> {
        let mut said = vec![Value::Null; messages.len()];
        while said.iter().any(Value::is_null) {
            let Ok(line) = self.log.recv_timeout(SAYS_WITHIN) else {
                anyhow::bail!("it never said all of {messages:?}: {:?}", self.said);
            };
            let event: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
            self.said.push(line);
            let place = messages.iter().position(|told| event["message"] == *told);
            if let Some(place) = place.filter(|place| said[*place].is_null()) {
                said[place] = event;
            }
        }
        Ok(said)
    }

    /// Address and port of its admin port, once it said so.
    pub fn admin_address(&self) -> Option<String> {
        let events = self.said.iter();
        let mut events = events.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let answers = events.find(|event| event["message"] == "answers probes")?;
        answers["address"].as_str().map(ToOwned::to_owned)
    }

    /// Address and port.
    pub fn address(&self) -> &str {
        self.serves["address"].as_str().unwrap_or_default()
    }

    /// The address as devices dial it.
    pub fn url(&self) -> String {
        let scheme = if self.serves["tls"] == true {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address())
    }

    /// What a line of its `/proc/…/status` says, such as `VmRSS`, in KiB.
    ///
    /// # Errors
    /// When it has ended, or the system has no such line.
    pub fn memory_kib(&self, line: &str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let mut lines = status.lines();
        let said = lines.find_map(|said| said.strip_prefix(line)?.strip_prefix(':'));
        let said = said.with_context(|| format!("no {line}"))?;
        let kib = said.trim().strip_suffix(" kB");
        Ok(kib.with_context(|| said.to_owned())?.parse()?)
    }

    /// Sends a signal by its name, such as `TERM`.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status()?;
        anyhow::ensure!(sent.success(), "kill says {sent}");
        Ok(())
    }

    /// Asks it to end, and waits until it has, as long as it may take at most.
    ///
    /// # Errors
    /// When it cannot be asked, or does not end in time.
    pub fn drain(self) -> anyhow::Result<Ended> {
        self.signal("TERM")?;
        self.end_within(EXIT_WITHIN)
    }

    /// Waits for its end, so long at most.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn end_within(mut self, within: Duration) -> anyhow::Result<Ended> {
        let code = wait_within(&mut self.child, within)?.code();
        let mut log = std::mem::take(&mut self.said);
        log.extend(self.log.iter());
        Ok(Ended {
            code,
            output: Vec::new(),
            log,
        })
    }
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a service with arguments to its end.
///
/// # Errors
/// When it cannot be started.
pub fn run(name: &str, args: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<Ended> {
    let output = command(name, settings)?.args(args).output()?;
    let lines = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.lines().map(ToOwned::to_owned).collect()
    };
    Ok(Ended {
        code: output.status.code(),
        output: lines(&output.stdout),
        log: lines(&output.stderr),
    })
}

/// A service with these settings and nothing else in its environment.
fn command(name: &str, settings: &[(&str, &str)]) -> anyhow::Result<Command> {
    let mut command = Command::new(binary(name)?);
    command.env_clear().stdin(Stdio::null());
    for (key, value) in settings {
        if key.starts_with("OTEL_") {
            command.env(key, value);
            continue;
        }
        let key = key.to_ascii_uppercase().replace('.', "__");
        command.env(format!("EDGE_LEDGER__{key}"), value);
    }
    Ok(command)
}
