//! Going back to an earlier affinity term: who could, and by which policy.

use std::time::Duration;

use heyun_crds::conditions::{ConditionType, is_true};
use heyun_crds::placement::{PlacementSpec, ReturnPolicy};
use heyun_crds::workload::{Decision, WorkloadStatus};
use heyun_scheduler::request::Request;

use crate::finished;
use crate::interpret::ManifestError;

/// How long the earlier term must hold all of a Workload where its placement does not say.
pub const AFTER_DEFAULT: Duration = Duration::from_mins(5);
/// The shortest and the longest that a placement may say.
const AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_hours(168));

/// When a Workload goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Only if what it takes is idle.
    pub when_idle: bool,
    /// How long the earlier term must hold all of it without a break.
    pub after: Duration,
}

/// What a placement says of going back; `None` where a Workload stays in its term. An error names
/// the value and the fix.
pub fn wish(placement: &PlacementSpec) -> Result<Option<Wish>, ManifestError> {
    let said = &placement.returning;
    let when_idle = match said.policy {
        ReturnPolicy::Never => return Ok(None),
        ReturnPolicy::WhenIdle => true,
        ReturnPolicy::Always => false,
    };
    if placement.affinity.len() < 2 {
        return Err(ManifestError::invalid(
            "placement.return.policy",
            format!("{:?} has no earlier term to go back to", said.policy),
            "write two terms or more in affinity, or leave return out",
        ));
    }
    let after = match &said.after {
        None => Some(AFTER_DEFAULT),
        Some(text) => duration(text).filter(|time| (AFTER.0..=AFTER.1).contains(time)),
    };
    match after {
        Some(after) => Ok(Some(Wish { when_idle, after })),
        None => Err(ManifestError::invalid(
            "placement.return.after",
            format!(
                "'{}' is no time from 1s to 168h",
                said.after.as_deref().unwrap_or_default()
            ),
            "write it as 30s, 5m or 1h30m",
        )),
    }
}

/// Whether a decision could be bettered by going back: it is not known to stand in the first term.
pub fn could(placement: &PlacementSpec, decision: &Decision) -> bool {
    let first = placement.affinity.first();
    !finished::is_over(decision) && first.is_some_and(|first| first.name != decision.tier)
}

/// Whether going back is over: nothing is released any more that a member could still confirm, and
/// all of the Workload is ready. `is_away` tells of members that do not answer.
pub fn is_over(status: &WorkloadStatus, is_away: impl Fn(&str) -> bool) -> bool {
    let Some(decision) = &status.decision else {
        return true;
    };
    let mut releasing = decision.releasing.iter();
    releasing.all(|part| is_away(&part.member)) && is_true(&status.conditions, ConditionType::Ready)
}

/// The same Workload with its first term alone: what refuses it there is what that term lacks.
pub fn in_first_term(request: &Request) -> Request {
    let mut alone = request.clone();
    alone.placement.affinity.truncate(1);
    alone
}

/// A time as `1h30m`: hours, minutes and seconds in this order, each at most once.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds: u64 = 0;
    for (unit, each) in [('h', 3600), ('m', 60), ('s', 1)] {
        let Some((number, after)) = rest.split_once(unit) else {
            continue;
        };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u64 = number.parse().ok()?;
        seconds = seconds.checked_add(number.checked_mul(each)?)?;
        rest = after;
    }
    (rest.is_empty() && !text.is_empty()).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use heyun_crds::conditions::set_condition;
    use heyun_crds::placement::{AffinityTerm, Return};
    use heyun_crds::workload::Assignment;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn placement(policy: ReturnPolicy, after: Option<&str>) -> PlacementSpec {
        let term = |name: &str| AffinityTerm {
            name: name.to_owned(),
            ..AffinityTerm::default()
        };
        PlacementSpec {
            affinity: vec![term("home"), term("province")],
            returning: Return {
                policy,
                after: after.map(str::to_owned),
            },
            ..PlacementSpec::default()
        }
    }

    #[test]
    fn a_wish_has_a_policy_and_a_time() {
        assert_eq!(wish(&PlacementSpec::default()), Ok(None));
        assert_eq!(wish(&placement(ReturnPolicy::Never, None)), Ok(None));
        let found = |policy, after| wish(&placement(policy, after)).unwrap().unwrap();
        let always = found(ReturnPolicy::Always, None);
        assert_eq!((always.when_idle, always.after), (false, AFTER_DEFAULT));
        for (text, seconds) in [
            ("1s", 1),
            ("90s", 90),
            ("1h1s", 3601),
            ("1h30m", 5400),
            ("168h", 604_800),
        ] {
            let idle = found(ReturnPolicy::WhenIdle, Some(text));
            assert_eq!(
                (idle.when_idle, idle.after.as_secs()),
                (true, seconds),
                "{text}"
            );
        }
    }

    #[test]
    fn a_wish_that_cannot_be_is_refused_with_the_fix() {
        for text in [
            "",
            "0s",
            "5",
            "m",
            "5m5h",
            "1.5h",
            "-1s",
            "5 m",
            "1h1h",
            "168h1s",
            "99999999999999999999s",
        ] {
            let refused = wish(&placement(ReturnPolicy::Always, Some(text))).unwrap_err();
            let said = format!(
                "placement.return.after: '{text}' is no time from 1s to 168h; write it as 30s, 5m or 1h30m"
            );
            assert_eq!(refused.to_string(), said);
        }
        let mut alone = placement(ReturnPolicy::WhenIdle, None);
        alone.affinity.pop();
        let refused = wish(&alone).unwrap_err().to_string();
        assert!(
            refused.contains("WhenIdle has no earlier term to go back to"),
            "{refused}"
        );
    }

    #[test]
    fn whoever_is_not_known_to_stand_in_the_first_term_could_go_back() {
        let placement = placement(ReturnPolicy::Always, None);
        let in_tier = |tier: &str| Decision {
            tier: tier.to_owned(),
            ..Decision::default()
        };
        assert!(!could(&placement, &in_tier("home")));
        // The other term, several of them, or a decision from before there was a tier.
        assert!(could(&placement, &in_tier("province")));
        assert!(could(&placement, &in_tier("")));
        assert!(!could(&PlacementSpec::default(), &in_tier("")));
    }

    #[test]
    fn going_back_is_over_when_all_is_ready_and_nothing_is_released() {
        let part = Assignment {
            member: "far".to_owned(),
            ..Assignment::default()
        };
        let mut status = WorkloadStatus {
            decision: Some(Decision {
                releasing: vec![part],
                ..Decision::default()
            }),
            ..WorkloadStatus::default()
        };
        let ready = |status: &mut WorkloadStatus, ready| {
            let now = Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH);
            let conditions = &mut status.conditions;
            set_condition(
                conditions,
                ConditionType::Ready,
                Some(ready),
                "",
                "",
                Some(1),
                &now,
            );
        };
        ready(&mut status, true);
        assert!(!is_over(&status, |_| false));
        assert!(
            is_over(&status, |member| member == "far"),
            "it cannot confirm"
        );
        status.decision.as_mut().unwrap().releasing.clear();
        assert!(is_over(&status, |_| false));
        ready(&mut status, false);
        assert!(!is_over(&status, |_| false));
        status.decision = None;
        assert!(is_over(&status, |_| false));
    }
}
