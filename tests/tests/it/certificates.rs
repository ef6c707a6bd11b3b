//! An authority that signs certificates for services, as files.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};

/// An authority of its own for each test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, as files.
#[derive(Debug, Clone)]
pub(crate) struct Certified {
    /// The certificate.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

impl Authority {
    /// A fresh one.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem,
        })
    }

    /// Its certificate as a file.
    pub(crate) fn file(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = folder.join("authority.pem");
        fs::write(&path, &self.pem)?;
        Ok(path)
    }

    /// A certificate for a host, valid or long over.
    pub(crate) fn certify(
        &self,
        folder: &Path,
        host: &str,
        is_valid: bool,
    ) -> anyhow::Result<Certified> {
        self.certify_as(folder, &[host], is_valid)
    }

    /// A certificate for several hosts.
    pub(crate) fn certify_as(
        &self,
        folder: &Path,
        hosts: &[&str],
        is_valid: bool,
    ) -> anyhow::Result<Certified> {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts)?;
        if !is_valid {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        self.sign(&params, folder, "service")
    }

    /// A certificate of a client whose name is a URI, valid or long over.
    pub(crate) fn client(
        &self,
        folder: &Path,
        uri: &str,
        is_valid: bool,
    ) -> anyhow::Result<Certified> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        if !is_valid {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        self.sign(&params, folder, "client")
    }

    fn sign(
        &self,
        params: &CertificateParams,
        folder: &Path,
        name: &str,
    ) -> anyhow::Result<Certified> {
        let pair = KeyPair::generate()?;
        let certificate = folder.join(format!("{name}.pem"));
        let key = folder.join(format!("{name}-key.pem"));
        fs::write(&certificate, params.signed_by(&pair, &self.issuer)?.pem())?;
        fs::write(&key, pair.serialize_pem())?;
        Ok(Certified { certificate, key })
    }
}
