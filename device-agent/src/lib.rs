//! The device agent that applications embed: one identity, one balance, online and offline.
