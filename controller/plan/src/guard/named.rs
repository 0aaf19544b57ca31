//! What a manifest names: images, storage classes, priority classes and hosts, with their places.
//!
//! A pod spec is told by its lists of containers and a claim by the field it stands in, at any
//! depth. So a kind that only a member knows is judged as far as it is written as Kubernetes
//! writes its own.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::interpret::group_of;

/// A value that a manifest names, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said<'v> {
    /// Place in the manifest: `container main`, or a path such as `spec.rules[0].host`.
    pub(super) at: String,
    /// The value; `None` where the place is there and says nothing.
    pub(super) value: Option<&'v str>,
}

/// What one manifest names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named<'v> {
    /// Images of containers of every sort, and of volumes.
    pub(super) images: Vec<Said<'v>>,
    /// Storage classes of claims and of claim templates.
    pub(super) storage_classes: Vec<Said<'v>>,
    /// Priority classes of pods.
    pub(super) priority_classes: Vec<Said<'v>>,
    /// Hosts of an Ingress; one without a value stands for every host.
    pub(super) hosts: Vec<Said<'v>>,
}

/// What a manifest names.
pub(super) fn of(manifest: &Value) -> Named<'_> {
    let mut named = Named::default();
    let version = text(manifest.get("apiVersion")).unwrap_or_default();
    let kind = text(manifest.get("kind")).unwrap_or_default();
    match (group_of(version), kind) {
        ("", "PersistentVolumeClaim") => claim(manifest, "", &mut named),
        ("networking.k8s.io" | "extensions", "Ingress") => hosts(manifest, &mut named),
        _ => {}
    }
    search(manifest, &mut String::new(), &mut named);
    named
}

/// Lists of containers in a pod spec, and the word for one of each.
const CONTAINERS: [(&str, &str); 3] = [
    ("containers", "container"),
    ("initContainers", "init container"),
    ("ephemeralContainers", "ephemeral container"),
];

/// Looks for pod specs and claim templates. `path` is that of the value, and is left as it was.
fn search<'v>(value: &'v Value, path: &mut String, named: &mut Named<'v>) {
    let length = path.len();
    match value {
        Value::Object(fields) => {
            if is_pod_spec(fields) {
                pod(fields, path, named);
            }
            for (key, inner) in fields {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(key);
                claim_templates(key, inner, path, named);
                search(inner, path, named);
                path.truncate(length);
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                // Writing to a String cannot fail.
                let _ = write!(path, "[{index}]");
                search(inner, path, named);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

fn is_pod_spec(fields: &Map<String, Value>) -> bool {
    CONTAINERS
        .iter()
        .any(|(list, _)| items(fields.get(*list)).any(Value::is_object))
}

fn pod<'v>(spec: &'v Map<String, Value>, path: &str, named: &mut Named<'v>) {
    for (list, word) in CONTAINERS {
        for container in items(spec.get(list)) {
            image(container.get("image"), word, container, named);
        }
    }
    for volume in items(spec.get("volumes")) {
        image(volume.pointer("/image/reference"), "volume", volume, named);
    }
    let class = filled(spec.get("priorityClassName"));
    named
        .priority_classes
        .push(said(join(path, "priorityClassName"), class));
}

fn image<'v>(image: Option<&'v Value>, word: &str, of: &Value, named: &mut Named<'v>) {
    let image = filled(image);
    if image.is_some() {
        let name = text(of.get("name")).unwrap_or_default();
        named.images.push(said(format!("{word} {name}"), image));
    }
}

/// Claim templates: of a StatefulSet, of an ephemeral volume, and where others write them so.
fn claim_templates<'v>(key: &str, value: &'v Value, path: &str, named: &mut Named<'v>) {
    match key {
        "volumeClaimTemplate" if value.is_object() => claim(value, path, named),
        "volumeClaimTemplates" => {
            for (index, template) in items(Some(value)).enumerate() {
                claim(template, &format!("{path}[{index}]"), named);
            }
        }
        _ => {}
    }
}

/// The annotation that named the class before there was a field; Kubernetes still obeys it.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

fn claim<'v>(claim: &'v Value, path: &str, named: &mut Named<'v>) {
    let annotations = claim.pointer("/metadata/annotations");
    let annotated = text(annotations.and_then(|all| all.get(CLASS_ANNOTATION)));
    if annotated.is_some() {
        let at = join(path, &format!("metadata.annotations[{CLASS_ANNOTATION}]"));
        named.storage_classes.push(said(at, annotated));
    }
    let in_spec = claim.pointer("/spec/storageClassName");
    let class = text(in_spec.or_else(|| claim.get("storageClassName")));
    // With the annotation alone, nothing is left to the member's default.
    if class.is_some() || annotated.is_none() {
        let at = join(path, "spec.storageClassName");
        named.storage_classes.push(said(at, class));
    }
}

fn hosts<'v>(ingress: &'v Value, named: &mut Named<'v>) {
    // It answers for every host that no rule names.
    let fallback = ingress.pointer("/spec/defaultBackend");
    if fallback.is_some_and(|backend| !backend.is_null()) {
        let at = "spec.defaultBackend".to_owned();
        named.hosts.push(said(at, None));
    }
    for (index, rule) in items(ingress.pointer("/spec/rules")).enumerate() {
        let at = format!("spec.rules[{index}].host");
        named.hosts.push(said(at, filled(rule.get("host"))));
    }
    if named.hosts.is_empty() {
        named.hosts.push(said("spec.rules".to_owned(), None));
    }
    for (index, tls) in items(ingress.pointer("/spec/tls")).enumerate() {
        // Without hosts it is the certificate of the rules above, which are judged.
        for (place, host) in items(tls.get("hosts")).enumerate() {
            if let Some(host) = filled(Some(host)) {
                let at = format!("spec.tls[{index}].hosts[{place}]");
                named.hosts.push(said(at, Some(host)));
            }
        }
    }
}

/// Longest place that a message repeats, in characters: names in it are the tenant's.
const PLACE_MAX: usize = 160;

fn said(at: String, value: Option<&str>) -> Said<'_> {
    let end = at.char_indices().nth(PLACE_MAX).map(|(end, _)| end);
    let at = match end {
        Some(end) => format!("{}…", at.get(..end).unwrap_or_default()),
        None => at,
    };
    Said { at, value }
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

fn items(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

/// Text that is not empty.
fn filled(value: Option<&Value>) -> Option<&str> {
    text(value).filter(|text| !text.is_empty())
}
