//! The number that a person carries from the new device to the linked one: it proves that no third
//! device sits between the two, even one that knows the code.
//!
//! The new device is committed to its nonce before it learns the other, so whoever sits in between
//! and speaks to both has one try in a million, and cannot search for a pair that fits (Vaudenay,
//! "Secure Communications over Insecure Channels Based on Short Authenticated Strings", 2005).

use std::fmt;

use edge_ledger_core::tags::Tag;
use edge_ledger_proto::identity as pb;
use prost::Message as _;
use subtle::ConstantTimeEq as _;

use super::pake::SharedKey;

const NUMBERS: u64 = 1_000_000;

/// Six digits that both devices of a link session come to.
#[derive(Clone, Copy)]
pub(crate) struct Number(u32);

impl Number {
    pub(super) fn of(transcript: &Transcript, joiner: &[u8; 32], opener: &[u8; 32]) -> Self {
        let hash = Tag::LinkNumber.hash_unbound(&[&transcript.0, joiner, opener]);
        let head = hash.iter().take(8);
        let head = head.fold(0, |head: u64, byte| head << 8 | u64::from(*byte));
        Self(u32::try_from(head % NUMBERS).unwrap_or_default())
    }

    /// Whether a person typed it: spaces and dashes do not matter.
    pub(crate) fn is(&self, typed: &str) -> bool {
        let typed: String = typed
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .collect();
        typed
            .as_bytes()
            .ct_eq(format!("{:06}", self.0).as_bytes())
            .into()
    }
}

/// For people: in two groups.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} {:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// All that the two devices told each other before the nonces, in one hash.
pub(super) struct Transcript([u8; 32]);

impl Transcript {
    pub(super) fn new(key: &SharedKey, offer: &pb::LinkOffer, new: &pb::Certificate) -> Self {
        let offer = offer.encode_to_vec();
        let bytes = u32::try_from(offer.len()).unwrap_or(u32::MAX).to_be_bytes();
        Self(Tag::LinkTranscript.hash_unbound(&[&**key, &bytes, &offer, &new.signature, &new.body]))
    }

    /// What the new device says before it is told the other nonce.
    pub(super) fn commitment(&self, nonce: &[u8; 32]) -> [u8; 32] {
        Tag::LinkCommitment.hash_unbound(&[&self.0, nonce])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_may_group_the_digits_and_nothing_else() {
        let number = Number(1_234);
        assert_eq!(number.to_string(), "001 234");
        for typed in ["001234", "001 234", " 001-234\n", "0 0 1 2 3 4"] {
            assert!(number.is(typed), "{typed}");
        }
        for typed in ["", "1234", "0001234", "001235", "００1234", "001 234x"] {
            assert!(!number.is(typed), "{typed}");
        }
    }
}
