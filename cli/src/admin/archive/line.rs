//! One line, and the item that it stands for.

use bytes::Bytes;
use edge_ledger_proto::admin as pb;
use edge_ledger_proto::admin::archive_item::Item;
use edge_ledger_proto::{identity, ledger};
use serde::{Deserialize, Serialize};

use super::Counts;

/// A line. Bytes are hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::admin) enum Line {
    /// The first one.
    Archive {
        format: u32,
        #[serde(with = "hex")]
        genesis: Vec<u8>,
        made_ms: i64,
    },
    /// Begins an identity.
    Identity {
        #[serde(with = "hex")]
        identity: Vec<u8>,
        #[serde(with = "hex")]
        store_epoch: Vec<u8>,
        block: Option<Block>,
        entries_max: Option<u64>,
    },
    /// A statement with its receipt.
    Statement {
        #[serde(with = "hex")]
        statement: Vec<u8>,
        #[serde(with = "hex")]
        receipt: Vec<u8>,
        #[serde(with = "hex")]
        certificate: Vec<u8>,
        #[serde(with = "hex")]
        certificate_signature: Vec<u8>,
        #[serde(with = "hex")]
        signature: Vec<u8>,
    },
    /// Entries that follow each other, with the signature of the last.
    Run {
        #[serde(with = "hex")]
        device: Vec<u8>,
        first_seq: u64,
        #[serde(with = "hex")]
        first_prev: Vec<u8>,
        formats: Vec<u32>,
        payloads: Vec<Payload>,
        #[serde(with = "hex")]
        signature: Vec<u8>,
    },
    /// Ends an identity.
    Whole {
        #[serde(with = "hex")]
        identity: Vec<u8>,
        log_position: u64,
        #[serde(with = "hex")]
        log_hash: Vec<u8>,
        tips: Vec<Tip>,
    },
    /// The last one.
    End {
        lines: u64,
        counts: Counts,
        sha256: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Block {
    reason: String,
    since_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::admin) struct Payload(#[serde(with = "hex")] Vec<u8>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Tip {
    #[serde(with = "hex")]
    device: Vec<u8>,
    seq: u64,
    #[serde(with = "hex")]
    hash: Vec<u8>,
}

impl Line {
    /// The line of an item; none of one that says nothing.
    pub(in crate::admin) fn of(item: pb::ArchiveItem) -> Option<Self> {
        Some(match item.item? {
            Item::Head(head) => Self::Archive {
                format: head.format,
                genesis: head.genesis.into(),
                made_ms: head.made_ms,
            },
            Item::Identity(begins) => Self::Identity {
                identity: begins.identity.into(),
                store_epoch: begins.store_epoch.into(),
                block: begins.block.map(|block| Block {
                    reason: block.reason,
                    since_ms: block.since_ms,
                }),
                entries_max: begins.entries_max,
            },
            Item::Statement(receipted) => {
                let receipt = receipted.receipt?;
                let certificate = receipt.certificate?;
                Self::Statement {
                    statement: receipted.statement.into(),
                    receipt: receipt.body.into(),
                    certificate: certificate.body.into(),
                    certificate_signature: certificate.signature.into(),
                    signature: receipt.signature.into(),
                }
            }
            Item::Run(run) => Self::Run {
                device: run.device.into(),
                first_seq: run.first_seq,
                first_prev: run.first_prev.into(),
                formats: run.formats,
                payloads: run
                    .payloads
                    .into_iter()
                    .map(|p| Payload(p.into()))
                    .collect(),
                signature: run.signature.into(),
            },
            Item::Whole(whole) => Self::Whole {
                identity: whole.identity.into(),
                log_position: whole.log_position,
                log_hash: whole.log_hash.into(),
                tips: whole.tips.into_iter().map(Tip::of).collect(),
            },
        })
    }

    /// The item of a line; none of the last one.
    pub(in crate::admin) fn into_item(self) -> Option<pb::ArchiveItem> {
        let item = match self {
            Self::Archive {
                format,
                genesis,
                made_ms,
            } => Item::Head(pb::ArchiveHead {
                format,
                genesis: genesis.into(),
                made_ms,
            }),
            Self::Identity {
                identity,
                store_epoch,
                block,
                entries_max,
            } => Item::Identity(pb::ArchiveIdentity {
                identity: identity.into(),
                store_epoch: store_epoch.into(),
                block: block.map(Block::told),
                entries_max,
            }),
            Self::Statement {
                statement,
                receipt,
                certificate,
                certificate_signature,
                signature,
            } => {
                let certificate = identity::ServiceKeyCertificate {
                    body: certificate.into(),
                    signature: certificate_signature.into(),
                };
                let receipt = identity::StatementReceipt {
                    body: receipt.into(),
                    certificate: Some(certificate),
                    signature: signature.into(),
                };
                Item::Statement(receipted(statement, receipt))
            }
            Self::Run {
                device,
                first_seq,
                first_prev,
                formats,
                payloads,
                signature,
            } => Item::Run(ledger::Run {
                device: device.into(),
                formats,
                first_seq,
                first_prev: first_prev.into(),
                payloads: payloads.into_iter().map(|p| Bytes::from(p.0)).collect(),
                signature: signature.into(),
            }),
            Self::Whole {
                identity,
                log_position,
                log_hash,
                tips,
            } => Item::Whole(pb::ArchiveWhole {
                identity: identity.into(),
                log_position,
                log_hash: log_hash.into(),
                tips: tips.into_iter().map(Tip::told).collect(),
            }),
            Self::End { .. } => return None,
        };
        Some(pb::ArchiveItem { item: Some(item) })
    }
}

fn receipted(
    statement: Vec<u8>,
    receipt: identity::StatementReceipt,
) -> identity::ReceiptedStatement {
    identity::ReceiptedStatement {
        statement: statement.into(),
        receipt: Some(receipt),
    }
}

impl Block {
    fn told(self) -> pb::Block {
        pb::Block {
            reason: self.reason,
            since_ms: self.since_ms,
        }
    }
}

impl Tip {
    fn of(tip: ledger::Tip) -> Self {
        Self {
            device: tip.device.into(),
            seq: tip.seq,
            hash: tip.hash.into(),
        }
    }

    fn told(self) -> ledger::Tip {
        ledger::Tip {
            device: self.device.into(),
            seq: self.seq,
            hash: self.hash.into(),
        }
    }
}
