//! The queue: the order in which Workloads that wait are decided, and who of those before one asks
//! for the same.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use heyun_scheduler::request::{Request, WorkloadKey};
use heyun_scheduler::resources::PODS;
use heyun_scheduler::verdict::WorkloadReason;

/// The most Workloads before one that are looked at: the nearest.
pub const LOOKS_MAX: usize = 64;
/// The most of them that are named.
pub const NAMED_MAX: usize = 5;

/// How one that waits stands to others: the smaller goes first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// There is an emergency.
    pub emergency: Reverse<bool>,
    /// Others are making room for it.
    pub kept: Reverse<bool>,
    /// Its priority; higher goes first.
    pub priority: Reverse<i32>,
    /// What its tenant and those above borrow:
    /// [`heyun_scheduler::quota::QuotaTree::standing`].
    pub shares: Vec<u64>,
    /// When it was created, in seconds since 1970; older goes first.
    pub created: i64,
}

/// A Workload that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits<'a> {
    /// The Workload.
    pub key: &'a WorkloadKey,
    /// How it stands to others.
    pub rank: Rank,
}

impl<'a> Waits<'a> {
    /// As the scheduler orders those that wait.
    fn order(self) -> (Rank, &'a WorkloadKey) {
        (self.rank, self.key)
    }
}

/// The place of one among all that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place<'a> {
    /// Its position, from 1.
    pub position: u32,
    /// How many wait.
    pub waiting: u32,
    /// The nearest before it, the nearest first; [`LOOKS_MAX`] at most.
    pub nearest: Vec<&'a WorkloadKey>,
}

/// The place of `key`, in whatever order the others come; `None` where it does not wait.
pub fn place<'a>(
    waiting: impl Iterator<Item = Waits<'a>> + Clone,
    key: &WorkloadKey,
) -> Option<Place<'a>> {
    let own = waiting.clone().find(|of| of.key == key)?.order();
    let mut place = Place {
        position: 1,
        ..Place::default()
    };
    // The smallest of those that are kept is the farthest.
    let mut nearest = BinaryHeap::new();
    for of in waiting {
        place.waiting = place.waiting.saturating_add(1);
        let order = of.order();
        if order >= own {
            continue;
        }
        place.position = place.position.saturating_add(1);
        nearest.push(Reverse(order));
        if nearest.len() > LOOKS_MAX {
            nearest.pop();
        }
    }
    let mut nearest: Vec<_> = nearest.into_iter().map(|Reverse(order)| order).collect();
    nearest.sort_unstable_by(|one, other| other.cmp(one));
    place.nearest = nearest.into_iter().map(|(_, key)| key).collect();
    Some(place)
}

/// Whether `other` asks for what `mine` waits for: of a quota, the same line below the tenant whose
/// number binds; else some resource on nodes of some same flavor. `is_within` says whether a tenant
/// (the second) is another (the first) or below it.
pub fn asks_the_same(
    reason: &WorkloadReason,
    mine: &Request,
    other: &Request,
    is_within: impl Fn(&str, &str) -> bool,
) -> bool {
    let flavors =
        |of: &Request| -> BTreeSet<String> { of.placement.flavors.iter().cloned().collect() };
    match reason {
        WorkloadReason::QuotaExceeded(short) | WorkloadReason::Oversubscribed(short) => {
            let flavors = flavors(other);
            let takes = flavors.is_empty() || flavors.contains(&short.key.flavor);
            takes
                && resources(other).contains(short.key.resource.as_str())
                && is_within(&short.binding.node, &other.tenant)
        }
        _ => {
            let (ours, theirs) = (flavors(mine), flavors(other));
            let open = ours.is_empty() || theirs.is_empty();
            (open || !ours.is_disjoint(&theirs)) && !resources(mine).is_disjoint(&resources(other))
        }
    }
}

/// The resources that it asks for, but for the count of pods.
fn resources(of: &Request) -> BTreeSet<&str> {
    let all = of
        .components
        .iter()
        .filter(|component| component.replicas > 0);
    all.flat_map(|component| component.per_replica.iter())
        .filter(|(name, amount)| *amount > 0 && *name != PODS)
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use heyun_scheduler::quota::{Binding, Key, Limit, Shortfall};
    use heyun_scheduler::request::PlacementSpec;
    use heyun_scheduler::{Component, Resources};

    use super::*;

    fn waits(key: &WorkloadKey, priority: i32, created: i64) -> Waits<'_> {
        let rank = Rank {
            priority: Reverse(priority),
            created,
            ..Rank::default()
        };
        Waits { key, rank }
    }

    #[test]
    fn those_of_higher_priority_then_the_older_then_by_name_go_first() {
        let keys = ["a", "b", "c", "d", "e"].map(|name| WorkloadKey::new("ns", name));
        let [mine, older, as_old, urgent, least] = &keys;
        let mut all = vec![
            waits(mine, 0, 9),
            waits(older, 0, 5),
            waits(as_old, 0, 5),
            waits(urgent, 7, 99),
            waits(least, -1, 0),
        ];
        for _ in 0..2 {
            let found = place(all.iter().cloned(), mine).unwrap();
            assert_eq!((found.position, found.waiting), (4, 5));
            assert_eq!(found.nearest, [as_old, older, urgent]);
            all.reverse();
        }
        let first = place(all.iter().cloned(), urgent).unwrap();
        assert_eq!((first.position, first.nearest.len()), (1, 0));
        assert_eq!(place(all.into_iter(), &WorkloadKey::new("ns", "z")), None);
    }

    #[test]
    fn emergencies_and_those_with_room_to_come_go_before_and_who_borrows_more_after() {
        let rank = |change: fn(&mut Rank)| {
            let mut rank = Rank {
                priority: Reverse(5),
                shares: vec![0, 10, 20],
                created: 5,
                ..Rank::default()
            };
            change(&mut rank);
            rank
        };
        let order = [
            rank(|rank| rank.emergency = Reverse(true)),
            rank(|rank| rank.kept = Reverse(true)),
            rank(|rank| rank.priority = Reverse(6)),
            rank(|rank| rank.shares = vec![0, 9, 99]),
            rank(|rank| rank.created = 4),
            rank(|_| {}),
            rank(|rank| rank.shares = vec![0, 10, 21]),
        ];
        assert!(order.is_sorted(), "{order:#?}");
    }

    #[test]
    fn of_very_many_the_nearest_are_looked_at() {
        let keys: Vec<WorkloadKey> = (0..500)
            .map(|n| WorkloadKey::new("ns", format!("w{n:03}")))
            .collect();
        let all = keys.iter().map(|key| waits(key, 0, 0));
        let found = place(all, &keys[400]).unwrap();
        assert_eq!((found.position, found.waiting), (401, 500));
        assert_eq!(found.nearest.len(), LOOKS_MAX);
        assert_eq!(found.nearest[0], &keys[399]);
        assert_eq!(found.nearest[LOOKS_MAX - 1], &keys[400 - LOOKS_MAX]);
    }

    fn request(tenant: &str, flavors: &[&str], resource: &str) -> Request {
        Request {
            tenant: tenant.to_owned(),
            components: vec![Component {
                replicas: 1,
                per_replica: Resources::new().with(resource, 1),
                ..Component::default()
            }],
            placement: PlacementSpec {
                flavors: flavors.iter().map(|&name| name.to_owned()).collect(),
                ..PlacementSpec::default()
            },
            ..Request::default()
        }
    }

    #[test]
    fn the_same_is_asked_for_by_flavor_resource_and_quota() {
        let below = |root: &str, tenant: &str| tenant.starts_with(root);
        let mine = request("city/a", &["arm"], "cpu");
        let room = WorkloadReason::NoCapacity {
            component: "Deployment/web".to_owned(),
            needed: 1,
            fits: 0,
        };
        let same = |other: &Request| asks_the_same(&room, &mine, other, below);
        assert!(same(&request("other", &["amd", "arm"], "cpu")));
        assert!(same(&request("other", &[], "cpu")), "any flavor");
        assert!(!same(&request("other", &["amd"], "cpu")));
        assert!(!same(&request("other", &["arm"], "memory")));
        let quota = WorkloadReason::QuotaExceeded(Shortfall {
            node: "city/a".to_owned(),
            key: Key::new("arm", "cpu"),
            needed: 2,
            available: 1,
            binding: Binding {
                node: "city".to_owned(),
                limit: Limit::Ceiling,
            },
        });
        let same = |other: &Request| asks_the_same(&quota, &mine, other, below);
        assert!(same(&request("city/b", &["arm"], "cpu")));
        assert!(!same(&request("town/b", &["arm"], "cpu")), "another quota");
        assert!(!same(&request("city/b", &["amd"], "cpu")));
    }
}
