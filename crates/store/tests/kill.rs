//! A process that is killed (SIGKILL) at any moment loses nothing that it was told is kept.
//!
//! The child is this test's own binary. It appends to several journals at once, records postings
//! and closes entries over them, and says on its standard output what was acked. The parent kills
//! it after a random number of lines, opens the file, and looks for everything that was said.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use edge_ledger_core::identity::Point;
use edge_ledger_core::ids::{DeviceId, IdentityId, LedgerId};
use edge_ledger_core::keys::{PublicKey, SecretKey};
use edge_ledger_core::ledger::admission::Admissible;
use edge_ledger_core::ledger::entry::{Author, sign_raw};
use edge_ledger_core::ledger::journals::Have;
use edge_ledger_core::ledger::{Extended, Run, VerifiedRun, gate};
use edge_ledger_store::ledger::AppendOutcome;
use edge_ledger_store::{Embedded, LedgerStore as _, LogVersion, OpenError, Origin};
use tokio::task::JoinSet;
use tokio::time::Instant;

const KILLS: usize = 24;
const JOURNALS: u8 = 4;
/// Most lines of a child that is allowed to go on for long.
const LINES_MAX: u64 = 400;
const FILE: &str = "EDGE_LEDGER_KILL_TEST_FILE";
const IDENTITY: IdentityId = IdentityId::from_bytes([1; 32]);
const LEDGER_ID: LedgerId = LedgerId::from_bytes([2; 16]);
const FORMAT: u16 = 7;

fn key(journal: u8) -> SecretKey {
    SecretKey::from_seed([journal + 1; 32])
}

fn verified(key: &PublicKey, run: &Run) -> VerifiedRun {
    gate::verify(
        Author {
            ledger_id: LEDGER_ID,
            identity: IDENTITY,
            key,
        },
        run,
    )
    .unwrap()
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}")
        .and_then(|()| out.flush())
        .unwrap();
}

async fn tip(store: &Embedded, device: DeviceId) -> Point {
    let heads = store.heads(IDENTITY).await.unwrap().value;
    let tips = heads.of(&device);
    assert!(tips.len() <= 1, "no journal here forks");
    tips.first().copied().unwrap_or(Point::START)
}

/// Runs of one to four entries, for ever.
async fn append_for_ever(store: Embedded, journal: u8) {
    let key = key(journal);
    let device = key.public_key().device_id();
    let mut at = tip(&store, device).await;
    loop {
        let payloads = (0..=at.seq % 4).map(|n| Bytes::from(vec![journal; 20 + 90 * n as usize]));
        let payloads = payloads.map(|payload| (FORMAT, payload)).collect();
        let run = sign_raw(LEDGER_ID, IDENTITY, &key, at, payloads);
        let run = verified(&key.public_key(), &run);
        at = run.last();
        let runs = vec![Admissible { run, in_cut: false }];
        let outcome = store
            .append(IDENTITY, LogVersion(0), Origin(0), runs)
            .await
            .unwrap();
        let AppendOutcome::Appended(outcomes) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(
            matches!(outcomes[..], [Extended::Kept { .. }]),
            "{outcomes:?}"
        );
        say(&format!("acked {device} {} {}", at.seq, at.hash));
    }
}

/// Records postings with numbers that go on where the last process stopped, and closes entries.
async fn spend_for_ever(store: Embedded) {
    let key = key(JOURNALS);
    let mut at = tip(&store, key.public_key().device_id()).await;
    loop {
        let next = store.get("next").await.unwrap();
        let next = next.map_or(0, |next| u64::from_be_bytes(next[..].try_into().unwrap()));
        store
            .put("next", Bytes::copy_from_slice(&(next + 3).to_be_bytes()))
            .await
            .unwrap();
        let postings = (next..next + 3).map(|n| Bytes::copy_from_slice(&n.to_be_bytes()));
        store.record(postings.collect()).await.unwrap();
        for posting in next..next + 3 {
            say(&format!("recorded {posting}"));
        }
        let (ids, postings): (Vec<_>, Vec<_>) = store.outbox().await.unwrap().into_iter().unzip();
        let run = sign_raw(
            LEDGER_ID,
            IDENTITY,
            &key,
            at,
            vec![(FORMAT, postings.concat().into())],
        );
        let run = verified(&key.public_key(), &run);
        at = run.last();
        let run = Admissible { run, in_cut: false };
        let seen = LogVersion(0);
        store
            .close_entry(IDENTITY, seen, Origin(0), run, ids)
            .await
            .unwrap();
    }
}

/// The child's part; nothing when run as a test.
#[test]
fn child() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Embedded::open(Path::new(&file)).unwrap();
        let mut appends = JoinSet::new();
        for journal in 0..JOURNALS {
            appends.spawn(append_for_ever(store.clone(), journal));
        }
        spend_for_ever(store).await;
    });
}

#[derive(Default)]
struct Said {
    acked: BTreeMap<DeviceId, BTreeSet<Point>>,
    recorded: BTreeSet<u64>,
}

impl Said {
    fn hear(&mut self, line: &str) -> bool {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["acked", device, seq, hash] => {
                let (seq, hash) = (seq.parse().unwrap(), hash.parse().unwrap());
                let acked = self.acked.entry(device.parse().unwrap()).or_default();
                acked.insert(Point { seq, hash })
            }
            ["recorded", posting] => self.recorded.insert(posting.parse().unwrap()),
            _ => false,
        }
    }
}

/// Lets a child say so many lines, and kills it. What it said is heard even after that.
fn run_and_kill(file: &Path, lines: u64, said: &mut Said) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(FILE, file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut heard = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // The last line may be cut off in the middle.
        let Ok(line) = line else { break };
        if heard < lines {
            heard += u64::from(said.hear(&line));
            if heard == lines {
                let open = Embedded::open(file);
                assert!(matches!(open, Err(OpenError::InUse(_))), "{open:?}");
                child.kill().unwrap();
            }
        } else if line
            .split(' ')
            .next_back()
            .is_some_and(|word| word.len() == 64)
        {
            said.hear(&line);
        }
    }
    assert_eq!(
        heard,
        lines,
        "the child ended by itself: {}",
        child.wait().unwrap()
    );
    child.wait().unwrap();
}

/// Every kept entry, checked by the gate as whoever receives it would.
async fn kept(store: &Embedded) -> BTreeMap<DeviceId, Vec<(Point, Bytes)>> {
    let keys: BTreeMap<_, _> = (0..=JOURNALS)
        .map(|journal| key(journal).public_key())
        .map(|key| (key.device_id(), key))
        .collect();
    let (mut have, mut kept) = (Have::new(), BTreeMap::<_, Vec<_>>::new());
    loop {
        let page = store.missing(IDENTITY, &have).await.unwrap().value;
        for run in &page.runs {
            let device = run.run.device;
            let entries = kept.entry(device).or_default();
            let before = entries.last().map_or(Point::START, |(point, _)| *point);
            assert_eq!(run.run.parent(), before, "the chain has no gap");
            let verified = verified(&keys[&device], &run.run);
            assert_eq!(verified.last(), run.last);
            entries.extend(
                verified
                    .entries()
                    .iter()
                    .map(|e| (e.point(), e.payload().clone())),
            );
            have.entry(device).or_default().insert(run.last);
        }
        if !page.more {
            return kept;
        }
    }
}

async fn check(file: &Path, said: &Said) {
    let started = Instant::now();
    let store = Embedded::open(file).unwrap();
    let opened_in = started.elapsed();
    assert!(
        opened_in < Duration::from_secs(5),
        "opening took {opened_in:?}"
    );
    let kept = kept(&store).await;
    for (device, acked) in &said.acked {
        let points: BTreeSet<_> = kept[device].iter().map(|(point, _)| *point).collect();
        assert!(acked.is_subset(&points), "lost what was acked");
        assert_eq!(Some(tip(&store, *device).await), points.last().copied());
    }
    let spender = key(JOURNALS).public_key().device_id();
    let empty = Vec::new();
    let entries = kept.get(&spender).unwrap_or(&empty).iter();
    let closed = entries.flat_map(|(_, payload)| payload.as_chunks::<8>().0.to_vec());
    let waiting = store.outbox().await.unwrap();
    let waiting = waiting
        .iter()
        .map(|(_, posting)| posting[..].try_into().unwrap());
    let all: Vec<_> = closed.chain(waiting).map(u64::from_be_bytes).collect();
    let once: BTreeSet<_> = all.iter().copied().collect();
    assert_eq!(all.len(), once.len(), "a posting is in one place only");
    assert!(said.recorded.is_subset(&once), "lost what was recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acked_survives_any_number_of_kills() {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("new").join("store");
    let mut said = Said::default();
    for _ in 0..KILLS {
        let lines = 1 + RandomState::new().hash_one(0) % LINES_MAX;
        tokio::task::block_in_place(|| run_and_kill(&file, lines, &mut said));
        check(&file, &said).await;
    }
    assert!(said.acked.len() == usize::from(JOURNALS) && said.recorded.len() > KILLS);
}
