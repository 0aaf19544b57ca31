//! Reading documents and applying them: the CLI's one writer.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::discovery::{ApiCapabilities, Scope, pinned_kind};
use kube::{Api, Client};
use serde::Deserialize as _;
use serde_json::Value;

use crate::error::{Error, Result};

/// Field manager of everything that the CLI writes.
pub const FIELD_MANAGER: &str = "heyun-cli";
/// Longest wait for one answer of an API server, unless told otherwise.
pub const CALL_LIMIT: Duration = Duration::from_secs(30);

/// Waits for one answer of an API server. `doing` as in "failed to …".
///
/// # Errors
/// What the API server says, or that it says nothing.
pub async fn call<T>(
    doing: &str,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T> {
    match tokio::time::timeout(CALL_LIMIT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Error::kube(doing, &error)),
        Err(_) => Err(Error::timeout(doing, CALL_LIMIT)),
    }
}

/// The documents of a YAML (or JSON) text; empty ones are left out. `place` names the text.
///
/// # Errors
/// Where it is not YAML, with the line.
pub fn documents(place: &str, text: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        match Value::deserialize(document) {
            Ok(Value::Null) => {}
            Ok(value) => all.push(value),
            Err(error) => {
                return Err(Error::usage(format!("{place} is not YAML: {error}"))
                    .hint("check the indentation, and that documents are separated by ---"));
            }
        }
    }
    Ok(all)
}

/// `Kind/name` of an object, for messages.
pub fn title(object: &Value) -> String {
    let text = |pointer| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or("?")
    };
    format!("{}/{}", text("/kind"), text("/metadata/name"))
}

/// How an apply meets the fields of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// Fields that another manager owns are taken over.
    pub force: bool,
    /// The API server checks and writes nothing.
    pub dry_run: bool,
}

/// Applies objects of any kind to one cluster.
pub struct Applier {
    client: Client,
    kinds: Mutex<BTreeMap<(String, String), (ApiResource, ApiCapabilities)>>,
}

impl std::fmt::Debug for Applier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Applier").finish_non_exhaustive()
    }
}

impl Applier {
    /// For this cluster.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            kinds: Mutex::default(),
        }
    }

    async fn kind(&self, object: &Value) -> Result<(ApiResource, ApiCapabilities)> {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
        let (Some(version), Some(kind)) = (text("/apiVersion"), text("/kind")) else {
            return Err(
                Error::usage(format!("{} has no apiVersion or no kind", title(object)))
                    .hint("write both"),
            );
        };
        let key = (version.to_owned(), kind.to_owned());
        let held = self
            .kinds
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        if let Some(known) = held {
            return Ok(known);
        }
        let (group, version_only) = version.rsplit_once('/').unwrap_or(("", version));
        let gvk = GroupVersionKind::gvk(group, version_only, kind);
        let doing = format!("find the kind {version} {kind}");
        let known = call(&doing, pinned_kind(&self.client, &gvk)).await?;
        self.kinds
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, known.clone());
        Ok(known)
    }

    /// The API of an object's kind, in its namespace, or in `namespace` where it names none.
    ///
    /// # Errors
    /// If the cluster does not serve the kind.
    pub async fn api(&self, object: &Value, namespace: &str) -> Result<Api<DynamicObject>> {
        let (resource, capabilities) = self.kind(object).await?;
        let own = object
            .pointer("/metadata/namespace")
            .and_then(Value::as_str);
        Ok(match capabilities.scope {
            Scope::Cluster => Api::all_with(self.client.clone(), &resource),
            Scope::Namespaced => {
                Api::namespaced_with(self.client.clone(), own.unwrap_or(namespace), &resource)
            }
        })
    }

    /// Server-side apply of the full intent, with [`FIELD_MANAGER`].
    ///
    /// # Errors
    /// The API server's refusal, with the object's name.
    pub async fn apply(&self, object: &Value, namespace: &str, how: How) -> Result<DynamicObject> {
        let api = self.api(object, namespace).await?;
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        let Some(name) = name else {
            return Err(Error::usage(format!(
                "{} has no metadata.name",
                title(object)
            )));
        };
        let mut params = PatchParams::apply(FIELD_MANAGER).validation_strict();
        params.force = how.force;
        params.dry_run = how.dry_run;
        let doing = format!("apply {}", title(object));
        let done = call(&doing, api.patch(name, &params, &Patch::Apply(object))).await;
        done.map_err(|error| match error.exit {
            crate::error::Exit::Conflict if !how.force => error
                .hint("somebody else set these fields: agree with them, or give --force-conflicts"),
            _ => error,
        })
    }

    /// Applies the documents of a text in order, taking over what others set.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn install(&self, place: &str, text: &str) -> Result<()> {
        let how = How {
            force: true,
            dry_run: false,
        };
        for object in documents(place, text)? {
            self.apply(&object, "default", how).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_one_by_one_and_empty_ones_left_out() {
        let all = documents("x.yaml", "---\na: 1\n---\n# nothing\n---\n{\"b\": [2]}\n").unwrap();
        assert_eq!(
            all,
            [serde_json::json!({"a": 1}), serde_json::json!({"b": [2]})]
        );
    }

    #[test]
    fn what_is_not_yaml_is_refused_with_the_place() {
        let error = documents("x.yaml", "a: [1\nb: 2").unwrap_err();
        assert!(error.message.starts_with("x.yaml is not YAML"), "{error}");
        assert!(error.message.contains("line"), "{error}");
    }
}
