//! ResourceRequests, and what they are judged by.

use heyun_plan::requests::Scene;
use jiff::Timestamp;

use super::kinds::Effect;
use super::{Dirty, World};

impl World {
    /// Takes in that a request, or what it is judged by, changed.
    pub(super) fn see_requests(&mut self, effect: Effect, dirty: &mut Dirty) {
        dirty.quotas |= effect.changed();
        dirty.requests |= effect.changed();
        self.note(effect.completed);
    }

    /// What requests are judged by at this moment.
    pub fn requested(&self, now: Timestamp) -> Scene<'_> {
        Scene {
            requests: self.requests.map(),
            approvals: self.approvals.map(),
            policies: self.policies.map(),
            quotas: self.quotas.map(),
            tenants: &self.tree,
            now,
        }
    }
}
