//! All that decisions depend on at one moment, as a file: to be decided again elsewhere and later,
//! as it was or with changes. It holds no manifest and no Secret.

mod change;
mod make;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::conditions::Reason;
use heyun_crds::query::{QUERY_GROUP, QUERY_VERSION, Why};
use heyun_scheduler::request::{Request, WorkloadKey};
use heyun_scheduler::{Config, Snapshot, schedule};
use serde::{Deserialize, Serialize};

use crate::explain;

pub use change::{Change, ChangeError, Number};

/// The kind of the file.
pub const KIND: &str = "Snapshot";

/// What decisions depend on at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recording {
    /// Always `query.heyun.dev/v1alpha1`.
    pub api_version: String,
    /// Always [`KIND`].
    pub kind: String,
    /// The scheduler's configuration.
    pub config: Config,
    /// Members, flavors, tenants, quotas and what is held.
    pub snapshot: Snapshot,
    /// What each Workload asks for, by name.
    pub workloads: BTreeMap<WorkloadKey, Asked>,
}

/// What is known of one Workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Asked {
    /// Its generation.
    pub generation: i64,
    /// Id of the decision that stands for this generation; empty: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub decision: String,
    /// The Placement it refers to; empty: it has its own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub placement_ref: String,
    /// What the scheduler is asked, or why it is not.
    pub question: Question,
}

/// What the scheduler is asked of a Workload, or why it is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Question {
    /// The scheduler's request.
    Request(Box<Request>),
    /// It is not accepted, suspended, or has finished.
    Refused {
        /// Reason code.
        reason: String,
        /// The same as a sentence.
        message: String,
    },
}

impl Question {
    /// It is not asked.
    pub fn refused(reason: Reason, message: String) -> Self {
        let reason = reason.as_str().to_owned();
        Self::Refused { reason, message }
    }
}

/// Why a text is no recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It is not JSON of this form.
    #[error("it is no snapshot: {0}; make one with heyun snapshot --out FILE")]
    Form(#[from] serde_json::Error),
    /// It is of another kind or version.
    #[error(
        "it is {kind:?} of {api_version:?}, not {KIND:?} of {QUERY_GROUP}/{QUERY_VERSION}: make one with heyun snapshot of this version"
    )]
    Kind {
        /// Its `apiVersion`.
        api_version: String,
        /// Its `kind`.
        kind: String,
    },
}

impl Recording {
    /// Of these Workloads on this snapshot.
    pub fn new(
        config: Config,
        snapshot: Snapshot,
        workloads: BTreeMap<WorkloadKey, Asked>,
    ) -> Self {
        Self {
            api_version: format!("{QUERY_GROUP}/{QUERY_VERSION}"),
            kind: KIND.to_owned(),
            config,
            snapshot,
            workloads,
        }
    }

    /// From its JSON.
    ///
    /// # Errors
    /// If it is no recording, or of another version.
    pub fn read(reader: impl std::io::Read) -> Result<Self, RecordingError> {
        let read: Self = serde_json::from_reader(reader)?;
        if read.kind != KIND || read.api_version != format!("{QUERY_GROUP}/{QUERY_VERSION}") {
            return Err(RecordingError::Kind {
                api_version: read.api_version,
                kind: read.kind,
            });
        }
        Ok(read)
    }

    /// What would be decided: of all Workloads, or of these alone. The others hold what they hold.
    /// The same recording gives the same answers, by namespace and name.
    pub fn replay(&self, only: Option<&BTreeSet<WorkloadKey>>) -> Vec<Why> {
        let asked: BTreeMap<&WorkloadKey, &Asked> = self
            .workloads
            .iter()
            .filter(|(key, _)| only.is_none_or(|only| only.contains(*key)))
            .collect();
        let requests: Vec<Request> = asked
            .values()
            .filter_map(|of| match &of.question {
                Question::Request(request) => Some(Request::clone(request)),
                Question::Refused { .. } => None,
            })
            .collect();
        let verdicts = schedule(&self.snapshot, &requests, &self.config);
        let mut answers: BTreeMap<WorkloadKey, Why> = asked
            .iter()
            .filter_map(|(key, of)| Some(((*key).clone(), of.refusal(key)?)))
            .collect();
        for verdict in verdicts {
            let decision = asked
                .get(&verdict.key)
                .map_or("", |of| of.decision.as_str());
            let about = explain::About {
                decision,
                unchecked: &[],
            };
            answers.insert(verdict.key.clone(), explain::why(&verdict, &about));
        }
        answers.into_values().collect()
    }
}

impl Asked {
    /// The answer to a Workload that the scheduler is not asked about.
    fn refusal(&self, key: &WorkloadKey) -> Option<Why> {
        let Question::Refused { reason, message } = &self.question else {
            return None;
        };
        let over = [Reason::Complete, Reason::Failed].map(Reason::as_str);
        let outcome = if over.contains(&reason.as_str()) {
            "Finished"
        } else {
            "Rejected"
        };
        let refused = explain::refused(key, self.generation, outcome, reason, message.clone());
        Some(refused)
    }
}
