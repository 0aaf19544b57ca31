//! Approval of ResourceRequests: which chain applies, and where a request stands in it.
//!
//! Pure. Nothing is granted that the chain did not approve: an act counts only where it carries the
//! request's uid and the hash of its spec; nobody approves what they applied for, or two stages of
//! one request. The order of the acts does not matter: each is an object that is never edited, and
//! two watches have no common order.

mod chain;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use heyun_crds::approval::{ApprovalSpec, ApprovalVerdict};
use heyun_crds::approval_policy::ApprovalRequire;
use heyun_crds::resource_request::ResourceRequestSpec;
use sha2::{Digest, Sha256};

pub use chain::{Chain, Facts, Stage, chain};

/// A request as its acts must mean it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its uid.
    pub uid: &'a str,
    /// Hash of its spec.
    pub hash: &'a str,
    /// Who asks.
    pub applicant: &'a str,
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No policy says who decides.
    Nobody,
    /// A stage has not decided.
    Waiting {
        /// The first that has not.
        stage: String,
        /// How many agreed there.
        agreed: usize,
        /// How many must.
        needed: usize,
    },
    /// Each stage agreed.
    Approved {
        /// Who, as `stage: user`; empty: a rule granted it at once.
        by: Vec<String>,
    },
    /// It is over.
    Over {
        /// By what.
        verdict: ApprovalVerdict,
        /// Who and why, in words.
        said: String,
    },
}

/// Hash of a spec: what an Approval carries, so that what was read is what is decided on.
pub fn hash(spec: &ResourceRequestSpec) -> String {
    // Fields in the order of the type: the same spec has the same bytes.
    let bytes = serde_json::to_vec(spec).unwrap_or_default();
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(&bytes) {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What ends a request, what weighs most first: the tenant's word goes before a stage's.
const ENDS: [ApprovalVerdict; 3] = [
    ApprovalVerdict::Withdraw,
    ApprovalVerdict::Reject,
    ApprovalVerdict::ReturnForCorrection,
];

/// Where a request stands that is not granted yet; without a chain nobody can grant it.
pub fn stand<'a>(
    subject: Subject<'_>,
    chain: Option<&Chain>,
    acts: impl IntoIterator<Item = &'a ApprovalSpec>,
) -> Standing {
    let acts: Vec<&ApprovalSpec> = acts.into_iter().filter(|act| means(act, subject)).collect();
    for verdict in ENDS {
        let of_a_stage = verdict != ApprovalVerdict::Withdraw;
        let decides = |act: &&ApprovalSpec| {
            let mut stages = chain.into_iter().flat_map(|chain| &chain.stages);
            act.verdict == verdict && (!of_a_stage || stages.any(|stage| may(act, stage, subject)))
        };
        if let Some(said) = first_said(acts.iter().copied().filter(decides)) {
            return Standing::Over { verdict, said };
        }
    }
    let Some(chain) = chain else {
        return Standing::Nobody;
    };
    let mut by = Vec::new();
    let mut acted: BTreeSet<&str> = BTreeSet::new();
    for stage in &chain.stages {
        let agrees = |act: &&ApprovalSpec| {
            act.verdict == ApprovalVerdict::Approve
                && may(act, stage, subject)
                && !acted.contains(act.approver.as_str())
        };
        let agreed: BTreeSet<&str> = acts
            .iter()
            .copied()
            .filter(agrees)
            .map(|act| act.approver.as_str())
            .collect();
        let needed = needed(stage);
        if agreed.len() < needed {
            return Standing::Waiting {
                stage: stage.name.clone(),
                agreed: agreed.len(),
                needed,
            };
        }
        by.extend(agreed.iter().map(|user| format!("{}: {user}", stage.name)));
        acted.extend(agreed);
    }
    Standing::Approved { by }
}

/// What ends early what was approved: who, and why; `None`: nothing does. What is not granted yet,
/// for want of room, can be withdrawn too. Who may revoke is what admission asks, so that a grant can
/// be taken back whatever its chain was.
pub fn ended<'a>(
    subject: Subject<'_>,
    granted: bool,
    acts: impl IntoIterator<Item = &'a ApprovalSpec>,
) -> Option<(ApprovalVerdict, String)> {
    let acts: Vec<&ApprovalSpec> = acts.into_iter().filter(|act| means(act, subject)).collect();
    let withdrawn = (!granted).then_some(ApprovalVerdict::Withdraw);
    [ApprovalVerdict::Revoke, ApprovalVerdict::Release]
        .into_iter()
        .chain(withdrawn)
        .find_map(|verdict| {
            let these = acts.iter().copied().filter(|act| act.verdict == verdict);
            Some((verdict, first_said(these)?))
        })
}

/// Whether an act speaks of this request, as it is.
fn means(act: &ApprovalSpec, subject: Subject<'_>) -> bool {
    act.request == subject.name
        && act.request_uid == subject.uid
        && act.request_hash == subject.hash
}

/// Whether who acts has a say at a stage.
fn may(act: &ApprovalSpec, stage: &Stage, subject: Subject<'_>) -> bool {
    let named = stage.approvers.is_empty() || stage.approvers.contains(&act.approver);
    act.stage == stage.name && act.approver != subject.applicant && named
}

fn needed(stage: &Stage) -> usize {
    match stage.require {
        ApprovalRequire::Any => 1,
        // Admission asks for approvers; without any, nobody is all.
        ApprovalRequire::All => stage.approvers.len().max(1),
        ApprovalRequire::KOfN => stage.k.max(1),
    }
}

/// The act that is told of several of one sort: by who acted, so that order does not matter.
fn first_said<'a>(acts: impl Iterator<Item = &'a ApprovalSpec>) -> Option<String> {
    let act = acts.min_by_key(|act| (&act.stage, &act.approver, &act.comment))?;
    let stage = match act.stage.as_str() {
        "" => String::new(),
        stage => format!(" ({stage})"),
    };
    let comment = match act.comment.as_str() {
        "" => String::new(),
        comment => format!(": {comment}"),
    };
    Some(format!("{}{stage}{comment}", act.approver))
}
