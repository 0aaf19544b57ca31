//! From what is wanted and what was seen to the one step that follows. Pure.

use heyun_crds::conditions::Reason;
use heyun_crds::labels::WORK;
use heyun_crds::workload::AdoptionPolicy;

use crate::seen::{ObjectKey, Seen};

/// What follows for one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is as it should be: nothing is written.
    Keep,
    /// It is not there.
    Create,
    /// It is ours and is asserted.
    Assert(Why),
    /// It is not ours and is taken over.
    Adopt,
    /// It is not ours and is taken over if that changes nothing.
    AdoptIfSame,
    /// It is on its way out: wait until it is gone.
    Wait,
    /// It must not be touched.
    Refuse {
        /// Reason code.
        reason: Reason,
        /// Names value, place and fix.
        message: String,
    },
}

/// Why an object is asserted again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The Work says something else than what was applied.
    Changed,
    /// It was marked for deletion, and is wanted after all.
    Retired,
    /// Somebody else changed this field.
    Drifted(String),
}

/// What a decision depends on besides what was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    /// Name of the Work.
    pub work: &'a str,
    /// Hash of what is wanted.
    pub hash: &'a str,
    /// What happens with an object that is not ours.
    pub adoption: AdoptionPolicy,
    /// uid of the object that the inventory of the Work names, where it names one.
    pub uid: Option<&'a str>,
    /// Number of the leader, as the member's fence counts.
    pub number: i64,
}

/// Decides. `drifted` is asked only of an object that carries the hash that is wanted.
pub(crate) fn decide(
    key: &ObjectKey,
    seen: Option<&Seen>,
    rules: &Rules<'_>,
    drifted: impl FnOnce(&Seen) -> Option<String>,
) -> Step {
    let Some(seen) = seen else {
        return Step::Create;
    };
    match seen.work.as_deref() {
        Some(work) if work == rules.work => {}
        Some(other) => return refuse_foreign(key, &format!("Work {other} asserts it")),
        // Somebody took our label off what the inventory says is ours.
        None if rules
            .uid
            .is_some_and(|uid| !uid.is_empty() && uid == seen.uid) =>
        {
            return Step::Assert(Why::Drifted(format!(".metadata.labels.{WORK}")));
        }
        None => {
            return match rules.adoption {
                AdoptionPolicy::Always => Step::Adopt,
                AdoptionPolicy::IfNoDiff => Step::AdoptIfSame,
                AdoptionPolicy::Never => refuse_foreign(key, "it was there before"),
            };
        }
    }
    if let Some(epoch) = seen.epoch.filter(|epoch| *epoch > rules.number) {
        return Step::Refuse {
            reason: Reason::Recovering,
            message: newer(key, epoch, rules.number),
        };
    }
    if seen.deleting {
        return Step::Wait;
    }
    if seen.retired {
        return Step::Assert(Why::Retired);
    }
    if seen.hash.as_deref() != Some(rules.hash) {
        return Step::Assert(Why::Changed);
    }
    match drifted(seen) {
        Some(field) => Step::Assert(Why::Drifted(field)),
        None => Step::Keep,
    }
}

/// Why an object that a newer leader wrote is not touched.
pub(crate) fn newer(key: &ObjectKey, epoch: i64, number: i64) -> String {
    format!(
        "{key} was written by number {epoch}, this hub's is {number}: nothing is changed there \
         until the hub knows more or an administrator settles it"
    )
}

fn refuse_foreign(key: &ObjectKey, why: &str) -> Step {
    Step::Refuse {
        reason: Reason::ObjectExists,
        message: format!(
            "{key} exists and is not this Workload's: {why}; rename it in the manifests, remove \
             the one on the member, or set spec.adoption"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::KindKey;

    fn key() -> ObjectKey {
        let kind = KindKey {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
        };
        ObjectKey {
            kind,
            namespace: "gz-a".into(),
            name: "web".into(),
        }
    }

    fn ours() -> Seen {
        Seen {
            work: Some("w".into()),
            hash: Some("h".into()),
            epoch: Some(3),
            ..Seen::default()
        }
    }

    fn rules(adoption: AdoptionPolicy) -> Rules<'static> {
        Rules {
            work: "w",
            hash: "h",
            adoption,
            uid: Some("u1"),
            number: 3,
        }
    }

    fn step(seen: Option<&Seen>, adoption: AdoptionPolicy) -> Step {
        decide(&key(), seen, &rules(adoption), |_| None)
    }

    #[test]
    fn what_is_ours_and_as_wanted_is_kept_whoever_applied_it() {
        assert_eq!(step(Some(&ours()), AdoptionPolicy::Never), Step::Keep);
        let older = Seen {
            epoch: Some(1),
            ..ours()
        };
        assert_eq!(step(Some(&older), AdoptionPolicy::Never), Step::Keep);
    }

    #[test]
    fn what_is_not_there_is_created_and_what_changed_is_asserted() {
        assert_eq!(step(None, AdoptionPolicy::Never), Step::Create);
        let changed = Seen {
            hash: None,
            ..ours()
        };
        assert_eq!(
            step(Some(&changed), AdoptionPolicy::Never),
            Step::Assert(Why::Changed)
        );
        let retired = Seen {
            retired: true,
            ..ours()
        };
        assert_eq!(
            step(Some(&retired), AdoptionPolicy::Never),
            Step::Assert(Why::Retired)
        );
        let going = Seen {
            deleting: true,
            ..ours()
        };
        assert_eq!(step(Some(&going), AdoptionPolicy::Never), Step::Wait);
        let drifted = decide(&key(), Some(&ours()), &rules(AdoptionPolicy::Never), |_| {
            Some(".spec.replicas".into())
        });
        assert_eq!(drifted, Step::Assert(Why::Drifted(".spec.replicas".into())));
    }

    #[test]
    fn what_is_not_ours_is_adopted_by_policy_only_and_another_works_never() {
        let plain = Seen::default();
        assert!(matches!(
            step(Some(&plain), AdoptionPolicy::Never),
            Step::Refuse {
                reason: Reason::ObjectExists,
                ..
            }
        ));
        assert_eq!(
            step(Some(&plain), AdoptionPolicy::IfNoDiff),
            Step::AdoptIfSame
        );
        assert_eq!(step(Some(&plain), AdoptionPolicy::Always), Step::Adopt);
        let other = Seen {
            work: Some("other".into()),
            ..ours()
        };
        for adoption in [
            AdoptionPolicy::Never,
            AdoptionPolicy::IfNoDiff,
            AdoptionPolicy::Always,
        ] {
            assert!(matches!(
                step(Some(&other), adoption),
                Step::Refuse {
                    reason: Reason::ObjectExists,
                    ..
                }
            ));
        }
    }

    #[test]
    fn what_the_inventory_names_is_ours_even_without_its_label() {
        let stripped = Seen {
            uid: "u1".into(),
            ..Seen::default()
        };
        assert!(matches!(
            step(Some(&stripped), AdoptionPolicy::Never),
            Step::Assert(Why::Drifted(_))
        ));
        let another = Seen {
            uid: "u2".into(),
            ..Seen::default()
        };
        assert!(matches!(
            step(Some(&another), AdoptionPolicy::Never),
            Step::Refuse { .. }
        ));
    }

    #[test]
    fn what_a_newer_leader_wrote_is_not_touched() {
        let newer = Seen {
            epoch: Some(4),
            hash: None,
            ..ours()
        };
        assert!(matches!(
            step(Some(&newer), AdoptionPolicy::Always),
            Step::Refuse {
                reason: Reason::Recovering,
                ..
            }
        ));
    }
}
