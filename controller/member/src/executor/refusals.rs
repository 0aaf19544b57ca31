//! What an API server's refusal of an apply means.

use heyun_crds::conditions::Reason;
use kube::core::Status;

use super::marks::Refusal;
use crate::error::{Classify as _, Error, describe};
use crate::seen::ObjectKey;

/// What is said when a field cannot be changed in place.
const IMMUTABLE: &[&str] = &[
    "immutable",
    "may not change once set",
    "updates to statefulset spec for fields other than",
];

/// The fields that Kubernetes keeps immutable and that would change; `None`: it is not that.
pub(crate) fn immutable_fields(status: &Status) -> Option<String> {
    if status.code != 422 {
        return None;
    }
    let says = |text: &str| IMMUTABLE.iter().any(|sign| text.contains(sign));
    let causes = status
        .details
        .as_ref()
        .map(|d| d.causes.as_slice())
        .unwrap_or_default();
    let mut fields: Vec<&str> = causes
        .iter()
        .filter(|c| says(&c.message))
        .map(|c| c.field.as_str())
        .collect();
    fields.dedup();
    if !fields.is_empty() {
        return Some(fields.join(", "));
    }
    says(&status.message).then(|| "a field of its spec".to_owned())
}

/// What stands in an object's state for an error.
pub(crate) fn refusal(key: &ObjectKey, member: &str, error: &Error) -> Refusal {
    let class = error.class();
    if let Error::Refused { reason, message } = error {
        return Refusal {
            reason: *reason,
            message: message.clone(),
            class,
        };
    }
    if let Some(fields) = error.status().and_then(immutable_fields) {
        let message = format!(
            "{fields} of {key} on member {member} cannot be changed in place: put the old value \
             back, give the object another name, or set spec.onImmutable: Recreate"
        );
        return Refusal {
            reason: Reason::Immutable,
            message,
            class,
        };
    }
    let message = format!("{key} on member {member}: {}", describe(error));
    Refusal {
        reason: Reason::ApplyFailed,
        message,
        class,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(code: u16, message: &str, causes: serde_json::Value) -> Status {
        serde_json::from_value(json!({
            "code": code, "message": message, "reason": "Invalid", "details": {"causes": causes}
        }))
        .unwrap()
    }

    #[test]
    fn immutable_fields_are_named_in_the_ways_api_servers_say_it() {
        let causes = json!([{"field": "spec.selector", "message": "Invalid value: x: field is immutable"},
            {"field": "spec.replicas", "message": "must be positive"}]);
        assert_eq!(
            immutable_fields(&status(422, "", causes)).unwrap(),
            "spec.selector"
        );
        let causes = json!([{"field": "spec", "message":
            "Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden"}]);
        assert_eq!(immutable_fields(&status(422, "", causes)).unwrap(), "spec");
        assert_eq!(
            immutable_fields(&status(422, "must be positive", json!([]))),
            None
        );
        assert_eq!(
            immutable_fields(&status(403, "field is immutable", json!([]))),
            None
        );
    }
}
