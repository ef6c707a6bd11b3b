//! Servers that help devices to find a path: none, unless an operator names them.
//!
//! TURN servers are opened for an hour by names and passwords that coturn's `use-auth-secret` takes
//! (draft-uberti-behave-turn-rest-00): the service and the servers share a secret, and nothing else.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use data_encoding::BASE64;
use edge_ledger_core::ids::DeviceId;
use edge_ledger_proto::signal as wire;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use zeroize::Zeroizing;

use crate::limits::{TURN_LIFE_S, TURN_SECRET_BYTES_MAX};

/// What a service shares with its TURN servers.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a secret")]
pub struct TurnSecret(Zeroizing<Vec<u8>>);

impl TurnSecret {
    /// Takes a secret as the TURN server's configuration has it.
    pub fn new(secret: Vec<u8>) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// Reads one that is the text of a file, but for white space around it; none if that is empty
    /// or too long.
    pub(crate) fn read(path: &Path) -> io::Result<Option<Self>> {
        let mut bytes = Zeroizing::new(Vec::new());
        // White space may be around it.
        let most = u64::try_from(2 * TURN_SECRET_BYTES_MAX).unwrap_or(u64::MAX);
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
        let secret = bytes.trim_ascii();
        let fits = (1..=TURN_SECRET_BYTES_MAX).contains(&secret.len());
        Ok(fits.then(|| Self::new(secret.to_vec())))
    }
}

/// The servers of a deployment.
#[derive(Clone, Default)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct IceConfig {
    /// STUN servers, as `stun:host:port`.
    pub stun_urls: Vec<String>,
    /// TURN servers, as `turn:host:port`.
    pub turn_urls: Vec<String>,
    /// Shared with the TURN servers; without it none is told of.
    pub turn_secret: Option<TurnSecret>,
}

impl IceConfig {
    /// What a device is told.
    pub(super) fn servers(&self, device: &DeviceId, now_ms: i64) -> wire::GetIceServersResponse {
        let stun_urls = self.stun_urls.clone();
        let Some(secret) = &self.turn_secret else {
            return wire::GetIceServersResponse {
                stun_urls,
                ..Default::default()
            };
        };
        let expires_s = now_ms.div_euclid(1_000).saturating_add(TURN_LIFE_S);
        let username = format!("{expires_s}:{device}");
        wire::GetIceServersResponse {
            stun_urls,
            turn_urls: self.turn_urls.clone(),
            password: password(secret, &username),
            username,
        }
    }
}

fn password(TurnSecret(secret): &TurnSecret, username: &str) -> String {
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else {
        return String::new();
    };
    mac.update(username.as_bytes());
    BASE64.encode(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_that_was_not_configured() {
        let device = DeviceId::from_bytes([1; 16]);
        let told = IceConfig::default().servers(&device, 0);
        assert_eq!(told, wire::GetIceServersResponse::default());
    }

    /// `printf '3600:01010101010101010101010101010101' | openssl dgst -sha1 -hmac north -binary | base64`
    #[test]
    fn turn_servers_are_opened_for_an_hour() {
        let config = IceConfig {
            turn_urls: vec!["turn:turn.example:3478".to_owned()],
            turn_secret: Some(TurnSecret::new(b"north".to_vec())),
            ..IceConfig::default()
        };
        let told = config.servers(&DeviceId::from_bytes([1; 16]), 999);
        assert_eq!(told.username, format!("3600:{}", "01".repeat(16)));
        assert_eq!(told.password, "1BUJlnPhuT1GLAWAa+WJ9+DHnBg=");
    }
}
