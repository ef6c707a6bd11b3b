use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

const OURS: [u8; 32] = [7; 32];
const ANOTHER: [u8; 32] = [8; 32];
/// Room for all that either end says.
const ROOM: usize = 1024;

type Proved = Result<(Sealer, Opener), Unproven>;

/// Dialler and listener, each with its rendezvous; ends that are done are closed.
async fn meet(dialler: [u8; 32], listener: [u8; 32]) -> (Proved, Proved) {
    let (mut one, mut other) = duplex(ROOM);
    let dialler = async move { prove(&mut one, Role::Dialler, &dialler).await };
    let listener = async move { prove(&mut other, Role::Listener, &listener).await };
    tokio::join!(dialler, listener)
}

fn framed(message: &impl prost::Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    [&length[..], &message].concat()
}

fn greeting(key: &[u8]) -> Vec<u8> {
    framed(&pb::NearbyGreeting {
        key: Bytes::copy_from_slice(key),
    })
}

fn proof(proof: &[u8]) -> Vec<u8> {
    framed(&pb::NearbyProof {
        proof: Bytes::copy_from_slice(proof),
    })
}

/// Says something to one end, whatever it answers. Returns all that it said, and what it took the
/// talk for.
async fn say(role: Role, said: &[&[u8]]) -> (Vec<u8>, Proved) {
    let (mut stranger, mut end) = duplex(ROOM);
    for part in said {
        stranger.write_all(part).await.unwrap();
    }
    stranger.shutdown().await.unwrap();
    let proved = prove(&mut end, role, &OURS).await;
    drop(end);
    let mut heard = Vec::new();
    stranger.read_to_end(&mut heard).await.unwrap();
    (heard, proved)
}

async fn read_key(end: &mut DuplexStream) -> [u8; 32] {
    let greeting = read_message(end, ROOM).await.unwrap();
    let greeting = pb::NearbyGreeting::decode(greeting).unwrap();
    greeting.key[..].try_into().unwrap()
}

#[tokio::test]
async fn two_of_one_identity_prove_it_and_understand_each_other() {
    let (dialler, listener) = meet(OURS, OURS).await;
    let ((mut dialler, mut from_listener), (mut listener, mut from_dialler)) =
        (dialler.unwrap_or_else(fail), listener.unwrap_or_else(fail));
    let said = dialler.seal(b"hello").unwrap();
    assert_eq!(from_dialler.open(&said).as_deref(), Some(&b"hello"[..]));
    let said = listener.seal(b"hello").unwrap();
    assert_eq!(from_dialler.open(&said), None, "its own direction");
    assert_eq!(from_listener.open(&said).as_deref(), Some(&b"hello"[..]));
}

fn fail(unproven: Unproven) -> (Sealer, Opener) {
    panic!("{unproven}")
}

#[tokio::test]
async fn two_identities_are_told_apart_by_both() {
    let (dialler, listener) = meet(OURS, ANOTHER).await;
    assert!(dialler.is_err() && listener.is_err());
}

/// A listener tells strangers a fresh key, whatever they say, and closes.
#[tokio::test]
async fn whoever_proves_nothing_hears_a_fresh_key_and_no_more() {
    let key = MontgomeryPoint::mul_base_clamped([3; 32]).to_bytes();
    let another = Talk {
        rendezvous: &ANOTHER,
        dialler: key,
        listener: key,
    };
    let cases: [&[&[u8]]; 9] = [
        &[],
        &[b"GET / HTTP/1.1\r\n\r\n"],
        &[&[0xff; 600]],
        &[&greeting(&key)],
        &[&greeting(&key[1..]), &proof(&[0; 32])],
        &[&greeting(&key), &proof(&[0; 31])],
        &[&greeting(&key), &proof(&[])],
        &[&greeting(&key), &proof(&[0; 600])],
        &[&greeting(&key), &proof(&another.proof(Role::Dialler))],
    ];
    let mut keys = std::collections::BTreeSet::new();
    for (at, said) in cases.iter().enumerate() {
        let (heard, proved) = say(Role::Listener, said).await;
        assert!(proved.is_err(), "case {at}");
        assert_eq!(heard.len(), greeting(&key).len(), "case {at}");
        assert!(keys.insert(heard), "case {at}: a key that was told before");
    }
}

/// Who is dialled learns a key and a hash over it.
#[tokio::test]
async fn a_stranger_that_is_dialled_cannot_answer() {
    let key = MontgomeryPoint::mul_base_clamped([3; 32]).to_bytes();
    let (heard, proved) = say(Role::Dialler, &[&greeting(&key), &proof(&[0; 32])]).await;
    assert!(proved.is_err());
    assert_eq!(heard.len(), greeting(&key).len() + proof(&[0; 32]).len());
}

/// Neither what the dialler said, sent back, nor what it said to somebody else.
#[tokio::test]
async fn no_proof_is_good_for_the_other_end_or_another_time() {
    let (mut stranger, mut end) = duplex(ROOM);
    let stranger = async {
        let key = read_key(&mut stranger).await;
        stranger.write_all(&greeting(&key)).await.unwrap();
        let said = read_message(&mut stranger, ROOM).await.unwrap();
        write_message(&mut stranger, &said).await.unwrap();
        said
    };
    let (said, proved) = tokio::join!(stranger, prove(&mut end, Role::Dialler, &OURS));
    assert!(proved.is_err(), "its own proof");
    let said = pb::NearbyProof::decode(said).unwrap();
    let key = MontgomeryPoint::mul_base_clamped([3; 32]).to_bytes();
    let (_, proved) = say(Role::Listener, &[&greeting(&key), &proof(&said.proof)]).await;
    assert!(proved.is_err(), "the proof of another talk");
}

#[tokio::test]
async fn a_single_bit_makes_a_proof_wrong() {
    for bit in [0, 100, 255] {
        let (mut one, mut end) = duplex(ROOM);
        let dialler = async {
            let listener = read_key(&mut one).await;
            let dialler = MontgomeryPoint::mul_base_clamped([3; 32]).to_bytes();
            one.write_all(&greeting(&dialler)).await.unwrap();
            let talk = Talk {
                rendezvous: &OURS,
                dialler,
                listener,
            };
            let mut right = talk.proof(Role::Dialler);
            right[bit / 8] ^= 1 << (bit % 8);
            one.write_all(&proof(&right)).await.unwrap();
        };
        let ((), proved) = tokio::join!(dialler, prove(&mut end, Role::Listener, &OURS));
        assert!(proved.is_err(), "bit {bit}");
    }
}

/// The page's example is made again without this code in `proto/tests/protocol_doc.rs`.
#[test]
fn it_is_as_the_page_says() {
    let page = include_str!("../../../../docs/protocol.md");
    let rendezvous = std::array::from_fn(|at| at as u8);
    let (one, other) = ([1; 32], [2; 32]);
    let talk = Talk {
        rendezvous: &rendezvous,
        dialler: MontgomeryPoint::mul_base_clamped(one).to_bytes(),
        listener: MontgomeryPoint::mul_base_clamped(other).to_bytes(),
    };
    let shared = MontgomeryPoint(talk.listener).mul_clamped(one);
    assert_eq!(shared, MontgomeryPoint(talk.dialler).mul_clamped(other));
    let shared = shared.to_bytes();
    let (dialler, listener) = (Role::Dialler, Role::Listener);
    let lines = [
        ("dialler's key", talk.dialler),
        ("listener's key", talk.listener),
        ("dialler's proof", talk.proof(dialler)),
        ("listener's proof", talk.proof(listener)),
        ("shared secret", shared),
        ("dialler sends by", *talk.key(dialler, &shared)),
        ("listener sends by", *talk.key(listener, &shared)),
    ];
    for (name, value) in lines {
        let line = format!("{name:<19}{}\n", hex::encode(value));
        assert!(page.contains(&line), "{line}");
    }
}
