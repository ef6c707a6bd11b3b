//! Sessions and redeemed nonces.
//!
//! Value of a session: version (1), end (8), device (16), checksum (8). Of a nonce: version (1),
//! end (8), checksum (8).

use edge_ledger_core::ids::{DeviceId, IdentityId};
use redb::ReadableTable as _;

use super::expiry::{Ending, ends_at, purge};
use super::fault::Fault;
use super::layout::{Reading, Writing};
use super::tables::{SESSIONS, Snapshot, Tables, pass_key};
use super::write::Decision;
use crate::identity::StoredSession;

const SESSION: &str = Ending::Session.table();
const NONCE: &str = Ending::Nonce.table();

pub(super) fn redeem(
    tables: &mut Tables<'_>,
    identity: IdentityId,
    nonce: &[u8; 32],
    expires_ms: i64,
    now_ms: i64,
) -> Result<Decision<bool>, Fault> {
    let key = pass_key(identity, nonce);
    if expires_ms < now_ms || tables.nonces.get(&key)?.is_some() {
        return Ok(Decision::unchanged(false));
    }
    purge(tables, now_ms)?;
    let value = Writing::with_capacity(8).field(&expires_ms.to_be_bytes());
    tables.nonces.insert(&key, &*value.sealed(NONCE, &key))?;
    ends_at(tables, expires_ms, Ending::Nonce, &key)?;
    Ok(Decision::wrote(true))
}

pub(super) fn open_session(
    tables: &mut Tables<'_>,
    identity: IdentityId,
    token_hash: &[u8; 32],
    session: StoredSession,
    now_ms: i64,
) -> Result<Decision<()>, Fault> {
    purge(tables, now_ms)?;
    let key = pass_key(identity, token_hash);
    let value = Writing::with_capacity(24)
        .field(&session.expires_ms.to_be_bytes())
        .field(session.device.as_bytes());
    tables
        .sessions
        .insert(&key, &*value.sealed(SESSION, &key))?;
    ends_at(tables, session.expires_ms, Ending::Session, &key)?;
    Ok(Decision::wrote(()))
}

pub(super) fn session(
    snapshot: &Snapshot,
    identity: IdentityId,
    token_hash: &[u8; 32],
    now_ms: i64,
) -> Result<Option<StoredSession>, Fault> {
    let key = pass_key(identity, token_hash);
    let Some(value) = snapshot.table(SESSIONS)?.get(&key)? else {
        return Ok(None);
    };
    let mut row = Reading::sealed(SESSION, &key, value.value())?;
    let expires_ms = row.i64()?;
    let device = DeviceId::from_bytes(row.bytes()?);
    row.end()?;
    let session = StoredSession { device, expires_ms };
    Ok(Some(session).filter(|session| session.expires_ms > now_ms))
}
