//! How an edge-ledger service lives, whatever it serves.
//!
//! [`serve`] accepts connections and ends them, within [`limits`]; [`health`] says whether the
//! service takes work and [`reflection`] what it can be asked; [`tasks`] spawns what must not
//! outlive the service; [`admin`] answers probes and gives metrics; [`status`] says every refusal in one form; [`rates`] counts calls; [`audience`] knows under which
//! names the service is dialled; [`tls`] keeps its certificate and [`keys`] a deployment's keys;
//! [`clock`] tells the time and [`random`] draws nonces. [`run`] makes a service a process of its
//! own: [`config`] reads what an operator sets, [`logging`] says what happens, [`signals`] hears
//! when to end. Nothing here knows identities or ledgers.

pub mod admin;
pub mod audience;
pub mod clock;
pub mod config;
pub mod health;
pub mod keys;
pub mod limits;
pub mod logging;
pub mod random;
pub mod rates;
pub mod reflection;
pub mod run;
pub mod serve;
pub mod signals;
pub mod status;
pub mod tasks;
pub mod tls;
mod watched;

pub use admin::Admin;
pub use audience::Audiences;
pub use clock::{Clock, Hands};
pub use keys::{Keys, KeysError, KeysFolder, OperatorToken, Sealing, Signing};
pub use limits::Limits;
pub use rates::{Pace, Rate};
pub use serve::{Authority, Leaving, Listener, Peer, Serving};
pub use signals::Signals;
pub use status::{Reason, refusal};
pub use tasks::Tasks;
pub use tls::{Tls, TlsError, TlsFile, TlsFiles, Validity};
