//! The aggregated API: why, for whom, and that only the front proxy is believed.

use heyun_tests::fleet::{Shared, TestTenant, deployment, fleet, refusal, workload};
use kube::api::GetParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;

fn path(namespace: &str, name: &str) -> String {
    format!("/apis/query.heyun.dev/v1alpha1/namespaces/{namespace}/workloads/{name}/why")
}

fn history(namespace: &str, name: &str) -> String {
    format!("/apis/query.heyun.dev/v1alpha1/namespaces/{namespace}/workloads/{name}/decisions")
}

fn why(shared: &Shared, namespace: &str, name: &str) -> Value {
    let text = shared
        .hub()
        .run(&["get", "--raw", &path(namespace, name)])
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn why_of_what_is_placed_and_of_what_is_not() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-why", 10);
    let ns = tenant.name.as_str();
    let one = "placement: {affinity: [{name: one, members: [province-a]}]}";
    shared
        .hub()
        .apply(&workload(
            ns,
            "placed",
            &[deployment("placed", 2, "100m")],
            one,
        ))
        .unwrap();
    shared
        .hub()
        .apply(&workload(ns, "huge", &[deployment("huge", 1, "100")], one))
        .unwrap();
    let ready = shared.ready(ns, "placed");
    shared.condition("workload", ns, "huge", ["Scheduled", "False", ""]);

    let placed = why(shared, ns, "placed");
    assert_eq!(placed["kind"], "Why", "{placed}");
    let members = |why: &Value| why["members"].as_array().cloned().unwrap_or_default();
    let verdict = |why: &Value, name: &str| {
        members(why)
            .iter()
            .find(|m| m["member"] == name)
            .map(|m| m["verdict"].clone())
            .unwrap_or_default()
    };
    // Every member is there, whatever the status had room for.
    for member in shared.members() {
        let wanted = if member == "province-a" {
            "chosen"
        } else {
            "filtered"
        };
        assert_eq!(verdict(&placed, &member), wanted, "{member} in {placed}");
    }
    let id = &ready["status"]["decision"]["id"];
    assert!(
        placed.to_string().contains(id.as_str().unwrap()),
        "decision {id} is not in {placed}"
    );

    let huge = why(shared, ns, "huge");
    assert_eq!(verdict(&huge, "province-a"), "filtered", "{huge}");
    assert!(huge.to_string().contains("cpu"), "{huge}");
    let said = refusal(
        shared.hub().run(&["get", "--raw", &path(ns, "none")]),
        "a Workload that is not there",
    );
    assert!(said.contains("NotFound") && said.contains("none"), "{said}");
}

#[test]
fn callers_without_rights() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-callers", 10);
    let ns = tenant.name.as_str();
    shared
        .hub()
        .apply(&workload(ns, "web", &[deployment("web", 1, "100m")], ""))
        .unwrap();
    shared.ready(ns, "web");
    let folder = tempfile::tempdir().unwrap();
    let ask = |user: &str, group: Option<&str>, what: &str| {
        let file = folder.path().join(user);
        std::fs::write(
            &file,
            shared.cluster("hub").kubeconfig_for(user, group).unwrap(),
        )
        .unwrap();
        shared.hub().run(&[
            "--kubeconfig",
            &file.display().to_string(),
            "get",
            "--raw",
            what,
        ])
    };
    let admins = format!("{ns}:admins");
    let owner = ask("owner", Some(&admins), &path(ns, "web")).unwrap();
    assert!(owner.contains("\"Why\""), "{owner}");
    let owner = ask("owner", Some(&admins), &history(ns, "web")).unwrap();
    assert!(owner.contains("\"DecisionHistory\""), "{owner}");
    for (user, group, what) in [
        ("stranger", None, path(ns, "web")),
        ("owner", Some(admins.as_str()), path("fleet-why", "placed")),
        ("stranger", None, history(ns, "web")),
        (
            "owner",
            Some(admins.as_str()),
            history("fleet-why", "placed"),
        ),
        (
            "owner",
            Some(admins.as_str()),
            "/apis/query.heyun.dev/v1alpha1/usagereports".to_owned(),
        ),
    ] {
        let said = refusal(ask(user, group, &what), &what);
        assert!(
            said.contains("Forbidden") && said.contains(user),
            "{user} {what}: {said}"
        );
    }
}

/// Whoever reaches the hub's port without the front proxy's certificate is nobody, whatever the
/// headers say.
#[test]
fn only_the_front_proxy_is_believed() {
    let (shared, _turn) = fleet();
    let address = format!("https://{}", shared.sandbox.hub().unwrap().query_address());
    let ask = |config: Config| {
        shared.runtime.block_on(async {
            let client = Client::try_from(config).unwrap();
            let request = kube::core::Request::new("/apis")
                .get("query.heyun.dev", &GetParams::default())
                .unwrap();
            client.request_text(request).await
        })
    };
    let forged = |mut config: Config| {
        config.cluster_url = address.parse().unwrap();
        config.accept_invalid_certs = true;
        config.root_cert = None;
        let header = |name: &str, value: &str| (name.parse().unwrap(), value.parse().unwrap());
        config.headers = vec![
            header("x-remote-user", "heyun-admin"),
            header("x-remote-group", "system:masters"),
        ];
        config
    };
    let nobody = ask(forged(Config::new(address.parse().unwrap())));
    assert!(
        nobody.is_err(),
        "answered without a certificate: {nobody:?}"
    );
    let admin = Kubeconfig::read_from(shared.cluster("hub").kubeconfig()).unwrap();
    let admin = shared
        .runtime
        .block_on(Config::from_custom_kubeconfig(
            admin,
            &KubeConfigOptions::default(),
        ))
        .unwrap();
    let admin = ask(forged(admin));
    assert!(
        admin.is_err(),
        "answered a certificate of another authority: {admin:?}"
    );
}
