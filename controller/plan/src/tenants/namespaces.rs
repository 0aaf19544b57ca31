//! Which namespace belongs to which tenant: exactly one.

use std::collections::BTreeMap;

use heyun_crds::Tenant;
use heyun_crds::conditions::Reason;

use super::{Refusal, Surroundings, TenantNode, TenantTree, age, was_accepted};

/// Gives every placed tenant its namespaces and refuses claims that cannot stand.
pub(super) fn settle(
    tree: &mut TenantTree,
    by_name: &BTreeMap<&str, &Tenant>,
    around: &Surroundings,
) {
    let mut claims: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut refusals: Vec<(String, Refusal)> = Vec::new();
    for node in tree.nodes.values().filter(|node| node.placed) {
        let Some(tenant) = by_name.get(node.name.as_str()) else {
            continue;
        };
        for namespace in claimed(tenant, node.accepted()) {
            let held = holds(by_name, &node.name, namespace);
            let whose = name_owner(tree, namespace).filter(|_| !held);
            match unfit(node, namespace, whose, around) {
                Some(refusal) if node.accepted() => refusals.push((node.name.clone(), refusal)),
                Some(_) => {}
                None => claims
                    .entry(namespace)
                    .or_default()
                    .push(tenant_name(tenant)),
            }
        }
    }
    for (namespace, mut claimants) in claims {
        // Who has it keeps it; among the others the older one, then the first by name.
        claimants.sort_by_key(|name| (!holds(by_name, name, namespace), age(by_name, name)));
        let Some((owner, others)) = claimants.split_first() else {
            continue;
        };
        tree.owners
            .insert(namespace.to_owned(), (*owner).to_owned());
        if let Some(node) = tree.nodes.get_mut(*owner) {
            node.namespaces.push(namespace.to_owned());
        }
        for other in others {
            refusals.push(((*other).to_owned(), taken(other, namespace, owner)));
        }
    }
    // What is wrong in itself is said before what another has.
    refusals.sort_by_key(|(_, refusal)| refusal.reason == Reason::NamespaceTaken);
    tree.refuse(refusals);
}

fn tenant_name(tenant: &Tenant) -> &str {
    tenant.metadata.name.as_deref().unwrap_or_default()
}

/// What a tenant claims: its home, which has its name, and what it names besides.
fn claimed<'a>(tenant: &'a Tenant, accepted: bool) -> Vec<&'a str> {
    let names = |list: &'a [String]| list.iter().map(String::as_str);
    match &tenant.status {
        Some(status) if !accepted => names(&status.namespaces).collect(),
        _ if !accepted => Vec::new(),
        _ => {
            let home = tenant_name(tenant);
            let more = names(&tenant.spec.namespaces).filter(|name| *name != home);
            std::iter::once(home).chain(more).collect()
        }
    }
}

fn holds(by_name: &BTreeMap<&str, &Tenant>, name: &str, namespace: &str) -> bool {
    by_name.get(name).is_some_and(|tenant| {
        was_accepted(tenant)
            && tenant
                .status
                .as_ref()
                .is_some_and(|status| status.namespaces.iter().any(|n| n == namespace))
    })
}

/// Whose a namespace is by its name alone: the tenant of exactly that name, else the longest whose
/// name it begins with, up to a dash. So nobody takes a name from one whose name is longer.
fn name_owner<'a>(tree: &'a TenantTree, namespace: &str) -> Option<&'a str> {
    let dashes = namespace
        .rmatch_indices('-')
        .map(|(at, _)| &namespace[..at]);
    std::iter::once(namespace)
        .chain(dashes)
        .find_map(|name| tree.get(name).filter(|node| node.placed))
        .map(|node| node.name.as_str())
}

/// Why a namespace cannot be this tenant's, other claims aside; `by_name` is whose it is by its
/// name, where that says anything.
fn unfit(
    node: &TenantNode,
    namespace: &str,
    by_name: Option<&str>,
    around: &Surroundings,
) -> Option<Refusal> {
    let (tenant, uid) = (node.name.as_str(), &node.uid);
    if is_reserved(namespace) {
        return Some(Refusal::new(
            Reason::Invalid,
            format!(
                "namespace {namespace} of {tenant} is reserved (kube-*, heyun*, default): choose one that begins with \"{tenant}\""
            ),
        ));
    }
    let existing = around.namespaces.get(namespace);
    match existing {
        // Its own, or approved by the platform, whatever its name.
        Some(Some(label)) if label == uid => return None,
        Some(Some(_)) => {
            return Some(Refusal::new(
                Reason::NamespaceTaken,
                format!(
                    "namespace {namespace} of {tenant} carries the label heyun.dev/tenant-uid of another tenant, or of an earlier one of this name: choose another, or have a platform administrator label it with {uid}"
                ),
            ));
        }
        _ => {}
    }
    if let Some(owner) = by_name.filter(|owner| *owner != tenant) {
        return Some(named(tenant, uid, namespace, owner));
    }
    let rest = namespace.strip_prefix(tenant);
    if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
        return Some(Refusal::new(
            Reason::Invalid,
            format!(
                "namespace {namespace} of {tenant} is neither {tenant} nor begins with \"{tenant}-\": rename it, or have a platform administrator approve it by the label heyun.dev/tenant-uid={uid} on the namespace"
            ),
        ));
    }
    existing.map(|_| {
        Refusal::new(
            Reason::NamespaceTaken,
            format!(
                "namespace {namespace} of {tenant} existed before and belongs to no tenant: choose another, or have a platform administrator adopt it by the label heyun.dev/tenant-uid={uid}"
            ),
        )
    })
}

/// Names that are Kubernetes' or Heyun's own.
pub(super) fn is_reserved(namespace: &str) -> bool {
    namespace == "default" || namespace.starts_with("kube-") || namespace.starts_with("heyun")
}

fn named(tenant: &str, uid: &str, namespace: &str, owner: &str) -> Refusal {
    Refusal::new(
        Reason::NamespaceTaken,
        format!(
            "namespace {namespace} of {tenant} belongs to tenant {owner} by its name: choose another, or have a platform administrator approve it by the label heyun.dev/tenant-uid={uid} on the namespace"
        ),
    )
}

fn taken(tenant: &str, namespace: &str, owner: &str) -> Refusal {
    Refusal::new(
        Reason::NamespaceTaken,
        format!(
            "namespace {namespace} of {tenant} belongs to tenant {owner}: remove it here, or have {owner} give it up first"
        ),
    )
}
