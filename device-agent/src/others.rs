//! The other devices of an identity, when a root key brings in one: it can end them before it adds
//! that, so that none of them is in its way.

use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::identity::{Act, DeviceState, IdentityLog, RevokeReason};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::keys::SecretKey;
use edge_ledger_core::limits::{DEVICES_ACTIVE_BY_ROOT, DEVICES_ACTIVE_MAX};

use crate::error::AgentError;
use crate::identity_client::IdentitySession;
use crate::statement;

/// The reason of a refusal to end the last admin of an identity without a recovery key.
const LAST_ADMIN: &str = "LAST_ADMIN";

/// What becomes of the other devices of an identity when a root key brings in one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Others {
    /// They stay linked.
    #[default]
    Stay,
    /// They are revoked as lost, and the enrolment keys that are open end.
    Revoke,
}

/// The root key at work in an identity's log.
pub(crate) struct RootAtWork<'a> {
    pub(crate) session: IdentitySession,
    pub(crate) root: &'a SecretKey,
    /// The device that comes in.
    pub(crate) own: DeviceId,
    pub(crate) log: IdentityLog,
    /// What was read of the log, and said in it.
    pub(crate) gained: Vec<ReceiptParts>,
    /// The devices that were ended.
    pub(crate) revoked: Vec<DeviceId>,
}

impl RootAtWork<'_> {
    /// Says an act, unless the log says that it is done.
    pub(crate) async fn say(
        &mut self,
        is_done: impl Fn(&IdentityLog) -> bool,
        act: Act,
    ) -> Result<(), AgentError> {
        let keys = [SigningAs::Root(self.root)];
        let act = |_: &IdentityLog| act.clone();
        let parts = statement::append(&mut self.session, &self.log, is_done, act, &keys).await?;
        self.take(parts)
    }

    fn take(&mut self, parts: Vec<ReceiptParts>) -> Result<(), AgentError> {
        self.log = statement::grown(&self.log, &parts)?;
        self.gained.extend(parts);
        Ok(())
    }

    /// Ends the other devices and the enrolment keys. Who can add devices goes first, so whatever a
    /// thief adds meanwhile, there is an end to it. The last admin of an identity without a
    /// recovery key stays until the new device is in the log: then only room is made for that.
    pub(crate) async fn end_others(&mut self) -> Result<(), AgentError> {
        let parts = self.session.log_after(self.log.head().position).await?;
        self.take(parts)?;
        let mut last_admin = None;
        while let Some(act) = self.next_end(last_admin) {
            let said = self.say(|log| !is_open(log, &act), act.clone()).await;
            let Act::Revoke { device, .. } = act else {
                said?;
                continue;
            };
            match said {
                Ok(()) => self.revoked.push(device),
                Err(AgentError::Refused(refusal)) if refusal.reason == LAST_ADMIN => {
                    last_admin = Some(device);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What is to be ended next: admins, then enrolment keys, then admins that wait for their
    /// rights, then all others.
    fn next_end(&self, last_admin: Option<DeviceId>) -> Option<Act> {
        let now_ms = self.log.time().max(self.session.began_ms());
        let others = || {
            self.log.devices().filter(|(id, device)| {
                let meant = **id != self.own && Some(**id) != last_admin;
                meant && device.state == DeviceState::Active
            })
        };
        let revoke = |(id, _): (&DeviceId, _)| Act::Revoke {
            device: *id,
            reason: RevokeReason::Lost,
            tips: Vec::new(),
        };
        let admin = others().find(|(_, device)| device.admin && !device.in_probation(now_ms));
        if let Some(admin) = admin {
            return Some(revoke(admin));
        }
        if let Some(enrolment) = self.log.enrolments().find(|e| e.is_open(now_ms)) {
            return Some(Act::RevokeEnrolment { key: enrolment.key });
        }
        let room = DEVICES_ACTIVE_MAX + DEVICES_ACTIVE_BY_ROOT - 2;
        if last_admin.is_some() && others().count() <= room {
            return None;
        }
        let waiting = others().find(|(_, device)| device.admin);
        waiting.or_else(|| others().next()).map(revoke)
    }
}

/// Whether what an act ends has not ended yet.
fn is_open(log: &IdentityLog, act: &Act) -> bool {
    if let Act::RevokeEnrolment { key } = act {
        return log.enrolment(&key.device_id()).is_some_and(|e| !e.ended);
    }
    if let Act::Revoke { device, .. } = act {
        let device = log.device(device);
        return device.is_some_and(|device| device.state == DeviceState::Active);
    }
    false
}
