//! The arithmetic of usage: steps to amount-seconds in hours. No database, no clock.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::LedgerError;

/// Microseconds in a second.
pub(crate) const SECOND_US: i64 = 1_000_000;

/// Seconds in an hour.
pub(crate) const HOUR_S: i64 = 3_600;

/// A step as it is read: workload_uid, member, flavor, resource, tenant, at_us, amount.
pub(crate) type StepRow = (String, String, String, String, String, i64, i64);

/// Which amount of whom: hour, then tenant, flavor, member, resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HourKey {
    pub(crate) hour_s: i64,
    pub(crate) tenant: String,
    pub(crate) flavor: String,
    pub(crate) member: String,
    pub(crate) resource: String,
}

/// Amount-seconds. Wide, because the sum over all workloads of a tenant may leave 64 bits.
pub(crate) type Hours = BTreeMap<HourKey, i128>;

/// The beginning of the hour that `at_s` is in.
pub(crate) fn hour_of(at_s: i64) -> i64 {
    at_s.div_euclid(HOUR_S).saturating_mul(HOUR_S)
}

/// The second that `at_us` is in.
pub(crate) fn second_of(at_us: i64) -> i64 {
    at_us.div_euclid(SECOND_US)
}

/// What the steps hold between `from_s` and `until_s`, by hour. `steps` are ordered by series
/// and, within it, by time, and begin with the last one before `from_s`.
pub(crate) fn integrate(steps: &[StepRow], from_s: i64, until_s: i64) -> Hours {
    let mut hours = Hours::new();
    for (index, step) in steps.iter().enumerate() {
        let next = steps
            .get(index.saturating_add(1))
            .filter(|next| same_series(step, next));
        let begin = second_of(step.5).max(from_s);
        let end = next.map_or(until_s, |next| second_of(next.5)).min(until_s);
        if step.6 != 0 {
            add(&mut hours, step, begin, end);
        }
    }
    hours
}

fn same_series(a: &StepRow, b: &StepRow) -> bool {
    (&a.0, &a.1, &a.2, &a.3) == (&b.0, &b.1, &b.2, &b.3)
}

/// Adds one amount from `begin` to `end`, cut at full hours.
fn add(hours: &mut Hours, step: &StepRow, begin: i64, end: i64) {
    let mut at = begin;
    while at < end {
        let hour_s = hour_of(at);
        let cut = hour_s.saturating_add(HOUR_S).min(end);
        let key = HourKey {
            hour_s,
            tenant: step.4.clone(),
            flavor: step.2.clone(),
            member: step.1.clone(),
            resource: step.3.clone(),
        };
        let seconds = i128::from(cut.saturating_sub(at));
        // 63 bits by 12 bits: no overflow, and 2^52 of them add up.
        *hours.entry(key).or_default() += i128::from(step.6) * seconds;
        at = cut;
    }
}

/// An hour as it is stored.
#[derive(Debug, Serialize)]
pub(crate) struct HourRow<'a> {
    hour_s: i64,
    tenant: &'a str,
    flavor: &'a str,
    member: &'a str,
    resource: &'a str,
    amount_hi: i64,
    amount_lo: i64,
}

impl<'a> HourRow<'a> {
    pub(crate) fn new(key: &'a HourKey, amount: i128) -> Result<Self, LedgerError> {
        let (amount_hi, amount_lo) = halves(amount)?;
        Ok(Self {
            hour_s: key.hour_s,
            tenant: &key.tenant,
            flavor: &key.flavor,
            member: &key.member,
            resource: &key.resource,
            amount_hi,
            amount_lo,
        })
    }
}

const HALF: i128 = 1 << 32;

fn halves(amount: i128) -> Result<(i64, i64), LedgerError> {
    let too_large = |_| LedgerError::Corrupt(format!("{amount} amount-seconds in one hour"));
    let hi = i64::try_from(amount.div_euclid(HALF)).map_err(too_large)?;
    let lo = i64::try_from(amount.rem_euclid(HALF)).map_err(too_large)?;
    Ok((hi, lo))
}

/// The amount of two halves, or of sums of halves.
pub(crate) fn whole(hi: i64, lo: i64) -> i128 {
    i128::from(hi) * HALF + i128::from(lo)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(series: u8, at_us: i64, amount: i64) -> StepRow {
        let text = |it: &str| it.to_owned();
        (
            format!("w{series}"),
            text("m"),
            text("f"),
            text("cpu"),
            text("t"),
            at_us,
            amount,
        )
    }

    fn total(hours: &Hours) -> i128 {
        hours.values().sum()
    }

    #[test]
    fn an_amount_is_cut_at_full_hours() {
        let steps = [
            step(0, 3_599 * SECOND_US, 1_000),
            step(0, 7_201 * SECOND_US, 0),
        ];
        let hours = integrate(&steps, 0, 10_800);
        let by_hour: Vec<(i64, i128)> = hours.iter().map(|(key, it)| (key.hour_s, *it)).collect();
        assert_eq!(by_hour, [(0, 1_000), (3_600, 3_600_000), (7_200, 1_000)]);
    }

    #[test]
    fn a_step_counts_from_the_beginning_of_its_second() {
        let steps = [step(0, 10_999_999, 5), step(0, 11_000_000, 0)];
        assert_eq!(total(&integrate(&steps, 0, 3_600)), 5);
        let steps = [step(0, 10_000_000, 5), step(0, 10_999_999, 0)];
        assert_eq!(total(&integrate(&steps, 0, 3_600)), 0);
    }

    #[test]
    fn the_largest_amounts_do_not_overflow() {
        let steps: Vec<StepRow> = (0..20).map(|n| step(n, 0, i64::MAX)).collect();
        let hours = integrate(&steps, 0, 3_600);
        assert_eq!(total(&hours), i128::from(i64::MAX) * 3_600 * 20);
        let (hi, lo) = halves(total(&hours)).unwrap();
        assert_eq!(whole(hi, lo), total(&hours));
    }

    proptest! {
        #[test]
        fn halves_make_the_whole_again_and_sums_of_halves_the_sum(
            a in -(1_i128 << 90)..(1_i128 << 90), b in -(1_i128 << 90)..(1_i128 << 90),
        ) {
            let ((a_hi, a_lo), (b_hi, b_lo)) = (halves(a).unwrap(), halves(b).unwrap());
            prop_assert_eq!(whole(a_hi, a_lo), a);
            prop_assert_eq!(whole(a_hi + b_hi, a_lo + b_lo), a + b);
        }

        /// The oracle looks at each second alone and asks which step stands then.
        #[test]
        fn seconds_counted_one_by_one_give_the_same(
            mut raw in prop::collection::vec((0_u8..3, 0_i64..9_000_000_000, 0_i64..9), 0..12),
            from_h in 0_i64..2, length_h in 1_i64..3,
        ) {
            raw.sort_unstable();
            let (from_s, until_s) = (from_h * HOUR_S, (from_h + length_h) * HOUR_S);
            let mut expected = 0_i128;
            for second in from_s..until_s {
                for series in 0..3 {
                    let stands = raw
                        .iter()
                        .rfind(|it| it.0 == series && it.1 < (second + 1) * SECOND_US);
                    expected += stands.map_or(0, |it| i128::from(it.2));
                }
            }
            let steps: Vec<StepRow> = raw.iter().map(|it| step(it.0, it.1, it.2)).collect();
            prop_assert_eq!(total(&integrate(&steps, from_s, until_s)), expected);
        }
    }
}
