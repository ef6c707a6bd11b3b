//! The Redis store on private servers: the conformance suites, and bad times.

#![expect(clippy::unwrap_used, reason = "a test")]

mod redis {
    mod conforming;
    mod connecting;
    mod cut_off;
    mod denied;
    mod ending;
    mod failing;
    mod health;
    mod hints;
    mod limited;
    mod load;
    mod loading;
    mod replicas;
    mod seven_two;
    mod syncing;
}
