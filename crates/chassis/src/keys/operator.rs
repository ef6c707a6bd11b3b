//! The operator's token, which opens the operator listener of a service.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::file::{Files, mode_of, read_text};
use super::{KeysError, OPEN_KEY};
use crate::watched;

/// What is wrong with a file that should hold a token.
const NO_TOKEN: &str = "it is not 43 characters of base64url";

/// The token that opens the operator listener: only its hash is kept. Another one that is put into
/// its file takes its place. Clones share it. It has no `Debug`.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "secrets have no Debug")]
pub struct OperatorToken(Arc<Shared>);

struct Shared {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    hash: [u8; 32],
    /// What was complained of last.
    complaint: Option<String>,
}

impl OperatorToken {
    /// Makes a file with a new token, for its owner alone. One that is there stays.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn make(path: &Path) -> Result<(), KeysError> {
        if path.exists() {
            return Err(KeysError::Exists(path.to_owned()));
        }
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let files = Files::new(folder.unwrap_or(Path::new(".")));
        let name = path.file_name().map(|name| name.to_string_lossy());
        let secret: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        let text = Zeroizing::new(BASE64URL_NOPAD.encode(&*secret));
        files.write(&name.unwrap_or_default(), &text)
    }

    /// Reads the token of a file.
    ///
    /// # Errors
    /// [`KeysError`] when there is none, when it is open to others, or no token.
    pub fn load(path: &Path) -> Result<Self, KeysError> {
        let hash = hash(&Self::text(path)?);
        let state = State {
            hash,
            complaint: None,
        };
        Ok(Self(Arc::new(Shared {
            path: path.to_owned(),
            state: Mutex::new(state),
        })))
    }

    /// The text of a file's token, as whoever shows it needs it.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn text(path: &Path) -> Result<Zeroizing<String>, KeysError> {
        let mode = mode_of(path).filter(|mode| mode & OPEN_KEY != 0);
        if let Some(mode) = mode {
            let path = path.to_owned();
            return Err(KeysError::Exposed { path, mode });
        }
        let text = read_text(path)?.ok_or_else(|| KeysError::Missing(path.to_owned()))?;
        let decoded = BASE64URL_NOPAD.decode(text.as_bytes()).map(Zeroizing::new);
        if decoded.is_ok_and(|secret| secret.len() == 32) {
            Ok(text)
        } else {
            Err(KeysError::Damaged {
                path: path.to_owned(),
                why: NO_TOKEN.to_owned(),
            })
        }
    }

    /// Whether what somebody shows is the token.
    pub fn fits(&self, shown: &str) -> bool {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        bool::from(state.hash.ct_eq(&hash(shown)))
    }

    /// Looks at the file again and again, until it is stopped.
    pub async fn follow(self, stopping: CancellationToken) {
        let looking = self.clone();
        watched::follow(
            stopping,
            move |again| looking.look(again),
            || tracing::info!("another operator token is in use from now on"),
            |errors: &[KeysError]| {
                for error in errors {
                    let next = error.what_to_do();
                    tracing::error!(%error, next, "the operator token cannot be read, the old one stays");
                }
            },
        )
        .await;
    }

    /// Goes over to another token, if there is one in the file; says whether it did.
    fn look(&self, again: bool) -> Result<bool, Vec<KeysError>> {
        let read = Self::text(&self.0.path).map(|text| hash(&text));
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(hash) => {
                state.complaint = None;
                let is_other = hash != state.hash;
                state.hash = hash;
                Ok(is_other)
            }
            Err(error) => {
                let complaint = Some(format!("{error:?}"));
                if state.complaint == complaint && !again {
                    return Ok(false);
                }
                state.complaint = complaint;
                Err(vec![error])
            }
        }
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_made_once_for_its_owner_and_opens_nothing_but_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.token");
        OperatorToken::make(&path).unwrap();
        assert_eq!(mode_of(&path), Some(0o400));
        let text = OperatorToken::text(&path).unwrap();
        let token = OperatorToken::load(&path).unwrap();
        assert!(token.fits(&text));
        for other in ["", "x", &text[1..], &format!("{}=", *text)] {
            assert!(!token.fits(other), "{other}");
        }
        let again = OperatorToken::make(&path);
        assert!(matches!(again, Err(KeysError::Exists(_))), "{again:?}");
        assert!(token.fits(&OperatorToken::text(&path).unwrap()));
    }

    #[test]
    fn what_is_no_token_or_open_to_others_is_refused_and_the_old_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.token");
        let missing = OperatorToken::load(&path).err();
        assert!(matches!(missing, Some(KeysError::Missing(_))));
        OperatorToken::make(&path).unwrap();
        let text = OperatorToken::text(&path).unwrap();
        let token = OperatorToken::load(&path).unwrap();
        assert!(!token.look(false).unwrap(), "nothing is new");
        fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
        assert!(matches!(
            token.look(false).unwrap_err()[..],
            [KeysError::Exposed { .. }]
        ));
        assert!(!token.look(false).unwrap(), "it is complained of once");
        assert!(token.look(true).is_err());
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short\n").unwrap();
        assert!(matches!(
            token.look(false).unwrap_err()[..],
            [KeysError::Damaged { .. }]
        ));
        assert!(token.fits(&text));
        fs::remove_file(&path).unwrap();
        OperatorToken::make(&path).unwrap();
        assert!(token.look(false).unwrap());
        assert!(!token.fits(&text) && token.fits(&OperatorToken::text(&path).unwrap()));
    }
}
