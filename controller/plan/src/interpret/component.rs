//! Components: manifests that run pods; and what the others name.

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::labels::ARCH;
use heyun_crds::placement::PlacementSpec;
use heyun_scheduler::request::{
    Component as ComponentRequest, Division, LabelOp, Surge, Toleration, TolerationOp,
};
use heyun_scheduler::snapshot::TaintEffect;
use serde_json::Value;

use super::error::{ManifestError, shown_json};
use super::kinds::{ComponentKind, group_of};
use super::object::{Object, check_component_name, check_reserved_keys};
use super::pod::{self, Pod, Unchecked};
use super::read::{At, Notes};
use super::{Component, Context};
use crate::secrets::{self, Reference};

/// A component and what it names.
pub(crate) struct Read {
    pub(crate) component: Component,
    pub(crate) classes: BTreeSet<String>,
    pub(crate) secrets: Vec<Reference>,
    pub(crate) service_account: Option<String>,
}

/// Reads a manifest that runs pods.
pub(crate) fn read(
    object: &Object<'_>,
    kind: ComponentKind,
    context: &Context<'_>,
    errors: &mut Vec<ManifestError>,
) -> Read {
    let mut notes = Notes::new(&object.place, errors);
    check_component_name(kind, &object.key.name, &mut notes);
    let root = At::root(object.value);
    let template = template_at(&root, kind, &mut notes);
    let mut pod = template
        .map(|t| pod::read(&t, &mut notes))
        .unwrap_or_default();
    let spec = notes.object(&root, "spec").unwrap_or(root);
    let mut classes = classes_of(&pod);
    let templates = claim_templates(&spec, kind, &mut pod, &mut classes, &mut notes);
    let pinned = (templates || !pod.claims.is_empty()) && context.placement.data.is_none();
    let (replicas, division) = count_and_division(&spec, kind, pinned, &mut notes);
    let surge = surge(&spec, kind, &mut notes);
    let architectures = architectures(&pod, context.placement, &mut notes);
    let per_replica = pod
        .amounts
        .requests(context.default_requests)
        .unwrap_or_else(|| {
            let fix = "lower the requests of its containers";
            notes.add("", "the requests of one pod are too large to count", fix);
            heyun_scheduler::resources::Resources::new()
        });
    if kind == ComponentKind::DaemonSet {
        pod.tolerations.extend(daemon_tolerations());
    }
    let request = ComponentRequest {
        name: object.key.short(),
        replicas,
        surge,
        per_replica,
        node_selector: pod.node_selector,
        node_affinity: pod.node_affinity,
        tolerations: pod.tolerations,
        architectures,
        division,
        pinned_data: pinned,
        ..ComponentRequest::default()
    };
    let component = Component {
        manifest: object.index,
        kind,
        request,
        hpa: None,
        images: pod.images,
        images_on: BTreeMap::new(),
        pull_secrets: pod.pull_secrets,
        floors: Vec::new(),
        priority_class: pod.priority_class,
        unchecked: pod.unchecked,
    };
    Read {
        component,
        classes,
        secrets: secrets::references(object.value),
        service_account: pod.service_account,
    }
}

fn template_at<'v>(root: &At<'v>, kind: ComponentKind, notes: &mut Notes<'_>) -> Option<At<'v>> {
    let mut at = root.clone();
    for field in kind.template_pointer().split('/').skip(1) {
        at = notes.required(&at, field)?;
        if field == "jobTemplate"
            && let Some(metadata) = notes.object(&at, "metadata")
        {
            check_reserved_keys(&metadata, notes);
        }
    }
    Some(at)
}

/// Classes that the pods themselves name.
fn classes_of(pod: &Pod) -> BTreeSet<String> {
    let mut classes = BTreeSet::new();
    classes.extend(pod.priority_class.iter().map(|p| format!("priority/{p}")));
    classes.extend(pod.runtime_class.iter().map(|r| format!("runtime/{r}")));
    classes.extend(pod.storage_classes.iter().map(|s| format!("storage/{s}")));
    classes
}

/// Whether the kind makes claims of its own; their classes are noted.
fn claim_templates(
    spec: &At<'_>,
    kind: ComponentKind,
    pod: &mut Pod,
    classes: &mut BTreeSet<String>,
    notes: &mut Notes<'_>,
) -> bool {
    if kind != ComponentKind::StatefulSet {
        return false;
    }
    let templates = notes.list(spec, "volumeClaimTemplates");
    for template in &templates {
        if let Some(metadata) = notes.object(template, "metadata") {
            check_reserved_keys(&metadata, notes);
        }
        let claim = notes.object(template, "spec");
        let class = claim.and_then(|c| notes.text(&c, "storageClassName"));
        classes.extend(
            class
                .filter(|c| !c.is_empty())
                .map(|c| format!("storage/{c}")),
        );
        pod.unchecked.insert(Unchecked::VolumeTopology);
    }
    !templates.is_empty()
}

/// Replicas as the manifest says, and how the kind divides when the Workload does not say.
fn count_and_division(
    spec: &At<'_>,
    kind: ComponentKind,
    pinned: bool,
    notes: &mut Notes<'_>,
) -> (i64, Division) {
    let unless_pinned = if pinned {
        Division::OneMember
    } else {
        Division::Divided
    };
    match kind {
        ComponentKind::Deployment
        | ComponentKind::ReplicaSet
        | ComponentKind::ReplicationController => {
            (notes.count(spec, "replicas").unwrap_or(1), unless_pinned)
        }
        ComponentKind::StatefulSet => (
            notes.count(spec, "replicas").unwrap_or(1),
            Division::OneMember,
        ),
        ComponentKind::DaemonSet => (0, Division::EveryMatchingNode),
        ComponentKind::Job => {
            let indexed = notes.text(spec, "completionMode") == Some("Indexed");
            let division = if indexed {
                Division::OneMember
            } else {
                unless_pinned
            };
            (job_pods(spec, notes), division)
        }
        ComponentKind::CronJob => (cron_pods(spec, notes), Division::OneMember),
        ComponentKind::Pod => (1, Division::OneMember),
    }
}

/// Pods that a Job runs at once.
fn job_pods(spec: &At<'_>, notes: &mut Notes<'_>) -> i64 {
    let parallelism = notes.count(spec, "parallelism").unwrap_or(1);
    let completions = notes.count(spec, "completions").unwrap_or(i64::MAX);
    parallelism.min(completions)
}

/// Pods that a CronJob runs at once: one run, or two where runs may overlap.
fn cron_pods(spec: &At<'_>, notes: &mut Notes<'_>) -> i64 {
    let runs = match notes.text(spec, "concurrencyPolicy") {
        Some("Forbid" | "Replace") => 1,
        _ => 2,
    };
    let job = notes
        .object(spec, "jobTemplate")
        .and_then(|t| notes.object(&t, "spec"));
    job.map_or(runs, |job| job_pods(&job, notes).saturating_mul(runs))
}

fn surge(spec: &At<'_>, kind: ComponentKind, notes: &mut Notes<'_>) -> Surge {
    let (field, default) = match kind {
        ComponentKind::Deployment => ("strategy", Surge::Percent(25)),
        ComponentKind::DaemonSet => ("updateStrategy", Surge::Absolute(0)),
        _ => return Surge::Absolute(0),
    };
    let Some(strategy) = notes.object(spec, field) else {
        return default;
    };
    if notes
        .text(&strategy, "type")
        .is_some_and(|t| t != "RollingUpdate")
    {
        return Surge::Absolute(0);
    }
    let rolling = notes.object(&strategy, "rollingUpdate");
    let Some(found) = rolling.and_then(|r| r.get("maxSurge")) else {
        return default;
    };
    let read = match found.value {
        Value::Number(number) => number.as_i64().filter(|n| *n >= 0).map(Surge::Absolute),
        Value::String(text) => percent(text).map(Surge::Percent),
        _ => None,
    };
    read.unwrap_or_else(|| {
        let problem = format!("{} is no surge", shown_json(found.value));
        notes.add(
            &found.path,
            problem,
            "write a number of pods such as 1, or a share such as \"25%\"",
        );
        default
    })
}

fn percent(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('%')?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse::<i32>().ok().filter(|_| plain).map(i64::from)
}

/// Architectures that the pods may run on: what their selectors say, narrowed by the placement.
fn architectures(pod: &Pod, placement: &PlacementSpec, notes: &mut Notes<'_>) -> BTreeSet<String> {
    let allowed: BTreeSet<String> = placement.requirements.arch.iter().cloned().collect();
    let mut named: BTreeSet<String> = pod.node_selector.get(ARCH).cloned().into_iter().collect();
    if named.is_empty() {
        named = affinity_architectures(pod);
    }
    if named.is_empty() || allowed.is_empty() {
        return if named.is_empty() { allowed } else { named };
    }
    let both: BTreeSet<String> = named.intersection(&allowed).cloned().collect();
    if both.is_empty() {
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
        let problem = format!(
            "its pods select {ARCH} {}, and placement.requirements.arch is {}",
            list(&named),
            list(&allowed)
        );
        notes.add("", problem, "make the two agree");
    }
    both
}

/// What node affinity says, when every term names architectures.
fn affinity_architectures(pod: &Pod) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for term in &pod.node_affinity {
        let Some(arch) = term.iter().find(|r| r.key == ARCH && r.op == LabelOp::In) else {
            return BTreeSet::new();
        };
        named.extend(arch.values.iter().cloned());
    }
    named
}

/// What the DaemonSet controller lets its pods tolerate.
fn daemon_tolerations() -> impl Iterator<Item = Toleration> {
    [
        ("not-ready", TaintEffect::NoExecute),
        ("unreachable", TaintEffect::NoExecute),
        ("disk-pressure", TaintEffect::NoSchedule),
        ("memory-pressure", TaintEffect::NoSchedule),
        ("pid-pressure", TaintEffect::NoSchedule),
        ("unschedulable", TaintEffect::NoSchedule),
    ]
    .into_iter()
    .map(|(name, effect)| Toleration {
        key: Some(format!("node.kubernetes.io/{name}")),
        op: TolerationOp::Exists,
        value: String::new(),
        effect: Some(effect),
    })
}

/// Secrets that a service account's pods pull images with.
pub(crate) fn pull_secrets(account: &Value) -> BTreeSet<String> {
    let all = account.get("imagePullSecrets").and_then(Value::as_array);
    let names = all
        .into_iter()
        .flatten()
        .filter_map(|secret| secret.get("name"));
    names
        .filter_map(Value::as_str)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Classes and Secrets that a carried manifest names.
pub(crate) fn read_carried(
    object: &Object<'_>,
    errors: &mut Vec<ManifestError>,
) -> (BTreeSet<String>, Vec<Reference>) {
    let mut notes = Notes::new(&object.place, errors);
    let root = At::root(object.value);
    let group = group_of(&object.key.api_version);
    let (sort, field) = match (group, object.key.kind.as_str()) {
        ("networking.k8s.io", "Ingress") => ("ingress", "ingressClassName"),
        ("", "PersistentVolumeClaim") => ("storage", "storageClassName"),
        _ => return (BTreeSet::new(), secrets::references(object.value)),
    };
    let spec = notes.object(&root, "spec");
    let class = spec
        .and_then(|s| notes.text(&s, field))
        .filter(|c| !c.is_empty());
    let classes = class.map(|c| format!("{sort}/{c}")).into_iter().collect();
    (classes, secrets::references(object.value))
}
