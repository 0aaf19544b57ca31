//! What API servers were asked to write.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::error::IoContext;
use crate::{Error, Result};

/// Metadata of every write but those that repeat for ever.
pub(crate) const POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  resources:
  - {group: coordination.k8s.io, resources: [leases]}
  - {group: events.k8s.io, resources: [events]}
  - {group: '', resources: [events]}
- level: None
  verbs: [get, list, watch]
- level: Metadata
";

/// One answered write.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// Who asked.
    pub user: AuditUser,
    /// In whose name, if another's.
    pub impersonated_user: Option<AuditUser>,
    /// The client's description of itself.
    #[serde(default)]
    pub user_agent: String,
    /// Path and query of the request.
    #[serde(rename = "requestURI", default)]
    pub request_uri: String,
    /// The object; absent for paths that are none.
    pub object_ref: Option<AuditObject>,
    /// The answer; absent if the server never gave one.
    pub response_status: Option<AuditStatus>,
    /// When the request came, RFC 3339 with microseconds.
    pub request_received_timestamp: String,
}

/// Who asked.
#[derive(Clone, Debug, Deserialize)]
pub struct AuditUser {
    /// The name.
    #[serde(default)]
    pub username: String,
}

/// What was written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuditObject {
    /// Plural name of the kind.
    pub resource: String,
    /// Its group, empty for the core.
    pub api_group: String,
    /// `status`, `scale`, …, or empty.
    pub subresource: String,
    /// Empty for what has none.
    pub namespace: String,
    /// Empty for a create whose server picks the name, and for collections.
    pub name: String,
}

/// The answer.
#[derive(Clone, Debug, Deserialize)]
pub struct AuditStatus {
    /// HTTP status.
    pub code: u16,
    /// Why, where it was refused.
    #[serde(default)]
    pub message: String,
}

impl AuditEvent {
    /// Whether the server did what was asked.
    pub fn succeeded(&self) -> bool {
        self.response_status
            .as_ref()
            .is_some_and(|status| (200..300).contains(&status.code))
    }

    /// Whether it was only tried (`dryRun`).
    pub fn dry_run(&self) -> bool {
        self.request_uri.contains("dryRun=")
    }

    /// Whether it made an object: a create, or a server-side apply that found none. The latter has
    /// the verb `patch`, and only its status, 201, tells.
    pub fn created(&self) -> bool {
        let made = self
            .response_status
            .as_ref()
            .is_some_and(|status| status.code == 201);
        made && self.is_object() && !self.dry_run()
    }

    /// Whether it began to remove an object or a collection. Finalizers may keep the object.
    pub fn deleted(&self) -> bool {
        self.verb.starts_with("delete") && self.succeeded() && self.is_object() && !self.dry_run()
    }

    fn is_object(&self) -> bool {
        self.object_ref
            .as_ref()
            .is_some_and(|object| object.subresource.is_empty())
    }
}

/// Reads an audit log, oldest first. A line that is still being written is left out.
///
/// The server writes an event right after its answer: wait with
/// [`eventually`](crate::eventually) for the last write you know of before you count.
///
/// # Errors
/// [`Error::Io`], or [`Error::Json`] for a complete line that is no event.
pub fn read_audit(path: &Path) -> Result<Vec<AuditEvent>> {
    let text = fs::read_to_string(path).io(|| format!("reading {}", path.display()))?;
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let event = |line: &str| {
        serde_json::from_str(line).map_err(|source| Error::Json {
            what: format!("{}: {line}", path.display()),
            source,
        })
    };
    complete.lines().map(event).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_and_a_half_line_is_left_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = r#"{"kind":"Event","verb":"create","user":{"username":"u","groups":[]},"objectRef":{"resource":"pods","namespace":"a","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":201},"requestReceivedTimestamp":"2026-01-01T00:00:00.000001Z","stage":"ResponseComplete"}"#;
        fs::write(file.path(), format!("{line}\n{{\"half\":")).unwrap();
        let events = read_audit(file.path()).unwrap();
        assert_eq!(events.len(), 1);
        assert!(events[0].created() && !events[0].deleted());
        let tried = AuditEvent {
            request_uri: "/api/v1/pods?dryRun=All".to_owned(),
            ..events[0].clone()
        };
        assert!(!tried.created());
    }
}
