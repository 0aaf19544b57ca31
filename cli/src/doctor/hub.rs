//! Checks of the hub's installation.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt as _;

use super::{Facts, Judgement, fail, known, ok, unless_empty, warn};

/// Least minor version of the API server: ValidatingAdmissionPolicy is stable from there on.
const MINOR: u32 = 30;
/// Most seconds by which clocks may differ.
const SKEW: i64 = 5;
/// Seconds after its end in which a Lease may just be changing hands.
const CHANGING: i64 = 15;

pub(super) fn answers(facts: &Facts) -> Judgement {
    match &facts.server {
        Ok(server) => ok(server.version.clone()),
        Err(error) => fail(
            &error.message,
            error
                .hint
                .as_deref()
                .unwrap_or("check --kubeconfig, --context and the network"),
        ),
    }
}

/// Minor version of `v1.36.3`.
pub(super) fn minor(version: &str) -> Option<u32> {
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    (major == "1").then(|| minor.trim_end_matches('+').parse().ok())?
}

pub(super) fn version(facts: &Facts) -> Judgement {
    let version = &known(&facts.server)?.version;
    match minor(version) {
        Some(minor) if minor >= MINOR => ok(version.clone()),
        _ => fail(
            format!("{version} is older than v1.{MINOR}"),
            "update the hub's Kubernetes: the fence needs ValidatingAdmissionPolicy",
        ),
    }
}

pub(super) fn clock(facts: &Facts) -> Judgement {
    match known(&facts.server)?.skew {
        Some(skew) if skew.abs() <= SKEW => ok(format!("{skew} s apart")),
        Some(skew) => warn(
            format!("{} s apart", skew.abs()),
            "synchronise both with a time server: leases, filings and tokens are judged by them",
        ),
        None => ok("it tells no time"),
    }
}

fn is_established(crd: &CustomResourceDefinition) -> bool {
    let conditions = crd
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|c| c.type_ == "Established" && c.status == "True")
}

pub(super) fn definitions(facts: &Facts) -> Judgement {
    let there = known(&facts.crds)?;
    let wanted = heyun_crds::all_crds();
    let missing: Vec<String> = wanted
        .iter()
        .map(kube::ResourceExt::name_any)
        .filter(|name| {
            !there
                .iter()
                .any(|crd| crd.name_any() == *name && is_established(crd))
        })
        .collect();
    unless_empty(&missing, format!("{} kinds", wanted.len()), |names| {
        fail(
            format!("not served: {names}"),
            "helm upgrade --install heyun-crds charts/heyun-crds",
        )
    })
}

pub(super) fn same_definitions(facts: &Facts) -> Judgement {
    let there = known(&facts.crds)?;
    let schema =
        |crd: &CustomResourceDefinition| crd.spec.versions.first().map(|v| v.schema.clone());
    let different: Vec<String> = heyun_crds::all_crds()
        .iter()
        .filter(|ours| {
            let theirs = there.iter().find(|crd| crd.name_any() == ours.name_any());
            theirs.is_some_and(|theirs| schema(theirs) != schema(ours))
        })
        .map(kube::ResourceExt::name_any)
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    unless_empty(&different, format!("version {version}"), |names| {
        let detail = format!("of another version than this heyun ({version}): {names}");
        warn(
            detail,
            "bring CLI and hub to one version; the chart heyun-crds goes first",
        )
    })
}

pub(super) fn installed(facts: &Facts) -> Judgement {
    let missing = known(&facts.missing)?;
    unless_empty(missing, "all there".to_owned(), |names| {
        fail(
            format!("missing: {names}"),
            "helm upgrade --install heyun charts/heyun -n heyun-system",
        )
    })
}

pub(super) fn fence(facts: &Facts) -> Judgement {
    let missing = known(&facts.missing_policies)?;
    unless_empty(missing, "all policies and bindings".to_owned(), |names| {
        fail(
            format!("missing: {names}"),
            "helm upgrade --install heyun charts/heyun -n heyun-system: without it two hubs may write at once",
        )
    })
}

pub(super) fn leader(facts: &Facts) -> Judgement {
    let start =
        "see the logs of deployment heyun-hub in heyun-system; readyz says what it waits for";
    let Some(spec) = known(&facts.lease)?
        .as_ref()
        .and_then(|lease| lease.spec.as_ref())
    else {
        return fail(
            "no hub has ever led: the Lease heyun-system/heyun-hub is missing",
            start,
        );
    };
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    let duration = i64::from(spec.lease_duration_seconds.unwrap_or(15));
    let Some(renewed) = spec.renew_time.as_ref().filter(|_| !holder.is_empty()) else {
        return fail("no hub leads", start);
    };
    let silent = facts.now.as_second() - renewed.0.as_second();
    if silent > duration + CHANGING {
        return fail(
            format!("{holder} led and has been silent for {silent} s"),
            start,
        );
    }
    let epoch = spec.lease_transitions.unwrap_or_default();
    ok(format!("{holder}, epoch {epoch}"))
}

pub(super) fn api_service(facts: &Facts) -> Judgement {
    let Some(service) = known(&facts.api_service)? else {
        return fail(
            "v1alpha1.query.heyun.dev is not registered",
            "helm upgrade --install heyun charts/heyun -n heyun-system",
        );
    };
    let conditions = service
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let available = conditions
        .into_iter()
        .flatten()
        .find(|c| c.type_ == "Available");
    match available {
        Some(condition) if condition.status == "True" => ok("Available"),
        Some(condition) => fail(
            condition
                .message
                .clone()
                .unwrap_or_else(|| "not available".to_owned()),
            "check Service heyun-hub in heyun-system; until then deleted namespaces stay Terminating",
        ),
        None => warn("not judged yet", "look again in a minute"),
    }
}

pub(super) fn query(facts: &Facts) -> Judgement {
    match &facts.query {
        Ok(()) => ok("it answers"),
        Err(error) if facts.server.is_err() => Err(error.clone()),
        Err(error) => fail(
            &error.message,
            "see the log of the leading hub; why and reports need it",
        ),
    }
}
