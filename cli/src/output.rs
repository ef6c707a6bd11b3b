//! The one place that prints and asks: answers to standard output, talk to standard error.

use std::fmt::{self, Display};
use std::io::{IsTerminal as _, Write as _, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use device_agent::{AgentError, EnrolmentToken};
use edge_ledger_core::text::shown;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc, oneshot};
use zeroize::Zeroizing;

use crate::explain::{Exit, Explanation, Failure, output_failed};
use crate::limits::PIECE_BYTES_MAX;

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

/// How a command prints.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Look {
    /// JSON instead of words.
    pub(crate) json: bool,
    /// Whether a person reads standard output.
    pub(crate) terminal: bool,
    /// Whether that person wants colours.
    pub(crate) colours: bool,
    /// Whether somebody can be asked.
    pub(crate) input: bool,
}

/// Something said, on its way to the process that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Say {
    /// For standard output, with its line ends.
    Out(String),
    /// Beside the answer, for a person.
    Note(String),
    /// A line is wanted on standard input; what to say to a person first.
    Ask(String),
    /// A secret for a new file there. An empty line comes back when it is kept.
    Keep { file: PathBuf, text: Secret },
    /// That file is worth nothing.
    Discard { file: PathBuf },
}

/// A text that nothing shows. It is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

#[derive(Debug, Clone)]
enum To {
    /// Standard output and standard error of this process.
    Here,
    /// Another process, which asked this one, and the lines that were typed there.
    Asker(mpsc::Sender<Say>, Arc<Mutex<mpsc::Receiver<Line>>>),
}

/// A line that was typed; none when no more can come.
pub(crate) type Line = Option<String>;

/// Where and how a command prints.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    look: Look,
    verbose: bool,
    to: To,
}

impl Output {
    pub(crate) fn new(json: bool, verbose: bool, input: bool) -> Self {
        let look = Look {
            json,
            terminal: !json && stdout().is_terminal(),
            colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            input,
        };
        Self {
            look,
            verbose,
            to: To::Here,
        }
    }

    /// Prints for another process, as it would print itself, and asks there.
    pub(crate) fn to_asker(
        look: Look,
        asker: mpsc::Sender<Say>,
        lines: mpsc::Receiver<Line>,
    ) -> Self {
        Self {
            look,
            verbose: false,
            to: To::Asker(asker, Arc::new(Mutex::new(lines))),
        }
    }

    pub(crate) fn look(&self) -> Look {
        self.look
    }

    pub(crate) fn is_json(&self) -> bool {
        self.look.json
    }

    /// Whether a person reads standard output.
    pub(crate) fn is_terminal(&self) -> bool {
        self.look.terminal
    }

    /// Prints an answer: as one line of JSON, or in words.
    pub(crate) async fn print(&self, answer: &(impl Serialize + Display)) -> Result<(), Failure> {
        if self.look.json {
            self.say(json_line(answer)?).await
        } else {
            self.words(&answer.to_string()).await
        }
    }

    /// Prints a text as it is, which is data whether or not JSON is wanted.
    pub(crate) async fn raw(&self, text: String) -> Result<(), Failure> {
        self.say(text).await
    }

    /// Prints words, if words are wanted.
    pub(crate) async fn words(&self, text: &str) -> Result<(), Failure> {
        if self.look.json {
            return Ok(());
        }
        self.say(format!("{text}\n")).await
    }

    /// Writes over the line at a terminal; nothing elsewhere.
    pub(crate) async fn draw(&self, text: &str) -> Result<(), Failure> {
        if !self.look.terminal {
            return Ok(());
        }
        self.say(text.to_owned()).await
    }

    /// Tells a person something beside the answer.
    pub(crate) async fn note(&self, text: &str) {
        if self.look.json {
            return;
        }
        match &self.to {
            To::Here => warn(text),
            // Whoever left needs no notes.
            To::Asker(asker, _) => drop(asker.send(Say::Note(text.to_owned())).await),
        }
    }

    /// Has a line typed, after telling a person what is wanted: by a person, or by a script that
    /// reads what is printed. None when nobody is there to type it.
    pub(crate) async fn ask(&self, prompt: &str) -> Line {
        if !self.look.input {
            return None;
        }
        match &self.to {
            To::Here => self.typed(prompt).await.ok().flatten(),
            To::Asker(asker, lines) => {
                let mut lines = lines.lock().await;
                // What was typed before this was asked for answers something else.
                while lines.try_recv().is_ok() {}
                asker.send(Say::Ask(prompt.to_owned())).await.ok()?;
                lines.recv().await.flatten()
            }
        }
    }

    /// Keeps the text of an enrolment token in a new file of this process, or of the one that asked.
    pub(crate) async fn keep(&self, file: &Path, text: Zeroizing<String>) -> Result<(), Failure> {
        let To::Asker(asker, lines) = &self.to else {
            return keep(file, &text);
        };
        let mut lines = lines.lock().await;
        while lines.try_recv().is_ok() {}
        let say = Say::Keep {
            file: file.to_owned(),
            text: Secret(text),
        };
        // An asker that cannot keep it says so itself, and leaves.
        let left = || Failure::said(Exit::Unread);
        asker.send(say).await.map_err(|_| left())?;
        lines.recv().await.map(drop).ok_or_else(left)
    }

    /// Removes what was kept.
    pub(crate) async fn discard(&self, file: &Path) {
        match &self.to {
            To::Here => discard(file),
            To::Asker(asker, _) => {
                let file = file.to_owned();
                // Whoever left sees that the command did not end well.
                drop(asker.send(Say::Discard { file }).await);
            }
        }
    }

    /// Reads a line of standard input in a thread of its own, which a command that ends meanwhile
    /// does not wait for.
    pub(crate) fn typed(&self, prompt: &str) -> oneshot::Receiver<Line> {
        if !self.look.json {
            let mut err = anstream::stderr().lock();
            // Nobody hears that standard error is closed.
            let _ = write!(err, "{}", shown(prompt)).and_then(|()| err.flush());
        }
        let (types, typed) = oneshot::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let read = stdin().read_line(&mut line);
            let line = read.is_ok_and(|bytes| bytes > 0).then_some(line);
            // Whoever asked may have ended.
            let _ = types.send(line);
        });
        typed
    }

    /// Prints what another process was asked to say.
    pub(crate) fn relay(&self, say: &Say) -> Result<(), Failure> {
        match say {
            Say::Out(text) => self.write(text),
            Say::Note(text) => {
                warn(text);
                Ok(())
            }
            Say::Keep { file, text } => keep(file, &text.0),
            Say::Discard { file } => {
                discard(file);
                Ok(())
            }
            // Its answer does not go to standard output.
            Say::Ask(_) => Ok(()),
        }
    }

    async fn say(&self, text: String) -> Result<(), Failure> {
        let To::Asker(asker, _) = &self.to else {
            return self.write(&text);
        };
        for piece in pieces(&text) {
            let sent = asker.send(Say::Out(piece.to_owned())).await;
            sent.map_err(|_| Failure::said(Exit::Unread))?;
        }
        Ok(())
    }

    /// Writes to standard output; colours stay on a terminal, and in JSON there are none.
    fn write(&self, text: &str) -> Result<(), Failure> {
        let written = if self.look.json {
            let mut out = stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        } else {
            let mut out = anstream::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        };
        written.map_err(|error| output_failed(&error))
    }

    /// Asks a person, on standard error, to type yes. Anything else is no.
    pub(crate) fn confirm(&self, question: &str) -> bool {
        let mut err = anstream::stderr().lock();
        let asked = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
        drop(err);
        let mut answer = String::new();
        let answered = asked.and_then(|()| stdin().read_line(&mut answer)).is_ok();
        answered && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    }

    /// Asks a person for a secret, which is not shown while it is typed.
    pub(crate) fn secret(&self, prompt: &str) -> Result<Zeroizing<String>, Failure> {
        let typed = rpassword::prompt_password(prompt).map(Zeroizing::new);
        typed.map_err(|error| Failure::usage("PASSWORD", format!("no password: {error}")))
    }

    /// Says why a command failed, if it did, and with which code the process ends.
    pub(crate) fn end(&self, done: Result<(), Failure>) -> ExitCode {
        let Err(failure) = done else {
            return ExitCode::SUCCESS;
        };
        let failure = failure.into_explanation();
        let exit = failure.exit;
        if !failure.is_said {
            // When this cannot be said either, the exit code still tells.
            let _ = if self.look.json {
                json_line(&error_json(failure)).and_then(|line| self.write(&line))
            } else {
                self.explain(&failure);
                Ok(())
            };
        }
        ExitCode::from(exit.code())
    }

    fn explain(&self, failure: &Explanation) {
        // What a service or another device says is in it.
        let message = shown(&failure.message);
        let mut text = format!("{RED}error:{RESET} {message}");
        if failure.exit == Exit::Interrupted {
            text = message;
        }
        if self.verbose {
            for cause in &failure.causes {
                text.push_str("\n  because ");
                text.push_str(&shown(cause));
            }
        }
        if let Some(next) = &failure.next {
            text.push_str("\n  next: ");
            text.push_str(&shown(next));
        }
        to_stderr(&text);
    }
}

fn keep(file: &Path, text: &str) -> Result<(), Failure> {
    let written = EnrolmentToken::write_text(file, text);
    written.map_err(|error| AgentError::from(error).into())
}

fn discard(file: &Path) {
    if let Err(error) = std::fs::remove_file(file) {
        warn(&format!("{} is worth nothing: {error}", file.display()));
    }
}

fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    let line = serde_json::to_string(value).map_err(|error| output_failed(&error.into()))?;
    Ok(line + "\n")
}

/// A text in parts that fit into a line of the socket.
fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let (piece, rest) = text.split_at(text.floor_char_boundary(PIECE_BYTES_MAX));
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// A warning, also when the answer is JSON.
pub(crate) fn warn(text: &str) {
    to_stderr(&format!("{YELLOW}note:{RESET} {}", shown(text)));
}

fn to_stderr(text: &str) {
    // Nobody hears that standard error is closed.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

fn error_json(failure: Explanation) -> Value {
    let mut error = failure.details;
    error.insert("reason".to_owned(), failure.reason.into());
    error.insert("message".to_owned(), failure.message.into());
    error.insert("next".to_owned(), failure.next.into());
    json!({ "error": error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_bounded_whole_characters_and_all_of_it() {
        for text in [
            "",
            "a",
            &"π".repeat(PIECE_BYTES_MAX),
            &"x".repeat(PIECE_BYTES_MAX),
        ] {
            assert!(pieces(text).all(|piece| piece.len() <= PIECE_BYTES_MAX));
            assert_eq!(pieces(text).collect::<String>(), text);
        }
    }
}
