//! Checks of capacity: sketches and flavors.

use heyun_crds::labels::member_namespace;
use heyun_crds::{Flavor, MemberCluster};
use kube::ResourceExt as _;

use super::{Facts, Judgement, fail, known, unless_empty, untrue, warn};
use crate::view::count;

pub(super) fn sketches(facts: &Facts) -> Judgement {
    let sketches = known(&facts.sketches)?;
    let has = |member: &&MemberCluster| {
        let namespace = member_namespace(&member.name_any());
        sketches
            .iter()
            .any(|s| s.namespace().as_deref() == Some(&namespace) && s.status.is_some())
    };
    let without = known(&facts.members)?.iter().filter(|member| !has(member));
    let names: Vec<String> = without.map(kube::ResourceExt::name_any).collect();
    unless_empty(&names, format!("{} reported", sketches.len()), |names| {
        warn(
            format!("not yet: {names}"),
            "see the log of the leading hub for these members",
        )
    })
}

pub(super) fn flavors(facts: &Facts) -> Judgement {
    let flavors = known(&facts.flavors)?;
    if flavors.is_empty() {
        return fail(
            "no Flavor: nothing can be placed",
            "kubectl apply -f examples/10-flavors.yaml",
        );
    }
    let said = |flavor: &Flavor| {
        let conditions = &flavor.status.as_ref()?.conditions;
        untrue(conditions, "Ready").map(|c| format!("{} ({})", flavor.name_any(), c.message))
    };
    let names: Vec<String> = flavors.iter().filter_map(said).collect();
    unless_empty(&names, count(flavors.len(), "flavor"), |names| {
        fail(names, "give one of them another precedence or selector")
    })
}

pub(super) fn offered(facts: &Facts) -> Judgement {
    let flavors = known(&facts.flavors)?;
    let none = |flavor: &&Flavor| flavor.status.as_ref().is_none_or(|s| s.member_count == 0);
    let names: Vec<String> = flavors
        .iter()
        .filter(none)
        .map(kube::ResourceExt::name_any)
        .collect();
    unless_empty(&names, "each".to_owned(), |names| {
        warn(
            names,
            "label nodes as spec.nodeSelector says, or join a member that has such nodes",
        )
    })
}

pub(super) fn unmatched(facts: &Facts) -> Judgement {
    let has = |member: &&MemberCluster| {
        member
            .status
            .iter()
            .flat_map(|s| &s.capacity)
            .any(|line| line.flavor == "-")
    };
    let names: Vec<String> = known(&facts.members)?
        .iter()
        .filter(has)
        .map(kube::ResourceExt::name_any)
        .collect();
    unless_empty(&names, "each".to_owned(), |names| {
        warn(
            format!("nodes that no Flavor matches: {names}"),
            "add a Flavor, or leave them out on purpose",
        )
    })
}
