//! Rows of members that are told of in a status, held as text.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::query::WhyMember;

/// Rows as their JSON: whoever holds thousands of objects to compare and count them reads these
/// rows of none, and as structures they would be the larger part of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToldMembers(Box<str>);

impl ToldMembers {
    /// The rows; none of what is no JSON, which no value of this type is.
    pub fn rows(&self) -> Vec<WhyMember> {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl From<&[WhyMember]> for ToldMembers {
    fn from(rows: &[WhyMember]) -> Self {
        if rows.is_empty() {
            return Self::default();
        }
        // Strings, numbers and lists of these always have a JSON.
        Self(
            serde_json::to_string(rows)
                .unwrap_or_default()
                .into_boxed_str(),
        )
    }
}

impl Serialize for ToldMembers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.rows().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ToldMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows = Vec::<WhyMember>::deserialize(deserializer)?;
        Ok(Self::from(rows.as_slice()))
    }
}

/// A row for each member, of the shape that the aggregated API documents: once is enough.
impl JsonSchema for ToldMembers {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ToldMembers".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array",
            "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were() {
        let json = serde_json::json!([
            {"member": "gz-1", "verdict": "chosen", "score": 87,
             "replicas": [{"component": "Deployment/web", "flavor": "arm", "replicas": 8}]},
            {"member": "gz-2", "verdict": "filtered",
             "refusals": [{"filter": "Zone", "reason": "Zone", "message": "粵 \"quoted\"", "unblockedBy": "a change"}]},
        ]);
        let told: ToldMembers = serde_json::from_value(json).unwrap();
        let rows = told.rows();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].replicas[0].replicas, 8);
        assert_eq!(rows[1].refusals[0].message, "粵 \"quoted\"");
        assert_eq!(ToldMembers::from(rows.as_slice()), told);
        assert_eq!(
            serde_json::to_value(&told).unwrap(),
            serde_json::to_value(&rows).unwrap()
        );
        let none: ToldMembers = serde_json::from_value(serde_json::json!([])).unwrap();
        assert_eq!(none, ToldMembers::default());
        assert_eq!(serde_json::to_value(&none).unwrap(), serde_json::json!([]));
    }
}
