//! A device that ends itself.

use edge_ledger_core::identity::{DeviceRecord, DeviceState, RevokeReason};
use edge_ledger_core::ids::DeviceId;

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

    /// When there is an admin with admin rights again once a device's lineage has ended, in
    /// milliseconds since 1970, by service time: if all that remain are in probation. Until then
    /// nobody but the root key can link, rename or revoke. Tell the person before.
    pub fn admin_again_ms(&self, ended: DeviceId) -> Option<i64> {
        let (log, now_ms) = (self.log(), self.now_ms());
        let lineage = log.lineage(&ended);
        let admins = || {
            log.devices()
                .map(|(_, device)| device)
                .filter(|d| d.admin && d.state == DeviceState::Active)
        };
        let may = |device: &&DeviceRecord| !device.in_probation(now_ms);
        if !admins().any(|device| may(&device)) {
            // It ends nobody's rights.
            return None;
        }
        let stay: Vec<_> = admins().filter(|d| Some(d.lineage) != lineage).collect();
        if stay.iter().any(may) {
            return None;
        }
        stay.iter().filter_map(|d| d.probation_ends_ms).min()
    }
}
