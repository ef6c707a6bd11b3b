//! The table of tags: every signed or hashed object starts with its own, so that nothing can be
//! replayed as another object, and (but for the objects that define a deployment) with the
//! `ledger_id`, so that nothing can be replayed in another deployment.

use sha2::{Digest as _, Sha256};

use crate::ids::LedgerId;

/// What a hash or a signature is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// The deployment's genesis; without a `ledger_id`, which it defines.
    Genesis,
    /// A device id; without a `ledger_id`.
    DeviceId,
    /// The nameplate of a link session; without a `ledger_id`.
    Nameplate,
    /// The next root key; without a `ledger_id`.
    NextKey,
    /// A service key, by the service root.
    ServiceKey,
    /// A device's certificate, by itself.
    Certificate,
    /// A statement of an identity log.
    Statement,
    /// The hash chain of an identity log.
    Log,
    /// The receipt of a statement, by a service key.
    StatementReceipt,
    /// An identity challenge, by a device.
    Challenge,
    /// The hash of an entry.
    Entry,
    /// Place and hash of an entry, by its device.
    Tip,
    /// An issuer's proof of a credit or refund.
    IssuerProof,
    /// An ack, by a service key.
    Ack,
    /// The digest of all tips.
    Digest,
    /// A greeting, by a service key.
    Greeting,
    /// A hello, by a device.
    Hello,
    /// A welcome, by a service key.
    Welcome,
    /// A hello between devices, by the one that says it.
    PeerHello,
    /// An offer or answer between devices, by the one that makes it.
    Signal,
    /// The hash of a signed offer, which its answer names.
    Offer,
    /// Keys of the sealed channel of a link session; without a `ledger_id`.
    LinkKey,
    /// What the two devices of a link session told each other; without a `ledger_id`.
    LinkTranscript,
    /// The new device's commitment to its nonce; without a `ledger_id`.
    LinkCommitment,
    /// The number that a person compares; without a `ledger_id`.
    LinkNumber,
    /// What devices of one identity know each other by on a network.
    Rendezvous,
    /// That an end of a connection there knows it; without a `ledger_id`.
    NearbyProof,
    /// Keys of the sealed channel of such a connection; without a `ledger_id`.
    NearbyKey,
}

impl Tag {
    /// All tags, for tables and for tests over every pair.
    pub const ALL: [Self; 28] = [
        Self::Genesis,
        Self::DeviceId,
        Self::Nameplate,
        Self::NextKey,
        Self::ServiceKey,
        Self::Certificate,
        Self::Statement,
        Self::Log,
        Self::StatementReceipt,
        Self::Challenge,
        Self::Entry,
        Self::Tip,
        Self::IssuerProof,
        Self::Ack,
        Self::Digest,
        Self::Greeting,
        Self::Hello,
        Self::Welcome,
        Self::PeerHello,
        Self::Signal,
        Self::Offer,
        Self::LinkKey,
        Self::LinkTranscript,
        Self::LinkCommitment,
        Self::LinkNumber,
        Self::Rendezvous,
        Self::NearbyProof,
        Self::NearbyKey,
    ];

    /// The tag's bytes, ending in a zero byte.
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Genesis => b"edge-ledger/genesis/v1\0",
            Self::DeviceId => b"edge-ledger/device-id/v1\0",
            Self::Nameplate => b"edge-ledger/nameplate/v1\0",
            Self::NextKey => b"edge-ledger/next-key/v1\0",
            Self::ServiceKey => b"edge-ledger/service-key/v1\0",
            Self::Certificate => b"edge-ledger/certificate/v1\0",
            Self::Statement => b"edge-ledger/statement/v1\0",
            Self::Log => b"edge-ledger/log/v1\0",
            Self::StatementReceipt => b"edge-ledger/statement-receipt/v1\0",
            Self::Challenge => b"edge-ledger/challenge/v1\0",
            Self::Entry => b"edge-ledger/entry/v1\0",
            Self::Tip => b"edge-ledger/tip/v1\0",
            Self::IssuerProof => b"edge-ledger/issuer-proof/v1\0",
            Self::Ack => b"edge-ledger/ack/v1\0",
            Self::Digest => b"edge-ledger/digest/v1\0",
            Self::Greeting => b"edge-ledger/greeting/v1\0",
            Self::Hello => b"edge-ledger/hello/v1\0",
            Self::Welcome => b"edge-ledger/welcome/v1\0",
            Self::PeerHello => b"edge-ledger/peer-hello/v1\0",
            Self::Signal => b"edge-ledger/signal/v1\0",
            Self::Offer => b"edge-ledger/offer/v1\0",
            Self::LinkKey => b"edge-ledger/link-key/v1\0",
            Self::LinkTranscript => b"edge-ledger/link-transcript/v1\0",
            Self::LinkCommitment => b"edge-ledger/link-commitment/v1\0",
            Self::LinkNumber => b"edge-ledger/link-number/v1\0",
            Self::Rendezvous => b"edge-ledger/rendezvous/v1\0",
            Self::NearbyProof => b"edge-ledger/nearby-proof/v1\0",
            Self::NearbyKey => b"edge-ledger/nearby-key/v1\0",
        }
    }

    /// SHA-256 of the tag and the parts, without a deployment.
    pub fn hash_unbound(self, parts: &[&[u8]]) -> [u8; 32] {
        let mut sha = Sha256::new_with_prefix(self.as_bytes());
        for part in parts {
            sha.update(part);
        }
        sha.finalize().into()
    }

    /// SHA-256 of the tag, the deployment and the parts.
    pub fn hash(self, ledger_id: LedgerId, parts: &[&[u8]]) -> [u8; 32] {
        let mut sha = Sha256::new_with_prefix(self.as_bytes());
        sha.update(ledger_id.as_bytes());
        for part in parts {
            sha.update(part);
        }
        sha.finalize().into()
    }

    /// The tag and the deployment: what root keys sign as Ed25519ph context.
    pub fn context(self, ledger_id: LedgerId) -> Vec<u8> {
        [self.as_bytes(), ledger_id.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_distinct_prefix_free_and_fit_an_ed25519ph_context() {
        for (i, a) in Tag::ALL.into_iter().enumerate() {
            assert!(a.context(LedgerId::from_bytes([0; 16])).len() <= 255);
            assert_eq!(a.as_bytes().last(), Some(&0));
            for b in Tag::ALL.into_iter().skip(i + 1) {
                assert!(!a.as_bytes().starts_with(b.as_bytes()), "{a:?} {b:?}");
                assert!(!b.as_bytes().starts_with(a.as_bytes()), "{a:?} {b:?}");
            }
        }
    }
}
