//! From a Workload to the scheduler's request.

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::Workload;
use heyun_crds::flavor::FlavorSpec;
use heyun_crds::labels::ARCH;
use heyun_crds::placement::{
    AffinityTerm, Components, ComponentsType, Division, DivisionType, PlacementSpec, Requirements,
    ScoreWeights, SpreadConstraint, WhenUnsatisfiable,
};
use heyun_crds::workload::Decision;
use heyun_scheduler::config;
use heyun_scheduler::quota::Purpose;
use heyun_scheduler::request as to;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::finished;
use crate::interpret::{self, Interpreted};
use crate::preempt::Class;

/// What [`request`] is made from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The Workload.
    pub workload: &'a Workload,
    /// What its manifests mean.
    pub interpreted: &'a Interpreted,
    /// The placement in effect.
    pub placement: &'a PlacementSpec,
    /// Name of the tenant that is charged.
    pub tenant: &'a str,
    /// Flavors that exist, by name.
    pub flavors: &'a BTreeMap<String, FlavorSpec>,
    /// Flavors that the tenant's quota has a line for.
    pub quota_flavors: &'a BTreeSet<String>,
    /// Its class: [`Class::NONE`] without one.
    pub class: &'a Class,
    /// The decision in force.
    pub previous: Option<&'a Decision>,
    /// Weights of the scores where the placement gives none.
    pub weights: config::ScoreWeights,
}

/// The scheduler's request for a Workload.
///
/// The placement's requirements stand in it as they are written; the tenant's guardrails are in
/// the snapshot. The scheduler obeys both, so the stricter counts, and it can name whose rule
/// refuses. What has finished for this generation is not asked for again; where all of it has
/// ([`finished::is_over`]) there is nothing to ask.
pub fn request(input: &Input<'_>) -> to::Request {
    let metadata = &input.workload.metadata;
    let (namespace, name) = (metadata.namespace.clone(), metadata.name.clone());
    to::Request {
        key: to::WorkloadKey::new(namespace.unwrap_or_default(), name.unwrap_or_default()),
        uid: metadata.uid.clone().unwrap_or_default(),
        generation: metadata.generation.unwrap_or_default(),
        tenant: input.tenant.to_owned(),
        labels: metadata.labels.clone().unwrap_or_default(),
        created: created(metadata),
        priority: input.class.value,
        preempts: input.class.preempts,
        emergency: input.class.emergency.is_some(),
        components: finished::left(
            input.interpreted.requests(),
            input.previous,
            (
                metadata.generation.unwrap_or_default(),
                input.placement.division.type_ == DivisionType::Duplicated,
            ),
            |name| completions(input, name),
        ),
        placement: placement(input),
        required_apis: input.interpreted.required_apis.clone(),
        required_classes: input.interpreted.required_classes.clone(),
        previous: input.previous.map(assignments).unwrap_or_default(),
        previous_carried: input
            .previous
            .map(|d| d.carried_to.clone())
            .unwrap_or_default(),
        unchecked: input.interpreted.unchecked().into_iter().collect(),
        purpose: Purpose::Ordinary,
        returning: false,
    }
}

/// How many completions a Job asks for in all.
fn completions(input: &Input<'_>, component: &str) -> Option<i64> {
    let component = input.interpreted.component(component)?;
    let manifests = &input.workload.spec.manifests;
    interpret::completions(&manifests.get(component.manifest)?.0)
}

/// When an object was created, in seconds since 1970; 0 before it is.
pub fn created(metadata: &ObjectMeta) -> i64 {
    let created = metadata.creation_timestamp.as_ref();
    created.map(|time| time.0.as_second()).unwrap_or_default()
}

fn assignments(decision: &Decision) -> Vec<to::Assignment> {
    let each = finished::running(decision).map(|a| to::Assignment {
        component: a.component.clone(),
        member: a.member.clone(),
        flavor: a.flavor.clone(),
        replicas: i64::from(a.replicas),
    });
    each.collect()
}

fn placement(input: &Input<'_>) -> to::PlacementSpec {
    let flavors = of_one_architecture(flavors(input), input);
    placement_of(input.placement, flavors, input.weights)
}

/// A placement as the scheduler takes it, with these flavors in order of preference. `weights`
/// count where it gives none.
pub fn placement_of(
    from: &PlacementSpec,
    flavors: Vec<String>,
    weights: config::ScoreWeights,
) -> to::PlacementSpec {
    to::PlacementSpec {
        affinity: from.affinity.iter().map(term).collect(),
        exclude: from.exclude.iter().cloned().collect(),
        flavors,
        requirements: requirements(&from.requirements),
        tolerations: from.tolerations.iter().map(super::toleration).collect(),
        division: division(&from.division),
        spread: from.spread.iter().map(spread).collect(),
        components: components(&from.components),
        neighbours: super::neighbours::rules(from),
        weights: from.weights.as_ref().map(|of| scores(of, weights)),
    }
}

/// The flavors in order of preference. Those that exist; when none of the named does, the named,
/// so that the refusal says so. Where none is named, those that the tenant has quota for, and
/// all when it has none, so that the refusal is the quota's: the highest precedence first.
fn flavors(input: &Input<'_>) -> Vec<String> {
    let named = &input.placement.flavors;
    if !named.is_empty() {
        let known: Vec<String> = named
            .iter()
            .filter(|name| input.flavors.contains_key(*name))
            .cloned()
            .collect();
        return if known.is_empty() {
            named.clone()
        } else {
            known
        };
    }
    let mut all: Vec<(&String, &FlavorSpec)> = input.flavors.iter().collect();
    all.sort_by_key(|(name, flavor)| (std::cmp::Reverse(flavor.precedence), *name));
    let all = || all.iter().map(|(name, _)| (*name).clone());
    let with_quota: Vec<String> = all().filter(|f| input.quota_flavors.contains(f)).collect();
    if with_quota.is_empty() {
        all().collect()
    } else {
        with_quota
    }
}

/// Stands where no flavor is left, for an empty list would mean every one. No Flavor has this name,
/// so every member is refused for its flavors.
const SELECTS_ARCH: &str = "(one that selects kubernetes.io/arch)";

/// Where images differ by architecture, the flavors that select one: each pod has one set of images.
fn of_one_architecture(flavors: Vec<String>, input: &Input<'_>) -> Vec<String> {
    let mut components = input.interpreted.components.iter();
    if components.all(|component| component.images_on.is_empty()) {
        return flavors;
    }
    let selects = |name: &String| {
        let flavor = input.flavors.get(name);
        flavor.is_some_and(|flavor| flavor.node_selector.match_labels.contains_key(ARCH))
    };
    let left: Vec<String> = flavors.into_iter().filter(selects).collect();
    if left.is_empty() {
        vec![SELECTS_ARCH.to_owned()]
    } else {
        left
    }
}

fn term(term: &AffinityTerm) -> to::AffinityTerm {
    let set = |names: &[String]| names.iter().cloned().collect();
    to::AffinityTerm {
        name: term.name.clone(),
        members: set(&term.members),
        labels: term
            .match_labels
            .iter()
            .map(|(key, value)| super::equals(key, value))
            .collect(),
        owners: set(&term.owners),
        regions: set(&term.regions),
        providers: set(&term.providers),
        operators: set(&term.operators),
        zones: term
            .zones
            .iter()
            .map(|zone| zone.as_str().to_owned())
            .collect(),
    }
}

fn requirements(from: &Requirements) -> to::Requirements {
    to::Requirements {
        arch: from.arch.iter().cloned().collect(),
        zone: from.zone.map(|zone| zone.as_str().to_owned()),
        mlps_level: from.mlps_level,
        residency: from.residency.iter().cloned().collect(),
    }
}

fn division(from: &Division) -> to::DivisionSpec {
    to::DivisionSpec {
        kind: match from.type_ {
            DivisionType::Duplicated => to::DivisionKind::Duplicated,
            DivisionType::Weighted => to::DivisionKind::Weighted,
            DivisionType::ByCapacity => to::DivisionKind::ByCapacity,
            DivisionType::Aggregated => to::DivisionKind::Aggregated,
        },
        weights: from.weights.clone(),
        min_per_member: from.min_per_member.map(i64::from),
        max_per_member: from.max_per_member.map(i64::from),
    }
}

fn spread(from: &SpreadConstraint) -> to::SpreadConstraint {
    to::SpreadConstraint {
        topology_key: from.topology_key.clone(),
        within: from.within.clone(),
        max_skew: from.max_skew.map(i64::from),
        min_groups: from.min_groups.map(i64::from),
        max_groups: from.max_groups.map(i64::from),
        when_unsatisfiable: when_unsatisfiable(from.when_unsatisfiable),
    }
}

/// What happens when a wish cannot be had.
pub(super) fn when_unsatisfiable(from: WhenUnsatisfiable) -> to::WhenUnsatisfiable {
    match from {
        WhenUnsatisfiable::DoNotSchedule => to::WhenUnsatisfiable::DoNotSchedule,
        WhenUnsatisfiable::ScheduleAnyway => to::WhenUnsatisfiable::ScheduleAnyway,
    }
}

fn components(from: &Components) -> Option<to::ComponentRule> {
    let kind = match from.type_ {
        ComponentsType::Any => return None,
        ComponentsType::Together => to::ComponentKind::Together,
        ComponentsType::Apart => to::ComponentKind::Apart,
    };
    let key = from.topology_key.clone();
    Some(to::ComponentRule {
        kind,
        topology_key: key.unwrap_or_else(|| "member".to_owned()),
    })
}

fn scores(from: &ScoreWeights, platform: config::ScoreWeights) -> config::ScoreWeights {
    config::ScoreWeights {
        balance: from.balance.unwrap_or(platform.balance),
        stability: from.stability.unwrap_or(platform.stability),
        cost: from.cost.unwrap_or(platform.cost),
        preference: from.preference.unwrap_or(platform.preference),
    }
}
