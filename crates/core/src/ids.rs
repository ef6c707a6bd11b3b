//! Identifiers: fixed-length bytes, shown as lower-case hex.

use std::fmt;
use std::str::FromStr;

/// Bytes or text that do not have the form of an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {expected} bytes ({} hex digits)", expected * 2)]
pub struct IdError {
    /// Which identifier was expected.
    pub what: &'static str,
    /// Its length in bytes.
    pub expected: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Takes the bytes as they are.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;

            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                bytes
                    .try_into()
                    .map(Self)
                    .map_err(|_| IdError { what: $what, expected: $len })
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes)
                    .map_err(|_| IdError { what: $what, expected: $len })?;
                Ok(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), hex::encode(&self.0[..4]))
            }
        }
    };
}

id!(
    /// A deployment: the first 16 bytes of its genesis' tagged SHA-256.
    LedgerId, 16, "a ledger id"
);
id!(
    /// An identity: the owner's Ed25519 public key at inception.
    IdentityId, 32, "an identity id"
);
id!(
    /// A device: the first 16 bytes of its public key's tagged SHA-256.
    DeviceId, 16, "a device id"
);
id!(
    /// The hash of an entry; all zeros stands for "before the first entry".
    EntryHash, 32, "an entry hash"
);
id!(
    /// The hash of an identity log up to a position; all zeros stands for "before the first".
    LogHash, 32, "a log hash"
);
id!(
    /// SHA-256 over the sorted tips of an identity.
    Digest, 32, "a digest"
);
id!(
    /// Random id of an identity's place in a store, renewed when that place lost data.
    StoreEpoch, 16, "a store epoch"
);

impl EntryHash {
    /// What the first entry of a journal names as its `prev`.
    pub const ZERO: Self = Self([0; 32]);
}

impl LogHash {
    /// What the first statement of a log names as its `expected_head`.
    pub const ZERO: Self = Self([0; 32]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_debug_is_short() {
        let id = DeviceId::from_bytes([0xab; 16]);
        assert_eq!(id.to_string().parse::<DeviceId>().unwrap(), id);
        assert_eq!(format!("{id:?}"), "DeviceId(abababab)");
    }

    #[test]
    fn wrong_lengths_and_digits_are_refused() {
        for text in [
            "",
            "ab",
            "zz".repeat(16).as_str(),
            &"ab".repeat(17),
            &"a".repeat(31),
        ] {
            let error = text.parse::<DeviceId>().unwrap_err();
            assert_eq!(
                error.to_string(),
                "a device id must be 16 bytes (32 hex digits)"
            );
        }
        assert!(DeviceId::try_from(&[0; 15][..]).is_err());
    }
}
