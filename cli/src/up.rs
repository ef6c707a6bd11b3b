//! `up`: the pair on one machine.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use edge_ledger_chassis::keys::Choices;
use edge_ledger_chassis::{Admin, Clock, Keys, KeysFolder, OperatorToken, Tls, TlsFiles};
use edge_ledger_store::{Embedded, Health};
use edge_ledger_telemetry::export::Telemetry;
use serde::Serialize;

use crate::args;
use crate::explain::Failure;
use crate::folders::{self, absolute};
use crate::keys::{has_periods, periods, shown_ms};
use crate::output::{Output, warn};
use crate::pair::{Pair, Site};
use crate::signals::Interrupts;
use crate::typed::program;

/// Time that open calls have to end; the process is gone within 5 s.
const DRAIN_WITHIN: Duration = Duration::from_secs(4);
/// The store, in the data folder.
const STORE: &str = "store.redb";
/// Whose data it is, beside the store.
const OWNER: &str = "ledger-id";
/// What lets operators in, in the keys folder.
const OPERATOR_TOKEN: &str = "operator.token";

/// What `up` prints once it serves.
#[derive(Debug, Serialize)]
struct Serves {
    identity_url: String,
    ledger_url: String,
    ledger_id: String,
    data: PathBuf,
    keys: PathBuf,
    /// Where probes and metrics are asked for, if anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_token_file: Option<PathBuf>,
}

pub(crate) async fn run(
    options: args::Up,
    global: &args::Global,
    output: &Output,
    telemetry: Option<&Telemetry>,
) -> Result<(), Failure> {
    let mut interrupts = Interrupts::listen()?;
    let data = folders::data(options.data.as_deref())?;
    let keys_folder = folders::keys(options.keys.as_deref(), &data);
    let admin = open_admin(options.admin_listen, telemetry).await?;
    let site = site(&options, global.accept_plaintext)?;
    let store = Embedded::open(&data.join(STORE))?;
    let keys = open_keys(&data, &keys_folder, &options.periods)?;
    let token_file = operator_token_file(&options, &keys_folder)?;
    let mut pair = Pair::start(store, keys, site).await?;
    if let Some((listen, file)) = &token_file {
        let token = OperatorToken::load(file)?;
        pair = pair.with_operators((*listen, token)).await?;
    }
    if let Some(admin) = &admin {
        admin.follow(pair.store().health());
    }
    let serves = Serves {
        identity_url: pair.identity_url(),
        ledger_url: pair.ledger_url(),
        ledger_id: pair.ledger_id().to_string(),
        data: absolute(&data),
        keys: absolute(&keys_folder),
        admin_url: admin
            .as_ref()
            .map(|admin| format!("http://{}", admin.local_addr())),
        operator_url: pair.operator_url(),
        operator_token_file: token_file.map(|(_, file)| absolute(&file)),
    };
    if serves.keys.starts_with(&serves.data) {
        warn("the keys folder is inside the data folder: who wipes the data ends the ledger");
    }
    output.print(&serves).await?;
    let failed = tokio::select! {
        () = interrupts.next() => None,
        failed = store_failed(pair.store().clone()) => Some(failed),
    };
    if let Some(admin) = &admin {
        admin.drains();
    }
    output.note("stops; Ctrl-C ends it at once").await;
    interrupts.unless_again(pair.shutdown(DRAIN_WITHIN)).await;
    failed.map_or(Ok(()), Err)
}

async fn open_admin(
    listen: Option<SocketAddr>,
    telemetry: Option<&Telemetry>,
) -> Result<Option<Admin>, Failure> {
    let (Some(listen), Some(telemetry)) = (listen, telemetry) else {
        return Ok(None);
    };
    let bound = Admin::bind(listen, "edge-ledger", telemetry.clone()).await;
    bound.map(Some).map_err(|error| {
        let message = format!("cannot answer probes on {listen}: {error}");
        Failure::refused("CANNOT_LISTEN", message)
            .next("give an address of this machine and a free port with --admin-listen ADDR")
    })
}

/// Where operators are answered, and the file of the token that lets them in: made, where nobody
/// names one.
fn operator_token_file(
    options: &args::Up,
    keys_folder: &Path,
) -> Result<Option<(SocketAddr, PathBuf)>, Failure> {
    let Some(listen) = options.operator_listen else {
        return Ok(None);
    };
    if let Some(given) = &options.operator_token_file {
        return Ok(Some((listen, given.clone())));
    }
    let file = keys_folder.join(OPERATOR_TOKEN);
    if !file.exists() {
        OperatorToken::make(&file)?;
    }
    Ok(Some((listen, file)))
}

/// Waits until the store may no longer be written. What was promised is in the file.
async fn store_failed(store: Embedded) -> Failure {
    let mut health = store.health();
    let failed = health.wait_for(|health| *health == Health::Failed).await;
    let is_gone = failed.is_err();
    if is_gone {
        tracing::error!("the store ended by itself");
    }
    Failure::refused(
        "STORE_FAILED",
        "the disk did not keep what was written, so the services ended",
    )
    .next("look after the disk, and start `edge-ledger up` again: nothing that was acked is lost")
}

/// The keys that belong to the data: data of another deployment, or data whose keys are gone, is
/// not served under new keys.
fn open_keys(data: &Path, folder: &Path, asked: &args::Periods) -> Result<Keys, Failure> {
    let owner = data.join(OWNER);
    let known = match fs::read_to_string(&owner) {
        Ok(known) => Some(known.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(unusable(&owner, &error)),
    };
    if let Some(known) = &known
        && !KeysFolder::is_made(folder)?
    {
        let message = format!(
            "the data in {} is of ledger {known}, and its keys are not in {}",
            data.display(),
            folder.display()
        );
        return Err(Failure::refused("KEYS_MISSING", message).next(
            "put the backup of the keys folder back, or give its place with --keys DIR; \
             to begin a new ledger give another --data DIR",
        ));
    }
    let choices = Choices {
        periods: periods(asked),
        ..Choices::default()
    };
    let keys = KeysFolder::open_or_init(folder, &choices)?;
    if !has_periods(asked, &keys.genesis) {
        let kept = keys.genesis.periods();
        let message = format!(
            "the ledger in {} has {} of probation and {} of veto time, for ever",
            folder.display(),
            shown_ms(kept.probation_ms),
            shown_ms(kept.veto_ms)
        );
        return Err(Failure::refused("KEYS_EXIST", message).next(
            "leave --probation and --veto out, or begin a new ledger with another --data DIR",
        ));
    }
    let ledger_id = keys.genesis.ledger_id().to_string();
    match known {
        Some(known) if known == ledger_id => Ok(keys),
        Some(known) => {
            let message = format!(
                "the data in {} is of ledger {known}, the keys in {} of ledger {ledger_id}",
                data.display(),
                folder.display()
            );
            Err(Failure::refused("KEYS_FOREIGN", message)
                .next("give the folders that belong together with --data DIR and --keys DIR"))
        }
        None => {
            write_whole(&owner, &ledger_id).map_err(|error| unusable(&owner, &error))?;
            Ok(keys)
        }
    }
}

/// The store is locked, so nobody else writes here.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let draft = path.with_extension("draft");
    fs::write(&draft, format!("{text}\n"))?;
    fs::File::open(&draft)?.sync_all()?;
    fs::rename(&draft, path)
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::refused(
        "STORE_IO",
        format!("cannot use {}: {error}", path.display()),
    )
    .next("give a folder that you can read and write with --data DIR")
}

fn site(options: &args::Up, accepts_plaintext: bool) -> Result<Site, Failure> {
    let mut hosts = options.host.clone();
    let tls = tls(options)?;
    let mut plain = Vec::new();
    let operators = options.operator_listen;
    let listens = [
        ("--identity-listen", options.identity_listen),
        ("--ledger-listen", options.ledger_listen),
    ];
    let operators = operators.map(|listen| ("--operator-listen", listen));
    for (option, listen) in listens.into_iter().chain(operators) {
        if listen.ip().is_loopback() {
            continue;
        }
        if listen.port() == 0 {
            let message = format!("{option} {listen} needs a port: devices must know it");
            return Err(
                Failure::usage("USAGE", message).next(format!("{option} {}", example(listen)))
            );
        }
        if listen.ip().is_unspecified() && hosts.is_empty() {
            hosts.push(gethostname::gethostname().to_string_lossy().into_owned());
        }
        if tls.is_none() {
            plain.push(format!("{option} {listen}"));
        }
    }
    in_the_open(&plain.join(" "), accepts_plaintext)?;
    Ok(Site {
        identity_listen: options.identity_listen,
        ledger_listen: options.ledger_listen,
        hosts,
        tls,
        registration: options.registration.into(),
    })
}

/// What listens beyond loopback without TLS has to be accepted by name.
fn in_the_open(plain: &str, is_accepted: bool) -> Result<(), Failure> {
    if plain.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{plain}, without TLS: whoever is on the way can read and disturb what devices and \
         services say"
    );
    if is_accepted {
        warn(&message);
        return Ok(());
    }
    Err(Failure::refused("PLAINTEXT", message).next(
        "serve TLS with --tls-cert FILE --tls-key FILE; or, where a gateway ends TLS in front of it \
         and nobody else reads that network, add --accept-plaintext",
    ))
}

fn tls(options: &args::Up) -> Result<Option<Tls>, Failure> {
    let (Some(certificate), Some(key)) = (&options.tls_cert, &options.tls_key) else {
        return Ok(None);
    };
    let files = TlsFiles {
        certificate: certificate.clone(),
        key: key.clone(),
        client_ca: options.tls_client_ca.clone(),
        client_names: options.tls_client_name.clone(),
    };
    let tls = Tls::load(files, Clock::system())?;
    // As services of their own do: no device would take it.
    match tls.out_of_date() {
        Some(error) => Err(vec![error].into()),
        None => Ok(Some(tls)),
    }
}

fn example(mut listen: SocketAddr) -> SocketAddr {
    listen.set_port(7410);
    listen
}

impl fmt::Display for Serves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "edge-ledger serves; Ctrl-C ends it.")?;
        writeln!(f, "  identity service  {}", self.identity_url)?;
        writeln!(f, "  ledger service    {}", self.ledger_url)?;
        writeln!(f, "  ledger id         {}", self.ledger_id)?;
        if let Some(admin) = &self.admin_url {
            writeln!(f, "  probes, metrics   {admin}")?;
        }
        writeln!(f, "  data              {}", self.data.display())?;
        writeln!(
            f,
            "  keys              {}  (back this up)",
            self.keys.display()
        )?;
        if let (Some(url), Some(file)) = (&self.operator_url, &self.operator_token_file) {
            writeln!(
                f,
                "  operators         {url}  (token in {})",
                file.display()
            )?;
        }
        let elsewhere = match self.identity_url.as_str() {
            "http://127.0.0.1:7410" => String::new(),
            url => format!(" --identity-url {url}"),
        };
        write!(
            f,
            "Next:  {} init --ledger-id {}{elsewhere}",
            program(),
            self.ledger_id
        )
    }
}
