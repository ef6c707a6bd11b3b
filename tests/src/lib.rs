//! What the end-to-end tests stand on: a deployment with its store and services, identities made
//! by hand, and a device that speaks the protocol frame by frame, so that it can also lie.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test waits for one frame among many"
)]

pub mod balancer;
pub mod caller;
pub mod cluster;
pub mod flood;
pub mod identity;
pub mod load;
pub mod process;
pub mod raw;
pub mod replicas;
pub mod revocations;
pub mod service;

pub use balancer::Balancer;
pub use caller::Caller;
pub use cluster::Cluster;
pub use device_agent::testing::{Deployment, Pair};
pub use identity::{Identity, TestDevice};
pub use load::Load;
pub use process::Process;
pub use raw::RawStream;
pub use replicas::Replicas;
pub use service::ServiceProcess;

use tonic_types::StatusExt as _;

/// The code and reason of a refusal.
pub fn refusal(status: &tonic::Status) -> (tonic::Code, String) {
    let reason = status
        .get_details_error_info()
        .map_or_else(String::new, |info| info.reason);
    (status.code(), reason)
}
