//! The gRPC contract of edge-ledger: the types generated from `edgeledger/**/*.proto`, and
//! [`convert`], the one place that knows both them and the domain.

/// `edgeledger.identity.v1`: deployments, statements, sessions, links.
#[expect(missing_debug_implementations, unreachable_pub, unused_qualifications, clippy::all, reason = "generated")]
pub mod identity {
    tonic::include_proto!("edgeledger.identity.v1");
}
