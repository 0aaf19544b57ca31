use heyun_crds::{Approval, ResourceRequest};
use insta::assert_snapshot;

use super::super::fixtures::{all, now};
use super::{line, show, table};

fn requests() -> Vec<ResourceRequest> {
    all(r#"
apiVersion: heyun.dev/v1alpha1
kind: ResourceRequest
metadata: {name: flood, namespace: gz-civil-affairs, uid: u-1, generation: 1, creationTimestamp: "2026-11-20T09:00:00Z"}
spec:
  tenant: gz-civil-affairs
  applicant: li@gz-civil-affairs
  resources:
  - {flavor: general-amd64, resource: cpu, amount: "40"}
  - {flavor: general-amd64, resource: memory, amount: 64Gi}
  from: "2027-05-01T00:00:00+08:00"
  until: "2027-10-01T00:00:00+08:00"
  reason: 防汛期间业务高峰
  document: {number: 粤民函〔2026〕12号}
status:
  chain: guangdong/rest
  stage: city
  summary: AwaitingApproval
  conditions:
  - {type: Accepted, status: "True", reason: Ok, message: "it is sound, and there is room for it", lastTransitionTime: "2026-11-20T09:00:00Z"}
  - {type: Approved, status: "False", reason: AwaitingApproval, message: "stage city: 1 of 2 agreed", lastTransitionTime: "2026-11-20T09:00:00Z"}
  - {type: Active, status: "False", reason: Pending, message: "it is not approved", lastTransitionTime: "2026-11-20T09:00:00Z"}
---
apiVersion: heyun.dev/v1alpha1
kind: ResourceRequest
metadata: {name: new, namespace: gz-health, uid: u-2, creationTimestamp: "2026-11-23T08:59:00Z"}
spec:
  tenant: gz-health
  applicant: he@gz-health
  resources: [{flavor: ascend-910, resource: huawei.com/Ascend910, amount: 8}]
  until: "2027-01-01T00:00:00+08:00"
  reason: training
"#)
}

fn acts() -> Vec<Approval> {
    let mut all: Vec<Approval> = all(r#"
apiVersion: heyun.dev/v1alpha1
kind: Approval
metadata: {name: flood-a, creationTimestamp: "2026-11-21T09:00:00Z"}
spec: {request: flood, requestUid: u-1, requestHash: HASH, stage: bureau, verdict: Approve, approver: wang@gz, comment: 同意}
---
apiVersion: heyun.dev/v1alpha1
kind: Approval
metadata: {name: flood-b, creationTimestamp: "2026-11-22T09:00:00Z"}
spec: {request: flood, requestUid: u-1, requestHash: HASH, stage: city, verdict: Approve, approver: li@gz-civil-affairs}
---
apiVersion: heyun.dev/v1alpha1
kind: Approval
metadata: {name: flood-c, creationTimestamp: "2026-11-19T09:00:00Z"}
spec: {request: flood, requestUid: u-0, requestHash: HASH, stage: bureau, verdict: Approve, approver: wang@gz}
---
apiVersion: heyun.dev/v1alpha1
kind: Approval
metadata: {name: other-a, creationTimestamp: "2026-11-19T09:00:00Z"}
spec: {request: other, requestUid: u-9, requestHash: HASH, stage: bureau, verdict: Approve, approver: wang@gz}
"#);
    let hash = heyun_plan::approve::hash(&requests()[0].spec);
    for act in &mut all {
        act.spec.request_hash.clone_from(&hash);
    }
    all
}

#[test]
fn requests_in_a_table() {
    assert_snapshot!(table(&requests(), false, false, true, now()));
    assert_snapshot!(table(&requests(), true, true, true, now()));
}

#[test]
fn a_request_with_its_way() {
    assert_snapshot!(show(&requests()[0], &acts(), now()));
    assert_snapshot!(show(&requests()[1], &acts(), now()));
}

#[test]
fn where_it_stands_is_one_line() {
    let of = |index: usize| line(&requests()[index].status.clone().unwrap_or_default());
    assert_eq!(of(0), "AwaitingApproval: stage city: 1 of 2 agreed");
    assert_eq!(of(1), "");
}
