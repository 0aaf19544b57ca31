//! What is held of a Workload and of a Work: all but parsed manifests.

use std::collections::BTreeSet;

use heyun_crds::labels::{FINALIZER, PREFIX, TRACEPARENT, WORKLOAD_NAMESPACE};
use heyun_crds::work::WorkSpec;
use heyun_crds::workload::{Decision, Manifest, SecretUse, WorkloadSpec, WorkloadStatus};
use heyun_crds::{Work, Workload};
use heyun_plan::diff;
use heyun_plan::member_names::member_of_namespace;
use heyun_plan::observe::held;
use heyun_plan::secrets::references;
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::snapshot::Held;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use sha2::{Digest, Sha256};

use super::{Packed, WorkKey};

/// The resourceVersion as a number, which only grows; 0 where there is none.
///
/// Kubernetes compares them so itself since 1.35 (KEP-5504).
pub fn version(meta: &ObjectMeta) -> u64 {
    meta.resource_version
        .as_deref()
        .and_then(|v| v.parse().ok())
        .unwrap_or(0)
}

/// A Workload as it is held.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Namespace and name.
    pub key: WorkloadKey,
    /// Its metadata, without managed fields and foreign annotations.
    pub meta: ObjectMeta,
    /// resourceVersion as a number.
    pub version: u64,
    /// The spec without its manifests.
    pub spec: WorkloadSpec,
    /// `spec.manifests` as JSON.
    pub manifests: Box<[u8]>,
    /// The status.
    pub status: WorkloadStatus,
    /// Node labels that its manifests name.
    pub label_keys: BTreeSet<String>,
    /// Names of the Secrets that go along with it where they are there.
    pub secrets: BTreeSet<String>,
    /// What its decision holds, with what is not confirmed as gone.
    pub held: Held,
}

impl Entry {
    /// Takes the manifests out of an object as it arrives.
    pub fn read(mut object: Workload) -> Self {
        let manifests = std::mem::take(&mut object.spec.manifests);
        let held = held::held(&object);
        let label_keys = label_keys(&manifests);
        let secrets = secrets(&manifests, &object.spec.secrets);
        let mut meta = object.metadata;
        meta.managed_fields = None;
        if let Some(annotations) = &mut meta.annotations {
            // The last applied configuration alone may be as large as the manifests.
            annotations.retain(|key, _| key.starts_with(PREFIX));
        }
        Self {
            key: WorkloadKey::new(
                meta.namespace.clone().unwrap_or_default(),
                meta.name.clone().unwrap_or_default(),
            ),
            version: version(&meta),
            meta,
            spec: object.spec,
            // Values that came as JSON always go back to JSON.
            manifests: serde_json::to_vec(&manifests)
                .unwrap_or_default()
                .into_boxed_slice(),
            status: object.status.unwrap_or_default(),
            label_keys,
            secrets,
            held,
        }
    }

    /// uid.
    pub fn uid(&self) -> &str {
        self.meta.uid.as_deref().unwrap_or_default()
    }

    /// Generation of the spec.
    pub fn generation(&self) -> i64 {
        self.meta.generation.unwrap_or_default()
    }

    /// The decision of the generation that it has.
    pub fn decided(&self) -> Option<&Decision> {
        let decision = self.status.decision.as_ref();
        decision.filter(|decision| decision.generation == self.generation())
    }

    /// Whether its decision sends anything to this member.
    pub fn is_placed_on(&self, member: &str) -> bool {
        self.status.decision.as_ref().is_some_and(|decision| {
            let mut assigned = decision.assignments.iter();
            assigned.any(|a| a.member == member) || decision.carried_to.iter().any(|m| m == member)
        })
    }

    /// Whether it is being deleted.
    pub fn deleting(&self) -> bool {
        self.meta.deletion_timestamp.is_some()
    }

    /// Whether it has our finalizer.
    pub fn finalized(&self) -> bool {
        self.meta
            .finalizers
            .iter()
            .flatten()
            .any(|f| f == FINALIZER)
    }

    /// Trace context that came with the generation.
    pub fn traceparent(&self) -> Option<&str> {
        self.meta
            .annotations
            .as_ref()?
            .get(TRACEPARENT)
            .map(String::as_str)
    }

    /// The manifests, parsed anew.
    pub fn manifests(&self) -> Vec<Manifest> {
        serde_json::from_slice(&self.manifests).unwrap_or_default()
    }

    /// The Workload as an object again, for pure functions that take one.
    pub fn object(&self) -> Workload {
        let mut spec = self.spec.clone();
        spec.manifests = self.manifests();
        Workload {
            metadata: self.meta.clone(),
            spec,
            status: Some(self.status.clone()),
        }
    }
}

/// Where a pod spec says which nodes it needs.
const REQUIRED_AFFINITY: &str =
    "affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";

/// Node labels that pod templates select by, as far as they are written plainly.
fn label_keys(manifests: &[Manifest]) -> BTreeSet<String> {
    let templates = [
        "/spec/template/spec",
        "/spec/jobTemplate/spec/template/spec",
        "/spec",
    ];
    let selectors = manifests.iter().flat_map(|m| {
        templates
            .iter()
            .filter_map(|t| m.0.pointer(&format!("{t}/nodeSelector"))?.as_object())
    });
    let terms = manifests.iter().flat_map(|m| {
        let at = |t: &&str| m.0.pointer(&format!("{t}/{REQUIRED_AFFINITY}"))?.as_array();
        templates.iter().filter_map(at).flatten()
    });
    let expressions =
        terms.flat_map(|term| term["matchExpressions"].as_array().into_iter().flatten());
    let affinities = expressions.filter_map(|one| Some(one["key"].as_str()?.to_owned()));
    selectors
        .flat_map(|selector| selector.keys().cloned())
        .chain(affinities)
        .collect()
}

/// The Secrets that `interpret` would find, by name.
fn secrets(manifests: &[Manifest], listed: &[SecretUse]) -> BTreeSet<String> {
    let found = manifests.iter().flat_map(|m| references(&m.0));
    found
        .map(|reference| reference.name)
        .chain(listed.iter().map(|listed| listed.name.clone()))
        .collect()
}

/// A Work as it is held: its manifests are replaced by nothing, their hash is an annotation.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkEntry {
    /// Member and name.
    pub key: WorkKey,
    /// The Workload it is for.
    pub workload: WorkloadKey,
    /// resourceVersion.
    pub version: u64,
    /// What it holds.
    pub held: Held,
    /// [`digest`] of its spec.
    pub digest: [u8; 32],
    /// Epoch of its spec.
    pub epoch: i64,
    /// The tenant that its spec names.
    pub tenant: String,
    /// The object without manifests.
    pub work: Packed<Work>,
}

/// SHA-256 of all that a Work asks for: its spec but the epoch, which alone is no change.
pub fn digest(spec: &WorkSpec) -> [u8; 32] {
    let json = serde_json::to_vec(&diff::without_epoch(spec)).unwrap_or_default();
    Sha256::digest(&json).into()
}

impl WorkEntry {
    /// Takes the manifests out of an object as it arrives; none if its namespace is no member's.
    pub fn read(mut object: Work) -> Option<Self> {
        let digest = digest(&object.spec);
        object.spec.manifests = Vec::new();
        object.metadata.managed_fields = None;
        let held = held::held_from_works(std::slice::from_ref(&object));
        let member = member_of_namespace(object.metadata.namespace.as_deref()?)?.to_owned();
        let key = WorkKey {
            member,
            name: object.metadata.name.clone()?,
        };
        let namespace = object
            .metadata
            .labels
            .as_ref()
            .and_then(|l| l.get(WORKLOAD_NAMESPACE))
            .unwrap_or(&object.spec.workload.namespace);
        let workload = WorkloadKey::new(namespace, &object.spec.workload.name);
        Some(Self {
            key,
            workload,
            version: version(&object.metadata),
            held,
            digest,
            epoch: object.spec.epoch,
            work: Packed::new(&object),
            tenant: object.spec.tenant,
        })
    }
}
