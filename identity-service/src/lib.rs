//! Who may speak: challenges and sessions, identity logs, and the relay that links new devices.
//!
//! [`Server::bind`] starts the service, and `process` makes it a program of its own. A call enters at `rpc`, which reads it into the domain's
//! types; `authn` says who calls; `log` is the only place that makes new positions of identity
//! logs, by compare-and-append in the store; `registration` says who may have one; `link` relays sealed messages between two devices; `signal` passes on what devices that are online say to each other.
//! What is refused, and how, is in `refusals`.
//!
//! The service keeps nothing that matters in memory: any replica can answer any call.

mod announcements;
mod authn;
mod challenge;
mod devices;
mod limits;
mod link;
mod log;
mod process;
mod rates;
mod refusals;
mod registration;
mod rpc;
mod server;
mod sessions;
mod signal;
mod switchboard;
mod watch;

pub use limits::Limits;
pub use process::IdentitySection;
pub use registration::{Invites, Registration};
pub use server::{BindError, Config, Server};
pub use signal::{IceConfig, TurnSecret};
