//! What manifests mean to scheduling.
//!
//! [`interpret`] reads the plain manifests of a Workload and answers what the scheduler, the
//! renderer and the executor need to know: components with replicas and requests, what else is
//! carried along, which APIs and classes the members must have, which images and Secrets are
//! used. It reports every fault it finds, each with value, place and fix.

pub mod budget;
mod component;
mod error;
mod hpa;
mod kinds;
mod object;
mod pod;
mod read;
mod replicas;
pub mod requests;
mod scale;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::placement::PlacementSpec;
use heyun_crds::workload::WorkloadSpec;
use heyun_scheduler::request::Component as ComponentRequest;
use heyun_scheduler::resources::Resources;
use sha2::{Digest, Sha256};

pub use error::{ManifestError, summarize};
pub use hpa::Hpa;
pub use kinds::{ComponentKind, Refusal, refusal};
pub use object::{ObjectKey, is_dns_subdomain, object_key};
pub use pod::Unchecked;
pub use replicas::{
    Share, by_largest_remainder, completions, label_selector, pod_template, pod_template_mut,
    set_completions, set_hpa_bounds, set_replicas, shares,
};

pub(crate) use error::shown;
pub(crate) use kinds::group_of;
pub(crate) use object::place;
pub(crate) use replicas::cap_hpa_bounds;

use object::Object;

/// What the meaning of manifests depends on besides the manifests.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Namespace of the Workload, on hub and members.
    pub namespace: &'a str,
    /// The placement in effect: inline, referred to, or the tenant's default. Its architectures
    /// and its data policy change what components mean.
    pub placement: &'a PlacementSpec,
    /// What a container is charged for resources it names neither as request nor as limit; the
    /// members get the same as LimitRange.
    pub default_requests: &'a Resources,
}

/// What the manifests of a Workload mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interpreted {
    /// What runs pods, one per manifest with a pod template, in order of the manifests.
    pub components: Vec<Component>,
    /// Indices of the manifests that are carried along undivided.
    pub carried: Vec<usize>,
    /// Name of the component that `spec.replicas` and the scale subresource mean, if there is one.
    pub scale_target: Option<String>,
    /// APIs that a member must serve, as `group/version/Kind` (`v1/Service` for the core group).
    pub required_apis: BTreeSet<String>,
    /// Classes that a member must map, as `sort/name` with the sorts of `classMap`:
    /// `storage/standard`, `ingress/default`, `runtime/kata`, `priority/business`.
    pub required_classes: BTreeSet<String>,
    /// Every image that a pod template names.
    pub images: BTreeSet<String>,
    /// Secrets that travel with the work, by name.
    pub secrets: BTreeMap<String, SecretNeed>,
    /// Keys of node labels that selectors and affinities name: what a sketch must tell apart.
    pub label_keys: BTreeSet<String>,
}

/// How a Secret came to travel with the work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecretNeed {
    /// It stands in `spec.secrets`.
    pub listed: bool,
    /// Something does not start without it. A Secret that is only used where it exists (marked
    /// optional, or the certificate of an Ingress, which a controller on the member may make) is
    /// not required.
    pub required: bool,
}

/// A manifest that runs pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Index of its manifest.
    pub manifest: usize,
    /// Its kind.
    pub kind: ComponentKind,
    /// What the scheduler needs to know; its name is `Kind/name`.
    pub request: ComponentRequest,
    /// The HorizontalPodAutoscaler that scales it.
    pub hpa: Option<Hpa>,
    /// Image of each container and init container as it is written, by the container's name.
    pub images: BTreeMap<String, String>,
    /// By architecture, the images that `spec.overrides` gives containers there.
    pub images_on: BTreeMap<String, BTreeMap<String, String>>,
    /// Secrets that these are pulled with, by name.
    pub pull_secrets: BTreeSet<String>,
    /// What PodDisruptionBudgets among the manifests keep of its replicas.
    pub floors: Vec<budget::Floor>,
    /// `priorityClassName` of its pods.
    pub priority_class: Option<String>,
    /// What counted node shapes cannot judge about it.
    pub unchecked: BTreeSet<Unchecked>,
}

impl Interpreted {
    /// The component of that name (`Kind/name`).
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.components.iter().find(|c| c.request.name == name)
    }

    /// Whether an HPA among the manifests scales that component: then members keep their own
    /// value of `spec.replicas`.
    pub fn is_hpa_target(&self, component: &str) -> bool {
        self.component(component).is_some_and(|c| c.hpa.is_some())
    }

    /// The requests of all components, for the scheduler.
    pub fn requests(&self) -> Vec<ComponentRequest> {
        self.components.iter().map(|c| c.request.clone()).collect()
    }

    /// What shapes cannot judge, as `Kind/name: what`, for the explanation.
    pub fn unchecked(&self) -> Vec<String> {
        let each = |c: &Component| -> Vec<String> {
            c.unchecked
                .iter()
                .map(|u| format!("{}: {u}", c.request.name))
                .collect()
        };
        self.components.iter().flat_map(each).collect()
    }
}

/// Says what the manifests of a Workload mean.
///
/// # Errors
/// Every fault of the spec that shows without other objects: what is missing, malformed, refused,
/// duplicate, contradictory or too large.
pub fn interpret(
    spec: &WorkloadSpec,
    context: &Context<'_>,
) -> Result<Interpreted, Vec<ManifestError>> {
    let mut errors = object::size_errors(spec);
    if !errors.is_empty() {
        return Err(errors);
    }
    let objects = object::objects(spec, context.namespace, &mut errors);
    let mut found = Interpreted::default();
    // By component, and what service accounts among the manifests pull images with.
    let (mut accounts, mut pulling) = (BTreeMap::new(), BTreeMap::new());
    for object in &objects {
        found.required_apis.insert(object.key.api());
        if let Some(kind) = ComponentKind::of(&object.key.api_version, &object.key.kind) {
            let mut read = component::read(object, kind, context, &mut errors);
            let account = read.service_account.take();
            accounts.insert(
                object.index,
                account.unwrap_or_else(|| "default".to_owned()),
            );
            found.take(read);
        } else {
            if object.key.api() == "v1/ServiceAccount" {
                pulling.insert(
                    object.key.name.clone(),
                    component::pull_secrets(object.value),
                );
            }
            found.carried.push(object.index);
            found.take_carried(object, &mut errors);
        }
    }
    for component in &mut found.components {
        // As Kubernetes does: those of the account where the pod names none itself.
        let account = accounts
            .get(&component.manifest)
            .and_then(|name| pulling.get(name));
        if let Some(secrets) = account.filter(|_| component.pull_secrets.is_empty()) {
            component.pull_secrets.clone_from(secrets);
        }
    }
    budget::attach(&objects, &mut found.components);
    hpa::attach(&objects, &mut found.components, &mut errors);
    scale::apply(spec, &mut found, context.placement, &mut errors);
    crate::images::override_images(&spec.overrides, &mut found, &mut errors);
    crate::images::declare(&spec.platforms, &mut found, &mut errors);
    errors.extend(crate::returns::wish(context.placement).err());
    for listed in &spec.secrets {
        let need = found.secrets.entry(listed.name.clone()).or_default();
        need.listed = true;
        need.required = true;
    }
    object::check_secret_names(&found.secrets, &mut errors);
    if errors.is_empty() {
        Ok(found)
    } else {
        Err(errors)
    }
}

impl Interpreted {
    fn take(&mut self, read: component::Read) {
        self.required_classes.extend(read.classes);
        self.images.extend(read.component.images.values().cloned());
        self.label_keys
            .extend(read.component.request.node_selector.keys().cloned());
        let terms = read.component.request.node_affinity.iter().flatten();
        self.label_keys
            .extend(terms.map(|requirement| requirement.key.clone()));
        self.take_secrets(read.secrets);
        self.components.push(read.component);
    }

    fn take_carried(&mut self, object: &Object<'_>, errors: &mut Vec<ManifestError>) {
        let (classes, secrets) = component::read_carried(object, errors);
        self.required_classes.extend(classes);
        self.take_secrets(secrets);
    }

    fn take_secrets(&mut self, references: Vec<crate::secrets::Reference>) {
        for reference in references {
            let need = self.secrets.entry(reference.name).or_default();
            need.required |= !reference.optional;
        }
    }
}

/// Longest value of a Kubernetes label.
const LABEL_MAX: usize = 63;
/// Hexadecimal digits of a hash that stand for what was cut off.
const HASH_DIGITS: usize = 10;

/// The value of the label `heyun.dev/component` on the pods of a component: `deployment-web` for
/// `Deployment/web`; cut and hashed when it is longer than a label may be.
pub fn component_label(component: &str) -> String {
    let plain = component.replacen('/', "-", 1).to_lowercase();
    if plain.len() <= LABEL_MAX && plain.is_ascii() {
        return plain;
    }
    let digest = Sha256::digest(component.as_bytes());
    let hash = hex(digest.get(..HASH_DIGITS / 2).unwrap_or_default());
    let keep = LABEL_MAX - HASH_DIGITS - 1;
    let head: String = plain.chars().filter(char::is_ascii).take(keep).collect();
    format!("{head}-{hash}")
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles
        .filter_map(|nibble| char::from_digit(u32::from(nibble), 16))
        .collect()
}

/// Whether what a sketch reports as bound belongs to that component: it tells either the name or
/// the label.
pub fn is_component(bound: &str, component: &str) -> bool {
    bound == component || bound == component_label(component)
}
