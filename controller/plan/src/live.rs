//! What the live pods of a component request, held against what is charged for it.
//!
//! Counting pods is not enough: with `OnDelete` or a paused rollout the pods of an earlier
//! decision run on, each as large as it was.

#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use heyun_crds::workload::Assignment;
use heyun_scheduler::resources::{PODS, Resources};

use crate::observe::amounts;
use crate::sketch::PodFacts;

/// What one pod requests and is charged: all but what a RuntimeClass of the member adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask(Resources);

impl Ask {
    /// What a pod requests.
    pub fn of(pod: &PodFacts) -> Self {
        let own = pod.requests.checked_sub(&pod.overhead);
        Self(own.unwrap_or_else(|| pod.requests.clone()))
    }
}

/// The live pods of one component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    pods: u32,
    together: Resources,
    largest: Resources,
}

impl Live {
    /// How many there are.
    pub fn pods(&self) -> u32 {
        self.pods
    }

    /// Adds one more.
    pub fn add(&mut self, ask: &Ask) {
        self.pods = self.pods.saturating_add(1);
        self.together.saturating_add_assign(&ask.0);
        self.largest = Resources::larger(&self.largest, &ask.0);
    }

    /// Adds those of another.
    pub fn join(&mut self, other: &Self) {
        self.pods = self.pods.saturating_add(other.pods);
        self.together.saturating_add_assign(&other.together);
        self.largest = Resources::larger(&self.largest, &other.largest);
    }

    /// Whether they request no more than an assignment is charged. A DaemonSet, whose number of
    /// pods changes with the member's nodes, is judged by each of its pods.
    pub fn is_charged(&self, assignment: &Assignment) -> bool {
        if assignment.component.starts_with("DaemonSet/") {
            within(&self.largest, &amounts::taken(&assignment.requests))
        } else {
            within(&self.together, &amounts::taken(&assignment.charge))
        }
    }
}

/// No resource is requested beyond what is charged; pods themselves are not charged.
fn within(requested: &Resources, charged: &Resources) -> bool {
    let mut each = requested.iter().filter(|(name, _)| *name != PODS);
    each.all(|(name, amount)| amount <= charged.get(name))
}

#[cfg(test)]
mod tests {
    use heyun_crds::common::ResourceMap;
    use heyun_crds::quantity::Quantity;

    use super::*;

    fn ask(cpu: i64, overhead: i64) -> Ask {
        Ask::of(&PodFacts {
            requests: Resources::new().with("cpu", cpu).with("memory", 64),
            overhead: Resources::new().with("cpu", overhead),
            ..PodFacts::default()
        })
    }

    fn live(asks: &[Ask]) -> Live {
        let mut live = Live::default();
        for ask in asks {
            live.add(ask);
        }
        live
    }

    fn assignment(component: &str) -> Assignment {
        let map = |cpu: &str, memory: &str| -> ResourceMap {
            [("cpu", cpu), ("memory", memory)]
                .map(|(name, amount)| (name.to_owned(), Quantity::from(amount)))
                .into()
        };
        Assignment {
            component: component.to_owned(),
            replicas: 2,
            requests: map("10m", "64"),
            charge: map("20m", "128"),
            ..Assignment::default()
        }
    }

    #[test]
    fn pods_of_an_earlier_size_are_not_covered_by_a_smaller_charge() {
        let db = assignment("StatefulSet/db");
        assert!(live(&[]).is_charged(&db));
        assert!(live(&[ask(10, 0), ask(10, 0)]).is_charged(&db));
        assert!(!live(&[ask(10, 0), ask(10_000, 0)]).is_charged(&db));
        assert!(
            !live(&[ask(0, 0), ask(0, 0), ask(0, 0)]).is_charged(&db),
            "memory"
        );
        let mut device = Live::default();
        device.add(&Ask(Resources::new().with("example.com/gpu", 1)));
        assert!(!device.is_charged(&db), "what is not charged at all");
        device = Live::default();
        device.add(&Ask(Resources::new().with(PODS, 1)));
        assert!(device.is_charged(&db));
    }

    #[test]
    fn what_the_member_adds_is_not_held_against_the_tenant() {
        let db = assignment("StatefulSet/db");
        assert!(live(&[ask(260, 250), ask(260, 250)]).is_charged(&db));
    }

    #[test]
    fn a_daemon_set_is_judged_by_its_largest_pod() {
        let agent = assignment("DaemonSet/agent");
        let many = [ask(10, 0), ask(10, 0), ask(10, 0)];
        assert!(live(&many).is_charged(&agent));
        let mut both = live(&many);
        both.join(&live(&[ask(11, 0)]));
        assert_eq!(both.pods(), 4);
        assert!(!both.is_charged(&agent));
    }
}
