//! What admission refuses: bounds and CEL rules, in one table per kind.
//!
//! They stand here and not on the fields because a type that serves both spec and status (a quota
//! line, a manifest, a quantity) is checked where a user writes it and nowhere else: the API server
//! evaluates rules on every status write too, and the hub makes a thousand of those a second.

mod agency;
mod platform;
mod prices;
mod requests;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Map, Value, json};

/// A CEL rule of the API server on one place of a schema.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Place below the root, such as `spec.manifests[]`; empty: the root. `[]` stands for the
    /// items of a list, `{}` for the values of a map.
    pub at: &'static str,
    /// CEL expression that is true when the value is fine.
    pub rule: &'static str,
    /// What the rule asks for, without values: shown in the reference.
    pub message: &'static str,
    /// CEL expression that names value and fix; empty: the message is shown as it is.
    pub expression: &'static str,
    /// Field that the error names, relative to the place, such as `.spec.tenant`; empty: the place.
    pub field: &'static str,
}

/// Keywords of JSON schema that are set on one place.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Place, as in [`Rule::at`].
    pub at: &'static str,
    /// Keywords as JSON. Example: `{"maxLength": 63}`.
    pub schema: &'static str,
}

/// All that admission checks of one kind.
#[derive(Clone, Copy, Debug)]
struct KindRules {
    kind: &'static str,
    bounds: &'static [Bound],
    rules: &'static [Rule],
    /// Where a PlacementSpec stands; empty: nowhere.
    placement: &'static str,
}

/// Shorthand for the tables.
const fn rule(
    at: &'static str,
    rule: &'static str,
    message: &'static str,
    expression: &'static str,
) -> Rule {
    Rule {
        at,
        rule,
        message,
        expression,
        field: "",
    }
}

impl Rule {
    /// The same rule, whose error names a field below the place.
    const fn on(self, field: &'static str) -> Self {
        Self { field, ..self }
    }
}

/// Shorthand for the tables.
const fn bound(at: &'static str, schema: &'static str) -> Bound {
    Bound { at, schema }
}

const KINDS: &[KindRules] = &[
    KindRules {
        kind: "Approval",
        bounds: requests::APPROVAL_BOUNDS,
        rules: requests::APPROVAL_RULES,
        placement: "",
    },
    KindRules {
        kind: "ApprovalPolicy",
        bounds: requests::POLICY_BOUNDS,
        rules: requests::POLICY_RULES,
        placement: "",
    },
    KindRules {
        kind: "Flavor",
        bounds: platform::FLAVOR_BOUNDS,
        rules: platform::FLAVOR_RULES,
        placement: "",
    },
    KindRules {
        kind: "MemberCluster",
        bounds: platform::MEMBER_BOUNDS,
        rules: platform::MEMBER_RULES,
        placement: "",
    },
    KindRules {
        kind: "Placement",
        bounds: &[],
        rules: &[],
        placement: "spec",
    },
    KindRules {
        kind: "PriceBook",
        bounds: prices::PRICE_BOOK_BOUNDS,
        rules: prices::PRICE_BOOK_RULES,
        placement: "",
    },
    KindRules {
        kind: "Quota",
        bounds: platform::QUOTA_BOUNDS,
        rules: platform::QUOTA_RULES,
        placement: "",
    },
    KindRules {
        kind: "ResourceRequest",
        bounds: requests::REQUEST_BOUNDS,
        rules: requests::REQUEST_RULES,
        placement: "",
    },
    KindRules {
        kind: "Tenant",
        bounds: platform::TENANT_BOUNDS,
        rules: platform::TENANT_RULES,
        placement: "",
    },
    KindRules {
        kind: "Workload",
        bounds: agency::WORKLOAD_BOUNDS,
        rules: agency::WORKLOAD_RULES,
        placement: "spec.placement",
    },
];

/// Every rule with its kind; those of a PlacementSpec stand under `Placement`.
pub fn all() -> Vec<(&'static str, Rule)> {
    let own = KINDS
        .iter()
        .flat_map(|k| k.rules.iter().map(|r| (k.kind, *r)));
    own.chain(agency::PLACEMENT_RULES.iter().map(|r| ("Placement", *r)))
        .collect()
}

/// What every object has at its root.
const ROOT: &str = r#"{"properties": {
    "apiVersion": {"type": "string", "description": "Always `heyun.dev/v1alpha1`."},
    "kind": {"type": "string", "description": "Kind of this object."},
    "metadata": {"type": "object", "properties": {
        "name": {"type": "string", "maxLength": 253},
        "generateName": {"type": "string", "maxLength": 253}}}}}"#;

/// Puts bounds and rules into the schema of a definition.
///
/// # Errors
/// The place of a rule or bound that the schema does not have: a field was renamed and the tables
/// were not.
pub(crate) fn apply(crd: CustomResourceDefinition) -> Result<CustomResourceDefinition, String> {
    let kind = crd.spec.names.kind.clone();
    let mut value = serde_json::to_value(crd).map_err(|e| format!("{kind}: {e}"))?;
    let schema = value
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        .ok_or_else(|| format!("{kind}: no schema"))?;
    tidy(schema);
    // Rules read metadata.name: without a bound the API server reckons with megabytes, and it uses
    // this bound only when all of the fields that it knows at the root are given.
    merge(schema, ROOT, &kind)?;
    for table in KINDS.iter().filter(|k| k.kind == kind) {
        for b in table.bounds {
            merge(place(schema, b.at, &kind)?, b.schema, &kind)?;
        }
        for r in table.rules {
            push(place(schema, r.at, &kind)?, *r);
        }
        if !table.placement.is_empty() {
            let root = place(schema, table.placement, &kind)?;
            for b in agency::PLACEMENT_BOUNDS {
                merge(place(root, b.at, &kind)?, b.schema, &kind)?;
            }
            for r in agency::PLACEMENT_RULES {
                push(place(root, r.at, &kind)?, *r);
            }
        }
    }
    serde_json::from_value(value).map_err(|e| format!("{kind}: {e}"))
}

/// Drops formats that the API server does not know and would warn of (`uint32`); their least
/// value, 0, is already in the schema. Joins the lines of a paragraph, for `kubectl explain` wraps
/// by itself.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map
                .get("format")
                .and_then(Value::as_str)
                .is_some_and(|f| f.starts_with("uint"))
            {
                map.remove("format");
            }
            if let Some(Value::String(text)) = map.get_mut("description") {
                let paragraphs: Vec<String> =
                    text.split("\n\n").map(|p| p.replace('\n', " ")).collect();
                *text = paragraphs.join("\n\n");
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// The schema at a place.
fn place<'a>(root: &'a mut Value, at: &str, kind: &str) -> Result<&'a mut Value, String> {
    let mut here = root;
    for step in at.split('.').filter(|s| !s.is_empty()) {
        let name = step.trim_end_matches("[]").trim_end_matches("{}");
        here = here
            .pointer_mut(&format!("/properties/{name}"))
            .ok_or_else(|| format!("{kind}: the schema has no place {at:?} (at {name:?})"))?;
        let inner = match &step[name.len()..] {
            "" => continue,
            "[]" => "items",
            "{}" => "additionalProperties",
            other => return Err(format!("{kind}: {other:?} in {at:?} is no step")),
        };
        here = here
            .get_mut(inner)
            .ok_or_else(|| format!("{kind}: {name:?} in {at:?} has no {inner}"))?;
    }
    Ok(here)
}

fn merge(target: &mut Value, schema: &str, kind: &str) -> Result<(), String> {
    let given: Map<String, Value> =
        serde_json::from_str(schema).map_err(|e| format!("{kind}: {schema}: {e}"))?;
    let map = target
        .as_object_mut()
        .ok_or_else(|| format!("{kind}: no object to bound"))?;
    for (key, value) in given {
        match (map.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
            (_, value) => {
                map.insert(key, value);
            }
        }
    }
    Ok(())
}

fn push(target: &mut Value, rule: Rule) {
    let mut entry = json!({"rule": rule.rule, "message": rule.message});
    if !rule.expression.is_empty() {
        entry["messageExpression"] = rule.expression.into();
    }
    if !rule.field.is_empty() {
        entry["fieldPath"] = rule.field.into();
    }
    match target
        .get_mut("x-kubernetes-validations")
        .and_then(Value::as_array_mut)
    {
        Some(rules) => rules.push(entry),
        None => target["x-kubernetes-validations"] = json!([entry]),
    }
}
