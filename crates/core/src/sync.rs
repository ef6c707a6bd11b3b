//! How two replicas agree: one session, run by both ends of every stream, whatever carries it.
//!
//! A [`Session`] takes [`Input`]s and leaves [`Output`]s: the shell around it sends frames, reads
//! and writes the store, and tells the session what came of it. The session holds no entries and
//! no I/O; it knows what the peer has, what is unanswered, and what to ask for next.

mod exchange;
mod frame;
mod handshake;
mod session;

pub use frame::{AckParts, Frame, GoAwayReason, Outcome, Welcome};
pub use handshake::{Greeting, HandshakeError, Hello, HelloBody, NewGreeting, greet};
pub use session::{Close, Input, Output, Outputs, Session, Standing, WhoWeAre};
