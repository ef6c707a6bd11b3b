//! `[server]`: where a service listens, and under which names it is dialled.

use std::net::{IpAddr, SocketAddr};

use super::reader::Reader;
use super::setting::{Form, Setting};

/// The settings; a service brings the address where it listens if nobody says.
pub(super) fn settings(listen: &'static str) -> [Setting; 3] {
    [
        Setting {
            key: "server.listen",
            form: Form::Address,
            default: listen,
            meaning: "where the service listens; port 0 is any that is free, on loopback alone",
        },
        Setting {
            key: "server.audiences",
            form: Form::Authorities,
            default: "",
            meaning: "names under which devices dial the service, as they stand in the address \
                      that devices are given; a service on loopback knows those of loopback, \
                      and one beyond needs at least one",
        },
        Setting {
            key: "server.reflection",
            form: Form::Flag,
            default: "true",
            meaning: "whether tools may ask which calls there are (`grpc.reflection`)",
        },
    ]
}

/// Where a service listens, and as what.
#[derive(Debug, Clone)]
pub struct ServerSection {
    /// Address and port.
    pub listen: SocketAddr,
    /// Hosts and ports as devices dial them.
    pub audiences: Vec<String>,
    /// Whether `grpc.reflection` is served.
    pub reflection: bool,
}

pub(super) fn read(reader: &mut Reader) -> ServerSection {
    let listen = reader.address("server.listen");
    let audiences = reader.authorities("server.audiences");
    if let Some(listen) = listen.filter(|listen| !listen.ip().is_loopback()) {
        if listen.port() == 0 {
            reader.problem(
                "server.listen",
                "beyond loopback it needs a port, since devices must know it",
                "write a port other than 0",
            );
        }
        if audiences.is_empty() && !reader.has_problem("server.audiences") {
            reader.problem(
                "server.audiences",
                format!("the service listens on {listen}, and answers to no name that devices could dial"),
                "write the host and port of the address that devices are given, such as `ledger.example:443`",
            );
        }
    }
    ServerSection {
        listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
        audiences,
        reflection: reader.flag("server.reflection").unwrap_or_default(),
    }
}

/// Whether a host of a URL is this machine itself, and so nothing that others can dial.
pub fn is_loopback_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_name = bare.eq_ignore_ascii_case("localhost");
    is_name || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
