//! The linked device's end of linking, for the application.

use edge_ledger_core::identity::{Act, DeviceState, IdentityLog};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::limits::DEVICES_ACTIVE_MAX;

use super::Agent;
use crate::error::{AgentError, DEVICE_LIMIT, LINK_TAKEN, Refusal};
use crate::limits::{NAMEPLATE_TRIES_MAX, NUMBER_TRIES_MAX};
use crate::link::{self, Applicant, LinkCode, LinkStream};

/// A link session of a linked device, to which nobody has come yet.
#[expect(missing_debug_implementations, reason = "holds a link code")]
pub struct LinkSession {
    agent: Agent,
    stream: LinkStream,
    code: LinkCode,
    link: String,
    expires_in_s: u32,
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
    /// The device that it takes the place of, if it does.
    pub replaces: Option<DeviceId>,
    /// Whether it may sign statements about others.
    pub admin: bool,
}

/// A new device that waits for a person's word. When this is dropped, it is not let in.
#[expect(missing_debug_implementations, reason = "holds the number")]
pub struct JoinRequest {
    agent: Agent,
    joining: Joining,
    applicant: Box<Applicant>,
    tries_left: u32,
}

/// What came of a number that a person typed.
#[expect(missing_debug_implementations, reason = "may hold the number")]
pub enum Decided {
    /// It was the right one, and the device is linked.
    Linked(Joining),
    /// It was a wrong one; it can be typed again, this many times.
    WrongNumber(JoinRequest, u32),
}

impl Agent {
    /// Opens a link session: show its code to the person at the new device, then wait for the
    /// [`request`](LinkSession::request).
    ///
    /// # Errors
    /// [`AgentError::Unreachable`], [`AgentError::Refused`], such as `PROBATION` or
    /// `DEVICE_LIMIT`: before anybody has
    /// gone to the new device.
    pub async fn link(&self) -> Result<LinkSession, AgentError> {
        let mut session = self.sign_in().await?;
        self.check_probation(session.began_ms())?;
        self.check_room()?;
        let mut tries_left = NAMEPLATE_TRIES_MAX;
        loop {
            let code = LinkCode::new(rand::random());
            tries_left -= 1;
            match link::open(&mut session, &code).await {
                // Another session has this nameplate, of which there are 33 million.
                Err(AgentError::Refused(refusal))
                    if refusal.reason == LINK_TAKEN && tries_left > 0 => {}
                Err(error) => return Err(error),
                Ok((stream, expires_in_s)) => {
                    let membership = &self.shared.membership;
                    let ledger_id = membership.genesis.ledger_id();
                    return Ok(LinkSession {
                        agent: self.clone(),
                        stream,
                        link: code.link(session.client().url(), ledger_id),
                        code,
                        expires_in_s,
                    });
                }
            }
        }
    }

    /// Refuses what the service would refuse at the end: an identity with as many devices as it may
    /// have takes no further one.
    fn check_room(&self) -> Result<(), AgentError> {
        let log = self.log();
        let active = log
            .devices()
            .filter(|(_, device)| device.state == DeviceState::Active);
        if active.count() < DEVICES_ACTIVE_MAX {
            return Ok(());
        }
        Err(AgentError::Refused(Refusal {
            reason: DEVICE_LIMIT.to_owned(),
            message: format!("the identity has {DEVICES_ACTIVE_MAX} active devices already"),
        }))
    }
}

impl LinkSession {
    /// The code to type: 12 letters and digits.
    pub fn code(&self) -> String {
        self.code.typed()
    }

    /// The link to scan or to send: it also names the service and the deployment.
    pub fn link(&self) -> &str {
        &self.link
    }

    /// Seconds until the session ends.
    pub fn expires_in_s(&self) -> u32 {
        self.expires_in_s
    }

    /// Waits for a new device, which is linked once [`approve`](JoinRequest::approve) is given the
    /// number that it shows. With `admin` it may then sign statements about others.
    ///
    /// # Errors
    /// [`AgentError::LinkEnded`] when nobody came in time, or whoever came had another code: show
    /// a new one then, as each is good for one guess.
    pub async fn request(self, admin: bool) -> Result<JoinRequest, AgentError> {
        let log = self.agent.log();
        let applicant = self.stream.applicant(&self.code, &log, rand::random());
        let applicant = applicant.await?;
        let certificate = &applicant.certificate;
        Ok(JoinRequest {
            joining: Joining {
                device: certificate.key().device_id(),
                name: certificate.name().to_owned(),
                platform: certificate.platform().to_owned(),
                replaces: certificate.replaces(),
                admin,
            },
            agent: self.agent,
            applicant: Box::new(applicant),
            tries_left: NUMBER_TRIES_MAX,
        })
    }
}

impl JoinRequest {
    /// Who asks, and what it would be allowed: to be shown to the person before the number is
    /// typed.
    pub fn joining(&self) -> &Joining {
        &self.joining
    }

    /// Waits until the session ends without a decision, and returns why: the new device left, or
    /// the time is over.
    pub async fn gone(&mut self) -> AgentError {
        self.applicant.gone().await
    }

    /// Links the device, if the number is the one that it shows; spaces in it do not matter.
    ///
    /// # Errors
    /// [`AgentError::LinkNumber`] after the third wrong number, which ends the session;
    /// [`AgentError::LinkEnded`], [`AgentError::Refused`].
    pub async fn approve(mut self, number: &str) -> Result<Decided, AgentError> {
        if self.applicant.number.is(number) {
            return self.link().await.map(Decided::Linked);
        }
        self.tries_left = self.tries_left.saturating_sub(1);
        let left = self.tries_left;
        if left > 0 {
            return Ok(Decided::WrongNumber(self, left));
        }
        self.refuse("the number was another one").await;
        Err(AgentError::LinkNumber)
    }

    /// Tells the device that it is not let in.
    pub async fn refuse(self, why: &str) {
        self.applicant.refuse(why).await;
    }

    async fn link(self) -> Result<Joining, AgentError> {
        let Self {
            agent,
            joining,
            applicant,
            ..
        } = self;
        let certificate = applicant.certificate.clone();
        let add = |_: &IdentityLog| Act::AddDevice {
            certificate: Box::new(certificate.clone()),
            admin: joining.admin,
        };
        let added = match agent.log().device(&joining.device).map(|d| d.state) {
            // A new device that lost the answer asks again with the same key.
            Some(DeviceState::Active) => agent.sign_in().await,
            _ => agent.state_act(add).await,
        };
        match added {
            Ok(_) => {
                applicant.welcome(agent.log().head().position).await?;
                Ok(joining)
            }
            Err(error) => {
                applicant.refuse(&error.to_string()).await;
                Err(error)
            }
        }
    }
}
