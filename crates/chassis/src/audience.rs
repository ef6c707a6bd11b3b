//! The names under which a service answers.
//!
//! Challenges and greetings name the service as it was dialled; a service that answered under
//! any name would sign for somebody who relays.

use std::net::SocketAddr;

/// The authorities (host and port) that are this service.
#[derive(Debug, Clone)]
pub struct Audiences(Vec<String>);

impl Audiences {
    /// The configured authorities; a service that is bound to loopback also answers to the names
    /// of loopback.
    pub fn new(configured: impl IntoIterator<Item = String>, bound: SocketAddr) -> Self {
        let mut authorities: Vec<String> = configured.into_iter().collect();
        if bound.ip().is_loopback() {
            let port = bound.port();
            let names = ["localhost", "127.0.0.1", "[::1]"];
            authorities.extend(names.map(|name| format!("{name}:{port}")));
        }
        Self(authorities)
    }

    /// The authority as it was dialled, if it is this service. Host names know no case, and who
    /// dials a scheme's own port does not name it.
    pub fn check<'a>(&self, authority: &'a str) -> Option<&'a str> {
        let is = |name: &str| name.eq_ignore_ascii_case(authority);
        let unnamed = |name: &str, port: &str| name.strip_suffix(port).is_some_and(is);
        let mut known = self.0.iter();
        known
            .any(|name| is(name) || unnamed(name, ":443") || unnamed(name, ":80"))
            .then_some(authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_its_names_and_nobody_else_does() {
        let local = Audiences::new([], "127.0.0.1:7420".parse().unwrap());
        for known in [
            "localhost:7420",
            "LOCALHOST:7420",
            "127.0.0.1:7420",
            "[::1]:7420",
        ] {
            assert_eq!(local.check(known), Some(known));
        }
        for unknown in ["", "localhost", "localhost:7421", "id.example:7420"] {
            assert_eq!(local.check(unknown), None, "{unknown}");
        }
        let open = Audiences::new(
            ["id.example:443".to_owned()],
            "0.0.0.0:443".parse().unwrap(),
        );
        assert_eq!(open.check("ID.example:443"), Some("ID.example:443"));
        assert_eq!(open.check("localhost:443"), None);
        // https://id.example
        assert_eq!(open.check("id.example"), Some("id.example"));
        assert_eq!(open.check("id.example:443"), Some("id.example:443"));
        assert_eq!(open.check("id.example:80"), None);
    }
}
