//! What a new tenant tree changes: whose Workloads are looked at again, and whose charge moves.
//! Most changes are of one tenant, and the Workloads of all others cost nothing then.

use std::collections::{BTreeMap, BTreeSet};

use heyun_plan::preempt::Class;
use heyun_plan::tenants::{TenantNode, TenantTree};
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::wake::Event;
use kube::ResourceExt;

use super::Operator;

/// What differs between two trees.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    /// Tenants of which anything differs.
    tenants: BTreeSet<String>,
    /// Namespaces that belong to another tenant: what is held there is charged to another.
    moved: BTreeSet<String>,
    /// Namespaces whose Workloads may mean something else, those above among them.
    touched: BTreeSet<String>,
    /// A tenant that was there or is stands elsewhere in the tree, or allows something else.
    rules: bool,
}

/// What differs between these trees.
fn difference(old: &TenantTree, new: &TenantTree) -> Difference {
    let mut difference = Difference::default();
    let mut altered: BTreeSet<&str> = BTreeSet::new();
    for node in old.iter().chain(new.iter()) {
        let (before, after) = (old.get(&node.name), new.get(&node.name));
        if before == after {
            continue;
        }
        difference.tenants.insert(node.name.clone());
        let both = before.zip(after);
        difference.rules |= both.is_none_or(|(one, other)| !rules_the_same(one, other));
        if both.is_none_or(|(one, other)| !means_the_same(one, other)) {
            altered.insert(&node.name);
        }
    }
    for tree in [old, new] {
        for node in tree.iter().filter(|node| !node.namespaces.is_empty()) {
            // Refusals name who decides, anywhere on the path.
            let differs = tree
                .lineage(&node.name)
                .any(|above| altered.contains(above.name.as_str()));
            for namespace in &node.namespaces {
                let owner = |tree: &TenantTree| tree.tenant_of(namespace).map(|n| n.name.clone());
                let moved = owner(old) != owner(new);
                if moved {
                    difference.moved.insert(namespace.clone());
                }
                if moved || differs {
                    difference.touched.insert(namespace.clone());
                }
            }
        }
    }
    difference
}

/// Whether a tenant's Workloads mean what they meant: children, texts and generations of it aside.
fn means_the_same(one: &TenantNode, other: &TenantNode) -> bool {
    one.uid == other.uid
        && one.kind == other.kind
        && one.placed == other.placed
        && one.parent == other.parent
        && one.path == other.path
        && one.own_guardrails == other.own_guardrails
        && one.guardrails == other.guardrails
}

/// Whether a tenant is to every decision what it was.
fn rules_the_same(one: &TenantNode, other: &TenantNode) -> bool {
    one.kind == other.kind
        && one.placed == other.placed
        && one.parent == other.parent
        && one.admin_level == other.admin_level
        && one.own_guardrails == other.own_guardrails
}

/// Those of a map's keys that are in one of these namespaces.
fn within<V>(
    map: &BTreeMap<WorkloadKey, V>,
    namespaces: &BTreeSet<String>,
) -> BTreeSet<WorkloadKey> {
    let mut keys = BTreeSet::new();
    for namespace in namespaces {
        let first = WorkloadKey::new(namespace.as_str(), "");
        let there = map.range(first..).map(|(key, _)| key);
        keys.extend(there.take_while(|key| key.namespace == *namespace).cloned());
    }
    keys
}

impl Operator {
    /// Computes the tenant tree anew, and has looked at what that changes.
    pub(super) fn replant(&mut self) {
        let old = self.world.tree.clone();
        let told = self.world.told();
        self.world.plant();
        let mut difference = difference(&old, &self.world.tree);
        // Who is told of to others of its tenant may be another one, too.
        let now = self.world.told();
        if now != told {
            self.dirty
                .happened
                .note(Event::NeighbourChanged { tenant: None });
        }
        if !difference.moved.is_empty() {
            // What is held there is charged to another.
            self.dirty.happened.note(Event::Anything);
        } else if difference.rules {
            self.dirty.happened.note(Event::TenantChanged);
        }
        let other = told.symmetric_difference(&now).cloned();
        difference.moved.extend(other);
        for name in &difference.tenants {
            self.platform.try_tenant_again(name);
        }
        for key in within(&self.world.workloads, &difference.moved) {
            self.holdings.touch(key);
        }
        for key in within(&self.world.works_of, &difference.moved) {
            self.holdings.touch(key);
        }
        let classes: BTreeMap<String, Class> = self
            .world
            .priorities
            .values()
            .map(|class| (class.name_any(), Class::read(class)))
            .collect();
        if self.platform.classes_are(classes) {
            let touched = within(&self.world.workloads, &difference.touched);
            self.candidates.extend(touched);
        } else {
            // Guardrails compare the value that a Workload's class has, in whatever namespace, and a
            // class says who may name it.
            self.candidates.extend(self.world.workloads.keys().cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use heyun_crds::Tenant;
    use heyun_crds::tenant::{Guardrails, TenantKind, TenantSpec};
    use heyun_plan::tenants::tree;

    use super::*;

    fn tenant(name: &str, parent: Option<&str>, namespaces: &[&str]) -> Tenant {
        let mut tenant = Tenant::new(
            name,
            TenantSpec {
                parent: parent.map(str::to_owned),
                kind: TenantKind::Region,
                namespaces: namespaces.iter().map(|&n| n.to_owned()).collect(),
                ..TenantSpec::default()
            },
        );
        tenant.metadata.uid = Some(format!("uid-{name}"));
        tenant.metadata.generation = Some(1);
        tenant
    }

    fn fleet() -> Vec<Tenant> {
        vec![
            tenant("gz", None, &["gz-own"]),
            tenant("gz-a", Some("gz"), &["gz-a-web"]),
            tenant("gz-b", Some("gz"), &["gz-b-web"]),
        ]
    }

    fn between(old: &[Tenant], new: &[Tenant]) -> (Vec<String>, Vec<String>) {
        let difference = difference(&tree(old), &tree(new));
        let names = |set: BTreeSet<String>| set.into_iter().collect();
        (names(difference.moved), names(difference.touched))
    }

    #[test]
    fn a_tenant_that_comes_touches_its_own_namespaces_alone() {
        let mut more = fleet();
        more.push(tenant("gz-c", Some("gz"), &["gz-c-web"]));
        let own = ["gz-c", "gz-c-web"].map(str::to_owned).to_vec();
        assert_eq!(between(&fleet(), &more), (own.clone(), own.clone()));
        assert_eq!(between(&more, &fleet()), (own.clone(), own));
        assert_eq!(between(&more, &more), (vec![], vec![]));
    }

    #[test]
    fn a_new_name_for_people_touches_nobody() {
        let mut named = fleet();
        named[1].spec.display_name = "another".to_owned();
        named[1].metadata.generation = Some(2);
        assert_eq!(between(&fleet(), &named), (vec![], vec![]));
        assert_eq!(
            difference(&tree(&fleet()), &tree(&named)).tenants,
            BTreeSet::from(["gz-a".to_owned()])
        );
    }

    #[test]
    fn guardrails_touch_all_below_and_move_nobody() {
        let mut narrower = fleet();
        narrower[0].spec.guardrails = Guardrails {
            mlps_level: Some(3),
            ..Guardrails::default()
        };
        let below = ["gz", "gz-a", "gz-a-web", "gz-b", "gz-b-web", "gz-own"].map(str::to_owned);
        assert_eq!(between(&fleet(), &narrower), (vec![], below.to_vec()));
    }

    #[test]
    fn keys_are_those_of_whole_namespaces() {
        let key = |namespace: &str| WorkloadKey::new(namespace, "web");
        let map = BTreeMap::from(["gz", "gz-a", "gz-b"].map(|n| (key(n), n)));
        let within = |n: &str| within(&map, &BTreeSet::from([n.to_owned()]));
        assert_eq!(within("gz"), BTreeSet::from([key("gz")]));
        assert_eq!(within("gz-c"), BTreeSet::new());
    }
}
