//! Where a service is found: a list of addresses.

use std::fmt;

use edge_ledger_core::limits::ADDRESSES_MAX;

/// The addresses of one service, at least one, each once, such as `http://127.0.0.1:7410`. The
/// first is used as long as it works; the others stand in for it, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses(Vec<String>);

/// Why a list cannot be the addresses of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressesError {
    /// There is none.
    #[error("a service has at least one address")]
    None,
    /// There are too many.
    #[error("a service has at most {ADDRESSES_MAX} addresses")]
    TooMany,
}

impl Addresses {
    /// A list; what is in it twice counts once.
    ///
    /// # Errors
    /// [`AddressesError`].
    pub fn new(urls: impl IntoIterator<Item = String>) -> Result<Self, AddressesError> {
        let mut each = Vec::new();
        for url in urls {
            if !each.contains(&url) {
                each.push(url);
            }
        }
        match each.len() {
            0 => Err(AddressesError::None),
            1..=ADDRESSES_MAX => Ok(Self(each)),
            _ => Err(AddressesError::TooMany),
        }
    }

    /// What a service tells: of too many the first, since nobody asked it for a list.
    pub(crate) fn told(urls: Vec<String>) -> Option<Self> {
        let urls = urls.into_iter().filter(|url| !url.is_empty());
        Self::new(urls.take(ADDRESSES_MAX)).ok()
    }

    /// These, and others after them as far as there is room.
    pub(crate) fn and(&self, others: Option<&Self>) -> Self {
        let mut all = self.clone();
        for other in others.into_iter().flat_map(Self::iter) {
            if all.0.len() < ADDRESSES_MAX && !all.iter().any(|url| url == other) {
                all.0.push(other.to_owned());
            }
        }
        all
    }

    /// The address that is tried first.
    pub fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// All, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn to_vec(&self) -> Vec<String> {
        self.0.clone()
    }
}

impl From<String> for Addresses {
    fn from(url: String) -> Self {
        Self(vec![url])
    }
}

impl From<&str> for Addresses {
    fn from(url: &str) -> Self {
        Self::from(url.to_owned())
    }
}

/// As they are typed: with commas.
impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(urls: &[&str]) -> Result<Addresses, AddressesError> {
        Addresses::new(urls.iter().copied().map(str::to_owned))
    }

    fn numbered(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("http://{n}.example")).collect()
    }

    #[test]
    fn each_address_is_there_once_in_its_order() {
        let urls = list(&["http://b", "http://a", "http://b"]).unwrap();
        assert_eq!(urls.iter().collect::<Vec<_>>(), ["http://b", "http://a"]);
        assert_eq!((urls.first(), urls.len()), ("http://b", 2));
        assert_eq!(urls.to_string(), "http://b,http://a");
    }

    #[test]
    fn there_is_at_least_one_and_a_bounded_number() {
        assert_eq!(list(&[]), Err(AddressesError::None));
        assert!(Addresses::new(numbered(ADDRESSES_MAX)).is_ok());
        let more = Addresses::new(numbered(ADDRESSES_MAX + 1));
        assert_eq!(more, Err(AddressesError::TooMany));
    }

    #[test]
    fn what_a_service_tells_is_bounded_too() {
        assert_eq!(Addresses::told(Vec::new()), None);
        assert_eq!(Addresses::told(vec![String::new()]), None);
        let told = Addresses::told(numbered(1_000)).unwrap();
        assert_eq!(told.len(), ADDRESSES_MAX);
        let own = list(&["http://own", "http://1.example"]).unwrap();
        let all = own.and(Some(&told));
        assert_eq!(all.len(), ADDRESSES_MAX);
        let first: Vec<_> = all.iter().take(4).collect();
        assert_eq!(
            first,
            [
                "http://own",
                "http://1.example",
                "http://0.example",
                "http://2.example"
            ]
        );
        assert_eq!(own.and(None), own);
    }
}
