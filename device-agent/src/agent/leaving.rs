//! A device that ends itself.

use edge_ledger_core::identity::{DeviceState, RevokeReason};

use super::Agent;
use crate::error::AgentError;

impl Agent {
    /// Ends this device's own lineage: it is no longer used. What the service does not have yet is
    /// lost, so [`sync`](Self::sync) first and look at
    /// [`unacked_entries`](crate::Status::unacked_entries). From here on this device can only be
    /// looked at.
    ///
    /// # Errors
    /// As [`revoke`](Self::revoke): the [last admin](Self::is_last_admin) cannot leave.
    pub async fn leave(&self) -> Result<(), AgentError> {
        self.revoke(self.status().device, RevokeReason::Retired)
            .await
    }

    /// Whether this is the only admin, of an identity without a recovery key: it cannot be ended.
    pub fn is_last_admin(&self) -> bool {
        let log = self.log();
        let lineage = log.lineage(&self.status().device);
        let mut admins = log
            .devices()
            .filter(|(_, device)| device.admin && device.state == DeviceState::Active);
        log.recovery_key().is_none() && admins.all(|(_, d)| Some(d.lineage) == lineage)
    }
}
