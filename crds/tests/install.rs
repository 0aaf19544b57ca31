//! The static files of an installation: no wildcard, nothing forgotten, names as the code has them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a panic is the report"
)]

use heyun_crds::{install, labels};
use serde_json::Value;
use std::collections::BTreeSet;

fn documents(yaml: &str) -> Vec<Value> {
    yaml.split("\n---\n")
        .map(|d| serde_yaml::from_str(d).unwrap())
        .collect()
}

fn find<'a>(docs: &'a [Value], kind: &str, name: &str) -> &'a Value {
    docs.iter()
        .find(|d| d["kind"] == kind && d["metadata"]["name"] == name)
        .unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// `group/resource` with a verb, for each rule of a role.
fn rights(role: &Value) -> BTreeSet<(String, String)> {
    let strings = |v: &Value| -> Vec<String> {
        v.as_array()
            .unwrap()
            .iter()
            .map(|s| s.as_str().unwrap().to_owned())
            .collect()
    };
    let mut out = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in strings(&rule["apiGroups"]) {
            for resource in strings(&rule["resources"]) {
                for verb in strings(&rule["verbs"]) {
                    out.insert((format!("{group}/{resource}"), verb));
                }
            }
        }
    }
    out
}

#[test]
fn no_role_has_a_wildcard() {
    for yaml in [install::RBAC, install::MEMBER] {
        for doc in documents(yaml) {
            if doc["kind"] == "ClusterRole" || doc["kind"] == "Role" {
                let rights = rights(&doc);
                assert!(
                    !rights
                        .iter()
                        .any(|(r, v)| r.contains('*') || v.contains('*')),
                    "{doc}"
                );
                let dangerous = rights.iter().any(|(_, v)| v == "escalate")
                    || rights
                        .iter()
                        .any(|(r, _)| r.ends_with("serviceaccounts/token"));
                assert!(!dangerous, "{doc}");
            }
        }
    }
}

#[test]
fn bind_and_impersonate_name_what_they_mean() {
    for yaml in [install::RBAC, install::MEMBER] {
        for doc in documents(yaml) {
            for rule in doc["rules"].as_array().into_iter().flatten() {
                let verbs = rule["verbs"].as_array().unwrap();
                if verbs.iter().any(|v| v == "bind" || v == "impersonate") {
                    assert!(rule["resourceNames"].is_array(), "{rule}");
                    assert_eq!(verbs.len(), 1, "{rule}");
                }
            }
        }
    }
}

#[test]
fn the_hub_reads_secrets_in_its_own_namespace_only() {
    let docs = documents(install::RBAC);
    assert!(
        !rights(find(&docs, "ClusterRole", "heyun-hub"))
            .iter()
            .any(|(r, _)| r == "/secrets")
    );
    let docs = documents(install::MEMBER);
    assert!(
        !rights(find(&docs, "ClusterRole", "heyun-hub-member"))
            .iter()
            .any(|(r, _)| r == "/secrets")
    );
}

#[test]
fn the_fence_covers_all_that_the_deployer_writes() {
    let docs = documents(install::MEMBER);
    let written: BTreeSet<String> = rights(find(&docs, "ClusterRole", labels::DEPLOYER))
        .into_iter()
        .filter(|(_, verb)| verb == "patch")
        .map(|(resource, _)| resource)
        .collect();
    let policy = find(&docs, "ValidatingAdmissionPolicy", "heyun-member-fence");
    let mut fenced = BTreeSet::new();
    for rule in policy["spec"]["matchConstraints"]["resourceRules"]
        .as_array()
        .unwrap()
    {
        assert_eq!(
            rule["operations"],
            serde_json::json!(["CREATE", "UPDATE", "DELETE"])
        );
        for resource in rule["resources"].as_array().unwrap() {
            fenced.insert(format!(
                "{}/{}",
                rule["apiGroups"][0].as_str().unwrap(),
                resource.as_str().unwrap()
            ));
        }
    }
    assert_eq!(written, fenced);
}

#[test]
fn every_policy_is_bound_and_fails_closed() {
    for yaml in [
        install::POLICIES,
        install::REQUEST_POLICIES,
        install::MEMBER,
    ] {
        let docs = documents(yaml);
        for policy in docs
            .iter()
            .filter(|d| d["kind"] == "ValidatingAdmissionPolicy")
        {
            let name = policy["metadata"]["name"].as_str().unwrap();
            assert_eq!(policy["spec"]["failurePolicy"], "Fail", "{name}");
            let binding = find(&docs, "ValidatingAdmissionPolicyBinding", name);
            assert_eq!(binding["spec"]["policyName"], name);
            assert_eq!(
                binding["spec"]["validationActions"],
                serde_json::json!(["Deny"])
            );
            if policy["spec"]["paramKind"].is_object() {
                assert_eq!(binding["spec"]["paramRef"]["name"], labels::LEADER_LEASE);
                assert_eq!(
                    binding["spec"]["paramRef"]["namespace"],
                    labels::SYSTEM_NAMESPACE
                );
            }
        }
    }
}

#[test]
fn names_are_those_of_the_code() {
    let account = format!(
        "system:serviceaccount:{}:{}",
        labels::SYSTEM_NAMESPACE,
        labels::HUB_ACCOUNT
    );
    assert!(install::POLICIES.contains(&account));
    assert!(install::MEMBER.contains(&format!("endsWith(':{}')", labels::DEPLOYER)));
    for annotation in [labels::EPOCH, labels::RETIRE] {
        assert!(
            install::MEMBER.contains(&format!("'{annotation}'")),
            "{annotation}"
        );
    }
    let docs = documents(install::MEMBER);
    find(&docs, "Namespace", labels::SYSTEM_NAMESPACE);
    find(&docs, "ServiceAccount", labels::HUB_ACCOUNT);
    find(&docs, "Lease", labels::LEADER_LEASE);
    find(&docs, "ClusterRole", labels::IMPERSONATE_ROLE);
    find(&documents(install::POLICIES), "Lease", labels::LEADER_LEASE);
    find(
        &documents(install::NAMESPACE),
        "Namespace",
        labels::SYSTEM_NAMESPACE,
    );
    find(
        &documents(install::RBAC),
        "ServiceAccount",
        labels::HUB_ACCOUNT,
    );
    let group = format!(
        "{}.{}",
        heyun_crds::query::QUERY_VERSION,
        heyun_crds::query::QUERY_GROUP
    );
    find(&documents(install::APISERVICE), "APIService", &group);
}
