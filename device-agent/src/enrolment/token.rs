//! The token: a text of six lines with the private half of an enrolment key. `docs/protocol.md`
//! has the format.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use edge_ledger_core::ids::{DeviceId, IdentityId, LedgerId};
use edge_ledger_core::keys::SecretKey;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::addresses::Addresses;
use crate::limits::{TOKEN_BYTES_MAX, TOKEN_URL_BYTES_MAX};
use crate::vault;

/// Begins the first line of every version.
const HEAD: &str = "edge-ledger enrolment token ";
const VERSION: &str = "1";
/// Bytes of the checksum.
const CHECK_BYTES: usize = 8;
/// Others than the owner and, for reading, a group that the machine may have the file by.
const OPEN_TO_OTHERS: u32 = 0o027;

/// Why a token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It is none.
    #[error("this is no enrolment token")]
    Unknown,
    /// It is of another version.
    #[error("this enrolment token is of version {0:?}, which is not known here")]
    Newer(String),
    /// It was cut off, or something in it was changed.
    #[error("this enrolment token is damaged: {0}")]
    Damaged(&'static str),
    /// Others than its owner and its group can read it, or others than its owner change it.
    #[error("{} is open to others, with mode {mode:04o}", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is there already, and never overwritten.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// The file system refuses.
    #[error("{}: {why}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        why: io::Error,
    },
}

/// The private half of an enrolment key, with what a machine must know to use it. Whoever has it
/// can add devices until it ends: treat it as a password. It is wiped when dropped.
#[expect(missing_debug_implementations, reason = "secrets have no Debug")]
pub struct EnrolmentToken {
    ledger_id: LedgerId,
    identity: IdentityId,
    identity_urls: Addresses,
    key: Arc<SecretKey>,
}

impl EnrolmentToken {
    pub(crate) fn new(
        ledger_id: LedgerId,
        identity: IdentityId,
        identity_urls: Addresses,
        seed: [u8; 32],
    ) -> Self {
        Self {
            ledger_id,
            identity,
            identity_urls,
            key: Arc::new(SecretKey::from_seed(seed)),
        }
    }

    /// The only deployment that is trusted with it.
    pub fn ledger_id(&self) -> LedgerId {
        self.ledger_id
    }

    /// The identity that devices join with it.
    pub fn identity(&self) -> IdentityId {
        self.identity
    }

    /// Where its maker finds the identity service.
    pub fn identity_urls(&self) -> &Addresses {
        &self.identity_urls
    }

    /// The id that its key would have as a device: what it is called in the log.
    pub fn id(&self) -> DeviceId {
        self.key.public_key().device_id()
    }

    pub(crate) fn key(&self) -> &SecretKey {
        &self.key
    }

    pub(crate) fn shared_key(&self) -> Arc<SecretKey> {
        self.key.clone()
    }

    /// The text of it: a secret.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = self.told();
        let check = Zeroizing::new(check(&text));
        text.push_str("check ");
        text.push_str(&check);
        text.push('\n');
        text
    }

    /// Reads the text of a token. How its lines end does not matter.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn from_text(text: &str) -> Result<Self, TokenError> {
        let mut lines = text.lines().map(str::trim_end);
        let head = lines.next().and_then(|line| line.strip_prefix(HEAD));
        match head {
            None => return Err(TokenError::Unknown),
            Some(VERSION) => {}
            Some(version) => return Err(TokenError::Newer(version.to_owned())),
        }
        let mut field = |name: &'static str, wrong: &'static str| {
            let value = lines.next().and_then(|line| line.strip_prefix(name));
            let value = value.and_then(|rest| rest.strip_prefix(' '));
            value.ok_or(TokenError::Damaged(wrong))
        };
        let ledger_id = field("ledger", "the ledger is missing")?;
        let identity = field("identity", "the identity is missing")?;
        let urls = field("service", "the service is missing")?;
        let seed = field("key", "the key is missing")?;
        let told = field("check", "the checksum is missing")?;
        if lines.any(|line| !line.is_empty()) {
            return Err(TokenError::Damaged("something comes after it"));
        }
        let no_address = TokenError::Damaged("the service is no address");
        let is_text =
            urls.len() <= TOKEN_URL_BYTES_MAX && urls.bytes().all(|b| b.is_ascii_graphic());
        let urls = urls.split(',').map(str::to_owned);
        let identity_urls = match Addresses::new(urls) {
            Ok(urls) if is_text && urls.iter().all(|url| !url.is_empty()) => urls,
            _ => return Err(no_address),
        };
        let seed = Zeroizing::new(HEXLOWER.decode(seed.as_bytes()).unwrap_or_default());
        let seed = <[u8; 32]>::try_from(&seed[..]);
        let token = Self {
            ledger_id: ledger_id
                .parse()
                .map_err(|_| TokenError::Damaged("the ledger is no id"))?,
            identity: identity
                .parse()
                .map_err(|_| TokenError::Damaged("the identity is no id"))?,
            identity_urls,
            key: Arc::new(SecretKey::from_seed(
                seed.map_err(|_| TokenError::Damaged("the key is no key"))?,
            )),
        };
        if check(&token.told()) != told {
            return Err(TokenError::Damaged("the checksum does not fit"));
        }
        Ok(token)
    }

    /// Writes it to a file of mode 0600 that must not be there yet, whole or not at all.
    ///
    /// # Errors
    /// [`TokenError::Exists`], [`TokenError::Io`].
    pub fn write(&self, file: &Path) -> Result<(), TokenError> {
        Self::write_text(file, &self.to_text())
    }

    /// Writes the [text](Self::to_text) of a token, as [`write`](Self::write) does.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_text(file: &Path, text: &str) -> Result<(), TokenError> {
        let written = vault::write_new_private(file, text.as_bytes());
        written.map_err(|why| {
            if why.kind() == io::ErrorKind::AlreadyExists {
                TokenError::Exists(file.to_owned())
            } else {
                io_error(file, why)
            }
        })
    }

    /// Reads it from a file, which must not be open to others.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn read(file: &Path) -> Result<Self, TokenError> {
        let opened = File::open(file).map_err(|why| io_error(file, why))?;
        let found = opened.metadata().map_err(|why| io_error(file, why))?;
        let mode = found.permissions().mode() & 0o7777;
        if found.is_file() && mode & OPEN_TO_OTHERS != 0 {
            return Err(TokenError::Exposed {
                path: file.to_owned(),
                mode,
            });
        }
        Self::read_from(opened).map_err(|why| match why {
            ReadError::Io(why) => io_error(file, why),
            ReadError::Token(error) => error,
        })
    }

    /// Reads it from where it comes, such as standard input.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(crate) fn read_from(reads: impl io::Read) -> Result<Self, ReadError> {
        // Never grows, so that no copy of the secret is left behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(TOKEN_BYTES_MAX + 1));
        let most = TOKEN_BYTES_MAX as u64 + 1;
        reads
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(ReadError::Io)?;
        if bytes.len() > TOKEN_BYTES_MAX {
            return Err(ReadError::Token(TokenError::Unknown));
        }
        let text = std::str::from_utf8(&bytes);
        let text = text.map_err(|_| ReadError::Token(TokenError::Unknown))?;
        Self::from_text(text).map_err(ReadError::Token)
    }

    /// Reads it from standard input.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn read_stdin() -> Result<Self, TokenError> {
        Self::read_from(io::stdin().lock()).map_err(|why| match why {
            ReadError::Io(why) => io_error(Path::new("standard input"), why),
            ReadError::Token(error) => error,
        })
    }

    /// All lines but the last.
    fn told(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(TOKEN_BYTES_MAX));
        let seed = Zeroizing::new(HEXLOWER.encode(&*self.key.seed()));
        text.push_str(HEAD);
        text.push_str(VERSION);
        for (name, value) in [
            ("ledger", &self.ledger_id.to_string()),
            ("identity", &self.identity.to_string()),
            ("service", &self.identity_urls.to_string()),
            ("key", &*seed),
        ] {
            text.push('\n');
            text.push_str(name);
            text.push(' ');
            text.push_str(value);
        }
        text.push('\n');
        text
    }
}

/// Why a token could not be read.
pub(crate) enum ReadError {
    Io(io::Error),
    Token(TokenError),
}

fn check(told: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(told.as_bytes())[..CHECK_BYTES])
}

fn io_error(path: &Path, why: io::Error) -> TokenError {
    TokenError::Io {
        path: path.to_owned(),
        why,
    }
}

#[cfg(test)]
mod tests;
