//! The file of a backup, of this program or of the JavaScript service.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use device_agent::AgentError;
use device_agent::backup::{self, BACKUP_BYTES_MAX, Backup, BackupFormat};
use edge_ledger_core::identity::pikey::short_id;

use super::password;
use crate::args::{Global, Password};
use crate::explain::Failure;
use crate::output::Output;
use crate::typed::program;

/// What is said of a format that protects nothing.
pub(in crate::device) const WEAK: &str = "Its format lets a password be guessed fast, and whoever \
    has a copy of it may have the key: put another in its place with `edge-ledger rotate` on the \
    device that has the next root key, make a new backup, and destroy this one.";

/// Reads a file, has its password typed, and opens it. What cannot be read is told before that.
pub(in crate::device) fn ask(
    file: &Path,
    password: &Password,
    global: &Global,
    output: &Output,
) -> Result<(Backup, BackupFormat), Failure> {
    let bytes = read(file)?;
    let password = password::known(password, global, output)?;
    unseal(&bytes, &password)
}

/// Opens a file.
pub(super) fn open(file: &Path, password: &str) -> Result<(Backup, BackupFormat), Failure> {
    unseal(&read(file)?, password)
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

/// A format, as it is printed.
pub(in crate::device) fn format_name(format: BackupFormat) -> &'static str {
    match format {
        BackupFormat::V3 => "v3",
        BackupFormat::PiKeyV2 => "pikey-v2",
        BackupFormat::PiKeyV1 => "pikey-v1",
        BackupFormat::NodeIdentity => "node-identity",
    }
}

/// What an opened file failed at. A PiKey that no ledger knows is brought in.
pub(super) fn explain(
    error: impl Into<Failure>,
    (keys, format): &(Backup, BackupFormat),
    file: &Path,
) -> Failure {
    let failure = error.into();
    let is_old = keys.genesis().is_none();
    if failure.reason != "UNKNOWN_IDENTITY" || !is_old {
        return failure;
    }
    let identity = keys.identity();
    let (short, program) = (short_id(&identity), program());
    let mut message = format!(
        "the file opened, and the service does not know its key: {short} was never in this ledger, \
         or got another root key"
    );
    if format.is_weak() {
        message.push_str(". ");
        message.push_str(WEAK);
    }
    Failure::refused("UNKNOWN_IDENTITY", message)
        .with("format", format_name(*format))
        .with("weak", format.is_weak())
        .with("identity", identity.to_string())
        .with("short_id", short)
        .next(format!(
            "bring it in with `{program} init --from-backup {}`; or, if it was in already, use a \
             backup made after its last `rotate` or `recover`",
            file.display()
        ))
}
