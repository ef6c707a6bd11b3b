//! Sealing keys are replaced under replicas that have copies of the folder of their own.

use std::fs;
use std::path::{Path, PathBuf};

use edge_ledger_chassis::keys::Choices;
use edge_ledger_chassis::limits::SEAL_LOOKS;
use edge_ledger_chassis::{KeysFolder, Reason, Sealing};
use edge_ledger_proto::identity::AuthenticateRequest;
use identity_service::{Invites, Limits, Registration, Server};
use tonic::Code;

use crate::person::{Person, answer, challenge, register_invited};
use crate::world::{Client, NAME, World, assert_refused, dial};

/// A replica, and its copy of the folder.
struct Replica {
    folder: PathBuf,
    sealing: Sealing,
    client: Client,
    _server: Server,
}

impl Replica {
    async fn start(world: &World, whole: &Path, folder: PathBuf) -> Self {
        fs::create_dir(&folder).unwrap();
        fs::copy(whole.join("sealing.key"), folder.join("sealing.key")).unwrap();
        let sealing = load(&folder);
        let server = world.replica_with(sealing.clone()).await;
        Self {
            folder,
            sealing,
            client: dial(&server, NAME).await,
            _server: server,
        }
    }

    fn bring(&self, whole: &Path, name: &str) {
        fs::copy(whole.join(name), self.folder.join(name)).unwrap();
        assert!(self.sealing.reload().unwrap());
    }

    /// Until it seals with the latest key.
    fn pass_time(&self) {
        let looks = (0..SEAL_LOOKS).map(|_| self.sealing.reload().unwrap());
        assert_eq!(looks.filter(|changed| *changed).count(), 1);
    }

    /// An answer to a challenge of this replica.
    async fn answered(&mut self, person: &Person) -> AuthenticateRequest {
        let given = challenge(&mut self.client, person.identity(), &person.laptop).await;
        answer(&person.log, &person.laptop, &given.unwrap())
    }
}

fn load(folder: &Path) -> Sealing {
    let loaded = Sealing::load(KeysFolder::at(folder));
    loaded.unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Each opens what the other sealed.
async fn understand_each_other(person: &Person, one: &mut Replica, two: &mut Replica) {
    let answered = one.answered(person).await;
    two.client.authenticate(answered).await.unwrap();
    let answered = two.answered(person).await;
    one.client.authenticate(answered).await.unwrap();
}

#[tokio::test]
async fn replicas_open_what_others_seal_while_the_sealing_key_is_replaced() {
    let limits = Limits {
        registration: Registration::Invite,
        ..Limits::default()
    };
    let world = World::with_limits(limits).await;
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    KeysFolder::open_or_init(&whole, &Choices::default()).unwrap();
    let mut one = Replica::start(&world, &whole, place.path().join("one")).await;
    let mut two = Replica::start(&world, &whole, place.path().join("two")).await;
    let invites = || Invites::new(load(&whole), world.ledger_id());
    let (early, late) = (invites().make(i64::MAX), invites().make(i64::MAX));
    let mut person = Person::new(&world.genesis, 10);
    let incept = person.incept().bytes().clone();
    let registered = register_invited(&mut one.client, incept, &invites().make(i64::MAX)).await;
    person.take(registered.unwrap());

    understand_each_other(&person, &mut one, &mut two).await;
    let rotated = KeysFolder::at(&whole).rotate_sealing().unwrap();
    one.bring(&whole, &rotated.files[0]);
    understand_each_other(&person, &mut one, &mut two).await;
    two.bring(&whole, &rotated.files[0]);
    understand_each_other(&person, &mut one, &mut two).await;
    one.pass_time();
    understand_each_other(&person, &mut one, &mut two).await;
    let old = two.answered(&person).await;
    two.pass_time();
    understand_each_other(&person, &mut one, &mut two).await;
    one.client.authenticate(old).await.unwrap();
    let incept = Person::new(&world.genesis, 13).incept().bytes().clone();
    let invited = register_invited(&mut two.client, incept, &early).await;
    invited.unwrap();

    // Without the old key they go on, and what it sealed is worth nothing.
    let before = one.answered(&person).await;
    for replica in [&one, &two] {
        fs::remove_file(replica.folder.join("sealing.key")).unwrap();
        assert!(replica.sealing.reload().unwrap());
    }
    one.client.authenticate(before).await.unwrap();
    understand_each_other(&person, &mut one, &mut two).await;
    let incept = Person::new(&world.genesis, 16).incept().bytes().clone();
    let refused = register_invited(&mut one.client, incept, &late).await;
    let refused = refused.unwrap_err();
    assert_refused(&refused, Code::PermissionDenied, Reason::InviteInvalid);
}

#[tokio::test]
async fn a_challenge_of_a_key_that_was_taken_away_opens_nothing() {
    let world = World::start().await;
    let mut client = world.client().await;
    let person = Person::registered(&world, &mut client, 10).await;
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    KeysFolder::open_or_init(&whole, &Choices::default()).unwrap();
    let mut replica = Replica::start(&world, &whole, place.path().join("one")).await;
    let old = replica.answered(&person).await;
    let rotated = KeysFolder::at(&whole).rotate_sealing().unwrap();
    replica.bring(&whole, &rotated.files[0]);
    fs::remove_file(replica.folder.join("sealing.key")).unwrap();
    assert!(replica.sealing.reload().unwrap());
    let refused = replica.client.authenticate(old).await.unwrap_err();
    assert_refused(&refused, Code::Unauthenticated, Reason::ChallengeInvalid);
    person.still_works(&mut replica.client).await;
}
