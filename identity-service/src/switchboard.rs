//! Who is listening here, by identity: what the store passes on of a device goes to the streams of
//! the others.
//!
//! One task reads the store's feed, and waits for nobody: a device that does not take what it hears
//! is cut off when its queue is full.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use edge_ledger_chassis::Tasks;
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_store::{Change, ChangeFeed, DeviceSignal, SignalWord, StreamPlace};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};

use crate::limits::SIGNALS_WAITING_MAX;
use crate::sessions::Session;

/// Why a stream is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Another one of its device was opened later.
    Superseded,
    /// Its device does not take what it hears.
    Slow,
}

/// The streams of one identity here, and what was heard of its devices.
#[derive(Default)]
struct Group {
    streams: Vec<Listening>,
    /// The devices that are there, each with its last stream that was heard of. Nothing is in it
    /// that is no device of the identity's log.
    there: BTreeMap<DeviceId, StreamPlace>,
}

struct Listening {
    number: u64,
    device: DeviceId,
    place: StreamPlace,
    heard: mpsc::Sender<DeviceSignal>,
    cut: watch::Sender<Option<Cut>>,
}

type Groups = Mutex<BTreeMap<IdentityId, Group>>;

/// Passes on what devices say.
#[derive(Clone, Default)]
pub(crate) struct Switchboard {
    groups: Arc<Groups>,
    numbers: Arc<AtomicU64>,
}

/// One stream's place at the switchboard, until it is dropped.
pub(crate) struct Line {
    identity: IdentityId,
    number: u64,
    heard: mpsc::Receiver<DeviceSignal>,
    cut: watch::Receiver<Option<Cut>>,
    groups: Arc<Groups>,
}

impl Switchboard {
    /// Reads a feed until the service stops.
    pub(crate) fn start(tasks: &Tasks, mut feed: ChangeFeed) -> Self {
        let switchboard = Self::default();
        let (reader, stopping) = (switchboard.clone(), tasks.stopping());
        tasks.spawn(async move {
            while let Some(change) = stopping.run_until_cancelled(feed.recv()).await {
                match change {
                    Ok(Change::Signal(signal)) => reader.pass_on(signal),
                    // What was missed is said again by whoever needs it to be heard.
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                }
            }
        });
        switchboard
    }

    /// Listens for the device of a session from now on. Older streams of it are cut off, and so is
    /// this one if a later one is here.
    pub(crate) fn line(&self, session: &Session, place: StreamPlace) -> Line {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (sender, heard) = mpsc::channel(SIGNALS_WAITING_MAX);
        let (cut, cut_off) = watch::channel(None);
        let mut groups = lock(&self.groups);
        let group = groups.entry(session.identity).or_default();
        group.streams.push(Listening {
            number,
            device: session.device,
            place,
            heard: sender,
            cut,
        });
        let of_device = group.streams.iter();
        let of_device = of_device.filter(|stream| stream.device == session.device);
        let last = of_device.map(|stream| stream.place).max();
        group.opened(session.device, last.unwrap_or(place));
        Line {
            identity: session.identity,
            number,
            heard,
            cut: cut_off,
            groups: Arc::clone(&self.groups),
        }
    }

    fn pass_on(&self, signal: DeviceSignal) {
        if let Some(group) = lock(&self.groups).get_mut(&signal.identity) {
            group.pass_on(signal);
        }
    }
}

impl Group {
    fn pass_on(&mut self, signal: DeviceSignal) {
        match signal.word {
            SignalWord::Opened { place } => {
                self.opened(signal.from, place);
                // Whoever knew the stream before hears that it ended, so that the beacon that comes
                // next is one of a device that it hears for the first time, and is answered.
                if self
                    .there
                    .get(&signal.from)
                    .is_some_and(|known| *known < place)
                {
                    let word = SignalWord::Left { place };
                    self.tell(&DeviceSignal { word, ..signal });
                }
                let last = self.there.entry(signal.from).or_default();
                *last = place.max(*last);
            }
            SignalWord::Left { place } => {
                // What ended may not be what is there by now.
                if self
                    .there
                    .get(&signal.from)
                    .is_none_or(|last| *last <= place)
                {
                    self.there.remove(&signal.from);
                    self.tell(&signal);
                }
            }
            SignalWord::Beacon { .. } => {
                self.there.entry(signal.from).or_default();
                self.tell(&signal);
            }
            SignalWord::Signal(_) => self.tell(&signal),
        }
    }

    /// Cuts off the streams of a device that were opened before this one.
    fn opened(&mut self, device: DeviceId, place: StreamPlace) {
        self.streams.retain(|stream| {
            let is_older = stream.device == device && stream.place < place;
            if is_older {
                stream.cut.send_replace(Some(Cut::Superseded));
            }
            !is_older
        });
    }

    /// Hands a word to all that it is for. Who has no room for it is cut off.
    fn tell(&mut self, signal: &DeviceSignal) {
        self.streams.retain(|stream| {
            let is_for =
                stream.device != signal.from && signal.to.is_none_or(|to| to == stream.device);
            let has_room = !is_for || stream.heard.try_send(signal.clone()).is_ok();
            if !has_room {
                stream.cut.send_replace(Some(Cut::Slow));
            }
            has_room
        });
    }
}

impl Line {
    /// What another device says. Waits for ever once the stream was cut off.
    pub(crate) async fn heard(&mut self) -> DeviceSignal {
        match self.heard.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }

    /// Waits until the stream is cut off, however full its queue is.
    pub(crate) fn cut(&self) -> impl Future<Output = Cut> + Send + use<> {
        let mut cut = self.cut.clone();
        async move {
            let cut = cut.wait_for(Option::is_some).await.ok();
            match cut.and_then(|cut| *cut) {
                Some(cut) => cut,
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut groups = lock(&self.groups);
        if let Some(group) = groups.get_mut(&self.identity) {
            group.streams.retain(|stream| stream.number != self.number);
            if group.streams.is_empty() {
                groups.remove(&self.identity);
            }
        }
    }
}

fn lock(groups: &Groups) -> MutexGuard<'_, BTreeMap<IdentityId, Group>> {
    groups.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
