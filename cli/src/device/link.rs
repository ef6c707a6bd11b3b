//! `link`: shows a code and lets one new device in.

use std::fmt;

use device_agent::{
    Agent, AgentError, Decided, DeviceInfo, DeviceState, Invitation, JoinRequest, Joining,
};
use serde::Serialize;

use super::calendar::utc;
use super::enrol::IDENTITY_URL;
use super::qr;
use super::rights::{acted, check_admin};
use super::synced::sync;
use crate::args::Link;
use crate::explain::Failure;
use crate::limits::COUNT_EVERY;
use crate::output::Output;

/// Digits of the number.
const NUMBER_DIGITS: usize = 6;
/// Said before the number is read; not to scripts.
const PROMPT: &str = "number: ";

/// What happens while a device is linked, in order.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Step {
    Code {
        code: String,
        link: String,
        expires_in_s: u32,
        #[serde(skip)]
        qr: Option<String>,
        /// Whether the time that is left is counted down below.
        #[serde(skip)]
        counts: bool,
        /// What the new device needs to be told beside the code.
        #[serde(skip)]
        address: String,
    },
    Request {
        device: String,
        name: String,
        platform: String,
        /// What it would be allowed.
        admin: bool,
        /// Name of the device whose place it would take.
        #[serde(skip_serializing_if = "Option::is_none")]
        replaces: Option<String>,
        /// Devices that have this name already.
        #[serde(skip)]
        namesakes: usize,
    },
    WrongNumber {
        tries_left: u32,
    },
    Linked {
        device: String,
        name: String,
        platform: String,
        admin: bool,
        /// Until when it has no admin rights though it is an admin.
        #[serde(skip_serializing_if = "Option::is_none")]
        probation_ends_ms: Option<i64>,
    },
}

pub(super) async fn run(options: Link, agent: &Agent, output: &Output) -> Result<(), Failure> {
    // A device that is refused says so here, and others have the latest names.
    sync(agent).await?.note(output).await;
    // Better now than after the other device has asked.
    check_admin(agent, "link others")?;
    if !output.look().input {
        let message = "somebody must type the number that the new device shows";
        return Err(Failure::usage("LINK_NUMBER", message).next("leave --no-input away"));
    }
    let session = acted(agent, agent.link().await)?;
    let url = session.link().parse::<Invitation>()?.identity_url;
    let address = url.filter(|url| url != IDENTITY_URL);
    output
        .print(&Step::Code {
            code: session.code(),
            link: session.link().to_owned(),
            expires_in_s: session.expires_in_s(),
            qr: output
                .is_terminal()
                .then(|| qr::draw(session.link(), output.look().colours))
                .flatten(),
            counts: output.is_terminal(),
            address: address.map_or(String::new(), |url| format!(" --identity-url {url}")),
        })
        .await?;
    let left_s = session.expires_in_s();
    let request = counted_down(session.request(options.admin), left_s, output).await?;
    output.print(&Step::request(&request, agent)).await?;
    let joined = decide(request, agent, output).await?;
    let devices = agent.devices();
    let device = devices.iter().find(|d| d.device == joined.device);
    let linked = Step::Linked {
        device: joined.device.to_string(),
        name: joined.name,
        platform: joined.platform,
        admin: joined.admin,
        probation_ends_ms: device.and_then(|device| device.probation_at(agent.now_ms())),
    };
    output.print(&linked).await
}

/// Waits for a new device, and meanwhile tells a person at a terminal how long the code is good.
async fn counted_down<T>(
    waits: impl Future<Output = Result<T, AgentError>>,
    mut left_s: u32,
    output: &Output,
) -> Result<T, Failure> {
    let mut waits = std::pin::pin!(waits);
    let mut ticks = tokio::time::interval(COUNT_EVERY);
    loop {
        tokio::select! {
            biased;
            came = &mut waits => {
                output.draw("\n").await?;
                return Ok(came?);
            }
            _ = ticks.tick() => {
                output.draw(&format!("\rWaits for it ({} left). ", clock(left_s))).await?;
                left_s = left_s.saturating_sub(1);
            }
        }
    }
}

/// Minutes and seconds.
fn clock(seconds: u32) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Has the number typed, until it is the right one, or the person or the other device gives up.
async fn decide(
    mut request: JoinRequest,
    agent: &Agent,
    output: &Output,
) -> Result<Joining, Failure> {
    loop {
        let typed = tokio::select! {
            typed = output.ask(PROMPT) => typed,
            gone = request.gone() => return Err(gone.into()),
        };
        let Some(typed) = typed else {
            request.refuse("nobody is there to let it in").await;
            return Err(Failure::refused("LINK_NUMBER", "nobody typed the number")
                .next("type it on a terminal, or give it as a line of standard input"));
        };
        if matches!(typed.trim().to_ascii_lowercase().as_str(), "n" | "no") {
            request.refuse("the person there said no").await;
            return Err(Failure::refused("LINK_NUMBER", "the device was not let in"));
        }
        if !is_number(&typed) {
            output.note("the number has six digits").await;
            continue;
        }
        match acted(agent, request.approve(&typed).await)? {
            Decided::Linked(joined) => return Ok(joined),
            Decided::WrongNumber(again, tries_left) => {
                output.print(&Step::WrongNumber { tries_left }).await?;
                request = again;
            }
        }
    }
}

/// Whether it could be a number at all. What could not costs no try.
fn is_number(typed: &str) -> bool {
    let digits = typed.chars().filter(char::is_ascii_digit).count();
    let others = typed.trim().chars().filter(|c| !c.is_ascii_digit());
    digits == NUMBER_DIGITS && others.into_iter().all(char::is_whitespace)
}

impl Step {
    fn request(request: &JoinRequest, agent: &Agent) -> Self {
        let joining = request.joining();
        let devices = agent.devices();
        let active = devices.iter().filter(|d| d.state == DeviceState::Active);
        let replaced = |device: &&DeviceInfo| Some(device.device) == joining.replaces;
        Self::Request {
            device: joining.device.to_string(),
            name: joining.name.clone(),
            platform: joining.platform.clone(),
            admin: joining.admin,
            replaces: devices.iter().find(replaced).map(|d| d.name.clone()),
            namesakes: active.filter(|d| d.name == joining.name).count(),
        }
    }
}

/// What a device can do.
pub(super) fn may(admin: bool) -> &'static str {
    if admin {
        "earn, spend, link and revoke"
    } else {
        "earn and spend"
    }
}

/// From when on it can do the last two, if not yet.
fn but_from(probation_ends_ms: Option<i64>) -> String {
    probation_ends_ms.map_or_else(String::new, |ends_ms| {
        format!(", but link and revoke only from {} (UTC) on", utc(ends_ms))
    })
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code {
                code,
                link,
                expires_in_s,
                qr,
                counts,
                address,
            } => {
                let act = if qr.is_some() {
                    "scan this, open the link,"
                } else {
                    "open the link"
                };
                writeln!(f, "On the new device: {act} or type the code.\n")?;
                if let Some(qr) = qr {
                    writeln!(f, "{qr}\n")?;
                }
                writeln!(f, "  link  {link}")?;
                writeln!(f, "  code  {code}")?;
                writeln!(f, "  type  edge-ledger join {code}{address}\n")?;
                if !counts {
                    write!(f, "Waits for it ({} left). ", clock(*expires_in_s))?;
                }
                write!(f, "Show the code to nobody else; it is good for one try.")
            }
            Self::Request {
                device,
                name,
                platform,
                admin,
                replaces,
                namesakes,
            } => {
                writeln!(f, "\"{name}\" ({platform}, {device}) asks to join.")?;
                if let Some(replaced) = replaces {
                    writeln!(
                        f,
                        "It would go on in the place of \"{replaced}\", which ends."
                    )?;
                } else if *namesakes > 0 {
                    writeln!(f, "Another device of yours has this name already.")?;
                }
                let may = may(*admin);
                write!(
                    f,
                    "It could {may}. Type the number that it shows, if it is yours; else n."
                )
            }
            Self::WrongNumber { tries_left: 1 } => {
                write!(f, "That is not its number. It can be typed once more.")
            }
            Self::WrongNumber { .. } => {
                write!(f, "That is not its number. It can be typed twice more.")
            }
            Self::Linked {
                device,
                admin,
                probation_ends_ms,
                ..
            } => {
                let (may, from) = (may(*admin), but_from(*probation_ends_ms));
                // Another device may have the same name.
                let undo = format!("edge-ledger devices revoke {device}");
                write!(f, "Linked. It can {may}{from}.  Undo:  {undo}")
            }
        }
    }
}
