//! Where work may run follows from its images, as their registry tells it.

use std::collections::BTreeSet;

use heyun_tests::fleet::{Shared, TestTenant, condition_of, fleet, workload};
use heyun_tests::registry::{Auth, PASSWORD, Registry, USER};
use serde_json::{Value, json};

/// The member of the examples that has amd64 nodes alone.
const AMD64: &str = "province-a";

fn deployment(name: &str, image: &str) -> String {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "imagePullSecrets": [{"name": "pull"}],
                    "containers": [{
                        "name": "main", "image": image,
                        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
                    }],
                },
            },
        },
    })
    .to_string()
}

fn pull_secret(shared: &Shared, namespace: &str, password: &str) {
    let auths = json!({"auths": {&shared.registry: {"username": USER, "password": password}}});
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": "pull", "namespace": namespace},
        "stringData": {".dockerconfigjson": auths.to_string()},
    });
    shared.hub().apply(&secret.to_string()).expect("a Secret");
}

fn why(shared: &Shared, namespace: &str, name: &str) -> Value {
    let text = shared.heyun_ok(&[
        "why",
        &format!("workload/{name}"),
        "-n",
        namespace,
        "-o",
        "json",
    ]);
    serde_json::from_str(&text).expect("JSON")
}

fn assignments(workload: &Value) -> Vec<Value> {
    let all = workload["status"]["decision"]["assignments"].as_array();
    all.cloned().unwrap_or_default()
}

/// An image for arm64 alone: nothing is decided while its registry is down, and that is said; once
/// it tells, the work is on arm64, and why not elsewhere. The password comes last, in a Secret that
/// changes.
#[test]
fn an_image_for_arm64_alone_goes_where_it_runs_once_its_registry_tells() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-images", 20);
    let (ns, host) = (&tenant.name, &shared.registry);
    let registry = Registry::at(host.clone(), shared.sandbox.dir(), false);
    {
        let _running = registry.start(&Auth::Open);
        shared.runtime.block_on(async {
            registry
                .push("civil/arm", "1", &["linux/arm64"], false)
                .await;
            registry
                .push("civil/amd", "1", &["linux/amd64"], false)
                .await;
            registry
                .push("civil/both", "1", &["linux/amd64", "linux/arm64"], true)
                .await;
        });
    }
    pull_secret(shared, ns, "not yet");
    let image = format!("{host}/civil/arm:1");
    let one = workload(ns, "arm", &[deployment("arm", &image)], "");
    shared.hub().apply(&one).unwrap();
    let unknown = ["Scheduled", "False", "ImagePlatformsUnknown"];
    let said = shared.condition("workload", ns, "arm", unknown);
    for words in [
        &format!("image {image}: {host} cannot be reached"),
        "spec.platforms",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let told = why(shared, ns, "arm");
    assert_eq!(
        (
            told["outcome"].as_str(),
            told["reason"].as_str(),
            told["message"].as_str()
        ),
        (
            Some("Waiting"),
            Some("ImagePlatformsUnknown"),
            Some(said.as_str())
        )
    );
    let object = shared.get("workload", ns, "arm").unwrap();
    assert_eq!(condition_of(&object, "Accepted")["status"], "True");
    assert_eq!(assignments(&object), Vec::<Value>::new());

    let _running = registry.start_with(shared.sandbox.fleet(), &Auth::Basic);
    shared.eventually("the password to be refused", || {
        let object = shared.get("workload", ns, "arm")?;
        let said = condition_of(&object, "Scheduled")["message"].to_string();
        let refused = said.contains(&format!("{host} refuses the credentials"));
        refused.then_some(()).ok_or(said)
    });
    // The right one is asked with at once, not when the failure is due.
    pull_secret(shared, ns, PASSWORD);
    let object = shared.ready(ns, "arm");
    for part in assignments(&object) {
        assert_ne!(part["member"], AMD64);
        assert!(
            part["flavor"].as_str().unwrap().ends_with("arm64"),
            "{part}"
        );
        assert_eq!(part["architectures"], json!(["arm64"]));
    }
    let told = why(shared, ns, "arm");
    let members = told["members"].as_array().unwrap();
    let amd = members
        .iter()
        .find(|member| member["member"] == AMD64)
        .unwrap();
    let refusals = amd["refusals"].to_string();
    let words = "Deployment/arm runs on arm64, its nodes are amd64";
    assert!(
        refusals.contains("\"Architecture\"") && refusals.contains(words),
        "{refusals}"
    );

    // An image for both may go to both; what is declared is not asked.
    let both = format!("{host}/civil/both:1");
    let duplicated = "placement: {division: {type: Duplicated}}";
    let spread = workload(ns, "both", &[deployment("both", &both)], duplicated);
    let gone = format!("{host}/civil/gone:1");
    let declared = workload(
        ns,
        "declared",
        &[deployment("declared", &gone)],
        "platforms: [linux/amd64]",
    );
    shared
        .hub()
        .apply(&format!("{spread}---\n{declared}"))
        .unwrap();
    let object = shared.ready(ns, "both");
    let flavors: Vec<String> = assignments(&object)
        .iter()
        .map(|a| a["flavor"].to_string())
        .collect();
    for arch in ["amd64", "arm64"] {
        assert!(
            flavors.iter().any(|flavor| flavor.contains(arch)),
            "{flavors:?}"
        );
    }
    let object = shared.ready(ns, "declared");
    for part in assignments(&object) {
        assert_eq!(part["flavor"], "general-amd64");
        assert_eq!(part["architectures"], json!(["amd64"]));
    }

    // One image for each architecture, by an override: each member runs its own.
    let amd = format!("{host}/civil/amd:1");
    let overrides = format!(
        "{duplicated}\noverrides: [{{architectures: [arm64], images: [{{container: main, \
         image: '{image}'}}]}}]"
    );
    let each = workload(ns, "each", &[deployment("each", &amd)], &overrides);
    shared.hub().apply(&each).unwrap();
    let object = shared.ready(ns, "each");
    let mut images = BTreeSet::new();
    for part in assignments(&object) {
        let (member, flavor) = (
            part["member"].as_str().unwrap(),
            part["flavor"].as_str().unwrap(),
        );
        let there = shared
            .member(member)
            .json(&["get", "deployment", "each", "-n", ns])
            .unwrap();
        let found = there["spec"]["template"]["spec"]["containers"][0]["image"]
            .as_str()
            .unwrap();
        let wanted = if flavor.ends_with("arm64") {
            &image
        } else {
            &amd
        };
        assert_eq!(found, wanted, "{part}");
        images.insert(found.to_owned());
    }
    assert_eq!(images, BTreeSet::from([amd, image]));
}
