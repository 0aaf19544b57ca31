//! Levels of government along the path: who stands above is not of a lower level.

use std::collections::BTreeMap;

use heyun_crds::Tenant;
use heyun_crds::conditions::{ConditionType, Reason, is_true};

use super::parents::nearest;
use super::{Refusal, TenantNode, TenantTree};

/// Refuses tenants whose level is above that of an ancestor: a township is not above a province.
/// The same level may stand below itself, as a province's agency does below the province.
pub(super) fn ordered(tree: &mut TenantTree, by_name: &BTreeMap<&str, &Tenant>) {
    let found: Vec<(String, Refusal)> = tree
        .nodes
        .values()
        .filter(|node| node.accepted() && node.placed)
        .filter_map(|node| {
            let above = lower_above(tree, node)?;
            let guilty = changed(tree, by_name, node, above);
            Some((guilty.to_owned(), not_below(node, above)?))
        })
        .collect();
    tree.refuse(found);
}

/// The nearest ancestor of a lower level of government. What is not accepted is not compared.
fn lower_above<'a>(tree: &'a TenantTree, node: &TenantNode) -> Option<&'a TenantNode> {
    let level = node.admin_level?;
    tree.lineage(&node.name)
        .skip(1)
        .filter(|above| above.accepted())
        .find(|above| above.admin_level.is_some_and(|above| above > level))
}

/// Whose spec was changed, of a tenant and those up to the one that it does not fit below: the
/// nearest that is not accepted as it is written now. Who stood there before is not at fault.
fn changed<'a>(
    tree: &'a TenantTree,
    by_name: &BTreeMap<&str, &Tenant>,
    node: &'a TenantNode,
    above: &'a TenantNode,
) -> &'a str {
    let changed = |tenant: &Tenant| {
        let generation = tenant.metadata.generation.unwrap_or_default();
        !tenant.status.as_ref().is_some_and(|status| {
            generation == status.observed_generation
                && is_true(&status.conditions, ConditionType::Accepted)
        })
    };
    nearest(tree, by_name, &node.name, above.parent.as_deref(), changed)
}

fn not_below(node: &TenantNode, above: &TenantNode) -> Option<Refusal> {
    let (name, level) = (&node.name, node.admin_level?.as_str());
    let (upper, upper_level) = (&above.name, above.admin_level?.as_str());
    Some(Refusal::new(
        Reason::Invalid,
        format!(
            "{name} is {level} and stands below {upper}, which is {upper_level}: correct spec.adminLevel of one of them, or spec.parent of {name}"
        ),
    ))
}
