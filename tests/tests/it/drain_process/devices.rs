//! Devices with open streams, which read to the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::ledger::{Heads, Run};
use edge_ledger_core::sync::{Frame, GoAwayReason, Outcome};
use edge_ledger_store::redis::RedisStore;
use edge_ledger_tests::{Deployment, Identity, RawStream};
use tonic::Status;
use tonic::transport::Channel;

pub(super) const DEVICES: usize = 10;
/// Entries of each device: one that is acked before the end, one that the service has taken and
/// cannot commit yet, and one that is on its way when the service is told to end.
pub(super) const ENTRIES: u64 = 3;

/// A device with an open stream, and the entries that it makes.
pub(super) struct Device {
    pub(super) identity: IdentityId,
    pub(super) id: DeviceId,
    /// Its place in the identity.
    pub(super) place: usize,
    pub(super) stream: RawStream,
    pub(super) runs: Vec<Run>,
}

/// An identity whose devices have open streams, and got an ack each.
pub(super) async fn identity(
    deployment: &Deployment<RedisStore>,
    channel: Channel,
) -> anyhow::Result<(Identity, Vec<Device>)> {
    let mut identity = Identity::create(deployment, DEVICES).await?;
    let mut devices = Vec::new();
    for place in 0..DEVICES {
        let mut stream = RawStream::open_on(channel.clone()).await?;
        stream
            .say_hello(&identity, place, &Heads::default())
            .await?;
        let runs = (0..ENTRIES).map(|n| identity.credit(place, &format!("{place}-{n}"), 1));
        let runs = runs.collect::<anyhow::Result<Vec<Run>>>()?;
        let id = identity.devices[place].id();
        stream.push(vec![runs[0].clone()]).await?;
        while acked_seq(&stream.acks().await?, id) < 1 {}
        devices.push(Device {
            identity: identity.log.identity(),
            id,
            place,
            stream,
            runs,
        });
    }
    Ok((identity, devices))
}

pub(super) fn acked_seq(acks: &[edge_ledger_core::sync::AckParts], device: DeviceId) -> u64 {
    let own = acks.iter().filter(|ack| ack.device == device);
    own.map(|ack| ack.point.seq).max().unwrap_or(0)
}

/// What a device saw of its stream until the end.
pub(super) struct Seen {
    pub(super) device: Device,
    pub(super) acked_seq: u64,
    /// Entries that were said to be kept.
    pub(super) taken: u64,
    pub(super) farewell: bool,
    pub(super) status: Status,
}

/// Sends what is left, and reads to the end.
pub(super) async fn read_to_the_end(
    device: Device,
    not_serving: Arc<AtomicBool>,
) -> anyhow::Result<Seen> {
    let id = device.id;
    let mut seen = Seen {
        device,
        acked_seq: 1,
        taken: 1,
        farewell: false,
        status: Status::ok(""),
    };
    let Device { stream, runs, .. } = &mut seen.device;
    for run in &runs[2..] {
        // The service may have ended the stream by then.
        let _ = stream.push(vec![run.clone()]).await;
    }
    loop {
        match stream.next().await? {
            Ok(Frame::Acks(acks)) => {
                assert!(!seen.farewell, "an ack after the farewell");
                let acked = acked_seq(&acks, id);
                // Redis goes on only then.
                let told = not_serving.load(Ordering::SeqCst);
                assert!(acked < 2 || told, "acked before it said that it ends");
                seen.acked_seq = seen.acked_seq.max(acked);
            }
            Ok(Frame::Taken { outcomes, .. }) => {
                assert_eq!(outcomes, [Outcome::Kept]);
                seen.taken += 1;
            }
            Ok(Frame::GoAway { reason, .. }) => {
                assert_eq!(reason, GoAwayReason::Draining);
                seen.farewell = true;
            }
            Ok(_) => {}
            Err(status) => {
                seen.status = status;
                return Ok(seen);
            }
        }
    }
}
