//! When a certificate holds, as those read it who check it.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

const DAY_S: i64 = 24 * 60 * 60;
/// After the end of every certificate: that of the year 9999 is the last that can be written.
const NEVER_S: u64 = 1 << 40;
/// The last second of the year 9999.
const LAST_S: u64 = 253_402_300_799;

/// From when to when a certificate holds, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    begins_s: i64,
    ends_s: i64,
}

impl Validity {
    /// What a certificate, in DER, says of itself; none of what is no certificate.
    ///
    /// The verifier of TLS has no way to ask, but it tells why it refuses: so it is asked before
    /// and after all time, and the certificate is read by those whose reading counts.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let certificate = CertificateDer::from(certificate);
        let parsed = ParsedCertificate::try_from(&certificate).ok()?;
        let nobody = RootCertStore::empty();
        let refused_at = |seconds| {
            let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            verify_server_cert_signed_by_trust_anchor(&parsed, &nobody, &[], now, &[]).err()
        };
        let Some(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) =
            refused_at(NEVER_S)
        else {
            return None;
        };
        let begins = match refused_at(0) {
            Some(Error::InvalidCertificate(CertificateError::NotValidYetContext {
                not_before,
                ..
            })) => not_before.as_secs(),
            // It held in 1970, and longer ago nobody asks.
            _ => 0,
        };
        Some(Self {
            begins_s: i64::try_from(begins).ok()?,
            ends_s: i64::try_from(not_after.as_secs()).ok()?,
        })
    }

    /// Whether it holds at a time, in milliseconds since 1970.
    pub fn holds_at(&self, now_ms: i64) -> bool {
        (self.begins_s..=self.ends_s).contains(&now_ms.div_euclid(1_000))
    }

    /// Whole days from a time to its end; below 0 once it is over.
    pub fn days_left(&self, now_ms: i64) -> i64 {
        (self.ends_s - now_ms.div_euclid(1_000)).div_euclid(DAY_S)
    }

    /// Its end, in seconds since 1970.
    pub(crate) fn ends_s(&self) -> i64 {
        self.ends_s
    }

    /// The moment of its end.
    pub fn end(&self) -> impl fmt::Display + use<> {
        moment(self.ends_s)
    }
}

/// "holds from … to …".
impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (begin, end) = (moment(self.begins_s), moment(self.ends_s));
        write!(f, "holds from {begin} to {end}")
    }
}

/// A time in seconds since 1970, as people read it.
pub(super) fn moment(seconds: i64) -> impl fmt::Display + use<> {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0).min(LAST_S));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// 1 March 2026, midnight.
    const MARCH_MS: i64 = 1_772_323_200_000;
    const DAY_MS: i64 = DAY_S * 1_000;

    fn of(change: impl FnOnce(&mut CertificateParams)) -> Validity {
        let mut params = CertificateParams::new(["id.example".to_owned()]).expect("a name");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Validity::of(certificate.der()).expect("a validity")
    }

    #[test]
    fn it_is_what_the_certificate_says() {
        let march = of(|params| {
            params.not_before = date_time_ymd(2026, 2, 1);
            params.not_after = date_time_ymd(2026, 3, 1);
        });
        assert_eq!(
            march.to_string(),
            "holds from 2026-02-01T00:00:00Z to 2026-03-01T00:00:00Z"
        );
        for (now_ms, holds, days) in [
            (MARCH_MS - 28 * DAY_MS - 1_000, false, 28),
            (MARCH_MS - 28 * DAY_MS, true, 28),
            (MARCH_MS - DAY_MS - 1, true, 1),
            (MARCH_MS, true, 0),
            (MARCH_MS + 1_000, false, -1),
            (MARCH_MS + DAY_MS + 1_000, false, -2),
        ] {
            assert_eq!(march.holds_at(now_ms), holds, "{now_ms}");
            assert_eq!(march.days_left(now_ms), days, "{now_ms}");
        }
    }

    #[test]
    fn the_ends_of_time_are_read_too() {
        let whole = of(|params| {
            params.not_before = date_time_ymd(1970, 1, 1);
            params.not_after = date_time_ymd(9999, 12, 31);
        });
        assert!(whole.holds_at(0));
        assert_eq!(whole.end().to_string(), "9999-12-31T00:00:00Z");
        assert_eq!(Validity::of(&[0; 8]), None);
    }

    /// What else a verifier would have against it does not come first.
    #[test]
    fn an_authority_has_one_as_well() {
        let authority = of(|params| {
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params.not_after = date_time_ymd(2026, 3, 1);
        });
        assert_eq!(authority.days_left(MARCH_MS), 0);
    }
}
