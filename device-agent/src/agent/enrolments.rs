//! Enrolment keys, as an application makes and ends them.

use edge_ledger_core::identity::Act;
use edge_ledger_core::identity::statement::SigningAs;
use edge_ledger_core::ids::DeviceId;

use super::Agent;
use crate::enrolment::{Enrolment, EnrolmentInfo, EnrolmentToken};
use crate::error::AgentError;

impl Agent {
    /// Makes a token that nobody knows yet: keep it, then let it
    /// [add devices](Self::open_enrolment).
    pub fn enrolment_token(&self) -> EnrolmentToken {
        let membership = &self.shared.membership;
        EnrolmentToken::new(
            membership.genesis.ledger_id(),
            membership.identity,
            membership.identity_urls.clone(),
            rand::random(),
        )
    }

    /// Lets a token add devices, which have no admin rights and take nobody's place. This device
    /// must be an admin. They end with this device's lineage, the token before them.
    ///
    /// # Errors
    /// [`AgentError::Refused`], such as `PROBATION`, `STATEMENT_LIMIT` when this device made as
    /// many as it may, or `BAD_MESSAGE` for uses or a life out of their limits;
    /// [`AgentError::Unreachable`].
    pub async fn open_enrolment(
        &self,
        token: &EnrolmentToken,
        enrolment: &Enrolment,
    ) -> Result<EnrolmentInfo, AgentError> {
        self.check_log()?;
        let mut session = self.sign_in().await?;
        let life_ms = i64::try_from(enrolment.life.as_millis()).unwrap_or(i64::MAX);
        let expires_ms = session.began_ms().saturating_add(life_ms);
        let act = |_: &_| Act::EnrolmentKey {
            key: token.key().public_key(),
            uses: enrolment.uses,
            expires_ms,
            name: enrolment.name.clone(),
        };
        let newcomer = Some(SigningAs::Enrolment(token.key()));
        self.state_in(&mut session, act, newcomer).await?;
        let opened = self.enrolments().into_iter().find(|e| e.id == token.id());
        let missing = || AgentError::Untrusted("the log does not hold the key".to_owned());
        opened.ok_or_else(missing)
    }

    /// All enrolment keys that ever were in the log, in the order in which they were made.
    pub fn enrolments(&self) -> Vec<EnrolmentInfo> {
        let log = self.log();
        let mut all: Vec<EnrolmentInfo> = log
            .enrolments()
            .map(|record| EnrolmentInfo::new(record, &log))
            .collect();
        all.sort_by_key(|enrolment| enrolment.added_at);
        all
    }

    /// Ends an enrolment key. What it added stays. This device must be an admin.
    ///
    /// # Errors
    /// [`AgentError::UnknownEnrolment`]; [`AgentError::Refused`], such as `ENROLMENT_ENDED` when it
    /// was ended before; [`AgentError::Unreachable`].
    pub async fn revoke_enrolment(&self, id: DeviceId) -> Result<(), AgentError> {
        let key = self.log().enrolment(&id).map(|record| record.key);
        let key = key.ok_or(AgentError::UnknownEnrolment)?;
        let act = |_: &_| Act::RevokeEnrolment { key };
        self.state_act(act).await.map(|_| ())
    }
}
