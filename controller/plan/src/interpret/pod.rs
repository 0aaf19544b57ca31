//! What a pod template means to scheduling.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use heyun_scheduler::quantity::Quantity;
use heyun_scheduler::quantity::is_cpu;
use heyun_scheduler::request::{LabelOp, LabelRequirement, Toleration, TolerationOp};
use heyun_scheduler::resources::Resources;
use heyun_scheduler::snapshot::TaintEffect;
use serde_json::Value;

use super::error::shown;
use super::object::check_reserved_keys;
use super::read::{At, Notes, entries};
use super::requests::{Amounts, InitAmounts, PodAmounts};

/// What counted node shapes cannot judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unchecked {
    /// Required affinity to other pods.
    PodAffinity,
    /// Required anti-affinity to other pods.
    PodAntiAffinity,
    /// Ports of the node.
    HostPorts,
    /// Topology spread constraints of the pods inside a member.
    TopologySpread,
    /// Where volumes can be attached.
    VolumeTopology,
    /// A fixed node, by name.
    NodeName,
    /// Node affinity on fields of the node.
    NodeFields,
    /// Devices that are claimed (dynamic resource allocation).
    ResourceClaims,
    /// What the member's RuntimeClass adds to each pod.
    RuntimeOverhead,
    /// Scheduling gates, which others must lift.
    SchedulingGates,
    /// A scheduler of the member other than the default one.
    OtherScheduler,
    /// A claim that several components use: they are not kept on one member.
    SharedClaim,
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PodAffinity => "pod affinity",
            Self::PodAntiAffinity => "pod anti-affinity",
            Self::HostPorts => "host ports",
            Self::TopologySpread => "topology spread inside a member",
            Self::VolumeTopology => "volume topology",
            Self::NodeName => "nodeName",
            Self::NodeFields => "node affinity on fields",
            Self::ResourceClaims => "resource claims",
            Self::RuntimeOverhead => "overhead of the runtime class",
            Self::SchedulingGates => "scheduling gates",
            Self::OtherScheduler => "another scheduler",
            Self::SharedClaim => "a volume claim shared by components",
        })
    }
}

/// What a pod template means.
#[derive(Debug, Default)]
pub(crate) struct Pod {
    pub(crate) amounts: PodAmounts,
    pub(crate) node_selector: BTreeMap<String, String>,
    pub(crate) node_affinity: Vec<Vec<LabelRequirement>>,
    pub(crate) tolerations: Vec<Toleration>,
    pub(crate) priority_class: Option<String>,
    pub(crate) runtime_class: Option<String>,
    /// Storage classes of ephemeral volumes.
    pub(crate) storage_classes: BTreeSet<String>,
    /// Image of each container, by its name.
    pub(crate) images: BTreeMap<String, String>,
    /// Secrets that its images are pulled with.
    pub(crate) pull_secrets: BTreeSet<String>,
    pub(crate) service_account: Option<String>,
    /// Volume claims by name.
    pub(crate) claims: BTreeSet<String>,
    pub(crate) unchecked: BTreeSet<Unchecked>,
}

/// Reads a template: an object with `metadata` and `spec`.
pub(crate) fn read(template: &At<'_>, notes: &mut Notes<'_>) -> Pod {
    let mut pod = Pod::default();
    if template.path.is_empty() {
        // A Pod: its metadata was checked as every object's.
    } else if let Some(metadata) = notes.object(template, "metadata") {
        check_reserved_keys(&metadata, notes);
    }
    let Some(spec) = notes.required(template, "spec") else {
        return pod;
    };
    containers(&spec, &mut pod, notes);
    if let Some(resources) = notes.object(&spec, "resources") {
        pod.amounts.pod = Some(amounts(&resources, notes));
    }
    pod.amounts.overhead = quantities(&spec, "overhead", notes);
    pod.node_selector = notes.texts(&spec, "nodeSelector");
    affinity(&spec, &mut pod, notes);
    for toleration in notes.list(&spec, "tolerations") {
        pod.tolerations.extend(read_toleration(&toleration, notes));
    }
    let named = |text: Option<&str>| text.filter(|t| !t.is_empty()).map(str::to_owned);
    pod.priority_class = named(notes.text(&spec, "priorityClassName"));
    pod.runtime_class = named(notes.text(&spec, "runtimeClassName"));
    volumes(&spec, &mut pod, notes);
    for secret in notes.list(&spec, "imagePullSecrets") {
        pod.pull_secrets.extend(named(notes.text(&secret, "name")));
    }
    // The older name counts where the newer is not there.
    let account = named(notes.text(&spec, "serviceAccountName"));
    pod.service_account = account.or_else(|| named(notes.text(&spec, "serviceAccount")));
    for field in ["serviceAccountName", "serviceAccount"] {
        if let Some(account) = notes.text(&spec, field).filter(|a| a.starts_with("heyun")) {
            let problem = format!("{} is the platform's account", shown(account));
            notes.add(
                &spec.path_of(field),
                problem,
                "use a service account of your own",
            );
        }
    }
    priority(&pod, &spec, notes);
    other_unchecked(&spec, &mut pod, notes);
    pod
}

/// Prefix of the classes that Kubernetes keeps for what a cluster cannot do without.
const SYSTEM_CLASSES: &str = "system-";

/// Pods of a tenant never push aside those of the member itself.
fn priority(pod: &Pod, spec: &At<'_>, notes: &mut Notes<'_>) {
    let class = pod.priority_class.as_deref();
    if let Some(class) = class.filter(|class| class.starts_with(SYSTEM_CLASSES)) {
        let problem = format!("{} is a class of the member's own pods", shown(class));
        let fix = "name a PriorityClass of the platform, or remove it";
        notes.add(&spec.path_of("priorityClassName"), problem, fix);
    }
}

fn other_unchecked(spec: &At<'_>, pod: &mut Pod, notes: &mut Notes<'_>) {
    let mut mark = |condition: bool, what: Unchecked| {
        if condition {
            pod.unchecked.insert(what);
        }
    };
    let spread = notes.list(spec, "topologySpreadConstraints");
    let hard = |c: &At<'_>| {
        c.get("whenUnsatisfiable")
            .is_none_or(|w| w.value == "DoNotSchedule")
    };
    mark(spread.iter().any(hard), Unchecked::TopologySpread);
    mark(
        spec.get("nodeName").is_some_and(|n| n.value != ""),
        Unchecked::NodeName,
    );
    mark(
        !notes.list(spec, "resourceClaims").is_empty(),
        Unchecked::ResourceClaims,
    );
    mark(
        !notes.list(spec, "schedulingGates").is_empty(),
        Unchecked::SchedulingGates,
    );
    let scheduler = notes.text(spec, "schedulerName").unwrap_or_default();
    mark(
        !matches!(scheduler, "" | "default-scheduler"),
        Unchecked::OtherScheduler,
    );
    let runtime = pod.runtime_class.is_some() && spec.get("overhead").is_none();
    mark(runtime, Unchecked::RuntimeOverhead);
}

fn containers(spec: &At<'_>, pod: &mut Pod, notes: &mut Notes<'_>) {
    let list = notes.list(spec, "containers");
    if list.is_empty() {
        let fix = "a pod has at least one container";
        notes.add(&spec.path_of("containers"), "holds no container", fix);
    }
    let host_network = spec.get("hostNetwork").is_some_and(|h| h.value == true);
    for container in &list {
        let read = container_amounts(container, pod, host_network, notes);
        pod.amounts.containers.push(read);
    }
    for init in notes.list(spec, "initContainers") {
        let amounts = container_amounts(&init, pod, host_network, notes);
        let restartable = notes.text(&init, "restartPolicy") == Some("Always");
        pod.amounts.init_containers.push(InitAmounts {
            amounts,
            restartable,
        });
    }
}

fn container_amounts(
    container: &At<'_>,
    pod: &mut Pod,
    host_network: bool,
    notes: &mut Notes<'_>,
) -> Amounts {
    let name = notes.required_text(container, "name").unwrap_or_default();
    if let Some(image) = notes.required_text(container, "image") {
        pod.images.insert(name.to_owned(), image.to_owned());
    }
    for port in notes.list(container, "ports") {
        let host = notes.count(&port, "hostPort").is_some_and(|p| p > 0);
        if host || (host_network && port.get("containerPort").is_some()) {
            pod.unchecked.insert(Unchecked::HostPorts);
        }
    }
    match notes.object(container, "resources") {
        Some(resources) => amounts(&resources, notes),
        None => Amounts::default(),
    }
}

fn amounts(resources: &At<'_>, notes: &mut Notes<'_>) -> Amounts {
    let read = Amounts {
        requests: quantities(resources, "requests", notes),
        limits: quantities(resources, "limits", notes),
    };
    for (name, request) in read.requests.iter() {
        if read.limits.contains(name) && request > read.limits.get(name) {
            let path = format!("{}.requests.{name}", resources.path);
            notes.add(
                &path,
                "is more than the limit",
                "raise the limit or lower the request",
            );
        }
    }
    read
}

/// Amounts by resource name; what is malformed, negative or too large is noted and left out.
fn quantities(at: &At<'_>, field: &str, notes: &mut Notes<'_>) -> Resources {
    let mut amounts = Resources::new();
    let Some(found) = notes.object(at, field) else {
        return amounts;
    };
    for (name, value) in entries(&found) {
        match quantity(name, value) {
            Ok(amount) => amounts.set(name, amount),
            Err(problem) => notes.add(&found.path_of(name), problem, ""),
        }
    }
    amounts
}

/// The amount of a resource that a JSON value asks for, or what is wrong and how to mend it.
pub(crate) fn quantity(resource: &str, value: &Value) -> Result<i64, String> {
    let parsed = Quantity::from_json(value).map_err(|e| e.to_string())?;
    if parsed.is_negative() {
        return Err(format!(
            "{} is negative; write 0 or more",
            shown(&parsed.to_string())
        ));
    }
    let rounded = if is_cpu(resource) {
        parsed.milli_rounded_up()
    } else {
        parsed.units_rounded_up()
    };
    rounded.map_err(|e| e.to_string())
}

fn affinity(spec: &At<'_>, pod: &mut Pod, notes: &mut Notes<'_>) {
    let Some(affinity) = notes.object(spec, "affinity") else {
        return;
    };
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    for (field, what) in [
        ("podAffinity", Unchecked::PodAffinity),
        ("podAntiAffinity", Unchecked::PodAntiAffinity),
    ] {
        if let Some(rule) = notes.object(&affinity, field)
            && !notes.list(&rule, required).is_empty()
        {
            pod.unchecked.insert(what);
        }
    }
    let Some(node) = notes.object(&affinity, "nodeAffinity") else {
        return;
    };
    let Some(selector) = notes.object(&node, required) else {
        return;
    };
    let terms = notes.list(&selector, "nodeSelectorTerms");
    for term in &terms {
        let expressions = notes.list(term, "matchExpressions");
        let fields = !notes.list(term, "matchFields").is_empty();
        if fields {
            pod.unchecked.insert(Unchecked::NodeFields);
        }
        // A term without any requirement matches no node: it adds nothing to the others.
        if fields || !expressions.is_empty() {
            let read = expressions.iter().filter_map(|e| requirement(e, notes));
            pod.node_affinity.push(read.collect());
        }
    }
    if pod.node_affinity.is_empty() {
        let fix = "add a term with matchExpressions, or remove the rule";
        notes.add(
            &selector.path_of("nodeSelectorTerms"),
            "matches no node",
            fix,
        );
    }
}

fn requirement(at: &At<'_>, notes: &mut Notes<'_>) -> Option<LabelRequirement> {
    let key = notes.required_text(at, "key")?.to_owned();
    let values = notes.text_list(at, "values");
    let operator = notes.required_text(at, "operator")?;
    let (op, wanted) = match operator {
        "In" => (LabelOp::In, !values.is_empty()),
        "NotIn" => (LabelOp::NotIn, !values.is_empty()),
        "Exists" => (LabelOp::Exists, values.is_empty()),
        "DoesNotExist" => (LabelOp::DoesNotExist, values.is_empty()),
        "Gt" => (LabelOp::Gt, is_one_integer(&values)),
        "Lt" => (LabelOp::Lt, is_one_integer(&values)),
        other => {
            let fix = "write In, NotIn, Exists, DoesNotExist, Gt or Lt";
            let problem = format!("{} is no operator", shown(other));
            notes.add(&at.path_of("operator"), problem, fix);
            return None;
        }
    };
    if !wanted {
        let fix =
            "In and NotIn take some values, Exists and DoesNotExist none, Gt and Lt one integer";
        notes.add(
            &at.path_of("values"),
            format!("does not fit operator {operator}"),
            fix,
        );
        return None;
    }
    Some(LabelRequirement { key, op, values })
}

fn is_one_integer(values: &[String]) -> bool {
    matches!(values, [one] if one.parse::<i64>().is_ok())
}

fn read_toleration(at: &At<'_>, notes: &mut Notes<'_>) -> Option<Toleration> {
    let key = notes
        .text(at, "key")
        .filter(|k| !k.is_empty())
        .map(str::to_owned);
    let value = notes.text(at, "value").unwrap_or_default().to_owned();
    let op = match notes.text(at, "operator").unwrap_or("Equal") {
        "" | "Equal" => TolerationOp::Equal,
        "Exists" => TolerationOp::Exists,
        // Numeric comparison is younger than what the scheduler judges: not to tolerate is safe.
        "Gt" | "Lt" => return None,
        other => {
            let problem = format!("{} is no operator", shown(other));
            notes.add(&at.path_of("operator"), problem, "write Equal or Exists");
            return None;
        }
    };
    if key.is_none() && op == TolerationOp::Equal {
        let fix = "add the key, or write operator: Exists";
        notes.add(&at.path_of("key"), "is missing", fix);
        return None;
    }
    let effect = match notes.text(at, "effect").unwrap_or_default() {
        "" => None,
        "NoSchedule" => Some(TaintEffect::NoSchedule),
        "PreferNoSchedule" => Some(TaintEffect::PreferNoSchedule),
        "NoExecute" => Some(TaintEffect::NoExecute),
        other => {
            let fix = "write NoSchedule, PreferNoSchedule or NoExecute, or leave it out";
            notes.add(
                &at.path_of("effect"),
                format!("{} is no effect", shown(other)),
                fix,
            );
            return None;
        }
    };
    Some(Toleration {
        key,
        op,
        value,
        effect,
    })
}

fn volumes(spec: &At<'_>, pod: &mut Pod, notes: &mut Notes<'_>) {
    for volume in notes.list(spec, "volumes") {
        if let Some(claim) = notes.object(&volume, "persistentVolumeClaim") {
            pod.unchecked.insert(Unchecked::VolumeTopology);
            if let Some(name) = notes.required_text(&claim, "claimName") {
                pod.claims.insert(name.to_owned());
            }
        }
        let Some(ephemeral) = notes.object(&volume, "ephemeral") else {
            continue;
        };
        pod.unchecked.insert(Unchecked::VolumeTopology);
        let template = notes.object(&ephemeral, "volumeClaimTemplate");
        let claim = template.and_then(|t| notes.object(&t, "spec"));
        let class = claim.and_then(|c| notes.text(&c, "storageClassName"));
        pod.storage_classes
            .extend(class.filter(|c| !c.is_empty()).map(str::to_owned));
    }
}
