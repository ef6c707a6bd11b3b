//! The socket of a running agent: commands go in, what they would have printed comes out.
//!
//! A command is carried out by the very function that carries it out without an agent, and only
//! where it prints differs; so both ways cannot come to differ in what they say.

pub(super) mod answerer;
pub(super) mod asker;
mod door;
mod wire;
