//! A country of 31 provinces: tenants, quotas, flavors, members with their status. No member has
//! a cluster behind it: mode `Pull`, and this program writes what agents would.

use heyun_crds::{Flavor, MemberCluster, Quota, Sketch, Tenant, Work, Workload};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Client, Resource};
use serde_json::{Value, json};

use super::{Result, at_once};

/// The tenant above all others.
const ROOT: &str = "china";
/// Every province, region and municipality that a member may stand in.
const PROVINCES: [&str; 31] = [
    "beijing",
    "tianjin",
    "hebei",
    "shanxi",
    "neimenggu",
    "liaoning",
    "jilin",
    "heilongjiang",
    "shanghai",
    "jiangsu",
    "zhejiang",
    "anhui",
    "fujian",
    "jiangxi",
    "shandong",
    "henan",
    "hubei",
    "hunan",
    "guangdong",
    "guangxi",
    "hainan",
    "chongqing",
    "sichuan",
    "guizhou",
    "yunnan",
    "xizang",
    "shaanxi",
    "gansu",
    "qinghai",
    "ningxia",
    "xinjiang",
];
/// Flavors with the architecture of their nodes; members offer one of them in turn.
const FLAVORS: [(&str, &str); 2] = [("general-amd64", "amd64"), ("general-arm64", "arm64")];
/// When everything of the fixture came about.
const LONG_AGO: &str = "2026-01-01T00:00:00Z";

/// Where Works lie that only measure the API server: no member's namespace.
pub(super) const RAW_NAMESPACE: &str = "bench-raw";

/// Where a member's Works and Sketch lie.
pub(super) fn member_namespace(member: &str) -> String {
    format!("heyun-member-{member}")
}

/// Creates an object from its JSON, without reading the answer's fields.
pub(super) async fn create<K>(client: &Client, namespace: Option<&str>, body: &[u8]) -> Result<()>
where
    K: Resource,
    K::DynamicType: Default,
{
    let url = K::url_path(&K::DynamicType::default(), namespace);
    let request = Request::new(url).create(&PostParams::default(), body.to_vec())?;
    client.request_text(request).await?;
    Ok(())
}

/// Merges into an object's status, without reading the answer's fields.
pub(super) async fn merge_status<K>(
    client: &Client,
    namespace: Option<&str>,
    name: &str,
    patch: &Value,
) -> Result<()>
where
    K: Resource,
    K::DynamicType: Default,
{
    merge::<K>(client, namespace, name, "status", patch).await
}

async fn merge<K>(
    client: &Client,
    namespace: Option<&str>,
    name: &str,
    subresource: &str,
    patch: &Value,
) -> Result<()>
where
    K: Resource,
    K::DynamicType: Default,
{
    let url = K::url_path(&K::DynamicType::default(), namespace);
    let (patch, params) = (Patch::Merge(patch), PatchParams::default());
    let request = Request::new(url).patch_subresource(subresource, name, &params, &patch)?;
    client.request_text(request).await?;
    Ok(())
}

/// The namespace of the agency of the province of this number.
pub(super) fn namespace(number: usize) -> String {
    format!("{}-civil", PROVINCES[number % PROVINCES.len()])
}

/// How many agencies there are.
pub(super) const fn agencies() -> usize {
    PROVINCES.len()
}

/// Writes everything but Workloads.
pub(super) async fn write(client: &Client, members: usize) -> Result<()> {
    raw_namespace(client).await?;
    at_once(FLAVORS.iter().map(|(name, arch)| async move {
        let spec = json!({"nodeSelector": {"matchLabels": {"kubernetes.io/arch": arch}}, "precedence": 10});
        create::<Flavor>(client, None, &object::<Flavor>(name, &spec)).await
    }))
    .await?;
    at_once(tenants().into_iter().map(|(name, spec)| async move {
        create::<Tenant>(client, None, &object::<Tenant>(&name, &spec)).await
    }))
    .await?;
    at_once(quotas().into_iter().map(|(name, spec)| async move {
        create::<Quota>(client, None, &object::<Quota>(&name, &spec)).await
    }))
    .await?;
    at_once((0..members).map(|number| member(client, number))).await
}

async fn raw_namespace(client: &Client) -> Result<()> {
    let body =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RAW_NAMESPACE}});
    create::<Namespace>(client, None, body.to_string().as_bytes()).await
}

fn object<K>(name: &str, spec: &Value) -> Vec<u8>
where
    K: Resource,
    K::DynamicType: Default,
{
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    let api = heyun_crds::API_VERSION;
    json!({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec})
        .to_string()
        .into_bytes()
}

fn tenants() -> Vec<(String, Value)> {
    let mut all = vec![(
        ROOT.to_owned(),
        json!({"kind": "Region", "adminLevel": "National"}),
    )];
    for province in PROVINCES {
        let region = json!({"kind": "Region", "adminLevel": "Provincial", "parent": ROOT});
        all.push((province.to_owned(), region));
        let name = format!("{province}-civil");
        let agency = json!({
            "kind": "Agency", "adminLevel": "Provincial", "parent": province,
            "namespaces": [name], "guardrails": {"residency": [province], "mlpsLevel": 2},
        });
        all.push((name, agency));
    }
    all
}

fn quotas() -> Vec<(String, Value)> {
    let spec = |tenant: &str, share: u64| {
        let line = |flavor: &str, resource: &str, unit: &str| {
            let amount = format!("{}{unit}", share * 1000);
            json!({"flavor": flavor, "resource": resource, "nominal": amount, "ceiling": amount})
        };
        let lines: Vec<Value> = FLAVORS
            .iter()
            .flat_map(|(flavor, _)| [line(flavor, "cpu", ""), line(flavor, "memory", "Gi")])
            .collect();
        (
            tenant.to_owned(),
            json!({"tenant": tenant, "resources": lines}),
        )
    };
    let mut all = vec![spec(ROOT, 1000)];
    for province in PROVINCES {
        all.push(spec(province, 30));
        all.push(spec(&format!("{province}-civil"), 30));
    }
    all
}

async fn member(client: &Client, number: usize) -> Result<()> {
    let province = PROVINCES[number % PROVINCES.len()];
    let name = format!("{province}-{}", number / PROVINCES.len() + 1);
    let (flavor, arch) = FLAVORS[number / PROVINCES.len() % FLAVORS.len()];
    let spec = json!({
        "mode": "Pull", "provider": format!("provider-{}", number % 5), "operator": province,
        "location": {"region": province}, "owner": province, "zone": "cegn-common",
        "mlps": {"level": 3, "filingNo": format!("{number:011}"), "validUntil": "2099-12-31"},
        "classMap": {"storage": {"standard": "standard"}},
    });
    create::<MemberCluster>(client, None, &object::<MemberCluster>(&name, &spec)).await?;
    let condition = |kind: &str| {
        json!({
            "type": kind, "status": "True", "reason": "Healthy", "message": "",
            "observedGeneration": 1, "lastTransitionTime": LONG_AGO,
        })
    };
    let status = json!({"status": {
        "observedGeneration": 1,
        "conditions": [condition("Accepted"), condition("Ready"), condition("Schedulable")],
        "version": "v1.36.3",
        "apis": ["v1/ConfigMap", "v1/Pod", "v1/Secret", "v1/Service", "v1/ServiceAccount",
                 "apps/v1/DaemonSet", "apps/v1/Deployment", "apps/v1/StatefulSet",
                 "batch/v1/CronJob", "batch/v1/Job", "networking.k8s.io/v1/Ingress"],
        "nodes": {"ready": 60, "total": 60},
    }});
    merge_status::<MemberCluster>(client, None, &name, &status).await?;
    let namespace = member_namespace(&name);
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    create::<Namespace>(client, None, body.to_string().as_bytes()).await?;
    let (spec, status) = (json!({}), json!({"status": sketch(flavor, arch)}));
    create::<Sketch>(client, Some(&namespace), &object::<Sketch>("sketch", &spec)).await?;
    merge_status::<Sketch>(client, Some(&namespace), "sketch", &status).await
}

/// Three zones of twenty nodes each.
fn sketch(flavor: &str, arch: &str) -> Value {
    let shapes: Vec<Value> = ["a", "b", "c"]
        .iter()
        .map(|zone| {
            json!({
                "count": 20, "flavor": flavor,
                "labels": {"kubernetes.io/arch": arch, "topology.kubernetes.io/zone": zone},
                "free": {"cpu": "30", "memory": "120Gi", "pods": "200"},
            })
        })
        .collect();
    json!({
        "revision": {"instance": "bench", "number": 1}, "nodes": 60, "shapes": shapes,
        "labelKeys": ["kubernetes.io/arch", "topology.kubernetes.io/zone"],
    })
}

/// A Workload of one small Deployment, as `heyun deploy` writes it: with the finalizer, which the
/// hub would else add with a write of its own.
pub(super) fn workload(namespace: &str, name: &str) -> Vec<u8> {
    let labels = json!({"app.kubernetes.io/name": name});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{
                    "name": "main", "image": "registry.gov.example/civil/service:1.0.0",
                    "ports": [{"containerPort": 8080, "name": "http"}],
                    "env": [{"name": "LISTEN", "value": ":8080"}],
                    "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
                    "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
                }]},
            },
        },
    });
    json!({
        "apiVersion": heyun_crds::API_VERSION, "kind": "Workload",
        "metadata": {
            "name": name, "namespace": namespace, "finalizers": [heyun_crds::labels::FINALIZER],
        },
        "spec": {"manifests": [deployment]},
    })
    .to_string()
    .into_bytes()
}

/// Creates a Workload.
pub(super) async fn deploy(client: &Client, namespace: &str, name: &str) -> Result<()> {
    create::<Workload>(client, Some(namespace), &workload(namespace, name)).await
}

/// Scales a Workload as `kubectl scale` does: a merge patch of its subresource.
pub(super) async fn scale(
    client: &Client,
    namespace: &str,
    name: &str,
    replicas: i32,
) -> Result<()> {
    let patch = json!({"spec": {"replicas": replicas}});
    merge::<Workload>(client, Some(namespace), name, "scale", &patch).await
}

/// The same Work under another name and namespace, as a body for a create.
pub(super) fn raw_work(sample: &Work, name: &str) -> Result<Vec<u8>> {
    let mut work = sample.clone();
    work.metadata = kube::core::ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(RAW_NAMESPACE.to_owned()),
        labels: work.metadata.labels.take(),
        annotations: work.metadata.annotations.take(),
        ..kube::core::ObjectMeta::default()
    };
    work.status = None;
    Ok(serde_json::to_vec(&work)?)
}
