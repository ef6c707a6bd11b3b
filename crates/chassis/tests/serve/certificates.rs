//! Authorities and certificates, as files.

use std::fs;
use std::path::{Path, PathBuf};

use edge_ledger_chassis::TlsFiles;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};

/// An authority that signs certificates.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A certificate for a name, and its key.
    pub(super) fn certify(&self, name: &str) -> (String, String) {
        self.sign(CertificateParams::new([name.to_owned()]).unwrap())
    }

    /// A certificate of a client with a name that is a URI, and its key.
    pub(super) fn client(&self, uri: &str, is_valid: bool) -> (String, String) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        if !is_valid {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A certificate for loopback in files of a folder, in place of those that are there.
    pub(super) fn files(&self, folder: &Path) -> TlsFiles {
        let (certificate, key) = self.certify("127.0.0.1");
        TlsFiles {
            certificate: write(folder, "cert.pem", &certificate),
            key: write(folder, "key.pem", &key),
            client_ca: None,
            client_names: Vec::new(),
        }
    }
}

pub(super) fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}
