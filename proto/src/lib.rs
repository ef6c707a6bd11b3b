//! The gRPC contract: generated types, and the one place that converts them to the domain.
