use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

fn now() -> Timestamp {
    "2026-11-23T09:00:00Z".parse().unwrap()
}

fn one<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

/// A hub that is well and holds nothing.
fn well() -> Facts {
    let mut crds = heyun_crds::all_crds();
    for crd in &mut crds {
        crd.status = Some(one(
            json!({"conditions": [{"type": "Established", "status": "True"}]}),
        ));
    }
    Facts {
        now: now(),
        server: Ok(Server {
            version: "v1.36.3".to_owned(),
            skew: Some(1),
        }),
        crds: Ok(crds),
        missing: Ok(Vec::new()),
        missing_policies: Ok(Vec::new()),
        lease: Ok(Some(one(
            json!({"metadata": {"name": "heyun-hub"}, "spec": {
            "holderIdentity": "hub-1", "leaseDurationSeconds": 15, "leaseTransitions": 3,
            "renewTime": "2026-11-23T08:59:55.000000Z"}}),
        ))),
        api_service: Ok(Some(one(json!({"metadata": {"name": "x"}, "status": {
            "conditions": [{"type": "Available", "status": "True"}]}})))),
        query: Ok(()),
        members: Ok(Vec::new()),
        secrets: Ok(BTreeMap::new()),
        sketches: Ok(Vec::new()),
        flavors: Ok(Vec::new()),
        tenants: Ok(Vec::new()),
        quotas: Ok(Vec::new()),
        namespaces: Ok(Vec::new()),
        workloads: Ok(Vec::new()),
        works: Ok(Vec::new()),
    }
}

fn found(facts: &Facts, id: &str) -> Finding {
    examine(facts)
        .into_iter()
        .find(|finding| finding.id == id)
        .unwrap()
}

fn member(value: Value) -> MemberCluster {
    one(
        json!({"apiVersion": "heyun.dev/v1alpha1", "kind": "MemberCluster",
        "metadata": {"name": value["name"]}, "spec": value["spec"], "status": value["status"]}),
    )
}

#[test]
fn ids_are_unique_and_in_order_and_every_finding_that_is_bad_has_a_fix() {
    let ids: Vec<&str> = CHECKS.iter().map(|(id, _, _)| *id).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(ids, sorted);
    let mut bad = well();
    bad.server = Ok(Server {
        version: "v1.20.0".to_owned(),
        skew: Some(-90),
    });
    bad.crds = Ok(Vec::new());
    bad.missing = Ok(vec!["ClusterRole/heyun-hub".to_owned()]);
    bad.missing_policies = Ok(vec!["ValidatingAdmissionPolicy/x".to_owned()]);
    bad.lease = Ok(None);
    bad.api_service = Ok(None);
    bad.query = Err(Error::failure("no"));
    for finding in examine(&bad) {
        if finding.level >= Level::Warn {
            assert!(
                !finding.fix.is_empty() && !finding.detail.is_empty(),
                "{finding:?}"
            );
        }
    }
    let failing = examine(&bad)
        .into_iter()
        .filter(|f| f.level == Level::Fail)
        .count();
    assert!(failing >= 7, "{failing}");
}

#[test]
fn a_hub_that_is_well_has_nothing_wrong_but_what_it_lacks() {
    let bad: Vec<Finding> = examine(&well())
        .into_iter()
        .filter(|finding| finding.level == Level::Fail)
        .collect();
    assert_eq!(
        bad.iter().map(|f| f.id).collect::<Vec<_>>(),
        ["HY-D021"],
        "{bad:#?}"
    );
}

#[test]
fn a_silent_hub_fails_once_and_skips_the_rest() {
    let silent = |mut facts: Facts| {
        let error = Error::new(Exit::Failure, "no answer");
        facts.server = Err(error.clone());
        facts.query = Err(error.clone());
        facts.members = Err(error);
        facts
    };
    let facts = silent(well());
    assert_eq!(found(&facts, "HY-D001").level, Level::Fail);
    for id in ["HY-D002", "HY-D010", "HY-D013"] {
        assert_eq!(found(&facts, id).level, Level::Skipped, "{id}");
    }
}

#[test]
fn a_leader_that_is_silent_too_long_is_none() {
    let mut facts = well();
    assert_eq!(found(&facts, "HY-D008").detail, "hub-1, epoch 3");
    facts.now = "2026-11-23T09:10:00Z".parse().unwrap();
    let finding = found(&facts, "HY-D008");
    assert_eq!(finding.level, Level::Fail);
    assert!(finding.detail.contains("silent for 605 s"), "{finding:?}");
}

#[test]
fn definitions_of_another_version_are_seen() {
    let mut facts = well();
    assert_eq!(found(&facts, "HY-D005").level, Level::Ok);
    if let Ok(crds) = &mut facts.crds {
        crds[0].spec.versions[0].schema = None;
    }
    assert_eq!(found(&facts, "HY-D005").level, Level::Warn);
}

#[test]
fn members_that_are_one_cluster_or_lack_a_credential_are_named() {
    let spec = |endpoint: &str| json!({"endpoint": endpoint, "credentialsRef": {"name": "s"}});
    let mut facts = well();
    facts.members = Ok(vec![
        member(
            json!({"name": "a", "spec": spec("https://10.0.0.1:6443"), "status": {"clusterId": "1"}}),
        ),
        member(
            json!({"name": "b", "spec": spec("https://10.0.0.2:6443"), "status": {"clusterId": "1"}}),
        ),
        member(
            json!({"name": "c", "spec": spec("https://10.0.0.1:6443/"), "status": {"clusterId": "2", "version": "v1.30.1"}}),
        ),
    ]);
    let finding = found(&facts, "HY-D015");
    assert!(
        finding.detail.contains("a = b") && finding.detail.contains("a = c"),
        "{finding:?}"
    );
    let finding = found(&facts, "HY-D016");
    assert!(
        finding.detail.contains("a (its Secret is missing)"),
        "{finding:?}"
    );
    assert_eq!(found(&facts, "HY-D019").detail, "c (v1.30.1)");
    assert_eq!(
        found(&facts, "HY-D013").level,
        Level::Fail,
        "nobody has looked yet"
    );
}

#[test]
fn filings_and_tokens_that_end_are_seen() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut facts = well();
    let filed = |name: &str, until: &str| {
        member(
            json!({"name": name, "spec": {"credentialsRef": {"name": name},
            "mlps": {"level": 3, "validUntil": until}}}),
        )
    };
    facts.members = Ok(vec![
        filed("late", "2026-11-22"),
        filed("soon", "2026-12-01"),
    ]);
    let finding = found(&facts, "HY-D018");
    assert_eq!(
        (finding.level, finding.detail.as_str()),
        (Level::Fail, "no longer: late (-1 days)")
    );
    let end = now().as_second() + 3 * 24 * 3600;
    let token = format!(
        "h.{}.s",
        URL_SAFE_NO_PAD.encode(json!({"exp": end}).to_string())
    );
    let secret: Secret = one(json!({"metadata": {"name": "soon"}, "data": {
        "token": base64::engine::general_purpose::STANDARD.encode(token)}}));
    facts.secrets = Ok([("soon".to_owned(), secret)].into());
    assert_eq!(found(&facts, "HY-D017").detail, "soon (3 days)");
    assert!(!format!("{facts:?}").contains("h."), "no token is shown");
}

#[test]
fn a_tenant_without_quota_or_namespace_is_named() {
    let mut facts = well();
    facts.tenants = Ok(vec![one(json!({"metadata": {"name": "t", "uid": "u"},
        "spec": {"kind": "Agency", "namespaces": ["n", "gone"]}}))]);
    facts.namespaces = Ok(vec![one(
        json!({"metadata": {"name": "n", "labels": {"heyun.dev/tenant-uid": "other"}}}),
    )]);
    assert_eq!(found(&facts, "HY-D027").detail, "without a Quota: t");
    let finding = found(&facts, "HY-D025");
    assert_eq!(
        finding.detail,
        "n is not marked as that of t, gone of t is missing"
    );
    facts.quotas = Ok(vec![one(
        json!({"metadata": {"name": "t"}, "spec": {"tenant": "t"}, "status": {"resources": [
        {"flavor": "f", "resource": "cpu", "used": "3", "charged": "3", "borrowed": "0", "lent": "0",
         "available": "0", "debt": "1", "pending": "0"}]}}),
    )]);
    assert_eq!(found(&facts, "HY-D028").detail, "t owes 1 cpu of f");
}

#[test]
fn what_one_may_not_read_is_skipped_in_short() {
    let mut facts = well();
    let message = "failed to list quotas: quotas.heyun.dev is forbidden: User \"chen\" cannot";
    facts.quotas = Err(Error::new(Exit::Denied, message));
    let finding = found(&facts, "HY-D026");
    assert_eq!(
        (finding.level, finding.detail.as_str()),
        (Level::Skipped, "you may not list quotas")
    );
}
