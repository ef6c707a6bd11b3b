//! The file of a store: making it, opening it, and why it cannot be opened.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{DatabaseError, StorageBackend, StorageError};

use super::engine::builder;
use super::fault::Fault;

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

    /// What a fault means for the file.
    pub(super) fn fault(path: &Path, fault: impl Into<Fault>) -> Self {
        let torn = [
            ErrorKind::InvalidData,
            ErrorKind::InvalidInput,
            ErrorKind::UnexpectedEof,
        ];
        let path = path.to_owned();
        match fault.into() {
            Fault::Engine(redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch) => {
                Self::InUse(path)
            }
            Fault::Engine(redb::Error::Io(source)) if !torn.contains(&source.kind()) => {
                Self::Io { path, source }
            }
            fault @ (Fault::Engine(_) | Fault::Damaged(_) | Fault::Panicked) => Self::Damaged {
                path,
                why: fault.to_string(),
            },
        }
    }
}

/// Makes the file, readable by its owner alone, and the folders above it, unless they are there.
/// What was made survives a power cut when this returns.
///
/// The file is filled beside its place and then moved there: if it were filled in place, a power
/// cut would leave something that is neither a store nor nothing.
pub(super) fn prepare(path: &Path) -> Result<(), OpenError> {
    if path.exists() {
        return Ok(());
    }
    let folder = above(path);
    let missing = folder.ancestors().take_while(|folder| !folder.exists());
    let extended: Vec<_> = missing.map(above).collect();
    make_folder(folder).map_err(OpenError::io(folder))?;
    for folder in extended {
        sync_folder(folder).map_err(OpenError::io(folder))?;
    }
    let draft = path.with_added_extension("new");
    fill(path, &draft)?;
    sync_folder(folder).map_err(OpenError::io(folder))
}

/// Fills the draft of a file and moves it to its place, unless another process did.
fn fill(path: &Path, draft: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(draft).map_err(OpenError::io(draft))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => return Err(OpenError::io(draft)(error)),
    }
    if path.exists() {
        // It was moved there, or made, before the lock was ours.
        let _ = std::fs::remove_file(draft);
        return Ok(());
    }
    let engine = |error: DatabaseError| OpenError::fault(path, error);
    file.set_len(0).map_err(OpenError::io(draft))?;
    let shared = file.try_clone().map_err(OpenError::io(draft))?;
    let storage = FileBackend::new(shared).map_err(engine)?;
    let database = builder().create_with_backend(storage).map_err(engine)?;
    // Moved while it is open, because closing it gives the lock back.
    std::fs::rename(draft, path).map_err(OpenError::io(path))?;
    drop(database);
    file.sync_all().map_err(OpenError::io(path))
}

/// The storage of a file that is there.
pub(super) fn storage(path: &Path) -> Result<Arc<dyn StorageBackend>, DatabaseError> {
    let opened = OpenOptions::new().read(true).write(true).open(path);
    let file = opened.map_err(|error| DatabaseError::Storage(StorageError::Io(error)))?;
    Ok(Arc::new(FileBackend::new(file)?))
}

/// The folder that a path is in.
fn above(path: &Path) -> &Path {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
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

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened, and its entries are written with the file's.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
