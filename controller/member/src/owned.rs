//! Drift: is every field that was applied still ours?
//!
//! Comparing values would report a difference wherever the API server writes `1` for `1000m`.
//! Ownership is exact instead: a field that somebody else changes leaves our entry of
//! `managedFields`. So the walk asks of each field of the intent whether our entry still has it.

use serde_json::{Map, Value};

/// The first field of `desired` that our entry (`fields`, as in `fieldsV1`) no longer has, as a
/// path such as `.spec.replicas`; `None` when we own all. Paths for which `skip` is true are
/// passed over.
pub(crate) fn lost(desired: &Value, fields: &Value, skip: &dyn Fn(&str) -> bool) -> Option<String> {
    let (desired, fields) = (desired.as_object()?, fields.as_object()?);
    for (name, value) in desired {
        match name.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                for part in ["labels", "annotations"] {
                    if let Some(value) = value.get(part) {
                        let owned = owned(fields, "metadata").and_then(|m| owned(m, part));
                        let found = walk(value, owned, &format!(".metadata.{part}"), skip);
                        if found.is_some() {
                            return found;
                        }
                    }
                }
            }
            _ => {
                let found = field(fields, name, value, "", skip);
                if found.is_some() {
                    return found;
                }
            }
        }
    }
    None
}

fn owned<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    fields.get(&format!("f:{name}")).and_then(Value::as_object)
}

fn field(
    fields: &Map<String, Value>,
    name: &str,
    value: &Value,
    place: &str,
    skip: &dyn Fn(&str) -> bool,
) -> Option<String> {
    walk(value, owned(fields, name), &format!("{place}.{name}"), skip)
}

/// `owned`: what our entry has below this place; `None`: not even the place itself.
fn walk(
    value: &Value,
    owned: Option<&Map<String, Value>>,
    place: &str,
    skip: &dyn Fn(&str) -> bool,
) -> Option<String> {
    if value.is_null() || skip(place) {
        return None;
    }
    let Some(owned) = owned else {
        return Some(place.to_owned());
    };
    // Owned as a whole: a value, an atomic list or map.
    if owned.is_empty() {
        return None;
    }
    match value {
        Value::Object(map) => map
            .iter()
            .find_map(|(name, value)| field(owned, name, value, place, skip)),
        Value::Array(items) => walk_list(items, owned, place, skip),
        _ => None,
    }
}

fn walk_list(
    items: &[Value],
    owned: &Map<String, Value>,
    place: &str,
    skip: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let keys: Vec<(Value, &Map<String, Value>)> = owned
        .iter()
        .filter_map(|(name, below)| {
            let key = serde_json::from_str(name.strip_prefix("k:")?).ok()?;
            Some((key, below.as_object()?))
        })
        .collect();
    for (index, item) in items.iter().enumerate() {
        let place = format!("{place}[{index}]");
        if skip(&place) {
            continue;
        }
        if let Some((_, below)) = keys.iter().find(|(key, _)| has_key(item, key)) {
            let found = walk(item, Some(below), &place, skip);
            if found.is_some() {
                return found;
            }
        } else if !owned.contains_key(&format!("v:{item}"))
            && !owned.contains_key(&format!("i:{index}"))
        {
            return Some(place);
        }
    }
    None
}

/// Whether a list's item is the one with that key. A field of the key that the intent leaves out
/// is one that the API server defaulted, such as a port's protocol.
fn has_key(item: &Value, key: &Value) -> bool {
    key.as_object().is_some_and(|key| {
        key.iter()
            .all(|(name, value)| item.get(name).is_none_or(|found| found == value))
            && key.keys().any(|name| item.get(name).is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn desired() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "labels": {"a": "b"}},
            "spec": {"replicas": 3, "template": {"spec": {
                "volumes": [],
                "containers": [{"name": "c", "image": "i",
                    "args": ["--x"],
                    "resources": {"requests": {"cpu": "1000m"}},
                    "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]}]}}}
        })
    }

    fn fields() -> Value {
        json!({
            "f:metadata": {"f:labels": {"f:a": {}}},
            "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {
                "f:volumes": {},
                "f:containers": {"k:{\"name\":\"c\"}": {
                    ".": {}, "f:name": {}, "f:image": {}, "f:args": {},
                    "f:resources": {"f:requests": {"f:cpu": {}}},
                    "f:ports": {
                        "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}},
                        "k:{\"containerPort\":53,\"protocol\":\"UDP\"}":
                            {".": {}, "f:containerPort": {}, "f:protocol": {}}}}}}}}
        })
    }

    #[test]
    fn what_is_wholly_ours_has_not_drifted_however_values_are_written() {
        assert_eq!(lost(&desired(), &fields(), &|_| false), None);
    }

    #[test]
    fn each_field_that_somebody_took_is_found() {
        let cases = [
            ("/f:spec", "f:replicas", ".spec.replicas"),
            ("/f:metadata/f:labels", "f:a", ".metadata.labels.a"),
            (
                "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"c\"}",
                "f:image",
                ".spec.template.spec.containers[0].image",
            ),
            (
                "/f:spec/f:template/f:spec/f:containers/k:{\"name\":\"c\"}/f:ports",
                "k:{\"containerPort\":53,\"protocol\":\"UDP\"}",
                ".spec.template.spec.containers[0].ports[1]",
            ),
        ];
        for (place, taken, path) in cases {
            let mut fields = fields();
            let map = fields.pointer_mut(place).unwrap().as_object_mut().unwrap();
            assert!(map.remove(taken).is_some(), "{place} {taken}");
            // Something stays, or the parent would count as owned whole.
            map.entry("f:other").or_insert_with(|| json!({}));
            assert_eq!(lost(&desired(), &fields, &|_| false).as_deref(), Some(path));
        }
    }

    #[test]
    fn fields_that_members_own_are_passed_over() {
        let mut fields = fields();
        fields
            .pointer_mut("/f:spec")
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove("f:replicas");
        assert_eq!(
            lost(&desired(), &fields, &|path| path == ".spec.replicas"),
            None
        );
    }

    #[test]
    fn sets_of_values_are_found_by_value() {
        let desired = json!({"spec": {"f": ["a", "b"]}});
        let owned = json!({"f:spec": {"f:f": {"v:\"a\"": {}, "v:\"b\"": {}}}});
        assert_eq!(lost(&desired, &owned, &|_| false), None);
        let owned = json!({"f:spec": {"f:f": {"v:\"a\"": {}}}});
        assert_eq!(
            lost(&desired, &owned, &|_| false).as_deref(),
            Some(".spec.f[1]")
        );
    }
}
