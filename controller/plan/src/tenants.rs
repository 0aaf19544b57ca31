//! The tenant tree: which Tenants are accepted, where each stands, and what counts for it.
//!
//! It is correct by construction, whatever is written and in whatever order: effective guardrails
//! are the intersection along the path; a Tenant whose spec breaks a rule is not accepted and
//! keeps what was last accepted of it (`status.acceptedParent`, `status.guardrails`,
//! `status.namespaces`). Admission refuses earlier; nothing here relies on it.

pub mod access;
pub(crate) mod covers;
mod guardrails;
mod levels;
mod namespaces;
mod parents;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::Tenant;
use heyun_crds::conditions::Reason;
use heyun_crds::tenant::{AdminLevel, Guardrails, TenantKind};

use self::access::Access;

/// What the tree depends on besides the Tenants.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Hub namespaces that exist, each with the tenant uid it is labelled with (`None`: without
    /// that label). A namespace that is not here does not exist yet.
    pub namespaces: BTreeMap<String, Option<String>>,
    /// PriorityClasses of the hub with their values, to compare `highestPriority`.
    pub priorities: BTreeMap<String, i32>,
}

/// Why a Tenant's spec is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Reason code of the `Accepted` condition.
    pub reason: Reason,
    /// Names the value, the place and the fix.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, message: String) -> Self {
        Self { reason, message }
    }
}

/// What counts for one Tenant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TenantNode {
    /// Name of the Tenant.
    pub name: String,
    /// Its uid: namespaces belong to it and not to the name.
    pub uid: String,
    /// Generation of the spec that was judged.
    pub generation: i64,
    /// Region, Agency or System.
    pub kind: TenantKind,
    /// The level of government, where it is given.
    pub admin_level: Option<AdminLevel>,
    /// Name for people; the name where there is none.
    pub display_name: String,
    /// Why the spec does not count; `None`: it is accepted.
    pub refusal: Option<Refusal>,
    /// Whether it has a place in the tree: by its spec, or by what was last accepted of it.
    pub placed: bool,
    /// The parent that counts; `None` at a root.
    pub parent: Option<String>,
    /// Names from the root to here, with slashes; empty without a place.
    pub path: String,
    /// Direct children, by name.
    pub children: Vec<String>,
    /// Its own part of the guardrails that counts: of the spec, or of what was last accepted.
    pub own_guardrails: Guardrails,
    /// The intersection of the guardrails along the path.
    pub guardrails: Guardrails,
    /// Namespaces that are this tenant's.
    pub namespaces: Vec<String>,
    /// The people it names itself.
    pub access: Access,
}

impl TenantNode {
    /// Whether the spec counts as it is written.
    pub fn accepted(&self) -> bool {
        self.refusal.is_none()
    }
}

/// Every Tenant, by name, with what counts for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TenantTree {
    nodes: BTreeMap<String, TenantNode>,
    owners: BTreeMap<String, String>,
}

impl TenantTree {
    /// The tenant of that name, placed or not.
    pub fn get(&self, name: &str) -> Option<&TenantNode> {
        self.nodes.get(name)
    }

    /// Every tenant, by name.
    pub fn iter(&self) -> impl Iterator<Item = &TenantNode> {
        self.nodes.values()
    }

    /// The tenant that a namespace belongs to.
    pub fn tenant_of(&self, namespace: &str) -> Option<&TenantNode> {
        self.nodes.get(self.owners.get(namespace)?)
    }

    /// The tenant and its ancestors, nearest first; empty for a tenant without a place.
    pub fn lineage<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a TenantNode> {
        let first = self.nodes.get(name).filter(|node| node.placed);
        // No cycle survives `tree`, so this ends; the bound is for a reader who doubts it.
        std::iter::successors(first, |node| self.nodes.get(node.parent.as_deref()?))
            .take(self.nodes.len())
    }

    /// Refuses these; who is refused already stays so for what was found first.
    fn refuse(&mut self, found: Vec<(String, Refusal)>) {
        for (name, refusal) in found {
            if let Some(node) = self.nodes.get_mut(&name) {
                node.refusal.get_or_insert(refusal);
            }
        }
    }

    /// Whether `inner` is `outer` or below it.
    pub fn within(&self, outer: &str, inner: &str) -> bool {
        self.lineage(inner).any(|node| node.name == outer)
    }

    /// Residency: whether ground of the Region `member_region` is ground of the Region `region`,
    /// by containment in the tree; never by comparing codes. False when either is no Region with
    /// a place.
    pub fn contains(&self, region: &str, member_region: &str) -> bool {
        let is_region = |name: &str| {
            self.nodes
                .get(name)
                .is_some_and(|node| node.placed && node.kind == TenantKind::Region)
        };
        is_region(region) && is_region(member_region) && self.within(region, member_region)
    }
}

/// The tree of these Tenants where nothing else is known: no namespace exists yet and no
/// PriorityClass can be compared.
pub fn tree(tenants: &[Tenant]) -> TenantTree {
    tree_in(tenants, &Surroundings::default())
}

/// The tree of these Tenants. Their order does not matter.
pub fn tree_in(tenants: &[Tenant], around: &Surroundings) -> TenantTree {
    let by_name: BTreeMap<&str, &Tenant> = tenants
        .iter()
        .filter_map(|t| Some((t.metadata.name.as_deref()?, t)))
        .collect();
    let mut refused: BTreeMap<String, Refusal> = BTreeMap::new();
    loop {
        let tree = attempt(&by_name, &refused, around);
        // Each round refuses at least one more spec or is the last, so there are at most as many
        // rounds as tenants; two or three are usual.
        let fresh: Vec<(String, Refusal)> = tree
            .nodes
            .values()
            .filter(|node| !refused.contains_key(&node.name))
            .filter_map(|node| Some((node.name.clone(), node.refusal.clone()?)))
            .collect();
        if fresh.is_empty() {
            return tree;
        }
        // A claim loses to another tenant's only if that one stands: those that fall by
        // themselves fall first.
        let alone = fresh
            .iter()
            .any(|(_, refusal)| refusal.reason != Reason::NamespaceTaken);
        refused.extend(
            fresh
                .into_iter()
                .filter(|(_, refusal)| !alone || refusal.reason != Reason::NamespaceTaken),
        );
    }
}

/// One round: the tree as it is when these specs do not count, with further refusals found.
fn attempt(
    by_name: &BTreeMap<&str, &Tenant>,
    refused: &BTreeMap<String, Refusal>,
    around: &Surroundings,
) -> TenantTree {
    let (edges, cyclic) = parents::edges(by_name, refused);
    let mut tree = TenantTree::default();
    for (name, tenant) in by_name {
        let mut node = bare(name, tenant);
        node.refusal = refused.get(*name).cloned();
        if let Some(cycle) = cyclic.get(*name) {
            node.refusal
                .get_or_insert_with(|| parents::cycle(name, cycle));
        }
        tree.nodes.insert((*name).to_owned(), node);
    }
    place(&mut tree, by_name, &edges);
    for name in top_down(&tree) {
        guardrails::settle(&mut tree, &name, by_name, around);
    }
    parents::delegated(&mut tree, by_name);
    levels::ordered(&mut tree, by_name);
    namespaces::settle(&mut tree, by_name, around);
    tree
}

fn bare(name: &str, tenant: &Tenant) -> TenantNode {
    let spec = &tenant.spec;
    let display_name = if spec.display_name.is_empty() {
        name
    } else {
        &spec.display_name
    };
    TenantNode {
        name: name.to_owned(),
        uid: tenant.metadata.uid.clone().unwrap_or_default(),
        generation: tenant.metadata.generation.unwrap_or_default(),
        kind: spec.kind,
        admin_level: spec.admin_level,
        display_name: display_name.to_owned(),
        access: Access::of(spec),
        ..TenantNode::default()
    }
}

/// Gives every tenant that has an edge its parent and path, from the roots down.
fn place(
    tree: &mut TenantTree,
    by_name: &BTreeMap<&str, &Tenant>,
    edges: &BTreeMap<String, parents::Edge>,
) {
    let mut below: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut ready: Vec<(&str, Option<&str>, String)> = Vec::new();
    for (name, edge) in edges {
        match edge {
            parents::Edge::Root => ready.push((name, None, name.clone())),
            parents::Edge::Orphan(path) => ready.push((name, None, path.clone())),
            parents::Edge::Below(parent) => below.entry(parent).or_default().push(name),
            parents::Edge::None => {}
        }
    }
    let mut names = edges.keys();
    loop {
        while let Some((name, parent, path)) = ready.pop() {
            let children = below.remove(name).unwrap_or_default();
            for child in &children {
                ready.push((child, Some(name), format!("{path}/{child}")));
            }
            if let Some(node) = tree.nodes.get_mut(name) {
                node.placed = true;
                node.parent = parent.map(str::to_owned);
                node.path = path;
                node.children = children.iter().map(|&child| child.to_owned()).collect();
            }
        }
        // Who was accepted once and lost its parent keeps the path it had, and its rules.
        let Some(name) = names.next() else { break };
        let lost = tree
            .nodes
            .get(name)
            .is_some_and(|node| !node.placed && !node.accepted());
        if let Some(path) = by_name
            .get(name.as_str())
            .and_then(|t| last_path(t))
            .filter(|_| lost)
        {
            ready.push((name, None, path.to_owned()));
        }
    }
    for (name, node) in &mut tree.nodes {
        let Some(parent) = by_name
            .get(name.as_str())
            .and_then(|t| t.spec.parent.as_deref())
        else {
            continue;
        };
        if node.accepted() && !(node.placed && node.parent.as_deref() == Some(parent)) {
            node.refusal = Some(parents::missing(name, parent, by_name));
        }
    }
}

/// Names of placed tenants, each after its parent.
fn top_down(tree: &TenantTree) -> Vec<String> {
    let mut names: Vec<(usize, &str)> = tree
        .nodes
        .values()
        .filter(|node| node.placed)
        .map(|node| (tree.lineage(&node.name).count(), node.name.as_str()))
        .collect();
    names.sort_unstable();
    names.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// The path that was last accepted, if one was.
fn last_path(tenant: &Tenant) -> Option<&str> {
    tenant
        .status
        .as_ref()
        .map(|status| status.path.as_str())
        .filter(|path| !path.is_empty())
}

/// Whether something of the Tenant was accepted before: its status has a path.
fn was_accepted(tenant: &Tenant) -> bool {
    last_path(tenant).is_some()
}

/// Age for ties: the older first, then by name. A Tenant without a time is the youngest.
fn age<'a>(by_name: &BTreeMap<&str, &'a Tenant>, name: &'a str) -> (bool, Option<i64>, &'a str) {
    let created = by_name
        .get(name)
        .and_then(|t| t.metadata.creation_timestamp.as_ref())
        .map(|time| time.0.as_second());
    (created.is_none(), created, name)
}

/// The set of those names, for messages.
fn listed(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    names
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}
