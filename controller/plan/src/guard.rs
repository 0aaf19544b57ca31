//! Guardrails that a Workload breaks by what it names: registries, storage classes, hosts, kinds
//! and priority classes. Where work may run (residency, zones, MLPS level) is the scheduler's to
//! judge.
//!
//! A guardrail that is not set restricts nothing; an empty list allows nothing. What a manifest
//! leaves to others is refused where they could choose what is not allowed: a claim without a
//! class gets the member's default, and an Ingress without a host answers for every one.
//!
//! Of a kind that only a member knows, what is written as Kubernetes writes its own is judged; who
//! needs more names the kinds that may be used in `allowedKinds`.

mod named;
#[cfg(test)]
mod tests;

use heyun_crds::conditions::Reason;
use heyun_crds::tenant::Guardrails;
use heyun_crds::workload::WorkloadSpec;
use serde_json::Value;

use crate::interpret::{ManifestError, group_of, place, shown};
use crate::preempt::{self, Class};
use crate::tenants::covers::{self, Reference};
use crate::tenants::{TenantNode, TenantTree};
use named::Said;

/// What judging depends on besides the Workload.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Every tenant: who decides on a rule is the tenant on the path that has it.
    pub tree: &'a TenantTree,
    /// The Workload's tenant; its effective guardrails count.
    pub tenant: &'a TenantNode,
    /// Value of the hub's PriorityClass of a name; `None` where the hub has none.
    pub priority: &'a dyn Fn(&str) -> Option<i32>,
}

/// What of a Workload its tenant's guardrails refuse, each with value, place, fix and who decides.
/// Empty: nothing. The manifests are those that [`crate::interpret::interpret`] accepted.
pub fn refusals(spec: &WorkloadSpec, context: &Context<'_>) -> Vec<ManifestError> {
    let mut found = Vec::new();
    if !is_set(&context.tenant.guardrails) {
        return found;
    }
    let class = spec.priority_class_name.as_deref();
    let class = class.filter(|class| !class.is_empty());
    found.extend(priority(
        "spec.priorityClassName".to_owned(),
        class,
        context,
    ));
    for (index, one) in spec.overrides.iter().enumerate() {
        let images = one.images.iter().enumerate();
        found.extend(images.filter_map(|(at, of)| {
            let place = format!("spec.overrides[{index}].images[{at}].image");
            image(place, Some(&of.image), context)
        }));
    }
    for (index, manifest) in spec.manifests.iter().enumerate() {
        let place = place(index, &manifest.0);
        found.extend(kind(&place, &manifest.0, context));
        let named = named::of(&manifest.0);
        let mut judge = |all: &[Said<'_>], rule: Rule| {
            let each = all.iter();
            found.extend(
                each.filter_map(|said| rule(format!("{place}: {}", said.at), said.value, context)),
            );
        };
        judge(&named.images, image);
        judge(&named.storage_classes, storage_class);
        judge(&named.hosts, host);
        judge(&named.priority_classes, priority);
    }
    found
}

/// The same, and what is wrong with the emergency that it names, or does not: all that refuses a
/// Workload of this class for what it says.
pub fn all_refusals(
    spec: &WorkloadSpec,
    class: &Class,
    context: &Context<'_>,
) -> Vec<ManifestError> {
    let emergency = preempt::emergency(spec, class, &context.tenant.name, context.tree);
    let found = refusals(spec, context).into_iter();
    found.chain(emergency).collect()
}

/// Judges a value at a place.
type Rule = fn(String, Option<&str>, &Context<'_>) -> Option<ManifestError>;

/// A guardrail that lists what is allowed.
struct List {
    /// The list, where it is set.
    of: fn(&Guardrails) -> Option<&[String]>,
    /// Whether an entry allows a value.
    covers: fn(&str, &str) -> bool,
}

const REGISTRIES: List = List {
    of: |rails| rails.registries.as_deref(),
    covers: covers::image,
};
const STORAGE_CLASSES: List = List {
    of: |rails| rails.storage_classes.as_deref(),
    covers: |entry, class| entry == class,
};
const HOSTS: List = List {
    of: |rails| rails.ingress_hosts.as_deref(),
    covers: covers::host,
};
const KINDS: List = List {
    of: |rails| rails.allowed_kinds.as_deref(),
    covers: covers::kind,
};

impl List {
    /// Whether these guardrails allow the value; none at all only where nothing is listed.
    fn allows(&self, rails: &Guardrails, value: Option<&str>) -> bool {
        let Some(entries) = (self.of)(rails) else {
            return true;
        };
        value.is_some_and(|value| entries.iter().any(|entry| (self.covers)(entry, value)))
    }

    /// What is allowed instead of the value, and who decides on it; `None`: the value is allowed.
    fn refuses(&self, value: Option<&str>, context: &Context<'_>) -> Option<(String, String)> {
        let rails = &context.tenant.guardrails;
        if self.allows(rails, value) {
            return None;
        }
        let allowed = listed((self.of)(rails).unwrap_or_default());
        let decided_by = decided_by(context, |rails| self.allows(rails, value));
        Some((allowed, decided_by))
    }
}

/// Whether anything is to be judged here.
fn is_set(rails: &Guardrails) -> bool {
    let mut lists = [REGISTRIES, STORAGE_CLASSES, HOSTS, KINDS].into_iter();
    rails.highest_priority.is_some() || lists.any(|list| (list.of)(rails).is_some())
}

fn kind(place: &str, manifest: &Value, context: &Context<'_>) -> Option<ManifestError> {
    let text = |field: &str| {
        let found = manifest.get(field).and_then(Value::as_str);
        found.unwrap_or_default()
    };
    let group = group_of(text("apiVersion"));
    let kind = if group.is_empty() {
        text("kind").to_owned()
    } else {
        format!("{}.{group}", text("kind"))
    };
    let (allowed, decided_by) = KINDS.refuses(Some(&kind), context)?;
    let problem = format!("{} is none of the kinds allowed: {allowed}", shown(&kind));
    let mut error = broken(place.to_owned(), problem, "remove it", &decided_by);
    error.reason = Reason::KindNotAllowed;
    Some(error)
}

fn image(place: String, image: Option<&str>, context: &Context<'_>) -> Option<ManifestError> {
    let (allowed, decided_by) = REGISTRIES.refuses(image, context)?;
    let written = image.unwrap_or_default();
    let full = Reference::image(written).to_string();
    let meant = if full == written {
        String::new()
    } else {
        format!(", that is {},", shown(&full))
    };
    let problem = format!(
        "image {}{meant} is in none of the registries allowed: {allowed}",
        shown(written)
    );
    let fix = "push it to one of them and name it there";
    Some(broken(place, problem, fix, &decided_by))
}

fn storage_class(
    place: String,
    class: Option<&str>,
    context: &Context<'_>,
) -> Option<ManifestError> {
    let (allowed, decided_by) = STORAGE_CLASSES.refuses(class, context)?;
    let problem = match class {
        Some(class) => format!(
            "{} is none of the storage classes allowed: {allowed}",
            shown(class)
        ),
        None => format!(
            "is missing, which means the default of each member, and the storage classes allowed \
             are: {allowed}"
        ),
    };
    Some(broken(place, problem, "name one of them", &decided_by))
}

fn host(place: String, host: Option<&str>, context: &Context<'_>) -> Option<ManifestError> {
    let (allowed, decided_by) = HOSTS.refuses(host, context)?;
    let (problem, fix) = match host {
        Some(host) => (
            format!(
                "{} is neither of nor below the hosts allowed: {allowed}",
                shown(host)
            ),
            "name a host below one of them",
        ),
        None => (
            format!("stands for every host, and the hosts allowed are: {allowed}"),
            "write rules with hosts below these",
        ),
    };
    Some(broken(place, problem, fix, &decided_by))
}

fn priority(place: String, class: Option<&str>, context: &Context<'_>) -> Option<ManifestError> {
    let above = |rails: &Guardrails| above(class, rails, context.priority);
    let (problem, fix) = above(&context.tenant.guardrails)?;
    let decided_by = decided_by(context, |rails| above(rails).is_none());
    Some(broken(place, problem, &fix, &decided_by))
}

/// Why a priority class is above the highest allowed, or cannot be compared with it; and what to
/// do. No class counts as 0, as Kubernetes has it.
fn above(
    class: Option<&str>,
    rails: &Guardrails,
    value: &dyn Fn(&str) -> Option<i32>,
) -> Option<(String, String)> {
    let highest = rails.highest_priority.as_deref()?;
    let most = value(highest);
    let highest = shown(highest);
    let lower = format!("name {highest} or a PriorityClass of the hub below it");
    let Some(class) = class else {
        let most = most.filter(|most| *most < 0)?;
        let problem = format!(
            "is missing, which counts as 0 and is above {highest} ({most}), the highest priority \
             class allowed"
        );
        return Some((problem, lower));
    };
    let named = shown(class);
    match (value(class), most) {
        (_, None) => Some((
            format!(
                "{named} cannot be judged: {highest}, the highest priority class allowed, is no \
                 PriorityClass of the hub"
            ),
            format!("have a platform administrator create the PriorityClass {highest} on the hub"),
        )),
        (None, Some(_)) => Some((
            format!("{named} is no PriorityClass of the hub, and the highest allowed is {highest}"),
            lower,
        )),
        (Some(own), Some(most)) if own > most => Some((
            format!(
                "{named} ({own}) is above {highest} ({most}), the highest priority class allowed"
            ),
            lower,
        )),
        (Some(_), Some(_)) => None,
    }
}

fn broken(place: String, problem: String, fix: &str, decided_by: &str) -> ManifestError {
    ManifestError {
        reason: Reason::GuardrailViolated,
        place,
        problem,
        fix: format!("{fix}; decided by: {decided_by}"),
    }
}

/// Who may decide: whose own guardrails refuse it, on the path from the tenant to its root.
fn decided_by(context: &Context<'_>, allows: impl Fn(&Guardrails) -> bool) -> String {
    let path = context.tree.lineage(&context.tenant.name);
    let mut names: Vec<&str> = path
        .filter(|node| !allows(&node.own_guardrails))
        .map(|node| node.name.as_str())
        .collect();
    if names.is_empty() {
        names.push(&context.tenant.name);
    }
    format!("{} security administrators", names.join(" and "))
}

/// Most entries of a list that a message spells out.
const LISTED: usize = 6;

fn listed(entries: &[String]) -> String {
    if entries.is_empty() {
        return "none".to_owned();
    }
    let mut parts: Vec<String> = entries
        .iter()
        .take(LISTED)
        .map(|entry| shown(entry))
        .collect();
    if entries.len() > LISTED {
        parts.push(format!("and {} more", entries.len() - LISTED));
    }
    parts.join(", ")
}
