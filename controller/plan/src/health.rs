//! Whether an object on a member is healthy, as its kind defines it.
//!
//! The rules are those of kstatus: an object is healthy when its controller has seen its newest
//! generation and done what it asks for. Where a member may lack the controller (load balancers,
//! ingresses, metrics), an object is healthy when it is applied, so that work does not wait for
//! what nobody will do.

use serde_json::Value;

use crate::interpret::ComponentKind;

/// How an object fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether it is healthy; `None` when what was seen is no object.
    pub healthy: Option<bool>,
    /// Replicas that are wanted, for kinds that have them.
    pub desired: Option<i32>,
    /// Replicas that are ready, for kinds that have them. A Job that is complete counts what was
    /// wanted.
    pub ready: Option<i32>,
    /// `Healthy`, `Progressing`, `Failed`, `Terminating` or `Unknown`.
    pub reason: &'static str,
    /// The same as a sentence; empty when it is healthy.
    pub message: String,
}

/// Everything it asks for is done.
pub const HEALTHY: &str = "Healthy";
/// Its controller is at work, or has not begun.
pub const PROGRESSING: &str = "Progressing";
/// Its controller gave up, or says that it cannot.
pub const FAILED: &str = "Failed";
/// It is being deleted.
pub const TERMINATING: &str = "Terminating";
/// It cannot be read.
pub const UNKNOWN: &str = "Unknown";

/// What stands in the way of health: a reason and a sentence.
type Hindrance = (&'static str, String);

/// Says how an object fares, from the object as the member's API server gives it.
pub fn assess(object: &Value) -> Health {
    let Some(kind) = object.get("kind").and_then(Value::as_str) else {
        let message = "what was seen is no object".to_owned();
        return Health {
            reason: UNKNOWN,
            message,
            ..Health::default()
        };
    };
    let seen = Seen {
        object,
        status: object.get("status").unwrap_or(&Value::Null),
    };
    let api_version = object
        .get("apiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let component = ComponentKind::of(api_version, kind);
    let (desired, ready) = component.map_or((None, None), |kind| seen.replicas(kind));
    let hindrance = seen.terminating().or_else(|| match component {
        Some(kind) => seen.component(kind),
        None => seen.other(api_version, kind),
    });
    let (reason, message) = hindrance.unwrap_or((HEALTHY, String::new()));
    Health {
        healthy: Some(reason == HEALTHY),
        desired,
        ready,
        reason,
        message,
    }
}

/// An object and its status.
struct Seen<'v> {
    object: &'v Value,
    status: &'v Value,
}

#[expect(clippy::unnecessary_wraps, reason = "it is what each rule answers")]
fn progressing(message: impl Into<String>) -> Option<Hindrance> {
    Some((PROGRESSING, message.into()))
}

#[expect(clippy::unnecessary_wraps, reason = "it is what each rule answers")]
fn failed(message: impl Into<String>) -> Option<Hindrance> {
    Some((FAILED, message.into()))
}

impl<'v> Seen<'v> {
    fn spec(&self, pointer: &str) -> Option<&'v Value> {
        self.object.get("spec")?.pointer(pointer)
    }

    fn number(&self, field: &str) -> i64 {
        self.status.get(field).and_then(Value::as_i64).unwrap_or(0)
    }

    fn text(&self, field: &str) -> &'v str {
        self.status
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Status, reason and message of a condition.
    fn condition(&self, kind: &str) -> Option<(&'v str, &'v str, &'v str)> {
        let conditions = self.status.get("conditions")?.as_array()?;
        let found = conditions
            .iter()
            .find(|c| c.get("type").is_some_and(|t| t == kind))?;
        let text = |field: &str| found.get(field).and_then(Value::as_str).unwrap_or_default();
        Some((text("status"), text("reason"), text("message")))
    }

    fn is(&self, condition: &str, status: &str) -> Option<String> {
        let (now, reason, message) = self.condition(condition)?;
        (now == status).then(|| {
            format!("{condition} is {now}: {reason} {message}")
                .trim()
                .to_owned()
        })
    }

    fn terminating(&self) -> Option<Hindrance> {
        let since = self
            .object
            .pointer("/metadata/deletionTimestamp")
            .filter(|t| !t.is_null())?;
        let since = since.as_str().unwrap_or_default();
        Some((TERMINATING, format!("is being deleted since {since}")))
    }

    /// Whether its controller has not seen its newest generation.
    fn unobserved(&self) -> Option<Hindrance> {
        let generation = self
            .object
            .pointer("/metadata/generation")
            .and_then(Value::as_i64);
        let observed = self.number("observedGeneration");
        let generation = generation.filter(|generation| *generation > observed)?;
        progressing(format!("generation {generation} is not observed yet"))
    }

    fn wanted(&self) -> i64 {
        self.spec("/replicas").and_then(Value::as_i64).unwrap_or(1)
    }

    /// Pods that a Job runs at once.
    fn job_wanted(&self) -> i64 {
        let number = |pointer| self.spec(pointer).and_then(Value::as_i64);
        number("/parallelism")
            .unwrap_or(1)
            .min(number("/completions").unwrap_or(i64::MAX))
    }

    fn replicas(&self, kind: ComponentKind) -> (Option<i32>, Option<i32>) {
        let (wanted, ready) = match kind {
            ComponentKind::Deployment
            | ComponentKind::ReplicaSet
            | ComponentKind::ReplicationController
            | ComponentKind::StatefulSet => (self.wanted(), self.number("readyReplicas")),
            ComponentKind::DaemonSet => (
                self.number("desiredNumberScheduled"),
                self.number("numberReady"),
            ),
            ComponentKind::Job if self.is("Complete", "True").is_some() => {
                (self.job_wanted(), self.job_wanted())
            }
            ComponentKind::Job => (self.job_wanted(), self.number("ready")),
            ComponentKind::CronJob => return (None, None),
            ComponentKind::Pod => (1, i64::from(self.pod().is_none())),
        };
        let narrow = |number: i64| i32::try_from(number.max(0)).unwrap_or(i32::MAX);
        (Some(narrow(wanted)), Some(narrow(ready)))
    }

    fn component(&self, kind: ComponentKind) -> Option<Hindrance> {
        match kind {
            ComponentKind::Deployment => self.unobserved().or_else(|| self.deployment()),
            ComponentKind::ReplicaSet | ComponentKind::ReplicationController => {
                self.unobserved().or_else(|| self.replica_set())
            }
            ComponentKind::StatefulSet => self.unobserved().or_else(|| self.stateful_set()),
            ComponentKind::DaemonSet => self.unobserved().or_else(|| self.daemon_set()),
            ComponentKind::Job => self.job(),
            ComponentKind::CronJob => None,
            ComponentKind::Pod => self.pod(),
        }
    }

    /// The first of these counts that is below what is wanted.
    fn short(&self, wanted: i64, counts: &[(&str, &str)]) -> Option<Hindrance> {
        counts.iter().find_map(|(field, word)| {
            let count = self.number(field);
            if count < wanted {
                progressing(format!("{count} of {wanted} replicas are {word}"))
            } else {
                None
            }
        })
    }

    fn deployment(&self) -> Option<Hindrance> {
        if let Some((_, "ProgressDeadlineExceeded", message)) = self.condition("Progressing") {
            return failed(format!("made no progress in time: {message}"));
        }
        if let Some(message) = self.is("ReplicaFailure", "True") {
            return failed(message);
        }
        let wanted = self.wanted();
        let missing = self.short(
            wanted,
            &[("replicas", "created"), ("updatedReplicas", "updated")],
        );
        missing
            .or_else(|| {
                let old = self
                    .number("replicas")
                    .saturating_sub(self.number("updatedReplicas"));
                if old > 0 {
                    progressing(format!("{old} replicas of an older revision still run"))
                } else {
                    None
                }
            })
            .or_else(|| {
                self.short(
                    wanted,
                    &[
                        ("readyReplicas", "ready"),
                        ("availableReplicas", "available"),
                    ],
                )
            })
            .or_else(|| self.is("Available", "False").and_then(progressing))
    }

    fn replica_set(&self) -> Option<Hindrance> {
        if let Some(message) = self.is("ReplicaFailure", "True") {
            return failed(message);
        }
        let counts = [
            ("replicas", "created"),
            ("readyReplicas", "ready"),
            ("availableReplicas", "available"),
        ];
        self.short(self.wanted(), &counts)
            .or_else(|| self.surplus(self.wanted()))
    }

    fn surplus(&self, wanted: i64) -> Option<Hindrance> {
        let surplus = self.number("replicas").saturating_sub(wanted);
        if surplus > 0 {
            progressing(format!("{surplus} replicas too many still run"))
        } else {
            None
        }
    }

    fn stateful_set(&self) -> Option<Hindrance> {
        let wanted = self.wanted();
        let counts = [("replicas", "created"), ("readyReplicas", "ready")];
        let hindrance = self.short(wanted, &counts).or_else(|| self.surplus(wanted));
        let strategy = self.spec("/updateStrategy/type").and_then(Value::as_str);
        if hindrance.is_some() || strategy == Some("OnDelete") {
            return hindrance;
        }
        let partition = self.spec("/updateStrategy/rollingUpdate/partition");
        let partition = partition.and_then(Value::as_i64).unwrap_or(0);
        if partition > 0 {
            // Replicas below the partition keep the older revision on purpose.
            let to_update = wanted.saturating_sub(partition).max(0);
            return self.short(to_update, &[("updatedReplicas", "updated")]);
        }
        let (current, update) = (self.text("currentRevision"), self.text("updateRevision"));
        if current == update {
            return None;
        }
        let updated = self.number("updatedReplicas");
        progressing(format!(
            "{updated} of {wanted} replicas have revision {update}"
        ))
    }

    fn daemon_set(&self) -> Option<Hindrance> {
        if self.status.get("desiredNumberScheduled").is_none() {
            return progressing("its controller has not counted nodes yet");
        }
        let wanted = self.number("desiredNumberScheduled");
        let on_delete = self
            .spec("/updateStrategy/type")
            .is_some_and(|t| t == "OnDelete");
        let updated = if on_delete {
            None
        } else {
            Some(("updatedNumberScheduled", "updated"))
        };
        let counts: Vec<(&str, &str)> = [("currentNumberScheduled", "created")]
            .into_iter()
            .chain(updated)
            .chain([("numberAvailable", "available"), ("numberReady", "ready")])
            .collect();
        self.short(wanted, &counts)
    }

    fn job(&self) -> Option<Hindrance> {
        for condition in ["Failed", "FailureTarget"] {
            if let Some(message) = self.is(condition, "True") {
                return failed(message);
            }
        }
        if self.is("Complete", "True").is_some() || self.is("Suspended", "True").is_some() {
            return None;
        }
        match self.status.get("startTime") {
            None => progressing("has not started"),
            Some(_) => None,
        }
    }

    fn pod(&self) -> Option<Hindrance> {
        match self.text("phase") {
            "Succeeded" => None,
            "Failed" => {
                let told = format!("{} {}", self.text("reason"), self.text("message"));
                failed(
                    format!("its containers ended with failure: {told}")
                        .trim_end_matches([':', ' ']),
                )
            }
            "Running" => {
                if let Some(("True", ..)) = self.condition("Ready") {
                    return None;
                }
                self.crashing()
                    .or_else(|| progressing("is running and not ready"))
            }
            _ => {
                let scheduling = self.is("PodScheduled", "False");
                let waiting = self.crashing();
                waiting.or_else(|| progressing(scheduling.unwrap_or("has not started".to_owned())))
            }
        }
    }

    /// A container that cannot start, as the kubelet says.
    fn crashing(&self) -> Option<Hindrance> {
        let statuses = ["initContainerStatuses", "containerStatuses"];
        let mut all = statuses
            .iter()
            .filter_map(|f| self.status.get(f)?.as_array())
            .flatten();
        all.find_map(|container| {
            let waiting = container.pointer("/state/waiting")?;
            let text = |v: &'v Value, field: &str| {
                v.get(field).and_then(Value::as_str).unwrap_or_default()
            };
            let reason = text(waiting, "reason");
            let hopeless = [
                "CrashLoopBackOff",
                "ImagePullBackOff",
                "ErrImagePull",
                "InvalidImageName",
                "CreateContainerConfigError",
                "CreateContainerError",
            ];
            if !hopeless.contains(&reason) {
                return None;
            }
            let name = text(container, "name");
            failed(
                format!(
                    "container {name} waits: {reason} {}",
                    text(waiting, "message")
                )
                .trim_end(),
            )
        })
    }

    fn other(&self, api_version: &str, kind: &str) -> Option<Hindrance> {
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
        match (group, kind) {
            ("", "PersistentVolumeClaim") => match self.text("phase") {
                "Bound" => None,
                "Lost" => failed("its volume is lost"),
                _ => progressing("is not bound to a volume"),
            },
            ("", "Service") => self.service(),
            ("autoscaling", "HorizontalPodAutoscaler") => {
                // Without metrics it is inactive, which is no fault of the work.
                self.is("AbleToScale", "False").and_then(progressing)
            }
            ("policy", "PodDisruptionBudget") => self.unobserved(),
            ("networking.k8s.io", "Ingress" | "NetworkPolicy") => None,
            _ => self.custom(),
        }
    }

    fn service(&self) -> Option<Hindrance> {
        let balanced = self.spec("/type").is_some_and(|t| t == "LoadBalancer");
        let address = self
            .spec("/clusterIP")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if balanced && address.is_empty() {
            progressing("has no address yet")
        } else {
            None
        }
    }

    /// Kinds of which nothing is known but the conventions of conditions.
    fn custom(&self) -> Option<Hindrance> {
        if self.status.get("observedGeneration").is_some()
            && let Some(hindrance) = self.unobserved()
        {
            return Some(hindrance);
        }
        if let Some(message) = self.is("Stalled", "True") {
            return failed(message);
        }
        if let Some(message) = self.is("Reconciling", "True") {
            return progressing(message);
        }
        ["Ready", "Available"].iter().find_map(|condition| {
            let message = self
                .is(condition, "False")
                .or_else(|| self.is(condition, "Unknown"));
            message.and_then(progressing)
        })
    }
}

#[cfg(test)]
mod tests;
