//! A flavor as required node affinity: its own nodes, and of no higher flavor that overlaps.

use std::collections::BTreeMap;

use heyun_crds::common::Toleration;
use heyun_crds::flavor::FlavorSpec;
use heyun_crds::labels::ARCH;
use serde_json::{Map, Value, json};

use super::objects::child;

/// Most terms that the exclusions of higher flavors are written out to.
const EXCLUSIONS_MAX: usize = 16;

/// What is added to pods that are placed on a flavor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Terms {
    /// Expressions that hold on every node of the flavor and on no other: one of these lists.
    any_of: Vec<Vec<Value>>,
    tolerations: Vec<Value>,
}

/// The terms of a flavor; `None` when there is no flavor of that name.
pub(super) fn terms(name: &str, flavors: &BTreeMap<String, FlavorSpec>) -> Option<Terms> {
    let flavor = flavors.get(name)?;
    let own = &flavor.node_selector.match_labels;
    let is: Vec<Value> = own
        .iter()
        .map(|(key, value)| expression(key, "In", value))
        .collect();
    let mut any_of = vec![is];
    let higher = flavors
        .values()
        .filter(|other| other.precedence > flavor.precedence);
    for higher in higher.map(|other| &other.node_selector.match_labels) {
        if own
            .iter()
            .any(|(key, value)| higher.get(key).is_some_and(|other| other != value))
        {
            // No node can match both.
            continue;
        }
        // Of what the other asks beyond this one, a node must lack something.
        let beyond: Vec<Value> = higher
            .iter()
            .filter(|(key, _)| !own.contains_key(*key))
            .map(|(key, value)| expression(key, "NotIn", value))
            .collect();
        any_of = exclude(any_of, &beyond);
    }
    let tolerations = flavor.tolerations.iter().map(toleration).collect();
    Some(Terms {
        any_of,
        tolerations,
    })
}

/// Every list with each of the exclusions: what matches lacks at least one. Beyond a bound the
/// first exclusion alone is asked for, which is stricter and never lands on the other flavor.
fn exclude(any_of: Vec<Vec<Value>>, beyond: &[Value]) -> Vec<Vec<Value>> {
    let fits = any_of.len().saturating_mul(beyond.len()) <= EXCLUSIONS_MAX;
    let beyond = if fits {
        beyond
    } else {
        &beyond[..beyond.len().min(1)]
    };
    if beyond.is_empty() {
        // The other takes every node of this one: then there is none to be kept from.
        return any_of;
    }
    let with = |list: &Vec<Value>, one: &Value| {
        let mut list = list.clone();
        list.push(one.clone());
        list
    };
    any_of
        .iter()
        .flat_map(|list| beyond.iter().map(move |one| with(list, one)))
        .collect()
}

fn expression(key: &str, operator: &str, value: &str) -> Value {
    json!({"key": key, "operator": operator, "values": [value]})
}

fn toleration(toleration: &Toleration) -> Value {
    serde_json::to_value(toleration).unwrap_or_default()
}

impl Terms {
    /// The same on nodes of these architectures alone, for a flavor that may span others. Empty:
    /// any.
    pub(super) fn on(mut self, architectures: &[String]) -> Self {
        if architectures.is_empty() {
            return self;
        }
        let on = json!({"key": ARCH, "operator": "In", "values": architectures});
        for list in &mut self.any_of {
            let told = |one: &Value| one["key"] == ARCH && one["operator"] == "In";
            // What the flavor selects has been judged to be one of these.
            if !list.iter().any(told) {
                list.push(on.clone());
            }
        }
        self
    }
}

/// Narrows a pod spec to the nodes of a flavor.
pub(super) fn require(spec: &mut Map<String, Value>, terms: &Terms) {
    tolerate(spec, &terms.tolerations);
    if terms.any_of.iter().all(Vec::is_empty) {
        return;
    }
    let mut at = Value::Object(std::mem::take(spec));
    narrow(&mut at, terms);
    if let Value::Object(narrowed) = at {
        *spec = narrowed;
    }
}

fn narrow(spec: &mut Value, terms: &Terms) -> Option<()> {
    child(spec, "affinity")?;
    let affinity = spec.get_mut("affinity")?;
    child(affinity, "nodeAffinity")?;
    let node = affinity.get_mut("nodeAffinity")?;
    let required = child(node, "requiredDuringSchedulingIgnoredDuringExecution")?;
    let selector = required.entry("nodeSelectorTerms").or_insert(Value::Null);
    let none = selector.as_array().is_none_or(Vec::is_empty);
    let written = if none {
        vec![json!({})]
    } else {
        selector.as_array().cloned()?
    };
    let mut narrowed = Vec::new();
    for term in written {
        // A written term without any condition matches no node, and stays so.
        if !none && is_blank(&term) {
            narrowed.push(term);
            continue;
        }
        narrowed.extend(terms.any_of.iter().map(|list| with(&term, list)));
    }
    *selector = Value::Array(narrowed);
    Some(())
}

fn is_blank(term: &Value) -> bool {
    ["matchExpressions", "matchFields"]
        .into_iter()
        .all(|field| {
            term.get(field)
                .and_then(Value::as_array)
                .is_none_or(Vec::is_empty)
        })
}

fn with(term: &Value, expressions: &[Value]) -> Value {
    let mut term = term.clone();
    if let Some(fields) = term.as_object_mut() {
        let list = fields.entry("matchExpressions").or_insert(Value::Null);
        if !list.is_array() {
            *list = Value::Array(Vec::new());
        }
        if let Some(list) = list.as_array_mut() {
            for expression in expressions {
                if !list.contains(expression) {
                    list.push(expression.clone());
                }
            }
        }
    }
    term
}

fn tolerate(spec: &mut Map<String, Value>, tolerations: &[Value]) {
    if tolerations.is_empty() {
        return;
    }
    let list = spec.entry("tolerations").or_insert(Value::Null);
    if list.is_null() {
        *list = Value::Array(Vec::new());
    }
    let Some(list) = list.as_array_mut() else {
        return;
    };
    for toleration in tolerations {
        if !list.contains(toleration) {
            list.push(toleration.clone());
        }
    }
}
