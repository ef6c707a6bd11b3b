//! What ends by itself: sessions, redeemed nonces and link sessions.
//!
//! A store has no clock and no timer: writes that name the time take away what ended before it,
//! a bounded number of rows each, and more than they add. So the rows do not pile up.

use redb::{ReadableTable as _, Table};

use super::fault::Fault;
use super::layout::Reading;
use super::tables::Tables;

/// Most rows that one write takes away.
const PURGED_PER_WRITE_MAX: usize = 16;

/// Which table a row that ends is in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    Session = 1,
    Nonce = 2,
    Link = 3,
}

impl Ending {
    fn from_code(code: u8) -> Option<Self> {
        [Self::Session, Self::Nonce, Self::Link]
            .into_iter()
            .find(|ending| *ending as u8 == code)
    }

    /// What its rows are called in errors, and sealed with.
    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Session => "a session",
            Self::Nonce => "a nonce",
            Self::Link => "a link session",
        }
    }
}

/// Remembers that a row ends. All such rows start with the time at which they do.
pub(super) fn ends_at(
    tables: &mut Tables<'_>,
    expires_ms: i64,
    ending: Ending,
    key: &[u8],
) -> Result<(), Fault> {
    let key = [&sortable(expires_ms)[..], &[ending as u8], key].concat();
    tables.expiries.insert(&*key, ())?;
    Ok(())
}

/// Takes away rows that ended before a time.
pub(super) fn purge(tables: &mut Tables<'_>, now_ms: i64) -> Result<(), Fault> {
    let mut ended = Vec::new();
    let before = sortable(now_ms);
    for row in tables
        .expiries
        .range::<&[u8]>(..&before[..])?
        .take(PURGED_PER_WRITE_MAX)
    {
        ended.push(row?.0.value().to_vec());
    }
    for key in &ended {
        tables.expiries.remove(&**key)?;
        if let Some((&code, key)) = key.get(8..).and_then(<[u8]>::split_first) {
            take_away(tables, Ending::from_code(code), key, now_ms)?;
        }
    }
    Ok(())
}

/// Takes a row away unless it was written anew and ends later.
fn take_away(
    tables: &mut Tables<'_>,
    ending: Option<Ending>,
    key: &[u8],
    now_ms: i64,
) -> Result<(), Fault> {
    match ending {
        Some(Ending::Session) => take_from(&mut tables.sessions, Ending::Session, key, now_ms),
        Some(Ending::Nonce) => take_from(&mut tables.nonces, Ending::Nonce, key, now_ms),
        Some(Ending::Link) => take_from(&mut tables.links, Ending::Link, key, now_ms),
        // A damaged row of the index.
        None => Ok(()),
    }
}

fn take_from<const N: usize>(
    table: &mut Table<'_, &'static [u8; N], &'static [u8]>,
    ending: Ending,
    key: &[u8],
    now_ms: i64,
) -> Result<(), Fault> {
    let Ok(key) = <&[u8; N]>::try_from(key) else {
        return Ok(());
    };
    let ended = table
        .get(key)?
        .map(|value| ended(ending, key, value.value(), now_ms));
    if ended == Some(true) {
        table.remove(key)?;
    }
    Ok(())
}

/// Whether a row ended before a time; a damaged one has.
fn ended(ending: Ending, key: &[u8], value: &[u8], now_ms: i64) -> bool {
    Reading::sealed(ending.table(), key, value)
        .and_then(|mut row| row.i64())
        .map_or(true, |expires_ms| expires_ms < now_ms)
}

/// Bytes that sort as the times do, negative ones first.
fn sortable(ms: i64) -> [u8; 8] {
    ms.wrapping_sub(i64::MIN).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sort_as_bytes() {
        let times = [i64::MIN, -2, -1, 0, 1, 256, i64::MAX];
        assert!(times.is_sorted_by_key(|ms| sortable(*ms)));
        assert!(sortable(-1) < sortable(0));
    }
}
