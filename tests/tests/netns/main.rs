//! Devices with an address of their own each, in network namespaces of Linux: what a network does to
//! them, with real sockets.
//!
//! Needs root, `ip` (iproute2) and `nft` (nftables), and fails without, saying so.

mod by_hand;
mod network;
mod outage;
mod people;
