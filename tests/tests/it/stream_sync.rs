//! The stream as it should be: entries go in, are acked after the commit, and come out elsewhere.

use edge_ledger_core::ledger::Heads;
use edge_ledger_core::sync::{Frame, Outcome};
use edge_ledger_store::LedgerStore as _;
use edge_ledger_tests::{Deployment, Identity, RawStream, refusal};
use tonic::Code;

#[tokio::test]
async fn an_entry_is_acked_and_reaches_the_other_device() -> anyhow::Result<()> {
    let deployment = Deployment::new()?;
    let server = deployment.ledger_service().await?;
    let url = format!("http://{}", server.local_addr());
    let mut identity = Identity::create(&deployment, 2).await?;
    let mut a = RawStream::hello(&url, &identity, 0, &Heads::default()).await?;
    let mut b = RawStream::hello(&url, &identity, 1, &Heads::default()).await?;
    let run = identity.credit(0, "first", 5)?;
    assert_eq!(a.push_taken(vec![run.clone()]).await?, vec![Outcome::Kept]);
    let acks = a.acks().await?;
    assert_eq!((acks.len(), acks[0].point), (1, identity.devices[0].tip));
    let runs = b
        .until(|frame| match frame {
            Frame::Runs { runs, .. } => Some(runs),
            _ => None,
        })
        .await?;
    assert_eq!(runs, vec![run]);
    let heads = deployment.store.heads(identity.log.identity()).await?.value;
    assert_eq!(
        heads.of(&identity.devices[0].id()),
        [identity.devices[0].tip]
    );
    assert!(server.shutdown(std::time::Duration::from_secs(5)).await);
    Ok(())
}

#[tokio::test]
async fn a_revoked_device_is_cut_off_and_its_entries_stay_outside() -> anyhow::Result<()> {
    let deployment = Deployment::new()?;
    let server = deployment.ledger_service().await?;
    let url = format!("http://{}", server.local_addr());
    let mut identity = Identity::create(&deployment, 2).await?;
    let mut thief = RawStream::hello(&url, &identity, 1, &Heads::default()).await?;
    let acked = identity.credit(1, "acked", 5)?;
    assert_eq!(thief.push_taken(vec![acked]).await?, vec![Outcome::Kept]);
    let kept = identity.devices[1].tip;
    identity.revoke(&deployment, 1).await?;
    assert_eq!(
        refusal(&thief.end().await?),
        (Code::PermissionDenied, "DEVICE_REVOKED".to_owned())
    );

    let mut again = RawStream::open(&url).await?;
    let hello = again.sign_hello(&identity, &identity.devices[1].key, &Heads::default());
    again.send(Frame::Hello(hello)).await?;
    assert_eq!(
        refusal(&again.end().await?),
        (Code::PermissionDenied, "DEVICE_REVOKED".to_owned())
    );

    // Another device that relays what the thief signs afterwards, or instead of what was acked.
    let mut honest = RawStream::hello(&url, &identity, 0, &Heads::default()).await?;
    let late = identity.credit(1, "late", 7)?;
    identity.devices[1].tip = edge_ledger_core::identity::Point::START;
    let old_seq = identity.credit(1, "old seq", 9)?;
    let outcomes = honest.push_taken(vec![late, old_seq]).await?;
    assert!(
        outcomes.iter().all(|o| matches!(o, Outcome::Refused(_))),
        "{outcomes:?}"
    );
    let good = identity.credit(0, "good", 1)?;
    assert_eq!(honest.push_taken(vec![good]).await?, vec![Outcome::Kept]);
    let heads = deployment.store.heads(identity.log.identity()).await?.value;
    assert_eq!(heads.of(&identity.devices[1].id()), [kept]);
    Ok(())
}

#[tokio::test]
async fn a_service_that_lost_the_log_takes_it_back_from_a_device() -> anyhow::Result<()> {
    use edge_ledger_core::identity::ReceiptedStatement;
    let deployment = Deployment::new()?;
    let mut identity = Identity::create(&deployment, 2).await?;
    // The same deployment over an empty store.
    let wiped = deployment.replica(edge_ledger_store::Embedded::in_memory());
    let server = wiped.ledger_service().await?;
    let url = format!("http://{}", server.local_addr());
    let mut stream = RawStream::open(&url).await?;
    let hello = stream.sign_hello(&identity, &identity.devices[1].key, &Heads::default());
    stream.send(Frame::Hello(hello)).await?;
    let after = stream
        .until(|frame| match frame {
            Frame::LogWanted { after_position } => Some(after_position),
            _ => None,
        })
        .await?;
    assert_eq!(after, 0);
    let log = &identity.log;
    let parts = log
        .records_after(0)
        .iter()
        .enumerate()
        .map(|(index, record)| {
            let hash = log
                .hash_at(index as u64 + 1)
                .expect("every record has a hash");
            ReceiptedStatement::sign(
                &deployment.signer.current(),
                &deployment.genesis,
                record.clone(),
                hash,
            )
            .parts()
        });
    stream.send(Frame::Statements(parts.collect())).await?;
    stream.welcome().await?;
    let run = identity.credit(1, "back", 3)?;
    assert_eq!(stream.push_taken(vec![run]).await?, vec![Outcome::Kept]);
    Ok(())
}
