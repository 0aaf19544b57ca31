//! From a verdict to what people read: `why`, the summary in status, conditions and Events. All
//! come from the one verdict, so they never disagree.

mod back;
mod fix;
pub mod kept;
#[cfg(test)]
mod tests;

use heyun_crds::conditions::{ConditionType, Reason};
use heyun_crds::query::{
    QUERY_GROUP, QUERY_VERSION, Why, WhyMember, WhyRefusal, WhyReplicas, WhyScore,
};
use heyun_crds::told::ToldMembers;
use heyun_crds::workload::{EXPLANATION_BYTES_MAX, Explanation};
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::text;
use heyun_scheduler::verdict::{MemberState, MemberVerdict, Outcome, Refusal, Scores, Verdict};

pub use back::{Back, back};

/// Most members of a summary besides the chosen ones.
pub const NEAREST: usize = 10;
/// Most bytes of the note of an Event.
pub const NOTE_BYTES_MAX: usize = 1024;
/// Most bytes of a sentence in a summary.
const SENTENCE_BYTES_MAX: usize = 512;

/// What the verdict itself does not say of a Workload.
#[derive(Clone, Copy, Debug, Default)]
pub struct About<'a> {
    /// Id of the decision in force; empty: none.
    pub decision: &'a str,
    /// What shapes cannot judge, beyond what the verdict names.
    pub unchecked: &'a [String],
}

/// The answer on a Workload that the scheduler is not asked about, or was not.
pub fn refused(
    key: &WorkloadKey,
    generation: i64,
    outcome: &str,
    reason: &str,
    message: String,
) -> Why {
    Why {
        api_version: format!("{QUERY_GROUP}/{QUERY_VERSION}"),
        kind: "Why".to_owned(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        generation,
        outcome: outcome.to_owned(),
        reason: reason.to_owned(),
        message,
        ..Why::default()
    }
}

/// How a Workload fared, with every member: the chosen first, then the feasible by score, then
/// the filtered with the fewest refusals first.
pub fn why(verdict: &Verdict, about: &About<'_>) -> Why {
    let (reason, message) = outcome(verdict);
    Why {
        api_version: format!("{QUERY_GROUP}/{QUERY_VERSION}"),
        kind: "Why".to_owned(),
        namespace: verdict.key.namespace.clone(),
        name: verdict.key.name.clone(),
        tenant: verdict.tenant.clone(),
        generation: verdict.generation,
        decision: about.decision.to_owned(),
        inputs_hash: verdict.inputs_hash.clone(),
        outcome: verdict.outcome.code().to_owned(),
        reason,
        message,
        evaluated: verdict.evaluated,
        tier: back::tier(verdict),
        members: members(verdict, about),
        ..Why::default()
    }
}

/// The summary for `status.explanation`: the chosen, the ten nearest of the rest, counts of all.
/// Never more than 8 KiB as JSON.
pub fn summary(verdict: &Verdict, about: &About<'_>) -> Explanation {
    let (reason, message) = outcome(verdict);
    let chosen = verdict
        .members
        .iter()
        .filter(|m| m.state == MemberState::Chosen)
        .count();
    let mut shown = members(verdict, about);
    shown.truncate(chosen.saturating_add(NEAREST));
    for refusal in shown.iter_mut().flat_map(|member| &mut member.refusals) {
        shorten(&mut refusal.message, SENTENCE_BYTES_MAX);
    }
    let mut message = message;
    shorten(&mut message, SENTENCE_BYTES_MAX);
    let mut summary = Explanation {
        outcome: verdict.outcome.code().to_owned(),
        reason,
        message,
        evaluated: verdict.evaluated,
        feasible: verdict.feasible,
        refused: verdict.refused.clone(),
        members: ToldMembers::default(),
    };
    bound(&summary, &mut shown);
    summary.members = ToldMembers::from(shown.as_slice());
    summary
}

/// Leaves out of what is told of members, from the least telling on, until it is small enough with
/// the rest of the summary.
fn bound(rest: &Explanation, shown: &mut Vec<WhyMember>) {
    let mut size = json_bytes(rest).saturating_add(json_bytes(shown));
    while size > EXPLANATION_BYTES_MAX
        && let Some(member) = shown.pop()
    {
        size = size.saturating_sub(json_bytes(&member));
    }
}

fn json_bytes(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

/// Reason code and sentence of the Workload as a whole; a placed one has no reason.
fn outcome(verdict: &Verdict) -> (String, String) {
    match &verdict.outcome {
        Outcome::Placed(_) => {
            let mut message = text::verdict(verdict);
            if !verdict.relaxed.is_empty() {
                let keys: Vec<&str> = verdict.relaxed.iter().map(String::as_str).collect();
                message.push_str("; not spread as wished over ");
                message.push_str(&keys.join(", "));
            }
            if !verdict.relaxed_neighbours.is_empty() {
                let keys = verdict.relaxed_neighbours.iter().map(String::as_str);
                let keys: Vec<&str> = keys.collect();
                message.push_str("; not as wished among other workloads over ");
                message.push_str(&keys.join(", "));
            }
            (String::new(), message)
        }
        Outcome::Rejected(reason) | Outcome::Waiting(reason) => {
            let mut message = text::workload_reason(reason);
            let fix = fix::fix(reason, verdict);
            if !fix.is_empty() {
                message.push_str("; ");
                message.push_str(&fix);
            }
            (reason.code().to_owned(), message)
        }
    }
}

fn members(verdict: &Verdict, about: &About<'_>) -> Vec<WhyMember> {
    in_order(verdict)
        .into_iter()
        .map(|member| why_member(verdict, member, about))
        .collect()
}

/// The members as they are told of: the most telling first.
fn in_order(verdict: &Verdict) -> Vec<&MemberVerdict> {
    let mut members: Vec<&MemberVerdict> = verdict.members.iter().collect();
    members.sort_by_key(|member| {
        let score = member.scores.map_or(0, |scores| scores.total);
        (
            member.state,
            member.refusals.len(),
            std::cmp::Reverse(score),
            &member.member,
        )
    });
    members
}

fn why_member(verdict: &Verdict, member: &MemberVerdict, about: &About<'_>) -> WhyMember {
    let is_chosen = member.state == MemberState::Chosen;
    let unchecked = verdict
        .unchecked
        .iter()
        .chain(about.unchecked)
        .filter(|_| is_chosen);
    WhyMember {
        member: member.member.clone(),
        verdict: match member.state {
            MemberState::Chosen => "chosen",
            MemberState::Feasible => "feasible",
            MemberState::Filtered => "filtered",
        }
        .to_owned(),
        replicas: replicas(verdict, member),
        score: member.scores.map(|scores| u32::from(scores.total)),
        scores: member
            .scores
            .map(|scores| parts(verdict, scores))
            .unwrap_or_default(),
        tier: member.tier.clone().unwrap_or_default(),
        refusals: member.refusals.iter().map(refusal).collect(),
        unchecked: unchecked.cloned().collect(),
    }
}

fn replicas(verdict: &Verdict, member: &MemberVerdict) -> Vec<WhyReplicas> {
    let Some(placed) = verdict.outcome.placed() else {
        return Vec::new();
    };
    let here = placed
        .assignments
        .iter()
        .filter(|a| a.member == member.member);
    here.map(|assignment| WhyReplicas {
        component: assignment.component.clone(),
        flavor: assignment.flavor.clone(),
        replicas: u32::try_from(assignment.replicas).unwrap_or_default(),
    })
    .collect()
}

fn parts(verdict: &Verdict, scores: Scores) -> Vec<WhyScore> {
    let weights = verdict.weights;
    [
        ("balance", scores.balance, weights.balance),
        ("stability", scores.stability, weights.stability),
        ("cost", scores.cost, weights.cost),
        ("preference", scores.preference, weights.preference),
    ]
    .into_iter()
    .map(|(name, points, weight)| WhyScore {
        name: name.to_owned(),
        points: u32::from(points),
        weight,
        note: match name {
            "cost" if scores.unpriced => "no price".to_owned(),
            _ => String::new(),
        },
    })
    .collect()
}

fn refusal(refusal: &Refusal) -> WhyRefusal {
    WhyRefusal {
        filter: refusal.filter.as_str().to_owned(),
        reason: refusal.reason.code().to_owned(),
        message: text::reason(&refusal.reason),
        unblocked_by: text::unblocked_by(refusal),
        decided_by: refusal
            .decided_by
            .as_ref()
            .map(text::authority)
            .unwrap_or_default(),
    }
}

/// A condition as a verdict sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its type: `QuotaReserved` or `Scheduled`.
    pub kind: ConditionType,
    /// Its status; `None`: `Unknown`.
    pub status: Option<bool>,
    /// Its reason code.
    pub reason: String,
    /// Its message, with the fix.
    pub message: String,
}

/// `QuotaReserved` and `Scheduled` of the generation that was decided.
pub fn conditions(verdict: &Verdict) -> [Said; 2] {
    let (reason, message) = condition(verdict);
    let placed = verdict.outcome.placed().is_some();
    let by_quota = matches!(reason.as_str(), "QuotaExceeded" | "Oversubscribed");
    let quota = match (placed, by_quota) {
        (true, _) => (
            Some(true),
            Reason::Ok.as_str().to_owned(),
            "the quota covers it".to_owned(),
        ),
        (false, true) => (Some(false), reason.clone(), message.clone()),
        (false, false) => {
            let message = "not reserved while it is not placed".to_owned();
            (None, Reason::Pending.as_str().to_owned(), message)
        }
    };
    [
        Said {
            kind: ConditionType::QuotaReserved,
            status: quota.0,
            reason: quota.1,
            message: quota.2,
        },
        Said {
            kind: ConditionType::Scheduled,
            status: Some(placed),
            reason,
            message,
        },
    ]
}

/// Reason code and message of the `Scheduled` condition.
pub fn condition(verdict: &Verdict) -> (String, String) {
    let (reason, message) = outcome(verdict);
    let reason = if reason.is_empty() {
        Reason::Scheduled.as_str().to_owned()
    } else {
        reason
    };
    (reason, message)
}

/// An Event on the Workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// True for `Warning`, false for `Normal`.
    pub warning: bool,
    /// Reason code, the condition's.
    pub reason: String,
    /// At most 1024 bytes.
    pub note: String,
}

/// The Event that tells of a verdict; to be sent when the reason changes, not at every verdict.
pub fn event(verdict: &Verdict) -> Event {
    let (reason, mut note) = condition(verdict);
    shorten(&mut note, NOTE_BYTES_MAX);
    Event {
        warning: verdict.outcome.placed().is_none(),
        reason,
        note,
    }
}

/// Cuts a text to at most so many bytes, on a character, with `…` where something is missing.
pub(crate) fn shorten(text: &mut String, max: usize) {
    if text.len() <= max {
        return;
    }
    let mut end = max.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push('…');
}
