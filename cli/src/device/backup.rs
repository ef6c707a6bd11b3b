//! `backup`: the identity's root keys in a file, and a new device out of that file.

use std::fmt;
use std::fs;
use std::io::{IsTerminal as _, Read as _, stdin};
use std::path::{Path, PathBuf};

use device_agent::backup::{self, BACKUP_BYTES_MAX, Backup, BackupFormat, Proof};
use device_agent::{Addresses, AgentError, Enrolled, NewDevice, Trust};
use edge_ledger_core::identity::pikey::short_id;
use serde::Serialize;
use zeroize::Zeroizing;

use super::enrol::{first_sight, new_device, service_of};
use crate::args::{Backups, Global, Password};
use crate::explain::Failure;
use crate::folders;
use crate::output::Output;
use crate::signals::unless_interrupted;
use crate::typed::program;
use crate::typed::security;

/// Longest password, in bytes.
const PASSWORD_BYTES_MAX: u64 = 1024;

pub(super) async fn run(act: Backups, global: &Global, output: &Output) -> Result<(), Failure> {
    match act {
        Backups::Create {
            file,
            remove,
            password,
        } => create(&file, remove, &password, global, output).await,
        Backups::Verify { file, password } => verify(&file, &password, global, output).await,
        Backups::Restore {
            file,
            name,
            password,
        } => restore(&file, name, &password, global, output).await,
    }
}

/// A backup that was made.
#[derive(Debug, Serialize)]
struct Made {
    file: PathBuf,
    identity: String,
    short_id: String,
    /// Whether the keys were taken off the device.
    removed: bool,
}

async fn create(
    file: &Path,
    remove: bool,
    password: &Password,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let home = folders::home(global.home.as_deref())?;
    let keys = device_agent::back_up(&home)?;
    if file.exists() {
        return Err(exists(file));
    }
    let password = new_password(password, global, output)?;
    let sealed = backup::seal(&keys, &password).map_err(AgentError::from)?;
    device_agent::write_backup(file, &sealed)?;
    if remove {
        // The only other copy goes away: the file must be seen to work first.
        let (read, _) = open(file, &password)?;
        let urls = service_of(global, &read)?;
        let proof = prove(&urls, global, &read).await.map_err(|failure| {
            let file = file.display();
            failure.next(format!(
                "the backup is in {file}, and the keys are still on this device: try \
                 `{} backup create --remove` again when the service answers",
                program()
            ))
        })?;
        if proof == "outdated" {
            return Err(wrong("the root key was rotated meanwhile"));
        }
        device_agent::take_off_root_keys(&home)?;
    }
    let identity = keys.identity();
    output
        .print(&Made {
            file: file.to_owned(),
            identity: identity.to_string(),
            short_id: short_id(&identity),
            removed: remove,
        })
        .await
}

/// A backup that was held against the identity's log.
#[derive(Debug, Serialize)]
struct Verified {
    format: &'static str,
    /// Whether its password can be guessed fast.
    weak: bool,
    identity: String,
    short_id: String,
    /// `complete`; `root_only` when the next root key is not in it; `outdated` when the root key
    /// was rotated since.
    proof: &'static str,
    identity_urls: Vec<String>,
}

async fn verify(
    file: &Path,
    password: &Password,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    // What cannot be read is told before a password is asked for.
    let bytes = read(file)?;
    let password = known_password(password, global, output)?;
    let (keys, format) = unseal(&bytes, &password)?;
    let urls = service_of(global, &keys)?;
    let proof = prove(&urls, global, &keys).await?;
    let identity = keys.identity();
    output
        .print(&Verified {
            format: format_name(format),
            weak: format.is_weak(),
            identity: identity.to_string(),
            short_id: short_id(&identity),
            proof,
            identity_urls: urls.iter().map(str::to_owned).collect(),
        })
        .await
}

/// A device that was made out of a backup.
#[derive(Debug, Serialize)]
struct Restored {
    identity: String,
    short_id: String,
    device: String,
    name: String,
    ledger_id: String,
    home: PathBuf,
    /// Whether the backup's password can be guessed fast.
    weak: bool,
}

async fn restore(
    file: &Path,
    name: Option<String>,
    password: &Password,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let new = new_device(name, global)?;
    let bytes = read(file)?;
    let password = known_password(password, global, output)?;
    let (keys, format) = unseal(&bytes, &password)?;
    let new = NewDevice {
        identity_urls: service_of(global, &keys)?,
        ..new
    };
    // A backup that names its deployment trusts no other; the old formats name none.
    let trust = match keys.genesis() {
        Some(genesis) => Trust::Ledger(genesis.ledger_id()),
        None => first_sight(&new, global, output).await?,
    };
    output
        .note(&format!(
            "restores {} as \"{}\"",
            short_id(&keys.identity()),
            new.name
        ))
        .await;
    let restoring = device_agent::restore(&new, &keys, trust);
    let enrolled: Enrolled = unless_interrupted(restoring).await?;
    output
        .print(&Restored {
            identity: enrolled.identity.to_string(),
            short_id: short_id(&enrolled.identity),
            device: enrolled.device.to_string(),
            name: new.name,
            ledger_id: enrolled.ledger_id.to_string(),
            home: new.home,
            weak: format.is_weak(),
        })
        .await
}

/// Holds keys against the log at a service.
async fn prove(urls: &Addresses, global: &Global, keys: &Backup) -> Result<&'static str, Failure> {
    let home = folders::home(global.home.as_deref())?;
    match device_agent::prove_backup(urls, &security(global)?, &home, keys).await? {
        Proof::Complete => Ok("complete"),
        Proof::RootOnly => Ok("root_only"),
        Proof::Outdated => Ok("outdated"),
        Proof::Stale => Err(Failure::refused(
            "BACKUP_STALE",
            "the backup is worthless: the identity has had another root key since",
        )
        .next("destroy it, and make a new one with `edge-ledger backup create FILE`")),
        Proof::Foreign => Err(wrong("it holds the key of another identity")),
        Proof::WrongNext => Err(wrong(
            "its next root key is not the one that the identity's log names",
        )),
    }
}

fn wrong(why: &str) -> Failure {
    Failure::refused("BACKUP_WRONG", format!("the backup does not fit: {why}"))
        .next("keep it, and make a new one with `edge-ledger backup create FILE`")
}

fn exists(file: &Path) -> Failure {
    let message = format!(
        "{} is there already, and is never overwritten",
        file.display()
    );
    Failure::refused("FILE_EXISTS", message).next("give another name")
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: &std::io::Error| {
        Failure::refused(
            "BACKUP_IO",
            format!("cannot read {}: {error}", file.display()),
        )
        .next("give the file that `edge-ledger backup create` wrote")
    };
    let opened = fs::File::open(file).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    let limit = BACKUP_BYTES_MAX as u64 + 1;
    opened
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&error))?;
    Ok(bytes)
}

fn unseal(bytes: &[u8], password: &str) -> Result<(Backup, BackupFormat), Failure> {
    Ok(backup::open(bytes, password).map_err(AgentError::from)?)
}

fn open(file: &Path, password: &str) -> Result<(Backup, BackupFormat), Failure> {
    unseal(&read(file)?, password)
}

fn format_name(format: BackupFormat) -> &'static str {
    match format {
        BackupFormat::V3 => "v3",
        BackupFormat::PiKeyV2 => "pikey-v2",
        BackupFormat::PiKeyV1 => "pikey-v1",
        BackupFormat::NodeIdentity => "node-identity",
    }
}

/// The password of a file that is there.
fn known_password(
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
fn new_password(
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

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Backup of {} written to {}.",
            self.short_id,
            self.file.display()
        )?;
        if self.removed {
            writeln!(
                f,
                "The root keys are off this device: only the backup has them."
            )?;
        }
        write!(
            f,
            "Keep file and password in two places.\nNext:  {} backup verify {}",
            program(),
            self.file.display()
        )
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The backup opens and fits {}, as {} has its log.",
            self.short_id,
            self.identity_urls.join(" or ")
        )?;
        if self.proof == "root_only" {
            write!(
                f,
                "\nIt lacks the next root key, so it cannot rotate the identity's key."
            )?;
        }
        if self.proof == "outdated" {
            write!(
                f,
                "\nIt is outdated: the root key was rotated since. It still brings the identity \
                 back, so make a new one with `{} backup create FILE`, and destroy it.",
                program()
            )?;
        }
        if self.weak {
            write!(f, "\n{WEAK}")?;
        }
        Ok(())
    }
}

/// What is said of a format that protects nothing.
const WEAK: &str = "Its format lets a password be guessed fast: make a new backup with \
                    `edge-ledger backup create FILE`, and destroy this one.";

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "This is \"{}\" now, a new device of {}.",
            self.name, self.short_id
        )?;
        if self.weak {
            writeln!(f, "{WEAK}")?;
        }
        write!(
            f,
            "Lost devices can still speak.\nNext:  {} devices    and then: devices revoke NAME",
            program()
        )
    }
}
