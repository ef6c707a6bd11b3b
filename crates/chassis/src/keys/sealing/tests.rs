//! Sealing keys that follow each other, in one folder and in copies of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::super::Choices;
use super::*;
use crate::limits::RELOAD_EVERY;

fn made(place: &tempfile::TempDir) -> std::path::PathBuf {
    let folder = place.path().join("keys");
    KeysFolder::open_or_init(&folder, &Choices::default()).unwrap();
    folder
}

fn load(folder: &Path) -> Sealing {
    let loaded = Sealing::load(KeysFolder::at(folder));
    loaded.unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn rotate(folder: &Path) -> u64 {
    KeysFolder::at(folder).rotate_sealing().unwrap().serial
}

/// Which key seals, and which open.
fn in_use(sealing: &Sealing) -> (u64, Vec<u64>) {
    let keys = sealing.current();
    (keys.sealing().serial, keys.serials())
}

/// Looks so often, and says how often something changed.
fn look(sealing: &Sealing, looks: u32) -> usize {
    let looked = (0..looks).filter(|_| sealing.reload().unwrap());
    looked.count()
}

#[test]
fn a_new_key_opens_at_once_and_seals_when_others_have_it() {
    let place = tempfile::tempdir().unwrap();
    let folder = made(&place);
    let sealing = load(&folder);
    assert_eq!(in_use(&sealing), (1, vec![1]));
    assert_eq!(look(&sealing, 2 * SEAL_LOOKS), 0, "nothing changed");

    assert_eq!(rotate(&folder), 2);
    assert_eq!(look(&sealing, 1), 1);
    assert_eq!(in_use(&sealing), (1, vec![2, 1]));
    assert_eq!(look(&sealing, SEAL_LOOKS - 1), 0);
    // Who starts meanwhile does not run ahead.
    let started = load(&folder);
    assert_eq!(in_use(&started), (1, vec![2, 1]));
    assert_eq!(look(&sealing, 1), 1);
    assert_eq!(in_use(&sealing), (2, vec![2, 1]));
    assert_eq!(look(&started, SEAL_LOOKS - 1), 0);
    assert_eq!(look(&started, 1), 1);
    assert_eq!(in_use(&started), (2, vec![2, 1]));
    // The next one does not bring back the one before.
    assert_eq!(rotate(&folder), 3);
    assert_eq!(look(&sealing, 1), 1);
    assert_eq!(in_use(&sealing), (2, vec![3, 2, 1]));
}

#[test]
fn what_is_taken_away_opens_nothing_any_more() {
    let place = tempfile::tempdir().unwrap();
    let folder = made(&place);
    rotate(&folder);
    let sealing = load(&folder);
    let first = *sealing.current().sealing().as_bytes();
    fs::remove_file(folder.join("sealing.key")).unwrap();
    assert_eq!(look(&sealing, 1), 1);
    assert_eq!(in_use(&sealing), (2, vec![2]));
    assert_ne!(sealing.current().sealing().as_bytes(), &first);
    assert_eq!(in_use(&load(&folder)), (2, vec![2]));
    // A start makes no first one anew.
    KeysFolder::open_or_init(&folder, &Choices::default()).unwrap();
    assert!(!folder.join("sealing.key").exists());
    // Another key under the same number is another key.
    fs::remove_file(folder.join("sealing-2.key")).unwrap();
    fs::write(folder.join("sealing-2.key"), "07".repeat(32)).unwrap();
    fs::set_permissions(
        folder.join("sealing-2.key"),
        fs::Permissions::from_mode(0o400),
    )
    .unwrap();
    assert_eq!(look(&sealing, 1), 1);
    assert_eq!(sealing.current().sealing().as_bytes(), &[7; 32]);
}

#[test]
fn the_latest_stay_and_older_ones_are_removed() {
    let place = tempfile::tempdir().unwrap();
    let folder = made(&place);
    let this = KeysFolder::at(&folder);
    let rotated: Vec<_> = (0..4).map(|_| this.rotate_sealing().unwrap()).collect();
    assert_eq!(rotated[0].files, ["sealing-2.key"]);
    let retired: Vec<_> = rotated.iter().map(|rotated| &rotated.retired[..]).collect();
    assert_eq!(retired, [&[][..], &[], &[1], &[2]]);
    assert_eq!(
        this.sealing_key_files(),
        ["sealing-3.key", "sealing-4.key", "sealing-5.key"]
    );
    let mode = fs::metadata(folder.join("sealing-5.key")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o400);
    // Who keeps more in its folder uses no more.
    fs::copy(folder.join("sealing-3.key"), folder.join("sealing-2.key")).unwrap();
    assert_eq!(in_use(&load(&folder)), (4, vec![5, 4, 3]));
    let nowhere = KeysFolder::at(&place.path().join("nowhere")).rotate_sealing();
    assert!(matches!(nowhere, Err(KeysError::NoFolder(_))));
}

#[test]
fn a_key_that_cannot_be_used_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let folder = made(&place);
    let sealing = load(&folder);
    let second = folder.join("sealing-2.key");
    let complains = || {
        let mut errors = sealing.reload().unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(!sealing.reload().unwrap(), "it is complained of once");
        assert_eq!(sealing.look(true).unwrap_err().len(), 1, "and again later");
        assert_eq!(in_use(&sealing), (1, vec![1]));
        errors.remove(0)
    };
    fs::write(&second, "zz").unwrap();
    fs::set_permissions(&second, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(complains(), KeysError::Exposed { path, .. } if path == second));
    fs::set_permissions(&second, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(complains(), KeysError::Damaged { path, .. } if path == second));
    fs::remove_file(&second).unwrap();
    fs::rename(folder.join("sealing.key"), place.path().join("away")).unwrap();
    assert!(matches!(complains(), KeysError::Missing(path) if path == folder.join("sealing.key")));
    fs::rename(place.path().join("away"), folder.join("sealing.key")).unwrap();
    rotate(&folder);
    assert_eq!(look(&sealing, 1), 1);
    assert_eq!(in_use(&sealing), (1, vec![2, 1]));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_put_there_is_gone_over_to_while_it_runs() {
    let place = tempfile::tempdir().unwrap();
    let folder = made(&place);
    let sealing = load(&folder);
    let stopping = CancellationToken::new();
    let mut following = std::pin::pin!(sealing.clone().follow(stopping.clone()));
    let mut after = async |looks: u32| {
        let time = RELOAD_EVERY * looks + Duration::from_millis(1);
        let _ = tokio::time::timeout(time, following.as_mut()).await;
        in_use(&sealing)
    };
    rotate(&folder);
    assert_eq!(after(2).await, (1, vec![2, 1]));
    assert_eq!(after(SEAL_LOOKS).await, (2, vec![2, 1]));
    stopping.cancel();
    following.await;
}
