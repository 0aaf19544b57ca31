//! What `heyun why` says in the situations that people meet: each is decided by the scheduler on a
//! small province.

use heyun_crds::Workload;
use insta::assert_snapshot;
use serde_json::json;

use super::*;

/// Two cities in a province; a health agency in each, and a civil one with strict rules.
const LAND: &str = r"
kind: Tenant
metadata: {name: gd}
spec: {kind: Region, adminLevel: Provincial, displayName: gd}
---
kind: Tenant
metadata: {name: gz}
spec: {kind: Region, parent: gd, adminLevel: Prefectural, displayName: gz}
---
kind: Tenant
metadata: {name: sz}
spec: {kind: Region, parent: gd, adminLevel: Prefectural, displayName: sz}
---
kind: Tenant
metadata: {name: health}
spec: {kind: Agency, parent: gz, displayName: health, namespaces: [health]}
---
kind: Tenant
metadata: {name: sport}
spec: {kind: Agency, parent: gz, displayName: sport, namespaces: [sport]}
---
kind: Tenant
metadata: {name: civil}
spec:
  kind: Agency
  parent: gz
  displayName: civil
  namespaces: [civil]
  guardrails: {residency: [gz], mlpsLevel: 3}
---
kind: Flavor
metadata: {name: amd}
spec: {nodeSelector: {matchLabels: {kubernetes.io/arch: amd64}}, precedence: 10}
";

/// Cores: of the province and of the city 40, of which each agency may borrow to 30.
const QUOTAS: [(&str, &str, &str); 5] = [
    ("gd", "40", "40"),
    ("gz", "40", "40"),
    ("health", "20", "30"),
    ("sport", "24", "30"),
    ("civil", "10", "20"),
];

struct Land {
    documents: Vec<Value>,
}

impl Land {
    fn new() -> Self {
        let mut documents: Vec<Value> = serde_yaml::Deserializer::from_str(LAND)
            .map(|one| serde::Deserialize::deserialize(one).unwrap())
            .collect();
        for (tenant, nominal, ceiling) in QUOTAS {
            let plenty = json!({"flavor": "amd", "resource": "memory",
                "guaranteed": "0", "nominal": "1Ti", "ceiling": "1Ti"});
            let cores = json!({"flavor": "amd", "resource": "cpu",
                "guaranteed": "0", "nominal": nominal, "ceiling": ceiling});
            documents.push(json!({"kind": "Quota", "metadata": {"name": tenant},
                "spec": {"tenant": tenant, "resources": [cores, plenty]}}));
        }
        Self { documents }
    }

    /// With a ready member in this region, with so many nodes of so many cores.
    fn member(self, name: &str, region: &str, nodes: u32, cores: &str) -> Self {
        self.member_as(name, region, nodes, cores, &json!({}), "True")
    }

    fn member_as(
        mut self,
        name: &str,
        region: &str,
        nodes: u32,
        cores: &str,
        more: &Value,
        ready: &str,
    ) -> Self {
        let mut spec = json!({"provider": "xinghe", "location": {"region": region},
            "owner": region, "operator": format!("{region}-ops"), "zone": "cegn-common",
            "mlps": {"level": 3, "filingNo": "1", "validUntil": "2030-06-30"}});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        self.documents
            .push(json!({"kind": "MemberCluster", "metadata": {"name": name},
            "spec": spec, "status": {
                "conditions": [{"type": "Ready", "status": ready, "reason": "Ok", "message": "",
                    "lastTransitionTime": "2026-11-23T08:00:00Z"}],
                "apis": ["apps/v1/Deployment", "apps/v1/StatefulSet", "v1/ConfigMap"]}}));
        self.documents.push(json!({"kind": "Sketch",
            "metadata": {"name": "sketch", "namespace": labels::member_namespace(name)},
            "spec": {},
            "status": {"nodes": nodes, "labelKeys": ["kubernetes.io/arch"], "shapes": [{
                "count": nodes, "flavor": "amd", "labels": {"kubernetes.io/arch": "amd64"},
                "free": {"cpu": cores, "memory": "64Gi", "pods": "110"}}]}}));
        self
    }

    /// With a Workload that has so many replicas of one core there.
    fn holding(
        mut self,
        mut workload: Value,
        member: &str,
        component: &str,
        replicas: u32,
    ) -> Self {
        workload["metadata"]["generation"] = json!(1);
        let (cpu, memory) = (replicas.to_string(), format!("{}Mi", replicas * 128));
        workload["status"] = json!({"decision": {"id": "7f3a9c21d0", "generation": 1, "epoch": 1,
            "inputsHash": "h", "assignments": [{"member": member, "flavor": "amd",
                "component": component, "replicas": replicas,
                "requests": {"cpu": "1", "memory": "128Mi"},
                "charge": {"cpu": cpu, "memory": memory}}]}});
        self.documents.push(workload);
        self
    }

    fn world(self) -> World {
        let versioned = self.documents.into_iter().map(|mut document| {
            document["apiVersion"] = json!(heyun_crds::API_VERSION);
            document
        });
        World::from_documents(versioned.collect()).unwrap()
    }

    /// What `heyun why` would print.
    fn why(self, workload: Value) -> String {
        let mut workload = workload;
        workload["apiVersion"] = json!(heyun_crds::API_VERSION);
        let workload: Workload = serde_json::from_value(workload).unwrap();
        let now = "2026-11-23T09:00:00Z".parse().unwrap();
        let mut why = simulate(&self.world(), &workload, now);
        if !why.inputs_hash.is_empty() {
            assert_eq!(why.inputs_hash.len(), 64);
            // What is hashed is not what this is about.
            why.inputs_hash = "0123456789abcdef".to_owned();
        }
        crate::view::why::text(&why, true)
    }
}

/// A Deployment `web` of pods that ask for so many cores.
fn web(namespace: &str, replicas: u32, cores: &str, placement: &Value) -> Value {
    workload(
        namespace,
        "Deployment",
        replicas,
        cores,
        placement,
        &json!({}),
    )
}

fn workload(
    namespace: &str,
    kind: &str,
    replicas: u32,
    cores: &str,
    placement: &Value,
    more: &Value,
) -> Value {
    let mut manifest = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{
                "name": "web", "image": "registry.gov.example/web:1",
                "resources": {"requests": {"cpu": cores}}}]}}}});
    if kind == "StatefulSet" {
        manifest["spec"].as_object_mut().unwrap().remove("strategy");
        manifest["spec"]["serviceName"] = json!("web");
    }
    for (field, value) in more.as_object().unwrap() {
        manifest["spec"][field] = value.clone();
    }
    json!({"kind": "Workload", "metadata": {"name": "web", "namespace": namespace, "uid": "u"},
        "spec": {"manifests": [manifest], "placement": placement}})
}

#[test]
fn placed_by_capacity_over_two_members() {
    let land = Land::new()
        .member("gz-1", "gz", 4, "4")
        .member("sz-1", "sz", 2, "4");
    let divided = json!({"division": {"type": "ByCapacity"}});
    assert_snapshot!(land.why(web("health", 9, "1", &divided)));
}

#[test]
fn what_does_not_fit_at_home_spills_to_the_next_tier() {
    let land = Land::new()
        .member("gz-1", "gz", 1, "4")
        .member("sz-1", "sz", 1, "4");
    let tiers = json!({"affinity": [{"name": "home", "regions": ["gz"]},
        {"name": "province", "regions": ["gd"]}]});
    assert_snapshot!(land.why(web("health", 6, "1", &tiers)));
}

#[test]
fn the_quota_is_exceeded() {
    let land = Land::new().member("gz-1", "gz", 8, "8");
    assert_snapshot!(land.why(web("civil", 21, "1", &json!({}))));
}

#[test]
fn others_use_what_they_are_entitled_to() {
    let theirs = web("sport", 24, "1", &json!({}));
    let land =
        Land::new()
            .member("gz-1", "gz", 8, "8")
            .holding(theirs, "gz-1", "Deployment/web", 24);
    assert_snapshot!(land.why(web("health", 17, "1", &json!({}))));
}

#[test]
fn no_node_is_large_enough() {
    let land = Land::new()
        .member("gz-1", "gz", 8, "4")
        .member("sz-1", "sz", 8, "2");
    assert_snapshot!(land.why(web("health", 1, "6", &json!({}))));
}

#[test]
fn residency_and_mlps_level_refuse_together() {
    let low = json!({"mlps": {"level": 2, "filingNo": "1", "validUntil": "2030-06-30"}});
    let land = Land::new().member_as("sz-1", "sz", 4, "4", &low, "True");
    assert_snapshot!(land.why(web("civil", 1, "1", &json!({}))));
}

#[test]
fn no_node_has_the_architecture() {
    let land = Land::new().member("gz-1", "gz", 4, "4");
    let arm = json!({"requirements": {"arch": ["arm64"]}});
    assert_snapshot!(land.why(web("health", 1, "1", &arm)));
}

#[test]
fn the_spread_cannot_be_kept() {
    let land = Land::new()
        .member("gz-1", "gz", 4, "4")
        .member("sz-1", "sz", 4, "4");
    let spread = json!({"division": {"type": "ByCapacity"},
        "spread": [{"topologyKey": "provider", "minGroups": 2}]});
    assert_snapshot!(land.why(web("health", 4, "1", &spread)));
}

#[test]
fn the_member_is_not_ready() {
    let land = Land::new().member_as("gz-1", "gz", 4, "4", &json!({}), "False");
    assert_snapshot!(land.why(web("health", 1, "1", &json!({}))));
}

#[test]
fn the_data_is_on_a_member_that_may_not_have_it_any_more() {
    let data = json!({"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]});
    let placement = json!({"requirements": {"residency": ["sz"]}});
    let theirs = workload("health", "StatefulSet", 2, "1", &json!({}), &data);
    let land = Land::new()
        .member("gz-1", "gz", 4, "4")
        .member("sz-1", "sz", 4, "4")
        .holding(theirs, "gz-1", "StatefulSet/web", 2);
    let moved = workload("health", "StatefulSet", 2, "1", &placement, &data);
    assert_snapshot!(land.why(moved));
}

#[test]
fn the_request_itself_is_refused() {
    let land = Land::new().member("gz-1", "gz", 4, "4");
    assert_snapshot!(land.why(web("health", 2_000_000, "1", &json!({}))));
}

#[test]
fn the_namespace_has_no_tenant() {
    let land = Land::new().member("gz-1", "gz", 4, "4");
    assert_snapshot!(land.why(web("nobodys", 1, "1", &json!({}))));
}

fn at() -> Timestamp {
    "2026-11-23T09:00:00Z".parse().unwrap()
}

/// Two members, one Workload that holds and one that waits.
fn busy() -> Land {
    let mut land = Land::new()
        .member("gz-1", "gz", 2, "4")
        .member("sz-1", "sz", 1, "4")
        .holding(
            web("sport", 6, "1", &json!({})),
            "gz-1",
            "Deployment/web",
            6,
        );
    let mut waits = web("health", 8, "1", &json!({}));
    waits["metadata"]["generation"] = json!(1);
    let manifests = waits["spec"]["manifests"].as_array_mut().unwrap();
    let container = "/spec/template/spec/containers/0";
    manifests[0].pointer_mut(container).unwrap()["env"] =
        json!([{"name": "PASSWORD", "value": "canary-in-env"}]);
    manifests.push(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"},
        "data": {"canary-key": "canary-in-config"}}),
    );
    land.documents.push(waits);
    land.documents.push(
        json!({"kind": "Secret", "metadata": {"name": "s", "namespace": "health"},
        "data": {"password": "Y2FuYXJ5LWluLXNlY3JldA=="}}),
    );
    land
}

#[test]
fn a_snapshot_is_the_same_bytes_in_whatever_order_its_objects_come_and_holds_no_manifest() {
    let bytes = |recording: &Recording| serde_json::to_string(recording).unwrap();
    let snapshot = record(&busy().world(), at());
    let text = bytes(&snapshot);
    assert_eq!(bytes(&record(&busy().world(), at())), text, "twice");
    let mut land = busy();
    land.documents.reverse();
    assert_eq!(
        bytes(&record(&land.world(), at())),
        text,
        "the other way round"
    );
    assert!(text.contains("health/web"), "the Workload is there");
    for secret in ["canary", "PASSWORD", "Y2FuYXJ5", "registry.gov.example"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let read = Recording::read(text.as_bytes()).unwrap();
    assert_eq!(bytes(&read), text);
    let answers = |of: &Recording| serde_json::to_string(&of.replay(None)).unwrap();
    assert_eq!(answers(&read), answers(&snapshot), "replayed");
}

/// What `simulate` says of one Workload is what the snapshot says of it.
#[test]
fn a_snapshot_decides_as_simulate_does() {
    let world = busy().world();
    let replayed = record(&world, at()).replay(None);
    assert_eq!(replayed.len(), 2);
    for (workload, alone) in world.workloads.iter().zip(["sport", "health"]) {
        let said = simulate(&world, workload, at());
        let found = replayed.iter().find(|why| why.namespace == alone).unwrap();
        assert_eq!(
            (&found.outcome, &found.reason),
            (&said.outcome, &said.reason)
        );
        assert_eq!(found.members, said.members);
    }
}

#[test]
fn what_a_change_does_is_shown() {
    let mut recording = record(&busy().world(), at());
    let before = recording.replay(None);
    assert_snapshot!(
        "replayed",
        blurred(&crate::view::replay::table(&before, true))
    );
    let changes = ["member/sz-1.nodes=+1", "workload/sport/web.replicas=4"];
    let changes: Vec<_> = changes.iter().map(|text| text.parse().unwrap()).collect();
    recording.change(&changes).unwrap();
    let compared = crate::view::replay::Compared::of(&before, recording.replay(None));
    assert_snapshot!("compared", compared.table(true));
}

/// Without the hashes of the inputs.
fn blurred(text: &str) -> String {
    let blur = |line: &str| match line.rsplit_once(' ') {
        Some((line, hash)) if hash.len() == 12 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            format!("{line} HASH\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(blur).collect()
}
