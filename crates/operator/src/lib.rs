//! What whoever runs the services may ask of them, on a listener of its own.
//!
//! [`Server::bind`] answers `edgeledger.admin.v1.AdminService` beside a service, out of the same
//! stores and keys. Every call shows the operator's token, which `gate` looks at before anything
//! else; then `rpc` asks one room: `health`, `keys`, `bounds`, `identities`, and `export` and `import`,
//! by which what is kept moves from one store to another.
//!
//! It can block and bound an identity, and look at what is kept of it. It cannot add a device, an
//! entry or a statement: those need keys that no service has.

mod bounds;
mod export;
mod gate;
mod health;
mod identities;
mod import;
mod keys;
mod limits;
mod place;
mod rpc;
mod server;

pub use server::{About, BindError, Config, Server};
