//! The bounds in effect: those of the process, and those of the formats, which nobody can change.

use edge_ledger_chassis::limits::Bound;
use edge_ledger_core::limits as core;
use edge_ledger_proto::admin as wire;

use crate::server::About;

pub(crate) fn list(about: &About) -> wire::ListLimitsResponse {
    let bounds = about.bounds.iter().cloned().chain(of_formats());
    let limits = bounds.map(|bound| wire::Limit {
        name: bound.name.to_owned(),
        value: bound.value,
        meaning: bound.meaning.to_owned(),
    });
    wire::ListLimitsResponse {
        limits: limits.collect(),
    }
}

fn of_formats() -> impl Iterator<Item = Bound> {
    [
        (
            "entry.postings",
            core::ENTRY_POSTINGS_MAX,
            "postings of an entry",
        ),
        (
            "entry.payload_bytes",
            core::ENTRY_PAYLOAD_BYTES_MAX,
            "bytes of an entry",
        ),
        ("frame.bytes", core::FRAME_BYTES_MAX, "bytes of a frame"),
        (
            "journal.tips",
            core::JOURNAL_TIPS_MAX,
            "branches of a journal",
        ),
        (
            "statement.bytes",
            core::STATEMENT_BYTES_MAX,
            "bytes of a statement",
        ),
    ]
    .into_iter()
    .map(|(name, value, meaning)| Bound {
        name,
        value: value.to_string(),
        meaning,
    })
}
