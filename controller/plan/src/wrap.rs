//! Plain manifests as one Workload: what `heyun deploy -f` writes.
//!
//! Lists are opened, Secrets become native Secrets beside the Workload, and everything else stays
//! as it was written.

use std::collections::BTreeMap;
use std::fmt;

use heyun_crds::Workload;
use heyun_crds::labels::FINALIZER;
use heyun_crds::placement::PlacementSpec;
use heyun_crds::workload::{Manifest, SecretUse, WorkloadSpec};
use heyun_scheduler::resources::Resources;
use serde_json::{Map, Value};

use crate::interpret::{
    Context, Interpreted, ManifestError, Refusal, interpret, is_dns_subdomain, refusal,
};

/// What becomes of plain manifests.
pub struct Wrapped {
    /// The Workload.
    pub workload: Workload,
    /// Native Secrets to create in its namespace before it. They hold payload: never print them.
    pub secrets: Vec<Value>,
    /// What the user may want to know, a sentence each.
    pub notes: Vec<String>,
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self
            .secrets
            .iter()
            .map(|s| text(s, "/metadata/name"))
            .collect();
        f.debug_struct("Wrapped")
            .field("workload", &self.workload)
            .field("secrets", &names)
            .field("notes", &self.notes)
            .finish()
    }
}

/// Deepest nesting of lists in lists.
const LISTS_MAX: usize = 4;
/// Longest name of a Workload: it is the value of a label.
const NAME_MAX: usize = 63;

/// Makes a Workload of the documents of some files. Empty documents are skipped.
///
/// `spec.replicas` is set where there is exactly one component that can be scaled, so that
/// `kubectl scale` works; Secrets that the pods need are listed whether they are among the
/// documents or not.
///
/// # Errors
/// Every fault of the documents, as [`interpret`] would report it for the Workload.
pub fn wrap(
    name: &str,
    namespace: &str,
    documents: Vec<Value>,
) -> Result<Wrapped, Vec<ManifestError>> {
    let mut errors = Vec::new();
    if !is_dns_subdomain(name) || name.len() > NAME_MAX {
        let problem = format!("\"{name}\" is no name of a Workload");
        let fix = "use at most 63 lowercase letters, digits, - and .";
        errors.push(ManifestError::invalid("name", problem, fix));
    }
    let mut opened = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        open(
            document,
            &format!("documents[{index}]"),
            0,
            &mut opened,
            &mut errors,
        );
    }
    let mut secrets: BTreeMap<String, Value> = BTreeMap::new();
    let mut manifests = Vec::new();
    for (place, document) in opened {
        if is_secret(&document) {
            take_secret(document, &place, namespace, &mut secrets, &mut errors);
        } else {
            manifests.push(Manifest(document));
        }
    }
    let mut spec = WorkloadSpec {
        manifests,
        ..WorkloadSpec::default()
    };
    let read = read(&spec, namespace);
    match read {
        Ok(found) if errors.is_empty() => {
            let notes = fill(&mut spec, &found, &secrets, namespace);
            let mut workload = Workload::new(name, spec);
            workload.metadata.namespace = Some(namespace.to_owned());
            // The hub adds it where it is missing, with a write of its own.
            workload.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
            Ok(Wrapped {
                workload,
                secrets: secrets.into_values().collect(),
                notes,
            })
        }
        Ok(_) => Err(errors),
        Err(more) => {
            errors.extend(more);
            Err(errors)
        }
    }
}

fn read(spec: &WorkloadSpec, namespace: &str) -> Result<Interpreted, Vec<ManifestError>> {
    let (placement, default_requests) = (PlacementSpec::default(), Resources::new());
    let context = Context {
        namespace,
        placement: &placement,
        default_requests: &default_requests,
    };
    interpret(spec, &context)
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn is_secret(document: &Value) -> bool {
    let (api_version, kind) = (text(document, "/apiVersion"), text(document, "/kind"));
    refusal(api_version, kind) == Some(Refusal::Secret)
}

/// Puts a document, or what it lists, to the others with its place.
fn open(
    document: Value,
    place: &str,
    depth: usize,
    opened: &mut Vec<(String, Value)>,
    errors: &mut Vec<ManifestError>,
) {
    if document.is_null() {
        return;
    }
    let kind = text(&document, "/kind").to_owned();
    let (true, Some(items)) = (kind.ends_with("List"), document.get("items")) else {
        opened.push((place.to_owned(), document));
        return;
    };
    let Some(items) = items.as_array().filter(|_| depth < LISTS_MAX) else {
        let problem = format!("the items of this {kind} are no list, or nested too deep");
        errors.push(ManifestError::invalid(
            place,
            problem,
            "write each item as its own document",
        ));
        return;
    };
    let api_version = text(&document, "/apiVersion").to_owned();
    for (index, item) in items.iter().enumerate() {
        let mut item = item.clone();
        if let (Some(fields), false) = (item.as_object_mut(), kind == "List") {
            fill_type(
                fields,
                &api_version,
                kind.strip_suffix("List").unwrap_or_default(),
            );
        }
        open(
            item,
            &format!("{place}.items[{index}]"),
            depth.saturating_add(1),
            opened,
            errors,
        );
    }
}

/// The items of a list of one kind may leave out what the list says.
fn fill_type(item: &mut Map<String, Value>, api_version: &str, kind: &str) {
    item.entry("apiVersion")
        .or_insert_with(|| api_version.into());
    item.entry("kind").or_insert_with(|| kind.into());
}

/// The type of Secret that an API server fills with a credential of its own.
const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";

fn take_secret(
    mut secret: Value,
    place: &str,
    namespace: &str,
    secrets: &mut BTreeMap<String, Value>,
    errors: &mut Vec<ManifestError>,
) {
    let name = text(&secret, "/metadata/name").to_owned();
    let place = format!("{place} Secret/{name}");
    let mut refuse = |problem: &str, fix: &str| {
        errors.push(ManifestError::invalid(&place, problem, fix));
    };
    if name.is_empty() {
        refuse("metadata.name is missing", "add it");
        return;
    }
    let other = text(&secret, "/metadata/namespace");
    if !other.is_empty() && other != namespace {
        let fix = format!("write {namespace}, or leave it out");
        refuse(
            &format!("metadata.namespace: \"{other}\" is not where it is deployed"),
            &fix,
        );
    }
    if text(&secret, "/type") == TOKEN_TYPE {
        let fix = "remove it; pods get a token of their member by themselves";
        refuse(
            "is a service account's token, which is worth something on one cluster only",
            fix,
        );
    }
    if name.starts_with("heyun") {
        refuse(
            "its name begins with heyun, which is the platform's",
            "choose another name",
        );
    }
    if secrets.contains_key(&name) {
        refuse("is there twice", "remove one of the two");
    }
    if let Some(metadata) = secret.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    secrets.insert(name, secret);
}

/// Sets what follows from the manifests, and says so.
fn fill(
    spec: &mut WorkloadSpec,
    found: &Interpreted,
    secrets: &BTreeMap<String, Value>,
    namespace: &str,
) -> Vec<String> {
    let mut notes = Vec::new();
    let mut names: Vec<String> = secrets.keys().cloned().collect();
    for name in secrets.keys() {
        notes.push(format!(
            "Secret/{name} is created in namespace {namespace} and listed in spec.secrets; the Workload holds its name only"
        ));
    }
    for (name, need) in &found.secrets {
        if need.required && !secrets.contains_key(name) {
            names.push(name.clone());
            notes.push(format!(
                "Secret/{name} is used and not among the files: it must exist in namespace {namespace}"
            ));
        }
    }
    names.sort();
    spec.secrets = names.into_iter().map(|name| SecretUse { name }).collect();
    let scalable = found
        .components
        .iter()
        .filter(|c| c.kind.is_scalable())
        .count();
    match found.scale_target.as_deref().and_then(|target| found.component(target)) {
        Some(target) => spec.replicas = i32::try_from(target.request.replicas).ok(),
        None if scalable > 1 => notes.push(format!(
            "spec.replicas is left out: {scalable} components can be scaled, each by spec.components"
        )),
        None => {}
    }
    notes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(name: &str) -> Value {
        let env = json!([{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}}]);
        let container = json!({"name": "c", "image": "i", "env": env});
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": 4, "template": {"spec": {"containers": [container]}}}})
    }

    fn config_map(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
    }

    fn secret(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": {"p": "canary-4711"}})
    }

    fn faults(documents: Vec<Value>) -> Vec<String> {
        let errors = wrap("app", "ns", documents).expect_err("faulty");
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn manifests_stay_as_they_are_and_secrets_go_beside() {
        let web = deployment("web");
        let wrapped = wrap("app", "ns", vec![web.clone(), Value::Null, secret("db")]).unwrap();
        let spec = &wrapped.workload.spec;
        assert_eq!(spec.manifests, [Manifest(web)]);
        assert_eq!(spec.replicas, Some(4));
        assert_eq!(
            spec.secrets,
            [SecretUse {
                name: "db".to_owned()
            }]
        );
        assert_eq!(wrapped.workload.metadata.namespace.as_deref(), Some("ns"));
        let finalizers = wrapped.workload.metadata.finalizers.as_deref();
        assert_eq!(finalizers, Some(&[FINALIZER.to_owned()][..]));
        assert_eq!(wrapped.secrets[0]["metadata"]["namespace"], "ns");
        assert_eq!(wrapped.secrets[0]["stringData"]["p"], "canary-4711");
        let shown = format!(
            "{wrapped:?}{}",
            serde_json::to_string(&wrapped.workload).unwrap()
        );
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn lists_are_opened() {
        let typed = json!({"apiVersion": "v1", "kind": "ConfigMapList",
            "items": [{"metadata": {"name": "a"}}]});
        let list = json!({"apiVersion": "v1", "kind": "List",
            "items": [config_map("b"), typed, secret("s")]});
        let wrapped = wrap("app", "ns", vec![list]).unwrap();
        let manifests = &wrapped.workload.spec.manifests;
        assert_eq!(manifests[0].0, config_map("b"));
        assert_eq!(manifests[1].0, config_map("a"));
        assert_eq!(wrapped.secrets.len(), 1);
        assert_eq!(wrapped.workload.spec.replicas, None);
    }

    #[test]
    fn replicas_are_set_only_where_one_component_can_be_scaled() {
        let wrapped = wrap("app", "ns", vec![deployment("a"), deployment("b")]).unwrap();
        assert_eq!(wrapped.workload.spec.replicas, None);
        assert!(
            wrapped
                .notes
                .iter()
                .any(|n| n.contains("2 components can be scaled"))
        );
        assert!(
            wrapped
                .notes
                .iter()
                .any(|n| n.starts_with("Secret/db is used and not among"))
        );
        assert_eq!(wrapped.workload.spec.secrets[0].name, "db");
    }

    #[test]
    fn what_cannot_be_wrapped_is_reported() {
        let mut elsewhere = secret("a");
        elsewhere["metadata"]["namespace"] = "other".into();
        let mut token = secret("t");
        token["type"] = TOKEN_TYPE.into();
        let bad_list = json!({"apiVersion": "v1", "kind": "List", "items": {}});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
        let cases = [
            (vec![], "spec.manifests: holds no manifest"),
            (
                vec![elsewhere],
                "documents[0] Secret/a: metadata.namespace: \"other\" is not where",
            ),
            (
                vec![token],
                "documents[0] Secret/t: is a service account's token",
            ),
            (vec![secret("heyun-x")], "its name begins with heyun"),
            (
                vec![secret("a"), secret("a")],
                "documents[1] Secret/a: is there twice",
            ),
            (vec![secret("")], "metadata.name is missing; add it"),
            (
                vec![bad_list],
                "documents[0]: the items of this List are no list",
            ),
            (
                vec![namespace],
                "manifests[0] Namespace/n: v1 Namespace is cluster-scoped",
            ),
        ];
        for (documents, wanted) in cases {
            let found = faults(documents);
            assert!(
                found.iter().any(|f| f.contains(wanted)),
                "{wanted}: {found:#?}"
            );
            assert!(!found.iter().any(|f| f.contains("canary")), "{found:#?}");
        }
        let errors = wrap("App", "ns", vec![config_map("a")]).unwrap_err();
        assert!(
            errors[0]
                .to_string()
                .starts_with("name: \"App\" is no name of a Workload")
        );
    }
}
