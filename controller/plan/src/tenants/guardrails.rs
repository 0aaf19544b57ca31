//! Effective guardrails: the intersection along the path. Wider than the parent is no error, it
//! has no effect; an intersection that allows nothing is one.

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::Tenant;
use heyun_crds::conditions::Reason;
use heyun_crds::tenant::{Guardrails, TenantKind};

use super::{Refusal, Surroundings, TenantTree, covers, listed, was_accepted};

/// Sets the effective guardrails of one placed tenant; its parent's are set already.
pub(super) fn settle(
    tree: &mut TenantTree,
    name: &str,
    by_name: &BTreeMap<&str, &Tenant>,
    around: &Surroundings,
) {
    let (Some(node), Some(tenant)) = (tree.nodes.get(name), by_name.get(name)) else {
        return;
    };
    let parent = node
        .parent
        .as_deref()
        .and_then(|parent| tree.nodes.get(parent));
    let above = parent.map(|p| p.guardrails.clone()).unwrap_or_default();
    let own = match &tenant.status {
        // What is not accepted keeps what was, which is narrower than or equal to its own path.
        Some(status) if !node.accepted() && was_accepted(tenant) => status.guardrails.clone(),
        _ => tenant.spec.guardrails.clone(),
    };
    let (effective, mut refusal) = intersect(tree, name, &above, &own, around);
    if node.accepted() {
        refusal = unknown_region(tree, name, &own).or(refusal);
    }
    if let Some(node) = tree.nodes.get_mut(name) {
        node.guardrails = effective;
        node.own_guardrails = own;
        if node.refusal.is_none() {
            node.refusal = refusal;
        }
    }
}

fn unknown_region(tree: &TenantTree, name: &str, own: &Guardrails) -> Option<Refusal> {
    let unknown = own.residency.iter().flatten().find(|region| {
        !tree
            .nodes
            .get(*region)
            .is_some_and(|n| n.placed && n.kind == TenantKind::Region)
    })?;
    Some(Refusal::new(
        Reason::NotFound,
        format!(
            "spec.guardrails.residency of {name} names {unknown}, which is no accepted Tenant of kind Region: create it or correct the name"
        ),
    ))
}

/// The strictest of two sets of guardrails, and a refusal when a list of it allows nothing more.
fn intersect(
    tree: &TenantTree,
    name: &str,
    above: &Guardrails,
    own: &Guardrails,
    around: &Surroundings,
) -> (Guardrails, Option<Refusal>) {
    let mut empty: Option<Refusal> = None;
    let mut list = |field: &str,
                    above: &Option<Vec<String>>,
                    own: &Option<Vec<String>>,
                    covers: Covers<'_>| {
        let narrowed = narrow(above.as_deref(), own.as_deref(), covers);
        if narrowed.as_ref().is_some_and(Vec::is_empty) && empty.is_none() {
            empty = Some(allows_nothing(
                name,
                field,
                above.as_deref(),
                own.as_deref(),
            ));
        }
        narrowed
    };
    let same: Covers<'_> = &|outer, inner| outer == inner;
    let residency: Covers<'_> = &|outer, inner| outer == inner || tree.contains(outer, inner);
    let text = |zones: &Option<Vec<heyun_crds::member_cluster::NetworkZone>>| {
        zones.as_ref().map(|z| {
            z.iter()
                .map(|zone| zone.as_str().to_owned())
                .collect::<Vec<_>>()
        })
    };
    let zones = list("zones", &text(&above.zones), &text(&own.zones), same);
    let effective = Guardrails {
        residency: list("residency", &above.residency, &own.residency, residency),
        mlps_level: above.mlps_level.max(own.mlps_level),
        zones: zones.map(|names| zones_named(&names, above, own)),
        registries: list(
            "registries",
            &above.registries,
            &own.registries,
            &covers::registry,
        ),
        storage_classes: list(
            "storageClasses",
            &above.storage_classes,
            &own.storage_classes,
            same,
        ),
        ingress_hosts: list(
            "ingressHosts",
            &above.ingress_hosts,
            &own.ingress_hosts,
            &covers::host,
        ),
        highest_priority: lower_priority(above, own, around),
        allowed_kinds: list(
            "allowedKinds",
            &above.allowed_kinds,
            &own.allowed_kinds,
            &covers::kind,
        ),
    };
    (effective, empty)
}

/// Whether the first covers the second.
type Covers<'a> = &'a dyn Fn(&str, &str) -> bool;

/// What both lists allow; an absent list allows everything.
fn narrow(
    above: Option<&[String]>,
    own: Option<&[String]>,
    covers: Covers<'_>,
) -> Option<Vec<String>> {
    let (above, own) = match (above, own) {
        (None, None) => return None,
        (Some(one), None) | (None, Some(one)) => {
            return Some(
                one.iter()
                    .cloned()
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect(),
            );
        }
        (Some(above), Some(own)) => (above, own),
    };
    let within = |one: &[String], other: &[String]| -> BTreeSet<String> {
        one.iter()
            .filter(|inner| other.iter().any(|outer| covers(outer, inner)))
            .cloned()
            .collect()
    };
    let mut both = within(own, above);
    both.extend(within(above, own));
    Some(both.into_iter().collect())
}

fn zones_named(
    names: &[String],
    above: &Guardrails,
    own: &Guardrails,
) -> Vec<heyun_crds::member_cluster::NetworkZone> {
    let mut zones: Vec<_> = above
        .zones
        .iter()
        .chain(&own.zones)
        .flatten()
        .copied()
        .filter(|zone| names.iter().any(|name| name == zone.as_str()))
        .collect();
    zones.sort_unstable();
    zones.dedup();
    zones
}

/// The lower of two priority classes; the ancestor's where their values cannot be compared, so
/// that a child never raises itself.
fn lower_priority(above: &Guardrails, own: &Guardrails, around: &Surroundings) -> Option<String> {
    match (&above.highest_priority, &own.highest_priority) {
        (Some(above), Some(own)) => {
            match (around.priorities.get(above), around.priorities.get(own)) {
                (Some(high), Some(low)) if low < high => Some(own.clone()),
                _ => Some(above.clone()),
            }
        }
        (above, own) => above.clone().or_else(|| own.clone()),
    }
}

fn allows_nothing(
    name: &str,
    field: &str,
    above: Option<&[String]>,
    own: Option<&[String]>,
) -> Refusal {
    let names =
        |list: Option<&[String]>| listed(&list.unwrap_or_default().iter().cloned().collect());
    let (own, above_names) = (names(own), names(above));
    let message = if above.is_some() {
        format!(
            "spec.guardrails.{field} of {name} allows {own} and its ancestors allow {above_names}: nothing is in both; name some of {above_names}"
        )
    } else {
        format!(
            "spec.guardrails.{field} of {name} is an empty list, which allows nothing: name what is allowed, or leave the field out to inherit"
        )
    };
    Refusal::new(Reason::WiderThanParent, message)
}
