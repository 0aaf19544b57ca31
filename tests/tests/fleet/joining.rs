//! Members that are not joined, and kubeconfigs that are not believed.

use heyun::join::{Join, join};
use heyun_tests::fleet::{Shared, fleet};
use serde_json::{Value, json};

/// What joining says with this kubeconfig.
fn refused(shared: &Shared, name: &str, kubeconfig: &Value) -> String {
    let request = Join {
        name: name.to_owned(),
        kubeconfig: kubeconfig.to_string(),
        context: None,
        member: None,
    };
    let answer = shared
        .runtime
        .block_on(join(&shared.sandbox.hub_client(), &request));
    let error = answer.expect_err("a kubeconfig that must be refused");
    let left = shared
        .hub()
        .run(&[
            "get",
            "membercluster",
            name,
            "--ignore-not-found",
            "-o",
            "name",
        ])
        .unwrap();
    assert_eq!(left, "", "half of a refused join is done");
    let secret = format!("member-{name}");
    let left = shared
        .hub()
        .run(&[
            "get",
            "secret",
            &secret,
            "-n",
            "heyun-system",
            "--ignore-not-found",
            "-o",
            "name",
        ])
        .unwrap();
    assert_eq!(left, "", "a credential of a refused join is kept");
    format!("{} | {}", error.message, error.hint.unwrap_or_default())
}

/// A kubeconfig of a member, with another user or cluster.
fn kubeconfig(shared: &Shared, user: &Value, cluster: impl FnOnce(&mut Value)) -> Value {
    let member = shared.cluster("province-a");
    let text = std::fs::read_to_string(member.kubeconfig()).unwrap();
    let whole: Value = serde_yaml::from_str(&text).unwrap();
    let mut inner = whole["clusters"][0]["cluster"].clone();
    cluster(&mut inner);
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": inner}],
        "users": [{"name": "u", "user": user}],
    })
}

#[test]
fn kubeconfigs_that_are_refused() {
    let (shared, _turn) = fleet();
    let token = json!({"token": "not-a-token-of-anyone"});
    let exec = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/sh", "args": ["-c", "touch /tmp/x"], "interactiveMode": "Never"}});
    let cases: Vec<(&str, Value, &[&str])> = vec![
        (
            "exec",
            kubeconfig(shared, &exec, |_| {}),
            &["users[u].exec"],
        ),
        (
            "skipped",
            kubeconfig(shared, &token, |c| {
                c["insecure-skip-tls-verify"] = true.into()
            }),
            &["insecure-skip-tls-verify", "clusters[c]"],
        ),
        (
            "file",
            kubeconfig(shared, &json!({"tokenFile": "/etc/passwd"}), |_| {}),
            &["users[u].tokenFile"],
        ),
        (
            "plain",
            kubeconfig(shared, &token, |c| {
                c["server"] = "http://127.0.0.1:1".into()
            }),
            &["https", "clusters[c].server"],
        ),
        (
            "wrong",
            kubeconfig(shared, &token, |_| {}),
            &["Unauthorized"],
        ),
        (
            "nobody",
            kubeconfig(shared, &token, |c| {
                c["server"] = "https://127.0.0.1:1".into()
            }),
            &["https://127.0.0.1:1"],
        ),
    ];
    for (name, kubeconfig, words) in cases {
        let said = refused(shared, &format!("bad-{name}"), &kubeconfig);
        for word in words {
            assert!(said.contains(word), "{name}: {word:?} is not in: {said}");
        }
        assert!(
            !said.contains("not-a-token-of-anyone"),
            "{name}: the token is shown: {said}"
        );
    }
}

#[test]
fn a_cluster_is_joined_once() {
    let (shared, _turn) = fleet();
    let member = shared.cluster("province-a");
    let text = std::fs::read_to_string(member.kubeconfig()).unwrap();
    let own: Value = serde_yaml::from_str(&text).unwrap();
    let said = refused(shared, "province-again", &own);
    for word in ["joined already", "province-a", &member.server()] {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    let hub = std::fs::read_to_string(shared.cluster("hub").kubeconfig()).unwrap();
    let said = refused(shared, "hub-itself", &serde_yaml::from_str(&hub).unwrap());
    assert!(said.contains("is the hub itself"), "{said}");

    // Written by hand, past the CLI: the hub itself reports the twin and leaves the first alone.
    let twin = json!({
        "apiVersion": "heyun.dev/v1alpha1", "kind": "MemberCluster", "metadata": {"name": "province-twin"},
        "spec": {"mode": "Push", "endpoint": member.server(), "credentialsRef": {"name": "member-province-a"}, "zone": "cegn-common"},
    });
    shared.hub().apply(&twin.to_string()).unwrap();
    let said = shared.condition(
        "membercluster",
        "",
        "province-twin",
        ["Accepted", "False", "DuplicateEndpoint"],
    );
    assert!(said.contains("province-a"), "{said}");
    shared.condition("membercluster", "", "province-a", ["Ready", "True", ""]);
    shared
        .hub()
        .run(&["delete", "membercluster", "province-twin", "--timeout=60s"])
        .unwrap();
}
