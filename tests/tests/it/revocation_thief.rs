//! S-16: a thief with the key of a device appends without pause, at every replica, while the owner
//! revokes it. That neither delays the revocation nor makes it fail; what was acked stays and
//! counts, nothing else ever does, and all agree.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use device_agent::{Agent, Details, Level, RevokeReason, within};
use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::Digest;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::ledger::admission::Refusal;
use edge_ledger_core::ledger::{Heads, Run};
use edge_ledger_core::limits::WINDOW_FRAMES_MAX;
use edge_ledger_core::sync::{AckParts, Frame, Outcome};
use edge_ledger_store::log_view::read_log;
use edge_ledger_tests::identity::{Store, TestDevice};
use edge_ledger_tests::{Deployment, Identity, Pair, RawStream, Replicas, refusal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Status;

use crate::revocation::{assert_revoked, is_not_let_in};

const PATIENCE: Duration = Duration::from_secs(60);
/// Entries of the thief that are acked before the owner says a word.
const ACKED_FIRST: u64 = 100;
/// What each entry of the thief is worth.
const WORTH: u64 = 3;

/// A key that was copied from a home.
fn stolen_key(home: &Path) -> anyhow::Result<SecretKey> {
    let text = std::fs::read_to_string(home.join("device.key"))?;
    // Any id of 32 bytes is read from 64 hex digits.
    let seed: Digest = text.trim().parse()?;
    Ok(SecretKey::from_seed(*seed.as_bytes()))
}

/// Entries that a thief signs, one after the other, as they are needed.
struct Loot {
    identity: Identity,
    before: u64,
    signed: Vec<(Run, Point)>,
}

impl Loot {
    /// The run of the entry at a place.
    fn run(&mut self, seq: u64) -> anyhow::Result<Run> {
        let index = usize::try_from(seq - self.before - 1)?;
        while self.signed.len() <= index {
            let key = format!("stolen {}", self.signed.len());
            let run = self.identity.credit(0, &key, WORTH)?;
            self.signed.push((run, self.identity.devices[0].tip));
        }
        Ok(self.signed[index].0.clone())
    }

    fn point(&self, seq: u64) -> Option<Point> {
        let index = usize::try_from(seq.checked_sub(self.before + 1)?).ok()?;
        self.signed.get(index).map(|(_, point)| *point)
    }
}

/// A thief at several doors.
#[derive(Clone)]
struct Thief {
    loot: Arc<Mutex<Loot>>,
    /// The highest place that was acked.
    acked: watch::Sender<u64>,
}

impl Thief {
    /// Comes again and again until it is told that it was revoked. Returns all acks that it got.
    async fn append_at(self, url: String) -> anyhow::Result<Vec<AckParts>> {
        let mut acks = Vec::new();
        loop {
            let stream = RawStream::open(&url).await?;
            let status = self.append_on(stream, &mut acks).await?;
            if refusal(&status).1 == "DEVICE_REVOKED" {
                assert_revoked(&status);
                return Ok(acks);
            }
            // Its own stream at another replica took over.
            assert_eq!(refusal(&status).1, "SUPERSEDED", "{status}");
        }
    }

    /// Pushes as many frames as it may, and the next as soon as one is answered.
    async fn append_on(
        &self,
        mut stream: RawStream,
        acks: &mut Vec<AckParts>,
    ) -> anyhow::Result<Status> {
        let hello = {
            let identity = &self.loot().identity;
            stream.sign_hello(identity, &identity.devices[0].key, &Heads::default())
        };
        stream.send(Frame::Hello(hello)).await?;
        let mut next = *self.acked.borrow() + 1;
        let mut free = 0;
        loop {
            while free > 0 {
                let run = self.loot().run(next)?;
                if stream.push(vec![run]).await.is_err() {
                    break;
                }
                (next, free) = (next + 1, free - 1);
            }
            match stream.next().await? {
                Ok(Frame::Welcome(_)) => free = WINDOW_FRAMES_MAX,
                Ok(Frame::Taken { .. }) => free += 1,
                Ok(Frame::Acks(more)) => {
                    let highest = more.iter().map(|ack| ack.point.seq).max();
                    let highest = highest.unwrap_or_default();
                    self.acked.send_if_modified(|acked| {
                        let more = highest > *acked;
                        *acked = highest.max(*acked);
                        more
                    });
                    acks.extend(more);
                }
                Ok(_) => {}
                Err(status) => return Ok(status),
            }
        }
    }

    fn loot(&self) -> MutexGuard<'_, Loot> {
        self.loot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a theft takes place: the owner's phone, which is an admin, and the homes of two more
/// devices that are not running.
struct Place<'a, S> {
    deployment: &'a Deployment<S>,
    urls: Vec<String>,
    phone: &'a Agent,
    robbed_home: &'a Path,
    desk_home: &'a Path,
}

impl<S: Store> Place<'_, S> {
    /// The same identity, seen by who has the key of one device.
    async fn seen_by(&self, home: &Path, tip: Point) -> anyhow::Result<Identity> {
        let (store, genesis) = (&self.deployment.store, &self.deployment.genesis);
        let view = read_log(store, genesis, self.phone.status().identity, None).await?;
        let key = stolen_key(home)?;
        Ok(Identity {
            root: SecretKey::from_seed(rand::random()),
            log: (*view.expect("a log").log).clone(),
            devices: vec![TestDevice { key, tip }],
        })
    }

    /// Steals, appends and is revoked. Returns what the thief's entries are worth that count.
    async fn theft(&self, robbed_tip: Point) -> anyhow::Result<u64> {
        let identity = self.seen_by(self.robbed_home, robbed_tip).await?;
        let (device, position) = (identity.devices[0].id(), identity.log.head().position);
        let before = robbed_tip.seq;
        let thief = Thief {
            loot: Arc::new(Mutex::new(Loot {
                identity,
                before,
                signed: Vec::new(),
            })),
            acked: watch::Sender::new(before),
        };
        let mut lanes = JoinSet::new();
        for url in &self.urls {
            lanes.spawn(thief.clone().append_at(url.clone()));
        }
        let mut acked = thief.acked.subscribe();
        let enough = acked.wait_for(|acked| *acked >= before + ACKED_FIRST);
        let acked_first = *tokio::time::timeout(PATIENCE, enough).await??;

        self.phone.revoke(device, RevokeReason::Compromised).await?;
        let mut acks = Vec::new();
        while let Some(ended) = lanes.join_next().await {
            acks.extend(ended??);
        }

        let after = self.seen_by(self.robbed_home, robbed_tip).await?;
        assert_eq!(after.log.head().position, position + 1, "at once");
        let cut = after.log.cut(&device).expect("it was ended");
        let [end] = cut.points().collect::<Vec<_>>()[..] else {
            panic!("{cut:?}")
        };
        assert!(end.seq >= acked_first);
        assert_eq!(thief.loot().point(end.seq), Some(end));
        for ack in &acks {
            assert!(ack.point.seq <= end.seq, "{ack:?} is outside {end:?}");
            assert_eq!(ack.log_position, position, "{ack:?}");
        }
        for url in &self.urls {
            is_not_let_in(url, &after, 0).await?;
        }
        self.nobody_brings_more(&thief, end).await?;
        let (store, of) = (&self.deployment.store, after.log.identity());
        assert_eq!(store.heads(of).await?.value.of(&device), [end]);
        Ok((end.seq - before) * WORTH)
    }

    /// Not what the thief had signed by then, and no other entry of an old place.
    async fn nobody_brings_more(&self, thief: &Thief, end: Point) -> anyhow::Result<()> {
        let honest = self.seen_by(self.desk_home, Point::START).await?;
        let (later, other) = {
            let mut loot = thief.loot();
            let later = loot.run(end.seq + 1)?;
            loot.identity.devices[0].tip = loot.point(end.seq - 2).expect("an old place");
            (later, loot.identity.credit(0, "of an old place", WORTH)?)
        };
        for url in &self.urls {
            let mut stream = RawStream::hello(url, &honest, 0, &Heads::default()).await?;
            let outcomes = stream
                .push_taken(vec![later.clone(), other.clone()])
                .await?;
            // Below the end of the cut an entry may be one of it, until that is known.
            let outside = Outcome::Refused(Refusal::OutsideCut);
            assert_eq!(outcomes[0], outside);
            assert!(outcomes[1] == outside || outcomes[1] == Outcome::Waiting);
        }
        Ok(())
    }
}

/// A device with one entry that is acked, which then stops. Returns the end of its journal.
async fn earned(device: &Agent) -> anyhow::Result<Point> {
    device.earn(5, Details::default()).await?;
    within(PATIENCE, device.sync()).await?;
    within(PATIENCE, device.wait_acked(Level::Volatile)).await?;
    device.stop().await;
    Ok(device.status().tip.expect("an entry"))
}

/// All devices show the balance and agree with each other and the store.
async fn agree<S: Store>(
    deployment: &Deployment<S>,
    devices: &[&Agent],
    balance: u64,
) -> anyhow::Result<()> {
    for device in devices.iter().chain(devices) {
        within(PATIENCE, device.sync()).await?;
    }
    let (store, identity) = (&deployment.store, devices[0].status().identity);
    let view = read_log(store, &deployment.genesis, identity, None).await?;
    let heads = store.heads(identity).await?.value;
    let digest = heads.digest(&view.expect("a log").log).to_string();
    for device in devices {
        assert_eq!(device.balance().balance, i128::from(balance));
        assert_eq!(device.status().digest, digest);
    }
    Ok(())
}

async fn theft_on_replicas(deaf: bool) -> anyhow::Result<()> {
    let replicas = Replicas::start(3).await?;
    let phone = replicas.first_device("phone").await?;
    let robbed = replicas.link(&phone, "laptop").await?;
    let desk = replicas.link(&phone, "desk").await?;
    let tip = earned(&robbed).await?;
    desk.stop().await;
    phone.stop().await;
    let phone = replicas.open("phone", Some(0)).await?;
    if deaf {
        for replica in 0..3 {
            replicas.deafen_ledger(replica)?;
        }
    }
    let place = Place {
        deployment: &replicas.deployment,
        urls: (0..3).map(|replica| replicas.ledger_url(replica)).collect(),
        phone: &phone,
        robbed_home: &replicas.home("laptop"),
        desk_home: &replicas.home("desk"),
    };
    let worth = place.theft(tip).await?;
    let desk = replicas.open("desk", Some(1)).await?;
    agree(&replicas.deployment, &[&phone, &desk], 5 + worth).await?;
    // At the third replica too.
    desk.stop().await;
    let desk = replicas.open("desk", Some(2)).await?;
    agree(&replicas.deployment, &[&phone, &desk], 5 + worth).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s16_a_thief_who_appends_at_every_replica_cannot_hold_up_its_revocation()
-> anyhow::Result<()> {
    theft_on_replicas(false).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s16_nor_where_no_replica_hears_of_it() -> anyhow::Result<()> {
    theft_on_replicas(true).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s16_nor_on_the_embedded_store() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    let robbed = pair.link(&phone, "laptop", false).await?;
    let desk = pair.link(&phone, "desk", false).await?;
    let tip = earned(&robbed).await?;
    desk.stop().await;
    let place = Place {
        deployment: &pair.deployment,
        urls: vec![pair.ledger_url.clone(); 3],
        phone: &phone,
        robbed_home: &pair.home("laptop"),
        desk_home: &pair.home("desk"),
    };
    let worth = place.theft(tip).await?;
    let desk = pair.open("desk").await?;
    agree(&pair.deployment, &[&phone, &desk], 5 + worth).await
}
