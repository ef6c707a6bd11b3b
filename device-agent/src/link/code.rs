//! The link code: a public nameplate that names the session, and a secret that seals it.
//!
//! The code is 36 letters and digits of Crockford's base 32 in groups of four: 4 bytes of
//! nameplate, 16 bytes of secret, 2 bytes of check. The link carries the same code, the address of
//! the identity service, and the `ledger_id`, so whoever scans it trusts nobody else.

use std::fmt;
use std::str::FromStr;

use data_encoding::{Encoding, Specification};
use edge_ledger_core::ids::LedgerId;
use edge_ledger_core::tags::Tag;
use zeroize::Zeroize;

use crate::error::AgentError;

const NAMEPLATE_BYTES: usize = 4;
const SECRET_BYTES: usize = 16;
const CHECK_BYTES: usize = 2;
const CODE_BYTES: usize = NAMEPLATE_BYTES + SECRET_BYTES + CHECK_BYTES;
const SCHEME: &str = "edge-ledger:link/1/";

/// The code of one link session. It has no `Debug`: whoever has it can join.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_debug_implementations, reason = "a secret")]
pub struct LinkCode {
    bytes: [u8; CODE_BYTES],
}

impl Drop for LinkCode {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl LinkCode {
    /// Makes a code of 20 random bytes.
    pub(crate) fn new(random: [u8; NAMEPLATE_BYTES + SECRET_BYTES]) -> Self {
        let mut bytes = [0; CODE_BYTES];
        bytes[..random.len()].copy_from_slice(&random);
        let check = check(&random);
        bytes[random.len()..].copy_from_slice(&check);
        Self { bytes }
    }

    /// The session's name at the service, which is a hash of the nameplate.
    pub(crate) fn session(&self) -> [u8; 32] {
        Tag::Nameplate.hash_unbound(&[&self.bytes[..NAMEPLATE_BYTES]])
    }

    /// The key of one direction of the channel.
    pub(crate) fn key(&self, direction: &[u8]) -> [u8; 32] {
        let (nameplate, rest) = self.bytes.split_at(NAMEPLATE_BYTES);
        Tag::LinkKey.hash_unbound(&[nameplate, &rest[..SECRET_BYTES], direction])
    }
}

/// Tells a typing error from a wrong code before anything is sent.
fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = Tag::Nameplate.hash_unbound(&[b"check", bytes]);
    [hash[0], hash[1]]
}

fn crockford() -> Encoding {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    specification.check_trailing_bits = true;
    specification
        .encoding()
        .expect("the alphabet of Crockford's base 32 is sound")
}

impl fmt::Display for LinkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = crockford().encode(&self.bytes);
        for (index, group) in text.as_bytes().chunks(4).enumerate() {
            let dash = if index == 0 { "" } else { "-" };
            write!(f, "{dash}{}", String::from_utf8_lossy(group))?;
        }
        Ok(())
    }
}

impl FromStr for LinkCode {
    type Err = AgentError;

    /// Reads a code as people type it: any case, spaces and dashes anywhere, O for 0, I and L for 1.
    fn from_str(text: &str) -> Result<Self, AgentError> {
        let typed: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            })
            .collect();
        let bytes = crockford()
            .decode(typed.as_bytes())
            .map_err(|_| AgentError::LinkCode("it has 36 letters and digits"))?;
        let bytes: [u8; CODE_BYTES] = bytes
            .try_into()
            .map_err(|_| AgentError::LinkCode("it has 36 letters and digits"))?;
        if check(&bytes[..NAMEPLATE_BYTES + SECRET_BYTES])
            != bytes[NAMEPLATE_BYTES + SECRET_BYTES..]
        {
            return Err(AgentError::LinkCode("a letter or digit is mistyped"));
        }
        Ok(Self { bytes })
    }
}

/// What a new device is given: the code alone, or the link with address and deployment.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds a link code")]
pub struct Invitation {
    /// The code.
    pub code: LinkCode,
    /// Address of the identity service, when the link was given.
    pub identity_url: Option<String>,
    /// The deployment, when the link was given.
    pub ledger_id: Option<LedgerId>,
}

impl Invitation {
    /// The link as text, for a QR code or a message.
    pub fn link(code: &LinkCode, identity_url: &str, ledger_id: LedgerId) -> String {
        format!("{SCHEME}{code}?ledger={ledger_id}&at={identity_url}")
    }
}

impl FromStr for Invitation {
    type Err = AgentError;

    fn from_str(text: &str) -> Result<Self, AgentError> {
        let text = text.trim();
        let Some(link) = text.strip_prefix(SCHEME) else {
            return Ok(Self {
                code: text.parse()?,
                identity_url: None,
                ledger_id: None,
            });
        };
        let (code, rest) = link
            .split_once("?ledger=")
            .ok_or(AgentError::LinkCode("the link is cut off"))?;
        let (ledger_id, url) = rest
            .split_once("&at=")
            .ok_or(AgentError::LinkCode("the link is cut off"))?;
        Ok(Self {
            code: code.parse()?,
            identity_url: Some(url.to_owned()),
            ledger_id: Some(
                ledger_id
                    .parse()
                    .map_err(|_| AgentError::LinkCode("its ledger id is mistyped"))?,
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_links_survive_typing() {
        let code = LinkCode::new(*b"0123456789abcdefghij");
        let text = code.to_string();
        assert_eq!(text.len(), 36 + 8);
        let typed = text
            .to_lowercase()
            .replace('0', "o")
            .replace('1', "l")
            .replace('-', " ");
        assert!(typed.parse::<LinkCode>().unwrap() == code);
        let ledger_id = LedgerId::from_bytes([7; 16]);
        let link: Invitation = Invitation::link(&code, "http://127.0.0.1:7410", ledger_id)
            .parse()
            .unwrap();
        assert!(link.code == code);
        assert_eq!(link.identity_url.as_deref(), Some("http://127.0.0.1:7410"));
        assert_eq!(link.ledger_id, Some(ledger_id));
    }

    #[test]
    fn a_mistyped_code_is_noticed() {
        let text = LinkCode::new([9; 20]).to_string();
        let wrong = format!(
            "{}{}",
            if text.starts_with('0') { "1" } else { "0" },
            &text[1..]
        );
        assert!(matches!(
            wrong.parse::<LinkCode>(),
            Err(AgentError::LinkCode(_))
        ));
        assert!(matches!(
            "ABCD".parse::<Invitation>(),
            Err(AgentError::LinkCode(_))
        ));
        assert!(matches!(
            "edge-ledger:link/1/x".parse::<Invitation>(),
            Err(AgentError::LinkCode(_))
        ));
    }
}
