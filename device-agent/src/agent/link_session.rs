//! The linked device's end of linking, for the application.

use edge_ledger_core::identity::{Act, DeviceState, IdentityLog};
use edge_ledger_core::ids::DeviceId;

use super::Agent;
use crate::error::AgentError;
use crate::link::LinkStream;

/// A link session of a linked device.
#[expect(missing_debug_implementations, reason = "holds a link code")]
pub struct LinkSession {
    pub(super) agent: Agent,
    pub(super) stream: LinkStream,
    pub(super) code: String,
    pub(super) link: String,
    pub(super) expires_in_s: u32,
}

/// A device that wants to join, and then has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joining {
    /// The new device.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Its platform.
    pub platform: String,
    /// Whether it may sign statements about others.
    pub admin: bool,
}

impl LinkSession {
    /// The code to type.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The link to scan or to send: it also names the service and the deployment.
    pub fn link(&self) -> &str {
        &self.link
    }

    /// Seconds until the session ends.
    pub fn expires_in_s(&self) -> u32 {
        self.expires_in_s
    }

    /// Waits for the new device, links it, and tells it so. `seen` hears who asks before it is
    /// linked.
    ///
    /// # Errors
    /// [`AgentError::LinkEnded`] when nobody came or the codes differ, [`AgentError::Refused`].
    pub async fn accept(
        mut self,
        admin: bool,
        seen: impl FnOnce(&Joining),
    ) -> Result<Joining, AgentError> {
        let certificate = self.stream.offer(&self.agent.log()).await?;
        let joining = Joining {
            device: certificate.key().device_id(),
            name: certificate.name().to_owned(),
            platform: certificate.platform().to_owned(),
            admin,
        };
        seen(&joining);
        let add = |_: &IdentityLog| Act::AddDevice {
            certificate: Box::new(certificate.clone()),
            admin,
        };
        let added = match self.agent.log().device(&joining.device).map(|d| d.state) {
            // A new device that lost the answer asks again with the same key.
            Some(DeviceState::Active) => self.agent.sign_in().await,
            _ => self.agent.state_act(add).await,
        };
        match added {
            Ok(_) => {
                let position = self.agent.log().head().position;
                self.stream.welcome(position).await?;
                Ok(joining)
            }
            Err(error) => {
                self.stream.refuse(&error.to_string()).await;
                Err(error)
            }
        }
    }
}
