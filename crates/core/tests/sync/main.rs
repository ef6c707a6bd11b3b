//! The sync session: a simulated network of replicas, and tests of single rules in it.
//!
//! The simulation is deterministic: time is virtual, a case is its seed, and a failure names it.

mod bounds;
mod case;
mod channels;
mod chronicle;
mod convergence;
mod end;
mod entries;
mod flow;
mod flush;
mod hand;
mod leaving;
mod losses;
mod meeting;
mod meeting_logs;
mod network;
mod nonsense;
mod opening;
mod outage;
mod pen;
mod relayed;
mod replica;
mod rng;
mod statements;
mod world;
