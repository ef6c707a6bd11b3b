//! How two replicas agree: one session, run by both ends of every stream, whatever carries it.
//!
//! A [`Session`] takes [`Input`]s and leaves [`Output`]s: the shell around it sends frames, reads
//! and writes the store, and tells the session what came of it. The session holds no entries and
//! no I/O; it knows what the peer has, what is unanswered, and what to ask for next.
//!
//! What the shell owes the session:
//!
//! - Frames go out in order, and come in as they arrive. After [`Output::Close`] nothing more is
//!   sent but what was put out before it, and nothing that still arrives has an effect.
//! - Every question ([`Output::Read`] and its like) is answered, in any order but for
//!   [`Input::Heads`], which come in the order of asking. No question is asked twice at once.
//! - Nothing that was read under a log is delivered before the [`Input::LogChanged`] that tells
//!   of that log; the same holds for [`Input::Committed`].
//! - [`Input::Committed`] is not told to the session that brought the entries.
//! - A stream that breaks takes its session along: the next one starts with a new session, which
//!   finds out what is lacking.

mod exchange;
mod frame;
mod handshake;
mod identifying;
mod meeting;
mod peer_handshake;
mod session;
mod shell;

pub use frame::{AckParts, Frame, GoAwayReason, Outcome, RelayedAck};
pub use handshake::{
    Greeting, HandshakeError, Hello, HelloBody, NewGreeting, Welcome, WelcomeBody, greet,
};
pub use peer_handshake::{
    Fingerprints, Greetings, PeerChannel, PeerGreeting, PeerWelcome, check_peer_hello, say_hello,
};
pub use session::Session;
pub use shell::{Close, Input, Output, Outputs, Standing, WhoWeAre};
