//! Clients that ask for megabytes and never read them.

use anyhow::Context as _;
use bytes::Bytes;
use edge_ledger_core::ledger::posting::EventKey;
use edge_ledger_core::ledger::{Heads, Kind, Posting, Run};
use edge_ledger_core::sync::{Frame, Outcome};
use edge_ledger_tests::{Identity, RawStream};
use tonic::transport::{Channel, Endpoint};

use super::site::Site;

/// Entries of about 200 KiB that wait for those who never read.
const LARGE: u32 = 40;
/// More than all of them.
const WINDOW_BYTES: u32 = 64 << 20;

/// An entry of about 200 KiB.
fn large(identity: &mut Identity, number: u32) -> anyhow::Result<Run> {
    let posting = |index: u32| {
        let key = EventKey::new(Bytes::from(format!("{number}-{index}")))?;
        Posting::new(Kind::Credit, key, 1)?.with_memo("x".repeat(128))
    };
    let postings: Result<Vec<Posting>, _> = (0..1_000).map(posting).collect();
    identity.entry(0, postings?)
}

/// An identity with megabytes that two of its devices lack.
pub(super) async fn heavy(site: &Site, url: &str) -> anyhow::Result<Identity> {
    let mut identity = Identity::create(&site.deployment, 3).await?;
    let mut writer = RawStream::hello(url, &identity, 0, &Heads::default()).await?;
    for number in 0..LARGE {
        let run = large(&mut identity, number)?;
        assert_eq!(writer.push_taken(vec![run]).await?, [Outcome::Kept]);
    }
    Ok(identity)
}

/// Asks for everything, and reads no further than the beginning.
pub(super) async fn ask_for_all(
    channel: Channel,
    identity: &Identity,
    device: usize,
) -> anyhow::Result<RawStream> {
    let mut stream = RawStream::open_on(channel).await?;
    stream
        .say_hello(identity, device, &Heads::default())
        .await?;
    stream.send(Frame::Heads(Heads::default())).await?;
    let begins = |frame| matches!(frame, Frame::Runs { .. }).then_some(());
    stream.until(begins).await?;
    Ok(stream)
}

/// A client whose machine stands still: nobody reads its end of the connection, into which goes
/// what the systems of both ends take.
pub(super) struct Frozen {
    until: std::sync::mpsc::Sender<()>,
    machine: std::thread::JoinHandle<anyhow::Result<()>>,
}

impl Frozen {
    /// Returns when it stands still.
    pub(super) fn start(url: String, identity: Identity) -> anyhow::Result<Self> {
        let (until, thawed) = std::sync::mpsc::channel();
        let (frozen, is_frozen) = std::sync::mpsc::channel();
        let machine = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build()?;
            let asked = runtime.block_on(async {
                let endpoint = Endpoint::from_shared(url)?
                    .initial_stream_window_size(WINDOW_BYTES)
                    .initial_connection_window_size(WINDOW_BYTES);
                ask_for_all(endpoint.connect().await?, &identity, 2).await
            })?;
            frozen.send(())?;
            // Nobody drives its runtime.
            let _ = thawed.recv();
            drop(asked);
            anyhow::Ok(())
        });
        is_frozen.recv().context("it never stood still")?;
        Ok(Self { until, machine })
    }

    pub(super) fn thaw(self) -> anyhow::Result<()> {
        drop(self.until);
        let ended = self.machine.join();
        ended.map_err(|_| anyhow::anyhow!("a panic"))?
    }
}
