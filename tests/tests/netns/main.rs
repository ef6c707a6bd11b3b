//! Devices with an address of their own each, in network namespaces of Linux: what a network does to
//! them, with real sockets.
//!
//! Needs root, `ip` (iproute2) and `nft` (nftables), and fails without, saying so.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "they tell what they measured")]

mod by_hand;
mod network;
mod outage;
mod people;
