//! `keys`: the keys of services that run apart.

mod invite;
mod operator_token;
mod rotate;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use edge_ledger_chassis::KeysFolder;
use edge_ledger_chassis::keys::{Choices, NeededBy};
use edge_ledger_core::identity::{CreditPolicy, Genesis, Periods};
use serde::Serialize;

use crate::args::{self, CreditSource, Keys, KeysInit};
use crate::explain::Failure;
use crate::folders::absolute;
use crate::output::Output;

/// What is in the folder.
#[derive(Debug, Serialize)]
struct Made {
    /// Whether it was made just now.
    made: bool,
    ledger_id: String,
    unit: String,
    decimals: u32,
    credits: &'static str,
    probation_ms: u64,
    veto_ms: u64,
    dir: PathBuf,
    files: Vec<KeptFile>,
}

#[derive(Debug, Serialize)]
struct KeptFile {
    name: String,
    present: bool,
    /// The services that need it; empty for what is kept apart.
    needed_by: &'static [&'static str],
}

pub(crate) async fn run(act: &Keys, output: &Output) -> Result<(), Failure> {
    match act {
        Keys::Init(options) => init(options, output).await,
        Keys::Rotate(options) => rotate::run(options, output).await,
        Keys::Invite(options) => invite::run(options, output).await,
        Keys::OperatorToken(options) => operator_token::run(options, output).await,
    }
}

async fn init(options: &KeysInit, output: &Output) -> Result<(), Failure> {
    let was_made = KeysFolder::is_made(&options.dir)?;
    let keys = KeysFolder::open_or_init(&options.dir, &choices(options)?)?;
    if was_made {
        check_same(options, &keys.genesis)?;
    }
    let files = KeysFolder::at(&options.dir).files()?;
    let genesis = &keys.genesis;
    output
        .print(&Made {
            made: !was_made,
            ledger_id: genesis.ledger_id().to_string(),
            unit: genesis.unit().to_owned(),
            decimals: genesis.decimals(),
            credits: credits(genesis.policy()),
            probation_ms: genesis.periods().probation_ms,
            veto_ms: genesis.periods().veto_ms,
            dir: absolute(&options.dir),
            files: files
                .into_iter()
                .map(|(file, present)| KeptFile {
                    name: file.name,
                    present,
                    needed_by: match file.needed_by {
                        NeededBy::Nobody => &[],
                        NeededBy::BothServices => &["identity-service", "ledger-service"],
                        NeededBy::IdentityService => &["identity-service"],
                    },
                })
                .collect(),
        })
        .await
}

fn choices(options: &KeysInit) -> Result<Choices, Failure> {
    let standard = Choices::default();
    let policy = match (options.credits, standard.policy) {
        (Some(CreditSource::Issued), _) => {
            if options.posting_cap.is_some() || options.journal_cap.is_some() {
                let message = "issued credits have no caps: each carries its issuer's proof";
                return Err(Failure::usage("USAGE", message)
                    .next("leave --posting-cap and --journal-cap out"));
            }
            CreditPolicy::Issued
        }
        (
            _,
            CreditPolicy::SelfReported {
                posting_cap,
                journal_cap,
            },
        ) => CreditPolicy::SelfReported {
            posting_cap: options.posting_cap.unwrap_or(posting_cap),
            journal_cap: options.journal_cap.unwrap_or(journal_cap),
        },
        (_, CreditPolicy::Issued) => CreditPolicy::Issued,
    };
    Ok(Choices {
        unit: options.unit.clone().unwrap_or(standard.unit),
        decimals: options.decimals.unwrap_or(standard.decimals),
        policy,
        periods: periods(&options.periods),
    })
}

/// The periods of a new ledger.
pub(crate) fn periods(options: &args::Periods) -> Periods {
    let standard = Periods::default();
    let ms = |given: Option<Duration>, standard| {
        given.map_or(standard, |given| {
            u64::try_from(given.as_millis()).unwrap_or(u64::MAX)
        })
    };
    Periods {
        probation_ms: ms(options.probation, standard.probation_ms),
        veto_ms: ms(options.veto, standard.veto_ms),
    }
}

/// Whether a ledger has the periods that were asked for, if any were.
pub(crate) fn has_periods(options: &args::Periods, genesis: &Genesis) -> bool {
    let (asked, kept) = (periods(options), genesis.periods());
    (options.probation.is_none() || asked.probation_ms == kept.probation_ms)
        && (options.veto.is_none() || asked.veto_ms == kept.veto_ms)
}

/// A ledger that is there stays as it is; whoever asks for another one should hear so.
fn check_same(options: &KeysInit, genesis: &Genesis) -> Result<(), Failure> {
    let (posting_cap, journal_cap) = match genesis.policy() {
        CreditPolicy::SelfReported {
            posting_cap,
            journal_cap,
        } => (Some(posting_cap), Some(journal_cap)),
        CreditPolicy::Issued => (None, None),
    };
    let source = options.credits.map(|source| match source {
        CreditSource::SelfReported => "self-reported",
        CreditSource::Issued => "issued",
    });
    let same = [
        options
            .unit
            .as_deref()
            .is_none_or(|unit| unit == genesis.unit()),
        options
            .decimals
            .is_none_or(|decimals| decimals == genesis.decimals()),
        source.is_none_or(|source| source == credits(genesis.policy())),
        options.posting_cap.is_none() || options.posting_cap == posting_cap,
        options.journal_cap.is_none() || options.journal_cap == journal_cap,
        has_periods(&options.periods, genesis),
    ];
    if same.iter().all(|same| *same) {
        return Ok(());
    }
    let message = format!(
        "{} holds the keys of ledger {}, which is another one than was asked for: it counts `{}` \
         with {} decimals, {} credits, {} of probation and {} of veto time, for ever",
        options.dir.display(),
        genesis.ledger_id(),
        genesis.unit(),
        genesis.decimals(),
        credits(genesis.policy()),
        shown_ms(genesis.periods().probation_ms),
        shown_ms(genesis.periods().veto_ms),
    );
    Err(Failure::refused("KEYS_EXIST", message)
        .with("ledger_id", genesis.ledger_id().to_string())
        .next("give another folder with --dir DIR for another ledger; nothing was changed"))
}

/// A time as it can be typed.
pub(crate) fn shown_ms(ms: u64) -> String {
    humantime::format_duration(Duration::from_millis(ms)).to_string()
}

fn credits(policy: CreditPolicy) -> &'static str {
    match policy {
        CreditPolicy::SelfReported { .. } => "self-reported",
        CreditPolicy::Issued => "issued",
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.made {
            "Made the keys of a new ledger"
        } else {
            "The keys are there already; nothing was changed"
        };
        writeln!(f, "{what}.")?;
        writeln!(f, "  ledger id  {}", self.ledger_id)?;
        writeln!(f, "  folder     {}", self.dir.display())?;
        for file in &self.files {
            let needed = match file.needed_by {
                [] => "keep it apart: no service needs it while it runs",
                [_] => "every replica of identity-service",
                [..] => "every replica of both services",
            };
            let missing = if file.present { "" } else { " (not here)" };
            writeln!(f, "  {:<14} {needed}{missing}", file.name)?;
        }
        writeln!(
            f,
            "Back up the whole folder, offline: losing `genesis`, the service keys or both roots ends \
             the ledger."
        )?;
        write!(
            f,
            "Next:  EDGE_LEDGER__KEYS__DIR={dir} EDGE_LEDGER__STORE__KIND=redis \
             EDGE_LEDGER__STORE__URL=redis://127.0.0.1:6379 identity-service",
            dir = self.dir.display()
        )
    }
}
