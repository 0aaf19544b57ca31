//! HorizontalPodAutoscalers among the manifests.
//!
//! Nothing on a member stops what an autoscaler makes there, so all of it is charged: the pods of
//! `maxReplicas`, with what a rolling update of them adds. No member's autoscaler is rendered with
//! a maximum beyond its charge.

use heyun_scheduler::request::Surge;

use super::Component;
use super::error::{ManifestError, shown};
use super::kinds::group_of;
use super::object::Object;
use super::read::{At, Notes};

/// A HorizontalPodAutoscaler that scales a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hpa {
    /// Index of its manifest.
    pub manifest: usize,
    /// `minReplicas`; 1 when it is absent.
    pub min: i64,
    /// `maxReplicas`.
    pub max: i64,
    /// What a rolling update of the component adds to its pods.
    pub surge: Surge,
}

impl Hpa {
    /// The fewest replicas it leaves: at 0 it would rest, or grow from nothing uncharged.
    pub(crate) fn least(&self) -> i64 {
        self.min.max(1)
    }

    /// The surge that charges all that it may make of `replicas`, which are at least 1. Where they
    /// are not divided it is exact. Where they are, each member's part is covered however they
    /// divide; a surge of so many pods is then charged with each replica, for each may be the
    /// only one of its member.
    pub(crate) fn charged(&self, replicas: i64, divided: bool) -> Surge {
        if self.max <= replicas {
            return self.surge;
        }
        match self.surge {
            _ if !divided => {
                Surge::Absolute(self.surge.pods(self.max).saturating_sub(replicas).max(0))
            }
            Surge::Percent(_) => Surge::Percent(percent(self.surge.pods(self.max), replicas)),
            Surge::Absolute(extra) => {
                let each = extra.max(0).saturating_mul(100);
                Surge::Percent(percent(self.max, replicas).saturating_add(each))
            }
        }
    }

    /// The most replicas that `pods` charged pods are enough for, the surge of them included.
    pub(crate) fn covered(&self, pods: i64) -> i64 {
        match self.surge {
            Surge::Absolute(extra) => pods.saturating_sub(extra.max(0)),
            Surge::Percent(percent) => {
                let whole = i128::from(percent.max(0)).saturating_add(100);
                i64::try_from(i128::from(pods).saturating_mul(100) / whole).unwrap_or(i64::MAX)
            }
        }
    }
}

/// By how many percent of `replicas`, which are at least 1, `pods` are more; rounded up.
fn percent(pods: i64, replicas: i64) -> i64 {
    let beyond = i128::from(pods).saturating_sub(i128::from(replicas)).max(0);
    let replicas = i128::from(replicas.max(1));
    let rounded = beyond.saturating_mul(100).saturating_add(replicas - 1) / replicas;
    i64::try_from(rounded).unwrap_or(i64::MAX)
}

/// Finds the autoscaler of each component.
pub(crate) fn attach(
    objects: &[Object<'_>],
    components: &mut [Component],
    errors: &mut Vec<ManifestError>,
) {
    for object in objects {
        let group = group_of(&object.key.api_version);
        if group == "autoscaling" && object.key.kind == "HorizontalPodAutoscaler" {
            attach_one(object, objects, components, errors);
        }
    }
}

fn attach_one(
    object: &Object<'_>,
    objects: &[Object<'_>],
    components: &mut [Component],
    errors: &mut Vec<ManifestError>,
) {
    let mut notes = Notes::new(&object.place, errors);
    let root = At::root(object.value);
    let Some(spec) = notes.required(&root, "spec") else {
        return;
    };
    let Some(target) = notes.required(&spec, "scaleTargetRef") else {
        return;
    };
    let kind = notes.required_text(&target, "kind");
    let name = notes.required_text(&target, "name");
    let (Some(kind), Some(name), Some((min, max))) = (kind, name, bounds(&spec, &mut notes)) else {
        return;
    };
    let wanted = format!("{kind}/{name}");
    if !objects.iter().any(|other| other.key.short() == wanted) {
        let problem = format!("{} is not among the manifests", shown(&wanted));
        let fix = "carry it in the same Workload: what an autoscaler makes is charged with it";
        notes.add("spec.scaleTargetRef", problem, fix);
        return;
    }
    // A kind that only the members know runs no pods that are counted.
    let Some(component) = components.iter_mut().find(|c| c.request.name == wanted) else {
        return;
    };
    if !component.kind.is_scalable() {
        let problem = format!("{wanted} has no replicas to scale");
        notes.add(
            "spec.scaleTargetRef",
            problem,
            "name a Deployment, ReplicaSet or StatefulSet",
        );
        return;
    }
    if let Some(other) = component.hpa {
        let problem = format!(
            "{wanted} is scaled by manifests[{}] already",
            other.manifest
        );
        notes.add(
            "spec.scaleTargetRef",
            problem,
            "remove one of the two autoscalers",
        );
        return;
    }
    component.hpa = Some(Hpa {
        manifest: object.index,
        min,
        max,
        surge: component.request.surge,
    });
}

/// `minReplicas` and `maxReplicas`, where they are there and the one is not above the other.
fn bounds(spec: &At<'_>, notes: &mut Notes<'_>) -> Option<(i64, i64)> {
    let min = notes.count(spec, "minReplicas").unwrap_or(1);
    if spec.get("maxReplicas").is_none() {
        notes.add(
            "spec.maxReplicas",
            "is missing",
            "add it: the most replicas there may be",
        );
    }
    let max = notes.count(spec, "maxReplicas")?;
    if max < 1 || max < min {
        let problem = format!(
            "{max} is less than the least number of replicas ({})",
            min.max(1)
        );
        let fix = "raise it, or lower spec.minReplicas";
        notes.add("spec.maxReplicas", problem, fix);
        return None;
    }
    Some((min, max))
}
