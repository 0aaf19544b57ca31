//! In which affinity term a Workload stands, and what it waits for to go back to an earlier one.

use heyun_crds::placement::PlacementSpec;
use heyun_crds::query::WhyReturn;
use heyun_scheduler::text;
use heyun_scheduler::verdict::{MemberState, Verdict};

use crate::returns;

/// How far it is with going back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Back {
    /// A term holds all of it, and still must until then.
    From {
        /// The term.
        term: String,
        /// When the window is over.
        at: jiff::Timestamp,
    },
    /// A term has held all of it long enough, and something else keeps it.
    Held {
        /// The term.
        term: String,
        /// What it waits for.
        by: &'static str,
    },
    /// No window runs: the verdict on it if there were its first term alone; `None` where it is
    /// refused before it is scheduled.
    Lacks(Option<Box<Verdict>>),
}

/// What it waits for to go back; `None` where its placement says nothing of that.
pub fn back(placement: &PlacementSpec, state: &Back) -> Option<WhyReturn> {
    let wish = returns::wish(placement).ok()??;
    let first = placement.affinity.first()?.name.clone();
    let seconds = wish.after.as_secs();
    let mut told = WhyReturn {
        policy: format!("{:?}", placement.returning.policy),
        ..WhyReturn::default()
    };
    (told.term, told.message) = match state {
        Back::From { term, at } => {
            told.at = crate::decide::rfc3339(*at);
            let message = format!("at {}, if it holds all of it until then", told.at);
            (term.clone(), message)
        }
        Back::Held { term, by } => (term.clone(), format!("waits for {by}")),
        Back::Lacks(None) => (first, "waits until the Workload is accepted".to_owned()),
        Back::Lacks(Some(verdict)) if verdict.outcome.placed().is_some() => {
            let message = format!("when it has held all of it for {seconds} s");
            (first, message)
        }
        Back::Lacks(Some(verdict)) => (first, format!("not now: {}", text::verdict(verdict))),
    };
    Some(told)
}

/// The term that a placed Workload stands in, or those that it stands in.
pub(super) fn tier(verdict: &Verdict) -> String {
    if let Some(tier) = &verdict.tier {
        return tier.clone();
    }
    let chosen = verdict.members.iter();
    let chosen = chosen.filter(|member| member.state == MemberState::Chosen);
    let mut tiers: Vec<&str> = chosen.filter_map(|member| member.tier.as_deref()).collect();
    tiers.sort_unstable();
    tiers.dedup();
    tiers.join(" + ")
}
