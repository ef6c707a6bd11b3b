//! Link sessions.
//!
//! Value: version (1), end (8), 1 if joined (1), per message side (1), length (4) and bytes,
//! checksum (8).

use bytes::Bytes;

use super::expiry::{Ending, ends_at, purge};
use super::fault::Fault;
use super::layout::{Reading, Writing};
use super::tables::{LINKS, Snapshot, Tables};
use super::write::Decision;
use crate::Change;
use crate::identity::{LINK_MESSAGES_MAX, LinkInbox, LinkOutcome, LinkSide};

const LINK: &str = Ending::Link.table();

/// A link session's name: the hash of its code's public part.
pub(super) type LinkName = [u8; 32];

struct Link {
    expires_ms: i64,
    joined: bool,
    messages: Vec<(LinkSide, Bytes)>,
}

impl Link {
    fn decode(name: &LinkName, value: &[u8]) -> Result<Self, Fault> {
        let mut row = Reading::sealed(LINK, name, value)?;
        let expires_ms = row.i64()?;
        let joined = row.byte()? == 1;
        let mut messages = Vec::new();
        while !row.is_at_end() {
            let side = match row.byte()? {
                0 => LinkSide::Opener,
                1 => LinkSide::Joiner,
                _ => return Err(Fault::damaged(LINK)),
            };
            let len = usize::try_from(u32::from_be_bytes(row.bytes()?));
            let message = row.slice(len.map_err(|_| Fault::damaged(LINK))?)?;
            messages.push((side, Bytes::copy_from_slice(message)));
        }
        Ok(Self {
            expires_ms,
            joined,
            messages,
        })
    }

    fn encode(&self, name: &LinkName) -> Vec<u8> {
        let bytes: usize = self
            .messages
            .iter()
            .map(|(_, message)| message.len() + 5)
            .sum();
        let value = Writing::with_capacity(9 + bytes)
            .field(&self.expires_ms.to_be_bytes())
            .field(&[u8::from(self.joined)]);
        let value = self.messages.iter().fold(value, |value, (side, message)| {
            let len = u32::try_from(message.len()).expect("a message fits into a frame");
            value
                .field(&[u8::from(*side == LinkSide::Joiner)])
                .field(&len.to_be_bytes())
                .field(message)
        });
        value.sealed(LINK, name)
    }

    fn of(&self, side: LinkSide) -> impl Iterator<Item = &Bytes> {
        self.messages
            .iter()
            .filter(move |(of, _)| *of == side)
            .map(|(_, message)| message)
    }
}

pub(super) fn open(
    tables: &mut Tables<'_>,
    name: &LinkName,
    expires_ms: i64,
    now_ms: i64,
) -> Result<Decision<LinkOutcome>, Fault> {
    if living(&tables.links, name, now_ms)?.is_some() {
        return Ok(Decision::unchanged(LinkOutcome::Taken));
    }
    purge(tables, now_ms)?;
    let link = Link {
        expires_ms,
        joined: false,
        messages: Vec::new(),
    };
    tables.links.insert(name, &*link.encode(name))?;
    ends_at(tables, expires_ms, Ending::Link, name)?;
    Ok(Decision::wrote(LinkOutcome::Done))
}

pub(super) fn join(
    tables: &mut Tables<'_>,
    name: &LinkName,
    now_ms: i64,
) -> Result<Decision<LinkOutcome>, Fault> {
    let Some(mut link) = living(&tables.links, name, now_ms)? else {
        return Ok(Decision::unchanged(LinkOutcome::Gone));
    };
    if link.joined {
        return Ok(Decision::unchanged(LinkOutcome::Taken));
    }
    link.joined = true;
    store(tables, name, &link)
}

pub(super) fn post(
    tables: &mut Tables<'_>,
    name: &LinkName,
    from: LinkSide,
    message: &Bytes,
    now_ms: i64,
) -> Result<Decision<LinkOutcome>, Fault> {
    let Some(mut link) = living(&tables.links, name, now_ms)? else {
        return Ok(Decision::unchanged(LinkOutcome::Gone));
    };
    if link.of(from).last() == Some(message) {
        return Ok(Decision::unchanged(LinkOutcome::Done));
    }
    if link.of(from).count() >= LINK_MESSAGES_MAX {
        return Ok(Decision::unchanged(LinkOutcome::Taken));
    }
    link.messages.push((from, message.clone()));
    store(tables, name, &link)
}

pub(super) fn close(tables: &mut Tables<'_>, name: &LinkName) -> Result<Decision<()>, Fault> {
    if tables.links.remove(name)?.is_none() {
        return Ok(Decision::unchanged(()));
    }
    Ok(Decision::wrote(()).announced(Change::Link { session: *name }))
}

pub(super) fn inbox(
    snapshot: &Snapshot,
    name: &LinkName,
    side: LinkSide,
    after: usize,
    now_ms: i64,
) -> Result<Option<LinkInbox>, Fault> {
    let Some(link) = living(&snapshot.table(LINKS)?, name, now_ms)? else {
        return Ok(None);
    };
    let other = match side {
        LinkSide::Opener => LinkSide::Joiner,
        LinkSide::Joiner => LinkSide::Opener,
    };
    Ok(Some(LinkInbox {
        joined: link.joined,
        messages: link.of(other).skip(after).cloned().collect(),
    }))
}

fn living(
    links: &impl redb::ReadableTable<&'static LinkName, &'static [u8]>,
    name: &LinkName,
    now_ms: i64,
) -> Result<Option<Link>, Fault> {
    let value = links.get(name)?;
    let link = value
        .map(|value| Link::decode(name, value.value()))
        .transpose()?;
    Ok(link.filter(|link| link.expires_ms > now_ms))
}

fn store(
    tables: &mut Tables<'_>,
    name: &LinkName,
    link: &Link,
) -> Result<Decision<LinkOutcome>, Fault> {
    tables.links.insert(name, &*link.encode(name))?;
    Ok(Decision::wrote(LinkOutcome::Done).announced(Change::Link { session: *name }))
}
