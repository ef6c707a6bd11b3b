//! Addresses of STUN and TURN servers, as configuration and browsers write them.

/// Where a server listens that names no port.
const DEFAULT_PORT: u16 = 3478;

/// What a server is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Stun,
    Turn,
}

/// Why a server's address is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum UrlError {
    #[error("it does not begin with stun: or turn:")]
    Scheme,
    #[error("only UDP is spoken with it")]
    Transport,
    #[error("it has no host")]
    Host,
    #[error("its port is no number")]
    Port,
}

/// `stun:host[:port]` or `turn:host[:port][?transport=udp]`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerUrl<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
}

impl<'a> ServerUrl<'a> {
    pub(super) fn read(url: &'a str, scheme: Scheme) -> Result<Self, UrlError> {
        let prefix = match scheme {
            Scheme::Stun => "stun:",
            Scheme::Turn => "turn:",
        };
        let rest = url.strip_prefix(prefix).ok_or(UrlError::Scheme)?;
        let rest = match rest.split_once('?') {
            None | Some((_, "transport=udp")) => rest.split('?').next().unwrap_or(rest),
            Some(_) => return Err(UrlError::Transport),
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or(UrlError::Host)?,
            None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
        };
        if host.is_empty() {
            return Err(UrlError::Host);
        }
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| UrlError::Port)?,
            None if port.is_empty() => DEFAULT_PORT,
            None => return Err(UrlError::Port),
        };
        Ok(Self { host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_browsers_read_them() {
        let good = [
            ("turn:relay.example", Scheme::Turn, "relay.example", 3478),
            (
                "turn:10.0.0.7:80?transport=udp",
                Scheme::Turn,
                "10.0.0.7",
                80,
            ),
            ("stun:[2001:db8::7]:53", Scheme::Stun, "2001:db8::7", 53),
            ("stun:[::1]", Scheme::Stun, "::1", 3478),
        ];
        for (url, scheme, host, port) in good {
            assert_eq!(ServerUrl::read(url, scheme), Ok(ServerUrl { host, port }));
        }
        let bad = [
            ("stun:a", Scheme::Turn, UrlError::Scheme),
            ("turns:a", Scheme::Turn, UrlError::Scheme),
            ("turn:a?transport=tcp", Scheme::Turn, UrlError::Transport),
            ("stun:", Scheme::Stun, UrlError::Host),
            ("stun::80", Scheme::Stun, UrlError::Host),
            ("stun:[::1", Scheme::Stun, UrlError::Host),
            ("stun:a:b", Scheme::Stun, UrlError::Port),
            ("stun:a:70000", Scheme::Stun, UrlError::Port),
            ("stun:[::1]x", Scheme::Stun, UrlError::Port),
        ];
        for (url, scheme, error) in bad {
            assert_eq!(ServerUrl::read(url, scheme), Err(error), "{url}");
        }
    }
}
