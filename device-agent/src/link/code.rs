//! The link code: a public nameplate that names the session, and two secrets that open it. A person
//! types the short one; the long one travels in the QR code and the link.
//!
//! A short secret is enough because the key comes from a PAKE: who tries another one learns that it
//! was wrong, ends the session by it, and learns nothing else.

use std::fmt;
use std::str::FromStr;

use data_encoding::{Encoding, Specification};
use edge_ledger_core::ids::LedgerId;
use edge_ledger_core::tags::Tag;
use edge_ledger_proto::identity::LinkForm;
use zeroize::{Zeroize as _, Zeroizing};

use crate::addresses::Addresses;
use crate::error::AgentError;

const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const NAMEPLATE_SYMBOLS: usize = 5;
const TYPED_SYMBOLS: usize = 6;
const CODE_SYMBOLS: usize = NAMEPLATE_SYMBOLS + TYPED_SYMBOLS + 1;
const SCANNED_BYTES: usize = 16;
const SCHEME: &str = "edge-ledger:link/1/";

/// Random bytes that a code is made of.
pub(crate) const CODE_RANDOM_BYTES: usize = 4 + 4 + SCANNED_BYTES;

/// Names a link session at the service: anybody may know it. 25 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nameplate(u32);

impl Nameplate {
    /// The session's name at the service.
    pub(crate) fn session(self) -> [u8; 32] {
        Tag::Nameplate.hash_unbound(&[&self.0.to_be_bytes()])
    }
}

/// One of the two secrets of a code.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    /// 30 bits, for people.
    Typed(Zeroizing<u32>),
    /// 128 bits, for machines.
    Scanned(Zeroizing<[u8; SCANNED_BYTES]>),
}

impl Secret {
    pub(super) fn form(&self) -> LinkForm {
        match self {
            Self::Typed(_) => LinkForm::Typed,
            Self::Scanned(_) => LinkForm::Scanned,
        }
    }

    /// The password of the PAKE, which tells the forms apart.
    pub(super) fn password(&self) -> Zeroizing<Vec<u8>> {
        let mut password = Zeroizing::new(Vec::with_capacity(1 + SCANNED_BYTES));
        match self {
            Self::Typed(secret) => {
                password.push(1);
                password.extend_from_slice(&secret.to_be_bytes());
            }
            Self::Scanned(secret) => {
                password.push(2);
                password.extend_from_slice(&**secret);
            }
        }
        password
    }
}

/// The code of one link session, as the linked device has it. It has no `Debug`: whoever has it can
/// ask to join.
#[derive(Clone)]
pub(crate) struct LinkCode {
    pub(super) nameplate: Nameplate,
    typed: Zeroizing<u32>,
    scanned: Zeroizing<[u8; SCANNED_BYTES]>,
}

impl LinkCode {
    /// Makes a code of random bytes.
    pub(crate) fn new(mut random: [u8; CODE_RANDOM_BYTES]) -> Self {
        let word = |at: usize| {
            let [a, b, c, d] = [random[at], random[at + 1], random[at + 2], random[at + 3]];
            u32::from_be_bytes([a, b, c, d])
        };
        let nameplate = Nameplate(word(0) >> (32 - 5 * NAMEPLATE_SYMBOLS));
        let typed = Zeroizing::new(word(4) >> (32 - 5 * TYPED_SYMBOLS));
        let mut scanned = Zeroizing::new([0; SCANNED_BYTES]);
        scanned.copy_from_slice(&random[8..]);
        random.zeroize();
        Self {
            nameplate,
            typed,
            scanned,
        }
    }

    /// The session's name at the service.
    pub(crate) fn session(&self) -> [u8; 32] {
        self.nameplate.session()
    }

    /// The secret of a form.
    pub(super) fn secret(&self, form: LinkForm) -> Option<Secret> {
        match form {
            LinkForm::Typed => Some(Secret::Typed(self.typed.clone())),
            LinkForm::Scanned => Some(Secret::Scanned(self.scanned.clone())),
            LinkForm::Unspecified => None,
        }
    }

    /// The code to type: 12 letters and digits in groups of four.
    pub(crate) fn typed(&self) -> String {
        let check = check(self.nameplate, *self.typed);
        let digits = u64::from(self.nameplate.0) << 35 | u64::from(*self.typed) << 5 | check;
        let mut text = String::with_capacity(CODE_SYMBOLS + 2);
        for at in 0..CODE_SYMBOLS {
            if at > 0 && at % 4 == 0 {
                text.push('-');
            }
            text.push(symbol(digits >> (5 * (CODE_SYMBOLS - 1 - at))));
        }
        text
    }

    /// The link to scan or to send: it also names the service and the deployment.
    pub(crate) fn link(&self, identity_url: &str, ledger_id: LedgerId) -> String {
        let nameplate: String = (0..NAMEPLATE_SYMBOLS)
            .map(|at| symbol(u64::from(self.nameplate.0) >> (5 * (NAMEPLATE_SYMBOLS - 1 - at))))
            .collect();
        let secret = crockford().encode(&*self.scanned);
        format!("{SCHEME}{nameplate}-{secret}?ledger={ledger_id}&at={identity_url}")
    }
}

fn symbol(digits: u64) -> char {
    char::from(SYMBOLS[usize::from((digits & 31) as u8)])
}

/// Tells a typing error from a wrong code before the one guess is spent.
fn check(nameplate: Nameplate, typed: u32) -> u64 {
    let hash =
        Tag::Nameplate.hash_unbound(&[b"check", &nameplate.0.to_be_bytes(), &typed.to_be_bytes()]);
    u64::from(hash[0] & 31)
}

fn crockford() -> Encoding {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str(&String::from_utf8_lossy(SYMBOLS));
    specification.check_trailing_bits = true;
    specification
        .encoding()
        .expect("the alphabet of Crockford's base 32 is sound")
}

/// Reads symbols as people type them: any case, spaces and dashes anywhere, O for 0, I and L for 1.
fn plain(text: &str) -> String {
    let kept = text.chars().filter(|c| !c.is_whitespace() && *c != '-');
    kept.map(|c| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    })
    .collect()
}

fn digits(symbols: &str) -> Option<u64> {
    symbols.bytes().try_fold(0, |digits: u64, byte| {
        let value = SYMBOLS.iter().position(|symbol| *symbol == byte)?;
        Some(digits << 5 | u64::try_from(value).ok()?)
    })
}

/// What a new device is given: the code that a person types, or the link with address and
/// deployment. It has no `Debug`: whoever has it can ask to join.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds a secret")]
pub struct Invitation {
    pub(crate) nameplate: Nameplate,
    pub(crate) secret: Secret,
    /// Address of the identity service, when the link was given.
    pub identity_url: Option<String>,
    /// The deployment, when the link was given.
    pub ledger_id: Option<LedgerId>,
}

impl Invitation {
    /// Where the identity service is: as the link says, or else at other addresses.
    pub(crate) fn addresses(&self, otherwise: &Addresses) -> Addresses {
        let url = self.identity_url.as_deref();
        url.map_or_else(|| otherwise.clone(), Addresses::from)
    }
}

impl FromStr for Invitation {
    type Err = AgentError;

    /// Reads a code or a link.
    fn from_str(text: &str) -> Result<Self, AgentError> {
        let text = text.trim();
        match text.strip_prefix(SCHEME) {
            Some(link) => scanned(link),
            None => typed(text),
        }
    }
}

fn typed(text: &str) -> Result<Invitation, AgentError> {
    let text = Zeroizing::new(plain(text));
    let wrong = || AgentError::LinkCode("it has 12 letters and digits");
    let whole = Some(&*text).filter(|text| text.len() == CODE_SYMBOLS);
    let digits = whole.and_then(|text| digits(text)).ok_or_else(wrong)?;
    let word = |shift: u32, bits: u32| u32::try_from(digits >> shift & ((1 << bits) - 1));
    let nameplate = Nameplate(word(35, 25).map_err(|_| wrong())?);
    let secret = Zeroizing::new(word(5, 30).map_err(|_| wrong())?);
    if check(nameplate, *secret) != digits & 31 {
        return Err(AgentError::LinkCode("a letter or digit is mistyped"));
    }
    Ok(Invitation {
        nameplate,
        secret: Secret::Typed(secret),
        identity_url: None,
        ledger_id: None,
    })
}

fn scanned(link: &str) -> Result<Invitation, AgentError> {
    let cut_off = || AgentError::LinkCode("the link is cut off");
    let (code, rest) = link.split_once("?ledger=").ok_or_else(cut_off)?;
    let (ledger_id, url) = rest.split_once("&at=").ok_or_else(cut_off)?;
    let code = Zeroizing::new(plain(code));
    let (nameplate, secret) = code
        .split_at_checked(NAMEPLATE_SYMBOLS)
        .ok_or_else(cut_off)?;
    let nameplate = digits(nameplate).and_then(|digits| u32::try_from(digits).ok());
    let secret = crockford().decode(secret.as_bytes()).map(Zeroizing::new);
    let secret = secret
        .ok()
        .and_then(|bytes| <[u8; 16]>::try_from(&bytes[..]).ok());
    let (Some(nameplate), Some(secret)) = (nameplate, secret) else {
        return Err(cut_off());
    };
    let ledger_id = ledger_id.parse();
    Ok(Invitation {
        nameplate: Nameplate(nameplate),
        secret: Secret::Scanned(Zeroizing::new(secret)),
        identity_url: Some(url.to_owned()),
        ledger_id: Some(ledger_id.map_err(|_| AgentError::LinkCode("its ledger id is mistyped"))?),
    })
}

impl fmt::Debug for Nameplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nameplate({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEDGER: LedgerId = LedgerId::from_bytes([7; 16]);

    fn code() -> LinkCode {
        LinkCode::new(std::array::from_fn(|at| 0x30 + at as u8))
    }

    #[test]
    fn a_code_survives_typing() {
        let text = code().typed();
        assert_eq!(text.len(), 12 + 2);
        let typed = text
            .to_lowercase()
            .replace('0', "o")
            .replace('1', "l")
            .replace('-', " ");
        let read: Invitation = typed.parse().unwrap();
        assert_eq!(read.nameplate, code().nameplate);
        assert!(Some(read.secret) == code().secret(LinkForm::Typed));
        assert_eq!(read.ledger_id, None);
    }

    #[test]
    fn a_link_names_service_and_deployment_and_has_the_long_secret() {
        let read: Invitation = code()
            .link("http://127.0.0.1:7410", LEDGER)
            .parse()
            .unwrap();
        assert_eq!(read.nameplate, code().nameplate);
        assert!(Some(read.secret) == code().secret(LinkForm::Scanned));
        assert_eq!(read.identity_url.as_deref(), Some("http://127.0.0.1:7410"));
        assert_eq!(read.ledger_id, Some(LEDGER));
    }

    #[test]
    fn the_page_has_this_code() {
        let page = include_str!("../../../docs/protocol.md");
        let code = LinkCode::new(std::array::from_fn(|at| at as u8));
        for line in [
            format!("code          {}\n", code.typed()),
            format!(
                "link          {}\n",
                code.link("http://127.0.0.1:7410", LEDGER)
            ),
        ] {
            assert!(page.contains(&line), "{line}");
        }
    }

    #[test]
    fn mistyped_codes_are_noticed_before_they_are_tried() {
        let text = code().typed();
        let noticed = (0..text.len())
            .filter(|at| &text[*at..=*at] != "-")
            .all(|at| {
                let other = if &text[at..=at] == "7" { "8" } else { "7" };
                let wrong = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                // 1 of 32 slips through for one symbol; none does here.
                matches!(wrong.parse::<Invitation>(), Err(AgentError::LinkCode(_)))
            });
        assert!(noticed);
        let link = code().link("http://127.0.0.1:7410", LEDGER);
        for wrong in [
            "",
            "ABCD",
            "U234-5678-9ABC",
            "edge-ledger:link/1/x",
            &link[..link.len() - 30],
        ] {
            let read = wrong.parse::<Invitation>();
            assert!(matches!(read, Err(AgentError::LinkCode(_))), "{wrong}");
        }
    }
}
