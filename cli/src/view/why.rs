//! `heyun why` and `heyun simulate`: one type, one table.

use std::fmt::Write as _;

use heyun_crds::query::{
    DecisionHistory, DecisionRecord, Why, WhyFinished, WhyMember, WhyQueue, WhyRefusal, WhyScore,
};

use super::table::Grid;
use super::{NONE, count};

/// A hash is shown by its beginning.
const SHORT: usize = 12;

/// The whole answer: head line, table of members, what was not checked.
pub fn text(why: &Why, with_headers: bool) -> String {
    let mut text = head(why);
    if let Some(queue) = &why.queue {
        text.push_str(&queued(queue));
    }
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
    let told = why.members.len();
    let looked_at = usize::try_from(why.evaluated).unwrap_or(told);
    if looked_at > told {
        parts.push(format!("{told} of {}", count(looked_at, "member")));
    } else {
        parts.push(count(told, "member"));
    }
    if !why.decided_at.is_empty() {
        parts.push(format!("decided {}", why.decided_at));
    }
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
    if !why.tier.is_empty() {
        let _ = writeln!(text, "{}", standing(why));
    }
    if !why.in_force.is_empty() {
        let _ = writeln!(text, "Still in force: decision {}", short(&why.in_force));
    }
    if !why.preempted.is_empty() {
        let _ = writeln!(text, "Preempted: {}", why.preempted);
    }
    for part in &why.finished {
        let _ = writeln!(text, "Finished: {}", finished(part));
    }
    text
}

/// What ended where, how and when.
fn finished(part: &WhyFinished) -> String {
    let mut line = format!("{} on {}: {}", part.component, part.member, part.state);
    if !part.at.is_empty() {
        let _ = write!(line, " since {}", part.at);
    }
    let _ = write!(
        line,
        " · charged no more, and not made again for generation {}",
        part.generation
    );
    line
}

/// The term it stands in, and what it waits for to go back to an earlier one.
fn standing(why: &Why) -> String {
    let mut line = format!("In term {}", why.tier);
    if let Some(back) = &why.back {
        let _ = write!(
            line,
            " · back to {} ({}): {}",
            back.term, back.policy, back.message
        );
    }
    line
}

/// Where it stands among those that wait, who stands before it, and what it waits for.
fn queued(queue: &WhyQueue) -> String {
    let mut parts = vec![format!(
        "In the queue: {} of {}",
        queue.position, queue.waiting
    )];
    let mut before: Vec<String> = queue.before.clone();
    match queue.before_unnamed {
        0 => {}
        1 if before.is_empty() => before.push("one of another tenant".to_owned()),
        more if before.is_empty() => before.push(format!("{more} of other tenants")),
        more => before.push(format!("{more} more")),
    }
    if !before.is_empty() {
        parts.push(format!("before it, for the same: {}", before.join(", ")));
    }
    if queue.awaits.is_empty() && !queue.unblocked_by.is_empty() {
        parts.push(format!(
            "decided again on {}",
            queue.unblocked_by.join(", ")
        ));
    }
    let mut text = format!("{}\n", parts.join(" · "));
    if !queue.awaits.is_empty() {
        let _ = writeln!(text, "Decided again when: {}", queue.awaits.join("; "));
    }
    text
}

/// What is said of the members that are left, each on lines of its own and nothing shortened.
pub fn in_full(why: &Why) -> String {
    let mut text = head(why);
    for member in &why.members {
        let _ = writeln!(text, "\n{}: {}", member.member, member.verdict);
        for part in &member.replicas {
            let _ = writeln!(
                text,
                "  {} of {} on {}",
                part.replicas, part.component, part.flavor
            );
        }
        if !member.tier.is_empty() {
            let _ = writeln!(text, "  tier {}", member.tier);
        }
        if let Some(total) = member.score {
            let _ = writeln!(text, "  score {total} of 100");
        }
        for score in &member.scores {
            let _ = writeln!(
                text,
                "    {} {} (weight {}){}",
                score.name,
                score.points,
                score.weight,
                noted(score)
            );
        }
        for refused in &member.refusals {
            let _ = writeln!(text, "  refused: {}", refusal(refused));
        }
        for unchecked in &member.unchecked {
            let _ = writeln!(text, "  not checked, left to the member: {unchecked}");
        }
    }
    text
}

/// A line for each decision.
pub fn history(history: &DecisionHistory, with_headers: bool) -> String {
    let headers = ["DECIDED", "DECISION", "GENERATION", "OUTCOME", "MEMBERS"];
    let mut grid = Grid::new(&headers).right(&[2]);
    for item in &history.items {
        grid.row([
            item.decided_at.clone(),
            item.decision.clone(),
            item.generation.to_string(),
            if item.reason.is_empty() {
                item.outcome.clone()
            } else {
                format!("{}: {}", item.outcome, item.reason)
            },
            members(item),
        ]);
    }
    if grid.is_empty() {
        return String::new();
    }
    grid.text(with_headers)
}

fn members(item: &DecisionRecord) -> String {
    if item.members.is_empty() {
        return NONE.to_owned();
    }
    let each = item.members.iter();
    let each: Vec<String> = each.map(|(name, n)| format!("{name}:{n}")).collect();
    each.join(", ")
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
            .map(|score| {
                let WhyScore {
                    name,
                    points,
                    weight,
                    ..
                } = score;
                format!("{name} {points}×{weight}{}", noted(score))
            }),
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

/// What the points stand for, where it is not what they measure: `, no price`.
fn noted(score: &WhyScore) -> String {
    if score.note.is_empty() {
        return String::new();
    }
    format!(", {}", score.note)
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
