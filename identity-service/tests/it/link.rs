//! Links between two replicas: the relay, and who may open and join.

use bytes::Bytes;
use edge_ledger_chassis::Reason;
use edge_ledger_proto::identity as wire;
use edge_ledger_proto::identity::{link_request, link_response};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::person::{Person, with_token};
use crate::world::{Client, NAME, PATIENCE, World, assert_refused, dial};

/// One end of a link, as a device holds it.
pub(crate) struct End {
    pub(crate) requests: mpsc::Sender<wire::LinkRequest>,
    pub(crate) responses: Streaming<wire::LinkResponse>,
}

impl End {
    pub(crate) async fn start(
        client: &mut Client,
        token: &str,
        first: Option<link_request::Message>,
    ) -> Self {
        let (requests, stream) = mpsc::channel(32);
        requests
            .send(wire::LinkRequest { message: first })
            .await
            .unwrap();
        let request = with_token(ReceiverStream::new(stream), token);
        let responses = client.link(request).await.unwrap().into_inner();
        Self {
            requests,
            responses,
        }
    }

    pub(crate) async fn open(client: &mut Client, token: &str, name: u8) -> Self {
        let session = Bytes::from(vec![name; 32]);
        let open = link_request::Message::Open(wire::OpenLink { session });
        Self::start(client, token, Some(open)).await
    }

    pub(crate) async fn join(client: &mut Client, name: u8) -> Self {
        let session = Bytes::from(vec![name; 32]);
        let join = link_request::Message::Join(wire::JoinLink { session });
        Self::start(client, "", Some(join)).await
    }

    pub(crate) async fn say(&self, text: impl Into<Bytes>) {
        let message = Some(link_request::Message::Relay(text.into()));
        self.requests
            .send(wire::LinkRequest { message })
            .await
            .unwrap();
    }

    pub(crate) async fn hear(&mut self) -> Result<Option<link_response::Message>, Status> {
        let heard = timeout(PATIENCE, self.responses.message()).await.unwrap();
        Ok(heard?.and_then(|response| response.message))
    }

    pub(crate) async fn hear_text(&mut self) -> Bytes {
        match self.hear().await.unwrap() {
            Some(link_response::Message::Relay(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn opened(&mut self) -> u32 {
        match self.hear().await.unwrap() {
            Some(link_response::Message::Opened(opened)) => opened.expires_in_s,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn joined(&mut self) {
        let heard = self.hear().await.unwrap();
        assert!(
            matches!(heard, Some(link_response::Message::Joined(_))),
            "{heard:?}"
        );
    }

    pub(crate) async fn refused(&mut self, code: Code, reason: Reason) {
        let status = self.hear().await.unwrap_err();
        assert_refused(&status, code, reason);
    }
}

#[tokio::test]
async fn two_replicas_relay_in_both_directions_and_in_order() {
    let world = World::start().await;
    let replica = world.replica().await;
    let (mut here, mut there) = (world.client().await, dial(&replica, NAME).await);
    let person = Person::registered(&world, &mut here, 10).await;
    let token = person.session(&mut here).await;
    let mut opener = End::open(&mut here, &token, 1).await;
    assert_eq!(opener.opened().await, 120);
    // Said before anybody is there: it waits.
    opener.say("hello").await;
    let mut joiner = End::join(&mut there, 1).await;
    joiner.joined().await;
    opener.joined().await;
    assert_eq!(joiner.hear_text().await, "hello");
    for number in 0..15_u8 {
        opener.say(vec![number; 16 * 1024]).await;
        joiner.say(vec![number; 1]).await;
    }
    for number in 0..15_u8 {
        assert_eq!(joiner.hear_text().await, vec![number; 16 * 1024]);
        assert_eq!(opener.hear_text().await, vec![number; 1]);
    }
    person.still_works(&mut there).await;
}

#[tokio::test]
async fn opening_needs_a_session() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let mut end = End::open(&mut client, "el1.nothing", 1).await;
    end.refused(Code::Unauthenticated, Reason::SessionInvalid)
        .await;
    let mut joiner = End::join(&mut client, 1).await;
    joiner.refused(Code::NotFound, Reason::LinkGone).await;
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn s11_a_code_is_joined_once_however_many_try() {
    let world = World::start().await;
    let replica = world.replica().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let mut opener = End::open(&mut client, &token, 1).await;
    opener.opened().await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..32 {
        let server = if number % 2 == 0 {
            &world.server
        } else {
            &replica
        };
        let mut client = dial(server, NAME).await;
        calls.spawn(async move {
            let mut end = End::join(&mut client, 1).await;
            let heard = end.hear().await;
            (end, heard)
        });
    }
    let results = calls.join_all().await;
    let (mut joined, refused): (Vec<_>, Vec<_>) =
        results.into_iter().partition(|(_, heard)| heard.is_ok());
    assert_eq!(joined.len(), 1);
    for (_, heard) in refused {
        assert_refused(
            &heard.unwrap_err(),
            Code::FailedPrecondition,
            Reason::LinkTaken,
        );
    }
    opener.joined().await;
    opener.say("you are the one").await;
    assert_eq!(joined[0].0.hear_text().await, "you are the one");
}

#[tokio::test]
async fn a_name_in_use_cannot_be_opened_again() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let mut opener = End::open(&mut client, &token, 1).await;
    opener.opened().await;
    let mut second = End::open(&mut client, &token, 1).await;
    second
        .refused(Code::FailedPrecondition, Reason::LinkTaken)
        .await;
    let mut joiner = End::join(&mut client, 1).await;
    joiner.joined().await;
    opener.joined().await;
}

#[tokio::test]
async fn bad_messages_end_the_link() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let short = wire::OpenLink {
        session: vec![1; 31].into(),
    };
    let firsts = [
        (None, Reason::BadMessage),
        (
            Some(link_request::Message::Relay("x".into())),
            Reason::BadMessage,
        ),
        (Some(link_request::Message::Open(short)), Reason::KeyFormat),
    ];
    for (first, reason) in firsts {
        let mut end = End::start(&mut client, &token, first).await;
        end.refused(Code::InvalidArgument, reason).await;
    }
    let bad = [
        (Bytes::new(), Code::InvalidArgument, Reason::BadMessage),
        (
            vec![0; 16 * 1024 + 1].into(),
            Code::ResourceExhausted,
            Reason::MessageTooLarge,
        ),
        (
            vec![0; 256 * 1024].into(),
            Code::ResourceExhausted,
            Reason::MessageTooLarge,
        ),
    ];
    for (name, (bad, code, reason)) in (2..).zip(bad) {
        let mut opener = End::open(&mut client, &token, name).await;
        opener.opened().await;
        let mut joiner = End::join(&mut client, name).await;
        joiner.joined().await;
        opener.joined().await;
        opener.say("good").await;
        opener.say(bad).await;
        opener.refused(code, reason).await;
        assert_eq!(joiner.hear_text().await, "good");
        joiner.refused(Code::NotFound, Reason::LinkGone).await;
    }
    person.still_works(&mut client).await;
}

#[tokio::test]
async fn a_side_says_at_most_16_messages() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let token = person.session(&mut client).await;
    let mut opener = End::open(&mut client, &token, 1).await;
    opener.opened().await;
    let mut joiner = End::join(&mut client, 1).await;
    joiner.joined().await;
    for number in 0..17_u8 {
        joiner.say(vec![number]).await;
    }
    joiner
        .refused(Code::ResourceExhausted, Reason::LinkFull)
        .await;
    opener.joined().await;
    for number in 0..16_u8 {
        assert_eq!(opener.hear_text().await, vec![number]);
    }
    person.still_works(&mut client).await;
}
