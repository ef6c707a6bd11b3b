//! Files that are written whole, once, and for their owner alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use super::KeysError;

/// Held while files are made. It stays behind, empty.
const LOCK: &str = ".lock";

/// The files of one folder.
#[derive(Debug, Clone)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder's mode, if there is one.
    pub(super) fn mode_of_folder(&self) -> Result<u32, KeysError> {
        match fs::metadata(&self.folder) {
            Ok(found) if found.is_dir() => Ok(found.permissions().mode() & 0o7777),
            Ok(_) => Err(KeysError::NoFolder(self.folder.clone())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(KeysError::NoFolder(self.folder.clone()))
            }
            Err(error) => Err(failed(self.folder.clone())(error)),
        }
    }

    /// A file's mode; none if it cannot be told, which reading it will say.
    pub(super) fn mode(&self, name: &str) -> Option<u32> {
        mode_of(&self.path(name))
    }

    /// Makes the folder if need be, and waits until no other process makes files in it.
    pub(super) fn lock(&self) -> Result<File, KeysError> {
        let failed = |path: &Path| failed(path.to_owned());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(failed(&self.folder))?;
        let path = self.path(LOCK);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(&path).map_err(failed(&path))?;
        lock.lock().map_err(failed(&path))?;
        Ok(lock)
    }

    /// The text of a file, without the line's end; none if there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<Zeroizing<String>>, KeysError> {
        read_text(&self.path(name))
    }

    /// The names of all files, in no order; none if there is no folder.
    pub(super) fn names(&self) -> Result<Vec<String>, KeysError> {
        let listed = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed,
        };
        let names = listed.and_then(|entries| {
            let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
            names.collect::<io::Result<Vec<_>>>()
        });
        let names = names.map_err(failed(self.folder.clone()))?;
        Ok(names.into_iter().flatten().collect())
    }

    /// Removes a file, if it is there. The folder is locked.
    pub(super) fn remove(&self, name: &str) -> Result<(), KeysError> {
        let removed = match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            removed => removed,
        };
        let removed = removed.and_then(|()| File::open(&self.folder)?.sync_all());
        removed.map_err(failed(self.path(name)))
    }

    /// Writes a new file; a power cut leaves it whole or not there. The folder is locked.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), KeysError> {
        self.write_new(name, text).map_err(failed(self.path(name)))
    }

    fn write_new(&self, name: &str, text: &str) -> io::Result<()> {
        let draft = self.path(&format!(".{name}.draft"));
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o400)
            .open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        // A link, unlike a rename, fails when the name is taken.
        let linked = fs::hard_link(&draft, self.path(name));
        fs::remove_file(&draft)?;
        linked?;
        File::open(&self.folder)?.sync_all()?;
        self.sync_parent()
    }

    /// The folder itself may be new.
    fn sync_parent(&self) -> io::Result<()> {
        let parent = self.folder.parent();
        match parent.filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// A file's mode; none if it cannot be told, which reading it will say.
pub(super) fn mode_of(path: &Path) -> Option<u32> {
    let found = fs::metadata(path).ok()?;
    Some(found.permissions().mode() & 0o7777)
}

/// The text of a file, without the line's end; none if there is no such file.
pub(super) fn read_text(path: &Path) -> Result<Option<Zeroizing<String>>, KeysError> {
    match fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) => Ok(Some(Zeroizing::new(text.trim().to_owned()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path.to_owned())(error)),
    }
}

fn failed(path: PathBuf) -> impl FnOnce(io::Error) -> KeysError {
    move |source| KeysError::Io { path, source }
}

pub(super) fn encode_hex(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(HEXLOWER.encode(bytes))
}

pub(super) fn decode_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let decoded = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes());
    decoded.ok().map(Zeroizing::new)
}
