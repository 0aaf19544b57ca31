//! What every manifest must keep to, whatever its kind.

use std::collections::BTreeMap;
use std::io;

use heyun_crds::conditions::Reason;
use heyun_crds::labels;
use heyun_crds::workload::{MANIFEST_BYTES_MAX, MANIFESTS_MAX, WorkloadSpec};
use serde_json::Value;

use super::SecretNeed;
use super::error::{ManifestError, shown};
use super::kinds::{self, ComponentKind, Refusal};
use super::read::{At, Notes, entries};

/// What tells one object of a Workload from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectKey {
    /// `apiVersion`. Example: `apps/v1`.
    pub api_version: String,
    /// Kind. Example: `Deployment`.
    pub kind: String,
    /// Name.
    pub name: String,
}

impl ObjectKey {
    /// The API as `group/version/Kind`; `v1/Service` for the core group.
    pub fn api(&self) -> String {
        format!("{}/{}", self.api_version, self.kind)
    }

    /// `Kind/name`.
    pub fn short(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// The key of a manifest; `None` when a part of it is missing.
pub fn object_key(manifest: &Value) -> Option<ObjectKey> {
    let text = |pointer: &str| {
        let found = manifest.pointer(pointer).and_then(Value::as_str);
        found.filter(|t| !t.is_empty()).map(str::to_owned)
    };
    Some(ObjectKey {
        api_version: text("/apiVersion")?,
        kind: text("/kind")?,
        name: text("/metadata/name")?,
    })
}

/// A manifest that has a key and may be carried.
pub(crate) struct Object<'v> {
    /// Its place in `spec.manifests`.
    pub(crate) index: usize,
    /// Its key.
    pub(crate) key: ObjectKey,
    /// Itself.
    pub(crate) value: &'v Value,
    /// `manifests[3] Deployment/web`, for messages.
    pub(crate) place: String,
}

/// Counts what is written and keeps nothing.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Faults of the list as a whole; with one of them nothing else is looked at.
pub(crate) fn size_errors(spec: &WorkloadSpec) -> Vec<ManifestError> {
    let place = "spec.manifests";
    if spec.manifests.is_empty() {
        let fix = "add at least one Kubernetes manifest";
        return vec![ManifestError::invalid(place, "holds no manifest", fix)];
    }
    let split = "split the Workload into several";
    let count = spec.manifests.len();
    if count > MANIFESTS_MAX {
        let problem = format!("holds {count} manifests, and the most is {MANIFESTS_MAX}");
        return vec![ManifestError::invalid(place, problem, split)];
    }
    let mut counter = Counter(0);
    // Writing to a counter cannot fail, and a JSON value is always JSON.
    let _ = serde_json::to_writer(&mut counter, &spec.manifests);
    if counter.0 > MANIFEST_BYTES_MAX {
        let problem = format!(
            "is {} bytes as JSON, and the most is {MANIFEST_BYTES_MAX}",
            counter.0
        );
        return vec![ManifestError::invalid(place, problem, split)];
    }
    Vec::new()
}

/// The manifests that can be looked at further; the faults of the others are noted.
pub(crate) fn objects<'v>(
    spec: &'v WorkloadSpec,
    namespace: &str,
    errors: &mut Vec<ManifestError>,
) -> Vec<Object<'v>> {
    let mut found: Vec<Object<'v>> = Vec::new();
    let mut first: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    for (index, manifest) in spec.manifests.iter().enumerate() {
        let Some(object) = object(index, &manifest.0, namespace, errors) else {
            continue;
        };
        let ObjectKey {
            api_version,
            kind,
            name,
        } = &object.key;
        let id = (
            kinds::group_of(api_version).to_owned(),
            kind.clone(),
            name.clone(),
        );
        if let Some(earlier) = first.get(&id) {
            let problem = format!("is there twice: manifests[{earlier}] is the same object");
            errors.push(ManifestError::invalid(
                &object.place,
                problem,
                "remove one of the two",
            ));
            continue;
        }
        first.insert(id, index);
        found.push(object);
    }
    found
}

fn object<'v>(
    index: usize,
    value: &'v Value,
    namespace: &str,
    errors: &mut Vec<ManifestError>,
) -> Option<Object<'v>> {
    let place = place(index, value);
    let mut notes = Notes::new(&place, errors);
    if !value.is_object() {
        notes.add(
            "",
            "is not an object",
            "write a Kubernetes manifest with apiVersion and kind",
        );
        return None;
    }
    let root = At::root(value);
    let api_version = notes.required_text(&root, "apiVersion");
    let kind = notes.required_text(&root, "kind");
    let (api_version, kind) = (api_version?, kind?);
    if api_version.matches('/').count() > 1 || api_version.split('/').any(str::is_empty) {
        let problem = format!("{} is not a group and version", shown(api_version));
        notes.add(
            "apiVersion",
            problem,
            "write for example apps/v1, or v1 for the core group",
        );
        return None;
    }
    if let Some(refusal) = refused(api_version, kind, value) {
        let mut error = ManifestError::invalid(
            &place,
            format!("{api_version} {kind} {}", refusal.problem()),
            refusal.fix(),
        );
        error.reason = Reason::KindNotAllowed;
        errors.push(error);
        return None;
    }
    let name = metadata(&root, namespace, &mut notes)?;
    let key = ObjectKey {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
    };
    Some(Object {
        index,
        key,
        value,
        place,
    })
}

fn refused(api_version: &str, kind: &str, value: &Value) -> Option<Refusal> {
    if kind.ends_with("List") && value.get("items").is_some() {
        return Some(Refusal::List);
    }
    kinds::refusal(api_version, kind)
}

/// `manifests[3] Deployment/web`, as far as the manifest tells.
pub(crate) fn place(index: usize, value: &Value) -> String {
    let text = |pointer: &str| {
        value
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    match (text("/kind"), text("/metadata/name")) {
        ("", _) => format!("manifests[{index}]"),
        (kind, "") => format!("manifests[{index}] {kind}"),
        (kind, name) => format!("manifests[{index}] {kind}/{name}"),
    }
}

/// Fields of `metadata` that only an API server sets, or that mean objects of another cluster.
const FOREIGN_METADATA: &[&str] = &["managedFields", "ownerReferences", "resourceVersion", "uid"];

fn metadata<'v>(root: &At<'v>, namespace: &str, notes: &mut Notes<'_>) -> Option<&'v str> {
    let metadata = notes.required(root, "metadata")?;
    if metadata.get("generateName").is_some() {
        let fix = "give it a fixed metadata.name, so that it is the same object on every apply";
        notes.add("metadata.generateName", "is not allowed in a Workload", fix);
    }
    for field in FOREIGN_METADATA {
        if metadata.get(field).is_some() {
            let fix = "remove it (`kubectl get -o yaml` writes it; a manifest does not need it)";
            notes.add(
                &metadata.path_of(field),
                "belongs to one cluster's own object",
                fix,
            );
        }
    }
    if let Some(other) = notes
        .text(&metadata, "namespace")
        .filter(|n| *n != namespace)
    {
        let problem = format!("{} is not the Workload's own namespace", shown(other));
        notes.add(
            "metadata.namespace",
            problem,
            format!("write {namespace}, or leave it out"),
        );
    }
    check_reserved_keys(&metadata, notes);
    let name = notes.required_text(&metadata, "name")?;
    if name.len() > 253 || name.contains(['/', '%']) || name == "." || name == ".." {
        let fix = "use at most 253 characters, without / and %";
        notes.add("metadata.name", format!("{} is no name", shown(name)), fix);
        return None;
    }
    if name.starts_with("heyun") {
        let problem = format!("{} begins with heyun, which is the platform's", shown(name));
        notes.add("metadata.name", problem, "choose another name");
    }
    Some(name)
}

/// Notes labels and annotations that only the platform sets.
pub(crate) fn check_reserved_keys(metadata: &At<'_>, notes: &mut Notes<'_>) {
    for field in ["labels", "annotations"] {
        let Some(map) = notes.object(metadata, field) else {
            continue;
        };
        for (key, _) in entries(&map) {
            if is_reserved_key(key) {
                let path = format!("{}[{key}]", map.path);
                notes.add(&path, "heyun.dev/ is the platform's prefix", "remove it");
            }
        }
    }
}

fn is_reserved_key(key: &str) -> bool {
    key.split_once('/').is_some_and(|(prefix, _)| {
        prefix == labels::PREFIX.trim_end_matches('/') || prefix.ends_with(".heyun.dev")
    })
}

/// Notes Secrets that are the platform's own.
pub(crate) fn check_secret_names(
    secrets: &BTreeMap<String, SecretNeed>,
    errors: &mut Vec<ManifestError>,
) {
    for name in secrets.keys().filter(|name| name.starts_with("heyun")) {
        let problem = format!("{} begins with heyun, which is the platform's", shown(name));
        errors.push(ManifestError::invalid(
            "secrets",
            problem,
            "use a Secret of another name",
        ));
    }
}

/// Whether a name is one that objects with pods may have: a lowercase DNS subdomain.
pub fn is_dns_subdomain(name: &str) -> bool {
    let label_ok = |label: &str| {
        let edge =
            |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        edge(label.chars().next())
            && edge(label.chars().next_back())
            && label
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    !name.is_empty() && name.len() <= 253 && name.split('.').all(label_ok)
}

/// Notes a name that no object with pods may have.
pub(crate) fn check_component_name(kind: ComponentKind, name: &str, notes: &mut Notes<'_>) {
    if !is_dns_subdomain(name) {
        let problem = format!("{} is no name of a {kind}", shown(name));
        let fix =
            "use lowercase letters, digits, - and ., beginning and ending with a letter or digit";
        notes.add("metadata.name", problem, fix);
    }
}
