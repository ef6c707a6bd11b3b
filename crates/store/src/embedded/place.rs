//! The file of a store: making it, opening it, and why it cannot be opened.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{DatabaseError, StorageBackend, StorageError};

/// Why a store's file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another handle of this one, has it open.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// It is no store, or what is in it cannot be read.
    #[error("{} is damaged or no store: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// A later version of this program wrote it.
    #[error("{} was written by a later version", .0.display())]
    Newer(PathBuf),
    /// The system refused.
    #[error("cannot open {}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl OpenError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(super) fn damaged(path: &Path, why: impl ToString) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            why: why.to_string(),
        }
    }

    /// What the engine's error means for the file.
    pub(super) fn engine(path: &Path, error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                Self::InUse(path.to_owned())
            }
            DatabaseError::Storage(StorageError::Io(source))
                if !matches!(
                    source.kind(),
                    ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof
                ) =>
            {
                Self::Io {
                    path: path.to_owned(),
                    source,
                }
            }
            other => Self::damaged(path, other),
        }
    }
}

/// Makes the file, readable by its owner alone, unless it is there; and the folders above it.
/// What was made survives a power cut when this returns.
pub(super) fn prepare(path: &Path) -> Result<(), OpenError> {
    let mut made = Vec::new();
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        made.extend(folder.ancestors().take_while(|folder| !folder.exists()));
        make_folder(folder).map_err(OpenError::io(folder))?;
    }
    match make_file(path) {
        Ok(_) => made.insert(0, path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(OpenError::io(path)(error)),
    }
    for made in made {
        let folder = made
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        sync_folder(folder).map_err(OpenError::io(folder))?;
    }
    Ok(())
}

/// The storage of a file that is there.
pub(super) fn storage(path: &Path) -> Result<Arc<dyn StorageBackend>, DatabaseError> {
    let opened = OpenOptions::new().read(true).write(true).open(path);
    let file = opened.map_err(|error| DatabaseError::Storage(StorageError::Io(error)))?;
    Ok(Arc::new(FileBackend::new(file)?))
}

#[cfg(unix)]
fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

#[cfg(not(unix))]
fn make_folder(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)
}

fn make_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened, and its entries are written with the file's.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
