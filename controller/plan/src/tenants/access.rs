//! Who may what in a tenant: its own people and those of its ancestors, never of those beside or
//! below it.

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::tenant::{Subject, SubjectKind, TenantSpec};

use super::{TenantNode, TenantTree};

/// A role of people in a tenant; each is a `ClusterRole` that comes with the installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Administers the tenant and what is below it, and deploys there.
    Owner,
    /// Deploys.
    Editor,
    /// Reads.
    Viewer,
    /// Reads, and who may what.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Editor, Self::Viewer, Self::Auditor];

    /// Name of its `ClusterRole`, and of the binding in each namespace.
    pub const fn cluster_role(self) -> &'static str {
        match self {
            Self::Owner => "heyun-tenant-owner",
            Self::Editor => "heyun-tenant-editor",
            Self::Viewer => "heyun-tenant-viewer",
            Self::Auditor => "heyun-tenant-auditor",
        }
    }
}

/// The people that a Tenant names itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    named: BTreeMap<Role, BTreeSet<Subject>>,
}

impl Access {
    /// Of a spec, accepted or not: who is taken out of it has lost the role, whatever else is wrong
    /// with the rest.
    pub(super) fn of(spec: &TenantSpec) -> Self {
        let lists = [
            (Role::Owner, &spec.owners),
            (Role::Editor, &spec.editors),
            (Role::Viewer, &spec.viewers),
            (Role::Auditor, &spec.auditors),
        ];
        let some = lists.into_iter().filter_map(|(role, list)| {
            let people: BTreeSet<Subject> = list.iter().filter(|s| is_chosen(s)).cloned().collect();
            (!people.is_empty()).then_some((role, people))
        });
        Self {
            named: some.collect(),
        }
    }

    /// Everybody who has any role.
    pub fn everybody(&self) -> impl Iterator<Item = &Subject> {
        self.named.values().flatten()
    }
}

/// Whether somebody chose who this is. Groups such as `system:authenticated` are everybody, and a
/// user of that prefix is a component.
fn is_chosen(subject: &Subject) -> bool {
    subject.kind == SubjectKind::ServiceAccount || !subject.name.starts_with("system:")
}

/// Who has which role in a tenant, and so in its namespaces: whom it names itself and whom its
/// ancestors name. Each role is there, also where nobody has it. A tenant without a place has its
/// own people alone.
pub fn bindings(tree: &TenantTree, tenant: &str) -> BTreeMap<Role, BTreeSet<Subject>> {
    let own = tree.get(tenant).into_iter();
    let all = own.chain(tree.lineage(tenant));
    let mut bindings: BTreeMap<Role, BTreeSet<Subject>> = Role::ALL
        .into_iter()
        .map(|role| (role, BTreeSet::new()))
        .collect();
    for node in all {
        for (role, people) in &node.access.named {
            bindings
                .entry(*role)
                .or_default()
                .extend(people.iter().cloned());
        }
    }
    bindings
}

/// Whether a subject is this caller, as the API server authenticated it.
fn is(subject: &Subject, user: &str, groups: &[String]) -> bool {
    match subject.kind {
        SubjectKind::User => subject.name == user,
        SubjectKind::Group => groups.contains(&subject.name),
        SubjectKind::ServiceAccount => {
            let namespace = subject.namespace.as_deref().unwrap_or_default();
            let account = user.strip_prefix("system:serviceaccount:");
            account.and_then(|rest| rest.split_once(':')) == Some((namespace, &subject.name))
        }
    }
}

/// The topmost tenants that name this caller in any role, by name; of those alone whose home is
/// theirs: rights in a tenant are asked about there.
pub fn named<'a>(tree: &'a TenantTree, user: &str, groups: &[String]) -> Vec<&'a str> {
    let names = |node: &TenantNode| {
        has_home(tree, &node.name) && node.access.everybody().any(|one| is(one, user, groups))
    };
    let here: BTreeSet<&str> = tree
        .iter()
        .filter(|node| node.placed && names(node))
        .map(|node| node.name.as_str())
        .collect();
    let topmost = |name: &&str| {
        let mut above = tree.lineage(name).skip(1);
        !above.any(|above| here.contains(above.name.as_str()))
    };
    here.iter().copied().filter(topmost).collect()
}

/// Whether the namespace of a tenant's name is the tenant's.
pub fn has_home(tree: &TenantTree, tenant: &str) -> bool {
    tree.tenant_of(tenant)
        .is_some_and(|owner| owner.name == tenant)
}
