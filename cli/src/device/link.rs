//! `link`: shows a code and lets one new device in.

use std::fmt;

use device_agent::{Agent, DeviceInfo, Invitation, Joining};
use serde::Serialize;
use tokio::sync::oneshot;

use super::enrol::IDENTITY_URL;
use super::qr;
use super::synced::sync;
use crate::args::Link;
use crate::explain::Failure;
use crate::output::Output;

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
        /// What the new device needs to be told beside the code.
        #[serde(skip)]
        address: String,
    },
    Request {
        device: String,
        name: String,
        platform: String,
    },
    Linked {
        device: String,
        name: String,
        platform: String,
        admin: bool,
    },
}

pub(super) async fn run(options: Link, agent: &Agent, output: &Output) -> Result<(), Failure> {
    // A device that is refused says so here, and others have the latest names.
    sync(agent).await?.note(output).await;
    // Better now than after the other device has asked.
    let is_admin = |device: &DeviceInfo| device.this && device.admin;
    if !agent.devices().iter().any(is_admin) {
        let message = "this device may not link others";
        return Err(Failure::refused("FORBIDDEN", message)
            .next("type this on a device that may: `edge-ledger devices` shows which those are"));
    }
    let session = agent.link().await?;
    let url = session.link().parse::<Invitation>()?.identity_url;
    let address = url.filter(|url| url != IDENTITY_URL);
    output
        .print(&Step::Code {
            code: session.code().to_owned(),
            link: session.link().to_owned(),
            expires_in_s: session.expires_in_s(),
            qr: output
                .is_terminal()
                .then(|| qr::draw(session.link(), output.look().colours))
                .flatten(),
            address: address.map_or(String::new(), |url| format!(" --identity-url {url}")),
        })
        .await?;
    let (asks, asked) = oneshot::channel();
    // Whoever hears it says it, while the device is linked.
    let seen = |joining: &Joining| drop(asks.send(joining.clone()));
    let (joined, told) = tokio::join!(session.accept(options.admin, seen), tell(asked, output));
    let joined = joined?;
    told?;
    let linked = Step::Linked {
        device: joined.device.to_string(),
        name: joined.name,
        platform: joined.platform,
        admin: joined.admin,
    };
    output.print(&linked).await
}

/// Says who asks to join, if somebody does.
async fn tell(asked: oneshot::Receiver<Joining>, output: &Output) -> Result<(), Failure> {
    let Ok(joining) = asked.await else {
        return Ok(());
    };
    let request = Step::Request {
        device: joining.device.to_string(),
        name: joining.name,
        platform: joining.platform,
    };
    output.print(&request).await
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code {
                code,
                link,
                expires_in_s,
                qr,
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
                let (minutes, seconds) = (expires_in_s / 60, expires_in_s % 60);
                write!(
                    f,
                    "Waits for it ({minutes}:{seconds:02} left). Whoever has the code can join: show it to nobody else."
                )
            }
            Self::Request {
                device,
                name,
                platform,
            } => {
                write!(f, "\"{name}\" ({platform}, {device}) asks to join.")
            }
            Self::Linked { name, admin, .. } => {
                let may = if *admin {
                    "earn, spend, link and revoke"
                } else {
                    "earn and spend"
                };
                write!(
                    f,
                    "Linked. It can {may}.  Undo:  edge-ledger devices revoke \"{name}\""
                )
            }
        }
    }
}
