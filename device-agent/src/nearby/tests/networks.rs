//! On an interface that is not loopback: the test runs itself again in a network namespace of its
//! own, which has nothing but one. Both devices are in it, so what they say comes back to them.

use std::process::Command;

use super::*;

/// Set where the test runs inside.
const INSIDE: &str = "EDGE_LEDGER_TEST_INSIDE";

/// A cable whose other end nobody holds, with addresses that are good at once.
const LINK_LOCAL: &str = "ip link set lo up && echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad \
    && ip link add lan type veth peer name wire && ip link set wire up && ip link set lan up";
const BOTH: &str = "ip link set lo up && echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad \
    && ip link add lan type veth peer name wire && ip link set wire up && ip link set lan up \
    && ip addr add 192.0.2.1/24 dev lan && ip addr add fd00:7::1/64 dev lan";
/// Nothing but an address of loopback.
const NOTHING: &str = "ip link set lo up";

fn device_on_networks(rendezvous: [u8; 32], number: u8) -> (Nearby, Heard) {
    let config = NearbyConfig {
        rendezvous,
        device: device(number),
        loopback_only: false,
    };
    let (nearby, heard) = Nearby::start(config).expect("it starts");
    nearby.beacon([number; 32]);
    (nearby, heard)
}

/// Runs a test of this file in a namespace; `true` when this is that run.
fn inside(network: &str, test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let own = std::env::current_exe().expect("this program");
    let run = format!("{network} && exec \"$0\" --exact nearby::tests::networks::{test}");
    // Root needs no namespace of users around it, and may not be allowed one.
    let status = Command::new("sh")
        .args([
            "-c",
            r#"[ "$(id -u)" = 0 ] && exec unshare -n "$@" || exec unshare -rn "$@""#,
        ])
        .args(["sh", "sh", "-c", &run])
        .arg(own)
        .env(INSIDE, "1")
        .status()
        .expect("a shell");
    assert!(
        status.success(),
        "this test makes a network of its own with unshare and ip (util-linux and iproute2), and \
         must be run by root, or by a user who may make namespaces"
    );
    false
}

async fn find_each_other() {
    let rendezvous = rand::random();
    let (one, mut of_one) = device_on_networks(rendezvous, 1);
    let (other, mut of_other) = device_on_networks(rendezvous, 2);
    tokio::join!(hear(&mut of_one, 2), hear(&mut of_other, 1));
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn by_ipv4_and_ipv6() {
    if inside(BOTH, "by_ipv4_and_ipv6") {
        find_each_other().await;
    }
}

#[tokio::test]
async fn by_link_local_addresses_alone() {
    if inside(LINK_LOCAL, "by_link_local_addresses_alone") {
        find_each_other().await;
    }
}

/// It starts where there is no network, and finds others when there is one.
#[tokio::test]
async fn once_there_is_a_network() {
    if !inside(NOTHING, "once_there_is_a_network") {
        return;
    }
    let rendezvous = rand::random();
    let (one, mut of_one) = device_on_networks(rendezvous, 1);
    let (other, mut of_other) = device_on_networks(rendezvous, 2);
    let status = Command::new("sh").args(["-c", BOTH]).status();
    assert!(status.expect("a shell").success());
    tokio::join!(hear(&mut of_one, 2), hear(&mut of_other, 1));
    one.stop().await;
    other.stop().await;
}
