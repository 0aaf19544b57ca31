//! Drift: what somebody else changed is set back, and seen.

use std::collections::BTreeSet;

use heyun_crds::conditions::ConditionType;
use heyun_telemetry::names::attribute;
use serde_json::Value;
use tracing::warn;

use super::Executor;
use super::object::{Outcome, Place};
use super::status;
use super::wanted::Content;
use crate::error::{Class, Error};
use crate::owned::lost;
use crate::seen::Seen;

/// Most fields that are remembered as never ours.
const NEVER_OURS_MAX: usize = 64;

impl Executor {
    /// The first field that somebody else took since it was applied.
    pub(super) fn drift(&self, place: &Place<'_>, seen: &Seen) -> Option<String> {
        let Content::Manifest(manifest) = &place.wanted.content else {
            // A Secret is either wholly ours or was taken over.
            return seen.fields.is_none().then(|| ".data".to_owned());
        };
        let Some(fields) = &seen.fields else {
            return Some(".".to_owned());
        };
        let fields: Value = serde_json::from_str(fields).unwrap_or_default();
        let key = &place.wanted.key;
        lost(manifest, &fields, &|path| {
            (place.wanted.autoscaled && path == ".spec.replicas")
                || self.marks.was_never_ours(key, &place.wanted.hash, path)
        })
    }

    /// Asserts what somebody else changed; ever later where it is changed again and again.
    pub(super) async fn undo_drift(
        &self,
        place: &Place<'_>,
        seen: &Seen,
        field: &str,
    ) -> Result<Outcome, Error> {
        let key = &place.wanted.key;
        let manager = seen.other_manager.as_deref().unwrap_or("somebody");
        if !self.marks.may_undo(key, self.now()) {
            let mut state = status::applied(key, seen);
            state.drifted = true;
            ConditionType::Drifted
                .as_str()
                .clone_into(&mut state.reason);
            state.message = format!("{field} was changed again by {manager}; it is set back later");
            return Ok(Outcome {
                state,
                class: Some(Class::Transient),
                ..Outcome::default()
            });
        }
        warn!(
            { attribute::CLUSTER } = self.parts.scope.member,
            object = %key,
            field,
            manager,
            "what was applied had been changed there and is set back"
        );
        if let Some(metrics) = &self.parts.metrics {
            metrics.drift(&self.parts.scope.member, manager);
        }
        self.marks.undone(key, self.now());
        let outcome = self.write(place, Some(seen)).await?;
        Ok(Outcome {
            drifted: true,
            ..outcome
        })
    }
}

/// Fields that are not ours right after an apply: the API server drops or owns them.
pub(super) fn never_ours(place: &Place<'_>, seen: &Seen) -> BTreeSet<String> {
    let mut never = BTreeSet::new();
    let (Content::Manifest(manifest), Some(fields)) = (&place.wanted.content, &seen.fields) else {
        return never;
    };
    let fields: Value = serde_json::from_str(fields).unwrap_or_default();
    while never.len() < NEVER_OURS_MAX
        && let Some(path) = lost(manifest, &fields, &|path| never.contains(path))
    {
        never.insert(path);
    }
    never
}
