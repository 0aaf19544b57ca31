//! The permission matrix: every role × resource and subresource × verb × own, below, other tenant and
//! system, asked of a real API server and compared with what was reviewed.
//!
//! The golden file holds what is allowed; everything else that was asked is denied. A new resource or
//! verb of the API server is asked about by itself, for both come from discovery.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use futures::stream::{self, StreamExt, TryStreamExt};
use heyun_tests::fleet::{Shared, TestTenant, fleet};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

const OWN: &str = "fleet-matrix";
const BELOW: &str = "fleet-matrix-below";
const OTHER: &str = "fleet-elsewhere";
const TENANT_ROLES: [&str; 4] = ["owner", "editor", "viewer", "auditor"];

/// Groups of the API that are asked about whole.
const GROUPS: [&str; 7] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "coordination.k8s.io",
    "heyun.dev",
    "query.heyun.dev",
    "rbac.authorization.k8s.io",
];
/// Of the core, those that a tenant could do harm or good with; with their subresources.
const CORE: [&str; 12] = [
    "configmaps",
    "endpoints",
    "events",
    "limitranges",
    "namespaces",
    "nodes",
    "pods",
    "resourcequotas",
    "secrets",
    "serviceaccounts",
    "services",
    "replicationcontrollers",
];
/// Verbs that discovery does not tell of.
const HIDDEN: [(&str, &str, &[&str]); 5] = [
    ("rbac.authorization.k8s.io", "roles", &["bind", "escalate"]),
    (
        "rbac.authorization.k8s.io",
        "clusterroles",
        &["bind", "escalate"],
    ),
    ("", "serviceaccounts", &["impersonate"]),
    ("", "users", &["impersonate"]),
    ("", "groups", &["impersonate"]),
];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Resource {
    group: String,
    /// With its subresource: `workloads/status`.
    name: String,
    namespaced: bool,
    verbs: BTreeSet<String>,
}

fn discovered(shared: &Shared) -> Vec<Resource> {
    let raw = |path: &str| -> Value {
        let text = shared.hub().run(&["get", "--raw", path]).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let groups = raw("/apis");
    let preferred = groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|group| {
            let name = group["name"].as_str()?;
            let version = group["preferredVersion"]["groupVersion"].as_str()?;
            GROUPS
                .contains(&name)
                .then(|| (name.to_owned(), format!("/apis/{version}")))
        });
    let mut paths: Vec<(String, String)> = preferred.collect();
    assert_eq!(paths.len(), GROUPS.len(), "{paths:?}");
    paths.push((String::new(), "/api/v1".to_owned()));
    let mut found = Vec::new();
    for (group, path) in paths {
        let list = raw(&path);
        for resource in list["resources"].as_array().unwrap() {
            let name = resource["name"].as_str().unwrap();
            let kind = name.split('/').next().unwrap();
            if group.is_empty() && !CORE.contains(&kind) {
                continue;
            }
            let verbs = resource["verbs"].as_array().unwrap().iter();
            found.push(Resource {
                group: group.clone(),
                name: name.to_owned(),
                namespaced: resource["namespaced"] == true,
                verbs: verbs
                    .map(|verb| verb.as_str().unwrap().to_owned())
                    .collect(),
            });
        }
    }
    for (group, name, verbs) in HIDDEN {
        let verbs = verbs.iter().map(|&verb| verb.to_owned());
        let known = found
            .iter_mut()
            .find(|r| r.group == group && r.name == name);
        match known {
            Some(resource) => resource.verbs.extend(verbs),
            None => found.push(Resource {
                group: group.to_owned(),
                name: name.to_owned(),
                namespaced: false,
                verbs: verbs.collect(),
            }),
        }
    }
    found.sort();
    found
}

/// One question, and where its answer is written.
#[derive(Clone)]
struct Asked {
    who: &'static str,
    scope: &'static str,
    namespace: Option<&'static str>,
    resource: Resource,
    verb: String,
}

fn review(asked: &Asked) -> SubjectAccessReview {
    let (name, subresource) = match asked.resource.name.split_once('/') {
        Some((name, rest)) => (name, Some(rest.to_owned())),
        None => (asked.resource.name.as_str(), None),
    };
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some("someone".to_owned()),
            groups: Some(vec![
                format!("matrix:{}", asked.who),
                "system:authenticated".to_owned(),
            ]),
            resource_attributes: Some(ResourceAttributes {
                group: Some(asked.resource.group.clone()),
                resource: Some(name.to_owned()),
                subresource,
                verb: Some(asked.verb.clone()),
                namespace: asked.namespace.map(str::to_owned),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    }
}

/// The answers: who, where, resource, verbs that are allowed there and not everywhere.
fn answers(shared: &Shared, questions: Vec<Asked>) -> String {
    let admin = Kubeconfig::read_from(shared.cluster("hub").kubeconfig()).unwrap();
    let answered: Vec<(Asked, bool)> = shared.runtime.block_on(async {
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(admin, &options)
            .await
            .unwrap();
        let api: Api<SubjectAccessReview> = Api::all(Client::try_from(config).unwrap());
        let all = stream::iter(questions).map(|asked| {
            let api = api.clone();
            async move {
                let answer = api.create(&PostParams::default(), &review(&asked)).await?;
                let allowed = answer.status.is_some_and(|status| status.allowed);
                Ok::<_, kube::Error>((asked, allowed))
            }
        });
        all.buffered(32).try_collect().await.unwrap()
    });
    let mut everywhere = BTreeSet::new();
    let mut lines: BTreeMap<(usize, &str, usize, Resource), BTreeSet<String>> = BTreeMap::new();
    for (asked, allowed) in &answered {
        let what = (asked.who, asked.resource.clone(), asked.verb.clone());
        if *allowed && asked.namespace.is_none() {
            everywhere.insert(what);
        } else if !*allowed || everywhere.contains(&what) {
            continue;
        }
        let place = SCOPES
            .iter()
            .position(|(scope, _)| *scope == asked.scope)
            .unwrap();
        let who = ROLES.iter().position(|role| *role == asked.who).unwrap();
        let at = (who, asked.who, place, asked.resource.clone());
        lines.entry(at).or_default().insert(asked.verb.clone());
    }
    let mut text = String::new();
    for ((_, who, place, resource), verbs) in &lines {
        let verbs: Vec<&str> = verbs.iter().map(String::as_str).collect();
        let dot = if resource.group.is_empty() { "" } else { "." };
        let (scope, _) = SCOPES[*place];
        writeln!(
            text,
            "{who} | {scope} | {}{dot}{} | {}",
            resource.name,
            resource.group,
            verbs.join(" ")
        )
        .unwrap();
    }
    text
}

const ROLES: [&str; 10] = [
    "owner",
    "editor",
    "viewer",
    "auditor",
    "owner-below",
    "platform-admin",
    "platform-viewer",
    "approver",
    "credentials-writer",
    "nobody",
];
/// Everywhere comes first: what is allowed there is not told again.
const SCOPES: [(&str, Option<&str>); 7] = [
    ("everywhere", None),
    ("own", Some(OWN)),
    ("below", Some(BELOW)),
    ("other", Some(OTHER)),
    ("heyun-system", Some("heyun-system")),
    ("kube-system", Some("kube-system")),
    ("member", Some("heyun-member-province-a")),
];

fn setting(shared: &Shared) {
    TestTenant::new(shared, OTHER, 1);
    TestTenant::new(shared, OWN, 1);
    let group = |role: &str| json!([{"kind": "Group", "name": format!("matrix:{role}")}]);
    let mut own = json!({});
    for role in TENANT_ROLES {
        own[format!("{role}s")] = group(role);
    }
    let patch = json!({"spec": own}).to_string();
    shared
        .hub()
        .run(&["patch", "tenant", OWN, "--type=merge", "-p", &patch])
        .unwrap();
    let bound = |kind: &str, namespace: Option<&str>, role: &str, who: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": format!("{}Binding", if namespace.is_some() { "Role" } else { "ClusterRole" }),
            "metadata": {"name": format!("matrix-{who}"), "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": format!("matrix:{who}")}],
        })
        .to_string()
    };
    let below = json!({
        "apiVersion": "heyun.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": BELOW},
        "spec": {"kind": "Agency", "parent": OWN, "owners": group("owner-below")},
    });
    let all = [
        below.to_string(),
        bound(
            "ClusterRole",
            None,
            "heyun-platform-admin",
            "platform-admin",
        ),
        bound("ClusterRole", None, "heyun-viewer", "platform-viewer"),
        bound("ClusterRole", None, "heyun-approver", "approver"),
        bound(
            "Role",
            Some("heyun-system"),
            "heyun-credentials-writer",
            "credentials-writer",
        ),
    ];
    shared.hub().apply(&all.join("\n---\n")).unwrap();
    shared.condition("tenant", "", BELOW, ["Ready", "True", ""]);
    // In force: what the golden file says is denied is no delay.
    let seen: [(&str, &str, &str); 11] = [
        ("owner", "workloads.heyun.dev", BELOW),
        ("editor", "workloads.heyun.dev", BELOW),
        ("viewer", "workloads.heyun.dev", BELOW),
        ("auditor", "workloads.heyun.dev", BELOW),
        ("owner", "workloads.heyun.dev", OWN),
        ("editor", "workloads.heyun.dev", OWN),
        ("viewer", "workloads.heyun.dev", OWN),
        ("auditor", "workloads.heyun.dev", OWN),
        ("owner-below", "workloads.heyun.dev", BELOW),
        ("platform-viewer", "workloads.heyun.dev", OTHER),
        ("approver", "approvals.heyun.dev", OTHER),
    ];
    for (who, what, namespace) in seen {
        shared.eventually(&format!("{who} to be bound in {namespace}"), || {
            let group = format!("matrix:{who}");
            let ask = [
                "auth",
                "can-i",
                "list",
                what,
                "-n",
                namespace,
                "--as",
                "someone",
                "--as-group",
                &group,
            ];
            shared.hub().run(&ask).map(drop).map_err(|e| e.to_string())
        });
    }
}

#[test]
fn every_role_may_what_was_reviewed_and_nothing_else() {
    let (shared, _turn) = fleet();
    setting(shared);
    let resources = discovered(shared);
    let mut questions = Vec::new();
    for who in ROLES {
        for (scope, namespace) in SCOPES {
            for resource in resources
                .iter()
                .filter(|r| r.namespaced || namespace.is_none() || r.group == "heyun.dev")
            {
                questions.extend(resource.verbs.iter().map(|verb| Asked {
                    who,
                    scope,
                    namespace,
                    resource: resource.clone(),
                    verb: verb.clone(),
                }));
            }
        }
    }
    assert!(questions.len() > 5_000, "{} questions", questions.len());
    insta::assert_snapshot!(answers(shared, questions));
}
