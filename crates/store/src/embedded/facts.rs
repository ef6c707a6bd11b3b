//! A device's small facts beside its journals: what was acked, how far a peer got.
//!
//! Value: version (1), the bytes, checksum (8).

use bytes::Bytes;

use super::Embedded;
use super::fault::Fault;
use super::layout::{Reading, Writing};
use super::tables::{FACTS, Tables};
use super::write::Decision;
use crate::StoreError;

const FACT: &str = "a fact";

/// Keeps a fact; says whether it was another one before.
pub(super) fn put(tables: &mut Tables<'_>, key: &str, value: &[u8]) -> Result<bool, Fault> {
    let sealed = Writing::with_capacity(value.len()).field(value);
    let sealed = sealed.sealed(FACT, key.as_bytes());
    let before = tables.facts.insert(key, &*sealed)?;
    Ok(before.is_none_or(|before| before.value() != sealed))
}

impl Embedded {
    /// Keeps a fact under a name, in the place of the one before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put(&self, key: &str, value: Bytes) -> Result<(), StoreError> {
        let key = key.to_owned();
        self.write(key.len() + value.len(), move |tables| {
            let changed = put(tables, &key, &value)?;
            Ok(if changed {
                Decision::wrote(())
            } else {
                Decision::unchanged(())
            })
        })
        .await
    }

    /// The fact under a name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let key = key.to_owned();
        self.read(move |snapshot| {
            let Some(value) = snapshot.table(FACTS)?.get(&*key)? else {
                return Ok(None);
            };
            let fact = Reading::sealed(FACT, key.as_bytes(), value.value())?.rest();
            Ok(Some(Bytes::copy_from_slice(fact)))
        })
        .await
    }

    /// All facts whose names start with a prefix, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self, prefix: &str) -> Result<Vec<(String, Bytes)>, StoreError> {
        let prefix = prefix.to_owned();
        self.read(move |snapshot| {
            let mut facts = Vec::new();
            for row in snapshot.table(FACTS)?.range::<&str>(&*prefix..)? {
                let (key, value) = row?;
                if !key.value().starts_with(&*prefix) {
                    break;
                }
                let fact = Reading::sealed(FACT, key.value().as_bytes(), value.value())?.rest();
                facts.push((key.value().to_owned(), Bytes::copy_from_slice(fact)));
            }
            Ok(facts)
        })
        .await
    }

    /// Forgets the fact under a name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove(&self, key: &str) -> Result<(), StoreError> {
        let key = key.to_owned();
        self.write(key.len(), move |tables| {
            let gone = tables.facts.remove(&*key)?.is_none();
            Ok(if gone {
                Decision::unchanged(())
            } else {
                Decision::wrote(())
            })
        })
        .await
    }
}
