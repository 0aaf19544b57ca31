//! Capacity by packing: every new replica must find a node.

use std::collections::BTreeMap;

use super::{Case, Violation, new_replicas};
use crate::request::{Component, LabelOp, Request, TolerationOp};
use crate::snapshot::{Shape, Snapshot, TaintEffect};

/// Some nodes that are alike, as far as they are filled.
#[derive(Clone)]
struct Bin<'a> {
    shape: &'a Shape,
    count: i64,
    free: BTreeMap<String, i64>,
}

/// New replicas to pack.
struct Load<'a> {
    request: &'a Request,
    component: &'a Component,
    replicas: i64,
}

pub(super) fn verify(snapshot: &Snapshot, placed: &[Case<'_>], found: &mut Vec<Violation>) {
    let mut loads: BTreeMap<(&str, &str), Vec<Load<'_>>> = BTreeMap::new();
    for (request, _, placement) in placed {
        for assignment in &placement.assignments {
            let replicas = new_replicas(snapshot, request, assignment);
            let component = request
                .components
                .iter()
                .find(|c| c.name == assignment.component);
            if let (Some(component), true) = (component, replicas > 0) {
                let place = (assignment.member.as_str(), assignment.flavor.as_str());
                loads.entry(place).or_default().push(Load {
                    request,
                    component,
                    replicas,
                });
            }
        }
    }
    for ((member, flavor), loads) in loads {
        let orders = [
            in_order(&loads),
            largest_first(&loads),
            largest_first_by_memory(&loads),
        ];
        let results = orders.into_iter().flat_map(|order| {
            [false, true].map(|tight| pack(snapshot, member, flavor, &order, tight))
        });
        let mut best: Option<Vec<(&Load<'_>, i64)>> = None;
        for left in results {
            if best.as_ref().is_none_or(|best| left.len() < best.len()) {
                best = Some(left);
            }
        }
        for (load, left) in best.unwrap_or_default() {
            found.push(Violation::Overcommitted {
                key: load.request.key.clone(),
                member: member.to_owned(),
                component: load.component.name.clone(),
                left,
            });
        }
    }
}

fn in_order<'l, 'a>(loads: &'l [Load<'a>]) -> Vec<&'l Load<'a>> {
    loads.iter().collect()
}

fn largest_first<'l, 'a>(loads: &'l [Load<'a>]) -> Vec<&'l Load<'a>> {
    let mut order = in_order(loads);
    order.sort_by_key(|load| -load.component.per_replica.get("cpu"));
    order
}

fn largest_first_by_memory<'l, 'a>(loads: &'l [Load<'a>]) -> Vec<&'l Load<'a>> {
    let mut order = in_order(loads);
    order.sort_by_key(|load| -load.component.per_replica.get("memory"));
    order
}

/// Packs what is in flight and then the loads; what finds no node is returned. `tight`: fullest
/// nodes first.
fn pack<'l, 'a>(
    snapshot: &Snapshot,
    member: &str,
    flavor: &str,
    loads: &[&'l Load<'a>],
    tight: bool,
) -> Vec<(&'l Load<'a>, i64)> {
    let Some(of) = snapshot.members.get(member) else {
        return loads.iter().map(|load| (*load, load.replicas)).collect();
    };
    let shapes = of.sketch.iter().flat_map(|sketch| &sketch.shapes);
    let mut bins: Vec<Bin<'_>> = shapes
        .filter(|shape| shape.flavor.as_deref() == Some(flavor))
        .map(|shape| Bin {
            shape,
            count: shape.count,
            free: shape
                .free
                .iter()
                .map(|(name, free)| (name.to_owned(), free))
                .collect(),
        })
        .collect();
    for flight in of.in_flight.iter().filter(|flight| flight.flavor == flavor) {
        let needs: Vec<(&str, i64)> = flight.per_replica.iter().collect();
        fill(&mut bins, &needs, flight.replicas, |_| true, tight);
    }
    let mut unplaced = Vec::new();
    for load in loads {
        let needs: Vec<(&str, i64)> = load.component.per_replica.iter().collect();
        let fits = |shape: &Shape| takes(snapshot, flavor, shape, load);
        let left = fill(&mut bins, &needs, load.replicas, fits, tight);
        if left > 0 {
            unplaced.push((*load, left));
        }
    }
    unplaced
}

/// Puts pods on nodes until none is left or none fits; returns how many are left.
fn fill(
    bins: &mut Vec<Bin<'_>>,
    needs: &[(&str, i64)],
    pods: i64,
    takes: impl Fn(&Shape) -> bool,
    tight: bool,
) -> i64 {
    let needs: Vec<(&str, i64)> = needs.iter().copied().filter(|need| need.1 > 0).collect();
    let mut left = pods;
    if tight {
        bins.sort_by_key(|bin| bin.free.get("cpu").copied().unwrap_or(0));
    }
    let mut index = 0;
    while index < bins.len() && left > 0 {
        let bin = bins[index].clone();
        let each = per_node(&bin, &needs).min(left);
        if each > 0 && bin.count > 0 && takes(bin.shape) {
            let full = (left / each).min(bin.count);
            let rest = if full < bin.count {
                left - full * each
            } else {
                0
            };
            let rest = rest.min(each);
            bins.remove(index);
            let parts = [
                (full, each),
                (i64::from(rest > 0), rest),
                (bin.count - full - i64::from(rest > 0), 0),
            ];
            for (count, pods) in parts.into_iter().filter(|(count, _)| *count > 0) {
                let mut part = Bin {
                    count,
                    ..bin.clone()
                };
                for (resource, amount) in needs.iter().chain(&[("pods", 1)]) {
                    let doubled = *resource == "pods" && needs.iter().any(|(r, _)| *r == "pods");
                    if let Some(free) = part.free.get_mut(*resource) {
                        // No more than is free: so many fit.
                        *free -= if doubled { 0 } else { amount * pods };
                    }
                }
                bins.insert(index, part);
                index += 1;
            }
            left -= full * each + rest;
        } else {
            index += 1;
        }
    }
    left
}

fn per_node(bin: &Bin<'_>, needs: &[(&str, i64)]) -> i64 {
    let mut most = i64::MAX;
    for (resource, amount) in needs.iter().filter(|(_, amount)| *amount > 0) {
        let free = bin.free.get(*resource).copied().unwrap_or(0);
        most = most.min(if free <= 0 { 0 } else { free / amount });
    }
    if let Some(pods) = bin.free.get("pods") {
        most = most.min((*pods).max(0));
    }
    most
}

/// Whether nodes of a shape may run a component, read from the manifests' rules again.
fn takes(snapshot: &Snapshot, flavor: &str, shape: &Shape, load: &Load<'_>) -> bool {
    let component = load.component;
    for (key, value) in &component.node_selector {
        if shape.labels.get(key) != Some(value) {
            return false;
        }
    }
    let arch = shape.labels.get("kubernetes.io/arch");
    for allowed in [
        &component.architectures,
        &load.request.placement.requirements.arch,
    ] {
        if !allowed.is_empty() && !arch.is_some_and(|arch| allowed.contains(arch)) {
            return false;
        }
    }
    let mut affine = component.node_affinity.is_empty();
    for term in &component.node_affinity {
        let mut holds = !term.is_empty();
        for requirement in term {
            let value = shape.labels.get(&requirement.key);
            let listed = value.is_some_and(|value| requirement.values.contains(value));
            let number = value.and_then(|value| value.parse::<i64>().ok());
            let bound = requirement
                .values
                .first()
                .and_then(|value| value.parse::<i64>().ok());
            let both = number.zip(bound);
            holds &= match requirement.op {
                LabelOp::In => listed,
                LabelOp::NotIn => !listed,
                LabelOp::Exists => value.is_some(),
                LabelOp::DoesNotExist => value.is_none(),
                LabelOp::Gt => both.is_some_and(|(number, bound)| number > bound),
                LabelOp::Lt => both.is_some_and(|(number, bound)| number < bound),
            };
        }
        affine |= holds;
    }
    let mut tolerations = component.tolerations.clone();
    if let Some(flavor) = snapshot.flavors.get(flavor) {
        tolerations.extend(flavor.tolerations.iter().cloned());
    }
    for taint in &shape.taints {
        let mut passes = taint.effect == TaintEffect::PreferNoSchedule;
        for toleration in &tolerations {
            let any_key = toleration.key.is_none() && toleration.op == TolerationOp::Exists;
            let key = any_key || toleration.key.as_deref() == Some(taint.key.as_str());
            let value = toleration.op == TolerationOp::Exists || toleration.value == taint.value;
            let effect = toleration.effect.is_none() || toleration.effect == Some(taint.effect);
            passes |= key && value && effect;
        }
        affine &= passes;
    }
    affine
}
