//! How two replicas agree.
