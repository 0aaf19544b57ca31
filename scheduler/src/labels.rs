//! Label conditions and tolerations, judged as Kubernetes judges them.

use std::collections::BTreeMap;

use crate::request::{LabelOp, LabelRequirement, Toleration, TolerationOp};
use crate::snapshot::{Taint, TaintEffect};

/// Whether the labels pass one condition.
pub(crate) fn passes(labels: &BTreeMap<String, String>, requirement: &LabelRequirement) -> bool {
    let value = labels.get(&requirement.key);
    match requirement.op {
        LabelOp::In => value.is_some_and(|value| requirement.values.contains(value)),
        LabelOp::NotIn => value.is_none_or(|value| !requirement.values.contains(value)),
        LabelOp::Exists => value.is_some(),
        LabelOp::DoesNotExist => value.is_none(),
        LabelOp::Gt => compares(value, requirement, |have, want| have > want),
        LabelOp::Lt => compares(value, requirement, |have, want| have < want),
    }
}

/// Whether the labels pass all conditions.
pub(crate) fn pass_all(
    labels: &BTreeMap<String, String>,
    requirements: &[LabelRequirement],
) -> bool {
    requirements
        .iter()
        .all(|requirement| passes(labels, requirement))
}

fn compares(
    value: Option<&String>,
    requirement: &LabelRequirement,
    holds: impl Fn(i64, i64) -> bool,
) -> bool {
    let [want] = requirement.values.as_slice() else {
        return false;
    };
    match (
        value.and_then(|value| value.parse().ok()),
        want.parse().ok(),
    ) {
        (Some(have), Some(want)) => holds(have, want),
        _ => false,
    }
}

/// Whether a taint is tolerated.
pub(crate) fn tolerated<'a>(
    taint: &Taint,
    tolerations: impl IntoIterator<Item = &'a Toleration>,
) -> bool {
    tolerations.into_iter().any(|toleration| {
        let effect = toleration
            .effect
            .is_none_or(|effect| effect == taint.effect);
        let key = match &toleration.key {
            Some(key) => *key == taint.key,
            None => toleration.op == TolerationOp::Exists,
        };
        let value = match toleration.op {
            TolerationOp::Exists => true,
            TolerationOp::Equal => toleration.value == taint.value,
        };
        effect && key && value
    })
}

/// The first taint that keeps work away and is not tolerated.
pub(crate) fn untolerated<'a>(
    taints: &'a [Taint],
    tolerations: &(impl Fn(&Taint) -> bool + ?Sized),
) -> Option<&'a Taint> {
    taints
        .iter()
        .filter(|taint| taint.effect != TaintEffect::PreferNoSchedule)
        .find(|taint| !tolerations(taint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(key: &str, op: LabelOp, values: &[&str]) -> LabelRequirement {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        LabelRequirement {
            key: key.to_owned(),
            op,
            values,
        }
    }

    #[test]
    fn conditions_follow_kubernetes() {
        let labels = BTreeMap::from([("n".to_owned(), "7".to_owned())]);
        assert!(passes(&labels, &requirement("n", LabelOp::In, &["6", "7"])));
        assert!(passes(
            &labels,
            &requirement("other", LabelOp::NotIn, &["7"])
        ));
        assert!(!passes(&labels, &requirement("other", LabelOp::In, &["7"])));
        assert!(passes(&labels, &requirement("n", LabelOp::Gt, &["6"])));
        assert!(!passes(&labels, &requirement("n", LabelOp::Lt, &["7"])));
        assert!(!passes(&labels, &requirement("n", LabelOp::Gt, &["x"])));
        assert!(passes(
            &labels,
            &requirement("x", LabelOp::DoesNotExist, &[])
        ));
    }

    #[test]
    fn tolerations_follow_kubernetes() {
        let effect = TaintEffect::NoSchedule;
        let taint = Taint {
            key: "k".to_owned(),
            value: "v".to_owned(),
            effect,
        };
        let toleration = |key: Option<&str>, op, value: &str, effect| Toleration {
            key: key.map(str::to_owned),
            op,
            value: value.to_owned(),
            effect,
        };
        let cases = [
            (toleration(Some("k"), TolerationOp::Equal, "v", None), true),
            (toleration(Some("k"), TolerationOp::Equal, "w", None), false),
            (toleration(Some("k"), TolerationOp::Exists, "", None), true),
            (toleration(None, TolerationOp::Exists, "", None), true),
            (toleration(None, TolerationOp::Equal, "v", None), false),
            (
                toleration(
                    Some("k"),
                    TolerationOp::Exists,
                    "",
                    Some(TaintEffect::NoExecute),
                ),
                false,
            ),
        ];
        for (toleration, expected) in &cases {
            assert_eq!(tolerated(&taint, [toleration]), *expected, "{toleration:?}");
        }
    }
}
