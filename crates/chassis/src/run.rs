//! A service as a process of its own: arguments, configuration, start, signals, drain.
//!
//! A `main` is [`main`] over a [`Service`]. The first SIGTERM or Ctrl-C drains, the second ends
//! the process at once. The exit code says how it ended:
//!
//! | code | |
//! | --- | --- |
//! | 0 | everything that was owed was said; who did not take it was cut off |
//! | 1 | it did not start, or the configuration is wrong |
//! | 2 | typed wrongly |
//! | 3 | something was not done after the grace, and was ended |
//! | 130 | a second signal, or one before it served |
//!
//! It is gone within [`EXIT_WITHIN`] of the first signal, whatever its
//! clients and its store do.

mod args;
mod configuration;
mod failure;
mod named;
mod output;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use edge_ledger_core::identity::Genesis;
use edge_ledger_core::ledger::Level;
use edge_ledger_store::LedgerStore as _;
use edge_ledger_store::redis::RedisStore;
use edge_ledger_telemetry::Stopwatch;
use edge_ledger_telemetry::export::{FLUSH_WITHIN, Program, Telemetry};
use edge_ledger_telemetry::version::{COMMIT, VERSION};

pub use failure::StartError;

use crate::config::{Common, Inputs, Problem, Reader, ServerSection, Setting, common_settings};
use crate::limits::{EXIT_WITHIN, LEAVE_WITHIN};
use crate::logging::{self, Lines};
use crate::{Admin, Clock, KeysError, KeysFolder, Limits, OperatorToken, Signals, Signing, Tls};
use args::Act;
use named::{Named, ServiceKeys};

/// A service that can be a process of its own.
pub trait Service: Sized + Send {
    /// Name of the program.
    const NAME: &'static str;
    /// What it is, in a line.
    const ABOUT: &'static str;
    /// Where it listens if nobody says.
    const LISTEN: &'static str;
    /// Its own settings, beside those that every service has.
    const SETTINGS: &'static [Setting];
    /// What its own settings say.
    type Own: Send;
    /// What it needs of the keys folder beside the service key.
    type Secrets: Send;

    /// Reads that.
    ///
    /// # Errors
    /// [`KeysError`] for every file that is in the way.
    fn secrets(keys: &KeysFolder) -> Result<Self::Secrets, Vec<KeysError>>;

    /// Reads its own settings, and checks them against the others.
    fn read(reader: &mut Reader, common: &Common) -> Self::Own;

    /// Looks at what its own settings name on this machine. What is wrong with that is a problem of
    /// the reader.
    fn look(_reader: &mut Reader, _own: &mut Self::Own) {}

    /// Starts it.
    fn start(
        parts: Parts<Self::Secrets>,
        own: Self::Own,
    ) -> impl Future<Output = Result<Self, StartError>> + Send;

    /// The bound address.
    fn local_addr(&self) -> SocketAddr;

    /// Stops it: open calls have the grace to end. Says whether all were answered.
    fn shutdown(self, grace: Duration) -> impl Future<Output = bool> + Send;
}

/// What a service is made of, whatever it serves.
#[expect(missing_debug_implementations, reason = "leads to keys")]
pub struct Parts<K> {
    /// Where it listens, and as what.
    pub server: ServerSection,
    /// Its certificate; none: plain HTTP/2.
    pub tls: Option<Tls>,
    /// The deployment.
    pub genesis: Genesis,
    /// The keys that sign greetings, receipts and acks.
    pub signer: Signing,
    /// What else it needs of the keys folder.
    pub secrets: K,
    /// Where identities live.
    pub store: RedisStore,
    /// Bounds of connections.
    pub limits: Limits,
    /// The time.
    pub clock: Clock,
    /// Where operators are answered, and the token that lets them in; none: nowhere.
    pub operator: Option<(SocketAddr, OperatorToken)>,
}

/// How a service that had started ended.
enum Ended {
    Drained,
    CutOff,
    Interrupted,
}

/// All settings of a service.
pub fn settings<S: Service>() -> Vec<Setting> {
    let mut settings = common_settings(S::LISTEN);
    settings.extend(S::SETTINGS);
    settings
}

/// Runs a program that is a service.
pub fn main<S: Service>() -> ExitCode {
    let args = match args::read::<S>(std::env::args_os()) {
        Ok(args) => args,
        Err(code) => return code,
    };
    let environment = std::env::vars_os();
    let inputs = match configuration::inputs(args.config.as_deref(), environment) {
        Ok(inputs) => inputs,
        Err(problem) => return configuration::refused::<S>(&args.act, &[problem]),
    };
    match args.act {
        Act::Check { json, look } => configuration::check::<S>(&inputs, json, look),
        Act::Print { json } => configuration::print::<S>(&inputs, json),
        Act::Serve => serve::<S>(&inputs),
    }
}

/// A configuration without a problem, and what it names.
struct Configured<S: Service> {
    common: Common,
    own: S::Own,
    named: Named<S>,
}

/// Reads the settings, and nothing that they name.
fn read<S: Service>(inputs: &Inputs) -> Result<(Reader, Common, S::Own), Vec<Problem>> {
    let reader = Reader::new(settings::<S>(), inputs);
    let mut reader = reader.map_err(|problem| vec![problem])?;
    let common = Common::read(&mut reader);
    let own = S::read(&mut reader, &common);
    Ok((reader, common, own))
}

/// Says everything that is wrong with the settings.
fn check_settings<S: Service>(inputs: &Inputs) -> Result<(), Vec<Problem>> {
    let problems = read::<S>(inputs)?.0.into_problems();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// Reads a service's configuration and what it names on this machine, or says everything that is
/// wrong with either.
fn configured<S: Service>(inputs: &Inputs) -> Result<Configured<S>, Vec<Problem>> {
    let (mut reader, common, mut own) = read::<S>(inputs)?;
    let named = named::look(&mut reader, &common);
    S::look(&mut reader, &mut own);
    let problems = reader.into_problems();
    match named {
        Some(named) if problems.is_empty() => Ok(Configured { common, own, named }),
        _ => Err(problems),
    }
}

fn serve<S: Service>(inputs: &Inputs) -> ExitCode {
    let Configured { common, own, named } = match configured::<S>(inputs) {
        Ok(configured) => configured,
        Err(problems) => return configuration::refused::<S>(&Act::Serve, &problems),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let lines = logging::start(&common.log, None);
            return not_started::<S>(lines, &StartError::System(error));
        }
    };
    let telemetry = {
        let _entered = runtime.enter();
        Telemetry::start(Program { name: S::NAME })
    };
    let lines = logging::start(&common.log, telemetry.as_ref().ok());
    let telemetry = match telemetry {
        Ok(telemetry) => telemetry,
        Err(error) => return not_started::<S>(lines, &error.into()),
    };
    let (ended, flush_within) = runtime.block_on(async {
        let mut signalled = None;
        let ended = live::<S>(common, named, own, telemetry.clone(), &mut signalled).await;
        (ended, time_to_flush(signalled))
    });
    for error in telemetry.shutdown(flush_within) {
        tracing::warn!(%error, "telemetry was not sent to its end");
    }
    runtime.shutdown_timeout(LEAVE_WITHIN);
    match ended {
        Ok(Ended::Drained) => ExitCode::SUCCESS,
        Ok(Ended::CutOff) => ExitCode::from(3),
        Ok(Ended::Interrupted) => ExitCode::from(130),
        Err(error) => not_started::<S>(lines, &error),
    }
}

/// What is left of the time that the process has after a signal.
fn time_to_flush(signalled: Option<Stopwatch>) -> Duration {
    let gone = signalled.map_or(Duration::ZERO, |signalled| signalled.elapsed());
    let left = EXIT_WITHIN.saturating_sub(gone + 2 * LEAVE_WITHIN);
    left.min(FLUSH_WITHIN)
}

fn not_started<S: Service>(lines: Lines, error: &StartError) -> ExitCode {
    output::failure(lines, S::NAME, error);
    ExitCode::FAILURE
}

async fn live<S: Service>(
    common: Common,
    named: Named<S>,
    own: S::Own,
    telemetry: Telemetry,
    signalled: &mut Option<Stopwatch>,
) -> Result<Ended, StartError> {
    let mut signals = Signals::listen().map_err(StartError::System)?;
    tracing::debug!(service = S::NAME, version = VERSION, "starts");
    let grace = common.drain_grace;
    let admin = match common.admin {
        Some(listen) => Some(open_admin::<S>(listen, telemetry).await?),
        None => None,
    };
    let server = tokio::select! {
        started = start::<S>(common, named, own, admin.as_ref()) => started?,
        () = signals.next() => return Ok(Ended::Interrupted),
    };
    signals.next().await;
    *signalled = Some(Stopwatch::start());
    if let Some(admin) = &admin {
        admin.drains();
    }
    tracing::info!(grace = %humantime::format_duration(grace), "drains");
    // A task that does not even end when it is told to is left behind.
    let drained = tokio::time::timeout(grace + LEAVE_WITHIN, server.shutdown(grace));
    let ended = match signals.unless_again(drained).await {
        Some(Ok(true)) => Ended::Drained,
        Some(Ok(false) | Err(_)) => Ended::CutOff,
        None => Ended::Interrupted,
    };
    match ended {
        Ended::Drained => tracing::info!("drained"),
        Ended::CutOff => tracing::warn!("what was not done after the grace was ended"),
        Ended::Interrupted => tracing::warn!("a second signal ends it at once"),
    }
    Ok(ended)
}

async fn open_admin<S: Service>(
    listen: SocketAddr,
    telemetry: Telemetry,
) -> Result<Admin, StartError> {
    let bound = Admin::bind(listen, S::NAME, telemetry).await;
    let admin = bound.map_err(|source| StartError::AdminListen { listen, source })?;
    tracing::info!(address = %admin.local_addr(), "answers probes");
    Ok(admin)
}

async fn start<S: Service>(
    common: Common,
    named: Named<S>,
    own: S::Own,
    admin: Option<&Admin>,
) -> Result<S, StartError> {
    let ServiceKeys {
        genesis,
        signer,
        secrets,
    } = named.keys;
    let (tls, ledger_id) = (named.tls, genesis.ledger_id());
    let (is_plain, key_serial) = (tls.is_none(), signer.serial());
    let store = RedisStore::connect(common.store.redis(&named.store)).await?;
    let ack = match store.level() {
        Level::Volatile => "none",
        Level::Durable => "durable",
        Level::Replicated => "replicated",
    };
    if let Some(admin) = admin {
        admin.follow(store.health());
    }
    let operator = common.operator.map(|section| section.listen);
    let parts = Parts {
        operator: operator.zip(named.operator),
        server: common.server,
        tls,
        genesis,
        signer,
        secrets,
        store,
        limits: common.limits,
        clock: named.clock,
    };
    let server = S::start(parts, own).await?;
    let address = server.local_addr();
    if is_plain && !address.ip().is_loopback() {
        tracing::warn!(
            %address,
            "no TLS beyond loopback, which tls.accept_plaintext accepts: whoever is between this \
             service and what ends TLS can read and disturb what is said"
        );
    }
    tracing::info!(
        service = S::NAME,
        version = VERSION,
        commit = COMMIT,
        %address,
        tls = !is_plain,
        store = "redis",
        ack,
        %ledger_id,
        key_serial,
        "serves"
    );
    Ok(server)
}
