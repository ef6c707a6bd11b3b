//! What the settings name on this machine: the keys folder, the files of the certificate, that of
//! the store's address, and the address to listen on.
//!
//! `config check` and a start look at all of it by this one function, whatever is wrong with the
//! rest, so that an operator hears everything at once and the same from both.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

use edge_ledger_core::identity::Genesis;

use super::Service;
use crate::config::{Common, Reader, RedisUrl};
use crate::{Clock, KeysError, KeysFolder, OperatorToken, Signing, Tls, TlsError, TlsFile};

const KEYS_DIR: &str = "keys.dir";

/// What was read.
pub(super) struct Named<S: Service> {
    pub(super) keys: ServiceKeys<S>,
    pub(super) tls: Option<Tls>,
    pub(super) store: RedisUrl,
    pub(super) clock: Clock,
    pub(super) operator: Option<OperatorToken>,
}

/// What a service needs of the keys folder.
pub(super) struct ServiceKeys<S: Service> {
    pub(super) genesis: Genesis,
    pub(super) signer: Signing,
    pub(super) secrets: S::Secrets,
}

/// Looks at everything; none if something is wrong, which is a problem of the reader.
pub(super) fn look<S: Service>(reader: &mut Reader, common: &Common) -> Option<Named<S>> {
    let clock = Clock::system();
    listen(reader, "server.listen", common.server.listen);
    if let Some(operator) = &common.operator {
        listen(reader, "operator.listen", operator.listen);
    }
    let keys = keys(reader, common);
    let store = common.store.url(reader);
    let tls = tls(reader, common, &clock);
    let operator = operator(reader, common);
    Some(Named {
        keys: keys?,
        tls: tls?,
        store: store?,
        clock,
        operator: operator?,
    })
}

/// Whether the address is one of this machine, at which this user may listen. UDP is asked, which
/// knows the same addresses and rights, and takes the port from nobody who serves there.
fn listen(reader: &mut Reader, key: &str, listen: SocketAddr) {
    if reader.has_problem(key) {
        return;
    }
    let Err(error) = UdpSocket::bind(listen) else {
        return;
    };
    // Somebody uses it for something else.
    if error.kind() == ErrorKind::AddrInUse {
        return;
    }
    let next = if error.kind() == ErrorKind::PermissionDenied {
        "write a port above 1023, or give the service the right to ports below \
         (CAP_NET_BIND_SERVICE)"
    } else {
        "write an address of this machine, or `0.0.0.0` or `[::]` for all of them"
    };
    let wrong = format!("it cannot listen on {listen}: {error}");
    reader.found("CANNOT_LISTEN", key, wrong, next);
}

fn keys<S: Service>(reader: &mut Reader, common: &Common) -> Option<ServiceKeys<S>> {
    if reader.has_problem(KEYS_DIR) {
        return None;
    }
    let folder = KeysFolder::at(&common.keys_dir);
    let (keys, errors) = read_keys(&folder);
    for error in &errors {
        let (mut wrong, mut next) = (error.to_string(), error.what_to_do());
        if let KeysError::NoFolder(_) | KeysError::Missing(_) = error {
            next = "make the keys once with `edge-ledger keys init --dir DIR`, copy what this \
                    service needs, and set keys.dir to that folder";
        } else if let KeysError::Io { source, .. } = error {
            wrong = format!("{error}: {source}");
            next = "set keys.dir to a folder that this user can read";
        }
        reader.found(error.reason(), KEYS_DIR, wrong, next);
    }
    keys.filter(|_| errors.is_empty())
}

fn read_keys<S: Service>(folder: &KeysFolder) -> (Option<ServiceKeys<S>>, Vec<KeysError>) {
    if let Err(error) = folder.is_there() {
        return (None, vec![error]);
    }
    let mut errors = folder.exposed();
    let service = Signing::load(folder.clone());
    let service = service.map_err(|more| errors.extend(more)).ok();
    let secrets = S::secrets(folder);
    let secrets = secrets.map_err(|more| errors.extend(more)).ok();
    let keys = service.zip(secrets);
    let keys = keys.map(|((genesis, signer), secrets)| ServiceKeys {
        genesis,
        signer,
        secrets,
    });
    (keys, errors)
}

/// The operator's token: none if something is wrong, and none within if there is to be none.
fn operator(reader: &mut Reader, common: &Common) -> Option<Option<OperatorToken>> {
    let Some(section) = &common.operator else {
        return Some(None);
    };
    let error = match OperatorToken::load(&section.token_file) {
        Ok(token) => return Some(Some(token)),
        Err(error) => error,
    };
    let (mut wrong, mut next) = (error.to_string(), error.what_to_do());
    if let KeysError::Missing(_) | KeysError::Damaged { .. } = error {
        next = "make one with `edge-ledger keys operator-token --out FILE`";
    } else if let KeysError::Io { source, .. } = &error {
        wrong = format!("{error}: {source}");
        next = "set operator.token_file to a file that this user can read";
    }
    reader.found(error.reason(), "operator.token_file", wrong, next);
    None
}

/// None if something is wrong, and none within if there is to be none.
fn tls(reader: &mut Reader, common: &Common, clock: &Clock) -> Option<Option<Tls>> {
    let Some(files) = common.tls.clone() else {
        return Some(None);
    };
    let loaded = Tls::load(files, clock.clone());
    let loaded = loaded.and_then(|tls| match tls.out_of_date() {
        Some(error) => Err(vec![error]),
        None => Ok(tls),
    });
    let errors = match loaded {
        Ok(tls) => return Some(Some(tls)),
        Err(errors) => errors,
    };
    for error in errors {
        reader.found(
            "TLS",
            setting(&error),
            error.to_string(),
            error.what_to_do(),
        );
    }
    None
}

fn setting(error: &TlsError) -> &'static str {
    match error.file() {
        TlsFile::Certificate => "tls.certificate_file",
        TlsFile::Key => "tls.key_file",
        TlsFile::ClientCa => "tls.client_ca_file",
    }
}
