//! Secrets: which ones manifests refer to, and the hash by which a copy is told from another.
//!
//! Nothing here keeps or prints a payload.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::interpret::{ComponentKind, hex, object_key, pod_template};

/// A Secret that a manifest refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Its name, in the Workload's namespace.
    pub name: String,
    /// True when what refers to it also works without it.
    pub optional: bool,
}

/// The Secrets that a manifest refers to, by name and each once: environment, volumes, pulling
/// images, service accounts, certificates of an Ingress. One reference that is not optional makes
/// it needed.
pub fn references(manifest: &Value) -> Vec<Reference> {
    let mut found = Found::default();
    let Some(key) = object_key(manifest) else {
        return Vec::new();
    };
    if let Some(kind) = ComponentKind::of(&key.api_version, &key.kind) {
        if let Some(spec) = pod_template(manifest, kind).and_then(|t| t.get("spec")) {
            pod_references(spec, &mut found);
        }
    } else if key.kind == "Ingress" {
        for tls in items(manifest.pointer("/spec/tls")) {
            found.add(tls.get("secretName"), true);
        }
    } else if key.api() == "v1/ServiceAccount" {
        for field in ["secrets", "imagePullSecrets"] {
            for secret in items(manifest.get(field)) {
                found.add(secret.get("name"), true);
            }
        }
    }
    let each = found.0.into_iter();
    each.map(|(name, optional)| Reference { name, optional })
        .collect()
}

/// Names, and whether every reference to them is optional.
#[derive(Default)]
struct Found(BTreeMap<String, bool>);

impl Found {
    fn add(&mut self, name: Option<&Value>, optional: bool) {
        let Some(name) = name.and_then(Value::as_str).filter(|n| !n.is_empty()) else {
            return;
        };
        let all = self.0.entry(name.to_owned()).or_insert(true);
        *all &= optional;
    }

    /// A reference object with its own `optional` field.
    fn add_reference(&mut self, reference: Option<&Value>, name: &str) {
        let Some(reference) = reference else { return };
        let optional = reference
            .get("optional")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        self.add(reference.get(name), optional);
    }
}

fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// Volume plugins that take a credential, and the field that names it.
const VOLUME_CREDENTIALS: &[(&str, &str, &str)] = &[
    ("azureFile", "", "secretName"),
    ("cephfs", "secretRef", "name"),
    ("cinder", "secretRef", "name"),
    ("csi", "nodePublishSecretRef", "name"),
    ("flexVolume", "secretRef", "name"),
    ("iscsi", "secretRef", "name"),
    ("rbd", "secretRef", "name"),
    ("scaleIO", "secretRef", "name"),
    ("storageos", "secretRef", "name"),
];

fn pod_references(spec: &Value, found: &mut Found) {
    for field in ["containers", "initContainers"] {
        for container in items(spec.get(field)) {
            for source in items(container.get("envFrom")) {
                found.add_reference(source.get("secretRef"), "name");
            }
            for variable in items(container.get("env")) {
                found.add_reference(variable.pointer("/valueFrom/secretKeyRef"), "name");
            }
        }
    }
    for volume in items(spec.get("volumes")) {
        found.add_reference(volume.get("secret"), "secretName");
        for source in items(volume.pointer("/projected/sources")) {
            found.add_reference(source.get("secret"), "name");
        }
        for (plugin, reference, field) in VOLUME_CREDENTIALS {
            let plugin = volume.get(plugin);
            let holder = if reference.is_empty() {
                plugin
            } else {
                plugin.and_then(|p| p.get(reference))
            };
            found.add(holder.and_then(|h| h.get(field)), false);
        }
    }
    // Kubernetes starts pods whose pull secret is missing, where the image can be had without.
    for secret in items(spec.get("imagePullSecrets")) {
        found.add(secret.get("name"), true);
    }
}

/// SHA-256 of type and payload, in hexadecimal: equal for equal content, whatever its metadata.
pub fn hash(secret: &Secret) -> String {
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        // The length goes first, so that no two contents give the same bytes.
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    part(secret.type_.as_deref().unwrap_or("Opaque").as_bytes());
    for (key, value) in secret.data.iter().flatten() {
        part(key.as_bytes());
        part(&value.0);
    }
    hex(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_found_wherever_a_pod_may_have_them() {
        let secret = |name: &str| json!({"name": name});
        let container = json!({
            "name": "c", "image": "i",
            "envFrom": [{"secretRef": secret("env-from")}, {"configMapRef": secret("no")}],
            "env": [
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "env", "key": "a"}}},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "maybe", "key": "a", "optional": true}}},
                {"name": "C", "valueFrom": {"secretKeyRef": {"name": "both", "key": "a", "optional": true}}},
            ],
        });
        let init = json!({"name": "i", "envFrom": [{"secretRef": secret("both")}]});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {
            "containers": [container],
            "initContainers": [init],
            "imagePullSecrets": [secret("pull")],
            "volumes": [
                {"name": "a", "secret": {"secretName": "volume"}},
                {"name": "b", "projected": {"sources": [{"secret": secret("projected")}]}},
                {"name": "c", "csi": {"driver": "d", "nodePublishSecretRef": secret("csi")}},
                {"name": "d", "azureFile": {"secretName": "azure", "shareName": "s"}},
            ],
        }});
        let found = references(&pod);
        let names: Vec<(&str, bool)> = found
            .iter()
            .map(|r| (r.name.as_str(), r.optional))
            .collect();
        assert_eq!(
            names,
            [
                ("azure", false),
                ("both", false),
                ("csi", false),
                ("env", false),
                ("env-from", false),
                ("maybe", true),
                ("projected", false),
                ("pull", true),
                ("volume", false),
            ]
        );
        let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"},
            "spec": {"jobTemplate": {"spec": {"template": {"spec": pod["spec"]}}}}});
        assert_eq!(references(&cron), found);
    }

    #[test]
    fn certificates_and_service_accounts_refer_to_secrets() {
        let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": "i"}, "spec": {"tls": [{"secretName": "cert"}, {"hosts": ["h"]}]}});
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "a"}, "imagePullSecrets": [{"name": "pull"}]});
        let optional = |name: &str| {
            vec![Reference {
                name: name.to_owned(),
                optional: true,
            }]
        };
        assert_eq!(references(&ingress), optional("cert"));
        assert_eq!(references(&account), optional("pull"));
    }

    #[test]
    fn the_hash_is_of_type_and_payload_alone() {
        let secret = |key: &str, value: &str| {
            let data = [(key.to_owned(), ByteString(value.as_bytes().to_vec()))];
            Secret {
                data: Some(data.into()),
                ..Secret::default()
            }
        };
        let mut labelled = secret("a", "b");
        labelled.metadata.name = Some("x".to_owned());
        labelled.type_ = Some("Opaque".to_owned());
        assert_eq!(hash(&labelled), hash(&secret("a", "b")));
        assert_eq!(hash(&labelled).len(), 64);
        assert_ne!(hash(&secret("a", "b")), hash(&secret("ab", "")));
        labelled.type_ = Some("kubernetes.io/tls".to_owned());
        assert_ne!(hash(&labelled), hash(&secret("a", "b")));
    }
}
