//! The encodings of signed bytes, as in `proto/edgeledger/*/v1/*.proto`. They are declared here
//! once more because core knows nobody; a test of the proto crate holds the two together.

use bytes::Bytes;
use prost::{Enumeration, Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Genesis {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) service_root: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) next_service_root_hash: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(crate) unit: String,
    #[prost(uint32, tag = "4")]
    pub(crate) decimals: u32,
    #[prost(oneof = "CreditPolicy", tags = "5, 6")]
    pub(crate) credit_policy: Option<CreditPolicy>,
    #[prost(bytes = "vec", tag = "7")]
    pub(crate) random: Vec<u8>,
    #[prost(uint64, tag = "8")]
    pub(crate) probation_ms: u64,
    #[prost(uint64, tag = "9")]
    pub(crate) veto_ms: u64,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum CreditPolicy {
    #[prost(message, tag = "5")]
    SelfReported(SelfReported),
    #[prost(message, tag = "6")]
    Issued(Issued),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SelfReported {
    #[prost(uint64, tag = "1")]
    pub(crate) posting_cap: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) journal_cap: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Issued {}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum ServiceRole {
    Unspecified = 0,
    Service = 1,
    Issuer = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ServiceKeyBody {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) public_key: Vec<u8>,
    #[prost(enumeration = "ServiceRole", tag = "2")]
    pub(crate) role: i32,
    #[prost(uint64, tag = "3")]
    pub(crate) serial: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CertificateBody {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) identity: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) public_key: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(crate) name: String,
    #[prost(string, tag = "4")]
    pub(crate) platform: String,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) replaces: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Certificate {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) body: Bytes,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SignedTip {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) device: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(crate) seq: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Incept {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) next_root_hash: Vec<u8>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) genesis: Bytes,
    #[prost(message, optional, tag = "3")]
    pub(crate) certificate: Option<Certificate>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AddDevice {
    #[prost(message, optional, tag = "1")]
    pub(crate) certificate: Option<Certificate>,
    #[prost(bool, tag = "2")]
    pub(crate) admin: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum RevokeReason {
    Unspecified = 0,
    Lost = 1,
    Compromised = 2,
    Retired = 3,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Revoke {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) device: Vec<u8>,
    #[prost(enumeration = "RevokeReason", tag = "2")]
    pub(crate) reason: i32,
    #[prost(message, repeated, tag = "3")]
    pub(crate) tips: Vec<SignedTip>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Replace {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) old: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub(crate) certificate: Option<Certificate>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) tips: Vec<SignedTip>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Rename {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) device: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum RotateReason {
    Unspecified = 0,
    Routine = 1,
    Compromised = 2,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RotateRoot {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) root: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) next_root_hash: Vec<u8>,
    #[prost(enumeration = "RotateReason", tag = "3")]
    pub(crate) reason: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SetRecovery {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) public_key: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(crate) veto_ms: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Recover {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) root: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) next_root_hash: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) branch: Vec<ReceiptedStatement>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Veto {
    #[prost(uint64, tag = "1")]
    pub(crate) position: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EnrolmentKey {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) public_key: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(crate) uses: u32,
    #[prost(int64, tag = "3")]
    pub(crate) expires_ms: i64,
    #[prost(string, tag = "4")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RevokeEnrolment {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) public_key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StatementBody {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) identity: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(crate) position: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) expected_head: Vec<u8>,
    #[prost(oneof = "Act", tags = "4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14")]
    pub(crate) act: Option<Act>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Act {
    #[prost(message, tag = "4")]
    Incept(Incept),
    #[prost(message, tag = "5")]
    AddDevice(AddDevice),
    #[prost(message, tag = "6")]
    Revoke(Revoke),
    #[prost(message, tag = "7")]
    Replace(Replace),
    #[prost(message, tag = "8")]
    Rename(Rename),
    #[prost(message, tag = "9")]
    RotateRoot(RotateRoot),
    #[prost(message, tag = "10")]
    SetRecovery(SetRecovery),
    #[prost(message, tag = "11")]
    Recover(Recover),
    #[prost(message, tag = "12")]
    Veto(Veto),
    #[prost(message, tag = "13")]
    EnrolmentKey(EnrolmentKey),
    #[prost(message, tag = "14")]
    RevokeEnrolment(RevokeEnrolment),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum SignerKind {
    Unspecified = 0,
    Root = 1,
    Device = 2,
    Enrolment = 3,
    Recovery = 4,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StatementSignature {
    #[prost(enumeration = "SignerKind", tag = "1")]
    pub(crate) kind: i32,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Statement {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) body: Bytes,
    #[prost(message, repeated, tag = "2")]
    pub(crate) signatures: Vec<StatementSignature>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ServiceKeyCertificate {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) body: Bytes,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StatementReceipt {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) body: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(crate) certificate: Option<ServiceKeyCertificate>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) signature: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReceiptedStatement {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) statement: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(crate) receipt: Option<StatementReceipt>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Evidence {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) genesis: Bytes,
    #[prost(message, repeated, tag = "2")]
    pub(crate) receipts: Vec<StatementReceipt>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StatementReceiptBody {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) identity: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(crate) position: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) log_hash: Vec<u8>,
    #[prost(int64, tag = "4")]
    pub(crate) service_time_ms: i64,
    #[prost(message, repeated, tag = "5")]
    pub(crate) tips: Vec<SignedTip>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum ChallengePurpose {
    Unspecified = 0,
    Identity = 1,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChallengeBody {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) nonce: Vec<u8>,
    #[prost(enumeration = "ChallengePurpose", tag = "2")]
    pub(crate) purpose: i32,
    #[prost(string, tag = "3")]
    pub(crate) audience: String,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) identity: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) device: Vec<u8>,
    #[prost(int64, tag = "6")]
    pub(crate) expires_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Posting {
    #[prost(oneof = "Effect", tags = "1, 2, 3")]
    pub(crate) effect: Option<Effect>,
    #[prost(bytes = "bytes", tag = "9")]
    pub(crate) event_key: Bytes,
    #[prost(string, tag = "10")]
    pub(crate) memo: String,
    #[prost(bytes = "bytes", tag = "11")]
    pub(crate) issuer_proof: Bytes,
}

#[derive(Clone, Copy, PartialEq, Oneof)]
pub(crate) enum Effect {
    #[prost(uint64, tag = "1")]
    Credit(u64),
    #[prost(uint64, tag = "2")]
    Debit(u64),
    #[prost(uint64, tag = "3")]
    Refund(u64),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EntryPayload {
    #[prost(sint64, tag = "1")]
    pub(crate) wall_ms: i64,
    #[prost(message, repeated, tag = "2")]
    pub(crate) postings: Vec<Posting>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct IssuerProofBody {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) identity: Vec<u8>,
    #[prost(uint64, tag = "2")]
    pub(crate) amount: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) event_key: Bytes,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) beneficiary: Vec<u8>,
    #[prost(bool, tag = "5")]
    pub(crate) refund: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct IssuerProof {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) issuer: Bytes,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) issuer_signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) beneficiary: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GreetingBody {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) nonce: Vec<u8>,
    #[prost(string, tag = "2")]
    pub(crate) audience: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) ledger_id: Vec<u8>,
    #[prost(uint32, tag = "4")]
    pub(crate) version: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct HelloBody {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) identity: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) public_key: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub(crate) log_position: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) log_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) digest: Vec<u8>,
    #[prost(uint32, tag = "6")]
    pub(crate) version: u32,
    #[prost(bytes = "vec", tag = "7")]
    pub(crate) nonce: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WelcomeBody {
    #[prost(uint64, tag = "1")]
    pub(crate) log_position: u64,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) log_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) digest: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) store_epoch: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PeerGreetingBody {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) nonce: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) ledger_id: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub(crate) version: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
pub(crate) enum SignalKind {
    Unspecified = 0,
    Offer = 1,
    Answer = 2,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SignalBody {
    #[prost(enumeration = "SignalKind", tag = "1")]
    pub(crate) kind: i32,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) identity: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub(crate) to: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) nonce: Vec<u8>,
    #[prost(bytes = "vec", tag = "6")]
    pub(crate) connection: Vec<u8>,
    #[prost(bytes = "vec", tag = "7")]
    pub(crate) fingerprint: Vec<u8>,
    #[prost(string, tag = "8")]
    pub(crate) sdp: String,
    #[prost(int64, tag = "9")]
    pub(crate) made_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Signal {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) body: Bytes,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) signature: Vec<u8>,
}
