//! A verdict in small: counts, the chosen, and the nearest of the rest.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::text;
use crate::verdict::{MemberState, MemberVerdict, Outcome, Verdict};

/// What fits into a status: the whole table is the verdict itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// `Placed`, `Rejected` or `Waiting`.
    pub outcome: String,
    /// The code of the reason; empty when it is placed.
    pub reason: String,
    /// The reason as a sentence; where it goes when it is placed.
    pub message: String,
    /// Members that were looked at.
    pub evaluated: u32,
    /// Members that no hard rule refuses, the chosen among them.
    pub feasible: u32,
    /// How many members each reason refuses, by its code.
    pub refused: BTreeMap<String, u32>,
    /// The chosen, then the nearest of the rest.
    pub members: Vec<MemberVerdict>,
    /// How many chosen members are left out for want of room.
    pub chosen_left_out: u32,
}

/// The verdict in small, with at most `nearest` members that are not chosen, and so few members
/// that its JSON is at most `max_bytes` long.
pub fn summarize(verdict: &Verdict, nearest: usize, max_bytes: usize) -> Summary {
    let (chosen, mut others): (Vec<&MemberVerdict>, Vec<&MemberVerdict>) = verdict
        .members
        .iter()
        .partition(|member| member.state == MemberState::Chosen);
    others.sort_by_cached_key(|member| distance(member));
    let chosen_count = chosen.len();
    let shown = chosen.into_iter().chain(others.into_iter().take(nearest));
    let reason = verdict.outcome.reason();
    let mut summary = Summary {
        outcome: verdict.outcome.code().to_owned(),
        reason: reason
            .map(|reason| reason.code().to_owned())
            .unwrap_or_default(),
        message: match &verdict.outcome {
            Outcome::Placed(_) => text::verdict(verdict),
            Outcome::Rejected(reason) | Outcome::Waiting(reason) => text::workload_reason(reason),
        },
        evaluated: verdict.evaluated,
        feasible: verdict.feasible,
        refused: verdict.refused.clone(),
        members: shown.cloned().collect(),
        chosen_left_out: 0,
    };
    while bytes(&summary) > max_bytes && summary.members.pop().is_some() {
        let kept = summary.members.len().min(chosen_count);
        summary.chosen_left_out = count(chosen_count.saturating_sub(kept));
    }
    summary
}

/// What is said of one member in one line: its scores and tier, or all that refuses it.
pub fn detail(verdict: &Verdict, member: &MemberVerdict) -> String {
    let mut parts = Vec::new();
    if member.state != MemberState::Filtered {
        if let Some(scores) = member.scores {
            let weights = verdict.weights;
            let all = [
                weights.balance,
                weights.stability,
                weights.cost,
                weights.preference,
            ];
            let all = all
                .iter()
                .fold(0_u64, |sum, weight| sum.saturating_add(u64::from(*weight)));
            let share = |score: u8, weight: u32| {
                let weight = if all == 0 { 1 } else { u64::from(weight) };
                let whole = if all == 0 { 4 } else { all };
                u64::from(score)
                    .saturating_mul(weight)
                    .checked_div(whole)
                    .unwrap_or(0)
            };
            parts.push(format!(
                "balance {} · stay {} · cost {} · preference {}",
                share(scores.balance, weights.balance),
                share(scores.stability, weights.stability),
                share(scores.cost, weights.cost),
                share(scores.preference, weights.preference),
            ));
        }
        parts.extend(member.tier.as_ref().map(|tier| format!("tier {tier}")));
        parts.extend(flavors(verdict, member));
    }
    parts.extend(member.refusals.iter().map(|refusal| {
        let said = text::refusal(refusal);
        match text::unblocked_by(refusal) {
            event if event.is_empty() => said,
            event => format!("{said}; unblocked by {event}"),
        }
    }));
    parts.join(" · ")
}

/// The flavors that are taken on a member.
fn flavors(verdict: &Verdict, member: &MemberVerdict) -> Option<String> {
    let placed = verdict.outcome.placed()?;
    let here = placed
        .assignments
        .iter()
        .filter(|of| of.member == member.member);
    let flavors: BTreeSet<&str> = here.map(|of| of.flavor.as_str()).collect();
    (!flavors.is_empty()).then(|| flavors.into_iter().collect::<Vec<_>>().join(", "))
}

/// How far a member is from being chosen: feasible by score, then what time may cure, then by the
/// number of rules that refuse it.
fn distance(member: &MemberVerdict) -> (bool, bool, usize, u8, String) {
    let filtered = member.state == MemberState::Filtered;
    let lasting = !member
        .refusals
        .iter()
        .all(|refusal| refusal.reason.kind().is_passing());
    let score = member.scores.map_or(0, |scores| scores.total);
    (
        filtered,
        lasting,
        member.refusals.len(),
        u8::MAX.saturating_sub(score),
        member.member.clone(),
    )
}

fn bytes(summary: &Summary) -> usize {
    serde_json::to_string(summary).map_or(usize::MAX, |text| text.len())
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{bytes, detail, summarize};
    use crate::fixtures::{component, decide, member, request, with, world};

    #[test]
    fn a_summary_has_the_chosen_and_the_nearest() {
        let mut members: Vec<_> = (0..40)
            .map(|index| member(&format!("m{index:02}"), "arm", 1, 4))
            .collect();
        for far in members.iter_mut().skip(2) {
            far.zone = "internet".to_owned();
        }
        let snapshot = with(world(), members);
        let mut app = request("app", vec![component("web", 3, 1000)]);
        app.placement.requirements.zone = Some("cegn-common".to_owned());
        let verdict = decide(&snapshot, &app);
        let summary = summarize(&verdict, 10, 8192);
        assert_eq!((summary.evaluated, summary.feasible), (40, 2));
        assert_eq!(summary.refused["Zone"], 38);
        assert_eq!(summary.members.len(), 11);
        assert_eq!(summary.message, "Placed on m00:3");
        assert_eq!(summary.members[1].member, "m01");
        assert!(detail(&verdict, &summary.members[0]).starts_with("balance 40 · stay 0 · cost 20"));
        assert!(detail(&verdict, &summary.members[2]).starts_with("Zone: is in zone internet"));
        let small = summarize(&verdict, 10, 700);
        assert!(bytes(&small) <= 700);
    }
}
