//! Sentences from codes and numbers, in English. Nothing here decides.

use std::collections::{BTreeMap, BTreeSet};

use crate::quantity::format_amount;
use crate::request::{ComponentKind, LabelOp, LabelRequirement};
use crate::snapshot::TaintEffect;
use crate::verdict::{Authority, Outcome, Reason, Refusal, Verdict, WorkloadReason};

/// The most names that a sentence lists.
const NAMED: usize = 5;

/// What a refusal says, without its code: `needs 1 cpu, best node has 400m free`.
pub fn reason(reason: &Reason) -> String {
    match reason {
        Reason::NotReady { seconds, tolerated } => {
            format!("not ready for {seconds} s (tolerated {tolerated} s)")
        }
        Reason::Unreachable { seconds } => {
            format!("does not answer for {seconds} s; what it runs is kept")
        }
        Reason::NeverSeen => "nothing has been heard of it yet".to_owned(),
        Reason::Unschedulable => "is cordoned".to_owned(),
        Reason::Taint { key, value, effect } => {
            format!("taint {} is not tolerated", taint(key, value, *effect))
        }
        Reason::NotSelected => "no affinity term selects it".to_owned(),
        Reason::Excluded => "the placement excludes it".to_owned(),
        Reason::ApiMissing { api } => format!("does not serve {api}"),
        Reason::ApisUnknown => "the APIs it serves are not known yet".to_owned(),
        Reason::Architecture {
            component,
            needs,
            has,
        } => {
            format!(
                "{component} runs on {}, its nodes are {}",
                names(needs),
                names(has)
            )
        }
        Reason::Zone { zone, allowed } => {
            format!("is in zone {}, allowed is {}", named(zone), names(allowed))
        }
        Reason::MlpsLevel { level, required } => format!("{level} is below {required}"),
        Reason::MlpsNotFiled { required } => {
            format!("has no MLPS filing, level {required} is required")
        }
        Reason::MlpsExpired { valid_until } => {
            format!("its MLPS filing was valid until {}", date(*valid_until))
        }
        Reason::Residency { region, allowed } => {
            format!("stands in {}, allowed is {}", named(region), names(allowed))
        }
        Reason::Provider { provider, allowed } => {
            format!(
                "is of provider {}, allowed is {}",
                named(provider),
                names(allowed)
            )
        }
        Reason::ClassMissing { class } => format!("has no class {class}"),
        Reason::NoTopology { key } => format!("has no value for {key}"),
        Reason::NoWeight => "the division gives it no replicas".to_owned(),
        _ => capacity_reason(reason),
    }
}

fn capacity_reason(reason: &Reason) -> String {
    match reason {
        Reason::FlavorMissing { allowed, has } => {
            let allowed: BTreeSet<String> = allowed.iter().cloned().collect();
            format!("has flavors {}, allowed is {}", names(has), names(&allowed))
        }
        Reason::NoSketch => "has reported no capacity yet".to_owned(),
        Reason::SketchLabel { component, key } => {
            format!("its sketch does not report node label {key} yet, which {component} names")
        }
        Reason::NoNodeMatches { component } => {
            format!("no node matches the selectors and tolerations of {component}")
        }
        Reason::Capacity {
            component,
            resource,
            needed,
            best_free,
            fits,
            wanted,
        } => {
            if needed > best_free {
                format!(
                    "{component} needs {} {resource}, best node has {} free",
                    format_amount(resource, *needed),
                    format_amount(resource, *best_free),
                )
            } else {
                format!("holds {fits} more of {component}, {wanted} wanted")
            }
        }
        Reason::BelowMinimum {
            component,
            fits,
            min,
        } => {
            format!("holds {fits} of {component}, a member takes at least {min}")
        }
        Reason::Utilization { .. } => red_line(reason),
        _ => neighbour_reason(reason),
    }
}

fn neighbour_reason(reason: &Reason) -> String {
    match reason {
        Reason::NoNeighbour {
            selector,
            key,
            group,
        } => {
            let selector = self::selector(selector);
            format!("no workload that {selector} selects has replicas in {key} {group}")
        }
        Reason::Neighbour {
            workload,
            selector,
            key,
            group,
            leaving,
        } => {
            let is = if *leaving {
                "is still leaving"
            } else {
                "has replicas in"
            };
            let selector = self::selector(selector);
            format!("{workload}, which {selector} selects, {is} {key} {group}")
        }
        Reason::KeptOut {
            workload,
            selector,
            key,
            group,
        } => {
            let selector = self::selector(selector);
            format!("{workload} keeps what {selector} selects out of {key} {group}")
        }
        other => other.code().to_owned(),
    }
}

/// `Deployment/web needs 2 × 1 cpu, the red line is 85% of 16 and 12.6 are requested`.
fn red_line(reason: &Reason) -> String {
    let Reason::Utilization {
        component,
        resource,
        percent,
        allocatable,
        requested,
        needed,
        wanted,
    } = reason
    else {
        return String::new();
    };
    let amount = |amount| format_amount(resource, amount);
    let times = if *wanted > 1 {
        format!("{wanted} × ")
    } else {
        String::new()
    };
    let needs = format!("{component} needs {times}{} {resource}", amount(*needed));
    match allocatable {
        Some(all) => format!(
            "{needs}, the red line is {percent}% of {} and {} is requested",
            amount(*all),
            amount(*requested)
        ),
        None => format!(
            "{needs}, the red line is {percent}% of what is allocatable, which its agent does not \
             tell: upgrade it"
        ),
    }
}

/// A refusal with its code, and who may decide: `Residency: stands in shenzhen, …`.
pub fn refusal(refusal: &Refusal) -> String {
    let mut text = format!("{}: {}", refusal.reason.code(), reason(&refusal.reason));
    if let Some(authority) = &refusal.decided_by {
        text.push_str("; decided by: ");
        text.push_str(&self::authority(authority));
    }
    text
}

/// What would unblock a refused member, in words; empty when nothing but the owner's own change.
pub fn unblocked_by(refusal: &Refusal) -> String {
    match &refusal.reason {
        Reason::NotReady { .. } | Reason::Unreachable { .. } | Reason::NeverSeen => {
            "when it is back".to_owned()
        }
        Reason::Unschedulable => "when it is uncordoned".to_owned(),
        Reason::Capacity {
            resource,
            needed,
            best_free,
            fits,
            wanted,
            ..
        } => {
            if needed > best_free {
                format!(
                    "{} {resource} free on one node",
                    format_amount(resource, *needed)
                )
            } else {
                format!("room for {} more replicas", wanted.saturating_sub(*fits))
            }
        }
        Reason::Utilization {
            resource, percent, ..
        } => format!("less requested there, or maxUtilization of {resource} above {percent}%"),
        Reason::NoSketch | Reason::ApisUnknown | Reason::SketchLabel { .. } => {
            "when it reports".to_owned()
        }
        Reason::MlpsExpired { .. } => "a renewed filing".to_owned(),
        Reason::ClassMissing { class } => format!("a class map entry for {class}"),
        Reason::ApiMissing { api } => format!("{api} installed on it"),
        Reason::FlavorMissing { .. } => "a node of such a flavor".to_owned(),
        Reason::NoNodeMatches { .. } => "a node that matches".to_owned(),
        Reason::NoNeighbour { .. } => "such a workload there".to_owned(),
        Reason::Neighbour { workload, .. } | Reason::KeptOut { workload, .. } => {
            format!("when {workload} is gone from there")
        }
        _ => String::new(),
    }
}

/// Who may decide: `guangzhou security administrators`.
pub fn authority(authority: &Authority) -> String {
    match authority {
        Authority::SecurityAdministrators { tenant } => {
            format!("{tenant} security administrators")
        }
        Authority::PlatformAdministrators => "platform administrators".to_owned(),
        Authority::MemberOperator { operator } if operator.is_empty() => {
            "whoever runs the member".to_owned()
        }
        Authority::MemberOperator { operator } => format!("{operator}, who runs the member"),
    }
}

/// Why a workload as a whole is not placed, without its code.
pub fn workload_reason(reason: &WorkloadReason) -> String {
    match reason {
        WorkloadReason::Invalid { problem } => problem.clone(),
        WorkloadReason::TenantUnknown { tenant } => {
            format!("tenant {tenant} does not exist or has no place in the tree")
        }
        WorkloadReason::NoMembers => "there is no member cluster yet".to_owned(),
        WorkloadReason::NoMemberFits { refused } => {
            format!("no member fits: {}", counts(refused))
        }
        WorkloadReason::NoCapacity {
            component,
            needed,
            fits,
        } => format!(
            "{component} has {needed} replicas to place, {fits} fit on the members that are left"
        ),
        WorkloadReason::QuotaExceeded(shortfall) | WorkloadReason::Oversubscribed(shortfall) => {
            shortfall.to_string()
        }
        WorkloadReason::DivisionUnsatisfiable {
            component,
            replicas,
            members,
        } => format!(
            "{replicas} replicas of {component} cannot be divided over {members} members within \
             the bounds per member"
        ),
        WorkloadReason::SpreadUnsatisfiable {
            key,
            within,
            component,
            groups,
            replicas,
        } => {
            let within = within.as_ref().map(|outer| format!(" within {outer}"));
            let within = within.unwrap_or_default();
            format!(
                "{replicas} replicas of {component} cannot be spread over {key}{within} as asked: \
                 {groups} groups have room"
            )
        }
        WorkloadReason::ComponentsUnsatisfiable {
            rule,
            key,
            components,
            groups,
        } => together_or_apart(*rule, key, &listed(components), *groups),
        WorkloadReason::NoNeighbour { selector, key } => format!(
            "it is to be near workloads that {} selects, by {key}, and no other of the tenant has \
             replicas",
            self::selector(selector)
        ),
        WorkloadReason::DataPinned { component, member } => format!(
            "{component} holds data on {member} and stays there; give placement.data to let it move"
        ),
        WorkloadReason::SketchLabel { key } => {
            format!("no sketch reports node label {key} yet")
        }
        WorkloadReason::Preempting { own, others } => preempting(own, *others),
    }
}

fn preempting(own: &BTreeSet<String>, others: u32) -> String {
    let mut parts = Vec::new();
    if !own.is_empty() {
        parts.push(names(own));
    }
    if others > 0 {
        parts.push(format!("{others} of other tenants"));
    }
    if parts.is_empty() {
        return "what others are giving up will be enough: waits until it is gone".to_owned();
    }
    let who = parts.join(" and ");
    format!("{who} make room for it: waits until they are gone")
}

fn together_or_apart(rule: ComponentKind, key: &str, components: &str, groups: i64) -> String {
    match rule {
        ComponentKind::Together => format!(
            "{components} cannot stand together in one group of {key}: {groups} groups have members \
             that are left, none holds all replicas; room for all of them in one group would help"
        ),
        ComponentKind::Apart => format!(
            "{components} cannot stand apart over {key}: {groups} groups have members that are left, \
             too few to hold each component in groups of its own; a further group or room in one \
             would help"
        ),
    }
}

/// Conditions on labels as kubectl writes them: `app=db,tier in (a,b),!test`.
pub fn selector(conditions: &[LabelRequirement]) -> String {
    let each = conditions.iter().map(|of| {
        let (key, values) = (&of.key, of.values.join(","));
        match of.op {
            LabelOp::In if of.values.len() == 1 => format!("{key}={values}"),
            LabelOp::NotIn if of.values.len() == 1 => format!("{key}!={values}"),
            LabelOp::In => format!("{key} in ({values})"),
            LabelOp::NotIn => format!("{key} notin ({values})"),
            LabelOp::Exists => key.clone(),
            LabelOp::DoesNotExist => format!("!{key}"),
            LabelOp::Gt => format!("{key}>{values}"),
            LabelOp::Lt => format!("{key}<{values}"),
        }
    });
    let all: Vec<String> = each.collect();
    if all.is_empty() {
        return "an empty selector".to_owned();
    }
    all.join(",")
}

/// One line for a verdict: `Placed on guangzhou-1:8, province-a:4` or `QuotaExceeded: …`.
pub fn verdict(verdict: &Verdict) -> String {
    match &verdict.outcome {
        Outcome::Placed(placed) => {
            let mut per_member: BTreeMap<&str, i64> = BTreeMap::new();
            for assignment in &placed.assignments {
                let sum = per_member.entry(&assignment.member).or_default();
                *sum = sum.saturating_add(assignment.replicas);
            }
            for member in &placed.carried_to {
                per_member.entry(member).or_default();
            }
            let parts: Vec<String> = per_member
                .iter()
                .map(|(member, sum)| format!("{member}:{sum}"))
                .collect();
            format!("Placed on {}", listed(&parts))
        }
        Outcome::Rejected(reason) | Outcome::Waiting(reason) => {
            format!("{}: {}", reason.code(), workload_reason(reason))
        }
    }
}

fn taint(key: &str, value: &str, effect: TaintEffect) -> String {
    let effect = match effect {
        TaintEffect::PreferNoSchedule => "PreferNoSchedule",
        TaintEffect::NoSchedule => "NoSchedule",
        TaintEffect::NoExecute => "NoExecute",
    };
    if value.is_empty() {
        format!("{key}:{effect}")
    } else {
        format!("{key}={value}:{effect}")
    }
}

fn counts(refused: &BTreeMap<String, u32>) -> String {
    let mut parts: Vec<(&String, &u32)> = refused.iter().collect();
    parts.sort_by(|left, right| right.1.cmp(left.1).then(left.0.cmp(right.0)));
    let parts: Vec<String> = parts
        .into_iter()
        .map(|(code, count)| format!("{code} {count}"))
        .collect();
    listed(&parts)
}

fn names(set: &BTreeSet<String>) -> String {
    let parts: Vec<String> = set.iter().take(NAMED.saturating_add(1)).cloned().collect();
    if parts.is_empty() {
        "none".to_owned()
    } else {
        listed(&parts)
    }
}

fn listed(parts: &[String]) -> String {
    let shown: Vec<&str> = parts.iter().take(NAMED).map(String::as_str).collect();
    let more = if parts.len() > NAMED { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

fn named(name: &str) -> &str {
    if name.is_empty() {
        "an unknown place"
    } else {
        name
    }
}

/// The UTC date of a second since 1970, by the civil calendar.
fn date(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400).saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::{date, reason};
    use crate::verdict::Reason;

    #[test]
    fn dates_follow_the_civil_calendar() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(date(1_814_313_600), "2027-06-30");
        assert_eq!(date(-1), "1969-12-31");
    }

    #[test]
    fn capacity_names_the_best_node() {
        let capacity = Reason::Capacity {
            component: "Deployment/web".to_owned(),
            resource: "cpu".to_owned(),
            needed: 1000,
            best_free: 400,
            fits: 0,
            wanted: 1,
        };
        assert_eq!(
            reason(&capacity),
            "Deployment/web needs 1 cpu, best node has 400m free"
        );
    }
}
