//! What the API server of the hub refuses, and which wall says so with which words.

use std::fs;

use heyun_tests::fleet::{Shared, TestTenant, deployment, fleet, refusal, workload};

/// The schema and its rules.
const SCHEMA: &str = "is invalid";
/// A ValidatingAdmissionPolicy.
const POLICY: &str = "ValidatingAdmissionPolicy 'heyun-workloads'";

fn each(shared: &Shared, cases: &[(&str, String, &[&str])]) {
    let mut wrong = Vec::new();
    for (what, yaml, words) in cases {
        let said = shared.refused(yaml);
        let missing: Vec<&&str> = words.iter().filter(|word| !said.contains(**word)).collect();
        if !missing.is_empty() {
            wrong.push(format!(
                "{what}: {missing:?} is not in: {}",
                said.chars().take(900).collect::<String>()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn workloads() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-workloads", 10);
    let with = |manifests: &[&str], more: &str| {
        let manifests: Vec<String> = manifests.iter().map(|m| (*m).to_owned()).collect();
        workload(&tenant.name, "bad", &manifests, more)
    };
    let (web, api) = (deployment("web", 1, "100m"), deployment("api", 1, "100m"));
    let big = format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: big}}, data: {{a: {}}}}}",
        "x".repeat(600_000)
    );
    let negative = deployment("web", 1, "-1");
    each(
        shared,
        &[
            (
                "a Secret",
                with(
                    &["{apiVersion: v1, kind: Secret, metadata: {name: db}}"],
                    "",
                ),
                &[
                    SCHEMA,
                    "Secret 'db' may not stand in a Workload",
                    "spec.secrets",
                    "heyun deploy",
                ],
            ),
            (
                "a cluster-scoped kind",
                with(
                    &[
                        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: all}}",
                    ],
                    "",
                ),
                &[SCHEMA, "ClusterRole 'all' is cluster-scoped"],
            ),
            (
                "a kind of the platform",
                with(
                    &["{apiVersion: v1, kind: ResourceQuota, metadata: {name: more}}"],
                    "",
                ),
                &[
                    SCHEMA,
                    "ResourceQuota 'more' is written by the platform itself",
                ],
            ),
            (
                "a Workload in a Workload",
                with(
                    &["{apiVersion: heyun.dev/v1alpha1, kind: Workload, metadata: {name: inner}}"],
                    "",
                ),
                &[SCHEMA, "Workload 'inner' is Heyun's own kind"],
            ),
            (
                "a foreign namespace",
                with(
                    &[
                        "{apiVersion: v1, kind: ConfigMap, metadata: {name: stray, namespace: elsewhere}}",
                    ],
                    "",
                ),
                &[
                    POLICY,
                    "ConfigMap stray names the namespace elsewhere",
                    &tenant.name,
                ],
            ),
            (
                "the same object twice",
                with(&[&web, &web], ""),
                &[
                    POLICY,
                    "Deployment/web (apps/v1) stands in spec.manifests twice",
                ],
            ),
            (
                "no manifest",
                workload(&tenant.name, "bad", &[], "").replace("manifests:\n", "manifests: []\n"),
                &[SCHEMA, "spec.manifests", "at least 1 items"],
            ),
            (
                "two Deployments and replicas",
                with(&[&web, &api], "replicas: 3"),
                &[SCHEMA, "replicas 3 could mean any of 2 scalable manifests"],
            ),
            (
                "a scaleTarget that is not there",
                with(&[&web, &api], "replicas: 3\nscaleTarget: Deployment/none"),
                &[
                    SCHEMA,
                    "scaleTarget 'Deployment/none' is none of spec.manifests",
                ],
            ),
            (
                "a label of ours",
                with(
                    &[
                        "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {heyun.dev/work: b}}}",
                    ],
                    "",
                ),
                &[SCHEMA, "label 'heyun.dev/work' of 'a' is the platform's"],
            ),
            (
                "min above max",
                with(
                    &[&web],
                    "placement: {division: {type: ByCapacity, minPerMember: 3, maxPerMember: 2}}",
                ),
                &[SCHEMA, "minPerMember 3 is above maxPerMember 2"],
            ),
        ],
    );
    // These two are parsed by the hub, not by a schema: they are accepted and reported.
    for (name, manifest, words) in [
        ("big", big.as_str(), ["the most is", "manifests"]),
        ("negative", negative.as_str(), ["-1", "cpu"]),
    ] {
        shared
            .hub()
            .apply(&workload(&tenant.name, name, &[manifest.to_owned()], ""))
            .unwrap();
        let said = shared.condition(
            "workload",
            &tenant.name,
            name,
            ["Accepted", "False", "Invalid"],
        );
        for word in words {
            assert!(said.contains(word), "{name}: {word:?} is not in: {said}");
        }
        let works = shared
            .hub()
            .run(&[
                "get",
                "works",
                "-A",
                "-l",
                &format!("heyun.dev/workload={name}"),
                "-o",
                "name",
            ])
            .unwrap();
        assert_eq!(works, "", "half of a refused Workload is done");
    }
}

#[test]
fn placements_quotas_and_tenants() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-fields", 10);
    let placement = |spec: &str| {
        format!(
            "{{apiVersion: heyun.dev/v1alpha1, kind: Placement, metadata: {{name: bad, namespace: {}}}, spec: {spec}}}",
            tenant.name
        )
    };
    let quota = |line: &str| {
        format!(
            "{{apiVersion: heyun.dev/v1alpha1, kind: Quota, metadata: {{name: {0}}}, spec: {{tenant: {0}, resources: [{line}]}}}}",
            tenant.name
        )
    };
    let new = |name: &str, spec: &str| {
        format!(
            "{{apiVersion: heyun.dev/v1alpha1, kind: Tenant, metadata: {{name: {name}}}, spec: {spec}}}"
        )
    };
    each(
        shared,
        &[
            (
                "min above max",
                placement("{division: {type: ByCapacity, minPerMember: 5, maxPerMember: 4}}"),
                &[SCHEMA, "minPerMember 5 is above maxPerMember 4"],
            ),
            (
                "fewest above most groups",
                placement("{spread: [{topologyKey: provider, minGroups: 3, maxGroups: 2}]}"),
                &[SCHEMA, "minGroups 3 is above maxGroups 2 for provider"],
            ),
            (
                "a level of government that is none",
                placement("{spread: [{topologyKey: region/city}]}"),
                &[
                    SCHEMA,
                    "topologyKey 'region/city' is unknown",
                    "region/provincial (or /prefectural",
                ],
            ),
            (
                "a topology key that is none",
                placement("{spread: [{topologyKey: planet}]}"),
                &[SCHEMA, "topologyKey 'planet' is unknown"],
            ),
            (
                "a negative quantity",
                quota("{flavor: general-amd64, resource: cpu, nominal: \"-4\"}"),
                &[SCHEMA, "nominal '-4' is negative"],
            ),
            (
                "a malformed quantity",
                quota("{flavor: general-amd64, resource: cpu, nominal: 4 cores}"),
                &[SCHEMA, "nominal '4 cores' is no quantity"],
            ),
            (
                "a huge quantity",
                quota("{flavor: general-amd64, resource: memory, nominal: \"1e30\"}"),
                &[SCHEMA, "above 1E"],
            ),
            (
                "guaranteed above nominal",
                quota("{flavor: general-amd64, resource: cpu, guaranteed: \"5\", nominal: \"4\"}"),
                &[SCHEMA, "guaranteed 5 is above nominal 4"],
            ),
            (
                "nominal above ceiling",
                quota("{flavor: general-amd64, resource: cpu, nominal: \"4\", ceiling: \"3\"}"),
                &[SCHEMA, "nominal 4 is above ceiling 3"],
            ),
            (
                "kube-system",
                new("fleet-thief", "{kind: Agency, namespaces: [kube-system]}"),
                &[SCHEMA, "'kube-system' belongs to the platform"],
            ),
            (
                "another's namespace",
                new("fleet-thief", "{kind: Agency, namespaces: [fleet-fields]}"),
                &[
                    SCHEMA,
                    "'fleet-fields' does not begin with the tenant's name",
                ],
            ),
            (
                "a name of the platform",
                new("kube-thief", "{kind: Agency}"),
                &[SCHEMA, "'kube-thief' belongs to the platform"],
            ),
            (
                "its own parent",
                new("fleet-self", "{kind: Agency, parent: fleet-self}"),
                &[SCHEMA, "is the tenant itself"],
            ),
        ],
    );
}

/// An owner deploys in the own namespace and in no other.
#[test]
fn owners_of_another_tenant() {
    let (shared, _turn) = fleet();
    let ours = TestTenant::new(shared, "fleet-ours", 10);
    let theirs = TestTenant::new(shared, "fleet-theirs", 10);
    let group = format!("{}:admins", ours.name);
    let kubeconfig = shared
        .cluster("hub")
        .kubeconfig_for("chen", Some(&group))
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chen.kubeconfig");
    fs::write(&path, kubeconfig).unwrap();
    let path = path.display().to_string();
    let apply = |namespace: &str| {
        let yaml = workload(namespace, "mine", &[deployment("mine", 1, "100m")], "");
        shared.hub().run_with(
            &["--kubeconfig", &path, "apply", "--server-side", "-f", "-"],
            &yaml,
        )
    };
    apply(&ours.name).unwrap();
    let said = refusal(apply(&theirs.name), "a Workload of another tenant");
    for word in ["Forbidden", "chen", "workloads", theirs.name.as_str()] {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    let said = refusal(
        shared.hub().run(&[
            "--kubeconfig",
            &path,
            "get",
            "workloads,secrets",
            "-n",
            &theirs.name,
        ]),
        "reading another tenant's",
    );
    assert!(said.contains("Forbidden"), "{said}");
    shared.ready(&ours.name, "mine");
}
