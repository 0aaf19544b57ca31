//! `heyun why` and `heyun simulate`: one type, one table.

use std::fmt::Write as _;

use heyun_crds::query::{Why, WhyMember, WhyRefusal};

use super::table::Grid;
use super::{NONE, count};

/// A hash is shown by its beginning.
const SHORT: usize = 12;

/// The whole answer: head line, table of members, what was not checked.
pub fn text(why: &Why, with_headers: bool) -> String {
    let mut text = head(why);
    let mut grid = Grid::new(&["MEMBER", "REPLICAS", "VERDICT", "SCORE", "DETAIL"]).right(&[]);
    for member in &why.members {
        grid.row([
            member.member.clone(),
            replicas(member),
            member.verdict.clone(),
            member
                .score
                .map_or_else(|| NONE.to_owned(), |score| score.to_string()),
            detail(member),
        ]);
    }
    if !grid.is_empty() {
        text.push_str(&grid.text(with_headers));
    }
    let mut unchecked: Vec<&str> = why
        .members
        .iter()
        .flat_map(|m| &m.unchecked)
        .map(String::as_str)
        .collect();
    unchecked.sort_unstable();
    unchecked.dedup();
    if !unchecked.is_empty() {
        let _ = writeln!(
            text,
            "Not checked, left to the member: {}",
            unchecked.join("; ")
        );
    }
    text
}

fn head(why: &Why) -> String {
    let decision = if why.decision.is_empty() {
        "No decision".to_owned()
    } else {
        format!("Decision {}", short(&why.decision))
    };
    let mut parts = vec![decision, format!("generation {}", why.generation)];
    if !why.tenant.is_empty() {
        parts.push(format!("tenant {}", why.tenant));
    }
    parts.push(count(why.members.len(), "member"));
    if !why.inputs_hash.is_empty() {
        parts.push(format!("inputs {}", short(&why.inputs_hash)));
    }
    let mut text = format!("{}\n", parts.join(" · "));
    let outcome = match (why.message.is_empty(), why.reason.is_empty()) {
        (true, true) => why.outcome.clone(),
        (true, false) => format!("{}: {}", why.outcome, why.reason),
        // A placed one says so itself, and has no reason.
        (false, true) => why.message.clone(),
        (false, false) => format!("{}: {}: {}", why.outcome, why.reason, why.message),
    };
    text.push_str(&outcome);
    text.push('\n');
    text
}

fn short(hash: &str) -> &str {
    hash.get(..SHORT).unwrap_or(hash)
}

fn replicas(member: &WhyMember) -> String {
    if member.replicas.is_empty() {
        return NONE.to_owned();
    }
    member
        .replicas
        .iter()
        .map(|part| u64::from(part.replicas))
        .sum::<u64>()
        .to_string()
}

fn detail(member: &WhyMember) -> String {
    let mut parts = Vec::new();
    if member.replicas.len() > 1 {
        let each = |part: &heyun_crds::query::WhyReplicas| {
            format!("{} {} on {}", part.component, part.replicas, part.flavor)
        };
        let each: Vec<String> = member.replicas.iter().map(each).collect();
        parts.push(each.join(", "));
    } else if let Some(part) = member.replicas.first() {
        parts.push(part.flavor.clone());
    }
    if !member.tier.is_empty() {
        parts.push(format!("tier {}", member.tier));
    }
    parts.extend(
        member
            .scores
            .iter()
            .filter(|score| score.weight > 0)
            .map(|score| format!("{} {}×{}", score.name, score.points, score.weight)),
    );
    let refusals: Vec<String> = member.refusals.iter().map(refusal).collect();
    if refusals.is_empty() {
        return parts.join(" · ");
    }
    // A chosen member can be refused too: it keeps what it has and gets nothing new.
    if !parts.is_empty() {
        parts.push("nothing new".to_owned());
        return format!("{}: {}", parts.join(" · "), refusals.join("; "));
    }
    refusals.join("; ")
}

fn refusal(refusal: &WhyRefusal) -> String {
    let mut text = format!("{}: {}", refusal.reason, refusal.message);
    if let Some(when) = refusal.unblocked_by.strip_prefix("when ") {
        let _ = write!(text, ", unblocked when {when}");
    } else if !refusal.unblocked_by.is_empty() {
        let _ = write!(text, ", unblocked by {}", refusal.unblocked_by);
    }
    if !refusal.decided_by.is_empty() {
        let _ = write!(text, ", decided by {}", refusal.decided_by);
    }
    text
}
