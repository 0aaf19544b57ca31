//! Jobs and Pods that ran to their end: recorded by generation, charged no more, never made again.
//!
//! ```text
//! object on the member ──of──► state in the Work's status ──confirm──► assignment of the decision
//!                                                                            │ render
//!                       what is gone is not made again ◄── assignment of the Work
//! ```
//!
//! The record is a part of the decision, so it is fenced and durable as the decision is; Works carry
//! it as they carry all that is assigned, so a decision that was lost comes back with it. Before the
//! hub has recorded an end the executor goes by what it has written into its Work's status itself;
//! and no Job goes by its `ttlSecondsAfterFinished` before that, for it has none until then.

use heyun_crds::Work;
use heyun_crds::common::Finished;
use heyun_crds::conditions::Reason;
use heyun_crds::query::WhyFinished;
use heyun_crds::workload::{Assignment, Decision};
use heyun_scheduler::request::{Bounds, Component, Division};
use serde_json::Value;

use crate::interpret::ComponentKind;

/// That an object ran to its end, from the object as the member's API server gives it; of which
/// generation it is not in it. `None` while any of its pods has not ended.
pub fn of(object: &Value) -> Option<Finished> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    match ComponentKind::of(text("/apiVersion")?, text("/kind")?)? {
        ComponentKind::Job => job(object),
        ComponentKind::Pod => pod(object),
        _ => None,
    }
}

fn job(object: &Value) -> Option<Finished> {
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64);
    let running = ["/status/active", "/status/terminating"];
    if running.iter().any(|of| number(of).unwrap_or(0) > 0) {
        return None;
    }
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let text = |of: &Value, field: &str| of.get(field).and_then(Value::as_str).map(str::to_owned);
    let ended = conditions.iter().find_map(|condition| {
        let state = text(condition, "type")?;
        let ends = [Finished::COMPLETE, Finished::FAILED].contains(&&*state);
        let holds = text(condition, "status").as_deref() == Some("True");
        (ends && holds).then(|| (state, text(condition, "lastTransitionTime")))
    });
    let (state, at) = ended?;
    let completions = number("/spec/completions").map(|all| i32::try_from(all).unwrap_or(i32::MAX));
    Some(Finished {
        state,
        at: at.unwrap_or_default(),
        completions,
        ..Finished::default()
    })
}

/// A Pod that is always restarted is not over when it failed: it was put off its node.
fn pod(object: &Value) -> Option<Finished> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    if text("/spec/restartPolicy").is_none_or(|policy| policy == "Always") {
        return None;
    }
    let phase = text("/status/phase")?;
    if ![Finished::SUCCEEDED, Finished::FAILED].contains(&phase) {
        return None;
    }
    let containers = object.pointer("/status/containerStatuses");
    let ends = containers.and_then(Value::as_array).into_iter().flatten();
    let ends = ends.filter_map(|of| of.pointer("/state/terminated/finishedAt")?.as_str());
    Some(Finished {
        state: phase.to_owned(),
        at: ends.max().unwrap_or_default().to_owned(),
        ..Finished::default()
    })
}

/// That a component of a Work ran to its end for the generation that the Work is of, as its member
/// reports.
pub fn reported<'w>(work: &'w Work, component: &str) -> Option<&'w Finished> {
    let (kind, name) = component.split_once('/')?;
    let mut objects = work.status.iter().flat_map(|status| &status.objects);
    let object = objects.find(|object| object.kind == kind && object.name == name)?;
    let finished = object.finished.as_ref();
    finished.filter(|of| of.generation == work.spec.workload.generation)
}

/// The decision with what its members newly report as finished; `None` when nothing new is. `works`
/// and `epoch` as for [`crate::decide::confirm_released`].
///
/// Its id stays: nothing is placed anew.
pub fn confirm(decision: &Decision, works: &[Work], epoch: i64) -> Option<Decision> {
    let mut recorded = Decision {
        epoch,
        ..decision.clone()
    };
    let mut news = false;
    for part in &mut recorded.assignments {
        if part.finished.is_some() {
            continue;
        }
        let here = crate::decide::on(works, &part.member);
        let mut here = here.filter(|work| work.spec.workload.generation == decision.generation);
        part.finished = here
            .find_map(|work| reported(work, &part.component))
            .cloned();
        news |= part.finished.is_some();
    }
    if !news {
        return None;
    }
    recorded.reserved = crate::decide::reserved(&recorded);
    Some(recorded)
}

/// The assignments that still stand for pods.
pub fn running(decision: &Decision) -> impl Iterator<Item = &Assignment> {
    let all = decision.assignments.iter();
    all.filter(|part| part.finished.is_none())
}

/// Whether anything of it may come to an end: most decisions have nothing that does.
pub fn may_end(decision: &Decision) -> bool {
    let ends = |part: &Assignment| {
        ["Job/", "Pod/"]
            .iter()
            .any(|of| part.component.starts_with(of))
    };
    running(decision).any(ends)
}

/// Whether all of it is over: nothing of that generation is decided any more. What made room for
/// another waits for the rest.
pub fn is_over(decision: &Decision) -> bool {
    decision.preempted.is_none() && all(&decision.assignments)
}

/// Whether there are any, and each has finished.
pub fn all(assignments: &[Assignment]) -> bool {
    !assignments.is_empty() && assignments.iter().all(|part| part.finished.is_some())
}

/// The decision of a Workload of which nothing is left to place: it waits for nothing that it gave up
/// for another. `epoch` is the leader's.
pub fn over(decision: Decision, epoch: i64) -> Decision {
    Decision {
        preempted: None,
        epoch,
        ..decision
    }
}

/// How all of it ended, where it is over: `Complete`, or `Failed` where any part did; with what ended
/// where and when.
pub fn ending(decision: &Decision) -> Option<(Reason, String)> {
    if !is_over(decision) {
        return None;
    }
    let parts = decision.assignments.iter();
    let ends: Vec<(&Assignment, &Finished)> = parts
        .filter_map(|part| Some((part, part.finished.as_ref()?)))
        .collect();
    let well = ends.iter().all(|(_, of)| of.is_well());
    let reason = if well {
        Reason::Complete
    } else {
        Reason::Failed
    };
    let each = ends
        .iter()
        .map(|(part, of)| format!("{} on {}: {}", part.component, part.member, of.sentence()));
    Some((reason, each.collect::<Vec<_>>().join("; ")))
}

/// What of a decision has finished, for `why`.
pub fn told(decision: &Decision) -> Vec<WhyFinished> {
    let parts = decision.assignments.iter();
    let told = |part: &Assignment| {
        let finished = part.finished.as_ref()?;
        Some(WhyFinished {
            component: part.component.clone(),
            member: part.member.clone(),
            state: finished.state.clone(),
            at: finished.at.clone(),
            generation: finished.generation,
        })
    };
    parts.filter_map(told).collect()
}

/// What was recorded of a generation stays in a decision that replaces the earlier one: nothing is
/// put where the same component has finished.
pub(crate) fn keep(assignments: &mut Vec<Assignment>, previous: Option<&Decision>, of: i64) {
    let previous = previous.filter(|previous| previous.generation == of);
    let recorded = previous.into_iter().flat_map(|p| &p.assignments);
    for part in recorded.filter(|part| part.finished.is_some()) {
        let is_place =
            |new: &Assignment| (&new.member, &new.component) == (&part.member, &part.component);
        assignments.retain(|new| !is_place(new));
        assignments.push(part.clone());
    }
}

/// What is left to place of the components, once those parts are left out that have finished for this
/// generation. Where a Job is divided, the rest of it goes to none of the members that did their
/// part: each has one object of that name. `completions` tells how many a Job asks for in all.
pub(crate) fn left(
    components: Vec<Component>,
    decision: Option<&Decision>,
    (generation, duplicated): (i64, bool),
    completions: impl Fn(&str) -> Option<i64>,
) -> Vec<Component> {
    let Some(decision) = decision.filter(|of| of.generation == generation) else {
        return components;
    };
    let each = components.into_iter();
    each.filter_map(|of| {
        let all = completions(&of.name);
        rest(of, decision, duplicated, all)
    })
    .collect()
}

fn rest(
    mut component: Component,
    decision: &Decision,
    duplicated: bool,
    completions: Option<i64>,
) -> Option<Component> {
    let parts = decision.assignments.iter();
    let parts = parts.filter(|part| part.component == component.name);
    let (ended, runs): (Vec<&Assignment>, Vec<&Assignment>) =
        parts.partition(|part| part.finished.is_some());
    if ended.is_empty() {
        return Some(component);
    }
    if duplicated && component.division == Division::Divided {
        return (!runs.is_empty()).then_some(component);
    }
    if runs.is_empty() {
        // The others gave theirs up. Of a Job that counts none, one that ends says that all is done.
        let of = |part: &&Assignment| part.finished.as_ref()?.completions.map(i64::from);
        let done: i64 = ended.iter().filter_map(of).sum();
        completions.filter(|all| *all > done)?;
    }
    let done: i64 = ended.iter().map(|part| i64::from(part.replicas)).sum();
    component.replicas = component.replicas.saturating_sub(done);
    for part in ended {
        let none = Bounds {
            min: None,
            max: Some(0),
        };
        component.bounds.insert(part.member.clone(), none);
    }
    (component.replicas > 0).then_some(component)
}

#[cfg(test)]
mod tests;
