//! Where the password of a backup comes from: a person who types it, or a file.

use std::fs;
use std::io::{IsTerminal as _, Read as _, stdin};
use std::path::Path;

use zeroize::Zeroizing;

use crate::args::{Global, Password};
use crate::explain::Failure;
use crate::output::Output;

/// Longest password, in bytes.
const PASSWORD_BYTES_MAX: u64 = 1024;

/// The password of a file that is there.
pub(in crate::device) fn known(
    password: &Password,
    global: &Global,
    output: &Output,
) -> Result<Zeroizing<String>, Failure> {
    match &password.password_file {
        Some(file) => password_in(file),
        None => typed(global, output, "Password of the backup: "),
    }
}

/// A password for a new file, typed twice.
pub(in crate::device) fn new(
    password: &Password,
    global: &Global,
    output: &Output,
) -> Result<Zeroizing<String>, Failure> {
    if let Some(file) = &password.password_file {
        return password_in(file);
    }
    let first = typed(
        global,
        output,
        "Password for the backup (12 characters or more): ",
    )?;
    let again = typed(global, output, "Again: ")?;
    if first == again {
        Ok(first)
    } else {
        Err(Failure::usage("PASSWORD", "the two passwords differ"))
    }
}

fn typed(global: &Global, output: &Output, prompt: &str) -> Result<Zeroizing<String>, Failure> {
    if global.no_input || output.is_json() || !stdin().is_terminal() {
        let message = "a password is needed, and nobody is here to type it";
        return Err(Failure::usage("PASSWORD", message)
            .next("put it into a file of yours alone, and give that with --password-file FILE"));
    }
    output.secret(prompt)
}

/// The first line of a file, or of standard input.
fn password_in(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let failed = |error: &std::io::Error| {
        let message = format!("cannot read the password from {}: {error}", file.display());
        Failure::usage("PASSWORD", message)
            .next("give a text file with the password in its first line")
    };
    let mut text = Zeroizing::new(String::new());
    let read = if file == Path::new("-") {
        stdin()
            .lock()
            .take(PASSWORD_BYTES_MAX)
            .read_to_string(&mut text)
    } else {
        fs::File::open(file)
            .and_then(|opened| opened.take(PASSWORD_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| failed(&error))?;
    Ok(Zeroizing::new(
        text.lines().next().unwrap_or_default().to_owned(),
    ))
}
