//! S-08, S-09, S-45 on the stream: who may open a ledger, and who gets not a byte of it.

use edge_ledger_core::identity::LogHead;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::ledger::Heads;
use edge_ledger_core::sync::{Frame, Hello};
use edge_ledger_proto::ledger as pb;
use edge_ledger_tests::{Deployment, Identity, RawStream, refusal};
use tonic::Code;

struct Place {
    _server: ledger_service::Server,
    url: String,
    deployment: Deployment,
    identity: Identity,
}

async fn place() -> anyhow::Result<Place> {
    let deployment = Deployment::new()?;
    let server = deployment.ledger_service().await?;
    let url = format!("http://{}", server.local_addr());
    let identity = Identity::create(&deployment, 2).await?;
    Ok(Place {
        _server: server,
        url,
        deployment,
        identity,
    })
}

impl Place {
    /// Sends a hello and expects a refusal without any other frame, then shows that a good device
    /// still gets in.
    async fn refused(&self, mut stream: RawStream, hello: Hello) -> anyhow::Result<(Code, String)> {
        stream.send(Frame::Hello(hello)).await?;
        let status = match stream.next().await? {
            Err(status) => status,
            Ok(frame) => anyhow::bail!("{} was given away", frame.name()),
        };
        RawStream::hello(&self.url, &self.identity, 0, &Heads::default()).await?;
        Ok(refusal(&status))
    }
}

#[tokio::test]
async fn s08_a_proof_of_another_stream_opens_nothing() -> anyhow::Result<()> {
    let place = place().await?;
    let earlier = RawStream::open(&place.url).await?;
    let key = &place.identity.devices[0].key;
    let replayed = earlier.sign_hello(&place.identity, key, &Heads::default());
    let stream = RawStream::open(&place.url).await?;
    assert_eq!(
        place.refused(stream, replayed).await?,
        (Code::Unauthenticated, "PROOF_INVALID".to_owned())
    );
    Ok(())
}

#[tokio::test]
async fn s08_a_missing_or_cut_proof_opens_nothing() -> anyhow::Result<()> {
    let place = place().await?;
    for bytes in [0, 63, 65] {
        let mut stream = RawStream::open(&place.url).await?;
        let key = &place.identity.devices[0].key;
        let hello = stream.sign_hello(&place.identity, key, &Heads::default());
        let mut hello = pb::Hello::from(hello);
        let mut proof = hello.proof.to_vec();
        proof.resize(bytes, 0);
        hello.proof = proof.into();
        let message = Some(pb::frame::Message::Hello(hello));
        let request = pb::SyncRequest {
            frame: Some(pb::Frame { message }),
            ..pb::SyncRequest::default()
        };
        stream.send_raw(request).await?;
        let status = match stream.next().await? {
            Err(status) => status,
            Ok(frame) => anyhow::bail!("{} was given away", frame.name()),
        };
        assert_eq!(
            refusal(&status),
            (Code::Unauthenticated, "PROOF_INVALID".to_owned()),
            "{bytes} bytes"
        );
    }
    RawStream::hello(&place.url, &place.identity, 0, &Heads::default()).await?;
    Ok(())
}

#[tokio::test]
async fn s08_a_foreign_or_changed_proof_opens_nothing() -> anyhow::Result<()> {
    let place = place().await?;
    let stream = RawStream::open(&place.url).await?;
    let mut hello = stream.sign_hello(
        &place.identity,
        &place.identity.devices[0].key,
        &Heads::default(),
    );
    let mut proof = *hello.proof.as_bytes();
    proof[7] ^= 1;
    hello.proof = edge_ledger_core::keys::Signature::from_bytes(proof);
    assert_eq!(
        place.refused(stream, hello).await?,
        (Code::Unauthenticated, "PROOF_INVALID".to_owned())
    );

    let stream = RawStream::open(&place.url).await?;
    let other = Deployment::new()?;
    let log = &place.identity.log;
    let digest = Heads::default().digest(log);
    let key = &place.identity.devices[0].key;
    let hello = stream.sign_hello_of(other.ledger_id(), log.identity(), log.head(), key, digest);
    assert_eq!(
        place.refused(stream, hello).await?,
        (Code::Unauthenticated, "PROOF_INVALID".to_owned())
    );
    Ok(())
}

#[tokio::test]
async fn s08_a_relayed_stream_names_the_audience_that_was_dialled() -> anyhow::Result<()> {
    let place = place().await?;
    let by_name = place.url.replace("127.0.0.1", "localhost");
    let stream = RawStream::open(&by_name).await?;
    let dialled = by_name.trim_start_matches("http://");
    stream.greeting.check(&place.deployment.genesis, dialled)?;
    let relayed = place.url.trim_start_matches("http://");
    assert!(
        stream
            .greeting
            .check(&place.deployment.genesis, relayed)
            .is_err()
    );
    Ok(())
}

#[tokio::test]
async fn s09_a_stranger_gets_the_same_answer_whether_the_identity_exists_or_not()
-> anyhow::Result<()> {
    let place = place().await?;
    let stranger = SecretKey::from_seed(rand::random());
    let log = &place.identity.log;
    let digest = Heads::default().digest(log);
    let unknown = SecretKey::from_seed(rand::random())
        .public_key()
        .identity_id();
    let mut answers = Vec::new();
    for identity in [log.identity(), unknown] {
        let stream = RawStream::open(&place.url).await?;
        let hello =
            stream.sign_hello_of(log.ledger_id(), identity, LogHead::EMPTY, &stranger, digest);
        answers.push(place.refused(stream, hello).await?);
    }
    assert_eq!(answers[0], (Code::PermissionDenied, "FORBIDDEN".to_owned()));
    assert_eq!(answers[0], answers[1]);
    Ok(())
}

#[tokio::test]
async fn s45_anything_before_hello_is_refused() -> anyhow::Result<()> {
    let place = place().await?;
    let mut stream = RawStream::open(&place.url).await?;
    stream.send(Frame::LogWanted { after_position: 0 }).await?;
    assert_eq!(
        refusal(&stream.end().await?),
        (Code::FailedPrecondition, "HELLO_EXPECTED".to_owned())
    );
    RawStream::hello(&place.url, &place.identity, 0, &Heads::default()).await?;
    Ok(())
}

#[tokio::test]
async fn s45_silence_before_hello_ends_the_stream() -> anyhow::Result<()> {
    let place = place().await?;
    let mut stream = RawStream::open(&place.url).await?;
    assert_eq!(
        refusal(&stream.end().await?),
        (Code::DeadlineExceeded, "HELLO_TIMEOUT".to_owned())
    );
    RawStream::hello(&place.url, &place.identity, 0, &Heads::default()).await?;
    Ok(())
}
