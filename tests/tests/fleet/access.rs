//! Who may what: namespaces are created and never adopted, and roles go down the tree.

use std::collections::BTreeMap;

use heyun_crds::Tenant;
use heyun_crds::labels::TENANT_UID;
use heyun_hub::tenancy::{self, ApplyError};
use heyun_plan::tenants;
use heyun_tests::fleet::{Shared, TestTenant, fleet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

fn client(shared: &Shared) -> Client {
    let admin = Kubeconfig::read_from(shared.cluster("hub").kubeconfig()).unwrap();
    shared.runtime.block_on(async {
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(admin, &options)
            .await
            .unwrap();
        Client::try_from(config).unwrap()
    })
}

/// What the hub does with a plan that it made before a namespace came up: nothing, in that
/// namespace. Nobody can be bound where somebody else put something.
#[test]
fn a_namespace_that_came_in_between_is_not_adopted() {
    let (shared, _turn) = fleet();
    let client = client(shared);
    let now = Time(Timestamp::UNIX_EPOCH);
    for (name, labels) in [
        ("fleet-between", BTreeMap::new()),
        ("fleet-between-b", [(TENANT_UID, "another")].into()),
    ] {
        let object = json!({
            "apiVersion": "heyun.dev/v1alpha1", "kind": "Tenant",
            "metadata": {"name": name, "uid": "11111111-2222-4333-8444-555555555555"},
            "spec": {"kind": "Agency", "namespaces": [name], "owners": [{"kind": "Group", "name": "occupiers"}]},
        });
        let tenant: Tenant = serde_json::from_value(object).unwrap();
        // No namespace of that name is there: so the watch said.
        let tree = tenants::tree(std::slice::from_ref(&tenant));
        let plan = tenancy::plan(&tree, &tenant, tree.get(name).unwrap(), &now);
        let theirs = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        shared.hub().apply(&theirs.to_string()).unwrap();

        let done = shared
            .runtime
            .block_on(tenancy::apply(&client, &tenant, &plan));
        match done {
            Err(ApplyError::Taken { namespace, .. }) => assert_eq!(namespace, name),
            other => panic!("{other:?}"),
        }
        let namespace = shared.get("namespace", "", name).unwrap();
        let uid = labels.get(TENANT_UID).map_or(Value::Null, |uid| json!(uid));
        assert_eq!(
            namespace["metadata"]["labels"][TENANT_UID], uid,
            "{namespace}"
        );
        let all = ["get", "rolebindings", "-n", name, "-o", "name"];
        assert_eq!(shared.hub().run(&all).unwrap().trim(), "");
    }
}

/// Whether somebody of a group may, as the API server's RBAC says.
fn may(
    shared: &Shared,
    group: &str,
    verb: &str,
    what: &str,
    namespace: &str,
) -> Result<bool, String> {
    let ask = [
        "auth",
        "can-i",
        verb,
        what,
        "-n",
        namespace,
        "--as",
        "someone",
        "--as-group",
        group,
    ];
    match shared.hub().run(&ask) {
        Ok(said) => Ok(said.trim() == "yes"),
        // It ends with 1 where the answer is no.
        Err(no) if no.to_string().contains("exit status: 1") => Ok(false),
        Err(other) => Err(other.to_string()),
    }
}

fn until(shared: &Shared, wanted: bool, group: &str, verb: &str, what: &str, namespace: &str) {
    let whether = format!("{group} to {verb} {what} in {namespace}: {wanted}");
    shared.eventually(&whether, || {
        let may = may(shared, group, verb, what, namespace)?;
        (may == wanted).then_some(()).ok_or_else(|| may.to_string())
    });
}

#[test]
fn roles_go_down_the_tree_and_are_taken_back() {
    let (shared, _turn) = fleet();
    let above = TestTenant::new(shared, "fleet-above", 1);
    let beside = TestTenant::new(shared, "fleet-aside", 1);
    let patch = |spec: &Value| {
        let spec = json!({"spec": spec}).to_string();
        let patch = ["patch", "tenant", &above.name, "--type=merge", "-p", &spec];
        shared.hub().run(&patch).unwrap();
    };
    let group = |name: &str| json!([{"kind": "Group", "name": name}]);
    patch(&json!({
        "editors": group("above:editors"), "viewers": group("above:viewers"), "auditors": group("above:auditors"),
    }));
    let below = json!({
        "apiVersion": "heyun.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "fleet-below"},
        "spec": {"kind": "Agency", "parent": above.name, "namespaces": ["fleet-below"], "owners": group("below:owners")},
    });
    shared.hub().apply(&below.to_string()).unwrap();
    shared.condition("tenant", "", "fleet-below", ["Ready", "True", ""]);

    let (create, get, list) = ("create", "get", "list");
    let (workloads, secrets, bindings) = ("workloads.heyun.dev", "secrets", "rolebindings");
    let ns = "fleet-below";
    for (group, verb, what) in [
        ("fleet-above:admins", create, workloads),
        ("fleet-above:admins", list, bindings),
        ("above:editors", create, workloads),
        ("above:editors", create, secrets),
        ("above:viewers", list, workloads),
        ("above:auditors", list, workloads),
        ("above:auditors", list, bindings),
    ] {
        until(shared, true, group, verb, what, ns);
    }
    // All of the above is in force, so a no is no delay.
    for (group, verb, what, namespace) in [
        ("above:editors", create, bindings, ns),
        ("above:editors", list, bindings, ns),
        ("above:viewers", create, workloads, ns),
        ("above:viewers", get, secrets, ns),
        ("above:auditors", create, workloads, ns),
        ("above:auditors", get, secrets, ns),
        ("fleet-above:admins", create, bindings, ns),
        ("below:owners", list, workloads, above.name.as_str()),
        ("fleet-above:admins", list, workloads, beside.name.as_str()),
        ("fleet-aside:admins", list, workloads, ns),
    ] {
        let may = may(shared, group, verb, what, namespace).unwrap();
        assert!(!may, "{group} may {verb} {what} in {namespace}");
    }

    patch(&json!({"editors": [], "auditors": []}));
    until(shared, false, "above:editors", create, workloads, ns);
    until(shared, false, "above:auditors", list, workloads, ns);
    until(shared, true, "above:viewers", list, workloads, ns);
    // Who moves away leaves the people of its old ancestors behind.
    let away = json!({"spec": {"parent": beside.name}}).to_string();
    let patch = [
        "patch",
        "tenant",
        "fleet-below",
        "--type=merge",
        "-p",
        &away,
    ];
    shared.hub().run(&patch).unwrap();
    until(shared, false, "fleet-above:admins", create, workloads, ns);
    until(shared, true, "fleet-aside:admins", create, workloads, ns);
}
