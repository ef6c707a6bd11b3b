//! `[tls]`: the service's certificate.

use std::path::PathBuf;

use super::reader::Reader;
use super::setting::{Form, Setting};

pub(super) const SETTINGS: [Setting; 3] = [
    Setting {
        key: "tls.certificate_file",
        form: Form::Path,
        default: "",
        meaning: "PEM file with the certificate and those between it and its authority; without \
                  it the service speaks plain HTTP/2",
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
];

/// Where the certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSection {
    /// The certificate chain, PEM.
    pub certificate_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// Authorities of clients, PEM; none: anybody may connect.
    pub client_ca_file: Option<PathBuf>,
}

pub(super) fn read(reader: &mut Reader) -> Option<TlsSection> {
    let certificate_file = reader.path("tls.certificate_file");
    let key_file = reader.path("tls.key_file");
    let client_ca_file = reader.path("tls.client_ca_file");
    let mut missing = |key: &str, because: &str| {
        reader.problem(
            key,
            format!("it is not set, and {because} is"),
            "write both tls.certificate_file and tls.key_file, or none of the section",
        );
    };
    match (certificate_file, key_file) {
        (Some(certificate_file), Some(key_file)) => {
            return Some(TlsSection {
                certificate_file,
                key_file,
                client_ca_file,
            });
        }
        (Some(_), None) => missing("tls.key_file", "tls.certificate_file"),
        (None, Some(_)) => missing("tls.certificate_file", "tls.key_file"),
        (None, None) if client_ca_file.is_some() => {
            missing("tls.certificate_file", "tls.client_ca_file");
        }
        (None, None) => {}
    }
    None
}
