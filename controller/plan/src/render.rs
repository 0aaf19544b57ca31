//! From a decision to Works: the manifests as each member is to run them.
//!
//! Every rendered object equals its manifest, field by field, but for this list:
//!
//! - `metadata.namespace` is the Workload's.
//! - Replicas: `spec.replicas` of Deployment, ReplicaSet, ReplicationController and StatefulSet;
//!   where they are divided also `spec.ordinals.start` of a StatefulSet, `spec.parallelism` and
//!   `spec.completions` of a Job, `spec.minReplicas` and `spec.maxReplicas` of the autoscaler.
//!   The autoscaler's maximum is never more than what is charged there, and it is left out where
//!   a member has none of the replicas.
//! - In pod templates: required node affinity of the assigned flavor, with the architectures that
//!   the decision found the pods to run on where the flavor selects none (every existing term is
//!   narrowed by it), and the flavor's tolerations, after those that are there.
//!   Images of containers that `spec.overrides` gives other ones on the flavor's architecture.
//! - `spec.ttlSecondsAfterFinished` of a Job is left out until its end is recorded: it must not go
//!   before that is known.
//! - Labels `heyun.dev/work` and `heyun.dev/component` on pod templates; `heyun.dev/work`,
//!   `heyun.dev/workload` and, where it is absent, `app.kubernetes.io/managed-by` on objects.
//! - Annotations `heyun.dev/decision` and `heyun.dev/epoch` on objects; `heyun.dev/component` and
//!   `heyun.dev/charge` on those of components. The executor adds `heyun.dev/applied-hash`.
//! - Class names that the member's `classMap` maps: storage, ingress, runtime, priority.
//!
//! `status` and `metadata.creationTimestamp`, which no one may assert, are left out.

mod attach;
mod classes;
mod flavors;
mod objects;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::Workload;
use heyun_crds::flavor::FlavorSpec;
use heyun_crds::labels;
use heyun_crds::member_cluster::MemberCluster;
use heyun_crds::placement::{DivisionType, PlacementSpec};
use heyun_crds::work::{CarriedSecret, WorkSpec, WorkloadKey};
use heyun_crds::workload::{Assignment, Decision, Manifest};
use heyun_scheduler::request::Division;

use crate::interpret::{
    self, Component, ComponentKind, Interpreted, Share, by_largest_remainder, shares,
};
use crate::member_names::{label_value, secret_copy_name, work_name};
use crate::tenants::TenantNode;

/// The flavor of a component that asks for no node.
pub const NO_FLAVOR: &str = "-";

/// What [`works`] renders from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The Workload, of the generation that was decided.
    pub workload: &'a Workload,
    /// What its manifests mean.
    pub interpreted: &'a Interpreted,
    /// The placement in effect.
    pub placement: &'a PlacementSpec,
    /// The decision in force.
    pub decision: &'a Decision,
    /// Epoch of the leader that writes the Works.
    pub epoch: i64,
    /// The tenant of the Workload.
    pub tenant: &'a TenantNode,
    /// Members by name; one that the decision names and that is not here has left and gets no
    /// Work.
    pub members: &'a BTreeMap<String, MemberCluster>,
    /// Flavors by name.
    pub flavors: &'a BTreeMap<String, FlavorSpec>,
    /// Hash of each Secret that goes along, by its name.
    pub secrets: &'a BTreeMap<String, String>,
}

/// A Work as it is to stand on the hub.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RenderedWork {
    /// `heyun-member-NAME`.
    pub namespace: String,
    /// The same on every member.
    pub name: String,
    /// Labels that must be there.
    pub labels: BTreeMap<String, String>,
    /// Annotations that must be there.
    pub annotations: BTreeMap<String, String>,
    /// The spec.
    pub spec: WorkSpec,
}

/// Why nothing can be rendered: the Works stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A flavor of the decision is gone.
    #[error(
        "decision {decision} places {component} on {member} with flavor {flavor}, and there is no Flavor of that name: create it again, or change the Workload so that it is decided anew"
    )]
    UnknownFlavor {
        /// Id of the decision.
        decision: String,
        /// The component.
        component: String,
        /// The member.
        member: String,
        /// The flavor.
        flavor: String,
    },
    /// Images differ by architecture, and the flavor of the decision selects none.
    #[error(
        "decision {decision} places {component} on {member} with flavor {flavor}, which selects no kubernetes.io/arch, and spec.overrides gives it other images by architecture: have the Flavor select one, or change the Workload so that it is decided anew"
    )]
    NoArchitecture {
        /// Id of the decision.
        decision: String,
        /// The component.
        component: String,
        /// The member.
        member: String,
        /// The flavor.
        flavor: String,
    },
    /// The decision names a component that the manifests do not have.
    #[error(
        "decision {decision} places {component}, which is no component of generation {generation}: it is decided anew"
    )]
    UnknownComponent {
        /// Id of the decision.
        decision: String,
        /// The component.
        component: String,
        /// Generation of the Workload.
        generation: i64,
    },
}

/// Renders one Work for each member of the decision, by name of the member.
///
/// # Errors
/// A flavor or a component of the decision does not exist.
pub fn works(input: &Input<'_>) -> Result<Vec<RenderedWork>, RenderError> {
    let parts = parts(input)?;
    let mut members: BTreeSet<&str> = parts.keys().map(|(member, _)| *member).collect();
    members.extend(input.decision.carried_to.iter().map(String::as_str));
    let known = members
        .into_iter()
        .filter_map(|name| input.members.get_key_value(name));
    Ok(known
        .map(|(name, member)| work(input, &parts, name, member))
        .collect())
}

/// What one member gets of one component.
#[derive(Clone, Debug)]
struct Part<'a> {
    assignment: &'a Assignment,
    share: Share,
    /// Its part of the completions of a Job that is divided.
    completions: Option<i64>,
    flavor: Option<flavors::Terms>,
    /// Images of containers that differ from the manifest's, by the container's name.
    images: Option<&'a BTreeMap<String, String>>,
}

/// The parts of a decision by member and component.
type Parts<'a> = BTreeMap<(&'a str, &'a str), Part<'a>>;

fn parts<'a>(input: &Input<'a>) -> Result<Parts<'a>, RenderError> {
    let mut by_component: BTreeMap<&str, BTreeMap<&str, &Assignment>> = BTreeMap::new();
    for assignment in &input.decision.assignments {
        let members = by_component.entry(&assignment.component).or_default();
        // At most one flavor per member and component: the first stands.
        members.entry(&assignment.member).or_insert(assignment);
    }
    let mut parts = Parts::new();
    for (name, members) in by_component {
        let component =
            input
                .interpreted
                .component(name)
                .ok_or_else(|| RenderError::UnknownComponent {
                    decision: input.decision.id.clone(),
                    component: name.to_owned(),
                    generation: input.workload.metadata.generation.unwrap_or_default(),
                })?;
        let replicas: Vec<i64> = members.values().map(|a| i64::from(a.replicas)).collect();
        let (shares, completions) = if is_duplicated(component, input.placement) {
            let shares = replicas.into_iter().map(Share::whole).collect();
            (shares, Vec::new())
        } else {
            let parts: Vec<&Assignment> = members.values().copied().collect();
            let completions = completions(input, component, &parts);
            (shares(&replicas), completions)
        };
        let mut completions = completions.into_iter();
        for ((member, assignment), share) in members.into_iter().zip(shares) {
            let flavor = flavor_terms(input, assignment)?;
            let images = images(input, component, assignment)?;
            parts.insert(
                (member, name),
                Part {
                    assignment,
                    share,
                    completions: completions.next().flatten(),
                    flavor,
                    images,
                },
            );
        }
    }
    Ok(parts)
}

/// The members' parts of the completions of a Job that is divided; nothing for what has none, or all
/// of them on one member. Those that have finished had what they had; the rest is the others'.
fn completions(
    input: &Input<'_>,
    component: &Component,
    parts: &[&Assignment],
) -> Vec<Option<i64>> {
    let manifest = input.workload.spec.manifests.get(component.manifest);
    let is_job = component.kind == ComponentKind::Job && parts.len() > 1;
    let all = manifest.filter(|_| is_job);
    let Some(all) = all.and_then(|manifest| interpret::completions(&manifest.0)) else {
        return Vec::new();
    };
    let had = |part: &&Assignment| {
        let finished = part.finished.as_ref();
        finished.map(|of| i64::from(of.completions.unwrap_or(0)))
    };
    let done: i64 = parts.iter().filter_map(had).sum();
    let runs = parts.iter().filter(|part| part.finished.is_none());
    let runs: Vec<i64> = runs.map(|part| i64::from(part.replicas)).collect();
    let mut left = by_largest_remainder(all.saturating_sub(done).max(0), &runs).into_iter();
    let each = parts.iter().map(|part| had(part).or_else(|| left.next()));
    each.collect()
}

fn is_duplicated(component: &Component, placement: &PlacementSpec) -> bool {
    component.request.division == Division::EveryMatchingNode
        || placement.division.type_ == DivisionType::Duplicated
}

/// The images that `spec.overrides` gives on the architecture of the assigned flavor.
fn images<'a>(
    input: &Input<'a>,
    component: &'a Component,
    assignment: &Assignment,
) -> Result<Option<&'a BTreeMap<String, String>>, RenderError> {
    if component.images_on.is_empty() || assignment.flavor == NO_FLAVOR {
        return Ok(None);
    }
    let flavor = input.flavors.get(&assignment.flavor);
    let labels = flavor.map(|flavor| &flavor.node_selector.match_labels);
    let arch = labels.and_then(|labels| labels.get(labels::ARCH));
    let arch = arch.ok_or_else(|| RenderError::NoArchitecture {
        decision: input.decision.id.clone(),
        component: assignment.component.clone(),
        member: assignment.member.clone(),
        flavor: assignment.flavor.clone(),
    })?;
    Ok(component.images_on.get(arch))
}

fn flavor_terms(
    input: &Input<'_>,
    assignment: &Assignment,
) -> Result<Option<flavors::Terms>, RenderError> {
    if assignment.flavor == NO_FLAVOR {
        return Ok(None);
    }
    flavors::terms(&assignment.flavor, input.flavors)
        .map(|terms| Some(terms.on(&assignment.architectures)))
        .ok_or_else(|| RenderError::UnknownFlavor {
            decision: input.decision.id.clone(),
            component: assignment.component.clone(),
            member: assignment.member.clone(),
            flavor: assignment.flavor.clone(),
        })
}

fn work(input: &Input<'_>, parts: &Parts<'_>, name: &str, member: &MemberCluster) -> RenderedWork {
    let metadata = &input.workload.metadata;
    let namespace = metadata.namespace.clone().unwrap_or_default();
    let workload = metadata.name.clone().unwrap_or_default();
    let work = work_name(&namespace, &workload);
    let (decision, spec) = (input.decision, &input.workload.spec);
    let spec = WorkSpec {
        workload: WorkloadKey {
            namespace: namespace.clone(),
            name: workload.clone(),
            uid: metadata.uid.clone().unwrap_or_default(),
            generation: decision.generation,
        },
        tenant: input.tenant.name.clone(),
        tenant_uid: input.tenant.uid.clone(),
        decision: decision.id.clone(),
        epoch: input.epoch,
        retire: None,
        assignments: decision
            .assignments
            .iter()
            .filter(|a| a.member == name)
            .cloned()
            .collect(),
        manifests: objects::manifests(input, parts, name, &member.spec.class_map, &work)
            .into_iter()
            .map(Manifest)
            .collect(),
        secrets: carried_secrets(input.secrets, &work),
        adoption: spec.adoption,
        on_immutable: spec.on_immutable,
        deletion_policy: spec.deletion_policy,
    };
    let labels = [
        (labels::MANAGED_BY, labels::MANAGER.to_owned()),
        (labels::WORKLOAD, label_value(&workload)),
        (labels::WORKLOAD_NAMESPACE, namespace),
    ];
    let mut annotations = BTreeMap::new();
    annotations.insert(labels::TENANT_PATH.to_owned(), input.tenant.path.clone());
    let given = metadata.annotations.as_ref();
    if let Some(trace) = given.and_then(|a| a.get(labels::TRACEPARENT)) {
        annotations.insert(labels::TRACEPARENT.to_owned(), trace.clone());
    }
    RenderedWork {
        namespace: labels::member_namespace(name),
        name: work,
        labels: labels
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
        annotations,
        spec,
    }
}

fn carried_secrets(secrets: &BTreeMap<String, String>, work: &str) -> Vec<CarriedSecret> {
    let carry = |(name, hash): (&String, &String)| CarriedSecret {
        name: name.clone(),
        source: secret_copy_name(work, name),
        hash: hash.clone(),
    };
    secrets.iter().map(carry).collect()
}
