//! STUN and TURN, with a real server.

use std::net::{Ipv4Addr, UdpSocket as StdSocket};

use super::turn_server::{TurnProcess, Users, translated};
use super::*;

/// When an account expires that is made now.
fn later() -> u64 {
    const HOUR: u64 = 3_600;
    let now = crate::clock::Clock::start().wall_ms() / 1_000;
    u64::try_from(now).expect("a time after 1970") + HOUR
}

fn through(turn: TurnServer) -> LinkConfig {
    LinkConfig {
        servers: IceServers {
            stun: Vec::new(),
            turn: vec![turn],
        },
        ..config()
    }
}

/// The description without any other way.
fn only(sdp: &str, kind: str0m::CandidateKind) -> String {
    let leads = |line: &&str| {
        let candidate = line.strip_prefix("a=").map(Candidate::from_sdp_string);
        candidate.is_none_or(|read| read.is_err() || read.is_ok_and(|it| it.kind() == kind))
    };
    let lines = sdp.lines().filter(leads);
    lines.map(|line| format!("{line}\r\n")).collect()
}

fn has(sdp: &str, kind: &str) -> bool {
    sdp.lines()
        .any(|line| line.starts_with("a=candidate:") && line.contains(kind))
}

/// Two links that know of each other's relays only.
async fn relayed(one: TurnServer, other: TurnServer) -> (PeerLink, PeerLink) {
    let relay = str0m::CandidateKind::Relayed;
    let (offering, offer) = Offering::start(through(one)).await.expect("an offer");
    let offer = only(&offer.sdp, relay);
    assert!(has(&offer, "typ relay"), "{offer}");
    let (answering, answer) = answer(through(other), &offer).await.expect("an answer");
    let answer = only(&answer.sdp, relay);
    assert!(has(&answer, "typ relay"), "{answer}");
    let offering = offering.accept_answer(&answer).expect("it fits");
    let (offering, answering) = tokio::join!(offering.opened(), answering.opened());
    (offering.expect("a link"), answering.expect("a link"))
}

async fn exchange(one: &mut PeerLink, other: &mut PeerLink) {
    for number in 0..20 {
        one.outbound
            .send(sized(number, 100_000))
            .await
            .expect("it is open");
        assert!(encoded(&next(other).await) == encoded(&sized(number, 100_000)));
        other
            .outbound
            .send(numbered(number))
            .await
            .expect("it is open");
        assert_eq!(encoded(&next(one).await), encoded(&numbered(number)));
    }
}

#[tokio::test]
async fn a_link_goes_through_relays_with_accounts_that_a_secret_made() {
    let server = TurnProcess::start(Users::Secret).await;
    let accounts = (
        server.made_account(later()),
        server.made_account(later() + 1),
    );
    let (mut one, mut other) = relayed(accounts.0, accounts.1).await;
    exchange(&mut one, &mut other).await;

    // The way is the relay's, seen from one end at least: what ICE finds on its way is direct.
    let report = one.report.borrow().clone();
    let ends = [report.local, report.remote].map(|end| end.expect("a path").kind.as_str());
    assert!(ends.contains(&"relay"), "{ends:?}");

    // New sockets get new relays.
    one.restarter.restart();
    let restarted = one.report.wait_for(|report| report.restarts == 1);
    restarted.await.expect("it is open");
    exchange(&mut one, &mut other).await;
}

#[tokio::test]
async fn a_link_goes_through_relays_with_names_and_passwords() {
    let server = TurnProcess::start(Users::Named("ana", "wide")).await;
    let account = || server.account("ana", "wide");
    let (mut one, mut other) = relayed(account(), account()).await;
    exchange(&mut one, &mut other).await;
}

#[tokio::test]
async fn who_has_no_account_gets_no_relay_and_goes_without() {
    let server = TurnProcess::start(Users::Secret).await;
    let mut forged = server.made_account(later());
    forged.username = format!("{}:08", later());
    let expired = server.made_account(1);
    for account in [forged, expired, server.account("ana", "wide")] {
        let (_, offer) = Offering::start(through(account)).await.expect("an offer");
        assert!(!has(&offer.sdp, "typ relay"));
        assert!(has(&offer.sdp, "typ host"));
    }
}

#[tokio::test]
async fn a_stun_server_tells_the_address_outside() {
    let (server, tasks) = (TurnProcess::start(Users::Secret).await, TaskTracker::new());
    let (inner, outer) = translated(server.address, &tasks).await;
    let stun = vec![format!("stun:{inner}")];
    let servers = IceServers { stun, turn: vec![] };
    let (_, offer) = Offering::start(LinkConfig {
        servers,
        ..config()
    })
    .await
    .expect("an offer");
    let seen = format!("127.0.0.1 {} typ srflx", outer.port());
    assert!(has(&offer.sdp, &seen), "{}", offer.sdp);
}

#[tokio::test]
async fn servers_that_are_silent_or_none_are_not_waited_for() {
    let silent = StdSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let address = silent.local_addr().expect("its address");
    let account = TurnServer {
        url: format!("turn:{address}"),
        username: "ana".to_owned(),
        password: "wide".to_owned(),
    };
    let servers = IceServers {
        stun: vec![
            format!("stun:{address}"),
            "stun:".to_owned(),
            "http://x".to_owned(),
        ],
        turn: vec![account],
    };
    tokio::time::pause();
    let before = Instant::now();
    let (_, offer) = Offering::start(LinkConfig {
        servers,
        ..config()
    })
    .await
    .expect("an offer");
    assert!(has(&offer.sdp, "typ host") && !has(&offer.sdp, "typ srflx"));
    assert!(before.elapsed() <= crate::limits::GATHER_WITHIN + LINK_PING_EVERY);
}
