//! The file: who may read it, who holds it, and what becomes of one that is not as it was left.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::ledger::Level;
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_store::conformance::fixtures::{Device, admissible, fresh_identity};
use edge_ledger_store::{Embedded, IdentityStore as _, LedgerStore as _, LogVersion};
use edge_ledger_store::{OpenError, Origin, StoreError};

async fn append(store: &Embedded, device: &Device, parent: Point, entries: usize) -> Point {
    let run = device.chain(parent, entries, 0);
    let runs = vec![admissible(&run)];
    store
        .append(device.identity(), LogVersion(0), Origin(1), runs)
        .await
        .unwrap();
    run.last()
}

async fn filled(file: &Path) -> Vec<(IdentityId, Point)> {
    let store = Embedded::open(file).unwrap();
    let mut kept = Vec::new();
    for _ in 0..20 {
        let device = Device::new(fresh_identity());
        kept.push((
            device.identity(),
            append(&store, &device, Point::START, 50).await,
        ));
    }
    kept
}

#[tokio::test]
async fn what_is_kept_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store");
    let kept = filled(&file).await;
    let store = Embedded::open(&file).unwrap();
    assert_eq!(store.level(), Level::Durable);
    assert_eq!(Embedded::in_memory().level(), Level::Volatile);
    for (identity, tip) in kept {
        let heads = store.heads(identity).await.unwrap().value;
        assert_eq!(heads.tips().map(|tip| tip.point).collect::<Vec<_>>(), [tip]);
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_what_is_made() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a").join("b");
    let file = deep.join("store");
    drop(Embedded::open(&file).unwrap());
    assert_eq!(mode(&file), 0o600);
    assert_eq!(
        (mode(&deep), mode(&folder.path().join("a"))),
        (0o700, 0o700)
    );
    let names: Vec<_> = std::fs::read_dir(&deep)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["store"], "nothing is left beside it");
}

#[tokio::test]
async fn one_at_a_time_has_it_open() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store");
    let store = Embedded::open(&file).unwrap();
    let clone = store.clone();
    let error = Embedded::open(&file).unwrap_err();
    assert!(matches!(&error, OpenError::InUse(path) if *path == file));
    assert_eq!(
        error.to_string(),
        format!("{} is in use by another process", file.display())
    );
    drop(store);
    assert!(matches!(Embedded::open(&file), Err(OpenError::InUse(_))));
    let device = Device::new(fresh_identity());
    append(&clone, &device, Point::START, 1).await;
    drop(clone);
    Embedded::open(&file).unwrap();
}

#[test]
fn many_that_make_it_at_once_end_up_with_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store");
    let open = || match Embedded::open(&file) {
        Ok(store) => Some(store),
        Err(OpenError::InUse(_)) => None,
        Err(other) => panic!("{other}"),
    };
    let stores: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(open)).collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(stores.len() <= 1);
    drop(stores);
    assert!(open().is_some());
}

#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store");
    for garbage in [
        &b"x"[..],
        &[0; 4096],
        &[0xff; 100_000],
        b"redb-almost-a-store",
    ] {
        std::fs::write(&file, garbage).unwrap();
        let error = Embedded::open(&file).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
        assert_eq!(std::fs::read(&file).unwrap(), garbage);
    }
    let error = Embedded::open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
    let error = Embedded::open(&file.join("below a file")).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
}

/// Opens it if that can be done, and asks for everything; says whether all of it was there. There
/// is no panic, and no answer but what was kept or a typed error. Rows may be gone: a page of the
/// engine's own is not checked when it is read, and the next hello of a device tells.
async fn open_and_ask(file: &Path, kept: &[(IdentityId, Point)]) -> bool {
    let store = match Embedded::open(file) {
        Ok(store) => store,
        Err(OpenError::Damaged { .. } | OpenError::Newer(_)) => return false,
        Err(other) => panic!("{other:?}"),
    };
    let mut whole = true;
    for (identity, tip) in kept {
        let pages = store.missing(*identity, &Have::new()).await;
        match pages.map(|page| page.value.runs) {
            Ok(runs) if runs.is_empty() => whole = false,
            Ok(runs) => assert_eq!(runs.last().map(|run| run.last), Some(*tip)),
            Err(StoreError::Damaged(_) | StoreError::Unavailable(_)) => whole = false,
            Err(other) => panic!("{other:?}"),
        }
        match store.log(*identity, 0).await {
            Ok(None) | Err(StoreError::Damaged(_) | StoreError::Unavailable(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    whole
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_a_typed_error() {
    let folder = tempfile::tempdir().unwrap();
    let (file, torn) = (folder.path().join("store"), folder.path().join("torn"));
    let kept = filled(&file).await;
    let whole = std::fs::read(&file).unwrap();
    let mut refused = 0;
    for part in 1..64 {
        std::fs::write(&torn, &whole[..whole.len() * part / 64]).unwrap();
        refused += usize::from(!open_and_ask(&torn, &kept).await);
    }
    assert!(refused > 30, "{refused}");
    std::fs::write(&torn, &whole).unwrap();
    assert!(open_and_ask(&torn, &kept).await);
}

#[tokio::test]
async fn a_file_with_overwritten_parts_answers_nothing_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (file, torn) = (folder.path().join("store"), folder.path().join("torn"));
    let kept = filled(&file).await;
    let whole = std::fs::read(&file).unwrap();
    for step in 0..96 {
        let mut damaged = whole.clone();
        let at = damaged.len() * step / 96;
        let len = [1, 8, 512, 4096][step % 4].min(damaged.len() - at);
        damaged[at..at + len]
            .iter_mut()
            .for_each(|byte| *byte ^= 0xa5);
        std::fs::write(&torn, &damaged).unwrap();
        open_and_ask(&torn, &kept).await;
    }
    // The header, byte by byte.
    for at in 0..320 {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        std::fs::write(&torn, &damaged).unwrap();
        open_and_ask(&torn, &kept).await;
    }
}
