//! The gRPC contract of edge-ledger: the types generated from `edgeledger/**/*.proto`, and
//! [`convert`], the one place that knows both them and the domain.

pub mod convert;

pub use convert::{ConvertError, Problem};
/// `edgeledger.admin.v1`: what operators ask of services.
pub use edgeledger::admin::v1 as admin;
/// `edgeledger.identity.v1`: deployments, statements, sessions, links.
pub use edgeledger::identity::v1 as identity;
/// `edgeledger.ledger.v1`: journals, and the frames that sync them.
pub use edgeledger::ledger::v1 as ledger;
/// `edgeledger.signal.v1`: how devices find a channel to each other.
pub use edgeledger::signal::v1 as signal;

/// The whole contract as an encoded `google.protobuf.FileDescriptorSet`.
pub const DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("edgeledger");

/// The generated code, nested as its references between packages need it.
#[expect(
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes,
    reason = "generated"
)]
mod edgeledger {
    pub mod admin {
        pub mod v1 {
            tonic::include_proto!("edgeledger.admin.v1");
        }
    }
    pub mod identity {
        pub mod v1 {
            tonic::include_proto!("edgeledger.identity.v1");
        }
    }
    pub mod ledger {
        pub mod v1 {
            tonic::include_proto!("edgeledger.ledger.v1");
        }
    }
    pub mod signal {
        pub mod v1 {
            tonic::include_proto!("edgeledger.signal.v1");
        }
    }
}
