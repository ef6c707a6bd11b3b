//! A person at a terminal: what a command says there, and what is typed.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command};

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// What a terminal sends when somebody ends the input.
const END_OF_INPUT: &[u8] = &[4];

/// A command that has a terminal for all that it reads and says. Killed by its id when dropped.
#[derive(Debug)]
pub(crate) struct Terminal {
    child: Child,
    person: File,
    shown: String,
}

impl Terminal {
    pub(crate) fn start(command: &mut Command) -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        let end = || {
            // It does not become the terminal of the test.
            let no_terminal = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
            let mut options = OpenOptions::new();
            options.read(true).write(true).custom_flags(no_terminal);
            let path = std::ffi::OsStr::from_bytes(name.to_bytes());
            OwnedFd::from(options.open(path).unwrap())
        };
        command.stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        // Only the command holds the other end: when it is gone, nothing is left to read.
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        Self {
            child,
            person: File::from(person),
            shown: String::new(),
        }
    }

    /// Everything that was shown, once that text is.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) -> &str {
        while !self.shown.contains(text) {
            assert!(self.read_more(), "it ended: {}", self.shown);
        }
        &self.shown
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) {
        self.person
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    /// Leaves without an answer.
    pub(crate) fn ends_input(&mut self) {
        self.person.write_all(END_OF_INPUT).unwrap();
    }

    /// The exit code, and everything that was shown.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        while self.read_more() {}
        let code = self.child.wait().unwrap().code();
        (code, std::mem::take(&mut self.shown))
    }

    fn read_more(&mut self) -> bool {
        let mut bytes = [0; 1024];
        // Where nobody holds the other end any more, reading is an error.
        let read = self.person.read(&mut bytes).unwrap_or(0);
        self.shown
            .push_str(&String::from_utf8_lossy(&bytes[..read]));
        read > 0
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
