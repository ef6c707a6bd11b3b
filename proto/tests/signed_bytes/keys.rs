//! Acts about root, recovery and enrolment keys, and evidence.

use bytes::Bytes;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::{
    Act, Branch, Evidence, ReceiptedStatement, RotateReason, ServiceRole, StatementRecord,
};
use edge_ledger_core::ids::LogHash;
use edge_ledger_core::keys::Signature;
use edge_ledger_proto::identity;

use crate::{World, check_statement, is_set, key, read};

#[test]
fn statements_about_keys() {
    use identity::statement_body::Act as Wire;
    let world = World::new();
    let public = key(33).public_key();
    let said = |act| check_statement(&world.statement(act));
    for (reason, number) in [(RotateReason::Routine, 1), (RotateReason::Compromised, 2)] {
        let rotate = said(Act::RotateRoot {
            root: public,
            next_root_hash: [34; 32],
            reason,
        });
        let Wire::RotateRoot(rotate) = rotate else {
            panic!("another act");
        };
        all_set!(
            rotate,
            identity::RotateRoot {
                root,
                next_root_hash,
                reason
            }
        );
        assert_eq!(rotate.reason, number);
    }
    let set = said(Act::SetRecovery {
        key: public,
        veto_ms: Some(35),
    });
    let Wire::SetRecovery(set) = set else {
        panic!("another act");
    };
    all_set!(
        set,
        identity::SetRecovery {
            public_key,
            veto_ms
        }
    );
    let recover = said(Act::Recover {
        root: public,
        next_root_hash: [34; 32],
    });
    let Wire::Recover(recover) = recover else {
        panic!("another act");
    };
    is_set("root", &recover.root);
    is_set("next_root_hash", &recover.next_root_hash);
    assert!(recover.branch.is_empty());
    let parts = ReceiptParts {
        statement: Bytes::from_static(&[40]),
        body: Bytes::from_static(&[41]),
        certificate_body: Bytes::from_static(&[42]),
        certificate_signature: Signature::from_bytes([43; 64]),
        signature: Signature::from_bytes([44; 64]),
    };
    let branch = Branch::new(vec![parts]);
    let Wire::Recover(recover) = said(Act::RecoverFork { branch }) else {
        panic!("another act");
    };
    assert!(recover.root.is_empty() && recover.next_root_hash.is_empty());
    let [receipted] = &recover.branch[..] else {
        panic!("one statement");
    };
    all_set!(
        *receipted,
        identity::ReceiptedStatement { statement, receipt }
    );
    let Wire::Veto(veto) = said(Act::Veto { position: 36 }) else {
        panic!("another act");
    };
    all_set!(veto, identity::Veto { position });
}

#[test]
fn statements_about_enrolment() {
    use identity::statement_body::Act as Wire;
    let world = World::new();
    let public = key(33).public_key();
    let enrolment = world.statement(Act::EnrolmentKey {
        key: public,
        uses: 37,
        expires_ms: 38,
        name: "ci".into(),
    });
    let Wire::EnrolmentKey(enrolment) = check_statement(&enrolment) else {
        panic!("another act");
    };
    all_set!(
        enrolment,
        identity::EnrolmentKey {
            public_key,
            uses,
            expires_ms,
            name
        }
    );
    let revoke = world.statement(Act::RevokeEnrolment { key: public });
    let Wire::RevokeEnrolment(revoke) = check_statement(&revoke) else {
        panic!("another act");
    };
    all_set!(revoke, identity::RevokeEnrolment { public_key });
}

#[test]
fn evidence() {
    let world = World::new();
    let signer = world.signer(ServiceRole::Service);
    let receipts = [18, 19].map(|hash| {
        let record = StatementRecord {
            statement: world.statement(Act::Veto { position: 36 }),
            service_time_ms: 17,
            tips: Vec::new(),
        };
        let log_hash = LogHash::from_bytes([hash; 32]);
        ReceiptedStatement::sign(&signer, &world.genesis, record, log_hash).parts()
    });
    let made = Evidence::of(&world.genesis, &receipts[0], &receipts[1]).unwrap();
    let message: identity::Evidence = read(made.bytes());
    all_set!(message, identity::Evidence { genesis, receipts });
    for (receipt, parts) in message.receipts.into_iter().zip(receipts) {
        let whole = identity::ReceiptedStatement::from(parts);
        assert_eq!(Some(receipt), whole.receipt);
    }
}
