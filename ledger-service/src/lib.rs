//! Where ledgers meet: one `Sync` stream per device.
//!
//! The walk of an entry through this crate, one file per step: `rpc` takes the stream,
//! `session` runs the sans-IO session over it, `ledgers` admits and appends (one task per
//! identity), `acks` signs what was committed, and `fanout` carries the store's announcements
//! to the other sessions of the identity.
//!
//! [`Server::bind`] starts it; `process` makes it a program of its own.

mod acks;
mod close;
mod fanout;
mod ledgers;
mod limits;
mod measure;
mod process;
mod rpc;
mod server;
mod session;
mod streams;

pub use server::{BindError, Config, Server};
