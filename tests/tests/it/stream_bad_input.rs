//! S-16, S-22 … S-32, S-47: entries that a member may not send. Each row asserts the verdict, that
//! heads and balances are as before, and that the same stream still takes a good entry.

use bytes::Bytes;
use edge_ledger_core::identity::{LogHead, Point};
use edge_ledger_core::ids::{EntryHash, LogHash};
use edge_ledger_core::ledger::admission::Refusal;
use edge_ledger_core::ledger::entry::sign_raw;
use edge_ledger_core::ledger::{Heads, Reject};
use edge_ledger_core::sync::{Frame, Outcome};
use edge_ledger_proto::ledger as pb;
use edge_ledger_tests::{Deployment, Identity, RawStream, refusal};
use prost::Message as _;
use tonic::Code;

use super::place::{Place, payload, place, posting};

#[tokio::test]
async fn s16_entries_outside_the_cut_never_count() -> anyhow::Result<()> {
    let mut place = place().await?;
    let held_back = place.identity.credit(1, "held back", 100)?;
    place.identity.devices[1].tip = Point::START;
    let old_seq = place.identity.credit(1, "instead of the first", 100)?;
    place.identity.revoke(&place.deployment, 1).await?;
    for run in [held_back, old_seq] {
        place.refuses(run, Refusal::OutsideCut).await?;
    }
    let heads = place.held().await?.heads;
    let mut own = RawStream::open(&place.url).await?;
    let hello = own.sign_hello(&place.identity, &place.identity.devices[1].key, &heads);
    own.send(Frame::Hello(hello)).await?;
    assert_eq!(
        refusal(&own.end().await?),
        (Code::PermissionDenied, "DEVICE_REVOKED".to_owned())
    );
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
    place.goes_on().await
}

#[tokio::test]
async fn s25_who_says_to_know_more_of_the_log_is_asked_for_it() -> anyhow::Result<()> {
    let mut place = place().await?;
    let before = place.held().await?;
    let log = &place.identity.log;
    let (ledger_id, identity, head) = (log.ledger_id(), log.identity(), log.head());
    let longer = LogHead {
        position: head.position + 1,
        hash: LogHash::from_bytes([9; 32]),
    };
    let mut stream = RawStream::open(&place.url).await?;
    let key = &place.identity.devices[0].key;
    let hello = stream.sign_hello_of(ledger_id, identity, longer, key, before.heads.digest(log));
    stream.send(Frame::Hello(hello)).await?;
    let wanted = |frame| match frame {
        Frame::LogWanted { after_position } => Some(after_position),
        _ => None,
    };
    assert_eq!(stream.until(wanted).await?, head.position);
    stream.send(Frame::Statements(Vec::new())).await?;
    assert_eq!(
        refusal(&stream.end().await?),
        (Code::PermissionDenied, "FORBIDDEN".to_owned())
    );
    assert_eq!(place.held().await?, before);
    place.goes_on().await
}

#[tokio::test]
async fn s26_a_duplicate_is_acked_again_and_counts_once() -> anyhow::Result<()> {
    let mut place = place().await?;
    let before = place.held().await?.fold.balance();
    let credit = |place: &mut Place, i: u64| place.identity.credit(0, &format!("key {i}"), 1);
    let journal: Vec<_> = (0..20)
        .map(|i| credit(&mut place, i))
        .collect::<Result<_, _>>()?;
    let tip = place.identity.devices[0].tip;
    let kept = vec![Outcome::Kept; journal.len()];
    for _ in 0..5 {
        let outcomes = place.stream.push_taken(journal.clone()).await?;
        assert_eq!(outcomes, kept);
        let acks = place.stream.acks().await?;
        assert!(acks.iter().any(|ack| ack.point == tip), "{acks:?}");
        let held = place.held().await?;
        assert_eq!(held.heads.of(&place.identity.devices[0].id()), [tip]);
        assert_eq!(held.fold.balance(), before + 20);
    }
    place.goes_on().await
}

#[tokio::test]
async fn s27_a_fork_is_kept_and_told_and_its_device_is_stopped() -> anyhow::Result<()> {
    let mut place = place().await?;
    let before = place.held().await?;
    let heads = &before.heads;
    let mut witness = RawStream::hello(&place.url, &place.identity, 1, heads).await?;
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
    // A fork counts each of its entries once, and nobody else's differently.
    let held = place.held().await?;
    assert_eq!(held.fold.balance(), before.fold.balance() + 3);
    let of_other = place.identity.devices[1].id();
    assert_eq!(held.heads.of(&of_other), heads.of(&of_other));
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

/// How a forked journal is closed.
#[derive(Debug, Clone, Copy)]
enum Closing {
    Revoke,
    Replace,
}

#[tokio::test]
async fn s27_revoke_and_replace_close_a_fork() -> anyhow::Result<()> {
    for closing in [Closing::Revoke, Closing::Replace] {
        let mut place = place().await?;
        let heads = place.held().await?.heads;
        let mut forked = RawStream::hello(&place.url, &place.identity, 1, &heads).await?;
        let one = place.identity.credit(1, "one", 1)?;
        let one_end = place.identity.devices[1].tip;
        place.identity.devices[1].tip = heads.of(&place.identity.devices[1].id())[0];
        let other = place.identity.credit(1, "other", 2)?;
        let other_end = place.identity.devices[1].tip;
        let outcomes = forked.push_taken(vec![one, other]).await?;
        assert_eq!(outcomes, vec![Outcome::Kept; 2], "{closing:?}");
        let before = place.held().await?;
        let next = match closing {
            Closing::Revoke => {
                place.identity.revoke(&place.deployment, 1).await?;
                None
            }
            Closing::Replace => Some(place.identity.replace(&place.deployment, 1).await?),
        };
        assert_eq!(
            refusal(&forked.end().await?),
            (Code::PermissionDenied, "DEVICE_REVOKED".to_owned())
        );
        // Both branches stay, and neither goes on.
        let held = place.held().await?;
        assert_eq!(held.fold.balance(), before.fold.balance(), "{closing:?}");
        let mut tips = held.heads.of(&place.identity.devices[1].id()).to_vec();
        tips.sort();
        let mut ends = [one_end, other_end];
        ends.sort();
        assert_eq!(tips, ends);
        let more = place.identity.credit(1, "more", 3)?;
        place.refuses(more, Refusal::OutsideCut).await?;
        if let Some(next) = next {
            let heads = place.held().await?.heads;
            let mut new = RawStream::hello(&place.url, &place.identity, next, &heads).await?;
            let good = place.identity.credit(next, "in its place", 4)?;
            assert_eq!(new.push_taken(vec![good]).await?, vec![Outcome::Kept]);
        }
    }
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
    let before = place.held().await?.fold.balance();
    let largest = place.identity.credit(0, "k", (1 << 53) - 1)?;
    assert_eq!(
        place.stream.push_taken(vec![largest]).await?,
        vec![Outcome::Kept]
    );
    // It is an amount, but above what this deployment lets a device credit itself.
    assert_eq!(place.held().await?.fold.balance(), before);
    place.goes_on().await
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
    let heads = place.held().await?.heads;
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
    assert!(place.held().await?.fold.upgrade_required());
    place.goes_on().await
}

#[tokio::test]
async fn bad_run_a_first_entry_that_names_a_parent_is_refused() -> anyhow::Result<()> {
    let mut place = place().await?;
    let mut run = place.signed(0, 1, payload(vec![posting("k", 1)]));
    run.first_prev = EntryHash::from_bytes([1; 32]);
    place.refuses(run, Refusal::Gate(Reject::BadRun)).await
}
