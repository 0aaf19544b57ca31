//! What the Workload says beyond its manifests: replicas and divisibility.

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::placement::{DivisionType, PlacementSpec};
use heyun_crds::workload::{ComponentSpec, WorkloadSpec};
use heyun_scheduler::request::Division;

use super::error::{ManifestError, shown};
use super::kinds::ComponentKind;
use super::pod::Unchecked;
use super::{Component, Interpreted};

/// Applies `spec.replicas`, `spec.scaleTarget`, `spec.components` and the autoscalers' bounds.
///
/// The first that speaks wins: `spec.components[].replicas`, `spec.replicas`, the manifest. An
/// autoscaler then bounds the number, as it will on the member, and the most that it may make is
/// charged as surge.
pub(crate) fn apply(
    spec: &WorkloadSpec,
    found: &mut Interpreted,
    placement: &PlacementSpec,
    errors: &mut Vec<ManifestError>,
) {
    found.scale_target = scale_target(spec, &found.components, errors);
    if let (Some(target), Some(replicas)) = (found.scale_target.clone(), spec.replicas)
        && let Some(component) = find(&mut found.components, &target)
    {
        set(component, i64::from(replicas), "spec.replicas", errors);
    }
    let mut seen = BTreeSet::new();
    for (index, said) in spec.components.iter().enumerate() {
        let place = format!("spec.components[{index}]");
        if !seen.insert(said.name.as_str()) {
            let problem = format!("{} is there twice", shown(&said.name));
            errors.push(ManifestError::invalid(
                place,
                problem,
                "remove one of the two",
            ));
            continue;
        }
        one(said, &place, &mut found.components, placement, errors);
    }
    let duplicated = placement.division.type_ == DivisionType::Duplicated;
    for component in &mut found.components {
        if let Some(hpa) = component.hpa {
            let request = &mut component.request;
            let least = hpa.least().min(hpa.max);
            request.replicas = request.replicas.clamp(least, hpa.max);
            let divided = request.division == Division::Divided && !duplicated;
            request.surge = hpa.charged(request.replicas, divided);
        }
    }
    check_sums(&found.components, errors);
    mark_shared_claims(spec, &mut found.components);
}

fn find<'c>(components: &'c mut [Component], name: &str) -> Option<&'c mut Component> {
    components.iter_mut().find(|c| c.request.name == name)
}

fn names(components: &[Component], which: impl Fn(&Component) -> bool) -> String {
    let named: Vec<&str> = components
        .iter()
        .filter(|c| which(c))
        .map(|c| c.request.name.as_str())
        .collect();
    if named.is_empty() {
        "none".to_owned()
    } else {
        named.join(", ")
    }
}

/// The component that `spec.replicas` means.
fn scale_target(
    spec: &WorkloadSpec,
    components: &[Component],
    errors: &mut Vec<ManifestError>,
) -> Option<String> {
    let scalable: Vec<&Component> = components.iter().filter(|c| c.kind.is_scalable()).collect();
    let all = names(components, |c| c.kind.is_scalable());
    if let Some(target) = &spec.scale_target {
        if scalable.iter().any(|c| c.request.name == *target) {
            return Some(target.clone());
        }
        let problem = format!("{} names no component that can be scaled", shown(target));
        let fix = format!("write one of: {all}");
        errors.push(ManifestError::invalid("spec.scaleTarget", problem, fix));
        return None;
    }
    if let [only] = scalable.as_slice() {
        return Some(only.request.name.clone());
    }
    if let Some(replicas) = spec.replicas {
        let (problem, fix) = if scalable.is_empty() {
            let problem = format!("{replicas} means no component: none can be scaled");
            (problem, "remove it".to_owned())
        } else {
            let problem = format!("{replicas} could mean each of: {all}");
            (
                problem,
                "name one in spec.scaleTarget, or use spec.components".to_owned(),
            )
        };
        errors.push(ManifestError::invalid("spec.replicas", problem, fix));
    }
    None
}

fn set(component: &mut Component, replicas: i64, place: &str, errors: &mut Vec<ManifestError>) {
    if (0..=i64::from(i32::MAX)).contains(&replicas) {
        component.request.replicas = replicas;
    } else {
        let fix = "write a whole number from 0 to 2147483647";
        errors.push(ManifestError::invalid(
            place,
            format!("{replicas} is no number of replicas"),
            fix,
        ));
    }
}

fn one(
    said: &ComponentSpec,
    place: &str,
    components: &mut [Component],
    placement: &PlacementSpec,
    errors: &mut Vec<ManifestError>,
) {
    let all = names(components, |_| true);
    let Some(component) = find(components, &said.name) else {
        let problem = format!("{} names no component", shown(&said.name));
        let fix = format!("write one of: {all}");
        errors.push(ManifestError::invalid(
            format!("{place}.name"),
            problem,
            fix,
        ));
        return;
    };
    if let Some(replicas) = said.replicas {
        let place = format!("{place}.replicas");
        if component.kind.is_scalable() {
            set(component, i64::from(replicas), &place, errors);
        } else {
            let problem = format!("a {} has no replicas to set", component.kind);
            errors.push(ManifestError::invalid(place, problem, "remove it"));
        }
    }
    match said.divisible {
        Some(false) if component.request.division == Division::Divided => {
            component.request.division = Division::OneMember;
        }
        Some(true) => divide(component, place, placement, errors),
        _ => {}
    }
}

fn divide(
    component: &mut Component,
    place: &str,
    placement: &PlacementSpec,
    errors: &mut Vec<ManifestError>,
) {
    let place = format!("{place}.divisible");
    let name = &component.request.name;
    let indexed_job = component.kind == ComponentKind::Job
        && component.request.division == Division::OneMember
        && !component.request.pinned_data;
    if component.request.pinned_data && placement.data.is_none() {
        let problem = format!("{name} holds volume claims, and their data does not divide");
        let fix = "say what becomes of it in placement.data: Ephemeral, Replicated or RestoreFrom";
        errors.push(ManifestError::invalid(place, problem, fix));
    } else if indexed_job {
        let problem = format!("{name} is an indexed Job, and each index runs once");
        let fix = "remove it, or make one Job for each part";
        errors.push(ManifestError::invalid(place, problem, fix));
    } else if component.kind.is_scalable() || component.kind == ComponentKind::Job {
        component.request.division = Division::Divided;
    } else {
        let problem = format!("a {} is never divided", component.kind);
        errors.push(ManifestError::invalid(place, problem, "remove it"));
    }
}

/// Notes components whose pods together ask for more than can be counted.
fn check_sums(components: &[Component], errors: &mut Vec<ManifestError>) {
    for component in components {
        let request = &component.request;
        let pods = request.surge.pods(request.replicas);
        if request.per_replica.checked_mul(pods).is_none() {
            let problem = format!(
                "{pods} pods of {} request more than can be counted",
                request.name
            );
            let fix = "lower the replicas or the requests";
            let place = format!("manifests[{}] {}", component.manifest, request.name);
            errors.push(ManifestError::invalid(place, problem, fix));
        }
    }
}

/// Marks components that use a claim which another component uses too.
fn mark_shared_claims(spec: &WorkloadSpec, components: &mut [Component]) {
    let mut users: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, component) in components.iter().enumerate() {
        let manifest = spec.manifests.get(component.manifest).map(|m| &m.0);
        let template = manifest.and_then(|m| super::pod_template(m, component.kind));
        let volumes = template.and_then(|t| t.pointer("/spec/volumes")?.as_array());
        for volume in volumes.into_iter().flatten() {
            let claim = volume
                .pointer("/persistentVolumeClaim/claimName")
                .and_then(|c| c.as_str());
            users
                .entry(claim.unwrap_or_default().to_owned())
                .or_default()
                .push(index);
        }
    }
    users.remove("");
    for shared in users
        .values()
        .filter(|u| u.iter().collect::<BTreeSet<_>>().len() > 1)
    {
        for index in shared {
            if let Some(component) = components.get_mut(*index) {
                component.unchecked.insert(Unchecked::SharedClaim);
            }
        }
    }
}
