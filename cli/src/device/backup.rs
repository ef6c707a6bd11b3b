//! `backup`: the identity's root keys in a file, and a new device out of that file.

pub(super) mod file;
mod password;

use std::fmt;
use std::path::{Path, PathBuf};

use device_agent::backup::{self, Backup, Proof};
use device_agent::{Addresses, AgentError, Entered, NewDevice, Others, Proved, RootError, Trust};
use edge_ledger_core::identity::pikey::short_id;
use serde::Serialize;

use super::enrol::{first_sight, new_device, service_of};
use super::recover::{full, others};
use crate::args::{Backups, Global, Password};
use crate::explain::Failure;
use crate::folders;
use crate::output::Output;
use crate::signals::unless_interrupted;
use crate::typed::program;
use crate::typed::security;

pub(super) async fn run(act: Backups, global: &Global, output: &Output) -> Result<(), Failure> {
    match act {
        Backups::Create {
            file,
            remove,
            although_revoked,
            password,
        } => {
            let how = How {
                remove,
                although_revoked,
            };
            create(&file, how, &password, global, output).await
        }
        Backups::Verify { file, password } => verify(&file, &password, global, output).await,
        Backups::Restore {
            file,
            name,
            revoke_others,
            password,
        } => {
            let others = others(revoke_others);
            Box::pin(restore(&file, name, others, &password, global, output)).await
        }
    }
}

/// A backup that was made.
#[derive(Debug, Serialize)]
struct Made {
    file: PathBuf,
    identity: String,
    short_id: String,
    /// As `verify` says it; `unproved` when the service could not be asked.
    proof: &'static str,
    /// Why it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof_error: Option<String>,
    /// Whether the keys were taken off the device.
    removed: bool,
}

/// How a backup is made.
struct How {
    remove: bool,
    although_revoked: bool,
}

async fn create(
    file: &Path,
    How {
        remove,
        although_revoked,
    }: How,
    password: &Password,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let home = folders::home(global.home.as_deref())?;
    let keys = device_agent::back_up(&home)?;
    if file.exists() {
        return Err(exists(file));
    }
    // Rotations elsewhere are heard of before anything is written.
    let urls = service_of(global, &keys)?;
    let (keys, proof, proof_error) =
        match device_agent::back_up_proved(&home, &urls, &security(global)?).await {
            Ok(Proved {
                backup,
                proof,
                revoked,
            }) => {
                check_revoked(revoked, although_revoked)?;
                (backup, worth(proof, remove)?, None)
            }
            Err(error @ (AgentError::Unreachable { .. } | AgentError::Tls { .. })) => {
                if remove {
                    return Err(Failure::from(error).next(
                        "the keys are still on this device, and nothing was written: try again \
                         when the service answers, or leave --remove away",
                    ));
                }
                let revoked = device_agent::was_told_of_revocation(&home).await?;
                check_revoked(revoked, although_revoked)?;
                (keys, "unproved", Some(error.to_string()))
            }
            Err(error) => return Err(error.into()),
        };
    let password = password::new(password, global, output)?;
    let sealed = backup::seal(&keys, &password).map_err(AgentError::from)?;
    device_agent::write_backup(file, &sealed)?;
    if remove {
        take_off(&home, file, &password, &urls, global).await?;
    }
    let identity = keys.identity();
    output
        .print(&Made {
            file: file.to_owned(),
            identity: identity.to_string(),
            short_id: short_id(&identity),
            proof,
            proof_error,
            removed: remove,
        })
        .await
}

/// Root keys of a device that was revoked may be in other hands, and no revocation ends them.
fn check_revoked(revoked: bool, although_revoked: bool) -> Result<(), Failure> {
    if !revoked || although_revoked {
        return Ok(());
    }
    let message =
        "this device was revoked, and whoever has or had its folder may have the root keys too";
    Err(Failure::refused("DEVICE_REVOKED", message).next(
        "if another device or a backup has the root keys, type `edge-ledger rotate --compromised` \
         there, and leave these alone; if they are nowhere else, add --although-revoked, restore the \
         file in another folder, and type that there",
    ))
}

/// What the keys of this device are worth in a file, by the identity's log.
fn worth(proof: Proof, remove: bool) -> Result<&'static str, Failure> {
    match proof {
        Proof::Stale => Err(AgentError::from(RootError::StaleRootKey).into()),
        Proof::RootOnly if remove => {
            let message = "the next root key is not on this device: the identity's key could \
                           never be rotated by that backup, so the keys stay";
            Err(Failure::refused("BACKUP_ROOT_ONLY", message).next(
                "make the backup on the device that rotated the key last; or leave --remove away",
            ))
        }
        proof @ (Proof::Complete
        | Proof::RootOnly
        | Proof::Foreign
        | Proof::WrongNext
        | Proof::Outdated) => fits(proof),
    }
}

/// Takes the keys off this device once the file is seen to work: there is no other copy then.
async fn take_off(
    home: &Path,
    file: &Path,
    password: &str,
    urls: &Addresses,
    global: &Global,
) -> Result<(), Failure> {
    let (read, _) = file::open(file, password)?;
    let kept = |failure: Failure| {
        let (file, program) = (file.display(), program());
        failure.next(format!(
            "the backup is in {file}, and the keys are still on this device: try \
             `{program} backup create OTHER_FILE --remove` when the service answers"
        ))
    };
    match prove(urls, global, &read).await.map_err(kept)? {
        "complete" => Ok(device_agent::take_off_root_keys(home)?),
        _ => Err(kept(wrong("the root key was rotated meanwhile"))),
    }
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
    let opened = file::ask(file, password, global, output)?;
    let (keys, format) = &opened;
    let urls = service_of(global, keys)?;
    let proof = prove(&urls, global, keys).await;
    let proof = proof.map_err(|failure| file::explain(failure, &opened, file))?;
    let identity = keys.identity();
    output
        .print(&Verified {
            format: file::format_name(*format),
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
    /// The devices that were revoked.
    revoked: Vec<String>,
    /// Whether the backup's password can be guessed fast.
    weak: bool,
}

async fn restore(
    file: &Path,
    name: Option<String>,
    others: Others,
    password: &Password,
    global: &Global,
    output: &Output,
) -> Result<(), Failure> {
    let new = new_device(name, global)?;
    let opened = file::ask(file, password, global, output)?;
    let (keys, format) = &opened;
    let new = NewDevice {
        identity_urls: service_of(global, keys)?,
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
    let restoring = device_agent::restore(&new, keys, trust, others);
    let restored = unless_interrupted(Box::pin(restoring)).await.map_err(full);
    let Entered { enrolled, revoked } =
        restored.map_err(|failure| file::explain(failure, &opened, file))?;
    output
        .print(&Restored {
            identity: enrolled.identity.to_string(),
            short_id: short_id(&enrolled.identity),
            device: enrolled.device.to_string(),
            name: new.name,
            ledger_id: enrolled.ledger_id.to_string(),
            home: new.home,
            revoked: revoked.iter().map(ToString::to_string).collect(),
            weak: format.is_weak(),
        })
        .await
}

/// Holds keys against the log at a service.
async fn prove(urls: &Addresses, global: &Global, keys: &Backup) -> Result<&'static str, Failure> {
    let home = folders::home(global.home.as_deref())?;
    fits(device_agent::prove_backup(urls, &security(global)?, &home, keys).await?)
}

/// What a backup is to the identity's log, in a word, if it is worth anything.
fn fits(proof: Proof) -> Result<&'static str, Failure> {
    match proof {
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

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Backup of {} written to {}.",
            self.short_id,
            self.file.display()
        )?;
        match (self.proof, &self.proof_error) {
            (_, Some(why)) => writeln!(
                f,
                "It could not be proved: {why}. Whether the identity has other keys by now is not \
                 known; verify it when the service answers."
            )?,
            ("root_only", None) => writeln!(f, "{ROOT_ONLY}")?,
            (_, None) => writeln!(f, "It fits the identity's log: complete.")?,
        }
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
            write!(f, "\n{ROOT_ONLY}")?;
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
            write!(f, "\n{}", file::WEAK)?;
        }
        Ok(())
    }
}

/// What is said of a file with one of the two root keys.
const ROOT_ONLY: &str = "root_only: it lacks the next root key, so it brings the identity back and \
                         cannot rotate its key.";

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "This is \"{}\" now, a new device of {}.",
            self.name, self.short_id
        )?;
        if self.weak {
            writeln!(f, "{}", file::WEAK)?;
        }
        match self.revoked.len() {
            0 => write!(
                f,
                "Lost devices can still speak.\nNext:  {} devices    and then: devices revoke NAME",
                program()
            ),
            1 => write!(f, "Revoked one other device."),
            revoked => write!(f, "Revoked {revoked} other devices."),
        }
    }
}
