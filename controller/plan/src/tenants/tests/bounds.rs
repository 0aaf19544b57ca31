//! How deep, by whom and under which names: what keeps a part of the tree to itself.

use heyun_crds::conditions::{ConditionType, set_condition};
use heyun_crds::tenant::TENANT_DEPTH_MAX;

use super::*;

fn delegates(mut tenant: Tenant, children: u32, depth: u32, prefix: &str) -> Tenant {
    tenant.spec.delegation = Some(Delegation {
        children,
        depth,
        name_prefix: prefix.to_owned(),
    });
    tenant
}

fn level(mut tenant: Tenant, level: AdminLevel) -> Tenant {
    tenant.spec.admin_level = Some(level);
    tenant
}

/// As it stands after the hub accepted it.
fn accepted(tenant: Tenant, parent: &str, path: &str) -> Tenant {
    let mut tenant = was(tenant, parent, path);
    let now = Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH);
    let conditions = &mut tenant.status.as_mut().unwrap().conditions;
    set_condition(
        conditions,
        ConditionType::Accepted,
        Some(true),
        "Ok",
        "",
        None,
        &now,
    );
    tenant
}

fn claims(mut tenant: Tenant, namespaces: &[&str]) -> Tenant {
    tenant.spec.namespaces = strings(namespaces);
    tenant
}

/// A path of that many tenants: `t1`, `t1/t2`, …, all accepted before.
fn chain(levels: usize) -> Vec<Tenant> {
    let mut path = String::new();
    (1..=levels)
        .map(|number| {
            let (name, parent) = (format!("t{number}"), format!("t{}", number - 1));
            let parent = if number == 1 { "" } else { &parent };
            path = format!("{path}/{name}");
            accepted(tenant(&name, parent), parent, path.trim_start_matches('/'))
        })
        .collect()
}

#[test]
fn the_tree_has_eight_levels_and_no_more() {
    let mut tenants = chain(TENANT_DEPTH_MAX);
    let whole = tree(&tenants);
    assert!(whole.iter().all(TenantNode::accepted), "{whole:#?}");
    tenants.push(tenant("deeper", "t8"));
    let tree = tree(&tenants);
    assert!(!tree.get("deeper").unwrap().placed);
    assert_eq!(
        says(&tree, "deeper"),
        "deeper stands at level 9 of the tree, which has 8: name a tenant further up in spec.parent of deeper"
    );
}

#[test]
fn of_a_move_that_goes_too_deep_the_one_that_moves_is_refused() {
    let mut tenants = chain(7);
    tenants.push(accepted(tenant("top", ""), "", "top"));
    tenants.push(accepted(tenant("under", "top"), "top", "top/under"));
    tenants[7].spec.parent = Some("t7".to_owned());
    let tree = tree(&tenants);
    assert!(says(&tree, "top").contains("with this parent of top, under stands at level 9"));
    assert_eq!(reason(&tree, "under"), "Accepted");
    assert_eq!(tree.get("under").unwrap().path, "top/under");
}

#[test]
fn nothing_stands_below_one_that_was_delegated_and_says_nothing() {
    let root = delegates(agency("civil", ""), 2, 3, "civil-");
    let silent = agency("civil-a", "civil");
    let speaks = delegates(agency("civil-b", "civil"), 1, 1, "civil-b-");
    let tree = tree(&[
        root,
        silent,
        speaks,
        agency("civil-a-x", "civil-a"),
        agency("civil-b-x", "civil-b"),
    ]);
    assert_eq!(reason(&tree, "civil-b-x"), "Accepted");
    assert!(!tree.get("civil-a-x").unwrap().placed);
    assert_eq!(
        says(&tree, "civil-a-x"),
        "civil-a-x stands below civil-a, which was made within what civil may have and has no spec.delegation, so nothing may be made below it: name another parent, or set spec.delegation of civil-a"
    );
}

#[test]
fn where_nobody_delegates_the_platform_makes_what_it_wants() {
    let tree = tree(&[
        tenant("guangzhou", ""),
        agency("gz-civil", "guangzhou"),
        agency("aid", "gz-civil"),
    ]);
    assert!(tree.iter().all(TenantNode::accepted), "{tree:#?}");
}

#[test]
fn a_prefix_without_its_dash_opens_no_names_beside_the_tenant() {
    for given in ["gz", "gzx-", "sz-", "gz-a"] {
        let tree = tree(&[
            delegates(agency("gz", ""), 5, 1, given),
            agency("gzx-civil", "gz"),
            agency("gz-civil", "gz"),
        ]);
        assert_eq!(reason(&tree, "gz"), "Invalid", "{given}");
        assert_eq!(reason(&tree, "gzx-civil"), "Invalid", "{given}");
    }
}

#[test]
fn a_level_of_government_is_not_above_that_of_an_ancestor() {
    let province = || level(tenant("gd", ""), AdminLevel::Provincial);
    let silent = || agency("bureau", "gd");
    let county = || level(tenant("county", "bureau"), AdminLevel::County);
    let cases = [
        // (level of the last, accepted)
        (AdminLevel::National, false),
        (AdminLevel::Provincial, true),
        (AdminLevel::Township, true),
    ];
    for (given, stands) in cases {
        let tree = tree(&[province(), silent(), level(agency("x", "bureau"), given)]);
        assert_eq!(tree.get("x").unwrap().accepted(), stands, "{given:?}");
    }
    let mut county = county();
    county.spec.kind = TenantKind::Agency;
    let tree = tree(&[
        province(),
        silent(),
        county,
        level(agency("y", "county"), AdminLevel::Prefectural),
    ]);
    assert_eq!(
        says(&tree, "y"),
        "y is Prefectural and stands below county, which is County: correct spec.adminLevel of one of them, or spec.parent of y"
    );
}

/// Otherwise one edit above would refuse everything below it.
#[test]
fn who_changes_its_level_is_refused_and_not_those_that_stood_there() {
    let city = |parent| {
        let city = level(tenant("gz", parent), AdminLevel::Prefectural);
        accepted(city, "gd", "gd/gz")
    };
    let mut province = level(tenant("gd", ""), AdminLevel::Township);
    province = accepted(province, "", "gd");
    province.metadata.generation = Some(2);
    let tree = tree(&[province, city("gd")]);
    assert_eq!(reason(&tree, "gz"), "Accepted");
    assert!(says(&tree, "gd").contains("gz is Prefectural and stands below gd"));
}

#[test]
fn a_namespace_is_whose_name_it_is_before_it_is_whose_claim_it_is() {
    let older = || created(claims(agency("gz", ""), &["gz", "gz-civil"]), 1);
    let younger = |names: &[&str]| created(claims(agency("gz-civil", ""), names), 2);
    // The one whose name it is claims it, or claims nothing yet.
    for names in [&["gz-civil"][..], &[]] {
        let tree = tree(&[older(), younger(names)]);
        assert_eq!(reason(&tree, "gz"), "NamespaceTaken");
        assert!(says(&tree, "gz").contains("belongs to tenant gz-civil by its name"));
        assert_eq!(reason(&tree, "gz-civil"), "Accepted");
    }
    let under = created(claims(agency("gz", ""), &["gz-civil-test"]), 1);
    let tree = tree(&[under, younger(&[])]);
    assert_eq!(reason(&tree, "gz"), "NamespaceTaken", "the longer match");
    let beside = claims(agency("gz", ""), &["gz-civilian"]);
    let tree = super::tree(&[beside, younger(&[])]);
    assert_eq!(reason(&tree, "gz"), "Accepted", "a dash ends a name");
}

#[test]
fn a_name_that_has_no_place_keeps_no_namespace_from_anybody() {
    let claimant = claims(agency("gz", ""), &["gz-civil"]);
    let tree = tree(&[claimant, agency("gz-civil", "nowhere")]);
    assert_eq!(reason(&tree, "gz"), "Accepted");
}

#[test]
fn the_platform_gives_a_namespace_to_whom_it_wants() {
    let around = Surroundings {
        namespaces: [("gz-civil".to_owned(), Some("uid-gz".to_owned()))].into(),
        ..Surroundings::default()
    };
    let tenants = [
        claims(agency("gz", ""), &["gz-civil"]),
        agency("gz-civil", ""),
    ];
    let tree = tree_in(&tenants, &around);
    assert_eq!(tree.tenant_of("gz-civil").unwrap().name, "gz");
}
