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
    /// `spec.manifests`.
    pub manifests: Packed<Vec<Manifest>>,
    /// The status.
    pub status: WorkloadStatus,
    /// Node labels that its manifests name.
    pub label_keys: BTreeSet<String>,
    /// Names of the Secrets that go along with it where they are there.
    pub secrets: BTreeSet<String>,
    /// What its decision holds, with what is not confirmed as gone.
    pub held: Held,
}

/// Which spec an object has: the API server counts each change of it.
fn spec_of(meta: &ObjectMeta) -> Option<(&str, i64)> {
    meta.uid.as_deref().zip(meta.generation)
}

impl Entry {
    /// Takes the manifests out of an object as it arrives; what follows from its spec is known where
    /// it asks for what it asked for `before`.
    pub fn read(mut object: Workload, before: Option<&Self>) -> Self {
        let manifests = std::mem::take(&mut object.spec.manifests);
        let held = held::held(&object);
        let asks_the_same = |same: &&Self| {
            let asked = spec_of(&same.meta);
            asked.is_some() && asked == spec_of(&object.metadata)
        };
        let before = before.filter(asks_the_same);
        let (manifests, label_keys, secrets) = match before {
            Some(same) => (
                same.manifests.clone(),
                same.label_keys.clone(),
                same.secrets.clone(),
            ),
            None => (
                Packed::new(&manifests),
                label_keys(&manifests),
                secrets(&manifests, &object.spec.secrets),
            ),
        };
        let mut meta = object.metadata;
        meta.managed_fields = None;
        if let Some(annotations) = &mut meta.annotations {
            // The last applied configuration alone may be as large as the manifests.
            annotations.retain(|key, _| key.starts_with(PREFIX));
        }
        Self {
            key: Self::key_of(&meta),
            version: version(&meta),
            meta,
            spec: object.spec,
            manifests,
            status: object.status.unwrap_or_default(),
            label_keys,
            secrets,
            held,
        }
    }

    /// Namespace and name of an object.
    pub fn key_of(meta: &ObjectMeta) -> WorkloadKey {
        WorkloadKey::new(
            meta.namespace.clone().unwrap_or_default(),
            meta.name.clone().unwrap_or_default(),
        )
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

    /// The Workload as an object again, for pure functions that take one.
    pub fn object(&self) -> Workload {
        let mut spec = self.spec.clone();
        spec.manifests = self.manifests.get();
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
    /// uid and generation: which spec it has.
    pub asked: Option<(String, i64)>,
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
    /// Member and name of an object; none if its namespace is no member's.
    pub fn key_of(meta: &ObjectMeta) -> Option<WorkKey> {
        Some(WorkKey {
            member: member_of_namespace(meta.namespace.as_deref()?)?.to_owned(),
            name: meta.name.clone()?,
        })
    }

    /// The Workload that a Work is for.
    pub fn workload_of(work: &Work) -> WorkloadKey {
        let labels = work.metadata.labels.as_ref();
        let namespace = labels
            .and_then(|labels| labels.get(WORKLOAD_NAMESPACE))
            .unwrap_or(&work.spec.workload.namespace);
        WorkloadKey::new(namespace, &work.spec.workload.name)
    }

    /// Takes the manifests out of an object as it arrives; none if its namespace is no member's.
    /// Its digest is known where it asks for what it asked for `before`.
    pub fn read(mut object: Work, before: Option<&Self>) -> Option<Self> {
        let key = Self::key_of(&object.metadata)?;
        let asked = spec_of(&object.metadata).map(|(uid, count)| (uid.to_owned(), count));
        let before = before.filter(|same| asked.is_some() && same.asked == asked);
        let digest = before.map_or_else(|| digest(&object.spec), |same| same.digest);
        object.spec.manifests = Vec::new();
        object.metadata.managed_fields = None;
        let held = held::held_from_works(std::slice::from_ref(&object));
        Some(Self {
            key,
            workload: Self::workload_of(&object),
            version: version(&object.metadata),
            held,
            asked,
            digest,
            epoch: object.spec.epoch,
            work: Packed::new(&object),
            tenant: object.spec.tenant,
        })
    }
}
