//! What needs other objects is reported by a condition, and other tenants' work goes on.

use heyun_tests::fleet::{TestTenant, deployment, fleet, workload};
use serde_json::{Value, json};

fn tenant(name: &str, parent: &str) -> Value {
    json!({
        "apiVersion": "heyun.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
        "spec": {"kind": "Agency", "parent": parent},
    })
}

#[test]
fn tenants_without_a_place_in_the_tree() {
    let (shared, _turn) = fleet();
    shared
        .hub()
        .apply(&tenant("fleet-orphan", "fleet-nowhere").to_string())
        .unwrap();
    let said = shared.condition(
        "tenant",
        "",
        "fleet-orphan",
        ["Accepted", "False", "ParentMissing"],
    );
    assert!(said.contains("fleet-nowhere"), "{said}");

    let cycle = [
        tenant("fleet-egg", "fleet-hen"),
        tenant("fleet-hen", "fleet-egg"),
    ];
    shared
        .hub()
        .apply(&cycle.map(|t| t.to_string()).join("\n---\n"))
        .unwrap();
    let said = shared.condition("tenant", "", "fleet-hen", ["Accepted", "False", "Cycle"]);
    assert!(said.contains("fleet-egg"), "{said}");
    shared.condition("tenant", "", "fleet-egg", ["Accepted", "False", "Cycle"]);

    // With the parent there, the orphan has a place.
    TestTenant::new(shared, "fleet-nowhere", 1);
    shared.condition("tenant", "", "fleet-orphan", ["Accepted", "True", ""]);
}

#[test]
fn a_quota_over_its_parents() {
    let (shared, _turn) = fleet();
    let parent = TestTenant::new(shared, "fleet-parent", 10);
    shared
        .hub()
        .apply(&tenant("fleet-child", &parent.name).to_string())
        .unwrap();
    let quota = json!({
        "apiVersion": "heyun.dev/v1alpha1", "kind": "Quota", "metadata": {"name": "fleet-child"},
        "spec": {"tenant": "fleet-child", "resources": [{"flavor": "general-amd64", "resource": "cpu", "nominal": "11"}]},
    });
    shared.hub().apply(&quota.to_string()).unwrap();
    let said = shared.condition("quota", "", "fleet-child", ["Accepted", "False", ""]);
    for word in ["cpu", "general-amd64", "11", "10", "fleet-parent"] {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

#[test]
fn a_selector_that_matches_no_cluster() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-selector", 10);
    let placement = "placement: {affinity: [{name: mars, matchLabels: {planet: mars}}]}";
    shared
        .hub()
        .apply(&workload(
            &tenant.name,
            "lost",
            &[deployment("lost", 1, "100m")],
            placement,
        ))
        .unwrap();
    let said = shared.condition("workload", &tenant.name, "lost", ["Scheduled", "False", ""]);
    assert!(!said.is_empty());
    let found = shared.get("workload", &tenant.name, "lost").unwrap();
    let explanation = &found["status"]["explanation"];
    assert_eq!(explanation["outcome"], "Rejected", "{explanation}");
    let members = explanation["members"].as_array().unwrap();
    assert!(!members.is_empty(), "{explanation}");
    for member in members {
        assert_eq!(member["verdict"], "filtered", "{member}");
        let affinity = member["refusals"]
            .as_array()
            .unwrap()
            .iter()
            .any(|r| r["filter"] == "Affinity");
        assert!(affinity, "{member}");
    }
    assert_eq!(
        found["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|c| c["type"] == "Ready")
            .count(),
        1
    );
}

/// A namespace that stood on a member before is not taken; the tenant is told, others go on there.
#[test]
fn a_namespace_that_exists_on_a_member() {
    let (shared, _turn) = fleet();
    let member = "province-a";
    let taken = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fleet-taken", "labels": {"mine": "yes"}}});
    shared.member(member).apply(&taken.to_string()).unwrap();
    let tenant = TestTenant::new(shared, "fleet-taken", 10);
    let other = TestTenant::new(shared, "fleet-untaken", 10);
    let placement = format!("placement: {{affinity: [{{name: one, members: [{member}]}}]}}");
    for place in [&tenant.name, &other.name] {
        shared
            .hub()
            .apply(&workload(
                place,
                "web",
                &[deployment("web", 1, "100m")],
                &placement,
            ))
            .unwrap();
    }
    let said = shared.condition(
        "workload",
        &tenant.name,
        "web",
        ["Applied", "False", "NamespaceTaken"],
    );
    for word in [member, "fleet-taken"] {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    shared.ready(&other.name, "web");
    let found = shared
        .member(member)
        .json(&["get", "namespace", "fleet-taken"])
        .unwrap();
    let labels = found["metadata"]["labels"].as_object().unwrap();
    assert!(
        labels.keys().all(|key| !key.starts_with("heyun.dev/")),
        "{labels:?}"
    );
    let there = shared
        .member(member)
        .run(&[
            "get",
            "all,sa,rolebindings",
            "-n",
            "fleet-taken",
            "-o",
            "name",
        ])
        .unwrap();
    assert_eq!(
        there.trim(),
        "serviceaccount/default",
        "something was put into a foreign namespace"
    );
}

/// The same on the hub: who claims a namespace that is there does not get it.
#[test]
fn a_namespace_that_exists_on_the_hub() {
    let (shared, _turn) = fleet();
    shared
        .hub()
        .run(&["create", "namespace", "fleet-occupied"])
        .unwrap();
    let claim = json!({
        "apiVersion": "heyun.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "fleet-occupied"},
        "spec": {"kind": "Agency", "namespaces": ["fleet-occupied"], "owners": [{"kind": "Group", "name": "occupiers"}]},
    });
    shared.hub().apply(&claim.to_string()).unwrap();
    let said = shared.condition(
        "tenant",
        "",
        "fleet-occupied",
        ["Accepted", "False", "NamespaceTaken"],
    );
    assert!(said.contains("fleet-occupied"), "{said}");
    let roles = shared
        .hub()
        .run(&["get", "rolebindings", "-n", "fleet-occupied", "-o", "name"])
        .unwrap();
    assert_eq!(roles.trim(), "");
}

/// A Placement that goes is reported, and nothing stops; with it back everything is well again.
#[test]
fn a_placement_that_goes_and_comes_back() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-placement", 10);
    let ns = tenant.name.as_str();
    let placement = json!({
        "apiVersion": "heyun.dev/v1alpha1", "kind": "Placement",
        "metadata": {"name": "here", "namespace": ns}, "spec": {},
    });
    shared.hub().apply(&placement.to_string()).unwrap();
    let web = deployment("web", 2, "100m");
    let yaml = workload(ns, "web", &[web], "placementRef: {name: here}");
    shared.hub().apply(&yaml).unwrap();
    shared.ready(ns, "web");
    let pods = shared.pods(ns);
    shared
        .hub()
        .run(&["delete", "placement", "here", "-n", ns])
        .unwrap();
    let said = shared.condition("workload", ns, "web", ["Accepted", "False", "NotFound"]);
    assert!(said.contains("fleet-placement/here"), "{said}");
    assert_eq!(shared.pods(ns), pods);
    shared.hub().apply(&placement.to_string()).unwrap();
    shared.ready(ns, "web");
    assert_eq!(shared.pods(ns), pods);
}

/// What a guardrail refuses is not placed, and what runs stays when a guardrail comes.
#[test]
fn an_image_of_a_foreign_registry() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-guard", 10);
    let ns = tenant.name.as_str();
    let allow = |registry: &str| {
        let rails = json!({"spec": {"guardrails": {"registries": [registry]}}}).to_string();
        shared
            .hub()
            .run(&["patch", "tenant", ns, "--type=merge", "-p", &rails])
            .unwrap();
        shared.condition("tenant", "", ns, ["Ready", "True", ""]);
    };
    let apply = |name: &str, manifest: String| {
        shared
            .hub()
            .apply(&workload(ns, name, &[manifest], ""))
            .unwrap();
    };
    allow("registry.gov.example/");
    let foreign =
        deployment("foreign", 1, "100m").replace("registry.gov.example/x:1", "nginx:1.27");
    apply("foreign", foreign);
    apply("ours", deployment("ours", 1, "100m"));
    let refused = ["Accepted", "False", "GuardrailViolated"];
    assert_eq!(
        shared.condition("workload", ns, "foreign", refused),
        "manifests[0] Deployment/foreign: container main: image \"nginx:1.27\", that is \
         \"docker.io/library/nginx:1.27\", is in none of the registries allowed: \
         \"registry.gov.example/\"; push it to one of them and name it there; decided by: \
         fleet-guard security administrators"
    );
    shared.ready(ns, "ours");
    let works = ["get", "works", "-A", "-o", "name", "-l"];
    let of_foreign = [&works[..], &["heyun.dev/workload=foreign"]].concat();
    assert_eq!(shared.hub().run(&of_foreign).unwrap(), "");

    // The rule changes, not the Workload: it is looked at again, and its pods go on.
    let pods = shared.pods(ns);
    assert_eq!(pods.len(), 1, "{pods:?}");
    allow("mirror.example/");
    let said = shared.condition("workload", ns, "ours", refused);
    assert!(said.contains("\"mirror.example/\""), "{said}");
    assert_eq!(shared.pods(ns), pods);
    allow("registry.gov.example/");
    shared.ready(ns, "ours");
    assert_eq!(shared.pods(ns), pods);
}

#[test]
fn owners_that_are_removed_have_no_rights_left() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-owners", 1);
    let ns = tenant.name.as_str();
    let bound_to = |wanted: &Value| {
        shared.eventually("the binding of the owners", || {
            let binding = shared.get("rolebinding", ns, "heyun-tenant-owner")?;
            let found = binding["subjects"].as_array().map_or(0, Vec::len);
            if json!(found) == *wanted {
                Ok(())
            } else {
                Err(binding.to_string())
            }
        });
    };
    let may = ["auth", "can-i", "create", "workloads.heyun.dev", "-n", ns];
    let as_owner = ["--as", "someone", "--as-group", "fleet-owners:admins"];
    let may = [&may[..], &as_owner].concat();
    bound_to(&json!(1));
    assert_eq!(shared.hub().run(&may).unwrap().trim(), "yes");
    let none = r#"{"spec":{"owners":[]}}"#;
    let patch = ["patch", "tenant", ns, "--type=merge", "-p", none];
    shared.hub().run(&patch).unwrap();
    bound_to(&json!(0));
    // `can-i` ends with 1 where the answer is no; the authorizer learns of the binding a little later.
    shared.eventually("the rights to be gone", || match shared.hub().run(&may) {
        Ok(said) => Err(said),
        Err(refused) if refused.to_string().contains("exit status: 1") => Ok(()),
        Err(other) => Err(other.to_string()),
    });
}
