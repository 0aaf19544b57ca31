//! Roles go down the tree, never beside or up.

use std::collections::BTreeMap;

use heyun_crds::tenant::{Subject, SubjectKind};
use proptest::prelude::*;

use super::super::access::{Role, bindings, has_home, named};
use super::*;

fn group(name: &str) -> Subject {
    Subject {
        kind: SubjectKind::Group,
        name: name.to_owned(),
        namespace: None,
    }
}

/// With a group of its own for each role: `NAME:Owner` and so on.
fn peopled(mut tenant: Tenant) -> Tenant {
    let name = tenant.metadata.name.clone().unwrap();
    let own = |role: Role| vec![group(&format!("{name}:{role:?}"))];
    tenant.spec.owners = own(Role::Owner);
    tenant.spec.editors = own(Role::Editor);
    tenant.spec.viewers = own(Role::Viewer);
    tenant.spec.auditors = own(Role::Auditor);
    tenant
}

fn names(tree: &TenantTree, tenant: &str, role: Role) -> Vec<String> {
    let found = bindings(tree, tenant);
    found[&role].iter().map(|one| one.name.clone()).collect()
}

#[test]
fn roles_go_down_and_never_beside_or_up() {
    let tree = tree(&[
        peopled(tenant("gd", "")),
        peopled(tenant("gz", "gd")),
        peopled(tenant("sz", "gd")),
        peopled(agency("gz-civil", "gz")),
    ]);
    for role in Role::ALL {
        let of = |names: &[&str]| -> Vec<String> {
            let mut all: Vec<String> = names.iter().map(|n| format!("{n}:{role:?}")).collect();
            all.sort();
            all
        };
        assert_eq!(names(&tree, "gd", role), of(&["gd"]));
        assert_eq!(names(&tree, "sz", role), of(&["gd", "sz"]));
        assert_eq!(
            names(&tree, "gz-civil", role),
            of(&["gd", "gz", "gz-civil"])
        );
    }
}

#[test]
fn a_role_that_nobody_has_is_bound_to_nobody() {
    let tree = tree(&[tenant("gd", "")]);
    let found = bindings(&tree, "gd");
    assert_eq!(found.len(), Role::ALL.len());
    assert!(found.values().all(std::collections::BTreeSet::is_empty));
    assert_eq!(bindings(&tree, "nobody").len(), Role::ALL.len());
}

#[test]
fn everybody_is_nobody_in_particular() {
    let mut open = tenant("gd", "");
    open.spec.viewers = vec![
        group("system:authenticated"),
        group("system:unauthenticated"),
        group("gd:all"),
    ];
    let mut account = group("system:sync");
    account.kind = SubjectKind::ServiceAccount;
    account.namespace = Some("tools".to_owned());
    open.spec.editors = vec![account.clone()];
    let tree = tree(&[open]);
    assert_eq!(names(&tree, "gd", Role::Viewer), ["gd:all"]);
    assert_eq!(bindings(&tree, "gd")[&Role::Editor], [account].into());
}

/// Who is taken out of a spec that is refused for something else has lost the role all the same;
/// what it inherits is by the parent that counts, not by the one it wants.
#[test]
fn a_refused_spec_gives_no_access_by_the_parent_that_it_wants() {
    let moving = was(peopled(agency("civil", "gz")), "gd", "gd/civil");
    let mut moving = moving;
    moving.spec.namespaces = strings(&["kube-system"]);
    moving.spec.owners.clear();
    let tree = tree(&[peopled(tenant("gd", "")), peopled(tenant("gz", "")), moving]);
    assert_eq!(reason(&tree, "civil"), "Invalid");
    assert_eq!(names(&tree, "civil", Role::Owner), ["gd:Owner"]);
    assert_eq!(
        names(&tree, "civil", Role::Viewer),
        ["civil:Viewer", "gd:Viewer"]
    );
}

#[test]
fn a_caller_is_named_where_its_user_group_or_account_is() {
    let mut gz = tenant("gz", "gd");
    gz.spec.viewers = vec![group("staff")];
    let mut civil = agency("gz-civil", "gz");
    civil.spec.owners = vec![group("staff"), group("civil")];
    let mut sz = tenant("sz", "gd");
    sz.spec.editors = vec![
        Subject {
            kind: SubjectKind::ServiceAccount,
            name: "ci".to_owned(),
            namespace: Some("tools".to_owned()),
        },
        Subject {
            kind: SubjectKind::User,
            name: "chen".to_owned(),
            namespace: None,
        },
    ];
    let tree = tree(&[tenant("gd", ""), gz, civil, sz]);
    let cases: [(&str, &[&str], &[&str]); 7] = [
        ("li", &["staff"], &["gz"]),
        ("li", &["civil"], &["gz-civil"]),
        ("chen", &["civil"], &["gz-civil", "sz"]),
        ("system:serviceaccount:tools:ci", &[], &["sz"]),
        ("system:serviceaccount:other:ci", &[], &[]),
        ("staff", &["chen"], &[]),
        ("ci", &[], &[]),
    ];
    for (user, groups, wanted) in cases {
        assert_eq!(
            named(&tree, user, &strings(groups)),
            wanted,
            "{user} {groups:?}"
        );
    }
}

/// Rights are asked about in the namespace of the tenant's name: if it is another's, the bindings
/// there are another's too.
#[test]
fn a_tenant_without_its_home_shows_nothing_by_it() {
    let mut civil = agency("civil", "");
    civil.spec.owners = vec![group("staff")];
    let taken = Surroundings {
        namespaces: [("civil".to_owned(), Some("uid-other".to_owned()))].into(),
        ..Surroundings::default()
    };
    let whole = tree(std::slice::from_ref(&civil));
    assert!(has_home(&whole, "civil"));
    assert_eq!(whole.get("civil").unwrap().namespaces, ["civil"]);
    let without = tree_in(&[civil], &taken);
    assert_eq!(reason(&without, "civil"), "NamespaceTaken");
    assert!(!has_home(&without, "civil"));
    assert!(named(&without, "li", &strings(&["staff"])).is_empty());
}

/// The oracle: follows written parents by itself.
fn ancestors(parents: &BTreeMap<String, String>, name: &str) -> Vec<String> {
    let mut found = vec![name.to_owned()];
    while let Some(parent) = parents.get(found.last().unwrap()).filter(|p| !p.is_empty()) {
        found.push(parent.clone());
    }
    found.sort();
    found
}

proptest! {
    #[test]
    fn of_any_tree_each_has_its_own_and_its_ancestors_people(shape in prop::collection::vec(0_usize..6, 1..24)) {
        // Each hangs below one before it, or is a root; at most as deep as the tree goes.
        let mut parents: BTreeMap<String, String> = BTreeMap::new();
        let mut tenants = Vec::new();
        for (number, back) in shape.iter().enumerate() {
            let name = format!("t{number}");
            let parent = number.checked_sub(*back).filter(|p| *p != number).map(|p| format!("t{p}"));
            let parent = parent.filter(|p| ancestors(&parents, p).len() < heyun_crds::tenant::TENANT_DEPTH_MAX);
            let parent = parent.unwrap_or_default();
            tenants.push(peopled(tenant(&name, &parent)));
            parents.insert(name, parent);
        }
        let tree = tree(&tenants);
        for name in parents.keys() {
            for role in Role::ALL {
                let mut wanted: Vec<String> = ancestors(&parents, name)
                    .iter()
                    .map(|n| format!("{n}:{role:?}"))
                    .collect();
                wanted.sort();
                prop_assert_eq!(names(&tree, name, role), wanted);
            }
        }
    }
}
