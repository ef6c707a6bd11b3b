//! S-20 … S-32, S-47: what a member may send that it should not. Each row asserts the code and
//! the reason (or the verdict), that nobody else's heads changed, and that the same stream, where
//! it stays open, still takes a good entry.

use bytes::Bytes;
use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::EntryHash;
use edge_ledger_core::ledger::admission::Refusal;
use edge_ledger_core::ledger::entry::sign_raw;
use edge_ledger_core::ledger::{Heads, Reject, Run};
use edge_ledger_core::sync::{Frame, Outcome};
use edge_ledger_proto::ledger as pb;
use edge_ledger_store::LedgerStore as _;
use edge_ledger_tests::{Deployment, Identity, RawStream, refusal};
use prost::Message as _;
use tonic::Code;

struct Place {
    _server: ledger_service::Server,
    url: String,
    deployment: Deployment,
    identity: Identity,
    stream: RawStream,
    others: Heads,
}

async fn place() -> anyhow::Result<Place> {
    let deployment = Deployment::new()?;
    let server = deployment.ledger_service().await?;
    let url = format!("http://{}", server.local_addr());
    let mut identity = Identity::create(&deployment, 2).await?;
    let mut other = RawStream::hello(&url, &identity, 1, &Heads::default()).await?;
    let run = identity.credit(1, "of the other", 5)?;
    assert_eq!(other.push_taken(vec![run]).await?, vec![Outcome::Kept]);
    let others = deployment.store.heads(identity.log.identity()).await?.value;
    let stream = RawStream::hello(&url, &identity, 0, &others).await?;
    Ok(Place {
        _server: server,
        url,
        deployment,
        identity,
        stream,
        others,
    })
}

impl Place {
    async fn others_unchanged(&self) -> anyhow::Result<()> {
        let heads = self
            .deployment
            .store
            .heads(self.identity.log.identity())
            .await?
            .value;
        let other = self.identity.devices[1].id();
        assert_eq!(heads.of(&other), self.others.of(&other));
        Ok(())
    }

    /// The same stream takes a good entry, and nothing else changed.
    async fn goes_on(&mut self) -> anyhow::Result<()> {
        self.others_unchanged().await?;
        let good = self.identity.credit(0, "good", 1)?;
        assert_eq!(
            self.stream.push_taken(vec![good]).await?,
            vec![Outcome::Kept]
        );
        Ok(())
    }

    /// A new stream takes a good entry, and nothing else changed.
    async fn comes_back(&mut self) -> anyhow::Result<()> {
        let heads = self
            .deployment
            .store
            .heads(self.identity.log.identity())
            .await?
            .value;
        self.stream = RawStream::hello(&self.url, &self.identity, 0, &heads).await?;
        self.goes_on().await
    }

    fn signed(&self, device: usize, format: u16, payload: Vec<u8>) -> Run {
        let device = &self.identity.devices[device];
        let (ledger_id, identity) = (self.identity.log.ledger_id(), self.identity.log.identity());
        sign_raw(
            ledger_id,
            identity,
            &device.key,
            device.tip,
            vec![(format, Bytes::from(payload))],
        )
    }

    async fn refuses(&mut self, run: Run, expected: Refusal) -> anyhow::Result<()> {
        assert_eq!(
            self.stream.push_taken(vec![run]).await?,
            vec![Outcome::Refused(expected)]
        );
        self.goes_on().await
    }
}

fn payload(postings: Vec<pb::Posting>) -> Vec<u8> {
    pb::EntryPayload {
        wall_ms: 1,
        postings,
    }
    .encode_to_vec()
}

fn posting(key: &str, amount: u64) -> pb::Posting {
    pb::Posting {
        effect: Some(pb::posting::Effect::Credit(amount)),
        event_key: Bytes::copy_from_slice(key.as_bytes()),
        memo: String::new(),
        issuer_proof: Bytes::new(),
    }
}

#[tokio::test]
async fn s20_a_message_above_a_frame_closes_the_stream() -> anyhow::Result<()> {
    let mut place = place().await?;
    let heavy = place.signed(0, 1, vec![0; 1_100_000]);
    place.stream.push(vec![heavy]).await?;
    let status = place.stream.end().await?;
    assert_eq!(
        refusal(&status),
        (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".to_owned())
    );
    place.comes_back().await
}

#[tokio::test]
async fn s21_a_message_without_sense_closes_the_stream() -> anyhow::Result<()> {
    for request in [
        pb::SyncRequest { frame: None },
        pb::SyncRequest {
            frame: Some(pb::Frame { message: None }),
        },
        pb::SyncRequest {
            frame: Some(pb::Frame {
                message: Some(pb::frame::Message::Runs(pb::Runs {
                    frame_id: 1,
                    runs: Vec::new(),
                })),
            }),
        },
    ] {
        let mut place = place().await?;
        place.stream.send_raw(request).await?;
        let status = place.stream.end().await?;
        assert_eq!(
            refusal(&status),
            (Code::InvalidArgument, "BAD_MESSAGE".to_owned())
        );
        place.comes_back().await?;
    }
    Ok(())
}

#[tokio::test]
async fn s22_entries_out_of_their_limits_are_refused_whole() -> anyhow::Result<()> {
    let size = Refusal::Gate(Reject::EntrySize);
    let mut place = place().await?;
    let many = (0..1_001)
        .map(|i| posting(&format!("key {i}"), 1))
        .collect();
    let long_key = vec![posting(&"k".repeat(129), 1)];
    let no_key = vec![posting("", 1)];
    let long_memo = vec![pb::Posting {
        memo: "m".repeat(129),
        ..posting("k", 1)
    }];
    for postings in [Vec::new(), many, long_key, no_key, long_memo] {
        let run = place.signed(0, 1, payload(postings));
        place.refuses(run, size).await?;
    }
    let heavy = place.signed(0, 2, vec![1; 256 * 1024 + 1]);
    place.refuses(heavy, size).await
}

#[tokio::test]
async fn s23_one_bad_run_among_good_ones_is_refused_alone() -> anyhow::Result<()> {
    let mut place = place().await?;
    let first = place.identity.credit(0, "one", 1)?;
    let mut bad = place.identity.credit(1, "two", 2)?;
    bad.payloads[0] = Bytes::from(payload(vec![posting("two", 3)]));
    let third = place.identity.credit(0, "three", 3)?;
    let outcomes = place.stream.push_taken(vec![first, bad, third]).await?;
    let refused = Outcome::Refused(Refusal::Gate(Reject::BadSignature));
    assert_eq!(outcomes, vec![Outcome::Kept, refused, Outcome::Kept]);
    place.goes_on().await
}

#[tokio::test]
async fn s23_ten_bad_runs_in_a_minute_close_the_stream() -> anyhow::Result<()> {
    let mut place = place().await?;
    let good = place.signed(0, 1, payload(vec![posting("k", 1)]));
    let refused = Outcome::Refused(Refusal::Gate(Reject::BadSignature));
    for i in 0..10 {
        let mut bad = good.clone();
        bad.payloads[0] = Bytes::from(payload(vec![posting("k", 2 + i)]));
        assert_eq!(place.stream.push_taken(vec![bad]).await?, vec![refused]);
    }
    let status = place.stream.end().await?;
    assert_eq!(
        refusal(&status),
        (Code::PermissionDenied, "MISBEHAVED".to_owned())
    );
    place.comes_back().await
}

#[tokio::test]
async fn s24_a_signature_for_another_key_identity_or_deployment_is_refused() -> anyhow::Result<()> {
    let bad = Refusal::Gate(Reject::BadSignature);
    let mut place = place().await?;
    let tip = place.identity.devices[0].tip;
    let elsewhere = Deployment::new()?;
    let stranger = Identity::create(&place.deployment, 1).await?;
    let bytes = || vec![(1, Bytes::from(payload(vec![posting("k", 1)])))];
    let log = &place.identity.log;
    let (ours, ledger_id) = (log.identity(), log.ledger_id());
    let key = &place.identity.devices[0].key;
    let of_ledger = sign_raw(elsewhere.ledger_id(), ours, key, tip, bytes());
    let of_identity = sign_raw(ledger_id, stranger.log.identity(), key, tip, bytes());
    let mut of_key = sign_raw(
        ledger_id,
        ours,
        &place.identity.devices[1].key,
        tip,
        bytes(),
    );
    of_key.device = place.identity.devices[0].id();
    for run in [of_ledger, of_identity, of_key] {
        place.refuses(run, bad).await?;
    }
    Ok(())
}

#[tokio::test]
async fn s25_a_gap_waits_and_is_closed_by_what_was_missing() -> anyhow::Result<()> {
    let mut place = place().await?;
    let first = place.identity.credit(0, "one", 1)?;
    let second = place.identity.credit(0, "two", 2)?;
    assert_eq!(
        place.stream.push_taken(vec![second]).await?,
        vec![Outcome::Waiting]
    );
    // The service asks by telling what it has.
    place
        .stream
        .until(|frame| match frame {
            Frame::Heads(_) => Some(()),
            _ => None,
        })
        .await?;
    assert_eq!(
        place.stream.push_taken(vec![first]).await?,
        vec![Outcome::Kept]
    );
    let heads = place
        .deployment
        .store
        .heads(place.identity.log.identity())
        .await?
        .value;
    assert_eq!(
        heads.of(&place.identity.devices[0].id()),
        [place.identity.devices[0].tip]
    );
    place.goes_on().await
}

#[tokio::test]
async fn s26_a_duplicate_is_acked_again() -> anyhow::Result<()> {
    let mut place = place().await?;
    let run = place.identity.credit(0, "one", 1)?;
    for _ in 0..5 {
        assert_eq!(
            place.stream.push_taken(vec![run.clone()]).await?,
            vec![Outcome::Kept]
        );
        let acks = place.stream.acks().await?;
        assert!(
            acks.iter()
                .any(|ack| ack.point == place.identity.devices[0].tip)
        );
    }
    place.goes_on().await
}

#[tokio::test]
async fn s27_a_fork_is_kept_and_told_and_its_device_is_stopped() -> anyhow::Result<()> {
    let mut place = place().await?;
    let heads = place
        .deployment
        .store
        .heads(place.identity.log.identity())
        .await?
        .value;
    let mut witness = RawStream::hello(&place.url, &place.identity, 1, &heads).await?;
    let one = place.identity.credit(0, "one", 1)?;
    place.identity.devices[0].tip = Point::START;
    let other = place.identity.credit(0, "other", 2)?;
    let more = place.identity.credit(0, "more", 3)?;
    assert_eq!(
        place.stream.push_taken(vec![one.clone()]).await?,
        vec![Outcome::Kept]
    );
    assert_eq!(
        place.stream.push_taken(vec![other.clone()]).await?,
        vec![Outcome::Kept]
    );
    assert_eq!(
        place.stream.push_taken(vec![more.clone()]).await?,
        vec![Outcome::Refused(Refusal::Forked)]
    );
    // Both branches reach everybody: together they are the proof.
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(
            witness
                .until(|frame| match frame {
                    Frame::Runs { runs, .. } => Some(runs),
                    _ => None,
                })
                .await?,
        );
    }
    assert!(seen.contains(&one) && seen.contains(&other));
    place.others_unchanged().await?;
    // What others relay of the journal is taken; the forked device's own stream is refused.
    let relayed = witness.push_taken(vec![more]).await?;
    assert_eq!(relayed, vec![Outcome::Kept]);
    let mut own = RawStream::open(&place.url).await?;
    let hello = own.sign_hello(
        &place.identity,
        &place.identity.devices[0].key,
        &Heads::default(),
    );
    own.send(Frame::Hello(hello)).await?;
    assert_eq!(
        refusal(&own.end().await?),
        (Code::FailedPrecondition, "FORKED".to_owned())
    );
    // The stream that is open still takes an entry of another device of the identity.
    let good = place.identity.credit(1, "relayed", 4)?;
    assert_eq!(
        place.stream.push_taken(vec![good]).await?,
        vec![Outcome::Kept]
    );
    Ok(())
}

#[tokio::test]
async fn s29_amounts_out_of_range_are_refused() -> anyhow::Result<()> {
    let range = Refusal::Gate(Reject::AmountRange);
    let mut place = place().await?;
    for amount in [0, 1 << 53, u64::MAX] {
        let run = place.signed(0, 1, payload(vec![posting("k", amount)]));
        place.refuses(run, range).await?;
    }
    let largest = place.signed(0, 1, payload(vec![posting("k", (1 << 53) - 1)]));
    assert_eq!(
        place.stream.push_taken(vec![largest]).await?,
        vec![Outcome::Kept]
    );
    place.others_unchanged().await
}

#[tokio::test]
async fn s31_any_clock_is_accepted() -> anyhow::Result<()> {
    let mut place = place().await?;
    for wall_ms in [i64::MIN, -1, 0, i64::MAX] {
        let key = format!("at {wall_ms}");
        let bytes = pb::EntryPayload {
            wall_ms,
            postings: vec![posting(&key, 1)],
        }
        .encode_to_vec();
        let run = place.signed(0, 1, bytes);
        let log = &place.identity.log;
        let key = &place.identity.devices[0].key;
        let tip = edge_ledger_tests::identity::end(log.ledger_id(), log.identity(), key, &run);
        assert_eq!(
            place.stream.push_taken(vec![run]).await?,
            vec![Outcome::Kept]
        );
        place.identity.devices[0].tip = tip;
    }
    place.goes_on().await
}

#[tokio::test]
async fn s32_a_strangers_entries_are_refused() -> anyhow::Result<()> {
    let mut place = place().await?;
    let mut stranger = Identity::create(&place.deployment, 1).await?;
    let run = stranger.credit(0, "theirs", 1)?;
    place.refuses(run, Refusal::ForeignEntry).await
}

#[tokio::test]
async fn s47_payloads_that_are_not_canonical_are_refused() -> anyhow::Result<()> {
    let canonical = Refusal::Gate(Reject::NotCanonical);
    let mut place = place().await?;
    let good = payload(vec![posting("k", 1)]);
    let mut unknown_field = good.clone();
    unknown_field.extend_from_slice(&[0x78, 0x01]);
    let mut repeated_field = vec![0x08, 0x04];
    repeated_field.extend_from_slice(&good);
    let long_varint = [&[0x08, 0x82, 0x00], &good[2..]].concat();
    for bytes in [unknown_field, repeated_field, long_varint, vec![0xff]] {
        let run = place.signed(0, 1, bytes);
        place.refuses(run, canonical).await?;
    }
    Ok(())
}

#[tokio::test]
async fn s47_a_higher_format_is_kept_and_relayed() -> anyhow::Result<()> {
    let mut place = place().await?;
    let heads = place
        .deployment
        .store
        .heads(place.identity.log.identity())
        .await?
        .value;
    let mut reader = RawStream::hello(&place.url, &place.identity, 1, &heads).await?;
    let run = place.signed(0, 2, b"from the future".to_vec());
    let log = &place.identity.log;
    let key = &place.identity.devices[0].key;
    let tip = edge_ledger_tests::identity::end(log.ledger_id(), log.identity(), key, &run);
    assert_eq!(
        place.stream.push_taken(vec![run.clone()]).await?,
        vec![Outcome::Kept]
    );
    place.identity.devices[0].tip = tip;
    let relayed = reader
        .until(|frame| match frame {
            Frame::Runs { runs, .. } => Some(runs),
            _ => None,
        })
        .await?;
    assert_eq!(relayed, vec![run]);
    place.goes_on().await
}

#[tokio::test]
async fn bad_run_a_first_entry_that_names_a_parent_is_refused() -> anyhow::Result<()> {
    let mut place = place().await?;
    let mut run = place.signed(0, 1, payload(vec![posting("k", 1)]));
    run.first_prev = EntryHash::from_bytes([1; 32]);
    place.refuses(run, Refusal::Gate(Reject::BadRun)).await
}
