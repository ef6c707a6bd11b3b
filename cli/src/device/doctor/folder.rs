//! The home folder, as everybody can see it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use device_agent::HomeError;
use device_agent::probe::Home;

use super::Check;
use crate::device::state::recovery_unfinished;
use crate::explain::Failure;
use crate::limits::{SPACE_LOW_BYTES, SPACE_NONE_BYTES};

/// Files that hold keys.
const SECRETS: [&str; 4] = [
    "device.key",
    "identity.key",
    "next-identity.key",
    "client.pem",
];

pub(super) fn checks(home: &Path, known: &Result<Home, HomeError>) -> Vec<Check> {
    let mut checks = vec![device(home, known)];
    if home.is_dir() {
        checks.push(permissions(home));
        checks.push(space(home));
        checks.extend(recovery(home));
    }
    checks
}

fn device(home: &Path, known: &Result<Home, HomeError>) -> Check {
    match known {
        Ok(device) => Check::ok("device", format!("{} in {}", device.device, home.display())),
        Err(HomeError::Empty(folder)) => Check::fail(
            "device",
            format!("there is none in {folder}"),
            "make an identity with `edge-ledger init`, or join one with `edge-ledger join CODE`",
        ),
        Err(error) => {
            let fix =
                "keep the folder, and join anew in another: `edge-ledger --home DIR join CODE`";
            Check::fail("device", error.to_string(), fix)
        }
    }
}

/// Whether only its owner can read folder and keys.
fn permissions(home: &Path) -> Check {
    let named = SECRETS.iter().map(|name| home.join(name));
    let mut open = Vec::new();
    for path in [home.to_owned()].into_iter().chain(named) {
        match fs::metadata(&path) {
            Ok(found) if found.permissions().mode() & 0o077 != 0 => {
                open.push(path.display().to_string());
            }
            Ok(_) => {}
            // Not every device has every key.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let says = format!("{}: {error}", path.display());
                return Check::fail("permissions", says, "run it as the owner of the folder");
            }
        }
    }
    if open.is_empty() {
        return Check::ok("permissions", "only its owner can read it");
    }
    let open = open.join(" ");
    let says = format!("others can read or write {open}");
    Check::warn("permissions", says, format!("chmod go= {open}"))
}

/// Whether a recovery stopped before it came to the other devices.
fn recovery(home: &Path) -> Option<Check> {
    let fix = "type `edge-ledger recover --revoke-others` again, or `edge-ledger recover`, to let \
               them";
    let says = "it was interrupted: the other devices of the identity can still speak";
    recovery_unfinished(home).then(|| Check::warn("recovery", says, fix))
}

fn space(home: &Path) -> Check {
    let free = match rustix::fs::statvfs(home) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => {
            let failure = Failure::refused("HOME_IO", format!("the disk does not say: {error}"));
            return Check::failed("space", failure, "try again");
        }
    };
    let says = format!("{} MiB free", free >> 20);
    let fix = "make room on the disk: without it nothing can be recorded";
    if free < SPACE_NONE_BYTES {
        Check::fail("space", says, fix)
    } else if free < SPACE_LOW_BYTES {
        Check::warn("space", says, fix)
    } else {
        Check::ok("space", says)
    }
}
