mod access;
mod bounds;

use super::*;
use heyun_crds::tenant::{Delegation, TenantSpec, TenantStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// `name < parent`, a Region unless said otherwise; created in the order of the list.
fn tenant(name: &str, parent: &str) -> Tenant {
    let mut tenant = Tenant::new(
        name,
        TenantSpec {
            parent: (!parent.is_empty()).then(|| parent.to_owned()),
            kind: TenantKind::Region,
            ..TenantSpec::default()
        },
    );
    tenant.metadata.uid = Some(format!("uid-{name}"));
    tenant
}

fn created(mut tenant: Tenant, second: i64) -> Tenant {
    let time = k8s_openapi::jiff::Timestamp::from_second(second).unwrap();
    tenant.metadata.creation_timestamp = Some(Time(time));
    tenant
}

fn was(mut tenant: Tenant, parent: &str, path: &str) -> Tenant {
    tenant.status = Some(TenantStatus {
        path: path.to_owned(),
        accepted_parent: (!parent.is_empty()).then(|| parent.to_owned()),
        ..TenantStatus::default()
    });
    tenant
}

fn agency(name: &str, parent: &str) -> Tenant {
    let mut tenant = tenant(name, parent);
    tenant.spec.kind = TenantKind::Agency;
    tenant
}

fn reason(tree: &TenantTree, name: &str) -> &'static str {
    tree.get(name)
        .unwrap()
        .refusal
        .as_ref()
        .map_or("Accepted", |r| r.reason.as_str())
}

fn says<'a>(tree: &'a TenantTree, name: &str) -> &'a str {
    &tree.get(name).unwrap().refusal.as_ref().unwrap().message
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|&n| n.to_owned()).collect()
}

#[test]
fn a_sound_tree_has_paths_children_and_containment() {
    let tenants = [
        tenant("guangdong", ""),
        tenant("guangzhou", "guangdong"),
        tenant("panyu", "guangzhou"),
        tenant("shenzhen", "guangdong"),
        agency("gz-civil", "guangzhou"),
    ];
    let tree = tree(&tenants);
    assert!(
        tree.iter().all(|node| node.accepted() && node.placed),
        "{tree:#?}"
    );
    assert_eq!(tree.get("panyu").unwrap().path, "guangdong/guangzhou/panyu");
    assert_eq!(
        tree.get("guangzhou").unwrap().children,
        ["gz-civil", "panyu"]
    );
    assert!(tree.contains("guangdong", "panyu"));
    assert!(tree.contains("guangzhou", "guangzhou"));
    assert!(!tree.contains("guangzhou", "shenzhen"));
    assert!(
        !tree.contains("panyu", "guangzhou"),
        "a city is not in its district"
    );
    assert!(
        !tree.contains("guangzhou", "gz-civil"),
        "an agency is no ground"
    );
    assert!(!tree.contains("guangzhou", "nowhere"));
}

#[test]
fn order_of_tenants_changes_nothing() {
    let mut tenants = vec![
        tenant("a", "b"),
        tenant("b", "a"),
        tenant("c", "missing"),
        tenant("d", ""),
        created(tenant("e", "d"), 5),
    ];
    let one = tree(&tenants);
    tenants.reverse();
    assert_eq!(one, tree(&tenants));
}

#[test]
fn a_missing_parent_and_all_below_it_are_refused_with_the_fix() {
    let tree = tree(&[tenant("a", "nowhere"), tenant("b", "a")]);
    assert_eq!(reason(&tree, "a"), "ParentMissing");
    assert_eq!(
        says(&tree, "a"),
        "spec.parent of a is nowhere, which does not exist: create the Tenant nowhere or correct spec.parent"
    );
    assert_eq!(reason(&tree, "b"), "ParentMissing");
    assert!(says(&tree, "b").contains("correct a first"));
    assert!(!tree.get("b").unwrap().placed);
}

#[test]
fn all_on_a_cycle_are_refused_and_keep_their_accepted_parents() {
    let tree = tree(&[
        tenant("root", ""),
        was(tenant("a", "b"), "root", "root/a"),
        was(tenant("b", "a"), "root", "root/b"),
        was(tenant("under", "a"), "a", "root/a/under"),
        tenant("self", "self"),
    ]);
    for name in ["a", "b", "self"] {
        assert_eq!(reason(&tree, name), "Cycle", "{name}");
    }
    assert!(
        says(&tree, "a").contains("a -> b -> a"),
        "{}",
        says(&tree, "a")
    );
    assert_eq!(tree.get("a").unwrap().path, "root/a");
    assert_eq!(tree.get("b").unwrap().path, "root/b");
    assert_eq!(reason(&tree, "under"), "Accepted");
    assert_eq!(tree.get("under").unwrap().path, "root/a/under");
    assert!(!tree.get("self").unwrap().placed);
}

#[test]
fn a_move_that_closes_a_cycle_with_an_accepted_parent_is_refused_alone() {
    // b wants to leave a for a tenant that does not exist, so it stays below a; a wants below b.
    let tree = tree(&[
        tenant("root", ""),
        was(tenant("a", "b"), "root", "root/a"),
        was(tenant("b", "gone"), "a", "root/a/b"),
    ]);
    assert_eq!(reason(&tree, "b"), "ParentMissing");
    assert_eq!(reason(&tree, "a"), "Cycle");
    assert_eq!(tree.get("b").unwrap().path, "root/a/b");
}

#[test]
fn forged_cycles_of_accepted_parents_still_end() {
    let tree = tree(&[
        was(tenant("a", "x"), "b", "b/a"),
        was(tenant("b", "x"), "a", "a/b"),
    ]);
    assert_eq!(tree.iter().filter(|n| n.accepted()).count(), 0);
    assert_eq!(tree.lineage("a").count(), 1, "{tree:#?}");
}

#[test]
fn an_orphan_keeps_its_path_and_the_rules_of_it() {
    let mut orphan = was(agency("civil", "gone"), "gone", "gone/civil");
    orphan.spec.guardrails.mlps_level = Some(1);
    orphan.status.as_mut().unwrap().guardrails.mlps_level = Some(3);
    let tree = tree(&[orphan]);
    let node = tree.get("civil").unwrap();
    assert_eq!(reason(&tree, "civil"), "ParentMissing");
    assert!(node.placed);
    assert_eq!(
        (node.path.as_str(), node.parent.as_deref()),
        ("gone/civil", None)
    );
    assert_eq!(node.guardrails.mlps_level, Some(3));
}

#[test]
fn guardrails_are_the_intersection_along_the_path() {
    let mut city = tenant("guangzhou", "guangdong");
    city.spec.guardrails = Guardrails {
        residency: Some(strings(&["guangdong"])),
        mlps_level: Some(3),
        registries: Some(strings(&["registry.gov.example/", "mirror.example/gov/"])),
        ingress_hosts: Some(strings(&["gov.example"])),
        allowed_kinds: Some(strings(&["Deployment", "Service"])),
        highest_priority: Some("business".to_owned()),
        ..Guardrails::default()
    };
    let mut child = agency("gz-civil", "guangzhou");
    child.spec.guardrails = Guardrails {
        residency: Some(strings(&["guangzhou"])),
        mlps_level: Some(2),
        registries: Some(strings(&["mirror.example/"])),
        ingress_hosts: Some(strings(&["civil.gov.example", "notgov.example"])),
        allowed_kinds: Some(strings(&["Deployment.apps", "Job"])),
        highest_priority: Some("critical".to_owned()),
        ..Guardrails::default()
    };
    let around = Surroundings {
        priorities: [("business".to_owned(), 10), ("critical".to_owned(), 20)].into(),
        ..Surroundings::default()
    };
    let tree = tree_in(&[tenant("guangdong", ""), city, child], &around);
    assert!(
        tree.iter().all(TenantNode::accepted),
        "wider is no error: {tree:#?}"
    );
    let rules = &tree.get("gz-civil").unwrap().guardrails;
    assert_eq!(rules.residency, Some(strings(&["guangzhou"])));
    assert_eq!(rules.mlps_level, Some(3), "the stricter of 3 and 2");
    assert_eq!(rules.registries, Some(strings(&["mirror.example/gov/"])));
    assert_eq!(rules.ingress_hosts, Some(strings(&["civil.gov.example"])));
    assert_eq!(rules.allowed_kinds, Some(strings(&["Deployment.apps"])));
    assert_eq!(rules.highest_priority.as_deref(), Some("business"));
    assert_eq!(rules.zones, None, "what nobody says is not ruled");
}

#[test]
fn an_empty_intersection_is_refused_and_names_both_sides() {
    let mut city = tenant("guangzhou", "guangdong");
    city.spec.guardrails.residency = Some(strings(&["guangzhou"]));
    let mut child = agency("gz-civil", "guangzhou");
    child.spec.guardrails.residency = Some(strings(&["shenzhen"]));
    let tree = tree(&[
        tenant("guangdong", ""),
        city,
        child,
        tenant("shenzhen", "guangdong"),
    ]);
    assert_eq!(reason(&tree, "gz-civil"), "WiderThanParent");
    assert!(says(&tree, "gz-civil").contains("allows shenzhen and its ancestors allow guangzhou"));
}

#[test]
fn a_residency_that_is_no_region_is_refused() {
    let mut child = agency("civil", "");
    child.spec.guardrails.residency = Some(strings(&["guangzhuo"]));
    let tree = tree(&[child]);
    assert_eq!(reason(&tree, "civil"), "NotFound");
    assert!(says(&tree, "civil").contains("guangzhuo"));
}

#[test]
fn delegation_bounds_names_number_and_depth() {
    let mut parent = agency("civil", "");
    parent.spec.delegation = Some(Delegation {
        children: 1,
        depth: 1,
        name_prefix: "civil-".to_owned(),
    });
    let tree = tree(&[
        parent,
        created(agency("civil-a", "civil"), 1),
        created(agency("civil-b", "civil"), 2),
        created(agency("other", "civil"), 3),
        agency("civil-a-x", "civil-a"),
    ]);
    assert_eq!(reason(&tree, "civil-a"), "Accepted");
    assert!(says(&tree, "civil-b").contains("may have 1 children"));
    assert!(says(&tree, "other").contains("does not start with \"civil-\""));
    assert!(says(&tree, "civil-a-x").contains("2 levels below civil, which may have 1"));
}

#[test]
fn a_region_below_an_agency_is_refused() {
    let tree = tree(&[agency("civil", ""), tenant("district", "civil")]);
    assert_eq!(reason(&tree, "district"), "Invalid");
}

#[test]
fn namespaces_have_one_owner_and_reserved_ones_none() {
    let with = |mut tenant: Tenant, names: &[&str]| {
        tenant.spec.namespaces = names.iter().map(|&n| n.to_owned()).collect();
        tenant
    };
    let cases = [
        // (claims of civil, expected reason)
        (vec!["civil", "civil-test"], "Accepted"),
        (vec!["kube-system"], "Invalid"),
        (vec!["default"], "Invalid"),
        (vec!["heyun-system"], "Invalid"),
        (vec!["finance"], "Invalid"),
        (vec!["civilian"], "Invalid"),
        (vec!["approved"], "Accepted"),
        (vec!["civil-old"], "NamespaceTaken"),
        (vec!["civil-theirs"], "NamespaceTaken"),
    ];
    let around = Surroundings {
        namespaces: [
            ("approved".to_owned(), Some("uid-civil".to_owned())),
            ("civil-old".to_owned(), None),
            ("civil-theirs".to_owned(), Some("uid-before".to_owned())),
        ]
        .into(),
        ..Surroundings::default()
    };
    for (names, expected) in cases {
        let tree = tree_in(&[with(agency("civil", ""), &names)], &around);
        assert_eq!(reason(&tree, "civil"), expected, "{names:?}");
        let owned = tree.tenant_of(names[0]).is_some();
        assert_eq!(owned, expected == "Accepted", "{names:?}");
    }
}

#[test]
fn of_two_claims_the_holder_then_the_older_wins() {
    let claim = |name: &str, second: i64| {
        let mut tenant = created(agency(name, ""), second);
        tenant.spec.namespaces = vec!["civil-x".to_owned()];
        tenant
    };
    let both = [claim("civil", 2), claim("civil-x", 1)];
    let tree = super::tree(&both);
    assert_eq!(
        tree.tenant_of("civil-x").unwrap().name,
        "civil-x",
        "the older"
    );
    assert_eq!(reason(&tree, "civil"), "NamespaceTaken");
    assert!(says(&tree, "civil").contains("belongs to tenant civil-x"));

    let mut holder = was(claim("civil", 2), "", "civil");
    holder.status.as_mut().unwrap().namespaces = vec!["civil-x".to_owned()];
    let tree = super::tree(&[holder, claim("civil-x", 1)]);
    assert_eq!(
        tree.tenant_of("civil-x").unwrap().name,
        "civil",
        "who has it keeps it"
    );
    assert_eq!(reason(&tree, "civil-x"), "NamespaceTaken");
}

#[test]
fn a_refused_spec_keeps_the_namespaces_it_had() {
    let mut tenant = was(agency("civil", "gone"), "", "civil");
    tenant.spec.namespaces = vec!["civil-new".to_owned()];
    tenant.status.as_mut().unwrap().namespaces = vec!["civil".to_owned()];
    let tree = tree(&[tenant]);
    assert_eq!(reason(&tree, "civil"), "ParentMissing");
    assert_eq!(tree.get("civil").unwrap().namespaces, ["civil"]);
    assert!(tree.tenant_of("civil-new").is_none());
}

#[test]
fn a_claim_falls_only_to_one_that_stands() {
    let claim = |name: &str, second: i64, names: &[&str]| {
        let mut tenant = created(agency(name, ""), second);
        tenant.spec.namespaces = names.iter().map(|&n| n.to_owned()).collect();
        tenant
    };
    let older = claim("civil", 1, &["civil-x", "kube-system"]);
    let tree = tree(&[older, claim("civil-x", 2, &["civil-x"])]);
    assert_eq!(reason(&tree, "civil"), "Invalid");
    assert_eq!(reason(&tree, "civil-x"), "Accepted");
}
