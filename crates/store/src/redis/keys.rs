//! The keys of one identity, or of one link session: all of them have one hash tag, so that one
//! script may touch them wherever they are.

use std::fmt::Display;

use edge_ledger_core::ids::{DeviceId, IdentityId};

/// The pattern of all channels.
pub(super) const CHANNELS: &str = "el:feed:{*}";
/// What a server that syncs once a second is waited for by: one key for all.
pub(super) const FENCE: &str = "el:fence:{g}";
/// The pattern of the keys of all logs.
pub(super) const LOGS: &str = "el:log:{*}";
/// What is written to find out whether the server takes writes: one key for all.
pub(super) const PROBE: &str = "el:probe:{g}";
/// What nobody listens to, though it has the form of the channels.
pub(super) const PROBE_CHANNEL: &str = "el:feed:{g}";
const CHANNEL: &str = "el:feed:{";
/// Every kind of key.
const KINDS: [&str; 8] = [
    "log",
    "statements",
    "tips",
    "entries",
    "nonce",
    "session",
    "link",
    "fence",
];

/// Makes the keys of one identity or link session.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    tag: String,
}

impl Keys {
    pub(super) fn of(identity: IdentityId) -> Self {
        Self {
            tag: identity.to_string(),
        }
    }

    pub(super) fn of_link(session: [u8; 32]) -> Self {
        // The same form: 64 hex digits.
        Self::of(IdentityId::from_bytes(session))
    }

    pub(super) fn log(&self) -> String {
        self.key("log")
    }

    pub(super) fn statements(&self) -> String {
        self.key("statements")
    }

    pub(super) fn tips(&self) -> String {
        self.key("tips")
    }

    pub(super) fn entries(&self, device: DeviceId) -> String {
        self.part("entries", device)
    }

    pub(super) fn nonce(&self, nonce: [u8; 32]) -> String {
        self.part("nonce", IdentityId::from_bytes(nonce))
    }

    pub(super) fn session(&self, token_hash: [u8; 32]) -> String {
        self.part("session", IdentityId::from_bytes(token_hash))
    }

    pub(super) fn link(&self) -> String {
        self.key("link")
    }

    pub(super) fn channel(&self) -> String {
        self.key("feed")
    }

    fn key(&self, kind: &str) -> String {
        format!("el:{kind}:{{{}}}", self.tag)
    }

    fn part(&self, kind: &str, part: impl Display) -> String {
        format!("el:{kind}:{{{}}}:{part}", self.tag)
    }
}

/// A key that only one start writes, to find out what the user may do.
pub(super) fn probe(fresh: u64) -> String {
    format!("{PROBE}:{fresh:016x}")
}

/// A key of each kind, of nobody.
pub(super) fn of_each_kind() -> impl Iterator<Item = String> {
    KINDS.iter().map(|kind| format!("el:{kind}:{{g}}"))
}

/// The identity or link session that a channel is about.
pub(super) fn of_channel(channel: &[u8]) -> Option<[u8; 32]> {
    let channel = str::from_utf8(channel).ok()?;
    let tag = channel.strip_prefix(CHANNEL)?.strip_suffix('}')?;
    Some(*tag.parse::<IdentityId>().ok()?.as_bytes())
}

/// The identity whose log has a key.
pub(super) fn of_log(key: &[u8]) -> Option<IdentityId> {
    let key = str::from_utf8(key).ok()?;
    let tag = key.strip_prefix("el:log:{")?.strip_suffix('}')?;
    tag.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::commands::is_key;

    proptest::proptest! {
        /// S-70, whatever an id is made of.
        #[test]
        fn every_key_has_the_form(
            bytes in proptest::array::uniform32(proptest::num::u8::ANY),
            other in proptest::array::uniform32(proptest::num::u8::ANY),
            device in proptest::array::uniform16(proptest::num::u8::ANY),
        ) {
            let keys = Keys::of(IdentityId::from_bytes(bytes));
            let link = Keys::of_link(other);
            let all = [
                keys.log(),
                keys.statements(),
                keys.tips(),
                keys.entries(DeviceId::from_bytes(device)),
                keys.nonce(other),
                keys.session(other),
                keys.channel(),
                link.link(),
            ];
            let probed: Vec<_> = of_each_kind().chain([probe(u64::MAX)]).collect();
            let all = all.iter().chain(&probed).map(String::as_str);
            for key in all.chain([FENCE, PROBE, PROBE_CHANNEL]) {
                proptest::prop_assert!(is_key(key), "{key}");
            }
            proptest::prop_assert_eq!(of_channel(keys.channel().as_bytes()), Some(bytes));
            let identity = IdentityId::from_bytes(bytes);
            proptest::prop_assert_eq!(of_log(keys.log().as_bytes()), Some(identity));
        }
    }

    #[test]
    fn keys_are_kinds_and_hex() {
        let keys = Keys::of(IdentityId::from_bytes([0xab; 32]));
        let tag = "ab".repeat(32);
        assert_eq!(keys.log(), format!("el:log:{{{tag}}}"));
        let device = DeviceId::from_bytes([1; 16]);
        let entries = format!("el:entries:{{{tag}}}:{}", "01".repeat(16));
        assert_eq!(keys.entries(device), entries);
        assert_eq!(of_channel(keys.channel().as_bytes()), Some([0xab; 32]));
        assert_eq!(of_channel(b"el:feed:{x}"), None);
        assert_eq!(of_channel(PROBE_CHANNEL.as_bytes()), None);
    }

    #[test]
    fn every_kind_is_known() {
        let keys = Keys::of(IdentityId::from_bytes([0; 32]));
        let all = [
            keys.log(),
            keys.statements(),
            keys.tips(),
            keys.entries(DeviceId::from_bytes([0; 16])),
            keys.nonce([0; 32]),
            keys.session([0; 32]),
            keys.link(),
            FENCE.to_owned(),
        ];
        for (key, of_nobody) in all.iter().zip(of_each_kind()) {
            let (kind, _) = key.split_once('{').unwrap();
            assert_eq!(of_nobody, format!("{kind}{{g}}"));
        }
        assert_eq!(all.len(), KINDS.len());
    }
}
