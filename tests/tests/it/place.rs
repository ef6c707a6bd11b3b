//! An identity with an honest device and a stream of one that is about to misbehave.

use bytes::Bytes;
use edge_ledger_core::identity::Point;
use edge_ledger_core::ledger::admission::Refusal;
use edge_ledger_core::ledger::entry::sign_raw;
use edge_ledger_core::ledger::fold::fold;
use edge_ledger_core::ledger::{Fold, Heads, Run};
use edge_ledger_core::sync::Outcome;
use edge_ledger_proto::ledger as pb;
use edge_ledger_store::LedgerStore as _;
use edge_ledger_store::kept::read_entries;
use edge_ledger_tests::{Deployment, Identity, RawStream};
use prost::Message as _;

/// Device 0 has an open stream; device 1 is somebody else, with one entry; so is the neighbour,
/// of another identity.
pub(crate) struct Place {
    _server: ledger_service::Server,
    pub(crate) url: String,
    pub(crate) deployment: Deployment,
    pub(crate) identity: Identity,
    pub(crate) stream: RawStream,
    neighbour: Identity,
}

/// What a store holds of one identity.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) heads: Heads,
    pub(crate) fold: Fold,
}

pub(crate) async fn place() -> anyhow::Result<Place> {
    let deployment = Deployment::new()?;
    let server = deployment.ledger_service().await?;
    let url = format!("http://{}", server.local_addr());
    let mut identity = Identity::create(&deployment, 2).await?;
    let mut other = RawStream::hello(&url, &identity, 1, &Heads::default()).await?;
    let run = identity.credit(1, "of the other", 5)?;
    assert_eq!(other.push_taken(vec![run]).await?, vec![Outcome::Kept]);
    let mut neighbour = Identity::create(&deployment, 1).await?;
    let mut far = RawStream::hello(&url, &neighbour, 0, &Heads::default()).await?;
    let run = neighbour.credit(0, "of the neighbour", 7)?;
    assert_eq!(far.push_taken(vec![run]).await?, vec![Outcome::Kept]);
    let held = held(&deployment, &identity).await?;
    let stream = RawStream::hello(&url, &identity, 0, &held.heads).await?;
    Ok(Place {
        _server: server,
        url,
        deployment,
        identity,
        stream,
        neighbour,
    })
}

async fn held(deployment: &Deployment, identity: &Identity) -> anyhow::Result<Held> {
    let (store, log) = (&deployment.store, &identity.log);
    let heads = store.heads(log.identity()).await?.value;
    let fold = fold(log, &read_entries(store, log).await?);
    Ok(Held { heads, fold })
}

impl Place {
    /// What the store holds of the identity. The neighbour's is as it was.
    pub(crate) async fn held(&self) -> anyhow::Result<Held> {
        let neighbour = held(&self.deployment, &self.neighbour).await?;
        let device = &self.neighbour.devices[0];
        assert_eq!(neighbour.heads.of(&device.id()), [device.tip]);
        assert_eq!(neighbour.fold.balance(), 7);
        held(&self.deployment, &self.identity).await
    }

    /// The same stream takes a good entry: it, and nothing that was refused, is kept.
    pub(crate) async fn goes_on(&mut self) -> anyhow::Result<()> {
        let before = self.held().await?;
        let own = &self.identity.devices[0];
        let expected = Vec::from_iter((own.tip != Point::START).then_some(own.tip));
        assert_eq!(before.heads.of(&own.id()), expected);
        let key = format!("good {}", own.tip.seq);
        let good = self.identity.credit(0, &key, 1)?;
        let outcomes = self.stream.push_taken(vec![good]).await?;
        assert_eq!(outcomes, vec![Outcome::Kept]);
        let after = self.held().await?;
        let own = &self.identity.devices[0];
        assert_eq!(after.heads.of(&own.id()), [own.tip]);
        let others = self.identity.devices[1..].iter().map(|device| device.id());
        for other in others {
            assert_eq!(after.heads.of(&other), before.heads.of(&other));
        }
        assert_eq!(after.fold.balance(), before.fold.balance() + 1);
        Ok(())
    }

    /// A new stream takes a good entry.
    pub(crate) async fn comes_back(&mut self) -> anyhow::Result<()> {
        let heads = self.held().await?.heads;
        self.stream = RawStream::hello(&self.url, &self.identity, 0, &heads).await?;
        self.goes_on().await
    }

    /// A run of one payload, which follows what the device has.
    pub(crate) fn signed(&self, device: usize, format: u16, payload: Vec<u8>) -> Run {
        let device = &self.identity.devices[device];
        let log = &self.identity.log;
        let payloads = vec![(format, Bytes::from(payload))];
        sign_raw(
            log.ledger_id(),
            log.identity(),
            &device.key,
            device.tip,
            payloads,
        )
    }

    /// The run is refused, nothing of it is kept, and the stream goes on.
    pub(crate) async fn refuses(&mut self, run: Run, expected: Refusal) -> anyhow::Result<()> {
        let before = self.held().await?;
        let outcomes = self.stream.push_taken(vec![run]).await?;
        assert_eq!(outcomes, vec![Outcome::Refused(expected)]);
        assert_eq!(self.held().await?, before);
        self.goes_on().await
    }
}

pub(crate) fn payload(postings: Vec<pb::Posting>) -> Vec<u8> {
    pb::EntryPayload {
        wall_ms: 1,
        postings,
    }
    .encode_to_vec()
}

pub(crate) fn posting(key: &str, amount: u64) -> pb::Posting {
    pb::Posting {
        effect: Some(pb::posting::Effect::Credit(amount)),
        event_key: Bytes::copy_from_slice(key.as_bytes()),
        memo: String::new(),
        issuer_proof: Bytes::new(),
    }
}
