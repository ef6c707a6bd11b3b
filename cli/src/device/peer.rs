//! `peer`: direct links to the other devices, and codes that are carried by hand when there is no
//! other way.

use std::fmt;

use device_agent::{Agent, DeviceId, Events, PeerCode};
use edge_ledger_core::text::shown;
use serde::Serialize;

use super::qr;
use super::state::{PeerRow, peer_rows};
use crate::args::Peers;
use crate::explain::Failure;
use crate::limits::PEER_LINK_WITHIN;
use crate::output::Output;

/// Said before the answer is read; not to scripts.
const PROMPT: &str = "answer: ";

/// What happens while two devices are linked by hand, in order.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Step {
    Offer {
        code: String,
        #[serde(skip)]
        qr: Option<String>,
    },
    Answer {
        code: String,
        device: String,
        #[serde(skip)]
        qr: Option<String>,
    },
    Connected {
        device: String,
        name: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let drawn = |f: &mut fmt::Formatter<'_>, qr: &Option<String>| match qr {
            Some(qr) => writeln!(f, "{qr}\n"),
            None => Ok(()),
        };
        match self {
            Self::Offer { code, qr } => {
                drawn(f, qr)?;
                writeln!(f, "On the other device, within 10 minutes:\n")?;
                writeln!(f, "  edge-ledger peer accept {code}\n")?;
                write!(f, "It shows an answer: give it here.")
            }
            Self::Answer { code, qr, .. } => {
                drawn(f, qr)?;
                writeln!(f, "The answer, for the device that made the offer:\n")?;
                writeln!(f, "  {code}\n")?;
                write!(f, "Waiting until it is there. Ctrl-C gives up.")
            }
            Self::Connected { name, .. } => write!(f, "Linked with \"{}\".", shown(name)),
        }
    }
}

/// The links there are.
#[derive(Debug, Serialize)]
struct List {
    path: &'static str,
    peers: Vec<PeerRow>,
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "path {}", self.path)?;
        if self.peers.is_empty() {
            write!(f, "\n  no links to other devices")?;
        }
        for peer in &self.peers {
            write!(f, "\n  {peer}")?;
        }
        Ok(())
    }
}

pub(super) async fn run(
    act: Option<Peers>,
    agent: &Agent,
    events: Events,
    output: &Output,
) -> Result<(), Failure> {
    match act {
        None | Some(Peers::List) => list(agent, output).await,
        Some(Peers::Offer) => offer(agent, events, output).await,
        Some(Peers::Accept { code }) => accept(&code, agent, events, output).await,
    }
}

async fn list(agent: &Agent, output: &Output) -> Result<(), Failure> {
    let status = agent.status();
    let list = List {
        path: status.path.as_str(),
        peers: peer_rows(&status),
    };
    output.print(&list).await
}

async fn offer(agent: &Agent, events: Events, output: &Output) -> Result<(), Failure> {
    if !output.look().input {
        let message = "somebody must give the answer of the other device";
        return Err(Failure::usage("PEER_ANSWER", message).next("leave --no-input away"));
    }
    let code = agent.peer_offer().await?;
    let (code, qr) = drawn(&code, output);
    output.print(&Step::Offer { code, qr }).await?;
    let Some(typed) = output.ask(PROMPT).await else {
        let message = "nobody gave the answer of the other device";
        return Err(Failure::refused("PEER_ANSWER", message)
            .next("type it on a terminal, or give it as a line of standard input"));
    };
    let (device, _) = agent.peer_follow(parsed(&typed)?).await?;
    connected(device, agent, events, output).await
}

async fn accept(code: &str, agent: &Agent, events: Events, output: &Output) -> Result<(), Failure> {
    let (device, answer) = agent.peer_follow(parsed(code)?).await?;
    if let Some(answer) = answer {
        let (code, qr) = drawn(&answer, output);
        let device = device.to_string();
        output.print(&Step::Answer { code, device, qr }).await?;
    }
    connected(device, agent, events, output).await
}

fn parsed(code: &str) -> Result<PeerCode, Failure> {
    code.parse().map_err(|error: device_agent::PeerCodeError| {
        Failure::usage("BAD_PEER_CODE", error.to_string())
            .next("copy the whole code that `peer offer` or `peer accept` printed")
    })
}

fn drawn(code: &PeerCode, output: &Output) -> (String, Option<String>) {
    let text = code.to_string();
    let is_seen = output.is_terminal();
    let qr = is_seen.then(|| qr::draw(&text, output.look().colours));
    (text, qr.flatten())
}

/// Waits until both have let each other in.
async fn connected(
    device: DeviceId,
    agent: &Agent,
    mut events: Events,
    output: &Output,
) -> Result<(), Failure> {
    let live = || {
        let peers = agent.status().peers;
        peers.into_iter().find(|p| p.device == device && p.live)
    };
    let wait = async {
        loop {
            if let Some(peer) = live() {
                return Some(peer);
            }
            // Whatever happens: then it is looked again.
            events.next().await?;
        }
    };
    let peer = tokio::time::timeout(PEER_LINK_WITHIN, wait).await;
    let Some(peer) = peer.ok().flatten() else {
        let message = "no link to the other device came about in time";
        return Err(Failure::refused("PEER_UNREACHABLE", message).next(
            "see that both are on one network, or configure a TURN server; then make a new offer",
        ));
    };
    let step = Step::Connected {
        device: device.to_string(),
        name: peer.name,
    };
    output.print(&step).await
}
