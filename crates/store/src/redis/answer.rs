//! Answers of the server, taken apart.

use bytes::Bytes;
use redis::Value;

use super::layout::damaged;
use crate::StoreError;

/// A value that must be bytes.
pub(super) fn bytes(value: Value) -> Result<Bytes, StoreError> {
    match optional(value)? {
        Some(bytes) => Ok(bytes),
        None => Err(damaged("an answer")),
    }
}

/// A value that may be missing.
pub(super) fn optional(value: Value) -> Result<Option<Bytes>, StoreError> {
    if value == Value::Nil {
        return Ok(None);
    }
    let Value::BulkString(bytes) = value else {
        return Err(damaged("an answer"));
    };
    Ok(Some(bytes.into()))
}

/// A list of values.
pub(super) fn list(value: Value) -> Result<Vec<Value>, StoreError> {
    let Value::Array(values) = value else {
        return Err(damaged("an answer"));
    };
    Ok(values)
}

/// The next of some values.
pub(super) fn next(values: &mut impl Iterator<Item = Value>) -> Result<Value, StoreError> {
    values.next().ok_or_else(|| damaged("an answer"))
}

/// A number, as text.
pub(super) fn number<N: std::str::FromStr>(text: &[u8]) -> Result<N, StoreError> {
    let text = str::from_utf8(text).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| damaged("a number"))
}

/// What a script that writes answers: a word, and values.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) word: Bytes,
    pub(super) values: Vec<Bytes>,
}

impl Said {
    pub(super) fn of(answer: Value) -> Result<Self, StoreError> {
        let mut values = list(answer)?.into_iter().map(bytes);
        let word = values.next().ok_or_else(|| damaged("an answer"))??;
        let values = values.collect::<Result<_, _>>()?;
        Ok(Self { word, values })
    }

    /// Fails because of a word that the script does not say.
    pub(super) fn unknown<T>(&self) -> Result<T, StoreError> {
        Err(damaged("the answer of a script"))
    }
}
