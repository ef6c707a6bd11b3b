//! `[tls]`: the service's certificate.

use super::reader::Reader;
use super::setting::{Form, Setting};
use crate::tls::TlsFiles;

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

pub(super) fn read(reader: &mut Reader) -> Option<TlsFiles> {
    let certificate = reader.path("tls.certificate_file");
    let key = reader.path("tls.key_file");
    let client_ca = reader.path("tls.client_ca_file");
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
            });
        }
        (Some(_), None) => missing("tls.key_file", "tls.certificate_file"),
        (None, Some(_)) => missing("tls.certificate_file", "tls.key_file"),
        (None, None) if client_ca.is_some() => {
            missing("tls.certificate_file", "tls.client_ca_file");
        }
        (None, None) => {}
    }
    None
}
