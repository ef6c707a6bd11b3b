//! A device of an identity made by hand that calls the identity service.

use bytes::Bytes;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::{Challenge, IdentityLog, Statement};
use edge_ledger_core::keys::SecretKey;
use edge_ledger_proto::identity as wire;
use edge_ledger_proto::identity::identity_service_client::IdentityServiceClient;
use tonic::Request;
use tonic::transport::Channel;

use crate::Identity;

/// An open session.
#[expect(missing_debug_implementations, reason = "holds a token")]
pub struct Caller {
    client: IdentityServiceClient<Channel>,
    token: String,
}

impl Caller {
    /// Proves the key of a device, and opens a session.
    ///
    /// # Errors
    /// When the device is refused.
    pub async fn open(
        channel: Channel,
        identity: &Identity,
        device: usize,
    ) -> anyhow::Result<Self> {
        Self::open_as(channel, &identity.log, &identity.devices[device].key).await
    }

    /// As [`open`](Self::open), for the device of any log that has this key.
    ///
    /// # Errors
    /// When the device is refused.
    pub async fn open_as(
        channel: Channel,
        log: &IdentityLog,
        key: &SecretKey,
    ) -> anyhow::Result<Self> {
        let mut client = IdentityServiceClient::new(channel);
        let public_key = Bytes::copy_from_slice(key.public_key().as_bytes());
        let request = wire::GetChallengeRequest {
            identity: Bytes::copy_from_slice(log.identity().as_bytes()),
            public_key: public_key.clone(),
            purpose: wire::ChallengePurpose::Identity.into(),
        };
        let given = client.get_challenge(request).await?.into_inner();
        let proof = Challenge::prove(log.ledger_id(), &given.challenge, key);
        let request = wire::AuthenticateRequest {
            sealed: given.sealed,
            public_key,
            proof: Bytes::copy_from_slice(proof.as_bytes()),
        };
        let token = client.authenticate(request).await?.into_inner().token;
        Ok(Self { client, token })
    }

    /// A request of this session.
    ///
    /// # Errors
    /// When the token cannot be sent.
    pub fn signed_in<T>(&self, message: T) -> anyhow::Result<Request<T>> {
        let mut request = Request::new(message);
        let bearer = format!("Bearer {}", self.token).parse()?;
        request.metadata_mut().insert("authorization", bearer);
        Ok(request)
    }

    /// Appends a statement; returns it with its receipt.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn append(&mut self, statement: &Statement) -> anyhow::Result<ReceiptParts> {
        let statement = statement.bytes().clone();
        let request = self.signed_in(wire::AppendStatementRequest { statement })?;
        let response = self.client.append_statement(request).await?.into_inner();
        Ok(response.statement.unwrap_or_default().try_into()?)
    }
}
