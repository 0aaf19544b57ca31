//! What is printed, from fixed values: no clock, no cluster.

pub mod age;
pub mod branch;
pub mod clusters;
pub mod doctor;
pub mod places;
pub mod quotas;
pub mod replay;
pub mod requests;
pub mod table;
pub mod tenants;
pub mod tree;
pub mod usage;
pub mod why;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Where there is nothing to show.
pub const NONE: &str = "-";

/// As YAML.
///
/// # Errors
/// None in practice: what is shown can be written.
pub fn yaml(value: &impl Serialize) -> Result<String> {
    serde_yaml::to_string(value).map_err(|e| Error::failure(e.to_string()))
}

/// As JSON, indented.
///
/// # Errors
/// None in practice: what is shown can be written.
pub fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|e| Error::failure(e.to_string()))
}

/// A List of objects, as kubectl writes one.
///
/// # Errors
/// None in practice: what is shown can be written.
pub fn list(items: &[impl Serialize]) -> Result<Value> {
    let items = serde_json::to_value(items).map_err(|e| Error::failure(e.to_string()))?;
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": items}))
}

/// The text, or a dash for nothing.
pub fn or_none(text: &str) -> &str {
    if text.is_empty() { NONE } else { text }
}

/// `1 member`, `2 members`.
pub fn count(number: usize, one: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {one}{s}")
}
