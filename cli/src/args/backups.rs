//! What backups can be told.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What can be done with backups.
#[derive(Debug, Subcommand)]
pub(crate) enum Backups {
    /// Write the root keys into a new file, sealed under a password
    ///
    /// Only the device that made the identity, or was restored from a backup, has them.
    Create {
        /// The file: it must not be there yet
        file: PathBuf,
        /// Hold the file against the identity's log, and take the root keys off this device
        #[arg(long)]
        remove: bool,
        /// Write the file although this device was revoked, when nothing else has the root keys
        #[arg(long)]
        although_revoked: bool,
        #[command(flatten)]
        password: Password,
    },
    /// Open a backup and hold it against the identity's log, without installing it
    Verify {
        /// The file, of this program or of the JavaScript service
        file: PathBuf,
        #[command(flatten)]
        password: Password,
    },
    /// Make a new device of the identity out of a backup
    ///
    /// It becomes an admin. Devices that were lost stay linked until they are revoked.
    Restore {
        /// The file, of this program or of the JavaScript service
        file: PathBuf,
        /// Name of this device [default: this machine's name]
        #[arg(long)]
        name: Option<String>,
        /// Revoke all other devices as lost, and end their tokens, before this one is linked
        #[arg(long)]
        revoke_others: bool,
        #[command(flatten)]
        password: Password,
    },
}

/// Where the password of a backup comes from.
#[derive(Debug, Args)]
pub(crate) struct Password {
    /// A file with the password in its first line, or - for standard input [default: it is typed]
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}
