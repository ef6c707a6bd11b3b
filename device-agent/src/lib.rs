//! The device agent that applications embed.

mod agent;
mod book;
mod clock;
mod engine;
mod enrol;
mod error;
mod event;
mod identity_client;
mod limits;
mod link;
mod status;
mod stream;
mod vault;

pub use agent::{Agent, Details, Joining, LinkSession, Options, within};
pub use engine::Recorded;
pub use enrol::{Enrolled, NewDevice, Trust, discover, init, join};
pub use error::{AgentError, HomeError, Refusal};
pub use event::{Event, Events};
pub use link::{Invitation, LinkCode};
pub use status::{Balance, DeviceInfo, HistoryItem, State, Status};

pub use edge_ledger_core::identity::{DeviceState, Point, RevokeReason};
pub use edge_ledger_core::ids::{DeviceId, IdentityId, LedgerId};
pub use edge_ledger_core::ledger::posting::{EventKey, PostingError};
pub use edge_ledger_core::ledger::{Effect, Kind, Level};
