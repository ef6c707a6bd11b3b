//! Every frame survives the way wire → bytes → wire → domain → wire, and what is malformed is
//! refused by the name of its field.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use bytes::Bytes;
use edge_ledger_core::sync::Frame;
use edge_ledger_proto::identity::{ReceiptedStatement, ServiceKeyCertificate, StatementReceipt};
use edge_ledger_proto::ledger::frame::Message;
use edge_ledger_proto::{Problem, ledger};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

fn exactly(len: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), len).prop_map(Bytes::from)
}

fn blob() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn certificate() -> impl Strategy<Value = ServiceKeyCertificate> {
    (blob(), exactly(64)).prop_map(|(body, signature)| ServiceKeyCertificate { body, signature })
}

fn receipted() -> impl Strategy<Value = ReceiptedStatement> {
    (blob(), blob(), certificate(), exactly(64)).prop_map(
        |(statement, body, certificate, signature)| ReceiptedStatement {
            statement,
            receipt: Some(StatementReceipt {
                body,
                certificate: Some(certificate),
                signature,
            }),
        },
    )
}

fn run() -> impl Strategy<Value = ledger::Run> {
    let head = (exactly(16), any::<u64>(), exactly(32));
    let entries = vec((any::<u16>(), blob()), 0..4);
    (head, entries, exactly(64)).prop_map(
        |((device, first_seq, first_prev), entries, signature)| ledger::Run {
            device,
            formats: entries.iter().map(|(format, _)| (*format).into()).collect(),
            first_seq,
            first_prev,
            payloads: entries.into_iter().map(|(_, payload)| payload).collect(),
            signature,
        },
    )
}

fn tip() -> impl Strategy<Value = ledger::Tip> {
    (exactly(16), 1_u64.., exactly(32)).prop_map(|(device, seq, hash)| ledger::Tip {
        device,
        seq,
        hash,
    })
}

fn ack() -> impl Strategy<Value = ledger::Ack> {
    let numbers = (any::<u64>(), 1..4_i32, any::<i64>(), any::<u64>());
    (tip(), numbers, exactly(64)).prop_map(
        |(tip, (log_position, level, service_time_ms, key_serial), signature)| ledger::Ack {
            device: tip.device,
            seq: tip.seq,
            hash: tip.hash,
            log_position,
            level,
            service_time_ms,
            key_serial,
            signature,
        },
    )
}

fn run_taken() -> impl Strategy<Value = ledger::RunTaken> {
    prop_oneof![
        (1..3_i32).prop_map(|verdict| ledger::RunTaken { verdict, reason: 0 }),
        (1..11_i32).prop_map(|reason| ledger::RunTaken { verdict: 3, reason }),
    ]
}

fn opening() -> impl Strategy<Value = Message> {
    prop_oneof![
        (blob(), certificate(), exactly(64)).prop_map(|(body, certificate, signature)| {
            Message::Greeting(ledger::Greeting {
                body,
                certificate: Some(certificate),
                signature,
            })
        }),
        (blob(), exactly(64))
            .prop_map(|(body, proof)| Message::Hello(ledger::Hello { body, proof })),
        (blob(), exactly(64)).prop_map(|(body, signature)| {
            Message::Welcome(ledger::Welcome { body, signature })
        }),
        any::<u64>()
            .prop_map(|after_position| Message::LogWanted(ledger::LogWanted { after_position })),
        vec(receipted(), 0..4)
            .prop_map(|statements| Message::Statements(ledger::Statements { statements })),
        (1..4_i32, any::<u64>()).prop_map(|(reason, retry_after_ms)| {
            Message::GoAway(ledger::GoAway {
                reason,
                retry_after_ms,
            })
        }),
    ]
}

fn exchange() -> impl Strategy<Value = Message> {
    prop_oneof![
        vec(tip(), 0..6).prop_map(|mut tips| {
            tips.sort_by(|a, b| (&a.device, a.seq, &a.hash).cmp(&(&b.device, b.seq, &b.hash)));
            tips.dedup();
            Message::Heads(ledger::Heads { tips })
        }),
        (any::<u64>(), vec(run(), 0..4))
            .prop_map(|(frame_id, runs)| Message::Runs(ledger::Runs { frame_id, runs })),
        (any::<u64>(), vec(run_taken(), 0..6))
            .prop_map(|(frame_id, runs)| Message::Taken(ledger::Taken { frame_id, runs })),
        vec(ack(), 0..4).prop_map(|acks| Message::Acks(ledger::Acks { acks })),
        vec(tip(), 0..6).prop_map(|points| Message::Locator(ledger::Locator { points })),
        (any::<u64>(), exactly(32))
            .prop_map(|(ping_id, digest)| Message::Ping(ledger::Ping { ping_id, digest })),
        (any::<u64>(), exactly(32))
            .prop_map(|(ping_id, digest)| Message::Pong(ledger::Pong { ping_id, digest })),
    ]
}

fn relayed_ack() -> impl Strategy<Value = ledger::RelayedAck> {
    (ack(), exactly(16), certificate()).prop_map(|(ack, store_epoch, certificate)| {
        ledger::RelayedAck {
            ack: Some(ack),
            store_epoch,
            certificate: Some(certificate),
        }
    })
}

fn between_devices() -> impl Strategy<Value = Message> {
    prop_oneof![
        blob().prop_map(|body| Message::PeerGreeting(ledger::PeerGreeting { body })),
        (blob(), exactly(64))
            .prop_map(|(body, proof)| Message::PeerHello(ledger::Hello { body, proof })),
        (any::<u64>(), exactly(32), exactly(32)).prop_map(|(log_position, log_hash, digest)| {
            Message::PeerWelcome(ledger::PeerWelcome {
                log_position,
                log_hash,
                digest,
            })
        }),
        any::<bool>().prop_map(|wanted| Message::Flow(ledger::Flow { wanted })),
        vec(relayed_ack(), 0..4)
            .prop_map(|acks| Message::RelayedAcks(ledger::RelayedAcks { acks })),
    ]
}

proptest! {
    #[test]
    fn every_frame_survives(message in prop_oneof![opening(), exchange(), between_devices()]) {
        let frame = ledger::Frame { message: Some(message) };
        let read = ledger::Frame::decode(&frame.encode_to_vec()[..]).unwrap();
        let domain = Frame::try_from(read).unwrap();
        prop_assert_eq!(ledger::Frame::from(domain), frame);
    }
}

fn refused(message: Option<Message>) -> (&'static str, Problem) {
    let error = Frame::try_from(ledger::Frame { message }).unwrap_err();
    assert!(error.to_string().starts_with(error.field));
    (error.field, error.problem)
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(refused(None), ("frame.message", Problem::Missing));
    let greeting = Message::Greeting(ledger::Greeting::default());
    assert_eq!(
        refused(Some(greeting)),
        ("greeting.certificate", Problem::Missing)
    );
    let relayed = |relayed: ledger::RelayedAck| {
        let acks = vec![relayed];
        refused(Some(Message::RelayedAcks(ledger::RelayedAcks { acks })))
    };
    assert_eq!(
        relayed(ledger::RelayedAck::default()),
        ("relayed_ack.certificate", Problem::Missing)
    );
    let certificate = Some(ServiceKeyCertificate {
        body: Bytes::new(),
        signature: vec![0; 64].into(),
    });
    let without_ack = ledger::RelayedAck {
        certificate,
        ..ledger::RelayedAck::default()
    };
    assert_eq!(relayed(without_ack), ("relayed_ack.ack", Problem::Missing));
    let statements = ledger::Statements {
        statements: vec![ReceiptedStatement::default()],
    };
    assert_eq!(
        refused(Some(Message::Statements(statements))),
        ("receipted_statement.receipt", Problem::Missing)
    );
}

#[test]
fn wrong_lengths_are_named() {
    let hello = Message::Hello(ledger::Hello {
        body: Bytes::new(),
        proof: vec![0; 63].into(),
    });
    assert_eq!(
        refused(Some(hello)),
        ("hello.proof", Problem::Length { expected: 64 })
    );
    let welcome = Message::PeerWelcome(ledger::PeerWelcome::default());
    assert_eq!(
        refused(Some(welcome)),
        ("peer_welcome.log_hash", Problem::Length { expected: 32 })
    );
    let ping = Message::Ping(ledger::Ping::default());
    assert_eq!(
        refused(Some(ping)),
        ("ping.digest", Problem::Length { expected: 32 })
    );
    let tips = vec![ledger::Tip {
        device: vec![0; 17].into(),
        seq: 1,
        hash: vec![0; 32].into(),
    }];
    assert_eq!(
        refused(Some(Message::Heads(ledger::Heads { tips }))),
        ("tip.device", Problem::Length { expected: 16 })
    );
}

fn a_run() -> ledger::Run {
    ledger::Run {
        device: vec![1; 16].into(),
        formats: vec![1],
        first_seq: 1,
        first_prev: vec![0; 32].into(),
        payloads: vec![],
        signature: vec![2; 64].into(),
    }
}

#[test]
fn numbers_out_of_range_are_named() {
    let run = ledger::Run {
        formats: vec![1, 65_536],
        ..a_run()
    };
    let runs = ledger::Runs {
        frame_id: 1,
        runs: vec![a_run(), run],
    };
    assert_eq!(
        refused(Some(Message::Runs(runs))),
        ("run.formats", Problem::Range)
    );
    let taken = |verdict, reason| {
        let runs = vec![ledger::RunTaken { verdict, reason }];
        refused(Some(Message::Taken(ledger::Taken { frame_id: 1, runs })))
    };
    assert_eq!(taken(0, 0), ("run_taken.verdict", Problem::Range));
    assert_eq!(taken(4, 0), ("run_taken.verdict", Problem::Range));
    assert_eq!(taken(3, 0), ("run_taken.reason", Problem::Range));
    assert_eq!(taken(3, 99), ("run_taken.reason", Problem::Range));
    assert_eq!(taken(1, 1), ("run_taken.reason", Problem::Contradiction));
    for reason in [0, 9] {
        let go_away = Message::GoAway(ledger::GoAway {
            reason,
            retry_after_ms: 0,
        });
        assert_eq!(refused(Some(go_away)), ("go_away.reason", Problem::Range));
    }
    let points = vec![ledger::Tip {
        device: vec![0; 16].into(),
        seq: 0,
        hash: vec![0; 32].into(),
    }];
    assert_eq!(
        refused(Some(Message::Locator(ledger::Locator { points }))),
        ("tip.seq", Problem::Range)
    );
}

#[test]
fn a_run_that_only_the_gate_can_judge_passes() {
    let run = ledger::Run {
        formats: vec![0],
        first_seq: 0,
        ..a_run()
    };
    let runs = ledger::Runs {
        frame_id: 1,
        runs: vec![run],
    };
    let frame = ledger::Frame {
        message: Some(Message::Runs(runs)),
    };
    assert!(Frame::try_from(frame).is_ok());
}
