//! The embedded store on disks that fail, and what it keeps beside the seams.

mod damage;
mod device_room;
mod disk;
mod faults;
mod housekeeping;
mod power;
mod renewal;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::IdentityId;
use edge_ledger_core::ledger::{Extended, Level, VerifiedRun};

use super::{Embedded, OpenError, PROBE_EVERY};
use crate::conformance::fixtures::{Device, admissible};
use crate::ledger::AppendOutcome;
use crate::{LedgerStore as _, LogVersion, Origin, StoreError};
use disk::Disk;

/// Opens the store on a simulated disk, with a committer thread as on a real one.
fn open_on(disk: &Arc<Disk>) -> Result<Embedded, OpenError> {
    open_probing(disk, PROBE_EVERY)
}

/// Opens the store on a simulated disk, where it looks that often whether there is room again.
fn open_probing(disk: &Arc<Disk>, probe_every: Duration) -> Result<Embedded, OpenError> {
    let disk = Arc::clone(disk);
    let storage = Box::new(move || Ok(Arc::clone(&disk) as _));
    Embedded::with_storage(Path::new("disk"), Level::Durable, storage, probe_every)
}

async fn append(
    store: &Embedded,
    identity: IdentityId,
    run: &VerifiedRun,
) -> Result<Extended, StoreError> {
    let runs = vec![admissible(run)];
    let outcome = store
        .append(identity, LogVersion(0), Origin(1), runs)
        .await?;
    let AppendOutcome::Appended(mut outcomes) = outcome else {
        panic!("the log did not move")
    };
    Ok(outcomes.remove(0))
}

async fn tips(store: &Embedded, identity: IdentityId, device: &Device) -> Vec<Point> {
    store
        .heads(identity)
        .await
        .unwrap()
        .value
        .of(&device.id)
        .to_vec()
}
