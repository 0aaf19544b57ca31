//! Which namespace belongs to which tenant: exactly one.

use std::collections::BTreeMap;

use heyun_crds::Tenant;
use heyun_crds::conditions::Reason;

use super::{Refusal, Surroundings, TenantTree, age, was_accepted};

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
            match unfit(&node.name, &node.uid, namespace, around) {
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
    for (name, refusal) in refusals {
        if let Some(node) = tree.nodes.get_mut(&name) {
            node.refusal.get_or_insert(refusal);
        }
    }
}

fn tenant_name(tenant: &Tenant) -> &str {
    tenant.metadata.name.as_deref().unwrap_or_default()
}

fn claimed(tenant: &Tenant, accepted: bool) -> &[String] {
    match &tenant.status {
        Some(status) if !accepted => &status.namespaces,
        _ if !accepted => &[],
        _ => &tenant.spec.namespaces,
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

/// Why a namespace cannot be this tenant's, other tenants aside.
fn unfit(tenant: &str, uid: &str, namespace: &str, around: &Surroundings) -> Option<Refusal> {
    if is_reserved(namespace) {
        return Some(Refusal::new(
            Reason::Invalid,
            format!(
                "namespace {namespace} in spec.namespaces of {tenant} is reserved (kube-*, heyun*, default): choose one that starts with \"{tenant}\""
            ),
        ));
    }
    let existing = around.namespaces.get(namespace);
    match existing {
        Some(Some(label)) if label == uid => return None,
        Some(Some(_)) => {
            return Some(Refusal::new(
                Reason::NamespaceTaken,
                format!(
                    "namespace {namespace} in spec.namespaces of {tenant} carries the label heyun.dev/tenant-uid of another tenant, or of an earlier one of this name: choose another, or have a platform administrator label it with {uid}"
                ),
            ));
        }
        _ => {}
    }
    if !namespace.starts_with(tenant) {
        return Some(Refusal::new(
            Reason::Invalid,
            format!(
                "namespace {namespace} in spec.namespaces of {tenant} does not start with \"{tenant}\": rename it, or have a platform administrator approve it by the label heyun.dev/tenant-uid={uid} on the namespace"
            ),
        ));
    }
    existing.map(|_| {
        Refusal::new(
            Reason::NamespaceTaken,
            format!(
                "namespace {namespace} in spec.namespaces of {tenant} existed before and belongs to no tenant: choose another, or have a platform administrator adopt it by the label heyun.dev/tenant-uid={uid}"
            ),
        )
    })
}

/// Names that are Kubernetes' or Heyun's own.
pub(super) fn is_reserved(namespace: &str) -> bool {
    namespace == "default" || namespace.starts_with("kube-") || namespace.starts_with("heyun")
}

fn taken(tenant: &str, namespace: &str, owner: &str) -> Refusal {
    Refusal::new(
        Reason::NamespaceTaken,
        format!(
            "namespace {namespace} in spec.namespaces of {tenant} belongs to tenant {owner}: remove it here, or have {owner} give it up first"
        ),
    )
}
