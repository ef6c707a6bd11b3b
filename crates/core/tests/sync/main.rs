//! The sync session: a simulated network of replicas, and tests of single rules in it.
//!
//! The simulation is deterministic: time is virtual, a case is its seed, and a failure names it.

mod case;
mod chronicle;
mod convergence;
mod end;
mod network;
mod pen;
mod replica;
mod rng;
mod world;
