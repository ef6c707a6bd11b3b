//! What counts: entries and runs, the gate that verifies them, journals that keep them, and the
//! fold that counts their postings.

pub mod ack;
pub mod admission;
pub mod entry;
pub mod fold;
pub mod gate;
pub mod heads;
pub mod issuer;
pub mod journal;
pub mod journals;
pub mod page;
pub mod posting;
pub mod run;

pub use ack::{Ack, Level};
pub use admission::{Admission, Admitted};
pub use entry::{Draft, EntryContent, VerifiedEntry};
pub use fold::{Effect, Fold, Void};
pub use gate::{Reject, verify};
pub use heads::{Heads, Tip};
pub use journal::{Extended, JournalView};
pub use journals::Journals;
pub use posting::{EventKey, Kind, Posting};
pub use run::{KeptRun, Run, VerifiedRun};
