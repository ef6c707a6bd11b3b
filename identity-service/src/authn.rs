//! Who calls: challenges are given and redeemed here, and a token is turned into its device.

use std::sync::Arc;

use bytes::Bytes;
use edge_ledger_chassis::status::store_refusal;
use edge_ledger_chassis::{Audiences, Authority, Clock, Reason, random, refusal};
use edge_ledger_core::identity::{Challenge, DeviceState, IdentityLog, Purpose};
use edge_ledger_core::ids::{DeviceId, IdentityId};
use edge_ledger_core::keys::{PublicKey, Signature};
use edge_ledger_core::limits::CHALLENGE_LIFE_MS;
use edge_ledger_store::{IdentityStore, LogView, StoreError};
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Status};
use zeroize::Zeroizing;

use crate::challenge::Sealer;
use crate::log::Logs;
use crate::refusals;
use crate::sessions::{Session, Sessions};

/// What a call is made by: an active device; or the root, recovery or an enrolment key, which is no
/// device and whose session has the id that its key would have as one.
pub(crate) struct Caller {
    /// The session that says so.
    pub(crate) session: Session,
    /// Its identity's log, in which it may speak.
    pub(crate) view: LogView,
}

/// Says who may speak.
pub(crate) struct Authn {
    pub(crate) audiences: Audiences,
    pub(crate) sealer: Sealer,
    pub(crate) sessions: Sessions,
    pub(crate) logs: Arc<Logs>,
    pub(crate) store: Arc<dyn IdentityStore>,
    pub(crate) clock: Clock,
}

/// A challenge, to be signed and to be brought back.
pub(crate) struct Given {
    pub(crate) challenge: Bytes,
    pub(crate) sealed: Bytes,
}

/// A challenge that is brought back.
pub(crate) struct Answer<'a> {
    pub(crate) sealed: &'a [u8],
    pub(crate) key: PublicKey,
    pub(crate) proof: &'a [u8],
}

/// A challenge with a proof that fits.
struct Proved {
    challenge: Challenge,
    /// Whether the key signed as root and recovery keys do.
    as_root: bool,
}

impl Authn {
    /// Makes a challenge. Whether identity and device exist is not looked at.
    pub(crate) fn challenge(
        &self,
        extensions: &Extensions,
        identity: IdentityId,
        device: DeviceId,
        purpose: Purpose,
    ) -> Result<Given, Status> {
        let challenge = Challenge {
            nonce: random::bytes(),
            purpose,
            audience: self.audience(extensions)?.to_owned(),
            identity,
            device,
            expires_ms: self.clock.wall_ms().saturating_add(CHALLENGE_LIFE_MS),
        };
        let challenge = challenge.encode();
        Ok(Given {
            sealed: self.sealer.seal(&challenge),
            challenge,
        })
    }

    /// Redeems a challenge and opens a session.
    pub(crate) async fn authenticate(
        &self,
        extensions: &Extensions,
        answer: Answer<'_>,
    ) -> Result<Zeroizing<String>, Status> {
        let audience = self.audience(extensions)?;
        let proved = self.check(audience, &answer).ok_or_else(invalid)?;
        let challenge = proved.challenge;
        let (identity, device) = (challenge.identity, challenge.device);
        let view = self.logs.read(identity).await?.ok_or_else(invalid)?;
        let now_ms = self.clock.wall_ms();
        admit(&view.log, proved.as_root, &answer.key, now_ms)?;
        let redeemed = self
            .store
            .redeem_challenge(identity, challenge.nonce, challenge.expires_ms, now_ms)
            .await
            .map_err(|error| store_refusal(&error))?;
        if !redeemed {
            return Err(invalid());
        }
        self.sessions
            .open(identity, device)
            .await
            .map_err(|error| store_refusal(&error))
    }

    /// The challenge that an answer fits. Costs nothing that lasts.
    fn check(&self, audience: &str, answer: &Answer<'_>) -> Option<Proved> {
        let opened = self.sealer.open(answer.sealed)?;
        let challenge = opened.challenge;
        let proof = Signature::try_from(answer.proof).ok()?;
        let ledger_id = self.logs.genesis().ledger_id();
        let fits = challenge.expires_ms > self.clock.wall_ms()
            && challenge.purpose == Purpose::Identity
            && challenge.audience == audience
            && challenge.device == answer.key.device_id();
        if !fits {
            return None;
        }
        let (encoded, key) = (&opened.encoded, &answer.key);
        let as_root = Challenge::check_proof(ledger_id, encoded, key, &proof).is_err();
        if as_root {
            Challenge::check_root_proof(ledger_id, encoded, key, &proof).ok()?;
        }
        Some(Proved { challenge, as_root })
    }

    /// Who is behind a token.
    pub(crate) async fn caller(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        let token = bearer(metadata).ok_or_else(no_session)?;
        let found = self.sessions.find(token).await;
        let session = found
            .map_err(|error| store_refusal(&error))?
            .ok_or_else(no_session)?;
        let view = self.logs.read(session.identity).await?;
        let view = view.ok_or_else(no_session)?;
        if may_speak(&view, &session.device, self.clock.wall_ms()) {
            Ok(Caller { session, view })
        } else if view.log.enrolment(&session.device).is_some() {
            Err(refusals::enrolment_ended())
        } else {
            Err(revoked())
        }
    }

    /// Who is behind a token, of an identity that the operator has not blocked. One that is blocked
    /// can still say who it is: whoever was robbed of a device must be able to revoke it.
    pub(crate) async fn unblocked_caller(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        let caller = self.caller(metadata).await?;
        unblocked(&caller.view)?;
        Ok(caller)
    }

    /// Which active device is behind a token: a key that is none has nothing to say to devices.
    pub(crate) async fn device(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        let caller = self.unblocked_caller(metadata).await?;
        if is_active(&caller.view, &caller.session.device) {
            Ok(caller)
        } else {
            Err(refusals::no_device())
        }
    }

    fn audience<'a>(&self, extensions: &'a Extensions) -> Result<&'a str, Status> {
        let Authority(dialled) = extensions.get::<Authority>().ok_or_else(unknown_audience)?;
        self.audiences.check(dialled).ok_or_else(unknown_audience)
    }
}

/// Whether a key that was proved may open a session: an active device; as they sign otherwise, the
/// root or recovery key; or an enrolment key that can still add a device. The owner of a key that
/// was cut off may know it.
fn admit(log: &IdentityLog, as_root: bool, key: &PublicKey, now_ms: i64) -> Result<(), Status> {
    let id = key.device_id();
    if as_root {
        let recovery = log.recovery_key().is_some_and(|own| own.key == *key);
        return if recovery || log.is_root(key, now_ms) {
            Ok(())
        } else {
            Err(invalid())
        };
    }
    match (log.device(&id), log.enrolment(&id)) {
        (Some(device), _) if device.state == DeviceState::Active => Ok(()),
        (Some(_), _) => Err(revoked()),
        (None, Some(enrolment)) if enrolment.is_open(now_ms) => Ok(()),
        (None, Some(_)) => Err(refusals::enrolment_ended()),
        (None, None) => Err(invalid()),
    }
}

/// Whether a session is that of an active device, of the root or recovery key of this time, or of
/// an enrolment key. One that was used up meanwhile may ask for its answer again.
pub(crate) fn may_speak(view: &LogView, device: &DeviceId, now_ms: i64) -> bool {
    let log = &view.log;
    match (log.device(device), log.enrolment(device)) {
        (Some(record), _) => record.state == DeviceState::Active,
        (None, Some(enrolment)) => !enrolment.ended,
        (None, None) => {
            let recovery = log.recovery_key().map(|own| own.key.device_id());
            recovery == Some(*device) || log.is_root_id(device, now_ms)
        }
    }
}

/// Refuses what is more than statements to an identity that the operator blocked.
pub(crate) fn unblocked(view: &LogView) -> Result<(), Status> {
    match view.terms.block {
        Some(_) => Err(store_refusal(&StoreError::Blocked)),
        None => Ok(()),
    }
}

/// Whether it is a device that the log has not ended.
pub(crate) fn is_active(view: &LogView, device: &DeviceId) -> bool {
    let record = view.log.device(device);
    record.is_some_and(|record| record.state == DeviceState::Active)
}

/// Refuses a device that the log has ended.
pub(crate) fn revoked() -> Status {
    refusal(Reason::DeviceRevoked, "this device was revoked or replaced")
}

/// Ends what lives no longer than a session.
pub(crate) fn session_ended() -> Status {
    refusal(Reason::SessionInvalid, "the session ended")
}

fn bearer(metadata: &MetadataMap) -> Option<&str> {
    let value = metadata.get("authorization")?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn invalid() -> Status {
    refusal(Reason::ChallengeInvalid, "the challenge is not valid")
}

fn no_session() -> Status {
    refusal(Reason::SessionInvalid, "no session fits the token")
}

fn unknown_audience() -> Status {
    refusal(
        Reason::AudienceUnknown,
        "the service does not answer to this name",
    )
}
