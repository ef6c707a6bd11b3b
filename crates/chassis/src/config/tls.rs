//! `[tls]`: the service's certificate, whom it lets in, and whether it goes without.

use std::net::SocketAddr;

use super::reader::Reader;
use super::setting::{Form, Setting};
use crate::tls::TlsFiles;

const ACCEPT_PLAINTEXT: &str = "tls.accept_plaintext";

pub(super) const SETTINGS: [Setting; 5] = [
    Setting {
        key: "tls.certificate_file",
        form: Form::Path,
        default: "",
        meaning: "PEM file with the certificate and those between it and its authority; without \
                  it the service speaks plain HTTP/2, and listens beyond loopback only if that is \
                  accepted",
    },
    Setting {
        key: "tls.key_file",
        form: Form::Path,
        default: "",
        meaning: "PEM file with the certificate's private key",
    },
    Setting {
        key: "tls.client_ca_file",
        form: Form::Path,
        default: "",
        meaning: "PEM file with authorities of which every client must show a certificate",
    },
    Setting {
        key: "tls.client_names",
        form: Form::Names,
        default: "",
        meaning: "names, one of which a client's certificate must have, to the letter, as a URI \
                  of its subject alternative names; none: any certificate of those authorities",
    },
    Setting {
        key: ACCEPT_PLAINTEXT,
        form: Form::Flag,
        default: "false",
        meaning: "accepts that a service without a certificate listens beyond loopback: for one \
                  behind a gateway that ends TLS, on a network that nobody else reads",
    },
];

/// Whether plaintext beyond loopback is accepted.
pub(super) fn accepts_plaintext(reader: &mut Reader) -> bool {
    reader.flag(ACCEPT_PLAINTEXT).unwrap_or_default()
}

pub(super) fn read(
    reader: &mut Reader,
    listen: SocketAddr,
    accepts_plaintext: bool,
) -> Option<TlsFiles> {
    let certificate = reader.path("tls.certificate_file");
    let key = reader.path("tls.key_file");
    let client_ca = reader.path("tls.client_ca_file");
    let client_names = reader.names("tls.client_names");
    if client_ca.is_none() && !client_names.is_empty() {
        reader.problem(
            "tls.client_ca_file",
            "it is not set, and tls.client_names is: nobody would be asked for a certificate",
            "write the file of the authorities that sign the certificates of clients",
        );
    }
    let mut missing = |key: &str, because: &str| {
        reader.problem(
            key,
            format!("it is not set, and {because} is"),
            "write both tls.certificate_file and tls.key_file, or none of the section",
        );
    };
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            return Some(TlsFiles {
                certificate,
                key,
                client_ca,
                client_names,
            });
        }
        (Some(_), None) => missing("tls.key_file", "tls.certificate_file"),
        (None, Some(_)) => missing("tls.certificate_file", "tls.key_file"),
        (None, None) if client_ca.is_some() => {
            missing("tls.certificate_file", "tls.client_ca_file");
        }
        (None, None) if accepts_plaintext || listen.ip().is_loopback() => {}
        (None, None) if reader.has_problem(ACCEPT_PLAINTEXT) => {}
        (None, None) => reader.problem(
            "tls.certificate_file",
            format!("the service listens on {listen}, beyond loopback, and has no certificate"),
            "write tls.certificate_file and tls.key_file; or, where a gateway ends TLS in front of \
             it and nobody else reads that network, tls.accept_plaintext = true",
        ),
    }
    None
}
