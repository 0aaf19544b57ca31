//! Who is whose parent: cycles, missing parents, and what a parent delegated.

use std::collections::BTreeMap;

use heyun_crds::Tenant;
use heyun_crds::conditions::Reason;
use heyun_crds::tenant::{Delegation, TENANT_DEPTH_MAX, TenantKind};

use super::{Refusal, TenantNode, TenantTree, age, was_accepted};

/// Where a tenant hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// A root.
    Root,
    /// Below that tenant.
    Below(String),
    /// Its last accepted parent is gone: it keeps the path it had and the rules of that path.
    Orphan(String),
    /// No place: never accepted.
    None,
}

/// Every tenant's edge when the specs in `refused` do not count, and the cycle that each tenant
/// on one is on (from itself upwards and back).
pub(super) fn edges(
    by_name: &BTreeMap<&str, &Tenant>,
    refused: &BTreeMap<String, Refusal>,
) -> (BTreeMap<String, Edge>, BTreeMap<String, Vec<String>>) {
    let written = |name: &str| by_name.get(name).and_then(|t| t.spec.parent.as_deref());
    // Two edits that close a cycle together are equally at fault: cycles are sought in what is
    // written, before anything is put back to what was accepted.
    let mut cyclic = cycles(by_name, written);
    let counts = |name: &str| !refused.contains_key(name);
    loop {
        let edges: BTreeMap<String, Edge> = by_name
            .iter()
            .map(|(name, tenant)| {
                let by_spec = counts(name) && !cyclic.contains_key(*name);
                ((*name).to_owned(), edge(name, tenant, by_spec, by_name))
            })
            .collect();
        let standing = |name: &str| match edges.get(name) {
            Some(Edge::Below(parent)) => Some(parent.as_str()),
            _ => None,
        };
        // A written parent can close a cycle with an accepted one. It goes, and it alone.
        let mixed = cycles(by_name, standing);
        let fresh = mixed
            .into_iter()
            .filter(|(name, _)| !cyclic.contains_key(name));
        let guilty: Vec<_> = fresh
            .filter(|(name, _)| counts(name) && standing(name) == written(name))
            .filter(|(name, _)| by_name.get(name.as_str()).is_some_and(|t| moves(t)))
            .collect();
        if guilty.is_empty() {
            // What is left stands on a cycle of accepted parents, which only a forged status can
            // hold: those tenants lose their place.
            let lost = cycles(by_name, standing);
            let lost = lost
                .into_keys()
                .map(|name| (name, Edge::None))
                .collect::<Vec<_>>();
            let mut edges = edges;
            edges.extend(lost);
            return (edges, cyclic);
        }
        cyclic.extend(guilty);
    }
}

/// Whether the written parent is another than the accepted one.
fn moves(tenant: &Tenant) -> bool {
    !was_accepted(tenant)
        || tenant
            .status
            .as_ref()
            .and_then(|s| s.accepted_parent.as_deref())
            != tenant.spec.parent.as_deref()
}

fn edge(name: &str, tenant: &Tenant, by_spec: bool, by_name: &BTreeMap<&str, &Tenant>) -> Edge {
    if by_spec {
        match tenant.spec.parent.as_deref() {
            None => return Edge::Root,
            Some(parent) if by_name.contains_key(parent) && parent != name => {
                return Edge::Below(parent.to_owned());
            }
            Some(_) => {}
        }
    }
    if !was_accepted(tenant) {
        return Edge::None;
    }
    let status = tenant.status.as_ref();
    match status.and_then(|s| s.accepted_parent.as_deref()) {
        None => Edge::Root,
        Some(parent) if by_name.contains_key(parent) && parent != name => {
            Edge::Below(parent.to_owned())
        }
        Some(_) => Edge::Orphan(status.map(|s| s.path.clone()).unwrap_or_default()),
    }
}

/// The cycle of each tenant that is on one, by following single parents.
fn cycles<'a>(
    by_name: &BTreeMap<&'a str, &'a Tenant>,
    parent: impl Fn(&str) -> Option<&'a str>,
) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    // 0: not seen; otherwise the number of the walk that saw it first.
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (walk, start) in by_name.keys().enumerate() {
        let mut trail: Vec<&str> = Vec::new();
        let mut at = Some(*start);
        while let Some(name) = at.filter(|name| by_name.contains_key(name)) {
            if let Some(first) = seen.get(name) {
                if *first == walk {
                    let from = trail.iter().position(|n| *n == name).unwrap_or_default();
                    record(&trail[from..], &mut found);
                }
                break;
            }
            seen.insert(name, walk);
            trail.push(name);
            at = parent(name);
        }
    }
    found
}

fn record(ring: &[&str], found: &mut BTreeMap<String, Vec<String>>) {
    for (at, name) in ring.iter().enumerate() {
        let round = ring[at..]
            .iter()
            .chain(&ring[..=at])
            .map(|&n| n.to_owned())
            .collect();
        found.insert((*name).to_owned(), round);
    }
}

pub(super) fn cycle(name: &str, ring: &[String]) -> Refusal {
    let round = ring.join(" -> ");
    Refusal::new(
        Reason::Cycle,
        format!(
            "the parents of {name} form a cycle ({round}): change spec.parent of one of them to a tenant outside the cycle"
        ),
    )
}

pub(super) fn missing(name: &str, parent: &str, by_name: &BTreeMap<&str, &Tenant>) -> Refusal {
    let message = if by_name.contains_key(parent) {
        format!("spec.parent of {name} is {parent}, which is not accepted: correct {parent} first")
    } else {
        format!(
            "spec.parent of {name} is {parent}, which does not exist: create the Tenant {parent} or correct spec.parent"
        )
    };
    Refusal::new(Reason::ParentMissing, message)
}

/// Refuses what stands too deep, and what goes beyond what ancestors delegated: name, number and
/// depth.
///
/// Who wrote a Tenant is not known here. Where nobody delegated, only the platform may write
/// Tenants, and it may go as deep as the tree does; below one that delegates each tenant says what
/// may be made below itself, and one that says nothing is the last.
pub(super) fn delegated(tree: &mut TenantTree, by_name: &BTreeMap<&str, &Tenant>) {
    let mut refusals: Vec<(String, Refusal)> = Vec::new();
    for node in tree.nodes.values().filter(|node| node.placed) {
        refusals.extend(kind_below(tree, &node.name).map(|refusal| (node.name.clone(), refusal)));
        let levels = tree.lineage(&node.name).count();
        if levels > TENANT_DEPTH_MAX {
            let guilty = mover(tree, by_name, &node.name, None);
            refusals.push((
                guilty.to_owned(),
                below_the_last(guilty, &node.name, levels),
            ));
        }
        if let Some(given) = delegation(by_name, &node.name) {
            beyond(tree, by_name, node, given, &mut refusals);
            continue;
        }
        let mut above = tree.lineage(&node.name).skip(1);
        if let Some(giver) = above.find(|above| delegation(by_name, &above.name).is_some()) {
            let nothing = |child: &String| (child.clone(), nothing_below(node, child, giver));
            refusals.extend(node.children.iter().map(nothing));
        }
    }
    tree.refuse(refusals);
}

fn delegation<'a>(by_name: &BTreeMap<&str, &'a Tenant>, name: &str) -> Option<&'a Delegation> {
    by_name.get(name)?.spec.delegation.as_ref()
}

/// What stands below a tenant beyond what it may have there.
fn beyond(
    tree: &TenantTree,
    by_name: &BTreeMap<&str, &Tenant>,
    node: &TenantNode,
    given: &Delegation,
    refusals: &mut Vec<(String, Refusal)>,
) {
    let name = node.name.as_str();
    let begins = format!("{name}-");
    let fits = given.name_prefix.starts_with(&begins) && given.name_prefix.ends_with('-');
    if !fits && !given.name_prefix.is_empty() {
        refusals.push((name.to_owned(), wrong_prefix(name, &given.name_prefix)));
    }
    // Without the dash a child could take a name, and with it namespaces, beside its parent.
    let wanted = if fits { &given.name_prefix } else { &begins };
    let mut children: Vec<&str> = node.children.iter().map(String::as_str).collect();
    children.sort_by_key(|child| age(by_name, child));
    for (number, child) in (1_u32..).zip(children) {
        if !child.starts_with(wanted) {
            refusals.push((child.to_owned(), prefix(name, child, wanted)));
        } else if number > given.children {
            refusals.push((child.to_owned(), too_many(name, child, given.children)));
        }
    }
    for deep in below(tree, name) {
        let depth = tree.lineage(&deep).take_while(|n| n.name != name).count();
        if u32::try_from(depth).unwrap_or(u32::MAX) > given.depth {
            let guilty = mover(tree, by_name, &deep, Some(name)).to_owned();
            let refusal = too_deep(name, &guilty, &deep, depth, given.depth);
            refusals.push((guilty, refusal));
        }
    }
}

/// Who brought a tenant to where it stands: the nearest of it and its ancestors, below `top`,
/// whose written parent is new. What stood below one that moves is not at fault, and would not
/// leave by being refused.
fn mover<'a>(
    tree: &'a TenantTree,
    by_name: &BTreeMap<&str, &Tenant>,
    name: &'a str,
    top: Option<&str>,
) -> &'a str {
    nearest(tree, by_name, name, top, moves)
}

/// The nearest of a tenant and its ancestors, below `top`, of which that is so; itself where it is of
/// none.
pub(super) fn nearest<'a>(
    tree: &'a TenantTree,
    by_name: &BTreeMap<&str, &Tenant>,
    name: &'a str,
    top: Option<&str>,
    is_so: impl Fn(&Tenant) -> bool,
) -> &'a str {
    tree.lineage(name)
        .take_while(|node| Some(node.name.as_str()) != top)
        .filter(|node| node.accepted())
        .find(|node| by_name.get(node.name.as_str()).is_some_and(|t| is_so(t)))
        .map_or(name, |node| node.name.as_str())
}

/// A Region stands below Regions alone: residency is containment among them.
fn kind_below(tree: &TenantTree, name: &str) -> Option<Refusal> {
    let node = tree.get(name)?;
    let parent = tree.get(node.parent.as_deref()?)?;
    let wrong = node.kind == TenantKind::Region && parent.kind != TenantKind::Region;
    wrong.then(|| {
        let (parent, kind) = (&parent.name, parent.kind.as_str());
        Refusal::new(
            Reason::Invalid,
            format!(
                "{name} is a Region and its parent {parent} is of kind {kind}: name a Region in spec.parent, or change spec.kind of {name}"
            ),
        )
    })
}

fn below(tree: &TenantTree, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<&str> = vec![name];
    while let Some(node) = open.pop().and_then(|name| tree.get(name)) {
        found.extend(node.children.iter().cloned());
        open.extend(node.children.iter().map(String::as_str));
    }
    found
}

fn prefix(parent: &str, child: &str, wanted: &str) -> Refusal {
    Refusal::new(
        Reason::Invalid,
        format!(
            "the name {child} does not start with \"{wanted}\", as {parent} asks in spec.delegation.namePrefix: create it as {wanted}NAME (for people, displayName may say anything)"
        ),
    )
}

fn too_many(parent: &str, child: &str, most: u32) -> Refusal {
    Refusal::new(
        Reason::Invalid,
        format!(
            "{parent} may have {most} children and {child} is one more: remove one, or raise spec.delegation.children of {parent}"
        ),
    )
}

fn too_deep(ancestor: &str, guilty: &str, deep: &str, depth: usize, most: u32) -> Refusal {
    let with = with(guilty, deep);
    Refusal::new(
        Reason::Invalid,
        format!(
            "{with}{deep} stands {depth} levels below {ancestor}, which may have {most}: move it up, or raise spec.delegation.depth of {ancestor}"
        ),
    )
}

fn below_the_last(guilty: &str, deep: &str, levels: usize) -> Refusal {
    let with = with(guilty, deep);
    Refusal::new(
        Reason::Invalid,
        format!(
            "{with}{deep} stands at level {levels} of the tree, which has {TENANT_DEPTH_MAX}: name a tenant further up in spec.parent of {guilty}"
        ),
    )
}

fn with(guilty: &str, deep: &str) -> String {
    if guilty == deep {
        return String::new();
    }
    format!("with this parent of {guilty}, ")
}

fn nothing_below(node: &TenantNode, child: &str, giver: &TenantNode) -> Refusal {
    let (parent, giver) = (&node.name, &giver.name);
    Refusal::new(
        Reason::Invalid,
        format!(
            "{child} stands below {parent}, which was made within what {giver} may have and has no spec.delegation, so nothing may be made below it: name another parent, or set spec.delegation of {parent}"
        ),
    )
}

fn wrong_prefix(name: &str, given: &str) -> Refusal {
    Refusal::new(
        Reason::Invalid,
        format!(
            "spec.delegation.namePrefix \"{given}\" of {name} does not begin with \"{name}-\" and end in a dash: write it as {name}-"
        ),
    )
}
