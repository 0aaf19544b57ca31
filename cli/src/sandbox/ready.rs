//! Waiting for conditions of our kinds.

use std::time::Duration;

use heyun_crds::MemberCluster;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, Client};
use serde::Deserialize as _;
use serde_json::Value;

use crate::apply::call;
use crate::error::Result;

/// Waits until a member's condition `Ready` is `True`.
///
/// # Errors
/// After the deadline, with what the condition said last.
pub async fn wait_member_ready(hub: &Client, name: &str, deadline: Duration) -> Result<()> {
    let api: Api<MemberCluster> = Api::all(hub.clone());
    wait_condition(&api, name, "Ready", deadline).await
}

/// Waits until a condition of an object is `True` for its current generation.
///
/// # Errors
/// After the deadline, with what the condition said last.
pub async fn wait_condition<K>(
    api: &Api<K>,
    name: &str,
    condition: &str,
    deadline: Duration,
) -> Result<()>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    let what = format!("{name} to be {condition}");
    let check = || async {
        let object = call("read it", api.get(name))
            .await
            .map_err(|e| e.message)?;
        let object = serde_json::to_value(object).map_err(|e| e.to_string())?;
        holds(&object, condition)
    };
    let sleep = tokio::time::sleep;
    Ok(heyun_sandbox::eventually_async(&what, deadline, None, sleep, check).await?)
}

/// Whether a condition is `True` and speaks of the current generation, or what it says.
pub(crate) fn holds(object: &Value, wanted: &str) -> Result<(), String> {
    let generation = object
        .pointer("/metadata/generation")
        .and_then(Value::as_i64);
    let all = object
        .pointer("/status/conditions")
        .cloned()
        .unwrap_or_default();
    let all = Vec::<Condition>::deserialize(all).unwrap_or_default();
    let Some(found) = all.iter().find(|one| one.type_ == wanted) else {
        return Err(format!("it has no condition {wanted} yet"));
    };
    if found.observed_generation < generation && found.observed_generation.is_some() {
        return Err(format!("{wanted} speaks of an earlier generation"));
    }
    if found.status == "True" {
        return Ok(());
    }
    Err(format!(
        "{wanted}={} {}: {}",
        found.status, found.reason, found.message
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_true_of_this_generation_holds() {
        let object = |status: &str, observed: i64| {
            serde_json::json!({
                "metadata": {"generation": 2},
                "status": {"conditions": [{
                    "type": "Ready", "status": status, "observedGeneration": observed,
                    "reason": "R", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z",
                }]},
            })
        };
        assert_eq!(holds(&object("True", 2), "Ready"), Ok(()));
        assert!(
            holds(&object("True", 1), "Ready")
                .unwrap_err()
                .contains("earlier")
        );
        assert_eq!(
            holds(&object("False", 2), "Ready").unwrap_err(),
            "Ready=False R: m"
        );
        assert!(
            holds(&object("True", 2), "Healthy")
                .unwrap_err()
                .contains("no condition")
        );
    }
}
