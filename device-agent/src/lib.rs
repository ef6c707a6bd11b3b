//! The device agent: one identity, one balance, on every device of a person, online and offline.
//!
//! # A device of its own
//!
//! A device lives in a home folder. The first one makes the identity; it needs the address of the
//! identity service, which tells everything else. `edge-ledger up` prints address and ledger id:
//!
//! ```no_run
//! # async fn example() -> Result<(), device_agent::AgentError> {
//! use device_agent::{Agent, NewDevice, Options, Security, Trust};
//!
//! let phone = NewDevice {
//!     home: "phone".into(),
//!     identity_urls: "http://127.0.0.1:7410".into(),
//!     ledger_urls: None,
//!     name: "Ana's phone".to_owned(),
//!     security: Security::default(),
//! };
//! let ledger_id = "00112233445566778899aabbccddeeff".parse().expect("32 hex digits");
//! device_agent::init(&phone, Trust::Ledger(ledger_id)).await?;
//! let phone = Agent::open(&phone.home, Options::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Services beyond this machine are dialled as `https://`. Their certificates are checked with the
//! authorities of the system, and with those of a PEM file that [`Security`] names, if it does;
//! there is also the certificate that the device shows, where services let in nobody without one,
//! and the word that accepts an `http://` beyond this machine.
//!
//! A service may have several [`Addresses`]. The device stays with the one that works; when it fails,
//! the next is tried at once, and only when none works does the device wait between attempts.
//! [`Status`] shows each of them with what came of it last.
//!
//! # Earn and spend
//!
//! Every call returns as soon as the posting is durable on this device, online or not; from there
//! on the agent brings it to the service and to the other devices by itself. Amounts are in minor
//! units. Give your own event key (an order number, say) and try again as often as you like: a key
//! counts once.
//!
//! ```no_run
//! # async fn example(phone: device_agent::Agent) -> Result<(), device_agent::AgentError> {
//! use std::time::Duration;
//! use device_agent::{AgentError, Details, Level, within};
//!
//! phone.earn(100, Details { event_key: Some("shift-42".parse()?), ..Details::default() }).await?;
//! match phone.spend(250, Details::default()).await {
//!     Err(AgentError::NoFunds { available, .. }) => println!("only {available} left"),
//!     other => println!("{:?}", other?),
//! }
//! // Where goods change hands, wait until the service keeps it, too.
//! within(Duration::from_secs(5), phone.wait_acked(Level::Durable)).await?;
//! println!("{}", phone.balance().balance);
//! # Ok(())
//! # }
//! ```
//!
//! # A second device
//!
//! A linked device opens a session and shows its link (as a QR code, say) or its code; the new
//! device joins with it and shows a number, which a person types at the linked one: so nobody who
//! saw the code can slip in between. Both must be online for that.
//!
//! ```no_run
//! # async fn example(phone: device_agent::Agent) -> Result<(), device_agent::AgentError> {
//! use device_agent::Decided;
//!
//! let session = phone.link().await?;
//! println!("scan {} or type {}", session.link(), session.code());
//! let mut request = session.request(false).await?;
//! println!("{} asks to join", request.joining().name);
//! loop {
//!     let number = String::new(); // What the person types.
//!     match request.approve(&number).await? {
//!         Decided::Linked(joined) => break println!("linked {}", joined.name),
//!         Decided::WrongNumber(again, _) => request = again,
//!     }
//! }
//! # Ok(())
//! # }
//! # async fn other(laptop: device_agent::NewDevice, typed: &str) -> Result<(), device_agent::AgentError> {
//! // On the new device:
//! let show = |asks: &device_agent::Confirmation| println!("type {} there", asks.number());
//! device_agent::join(&laptop, &typed.parse()?, device_agent::Trust::FirstUse, show).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Machines without a person
//!
//! An admin device lets a token add a number of devices for some time. The token is a file with a
//! private key: bring it to the machines as you bring passwords to them.
//!
//! ```no_run
//! # async fn example(phone: device_agent::Agent) -> Result<(), device_agent::AgentError> {
//! use std::path::Path;
//! use std::time::Duration;
//! use device_agent::{Enrolment, EnrolmentToken};
//!
//! let token = phone.enrolment_token();
//! // Nothing is lost if this fails: no service knows the token yet.
//! token.write(Path::new("kiosks.token"))?;
//! let life = Duration::from_secs(86_400);
//! let kiosks = Enrolment { name: "kiosks".to_owned(), uses: 5, life };
//! phone.open_enrolment(&token, &kiosks).await?;
//! # Ok(())
//! # }
//! # async fn other(kiosk: device_agent::NewDevice) -> Result<(), device_agent::AgentError> {
//! # use device_agent::EnrolmentToken;
//! # use std::path::Path;
//! // On each machine:
//! let token = EnrolmentToken::read(Path::new("kiosks.token"))?;
//! device_agent::join_by_token(&kiosk, &token).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What happens meanwhile
//!
//! [`Agent::status`] is everything at one moment, [`Agent::events`] everything as it happens.
//! [`Agent::sync`] returns when this device and the service have told each other all that they
//! had at the time of the call.
//!
//! ```no_run
//! # async fn example(phone: device_agent::Agent) -> Result<(), device_agent::AgentError> {
//! use device_agent::Event;
//!
//! let mut events = phone.events();
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::EntriesKept { balance, .. } => println!("balance {balance}"),
//!         Event::SyncFailed { why, permanent: true } => println!("a person is needed: {why}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A lost device is cut off by [`Agent::revoke`] on another one. What it had acked stays; nothing
//! that it signs afterwards counts, anywhere. A device that is no longer used ends itself with
//! [`Agent::leave`].
//!
//! # When all devices are lost
//!
//! The first device holds the identity's root keys. [`back_up`] reads them, [`backup::seal`] makes
//! a file of them, and [`restore`] makes a new device of the same identity out of that file.
//!
//! ```no_run
//! # async fn example(home: &std::path::Path, new: device_agent::NewDevice) -> Result<(), device_agent::AgentError> {
//! use device_agent::{Others, Trust, backup};
//!
//! let file = backup::seal(&device_agent::back_up(home)?, "a long password")?;
//! // Later, with nothing but the file and the password:
//! let (backup, _) = backup::open(&file, "a long password")?;
//! device_agent::restore(&new, &backup, Trust::FirstUse, Others::Stay).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Without a backup, 24 words on paper do the same: [`Agent::set_recovery`] sets a recovery key on
//! the device that holds the root keys, and [`recover`] brings the identity back on a new device. It
//! waits for a veto time first, in which any admin device can stop it with [`Agent::veto`].
//!
//! `examples/two_devices` is the whole walk as a program that runs by itself. Tests of an
//! application get both services in their own process from the feature `testing`.
//!
//! # Inside
//!
//! `agent` (calls of the application) → `engine` (the one task) → `book` (outbox, entries, fold,
//! store) → the session of `edge_ledger_core::sync` → `stream` (gRPC) or `webrtc` (to another
//! device). Nothing goes back up but events and snapshots.

mod addresses;
mod agent;
pub mod backup;
mod book;
mod clock;
mod devices;
mod endpoints;
mod engine;
mod enrol;
mod enrolment;
mod error;
mod event;
mod health;
mod history;
mod identity_client;
mod identity_services;
mod limits;
mod link;
mod nearby;
mod others;
mod peering;
mod pikey;
pub mod probe;
mod recover;
mod restore;
mod saved_ack;
mod security;
mod signalling;
mod statement;
mod status;
mod stream;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;
mod vault;
mod webrtc;
mod words;

pub use addresses::{Addresses, AddressesError};
pub use agent::{
    Agent, Decided, Details, JoinRequest, Joining, LinkSession, Options, PeerLinks,
    PendingRecovery, RecoveryKeyInfo, RecoveryStatus, within,
};
pub use devices::AddedBy;
pub use endpoints::{Endpoint, Outcome};
pub use engine::Recorded;
pub use enrol::{Enrolled, NewDevice, Trust, discover, init, init_invited, join, rejoin};
pub use enrolment::{Enrolment, EnrolmentInfo, EnrolmentToken, TokenError, join_by_token};
pub use error::{AgentError, HomeError, Refusal, RootError};
pub use event::{Event, Events, KeyChange};
pub use link::{Confirmation, Invitation};
pub use others::Others;
pub use peering::{PeerCode, PeerCodeError};
pub use pikey::init_from_backup;
pub use recover::{Begun, Recovered, recover, recovery_begun, recovery_ended};
pub use restore::{
    Entered, Proved, back_up, back_up_proved, prove_backup, restore, take_off_root_keys,
    was_told_of_revocation, write_backup,
};
pub use security::{ClientFiles, Security, is_loopback};
pub use status::{Balance, DeviceInfo, ForkedLog, HistoryItem, Path, PeerStatus, State, Status};
pub use tls::TlsProblem;
pub use webrtc::{CandidateKind, PathEnd};
pub use words::{RECOVERY_WORDS, RecoveryWords, WordsError};

pub use edge_ledger_core::identity::{DeviceState, Genesis, Point, RevokeReason, RotateReason};
pub use edge_ledger_core::ids::{DeviceId, IdentityId, LedgerId};
pub use edge_ledger_core::ledger::posting::{EventKey, PostingError};
pub use edge_ledger_core::ledger::{Effect, Kind, Level};
