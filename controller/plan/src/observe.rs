//! From hub objects to what the scheduler sees.
//!
//! Nothing is guessed: what is not known yet is said to be unknown, and what cannot be read never
//! makes a member look roomier than it is.

pub mod amounts;
pub mod happened;
pub mod held;
pub mod neighbours;
pub mod prices;
pub mod quota;
pub mod request;
pub mod scene;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::common::{Taint, TaintEffect, Toleration, TolerationOperator};
use heyun_crds::conditions::{ConditionType, Reason, condition};
use heyun_crds::flavor::ResourceCapacity;
use heyun_crds::member_cluster::{MemberMode, Mlps};
use heyun_crds::sketch::Bound;
use heyun_crds::tenant::{AdminLevel, TenantKind};
use heyun_crds::{Flavor, MemberCluster, PriceBook, Sketch};
use heyun_scheduler::quota::NO_FLAVOR;
use heyun_scheduler::request::{LabelOp, LabelRequirement, TolerationOp, WorkloadKey};
use heyun_scheduler::snapshot::{
    self, Held, HeldEntry, InFlight, Member, Neighbour, Readiness, RedLine,
};
use heyun_scheduler::{Snapshot, request as scheduler_request};

use crate::interpret::component_label;
use crate::tenants::{TenantNode, TenantTree};
use prices::Prices;

/// What one Workload holds, with what is needed to charge it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldBy {
    /// Tenant that is charged.
    pub tenant: String,
    /// Name of its Works, as pods carry it.
    pub work: String,
    /// What it holds: [`held::of`].
    pub held: Held,
    /// What of that it may stay on where it is decided anew; `None`: all. What it gave up for another
    /// is charged until it is gone, and is not its own to take again.
    pub keeps: Option<Held>,
    /// How others of its tenant see it: [`neighbours::neighbour`]. `None` where no Workload of the
    /// tenant has a rule for others.
    pub neighbour: Option<Neighbour>,
}

/// What a [`Snapshot`] is made from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Members, each with its Sketch if it has reported one.
    pub members: &'a [(&'a MemberCluster, Option<&'a Sketch>)],
    /// Flavors.
    pub flavors: &'a [&'a Flavor],
    /// The tenant tree.
    pub tenants: &'a TenantTree,
    /// Quotas.
    pub quotas: &'a [&'a heyun_crds::Quota],
    /// Price books.
    pub prices: &'a [&'a PriceBook],
    /// What each Workload holds.
    pub held: &'a BTreeMap<WorkloadKey, HeldBy>,
    /// Workloads that are to be decided: of the others the scheduler needs only what they take
    /// from members and quotas. `None`: any of them may be.
    pub asked: Option<&'a BTreeSet<WorkloadKey>>,
    /// The moment, in seconds since 1970.
    pub now: i64,
}

/// The scheduler's snapshot of the hub's objects, and what of the quotas has no place in it.
pub fn snapshot(inputs: &Inputs<'_>) -> (Snapshot, Vec<heyun_scheduler::quota::Problem>) {
    let mut charged: BTreeMap<&str, Vec<(&str, &HeldEntry)>> = BTreeMap::new();
    for by in inputs.held.values() {
        for entry in &by.held.entries {
            charged
                .entry(&entry.member)
                .or_default()
                .push((&by.work, entry));
        }
    }
    let charges = quota::charges(inputs.held.values());
    let (quotas, problems) = quota::tree(inputs.quotas, inputs.tenants, &charges);
    let prices = Prices::of(inputs.prices);
    let members = inputs.members.iter().map(|(object, sketch)| {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        let here = charged.get(name).map_or(&[][..], Vec::as_slice);
        let prices = prices.at(name, &object.spec.provider, inputs.now);
        (
            name.to_owned(),
            member(object, *sketch, here, prices).into(),
        )
    });
    let snapshot = Snapshot {
        now: inputs.now,
        members: members.collect(),
        flavors: flavors(inputs),
        tenants: tenants(inputs),
        quotas,
        held: asked(inputs),
        neighbours: seen(inputs.held),
        ..Snapshot::default()
    };
    (snapshot, problems)
}

fn flavors(inputs: &Inputs<'_>) -> BTreeMap<String, snapshot::Flavor> {
    let name = |object: &Flavor| object.metadata.name.clone().unwrap_or_default();
    let flavors = inputs.flavors.iter();
    flavors
        .map(|object| (name(object), flavor(object)))
        .collect()
}

fn tenants(inputs: &Inputs<'_>) -> BTreeMap<String, snapshot::Tenant> {
    let placed = inputs.tenants.iter().filter(|node| node.placed);
    placed
        .map(|node| (node.name.clone(), tenant(node)))
        .collect()
}

/// By tenant, how others see those that hold something.
fn seen(
    held: &BTreeMap<WorkloadKey, HeldBy>,
) -> BTreeMap<String, BTreeMap<WorkloadKey, Neighbour>> {
    let mut seen: BTreeMap<String, BTreeMap<WorkloadKey, Neighbour>> = BTreeMap::new();
    for (key, by) in held {
        if let Some(of) = &by.neighbour {
            let all = seen.entry(by.tenant.clone()).or_default();
            all.insert(key.clone(), of.clone());
        }
    }
    seen
}

fn asked(inputs: &Inputs<'_>) -> BTreeMap<WorkloadKey, Held> {
    let held = |(key, by): (&WorkloadKey, &HeldBy)| {
        let own = by.keeps.as_ref().unwrap_or(&by.held);
        (key.clone(), own.clone())
    };
    match inputs.asked {
        None => inputs.held.iter().map(held).collect(),
        Some(asked) => asked
            .iter()
            .filter_map(|key| inputs.held.get_key_value(key))
            .map(held)
            .collect(),
    }
}

/// A member as the scheduler sees it. `charged` is what the hub has charged there: the name of
/// the Work and what is held. `prices` are those that count there now.
pub fn member(
    object: &MemberCluster,
    sketch: Option<&Sketch>,
    charged: &[(&str, &HeldEntry)],
    prices: prices::OfMember,
) -> Member {
    let (spec, status) = (&object.spec, object.status.as_ref());
    let sketch = sketch.and_then(|sketch| sketch.status.as_ref());
    let apis = status.map(|s| &s.apis).filter(|apis| !apis.is_empty());
    Member {
        name: object.metadata.name.clone().unwrap_or_default(),
        labels: object.metadata.labels.clone().unwrap_or_default(),
        readiness: readiness(object),
        unschedulable: is_closed(object),
        taints: spec.taints.iter().map(taint).collect(),
        provider: spec.provider.clone(),
        operator: spec.operator.clone(),
        zone: spec.zone.as_str().to_owned(),
        mlps: mlps(&spec.mlps),
        region: spec.location.region.clone(),
        owner: spec.owner.clone(),
        apis: apis.map(|apis| apis.iter().cloned().collect()),
        classes: classes(object),
        sketch: sketch.map(|status| snapshot::Sketch {
            keys: status.label_keys.iter().cloned().collect(),
            shapes: status.shapes.iter().map(shape).collect(),
        }),
        in_flight: in_flight(charged, sketch.map_or(&[], |status| &status.bound)),
        prices,
        red_lines: red_lines(
            &spec.max_utilization,
            sketch.map_or(&[], |status| &status.totals),
        ),
    }
}

/// The red lines with what they are measured by. A share that cannot be read, which admission
/// refuses, lets nothing in.
fn red_lines(
    written: &BTreeMap<String, String>,
    totals: &[ResourceCapacity],
) -> BTreeMap<String, RedLine> {
    let line = |(resource, share): (&String, &String)| {
        let percent = share
            .strip_suffix('%')
            .and_then(|digits| digits.parse().ok());
        let percent: u8 = percent.filter(|percent| *percent <= 100).unwrap_or(0);
        let total = totals.iter().find(|total| total.resource == *resource);
        let allocatable = total.map_or(0, |of| amounts::one_free(resource, &of.allocatable));
        let line = RedLine {
            percent,
            // A watcher that tells of other resources has seen no node with this one.
            allocatable: (!totals.is_empty()).then_some(allocatable),
            requested: total.map_or(0, |of| amounts::one_taken(resource, &of.requested)),
        };
        (resource.clone(), line)
    };
    written.iter().map(line).collect()
}

/// Since when a member answers, or does not.
pub fn readiness(object: &MemberCluster) -> Readiness {
    let conditions = object
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions);
    let Some(ready) = condition(conditions, ConditionType::Ready) else {
        return Readiness::NeverSeen;
    };
    let since = ready.last_transition_time.0.as_second();
    match ready.status.as_str() {
        "True" => Readiness::Ready,
        "False" => Readiness::NotReady { since },
        _ => Readiness::Unknown { since },
    }
}

/// Closed for new work: by its administrator, because nothing is written there (its fence or what
/// stands on it is ahead of this hub, too), because it is leaving, or because it is not accepted
/// (two names for one cluster, say).
fn is_closed(object: &MemberCluster) -> bool {
    let conditions = object
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions);
    let ahead = [Reason::FenceAhead.as_str(), Reason::Recovering.as_str()];
    let writes_nothing = condition(conditions, ConditionType::Schedulable)
        .is_some_and(|c| c.status == "False" && ahead.contains(&c.reason.as_str()));
    object.spec.unschedulable
        || writes_nothing
        || object.spec.mode == MemberMode::Observe
        || object.metadata.deletion_timestamp.is_some()
        || condition(conditions, ConditionType::Accepted).is_some_and(|c| c.status == "False")
}

/// The filing, where there is one. A date without a time is valid to the end of that day in
/// China; one that cannot be read is no filing.
pub fn mlps(written: &Mlps) -> Option<snapshot::Mlps> {
    if written.level == 0 {
        return None;
    }
    let valid_until = match written.valid_until.as_deref().map(last_second) {
        None => None,
        Some(Some(second)) => Some(second),
        Some(None) => return None,
    };
    Some(snapshot::Mlps {
        level: written.level,
        valid_until,
    })
}

/// The last second that `YYYY-MM-DD` or an RFC 3339 time includes.
fn last_second(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_second());
    }
    let date: jiff::civil::Date = text.parse().ok()?;
    let china = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    let end = date.at(23, 59, 59, 0).to_zoned(china).ok()?;
    Some(end.timestamp().as_second())
}

fn classes(object: &MemberCluster) -> BTreeSet<String> {
    let map = &object.spec.class_map;
    [
        ("storage", &map.storage),
        ("ingress", &map.ingress),
        ("runtime", &map.runtime),
        ("priority", &map.priority),
    ]
    .into_iter()
    .flat_map(|(sort, names)| names.keys().map(move |name| format!("{sort}/{name}")))
    .collect()
}

fn shape(shape: &heyun_crds::sketch::Shape) -> snapshot::Shape {
    snapshot::Shape {
        count: i64::from(shape.count),
        flavor: shape.flavor.clone(),
        labels: shape.labels.clone(),
        taints: shape.taints.iter().map(taint).collect(),
        free: amounts::free(&shape.free),
    }
}

fn taint(taint: &Taint) -> snapshot::Taint {
    snapshot::Taint {
        key: taint.key.clone(),
        value: taint.value.clone(),
        effect: effect(taint.effect),
    }
}

fn effect(effect: TaintEffect) -> snapshot::TaintEffect {
    match effect {
        TaintEffect::NoSchedule => snapshot::TaintEffect::NoSchedule,
        TaintEffect::PreferNoSchedule => snapshot::TaintEffect::PreferNoSchedule,
        TaintEffect::NoExecute => snapshot::TaintEffect::NoExecute,
    }
}

/// A toleration as the scheduler compares it.
pub(crate) fn toleration(toleration: &Toleration) -> scheduler_request::Toleration {
    scheduler_request::Toleration {
        key: (!toleration.key.is_empty()).then(|| toleration.key.clone()),
        op: match toleration.operator {
            TolerationOperator::Equal => TolerationOp::Equal,
            TolerationOperator::Exists => TolerationOp::Exists,
        },
        value: toleration.value.clone(),
        effect: toleration.effect.map(effect),
    }
}

/// What is charged on a member and not yet seen there on a node of the flavor it is charged in.
///
/// A watcher that is older counts pods without their flavor; where a component then holds two (it
/// is moving between them) the pods that are seen are set against the one and then the other, so
/// that each counts once.
fn in_flight(charged: &[(&str, &HeldEntry)], bound: &[Bound]) -> Vec<InFlight> {
    // A watcher tells the name of a component or its label; the label of a label is itself.
    let mut told: BTreeMap<&str, BTreeMap<String, Seen<'_>>> = BTreeMap::new();
    for pods in bound {
        let of_work = told.entry(&pods.work).or_default();
        let seen = of_work.entry(component_label(&pods.component)).or_default();
        seen.add(pods.flavor.as_deref(), i64::from(pods.replicas));
    }
    let mut found = Vec::new();
    for &(work, entry) in charged.iter().filter(|(_, entry)| entry.replicas > 0) {
        let seen = told
            .get_mut(work)
            .and_then(|of_work| of_work.get_mut(&component_label(&entry.component)));
        let there = seen.map_or(0, |seen| seen.take(&entry.flavor, entry.replicas));
        if entry.replicas > there {
            found.push(InFlight {
                flavor: entry.flavor.clone(),
                per_replica: entry.per_replica.clone(),
                replicas: entry.replicas - there,
            });
        }
    }
    found
}

/// Pods of one component that are seen on nodes and not yet set against what is charged.
#[derive(Default)]
struct Seen<'a> {
    /// By the flavor of their nodes.
    told: BTreeMap<&'a str, i64>,
    /// Whose flavor is not told.
    untold: i64,
}

impl<'a> Seen<'a> {
    fn add(&mut self, flavor: Option<&'a str>, pods: i64) {
        let sum = match flavor {
            Some(flavor) => self.told.entry(flavor).or_default(),
            None => &mut self.untold,
        };
        *sum = sum.saturating_add(pods);
    }

    /// Sets pods against at most `most` that are charged in a flavor; says how many. What asks for
    /// no node may be on any.
    fn take(&mut self, flavor: &str, most: i64) -> i64 {
        let mut taken = 0;
        let mut from = |pods: &mut i64| {
            let some = (*pods).min(most - taken);
            *pods -= some;
            taken += some;
        };
        if flavor == NO_FLAVOR {
            self.told.values_mut().for_each(&mut from);
        } else if let Some(pods) = self.told.get_mut(flavor) {
            from(pods);
        }
        from(&mut self.untold);
        taken
    }
}

/// A Flavor as the scheduler sees it.
pub fn flavor(object: &Flavor) -> snapshot::Flavor {
    let labels = &object.spec.node_selector.match_labels;
    snapshot::Flavor {
        node_selector: labels
            .iter()
            .map(|(key, value)| equals(key, value))
            .collect(),
        precedence: i64::from(object.spec.precedence),
        tolerations: object.spec.tolerations.iter().map(toleration).collect(),
    }
}

/// The requirement that a label has one value.
pub(crate) fn equals(key: &str, value: &str) -> LabelRequirement {
    LabelRequirement {
        key: key.to_owned(),
        op: LabelOp::In,
        values: vec![value.to_owned()],
    }
}

/// A tenant as the scheduler sees it: its own rules, since the scheduler obeys those of the whole
/// path and names the tenant whose rule refuses.
pub fn tenant(node: &TenantNode) -> snapshot::Tenant {
    let own = &node.own_guardrails;
    let set = |list: &Vec<String>| list.iter().cloned().collect();
    snapshot::Tenant {
        parent: node.parent.clone(),
        kind: match node.kind {
            TenantKind::Region => snapshot::TenantKind::Region,
            TenantKind::Agency => snapshot::TenantKind::Agency,
            TenantKind::System => snapshot::TenantKind::System,
        },
        level: node.admin_level.map(|level| match level {
            AdminLevel::National => snapshot::Level::National,
            AdminLevel::Provincial => snapshot::Level::Provincial,
            AdminLevel::Prefectural => snapshot::Level::Prefectural,
            AdminLevel::County => snapshot::Level::County,
            AdminLevel::Township => snapshot::Level::Township,
        }),
        guardrails: snapshot::Guardrails {
            residency: own.residency.as_ref().map(set),
            zones: own
                .zones
                .as_ref()
                .map(|zones| zones.iter().map(|zone| zone.as_str().to_owned()).collect()),
            mlps_level: own.mlps_level,
            ..snapshot::Guardrails::default()
        },
    }
}
