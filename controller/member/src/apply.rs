//! The writes that change an object in place: one apply, one status patch, and the few marks
//! on metadata. `Api::patch` is called here and nowhere else.
//!
//! An apply sends the full intent with one field manager. A status is sent as the difference to
//! the status that was read, with a guard, so that nothing is written when nothing changed and
//! nothing of somebody else's is overwritten.

use std::collections::BTreeMap;
use std::fmt::Debug;

use heyun_crds::labels::{EPOCH, MANAGER, RETIRE};
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// What an apply did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The caller had seen none; now there is one.
    Created,
    /// It was there and is different now.
    Changed,
    /// It was there as desired: the API server wrote nothing.
    Unchanged,
}

/// What becomes of fields that another manager owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// They are taken over: for objects that are ours.
    Yes,
    /// The apply is refused with a conflict that names them.
    No,
}

/// What a write insists on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The object is still the version that was read.
    Version,
    /// The object is still the same one (its uid); other writes may have come between.
    Uid,
}

/// Any object that can be written.
pub trait Object: Resource + Clone + Debug + Serialize + DeserializeOwned {}
impl<K: Resource + Clone + Debug + Serialize + DeserializeOwned> Object for K {}

/// Applies the full intent (server-side apply, field manager `heyun`) and returns the object as
/// it is then. `seen` is the resourceVersion that the caller last saw, `None` where it saw none.
///
/// `desired` must carry apiVersion, kind and name. Give `metadata.uid` where the object must
/// still be the same one: an object that was created anew in between is then a conflict.
pub async fn apply<K: Object>(
    api: &Api<K>,
    desired: &K,
    seen: Option<&str>,
    force: Force,
) -> Result<(Applied, K), kube::Error> {
    let params = params(force);
    let object = api
        .patch(&desired.name_any(), &params, &Patch::Apply(desired))
        .await?;
    let applied = match seen {
        None => Applied::Created,
        Some(version) if object.meta().resource_version.as_deref() == Some(version) => {
            Applied::Unchanged
        }
        Some(_) => Applied::Changed,
    };
    Ok((applied, object))
}

/// What [`apply`] with force would make of it; nothing is written.
pub async fn dry_run<K: Object>(api: &Api<K>, desired: &K) -> Result<K, kube::Error> {
    let params = params(Force::Yes).dry_run();
    api.patch(&desired.name_any(), &params, &Patch::Apply(desired))
        .await
}

fn params(force: Force) -> PatchParams {
    // Strict: a field that this API server does not know is an error, not silently left out.
    let params = PatchParams::apply(MANAGER).validation_strict();
    match force {
        Force::Yes => params.force(),
        Force::No => params,
    }
}

/// Writes the difference between two statuses of `object`; `None` when there is none, and then
/// nothing is written.
pub async fn patch_status<K: Object, S: Serialize>(
    api: &Api<K>,
    object: &K,
    before: Option<&S>,
    after: &S,
    guard: Guard,
) -> Result<Option<K>, kube::Error> {
    let old = before
        .map_or(Ok(Value::Null), serde_json::to_value)
        .map_err(kube::Error::SerdeError)?;
    let new = serde_json::to_value(after).map_err(kube::Error::SerdeError)?;
    let Some(difference) = merge_difference(&old, new) else {
        return Ok(None);
    };
    let body = json!({"metadata": guarded(object, guard), "status": difference});
    let params = manager();
    api.patch_status(&object.name_any(), &params, &Patch::Merge(body))
        .await
        .map(Some)
}

/// Adds or removes a finalizer; `None` when it is already so, and then nothing is written.
pub async fn set_finalizer<K: Object>(
    api: &Api<K>,
    object: &K,
    finalizer: &str,
    wanted: bool,
) -> Result<Option<K>, kube::Error> {
    let mut finalizers = object.finalizers().to_vec();
    if finalizers.iter().any(|f| f == finalizer) == wanted {
        return Ok(None);
    }
    if wanted {
        finalizers.push(finalizer.to_owned());
    } else {
        finalizers.retain(|f| f != finalizer);
    }
    // The list is replaced as a whole: only as long as nobody else changed it.
    let mut metadata = guarded(object, Guard::Version);
    metadata.insert("finalizers".into(), json!(finalizers));
    let body = json!({"metadata": metadata});
    api.patch(&object.name_any(), &manager(), &Patch::Merge(body))
        .await
        .map(Some)
}

/// Marks an object as retired by `epoch`: the fenced write that must precede its deletion.
pub async fn retire<K: Object>(api: &Api<K>, object: &K, epoch: i64) -> Result<K, kube::Error> {
    mark(api, object, Some(epoch), epoch).await
}

/// Takes the mark of [`retire`] off: the object is asserted again.
pub async fn unretire<K: Object>(api: &Api<K>, object: &K, epoch: i64) -> Result<K, kube::Error> {
    mark(api, object, None, epoch).await
}

async fn mark<K: Object>(
    api: &Api<K>,
    object: &K,
    retired: Option<i64>,
    epoch: i64,
) -> Result<K, kube::Error> {
    let mut metadata = guarded(object, Guard::Uid);
    let retired = retired.map(|epoch| epoch.to_string());
    metadata.insert(
        "annotations".into(),
        json!({EPOCH: epoch.to_string(), RETIRE: retired}),
    );
    let body = json!({"metadata": metadata});
    api.patch(&object.name_any(), &manager(), &Patch::Merge(body))
        .await
}

/// Adds labels to an object that is still the version that was read: what somebody set in between
/// is a conflict and is not overwritten.
pub async fn add_labels<K: Object>(
    api: &Api<K>,
    object: &K,
    labels: &BTreeMap<String, String>,
) -> Result<K, kube::Error> {
    let mut metadata = guarded(object, Guard::Version);
    metadata.insert("labels".into(), json!(labels));
    let body = json!({"metadata": metadata});
    api.patch(&object.name_any(), &manager(), &Patch::Merge(body))
        .await
}

fn manager() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

fn guarded<K: Resource>(object: &K, guard: Guard) -> Map<String, Value> {
    let meta = object.meta();
    let mut guarded = Map::new();
    if let Some(uid) = &meta.uid {
        guarded.insert("uid".into(), json!(uid));
    }
    if let (Guard::Version, Some(version)) = (guard, &meta.resource_version) {
        guarded.insert("resourceVersion".into(), json!(version));
    }
    guarded
}

/// The JSON merge patch (RFC 7386) that makes `after` of `before`; `None` when they are equal.
/// Lists are replaced whole.
pub fn merge_difference(before: &Value, after: Value) -> Option<Value> {
    let (old, new) = match (before, after) {
        (Value::Object(old), Value::Object(new)) => (old, new),
        (before, after) => return (*before != after).then_some(after),
    };
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let mut patch: Map<String, Value> = gone.map(|key| (key.clone(), Value::Null)).collect();
    for (key, value) in new {
        let difference = match old.get(&key) {
            // Without an old value the merge would keep the nulls inside out of it anyway.
            None => Some(value),
            Some(old) => merge_difference(old, value),
        };
        if let Some(difference) = difference {
            patch.insert(key, difference);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_what_changed_and_nulls_what_went() {
        let cases = [
            (json!({"a": 1}), json!({"a": 1}), None),
            (json!({"a": 1}), json!({"a": 2}), Some(json!({"a": 2}))),
            (
                json!({"a": 1, "b": 2}),
                json!({"b": 2}),
                Some(json!({"a": null})),
            ),
            (
                json!({"a": {"x": 1, "y": 2}}),
                json!({"a": {"x": 1}}),
                Some(json!({"a": {"y": null}})),
            ),
            (
                json!({"l": [1, 2]}),
                json!({"l": [2]}),
                Some(json!({"l": [2]})),
            ),
            (Value::Null, json!({"a": 1}), Some(json!({"a": 1}))),
            (
                json!({"a": 1}),
                json!({"a": {"x": 1}}),
                Some(json!({"a": {"x": 1}})),
            ),
        ];
        for (before, after, patch) in cases {
            assert_eq!(
                merge_difference(&before, after.clone()),
                patch,
                "{before} -> {after}"
            );
        }
    }
}
