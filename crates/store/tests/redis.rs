//! The Redis store on private servers: the conformance suites, and bad times.

#![expect(clippy::unwrap_used, reason = "a test")]

mod redis {
    mod conforming;
    #[expect(dead_code, reason = "for tests to come")]
    mod server;
}
