//! How an edge-ledger service lives, whatever it serves.
//!
//! [`serve`] accepts connections and ends them, within [`limits`]; [`health`] says whether the
//! service takes work and [`reflection`] what it can be asked; [`tasks`] spawns what must not
//! outlive the service; [`status`] says every refusal in one form; [`audience`] knows under which
//! names the service is dialled; [`tls`] keeps its certificate; [`keys`] keeps a deployment's keys; [`clock`] tells the time and
//! [`random`] draws nonces. Nothing here knows identities or ledgers.

pub mod audience;
pub mod clock;
pub mod health;
pub mod keys;
pub mod limits;
pub mod random;
pub mod reflection;
pub mod serve;
pub mod status;
pub mod tasks;
pub mod tls;

pub use audience::Audiences;
pub use clock::{Clock, Hands};
pub use keys::{Keys, KeysError, KeysFolder};
pub use limits::Limits;
pub use serve::{Authority, Leaving, Listener, Peer, Serving};
pub use status::{Reason, refusal};
pub use tasks::Tasks;
pub use tls::{Tls, TlsError, TlsFiles};
