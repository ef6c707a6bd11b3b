//! S-10: from the commit of its revocation on nothing is accepted from a device and nothing is
//! delivered to it, at any replica, whether or not the replica heard of it.

use edge_ledger_core::identity::{LogHead, Point};
use edge_ledger_core::ledger::{Heads, Run, Tip};
use edge_ledger_core::sync::{Frame, GoAwayReason, Outcome};
use edge_ledger_tests::identity::Store;
use edge_ledger_tests::{Deployment, Identity, RawStream, Replicas, refusal};
use tonic::{Code, Status};

const REPLICAS: usize = 3;

#[track_caller]
pub(crate) fn assert_revoked(status: &Status) {
    let revoked = (Code::PermissionDenied, "DEVICE_REVOKED".to_owned());
    assert_eq!(refusal(status), revoked, "{status}");
}

/// A device says hello and is told that it was revoked.
pub(crate) async fn is_not_let_in(
    url: &str,
    identity: &Identity,
    device: usize,
) -> anyhow::Result<()> {
    let mut stream = RawStream::open(url).await?;
    let key = &identity.devices[device].key;
    let hello = stream.sign_hello(identity, key, &Heads::default());
    stream.send(Frame::Hello(hello)).await?;
    assert_revoked(&stream.end().await?);
    Ok(())
}

#[tokio::test]
async fn s10_a_revoked_device_is_cut_off_at_every_replica() -> anyhow::Result<()> {
    let replicas = Replicas::start(REPLICAS).await?;
    let mut identity = Identity::create(&replicas.deployment, 1 + REPLICAS).await?;
    let mut streams = Vec::new();
    for replica in 0..REPLICAS {
        streams.push(replicas.raw(replica, &identity, 1 + replica).await?);
    }
    for device in 1..=REPLICAS {
        identity.revoke(&replicas.deployment, device).await?;
    }
    for stream in &mut streams {
        assert_revoked(&stream.end().await?);
    }
    for replica in 0..REPLICAS {
        is_not_let_in(&replicas.ledger_url(replica), &identity, 1).await?;
    }
    Ok(())
}

/// How a device that was revoked unheard comes to deal with the service again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dealing {
    /// It pushes an entry.
    Pushes,
    /// It pushes an entry that is kept, which would be acked again.
    Repeats,
    /// It pushes an entry of another device, which that one has not pushed.
    Relays,
    /// Another device pushes one at the same replica.
    IsTold,
    /// It asks for what it lacks of another device.
    Asks,
    /// It asks for what it lacks of the log.
    AsksForTheLog,
    /// It compares digests.
    Compares,
    /// It comes anew.
    SaysHello,
}

const DEALINGS: [Dealing; 8] = [
    Dealing::Pushes,
    Dealing::Repeats,
    Dealing::Relays,
    Dealing::IsTold,
    Dealing::Asks,
    Dealing::AsksForTheLog,
    Dealing::Compares,
    Dealing::SaysHello,
];

/// An identity of which device 1 is to be revoked, and its streams at one replica.
struct Scene {
    identity: Identity,
    /// Of device 1, who pushed one entry.
    thief: RawStream,
    before: Run,
    /// Of device 2.
    neighbour: RawStream,
}

impl Scene {
    async fn open(replicas: &Replicas, replica: usize, dealing: Dealing) -> anyhow::Result<Self> {
        let mut identity = Identity::create(&replicas.deployment, 3).await?;
        let mut thief = if dealing == Dealing::AsksForTheLog {
            behind_in_the_log(&replicas.ledger_url(replica), &identity).await?
        } else {
            replicas.raw(replica, &identity, 1).await?
        };
        let before = identity.credit(1, "before", 5)?;
        assert_eq!(
            thief.push_taken(vec![before.clone()]).await?,
            [Outcome::Kept]
        );
        thief.acks().await?;
        let neighbour = replicas.raw(replica, &identity, 2).await?;
        Ok(Self {
            identity,
            thief,
            before,
            neighbour,
        })
    }

    /// What it does after it was revoked; returns what the neighbour has pushed by then.
    async fn deal(&mut self, dealing: Dealing, url: &str) -> anyhow::Result<Vec<Point>> {
        let (identity, thief) = (&mut self.identity, &mut self.thief);
        match dealing {
            Dealing::Pushes => {
                let run = identity.credit(1, "after", 5)?;
                thief.push(vec![run]).await?;
            }
            Dealing::Repeats => {
                thief.push(vec![self.before.clone()]).await?;
            }
            Dealing::Relays => {
                let run = identity.credit(2, "of the neighbour", 5)?;
                thief.push(vec![run]).await?;
            }
            Dealing::IsTold => {
                let run = identity.credit(2, "beside it", 5)?;
                assert_eq!(self.neighbour.push_taken(vec![run]).await?, [Outcome::Kept]);
                return Ok(vec![identity.devices[2].tip]);
            }
            Dealing::Asks => thief.send(Frame::Heads(Heads::default())).await?,
            Dealing::AsksForTheLog => {
                thief.send(Frame::LogWanted { after_position: 2 }).await?;
            }
            Dealing::Compares => {
                let ping_id = 1;
                let digest = Heads::default().digest(&identity.log);
                thief.send(Frame::Ping { ping_id, digest }).await?;
            }
            Dealing::SaysHello => {
                self.thief = RawStream::open(url).await?;
                let key = &identity.devices[1].key;
                let hello = self.thief.sign_hello(identity, key, &Heads::default());
                self.thief.send(Frame::Hello(hello)).await?;
            }
        }
        Ok(Vec::new())
    }

    /// What it is told before it is told that it ends.
    async fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let next = match self.thief.next().await {
                Ok(next) => next,
                Err(error) => {
                    told.push(format!("{error:#}"));
                    return told;
                }
            };
            match next {
                Ok(Frame::GoAway { reason, .. }) => {
                    assert_eq!(reason, GoAwayReason::DeviceRevoked);
                }
                Ok(Frame::Greeting(_)) => {}
                Ok(frame) => told.push(format!("{frame:?}")),
                Err(status) => {
                    assert_revoked(&status);
                    return told;
                }
            }
        }
    }

    /// The ends of the journals, as the store keeps them.
    async fn kept(&self, store: &impl Store) -> anyhow::Result<Vec<Vec<Point>>> {
        let heads = store.heads(self.identity.log.identity()).await?.value;
        let devices = self.identity.devices.iter();
        Ok(devices.map(|d| heads.of(&d.id()).to_vec()).collect())
    }
}

/// Device 1, who knows the log up to its own place, and leaves open whether it took the rest.
async fn behind_in_the_log(url: &str, identity: &Identity) -> anyhow::Result<RawStream> {
    let (log, key) = (&identity.log, &identity.devices[1].key);
    let mut stream = RawStream::open(url).await?;
    let head = LogHead {
        position: 2,
        hash: log.hash_at(2).expect("its own place"),
    };
    let digest = Heads::default().digest(log);
    let hello = stream.sign_hello_of(log.ledger_id(), log.identity(), head, key, digest);
    stream.send(Frame::Hello(hello)).await?;
    let told = stream.until(|frame| match frame {
        Frame::Statements(parts) => Some(parts.len()),
        _ => None,
    });
    assert_eq!(told.await?, 1);
    Ok(stream)
}

#[tokio::test]
async fn s10_without_announcements_nothing_is_accepted_from_it_or_delivered_to_it()
-> anyhow::Result<()> {
    let replicas = Replicas::start(REPLICAS).await?;
    for replica in 0..REPLICAS {
        replicas.deafen_ledger(replica)?;
    }
    let mut wrong = Vec::new();
    for (round, dealing) in DEALINGS.into_iter().enumerate() {
        let (near, far) = (round % REPLICAS, (round + 1) % REPLICAS);
        let mut scene = Scene::open(&replicas, near, dealing).await?;
        let acked = scene.identity.devices[1].tip;
        let mut elsewhere = replicas.raw(far, &scene.identity, 0).await?;
        scene.identity.revoke(&replicas.deployment, 1).await?;
        // What the others do from then on is not for it.
        scene.identity.add_device(&replicas.deployment).await?;
        let run = scene.identity.credit(0, "elsewhere", 5)?;
        assert_eq!(elsewhere.push_taken(vec![run]).await?, [Outcome::Kept]);
        let owners = scene.identity.devices[0].tip;
        let beside = scene.deal(dealing, &replicas.ledger_url(near)).await?;
        let told = scene.told().await;
        let kept = scene.kept(&replicas.deployment.store).await?;
        if !told.is_empty() || kept != [vec![owners], vec![acked], beside, Vec::new()] {
            wrong.push((dealing, told, kept));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// A thief who has the key of device 1 puts a key of its own in its place, before the owner says
/// that the device is lost.
async fn replaced_first<S: Store>(
    deployment: &Deployment<S>,
    urls: [String; 2],
) -> anyhow::Result<()> {
    let mut identity = Identity::create(deployment, 2).await?;
    let mut owner = RawStream::hello(&urls[0], &identity, 0, &Heads::default()).await?;
    let mut robbed = RawStream::hello(&urls[1], &identity, 1, &Heads::default()).await?;
    let run = identity.credit(1, "the owner's", 5)?;
    assert_eq!(robbed.push_taken(vec![run]).await?, [Outcome::Kept]);
    let own = identity.devices[1].tip;

    let successor = identity.replace(deployment, 1).await?;
    assert_revoked(&robbed.end().await?);
    let heads = deployment.store.heads(identity.log.identity()).await?.value;
    let mut thief = RawStream::hello(&urls[1], &identity, successor, &heads).await?;
    let run = identity.credit(successor, "acked in time", 7)?;
    assert_eq!(thief.push_taken(vec![run]).await?, [Outcome::Kept]);
    let acked = identity.devices[successor].tip;

    // The owner knows the device by its old key.
    identity.revoke(deployment, 1).await?;
    assert_revoked(&thief.end().await?);
    for url in &urls {
        for device in [1, successor] {
            is_not_let_in(url, &identity, device).await?;
        }
    }
    let late = identity.credit(successor, "late", 9)?;
    let late = owner.push_taken(vec![late]).await?;
    assert!(matches!(late[..], [Outcome::Refused(_)]), "{late:?}");
    let heads = deployment.store.heads(identity.log.identity()).await?.value;
    let tip = |device: usize, point| Tip {
        device: identity.devices[device].id(),
        point,
    };
    let expected = Heads::new([tip(1, own), tip(successor, acked)]);
    assert_eq!(heads.digest(&identity.log), expected.digest(&identity.log));
    Ok(())
}

#[tokio::test]
async fn s10_a_thief_who_replaces_the_device_first_is_ended_with_it() -> anyhow::Result<()> {
    let deployment = Deployment::new()?;
    let server = deployment.ledger_service().await?;
    let url = format!("http://{}", server.local_addr());
    replaced_first(&deployment, [url.clone(), url]).await?;
    let replicas = Replicas::start(2).await?;
    let urls = [replicas.ledger_url(0), replicas.ledger_url(1)];
    replaced_first(&replicas.deployment, urls).await
}
