//! Link sessions: one hash each, with its end, who opened and joined it, and for each side how
//! many messages it left and these.

use std::collections::BTreeMap;

use bytes::Bytes;
use redis::Pipeline;

use super::RedisStore;
use super::answer::{bytes, list, next, number};
use super::committer::Answer;
use super::feed::Hint;
use super::keys::Keys;
use super::layout::damaged;
use super::passes::life_ms;
use super::script::{Call, Loaded, Script};
use super::stamp::Stamp;
use crate::identity::{LINK_MESSAGES_MAX, LinkInbox, LinkOutcome, LinkSide};
use crate::{Change, StoreError};

fn letter(side: LinkSide) -> &'static str {
    match side {
        LinkSide::Opener => "o",
        LinkSide::Joiner => "j",
    }
}

impl RedisStore {
    /// Opens a link session.
    pub(super) async fn open_link_session(
        &self,
        session: [u8; 32],
        expires_ms: i64,
        now_ms: i64,
    ) -> Result<LinkOutcome, StoreError> {
        let call = Call::new(Script::OpenLink, [Keys::of_link(session).link()])
            .arg(self.open.stamps.write())
            .number(life_ms(expires_ms, now_ms))
            .number(expires_ms)
            .number(now_ms);
        self.write(call, |answer: Answer| Ok((outcome(&answer)?, None)))
            .await
    }

    /// Joins a link session.
    pub(super) async fn join_link_session(
        &self,
        session: [u8; 32],
        now_ms: i64,
    ) -> Result<LinkOutcome, StoreError> {
        let call = self.link_call(Script::JoinLink, session).number(now_ms);
        self.write(call, move |answer| announced(&answer, session))
            .await
    }

    /// Leaves a message.
    pub(super) async fn leave_message(
        &self,
        session: [u8; 32],
        from: LinkSide,
        message: Bytes,
        now_ms: i64,
    ) -> Result<LinkOutcome, StoreError> {
        let call = self
            .link_call(Script::PostLink, session)
            .number(now_ms)
            .arg(letter(from))
            .arg(message)
            .number(LINK_MESSAGES_MAX);
        self.write(call, move |answer| announced(&answer, session))
            .await
    }

    /// Ends a link session.
    pub(super) async fn end_link(&self, session: [u8; 32]) -> Result<(), StoreError> {
        let call = self.link_call(Script::CloseLink, session);
        self.write(call, move |answer| {
            let (_, change) = announced(&answer, session)?;
            Ok(((), change))
        })
        .await
    }

    /// What there is for one side.
    pub(super) async fn read_inbox(
        &self,
        session: [u8; 32],
        side: LinkSide,
        after: usize,
        now_ms: i64,
    ) -> Result<Option<LinkInbox>, StoreError> {
        let key = Keys::of_link(session).link();
        let commands = |_: &Loaded| {
            let mut pipeline = Pipeline::new();
            pipeline.cmd("HGETALL").arg(&key);
            pipeline
        };
        let mut answers = self.open.reader.ask(commands).await?.into_iter();
        let mut values = list(next(&mut answers)?)?.into_iter();
        let mut fields = BTreeMap::new();
        while let Some(name) = values.next() {
            fields.insert(bytes(name)?, bytes(next(&mut values)?)?);
        }
        let Some(expires) = fields.get(&b"expires"[..]) else {
            return Ok(None);
        };
        if number::<i64>(expires)? <= now_ms {
            return Ok(None);
        }
        let other = match side {
            LinkSide::Opener => letter(LinkSide::Joiner),
            LinkSide::Joiner => letter(LinkSide::Opener),
        };
        let count = fields.get(other.as_bytes());
        let count: usize = count.map_or(Ok(0), |count| number(count))?;
        let message = |index: usize| {
            let message = fields.get(format!("{other}{index}").as_bytes());
            let message = message.filter(|message| message.len() >= size_of::<Stamp>());
            let message = message.ok_or_else(|| damaged("a link session"))?;
            Ok(message.slice(size_of::<Stamp>()..))
        };
        let messages = (after.saturating_add(1)..=count).map(message);
        Ok(Some(LinkInbox {
            joined: fields.contains_key(&b"joined"[..]),
            messages: messages.collect::<Result<_, StoreError>>()?,
        }))
    }

    fn link_call(&self, script: Script, session: [u8; 32]) -> Call {
        let keys = Keys::of_link(session);
        Call::new(script, [keys.link()])
            .arg(self.open.stamps.write())
            .arg(keys.channel())
            .arg(Hint::Link.message(self.open.stamps.origin()))
    }
}

fn outcome(answer: &Answer) -> Result<LinkOutcome, StoreError> {
    match &*answer.said.word {
        b"done" | b"same" => Ok(LinkOutcome::Done),
        b"gone" => Ok(LinkOutcome::Gone),
        b"taken" => Ok(LinkOutcome::Taken),
        _ => answer.said.unknown(),
    }
}

/// What changed is announced.
fn announced(
    answer: &Answer,
    session: [u8; 32],
) -> Result<(LinkOutcome, Option<Change>), StoreError> {
    let changed = &*answer.said.word == b"done";
    Ok((
        outcome(answer)?,
        changed.then_some(Change::Link { session }),
    ))
}
