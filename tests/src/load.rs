//! Load that notices every loss: devices that push entry after entry through a service, each again
//! until it is acked, and never again after that. So what was acked and lost stays lost, and the
//! next entry finds no parent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use edge_ledger_core::identity::Point;
use edge_ledger_core::ledger::{Heads, Level, Run, Tip};
use edge_ledger_core::sync::Outcome;
use edge_ledger_store::conformance::Stores;
use edge_ledger_store::conformance::fixtures::all_runs;
use tokio::task::JoinSet;

use crate::identity::Store;
use crate::{Deployment, Identity, RawStream};

/// The pause before a device comes again.
const PAUSE: Duration = Duration::from_millis(20);
/// How often the progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Devices under load, each of an identity of its own.
#[derive(Debug)]
pub struct Load {
    state: Arc<State>,
    devices: JoinSet<anyhow::Result<Device>>,
}

#[derive(Debug, Default)]
struct State {
    stop: AtomicBool,
    acked: AtomicUsize,
    broken: AtomicUsize,
}

struct Device {
    identity: Identity,
    url: String,
    acked: Vec<Point>,
    pending: Option<Run>,
}

/// What became of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Entries that were acked.
    pub acked: usize,
    /// Those of them that are not kept.
    pub lost: usize,
    /// Entries that are kept more than once, or that no device was acked for.
    pub duplicated: usize,
    /// Streams that broke off.
    pub broken: usize,
}

impl Load {
    /// Starts so many devices, which dial an address.
    ///
    /// # Errors
    /// When an identity cannot be made.
    pub async fn start<S: Store>(
        deployment: &Deployment<S>,
        devices: usize,
        url: &str,
    ) -> anyhow::Result<Self> {
        let state = Arc::new(State::default());
        let mut tasks = JoinSet::new();
        for _ in 0..devices {
            let device = Device {
                identity: Identity::create(deployment, 1).await?,
                url: url.to_owned(),
                acked: Vec::new(),
                pending: None,
            };
            tasks.spawn(device.run(Arc::clone(&state)));
        }
        Ok(Self {
            state,
            devices: tasks,
        })
    }

    /// Streams that broke off until now.
    pub fn broken(&self) -> usize {
        self.state.broken.load(Ordering::Relaxed)
    }

    /// Waits until so many more entries were acked.
    ///
    /// # Errors
    /// When a device gave up: something acked was lost.
    pub async fn go_on(&mut self, more: usize) -> anyhow::Result<()> {
        let enough = self.state.acked.load(Ordering::Relaxed) + more;
        while self.state.acked.load(Ordering::Relaxed) < enough {
            if let Some(ended) = self.devices.try_join_next() {
                ended??;
                anyhow::bail!("a device stopped by itself");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Stops when everything is acked, and looks what the store keeps.
    ///
    /// # Errors
    /// When a device gave up, or the store cannot be read.
    pub async fn stop_and_count<S: Store>(self, store: &S) -> anyhow::Result<Report> {
        self.state.stop.store(true, Ordering::Relaxed);
        let store = Arc::new(store.clone());
        let stores = Stores {
            identity: store.clone(),
            ledger: store.clone(),
            operator: store,
            keep: Box::new(()),
        };
        let mut report = Report {
            acked: 0,
            lost: 0,
            duplicated: 0,
            broken: self.broken(),
        };
        for device in self.devices.join_all().await {
            device?.count(&stores, &mut report).await;
        }
        Ok(report)
    }
}

impl Device {
    async fn run(mut self, state: Arc<State>) -> anyhow::Result<Self> {
        while self.pending.is_some() || !state.stop.load(Ordering::Relaxed) {
            if let Ok(mut stream) = self.connect().await {
                // A stream that breaks off is what a load is for.
                while !(state.stop.load(Ordering::Relaxed) && self.pending.is_none()) {
                    match self.push(&mut stream).await {
                        Ok(true) => state.acked.fetch_add(1, Ordering::Relaxed),
                        Ok(false) => anyhow::bail!("an acked entry was lost"),
                        Err(_) => break,
                    };
                }
            }
            state.broken.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(PAUSE).await;
        }
        Ok(self)
    }

    async fn connect(&self) -> anyhow::Result<RawStream> {
        let device = self.identity.devices[0].id();
        let tips = self.acked.last().map(|point| Tip {
            device,
            point: *point,
        });
        let heads = Heads::new(tips);
        RawStream::hello(&self.url, &self.identity, 0, &heads).await
    }

    /// Pushes the entry that is not acked, or makes the next. Says `false` if it finds no parent.
    async fn push(&mut self, stream: &mut RawStream) -> anyhow::Result<bool> {
        let run = match self.pending.take() {
            Some(run) => run,
            None => self
                .identity
                .credit(0, &format!("k{}", self.acked.len()), 1)?,
        };
        self.pending = Some(run.clone());
        let outcomes = stream.push_taken(vec![run]).await?;
        if outcomes == [Outcome::Waiting] {
            return Ok(false);
        }
        anyhow::ensure!(outcomes == [Outcome::Kept], "{outcomes:?}");
        let tip = self.identity.devices[0].tip;
        loop {
            let acks = stream.acks().await.context("no ack")?;
            let is_it = |level| level == Level::Durable;
            if acks.iter().any(|ack| ack.point == tip && is_it(ack.level)) {
                break;
            }
        }
        self.pending = None;
        self.acked.push(tip);
        Ok(true)
    }

    async fn count(self, stores: &Stores, report: &mut Report) {
        let identity = self.identity.log.identity();
        let mut kept = 0;
        for run in all_runs(stores, identity).await {
            kept += run.run.payloads.len();
        }
        let tips = stores.ledger.heads(identity).await;
        let tips = tips.map(|heads| heads.value.of(&self.identity.devices[0].id()).to_vec());
        let ends_there = tips.is_ok_and(|tips| tips.last() == self.acked.last() && tips.len() <= 1);
        report.acked += self.acked.len();
        // An entry covers all below it: where a journal ends in the last ack, nothing is lost.
        report.lost += match ends_there {
            true => self.acked.len().saturating_sub(kept),
            false => self.acked.len(),
        };
        report.duplicated += kept.saturating_sub(self.acked.len());
    }
}
