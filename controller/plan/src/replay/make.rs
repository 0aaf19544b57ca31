//! Changes made to a recording.

use std::collections::BTreeSet;

use heyun_crds::placement::PlacementSpec;
use heyun_scheduler::quota::{Key, NO_FLAVOR, QuotaTree};
use heyun_scheduler::request::{Division, Request, WorkloadKey};
use heyun_scheduler::snapshot::{Member, Readiness, Shape, Sketch};

use super::change::{Change, ChangeError, Known, Number};
use super::{Question, Recording};
use crate::observe::request::placement_of;

impl Recording {
    /// Makes all these changes, in their order, or none of them.
    ///
    /// # Errors
    /// [`ChangeError`] of the first that cannot be made.
    pub fn change(&mut self, changes: &[Change]) -> Result<(), ChangeError> {
        let mut changed = self.clone();
        let mut lines = Vec::new();
        for change in changes {
            match change {
                Change::Ready { member, ready } => {
                    let tolerated = changed.config.tolerated_not_ready_seconds;
                    let since = changed.snapshot.now.saturating_sub(tolerated.max(0));
                    changed.member(member, |of| {
                        of.readiness = if *ready {
                            Readiness::Ready
                        } else {
                            let since = since.saturating_sub(1);
                            Readiness::NotReady { since }
                        };
                        Ok(())
                    })?;
                }
                Change::Unschedulable {
                    member,
                    unschedulable,
                } => changed.member(member, |of| {
                    of.unschedulable = *unschedulable;
                    Ok(())
                })?,
                Change::Nodes {
                    member,
                    flavor,
                    more,
                } => changed.member(member, |of| resize(of, flavor.as_deref(), *more))?,
                Change::Quota {
                    tenant,
                    key,
                    number,
                    amount,
                } => {
                    changed.line(tenant, key, *number, *amount)?;
                    lines.push((tenant, key));
                }
                Change::Replicas {
                    key,
                    component,
                    replicas,
                } => changed.replicas(key, component.as_deref(), *replicas)?,
            }
        }
        for (tenant, key) in lines {
            changed.agrees(tenant, key)?;
        }
        *self = changed;
        Ok(())
    }

    /// Gives every Workload that refers to it this Placement; how many those are.
    pub fn place(&mut self, namespace: &str, name: &str, placement: &PlacementSpec) -> usize {
        let flavors: Vec<String> = self.snapshot.flavors.keys().cloned().collect();
        let weights = self.config.weights;
        let mut using = 0_usize;
        for (key, asked) in &mut self.workloads {
            if key.namespace != namespace || asked.placement_ref != name {
                continue;
            }
            if let Question::Request(request) = &mut asked.question {
                // Where none is named, those that its quota covers stay.
                let named: Vec<String> = placement.flavors.clone();
                let known = named.iter().filter(|name| flavors.contains(*name));
                let known: Vec<String> = known.cloned().collect();
                let flavors = match (named.is_empty(), known.is_empty()) {
                    (true, _) => request.placement.flavors.clone(),
                    (false, true) => named,
                    (false, false) => known,
                };
                request.placement = placement_of(placement, flavors, weights);
                using = using.saturating_add(1);
            }
        }
        using
    }

    fn member(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Member) -> Result<(), ChangeError>,
    ) -> Result<(), ChangeError> {
        let Some(found) = self.snapshot.member_mut(name) else {
            let names = self.snapshot.members.keys();
            return Err(ChangeError::Unknown {
                what: "member",
                name: name.to_owned(),
                known: Known::of(names.map(String::as_str)),
            });
        };
        change(found)
    }

    fn line(
        &mut self,
        tenant: &str,
        key: &Key,
        number: Number,
        amount: i64,
    ) -> Result<(), ChangeError> {
        let flavors = &self.snapshot.flavors;
        if !flavors.contains_key(&key.flavor) && key.flavor != NO_FLAVOR {
            return Err(ChangeError::Unknown {
                what: "flavor",
                name: key.flavor.clone(),
                known: Known::of(flavors.keys().map(String::as_str)),
            });
        }
        let mut nodes = self.snapshot.quotas.export();
        let Some(node) = nodes.iter_mut().find(|node| node.name == tenant) else {
            return Err(ChangeError::Unknown {
                what: "tenant",
                name: tenant.to_owned(),
                known: Known::of(nodes.iter().map(|node| node.name.as_str())),
            });
        };
        let line = node.lines.entry(key.clone()).or_default();
        match number {
            Number::Guaranteed => line.guaranteed = amount,
            Number::Nominal => line.nominal = amount,
            Number::Ceiling => line.ceiling = amount,
        }
        // Names and parents are those of a tree.
        self.snapshot.quotas = QuotaTree::build(&nodes).0;
        Ok(())
    }

    /// The numbers of a line that was changed are in order. A root has no ceiling.
    fn agrees(&self, tenant: &str, key: &Key) -> Result<(), ChangeError> {
        let tree = &self.snapshot.quotas;
        let Some(node) = tree.node(tenant) else {
            return Ok(());
        };
        let line = tree.line(node, key);
        let below = tree.parent(node).is_none() || line.nominal <= line.ceiling;
        if line.guaranteed <= line.nominal && below {
            return Ok(());
        }
        Err(ChangeError::Line {
            tenant: tenant.to_owned(),
            key: key.clone(),
            line,
        })
    }

    fn replicas(
        &mut self,
        key: &WorkloadKey,
        component: Option<&str>,
        replicas: i64,
    ) -> Result<(), ChangeError> {
        let Some(asked) = self.workloads.get_mut(key) else {
            let names: Vec<String> = self.workloads.keys().map(ToString::to_string).collect();
            return Err(ChangeError::Unknown {
                what: "workload",
                name: key.to_string(),
                known: Known::of(names.iter().map(String::as_str)),
            });
        };
        let request = match &mut asked.question {
            Question::Request(request) => request,
            Question::Refused { message, .. } => {
                return Err(ChangeError::Refused {
                    key: key.clone(),
                    message: message.clone(),
                });
            }
        };
        let names: Vec<String> = request
            .components
            .iter()
            .map(|of| of.name.clone())
            .collect();
        let meant = match component {
            Some(name) => names.iter().position(|of| of == name),
            None => only_divided(request),
        };
        match meant.and_then(|index| request.components.get_mut(index)) {
            Some(one) if one.division != Division::EveryMatchingNode => one.replicas = replicas,
            _ => {
                return Err(ChangeError::Components {
                    key: key.clone(),
                    known: Known::of(names.iter().map(String::as_str)),
                });
            }
        }
        // What is asked for is another spec.
        request.generation = request.generation.saturating_add(1);
        asked.generation = request.generation;
        asked.decision.clear();
        Ok(())
    }
}

/// The only component that divides, beside what runs on one member or on every node.
fn only_divided(request: &Request) -> Option<usize> {
    let components = request.components.iter().enumerate();
    let mut divided = components.filter(|(_, of)| of.division == Division::Divided);
    match (divided.next(), divided.next()) {
        (Some((index, _)), None) => Some(index),
        _ => None,
    }
}

/// More nodes like those that a member has, as free as the freest of them; or fewer, the freest
/// first.
fn resize(member: &mut Member, flavor: Option<&str>, more: i64) -> Result<(), ChangeError> {
    let name = member.name.clone();
    let Some(sketch) = &mut member.sketch else {
        return Err(ChangeError::NoSketch { member: name });
    };
    let of_flavor = |shape: &&Shape| match flavor {
        Some(flavor) => shape.flavor.as_deref() == Some(flavor),
        None => shape.flavor.is_some(),
    };
    let most = sketch.shapes.iter().filter(of_flavor);
    let Some(pattern) = most.max_by_key(|shape| shape.count).cloned() else {
        let flavors = sketch
            .shapes
            .iter()
            .filter_map(|shape| shape.flavor.as_deref());
        let flavors: BTreeSet<&str> = flavors.collect();
        return Err(match flavor {
            Some(flavor) => ChangeError::NoShape {
                member: name,
                flavor: flavor.to_owned(),
                known: Known::of(flavors.into_iter()),
            },
            None => ChangeError::NoSketch { member: name },
        });
    };
    if more >= 0 {
        add(sketch, pattern, more);
        return Ok(());
    }
    let fewer = more.saturating_neg();
    let has = sketch.shapes.iter().filter(|shape| alike(shape, &pattern));
    let has = has.fold(0_i64, |sum, shape| sum.saturating_add(shape.count));
    if has < fewer {
        return Err(ChangeError::TooFew {
            member: name,
            flavor: pattern.flavor.unwrap_or_default(),
            has,
            fewer,
        });
    }
    take(sketch, &pattern, fewer);
    Ok(())
}

/// Whether nodes differ in nothing but what is free on them.
fn alike(one: &Shape, other: &Shape) -> bool {
    one.flavor == other.flavor && one.labels == other.labels && one.taints == other.taints
}

fn add(sketch: &mut Sketch, mut pattern: Shape, more: i64) {
    for shape in &sketch.shapes {
        if alike(shape, &pattern) {
            pattern.free = pattern.free.larger(&shape.free);
        }
    }
    let same = |shape: &&mut Shape| alike(shape, &pattern) && shape.free == pattern.free;
    match sketch.shapes.iter_mut().find(same) {
        Some(shape) => shape.count = shape.count.saturating_add(more),
        None => sketch.shapes.push(Shape {
            count: more,
            ..pattern
        }),
    }
}

fn take(sketch: &mut Sketch, pattern: &Shape, mut fewer: i64) {
    let mut order: Vec<&mut Shape> = sketch
        .shapes
        .iter_mut()
        .filter(|shape| alike(shape, pattern))
        .collect();
    order.sort_by(|one, other| other.free.cmp(&one.free));
    for shape in order {
        let taken = shape.count.min(fewer);
        shape.count = shape.count.saturating_sub(taken);
        fewer = fewer.saturating_sub(taken);
    }
    sketch.shapes.retain(|shape| shape.count > 0);
}
