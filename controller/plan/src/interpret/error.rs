//! Faults of manifests.

use std::fmt;

use heyun_crds::conditions::Reason;

/// A fault of a Workload's spec: what it is, where it is, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// The reason of the condition it leads to.
    pub reason: Reason,
    /// Where: `manifests[3] Deployment/web: spec.replicas`, or a path in the spec.
    pub place: String,
    /// What is wrong, with the value.
    pub problem: String,
    /// What to do; empty where `problem` says it.
    pub fix: String,
}

impl ManifestError {
    /// A fault for the reason `Invalid`.
    pub fn invalid(
        place: impl Into<String>,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            reason: Reason::Invalid,
            place: place.into(),
            problem: problem.into(),
            fix: fix.into(),
        }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)?;
        if self.fix.is_empty() {
            Ok(())
        } else {
            write!(f, "; {}", self.fix)
        }
    }
}

impl std::error::Error for ManifestError {}

/// Most faults that a message spells out.
const SPELLED_OUT: usize = 8;

/// All faults as one message for a condition: the first eight, and how many more there are.
pub fn summarize(errors: &[ManifestError]) -> String {
    let mut parts: Vec<String> = errors
        .iter()
        .take(SPELLED_OUT)
        .map(ToString::to_string)
        .collect();
    if errors.len() > SPELLED_OUT {
        parts.push(format!("and {} more", errors.len() - SPELLED_OUT));
    }
    parts.join(". ")
}

/// Longest part of a value that a message repeats, in characters.
const SHOWN: usize = 64;

/// A text for a message, in quotes and shortened.
pub(crate) fn shown(value: &str) -> String {
    format!("\"{}\"", shortened(value))
}

/// A JSON value for a message, shortened.
pub(crate) fn shown_json(value: &serde_json::Value) -> String {
    shortened(&value.to_string())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
