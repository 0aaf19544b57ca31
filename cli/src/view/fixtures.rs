//! Fixed values for the tests of this folder.

use heyun_crds::{MemberCluster, Quota, Tenant, Work, Workload};
use k8s_openapi::jiff::Timestamp;
use serde::de::DeserializeOwned;

pub(super) fn now() -> Timestamp {
    "2026-11-23T09:00:00Z".parse().unwrap()
}

pub(super) fn all<K: DeserializeOwned>(yaml: &str) -> Vec<K> {
    let documents = crate::apply::documents("fixture", yaml).unwrap();
    documents
        .into_iter()
        .map(|one| serde_json::from_value(one).unwrap())
        .collect()
}

pub(super) fn members() -> Vec<MemberCluster> {
    all(r#"
apiVersion: heyun.dev/v1alpha1
kind: MemberCluster
metadata: {name: guangzhou-1, creationTimestamp: "2026-11-20T09:00:00Z"}
spec:
  endpoint: https://10.1.2.3:6443
  credentialsRef: {name: member-guangzhou-1}
  provider: xinghe
  location: {region: guangzhou}
  owner: guangzhou
  operator: 广州云运营
  mlps: {level: 3, filingNo: "44010099001", validUntil: "2030-06-30"}
status:
  version: v1.36.3
  clusterId: 6f1c
  nodes: {ready: 4, total: 4}
  conditions:
  - {type: Accepted, status: "True", reason: Ok, message: "", lastTransitionTime: "2026-11-20T09:00:00Z"}
  - {type: Ready, status: "True", reason: Ok, message: "it answers", lastTransitionTime: "2026-11-22T09:00:00Z"}
  capacity:
  - {flavor: xinchuang-arm64, resource: cpu, allocatable: "64", requested: 7500m}
  - {flavor: xinchuang-arm64, resource: memory, allocatable: 256Gi, requested: 9Gi}
---
apiVersion: heyun.dev/v1alpha1
kind: MemberCluster
metadata: {name: gz-old, creationTimestamp: "2026-11-23T08:59:00Z"}
spec: {mode: Observe, unschedulable: true, zone: cegn-internet}
---
apiVersion: heyun.dev/v1alpha1
kind: MemberCluster
metadata: {name: shenzhen-1, creationTimestamp: "2026-11-01T09:00:00Z"}
spec: {provider: tianqiong, location: {region: shenzhen}, mlps: {level: 2}}
status:
  nodes: {ready: 1, total: 4}
  conditions:
  - {type: Ready, status: Unknown, reason: Unreachable, message: "no answer for 47 s", lastTransitionTime: "2026-11-23T08:59:13Z"}
"#)
}

pub(super) fn tenants() -> Vec<Tenant> {
    all(r#"
apiVersion: heyun.dev/v1alpha1
kind: Tenant
metadata: {name: guangdong, creationTimestamp: "2026-11-20T09:00:00Z"}
spec: {displayName: 广东省, kind: Region, adminLevel: Provincial}
status: {path: guangdong, conditions: [{type: Ready, status: "True", reason: Ok, message: "", lastTransitionTime: "2026-11-20T09:00:00Z"}]}
---
apiVersion: heyun.dev/v1alpha1
kind: Tenant
metadata: {name: guangzhou, creationTimestamp: "2026-11-20T09:00:00Z"}
spec: {displayName: 广州市, parent: guangdong, kind: Region}
status: {conditions: [{type: Ready, status: "True", reason: Ok, message: "", lastTransitionTime: "2026-11-20T09:00:00Z"}]}
---
apiVersion: heyun.dev/v1alpha1
kind: Tenant
metadata: {name: gz-civil-affairs, creationTimestamp: "2026-11-20T09:00:00Z"}
spec: {displayName: 广州市民政局, parent: guangzhou, kind: Agency, namespaces: [gz-civil-affairs]}
status: {conditions: [{type: Ready, status: "False", reason: NamespaceTaken, message: "namespace gz-civil-affairs is another's", lastTransitionTime: "2026-11-20T09:00:00Z"}]}
---
apiVersion: heyun.dev/v1alpha1
kind: Tenant
metadata: {name: gz-health, creationTimestamp: "2026-11-20T09:00:00Z"}
spec: {displayName: 广州市卫健委, parent: guangzhou, kind: Agency}
---
apiVersion: heyun.dev/v1alpha1
kind: Tenant
metadata: {name: shenzhen, creationTimestamp: "2026-11-20T09:00:00Z"}
spec: {displayName: 深圳市, parent: guangdong, kind: Region}
---
apiVersion: heyun.dev/v1alpha1
kind: Tenant
metadata: {name: lost, creationTimestamp: "2026-11-20T09:00:00Z"}
spec: {parent: nowhere, kind: System}
"#)
}

pub(super) fn quotas() -> Vec<Quota> {
    all(r#"
apiVersion: heyun.dev/v1alpha1
kind: Quota
metadata: {name: guangzhou}
spec: {tenant: guangzhou, resources: [{flavor: xinchuang-arm64, resource: cpu, nominal: "400"}, {flavor: xinchuang-arm64, resource: memory, nominal: 1Ti}]}
status:
  effective: {generation: 1, epoch: 1, resources: [{flavor: xinchuang-arm64, resource: cpu, nominal: "400"}, {flavor: xinchuang-arm64, resource: memory, nominal: 1Ti}]}
  resources:
  - {flavor: xinchuang-arm64, resource: cpu, used: "160", charged: "160", borrowed: "0", lent: "0", available: "240", debt: "0", pending: "0"}
---
apiVersion: heyun.dev/v1alpha1
kind: Quota
metadata: {name: gz-civil-affairs}
spec: {tenant: gz-civil-affairs, resources: [{flavor: xinchuang-arm64, resource: cpu, nominal: "40"}]}
status:
  effective: {generation: 1, epoch: 1, resources: [{flavor: xinchuang-arm64, resource: cpu, nominal: "40"}]}
  resources:
  - {flavor: xinchuang-arm64, resource: cpu, used: "31", charged: "31", borrowed: "0", lent: "9", available: "9", debt: "0", pending: "0"}
---
apiVersion: heyun.dev/v1alpha1
kind: Quota
metadata: {name: gz-health}
spec: {tenant: gz-health, resources: [{flavor: xinchuang-arm64, resource: cpu, nominal: "120"}, {flavor: general-amd64, resource: cpu, nominal: "0"}]}
status:
  effective: {generation: 1, epoch: 1, resources: [{flavor: xinchuang-arm64, resource: cpu, nominal: "120"}, {flavor: general-amd64, resource: cpu, nominal: "0"}]}
  resources:
  - {flavor: xinchuang-arm64, resource: cpu, used: "129", charged: "129", borrowed: "9", lent: "0", available: "0", debt: 1500m, pending: "2"}
"#)
}

pub(super) fn workload() -> Workload {
    all(r#"
apiVersion: heyun.dev/v1alpha1
kind: Workload
metadata: {name: assistance, namespace: gz-civil-affairs, generation: 4}
spec: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}]}
status:
  summary: {replicas: 11/12, members: "guangzhou-1:8,province-a:4", reason: Progressing}
  conditions: [{type: Ready, status: "False", reason: Progressing, message: "1 of 12 replicas is not ready", lastTransitionTime: "2026-11-20T09:00:00Z"}]
  decision:
    id: 7f3a9c
    generation: 4
    epoch: 3
    inputsHash: aa
    assignments:
    - {member: guangzhou-1, flavor: xinchuang-arm64, component: Deployment/web, replicas: 8}
    - {member: province-a, flavor: general-amd64, component: Deployment/web, replicas: 3}
    - {member: province-a, flavor: xinchuang-arm64, component: Deployment/web, replicas: 1}
  members:
  - {name: guangzhou-1, desired: 8, ready: 8, applied: true, healthy: true}
  - {name: province-a, desired: 4, ready: 3, applied: true, healthy: false, reason: Progressing, message: "Deployment/web: 3 of 4 ready"}
"#)
    .remove(0)
}

pub(super) fn refused() -> Workload {
    all(r#"
apiVersion: heyun.dev/v1alpha1
kind: Workload
metadata: {name: reporting, namespace: gz-civil-affairs}
spec: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}]}
status: {summary: {replicas: 0/6, members: "-", reason: "QuotaExceeded: needs 6 cpu of general-amd64, 2 left in gz-civil-affairs"}}
"#)
    .remove(0)
}

pub(super) fn works() -> Vec<Work> {
    all(r#"
apiVersion: heyun.dev/v1alpha1
kind: Work
metadata: {name: assistance-0123456789, namespace: heyun-member-guangzhou-1}
spec: {workload: {namespace: gz-civil-affairs, name: assistance}, tenant: t, tenantUid: u, decision: 7f3a9c, epoch: 3, manifests: []}
status:
  conditions:
  - {type: Applied, status: "True", reason: Ok, message: "", lastTransitionTime: "2026-11-20T09:00:00Z"}
  - {type: Healthy, status: "True", reason: Ok, message: "", lastTransitionTime: "2026-11-20T09:00:00Z"}
  objects:
  - {apiVersion: apps/v1, kind: Deployment, name: web, applied: true, healthy: true, desired: 8, ready: 8}
  - {apiVersion: v1, kind: Service, name: web, applied: true, healthy: true, drifted: true, message: "kubectl-edit changed spec.ports"}
---
apiVersion: heyun.dev/v1alpha1
kind: Work
metadata: {name: assistance-0123456789, namespace: heyun-member-province-a}
spec: {workload: {namespace: gz-civil-affairs, name: assistance}, tenant: t, tenantUid: u, decision: 7f3a9c, epoch: 3, manifests: []}
status:
  conditions:
  - {type: Applied, status: "False", reason: ApplyFailed, message: "Service/web: the namespace is being terminated", lastTransitionTime: "2026-11-20T09:00:00Z"}
  objects:
  - {apiVersion: apps/v1, kind: Deployment, name: web, applied: true, healthy: false, desired: 4, ready: 3, reason: Progressing, message: "3 of 4 ready"}
  - {apiVersion: v1, kind: Service, name: web, applied: false, healthy: false, reason: ApplyFailed, message: "the namespace is being terminated"}
"#)
}
