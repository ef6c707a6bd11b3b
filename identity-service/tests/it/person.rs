//! Somebody with a root key and devices, who checks every receipt.

use bytes::Bytes;
use edge_ledger_core::identity::certificate::Description;
use edge_ledger_core::identity::genesis::next_key_hash;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{
    Act, Certificate, Challenge, Genesis, IdentityLog, ReceiptedStatement, RevokeReason, Statement,
    StatementBody,
};
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::keys::SecretKey;
use edge_ledger_proto::identity as wire;
use tonic::{Request, Status};

use crate::world::{Client, World, key};

pub(crate) struct Person {
    pub(crate) root: SecretKey,
    pub(crate) laptop: SecretKey,
    pub(crate) log: IdentityLog,
}

impl Person {
    /// Keys from a seed; three seeds in a row belong to one person.
    pub(crate) fn new(genesis: &Genesis, seed: u8) -> Self {
        let root = key(seed);
        let identity = root.public_key().identity_id();
        Self {
            root,
            laptop: key(seed + 1),
            log: IdentityLog::empty(genesis.clone(), identity),
        }
    }

    /// A person whose log is open.
    pub(crate) async fn registered(world: &World, client: &mut Client, seed: u8) -> Self {
        let mut person = Self::new(&world.genesis, seed);
        let statement = person.incept().bytes().clone();
        let receipted = register(client, statement).await.unwrap();
        person.take(receipted);
        person
    }

    pub(crate) fn identity(&self) -> IdentityId {
        self.log.identity()
    }

    pub(crate) fn id_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.identity().as_bytes())
    }

    pub(crate) fn certificate(&self, device: &SecretKey, name: &str) -> Box<Certificate> {
        self.certificate_in_place(device, name, None)
    }

    fn certificate_in_place(
        &self,
        device: &SecretKey,
        name: &str,
        replaces: Option<DeviceId>,
    ) -> Box<Certificate> {
        let description = Description {
            identity: self.identity(),
            name: name.to_owned(),
            platform: "test".to_owned(),
            replaces,
        };
        Box::new(Certificate::sign(self.log.ledger_id(), device, &description).unwrap())
    }

    pub(crate) fn incept(&self) -> Statement {
        self.incept_with(&self.laptop)
    }

    pub(crate) fn incept_with(&self, device: &SecretKey) -> Statement {
        let act = Act::Incept {
            next_root_hash: next_key_hash(&key(250).public_key()),
            genesis: Box::new(self.log.genesis().clone()),
            certificate: self.certificate(device, "laptop"),
        };
        self.sign(act, &[SigningAs::Root(&self.root)])
    }

    /// Signs an act for the place after the log's head.
    pub(crate) fn sign(&self, act: Act, keys: &[SigningAs<'_>]) -> Statement {
        let head = self.log.head();
        let body = StatementBody {
            identity: self.identity(),
            position: head.position + 1,
            expected_head: head.hash,
            act,
        };
        Statement::sign(self.log.ledger_id(), &body, keys).unwrap()
    }

    /// Signs as the laptop.
    pub(crate) fn say(&self, act: Act) -> Bytes {
        let statement = self.sign(act, &[SigningAs::Device(&self.laptop)]);
        statement.bytes().clone()
    }

    pub(crate) fn add(&self, device: &SecretKey, name: &str, admin: bool) -> Bytes {
        let certificate = self.certificate(device, name);
        self.say(Act::AddDevice { certificate, admin })
    }

    pub(crate) fn rename(&self, name: &str) -> Bytes {
        self.rename_other(self.laptop.public_key().device_id(), name)
    }

    pub(crate) fn rename_other(&self, device: DeviceId, name: &str) -> Bytes {
        self.say(Act::Rename {
            device,
            name: name.to_owned(),
        })
    }

    /// Puts a key in the place of a device, signed by both.
    pub(crate) fn replace(&self, old: &SecretKey, new: &SecretKey) -> Bytes {
        let id = old.public_key().device_id();
        let act = Act::Replace {
            old: id,
            certificate: self.certificate_in_place(new, "in its place", Some(id)),
            tips: Vec::new(),
        };
        let statement = self.sign(act, &[SigningAs::Device(old), SigningAs::Device(new)]);
        statement.bytes().clone()
    }

    pub(crate) fn revoke(&self, device: DeviceId) -> Bytes {
        self.say(Act::Revoke {
            device,
            reason: RevokeReason::Lost,
            tips: Vec::new(),
        })
    }

    /// Checks a receipt as a device does, and follows it.
    pub(crate) fn take(&mut self, receipted: wire::ReceiptedStatement) {
        let parts = ReceiptParts::try_from(receipted).unwrap();
        let prev = self.log.head().hash;
        let (genesis, identity) = (self.log.genesis().clone(), self.identity());
        let receipted = ReceiptedStatement::verify(&genesis, identity, prev, parts).unwrap();
        self.log.apply(receipted.into_record()).unwrap();
    }

    /// Opens a session as the laptop.
    pub(crate) async fn session(&self, client: &mut Client) -> String {
        session(client, &self.log, &self.laptop).await.unwrap()
    }

    /// Appends a statement and follows it.
    pub(crate) async fn append(&mut self, client: &mut Client, token: &str, statement: Bytes) {
        let receipted = append(client, token, statement).await.unwrap();
        self.take(receipted);
    }

    /// That a good call still passes.
    pub(crate) async fn still_works(&self, client: &mut Client) {
        let token = self.session(client).await;
        let page = get_log(client, &token, self.id_bytes(), 0).await.unwrap();
        assert!(!page.statements.is_empty());
    }
}

pub(crate) fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

pub(crate) async fn register(
    client: &mut Client,
    statement: Bytes,
) -> Result<wire::ReceiptedStatement, Status> {
    register_invited(client, statement, "").await
}

pub(crate) async fn register_invited(
    client: &mut Client,
    statement: Bytes,
    invite: &str,
) -> Result<wire::ReceiptedStatement, Status> {
    let invite = invite.to_owned();
    let request = wire::RegisterRequest { statement, invite };
    let response = client.register(request).await?;
    Ok(response.into_inner().statement.unwrap())
}

pub(crate) async fn append(
    client: &mut Client,
    token: &str,
    statement: Bytes,
) -> Result<wire::ReceiptedStatement, Status> {
    let request = with_token(wire::AppendStatementRequest { statement }, token);
    let response = client.append_statement(request).await?;
    Ok(response.into_inner().statement.unwrap())
}

pub(crate) async fn get_log(
    client: &mut Client,
    token: &str,
    identity: Bytes,
    after_position: u64,
) -> Result<wire::GetLogResponse, Status> {
    let request = wire::GetLogRequest {
        identity,
        after_position,
    };
    let response = client.get_log(with_token(request, token)).await?;
    Ok(response.into_inner())
}

pub(crate) async fn challenge(
    client: &mut Client,
    identity: IdentityId,
    device: &SecretKey,
) -> Result<wire::GetChallengeResponse, Status> {
    let request = wire::GetChallengeRequest {
        identity: Bytes::copy_from_slice(identity.as_bytes()),
        public_key: Bytes::copy_from_slice(device.public_key().as_bytes()),
        purpose: wire::ChallengePurpose::Identity.into(),
    };
    Ok(client.get_challenge(request).await?.into_inner())
}

/// The good answer to a challenge.
pub(crate) fn answer(
    log: &IdentityLog,
    device: &SecretKey,
    given: &wire::GetChallengeResponse,
) -> wire::AuthenticateRequest {
    let proof = Challenge::prove(log.ledger_id(), &given.challenge, device);
    wire::AuthenticateRequest {
        sealed: given.sealed.clone(),
        public_key: Bytes::copy_from_slice(device.public_key().as_bytes()),
        proof: Bytes::copy_from_slice(proof.as_bytes()),
    }
}

pub(crate) async fn session(
    client: &mut Client,
    log: &IdentityLog,
    device: &SecretKey,
) -> Result<String, Status> {
    let given = challenge(client, log.identity(), device).await?;
    let response = client.authenticate(answer(log, device, &given)).await?;
    Ok(response.into_inner().token)
}
