//! Where this machine can be reached: its own addresses, what STUN servers see of them, and
//! relays.
//!
//! Nothing is asked over the network unless a server is configured.

use std::net::{IpAddr, SocketAddr};

use futures::future::join_all;
use str0m::Candidate;
use tokio::time::{Instant, sleep_until, timeout_at};
use turn_client_proto::stun::types::attribute::XorMappedAddress;
use turn_client_proto::stun::types::message::{
    BINDING, Message, MessageWrite as _, MessageWriteVec, TransactionId,
};

use super::relay::{Allocation, Handled, Relay};
use super::server_url::{Scheme, ServerUrl};
use super::sockets::{Arrived, DATAGRAM_BYTES_MAX, Sockets};
use super::{IceServers, LinkError, Reach, TurnServer};
use crate::limits::{GATHER_WITHIN, ICE_SERVERS_MAX, LINK_ADDRESSES_MAX, STUN_AGAIN};

/// Sockets, and the candidates that lead to them.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) sockets: Sockets,
    pub(super) candidates: Vec<Candidate>,
}

/// A question to a STUN server.
#[derive(Debug)]
struct Question {
    local: SocketAddr,
    server: SocketAddr,
    id: TransactionId,
    text: Vec<u8>,
    answered: bool,
}

/// Opens sockets and finds out where they can be reached.
pub(super) async fn gather(servers: &IceServers, reach: Reach) -> Result<Gathered, LinkError> {
    let mut sockets = Sockets::bind(&own_addresses(reach)?).await?;
    let hosts = sockets
        .locals()
        .filter_map(|at| Candidate::host(at, "udp").ok());
    let mut candidates: Vec<_> = hosts.collect();
    if !servers.is_empty() {
        ask(servers, &mut sockets, &mut candidates).await;
    }
    if candidates.is_empty() {
        return Err(LinkError::NoAddress);
    }
    Ok(Gathered {
        sockets,
        candidates,
    })
}

/// The addresses of the interfaces that are up.
fn own_addresses(reach: Reach) -> Result<Vec<IpAddr>, LinkError> {
    let interfaces = if_addrs::get_if_addrs()?;
    let up = interfaces.iter().filter(|interface| {
        // Some systems do not tell.
        interface.is_oper_up() || interface.oper_status == if_addrs::IfOperStatus::Unknown
    });
    Ok(choose(up.map(if_addrs::Interface::ip), reach))
}

/// Those that lead somewhere, in a fixed order; loopback when it is asked for, or all there is.
fn choose(addresses: impl Iterator<Item = IpAddr>, reach: Reach) -> Vec<IpAddr> {
    let (mut loopback, mut outward): (Vec<_>, Vec<_>) = addresses
        .filter(|address| !is_link_local(address) && !address.is_unspecified())
        .partition(IpAddr::is_loopback);
    for addresses in [&mut loopback, &mut outward] {
        addresses.sort_unstable();
        addresses.dedup();
    }
    let mut chosen = match reach {
        Reach::LoopbackToo => [loopback, outward].concat(),
        Reach::Host if outward.is_empty() => loopback,
        Reach::Host => outward,
    };
    chosen.truncate(LINK_ADDRESSES_MAX);
    chosen
}

fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Asks the servers, and adds what they say in time.
async fn ask(servers: &IceServers, sockets: &mut Sockets, candidates: &mut Vec<Candidate>) {
    let until = Instant::now() + GATHER_WITHIN;
    let Ok((stun, turn)) = timeout_at(until, addresses_of(servers)).await else {
        tracing::debug!("the names of the STUN and TURN servers are not known in time");
        return;
    };
    let mut questions = questions(sockets, &stun);
    let locals: Vec<_> = sockets.locals().collect();
    for (server, account) in turn {
        for &local in locals.iter().filter(|local| leads_to(**local, server)) {
            sockets.add_relay(Relay::allocate(local, server, account, Instant::now()));
        }
    }
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut ask_at = Instant::now();
    loop {
        let now = Instant::now();
        if now >= ask_at {
            for question in questions.iter().filter(|question| !question.answered) {
                sockets.send(question.local, question.server, &question.text, now);
            }
            ask_at = now + STUN_AGAIN;
        }
        let relays_at = sockets.turn_relays(now);
        let waits = sockets
            .relays_mut()
            .any(|relay| relay.allocation() == Allocation::Asked);
        let is_done = !waits && questions.iter().all(|question| question.answered);
        if is_done || now >= until {
            break;
        }
        let wake_at = relays_at.unwrap_or(until).min(ask_at).min(until);
        tokio::select! {
            arrived = sockets.receive(&mut buffer) => {
                let data = &buffer[..arrived.length];
                if sockets.unwrap(&arrived, data, Instant::now()) == Handled::NotMine {
                    candidates.extend(answered(&mut questions, &arrived, data));
                }
            }
            () = sleep_until(wake_at) => {}
        }
    }
    let relayed = sockets
        .relays_mut()
        .filter_map(|relay| match relay.allocation() {
            Allocation::At(at) => Candidate::relayed(at, relay.local(), "udp").ok(),
            Allocation::Asked | Allocation::Refused => {
                tracing::debug!(server = %relay.server(), "a TURN server gave no address");
                None
            }
        });
    candidates.extend(relayed);
}

/// Loopback leads nowhere else, and nothing else leads there.
fn leads_to(local: SocketAddr, server: SocketAddr) -> bool {
    local.is_ipv4() == server.is_ipv4() && local.ip().is_loopback() == server.ip().is_loopback()
}

/// The first address of each server.
async fn addresses_of(servers: &IceServers) -> (Vec<SocketAddr>, Vec<(SocketAddr, &TurnServer)>) {
    let stun = servers.stun.iter().take(ICE_SERVERS_MAX);
    let stun = join_all(stun.map(|url| address_of(url, Scheme::Stun))).await;
    let turn = servers.turn.iter().take(ICE_SERVERS_MAX);
    let turn = join_all(turn.map(async |server| {
        let address = address_of(&server.url, Scheme::Turn).await;
        address.map(|address| (address, server))
    }))
    .await;
    let (stun, turn) = (stun.into_iter(), turn.into_iter());
    (stun.flatten().collect(), turn.flatten().collect())
}

async fn address_of(url: &str, scheme: Scheme) -> Option<SocketAddr> {
    let read = ServerUrl::read(url, scheme);
    let found = match read {
        Ok(server) => tokio::net::lookup_host((server.host, server.port))
            .await
            .map_err(|error| error.to_string())
            .and_then(|mut found| found.next().ok_or_else(|| "no address".to_owned())),
        Err(why) => Err(why.to_string()),
    };
    found
        .inspect_err(|why| tracing::warn!(url, why, "a server of the link cannot be used"))
        .ok()
}

fn questions(sockets: &Sockets, servers: &[SocketAddr]) -> Vec<Question> {
    let mut questions = Vec::new();
    for local in sockets.locals() {
        for &server in servers.iter().filter(|server| leads_to(local, **server)) {
            let text = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
            // It was made just now.
            let Ok(message) = Message::from_bytes(&text) else {
                continue;
            };
            questions.push(Question {
                local,
                server,
                id: message.transaction_id(),
                text: text.clone(),
                answered: false,
            });
        }
    }
    questions
}

/// The candidate that an answer tells of.
fn answered(questions: &mut [Question], arrived: &Arrived, data: &[u8]) -> Option<Candidate> {
    let message = Message::from_bytes(data).ok()?;
    let question = questions.iter_mut().find(|question| {
        question.local == arrived.local
            && question.server == arrived.source
            && question.id == message.transaction_id()
    })?;
    if !message.is_response() || std::mem::replace(&mut question.answered, true) {
        return None;
    }
    let seen = message.attribute::<XorMappedAddress>().ok()?;
    let seen = seen.addr(message.transaction_id());
    if seen == arrived.local {
        return None;
    }
    Candidate::server_reflexive(seen, arrived.local, "udp").ok()
}

#[cfg(test)]
mod tests;
