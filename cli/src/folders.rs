//! Where things are kept when nobody says where.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

use crate::explain::Failure;

/// The folder of the device.
pub(crate) fn home(given: Option<&Path>) -> Result<PathBuf, Failure> {
    match given {
        Some(folder) => Ok(folder.to_owned()),
        None => Ok(own("--home")?.join("device")),
    }
}

/// The folder of the services' data.
pub(crate) fn data(given: Option<&Path>) -> Result<PathBuf, Failure> {
    match given {
        Some(folder) => Ok(folder.to_owned()),
        None => Ok(own("--data")?.join("server")),
    }
}

/// The folder of the services' keys: beside the data, so that whoever wipes the data leaves them.
pub(crate) fn keys(given: Option<&Path>, data: &Path) -> PathBuf {
    if let Some(folder) = given {
        return folder.to_owned();
    }
    let mut name = data.file_name().unwrap_or_default().to_owned();
    name.push("-keys");
    data.with_file_name(name)
}

/// As others on this machine would name it.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn own(option: &str) -> Result<PathBuf, Failure> {
    let strategy = etcetera::choose_base_strategy().map_err(|error| {
        Failure::refused("NO_FOLDER", format!("there is no data folder: {error}"))
            .next(format!("give a folder with {option} DIR"))
    })?;
    Ok(strategy.data_dir().join("edge-ledger"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_beside_the_data_and_never_in_it() {
        for (data, expected) in [
            ("/srv/ledger", "/srv/ledger-keys"),
            ("/srv/ledger/", "/srv/ledger-keys"),
            ("ledger", "ledger-keys"),
        ] {
            assert_eq!(keys(None, Path::new(data)), Path::new(expected));
        }
        let given = Path::new("/etc/keys");
        assert_eq!(keys(Some(given), Path::new("/srv/ledger")), given);
    }
}
