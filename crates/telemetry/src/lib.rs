//! What services and devices tell of themselves, through OpenTelemetry.
//!
//! [`names`] has every name of a metric and attribute; [`meters()`] the instruments; [`context`]
//! what joins the spans of one act across processes; [`rpc`] watches calls, on both ends, and
//! [`store`] the operations of a store. All of this speaks to the API alone: without a provider it
//! costs next to nothing, and an application that embeds an agent brings its own. Programs take
//! providers and exporters from `export`, a feature. [`version`] says what runs.

pub mod context;
#[cfg(feature = "export")]
pub mod export;
pub mod meters;
pub mod names;
pub mod rpc;
mod stopwatch;
pub mod store;
pub mod version;

pub use meters::{Meters, meters};
pub use stopwatch::Stopwatch;
