//! Filters: what a member must be for a workload, whatever its capacity. Each says all it refuses.

use std::collections::BTreeSet;

use crate::fleet::Site;
use crate::labels::tolerated;
use crate::rules::Rules;
use crate::snapshot::{Member, Readiness, TaintEffect};
use crate::verdict::{Authority, Code, Codes, Reason, Refusal};

/// Where refusals go: their codes alone, which costs next to nothing, or all that is told of them.
pub(crate) trait Sink {
    /// Takes a refusal; `tell` is what its code does not say.
    fn refuse(&mut self, code: Code, tell: impl FnOnce() -> (Reason, Option<Authority>));
}

impl Sink for Codes {
    fn refuse(&mut self, code: Code, _: impl FnOnce() -> (Reason, Option<Authority>)) {
        self.insert(code);
    }
}

impl Sink for Vec<Refusal> {
    fn refuse(&mut self, code: Code, tell: impl FnOnce() -> (Reason, Option<Authority>)) {
        let (reason, decided_by) = tell();
        debug_assert_eq!(reason.kind(), code, "one judgement, told in two ways");
        self.push(Refusal {
            filter: code.filter(),
            reason,
            keeps: code.keeps(),
            unblocked_by: code.unblocked_by().iter().copied().collect(),
            decided_by,
        });
    }
}

/// The rules that do not depend on which members a placement wishes for, without what the members
/// offer ([`apis`], [`classes`]).
pub(crate) fn ground<S: Sink>(site: &Site, rules: &Rules<'_>, sink: &mut S) {
    kind(&site.member, rules, sink);
    residency(site, rules, sink);
}

/// Those of them that do not ask where a member stands.
pub(crate) fn kind<S: Sink>(member: &Member, rules: &Rules<'_>, sink: &mut S) {
    readiness(member, rules, sink);
    schedulable(member, sink);
    taints(member, rules, sink);
    zone(member, rules, sink);
    mlps(member, rules, sink);
    provider(member, rules, sink);
}

fn operator(member: &Member) -> Authority {
    let operator = member.operator.clone();
    Authority::MemberOperator { operator }
}

fn readiness<S: Sink>(member: &Member, rules: &Rules<'_>, sink: &mut S) {
    let seconds = |since: i64| rules.now.saturating_sub(since).max(0);
    match member.readiness {
        Readiness::Ready => {}
        Readiness::NotReady { since } => {
            let (seconds, tolerated) = (seconds(since), rules.tolerated_not_ready);
            if seconds > tolerated {
                let reason = Reason::NotReady { seconds, tolerated };
                sink.refuse(Code::NotReady, || (reason, None));
            }
        }
        Readiness::Unknown { since } => {
            let seconds = seconds(since);
            sink.refuse(Code::Unreachable, || {
                (Reason::Unreachable { seconds }, None)
            });
        }
        Readiness::NeverSeen => sink.refuse(Code::NeverSeen, || (Reason::NeverSeen, None)),
    }
}

fn schedulable<S: Sink>(member: &Member, sink: &mut S) {
    if member.unschedulable {
        let decided_by = Some(Authority::PlatformAdministrators);
        sink.refuse(Code::Unschedulable, || (Reason::Unschedulable, decided_by));
    }
}

fn taints<S: Sink>(member: &Member, rules: &Rules<'_>, sink: &mut S) {
    let tolerations = &rules.request.placement.tolerations;
    for taint in &member.taints {
        let code = match taint.effect {
            TaintEffect::PreferNoSchedule => continue,
            TaintEffect::NoSchedule => Code::Taint,
            TaintEffect::NoExecute => Code::TaintNoExecute,
        };
        if !tolerated(taint, tolerations) {
            sink.refuse(code, || {
                let reason = Reason::Taint {
                    key: taint.key.clone(),
                    value: taint.value.clone(),
                    effect: taint.effect,
                };
                (reason, None)
            });
        }
    }
}

pub(crate) fn affinity<S: Sink>(site: &Site, rules: &Rules<'_>, sink: &mut S) {
    let placement = &rules.request.placement;
    if placement.exclude.contains(&site.name) {
        sink.refuse(Code::Excluded, || (Reason::Excluded, None));
    }
    let terms = &rules.terms;
    if !terms.is_empty() && !terms.iter().any(|term| term.selects(site)) {
        sink.refuse(Code::NotSelected, || (Reason::NotSelected, None));
    }
}

/// Judges what a member serves, run by `operator`.
pub(crate) fn apis<S: Sink>(
    served: Option<&BTreeSet<String>>,
    operator: &str,
    rules: &Rules<'_>,
    sink: &mut S,
) {
    let required = &rules.request.required_apis;
    let Some(served) = served else {
        if !required.is_empty() {
            sink.refuse(Code::ApisUnknown, || (Reason::ApisUnknown, None));
        }
        return;
    };
    for api in required.iter().filter(|api| !served.contains(*api)) {
        sink.refuse(Code::ApiMissing, || {
            let operator = operator.to_owned();
            let decided_by = Authority::MemberOperator { operator };
            (Reason::ApiMissing { api: api.clone() }, Some(decided_by))
        });
    }
}

fn zone<S: Sink>(member: &Member, rules: &Rules<'_>, sink: &mut S) {
    let zone = &member.zone;
    if let Some(required) = &rules.request.placement.requirements.zone
        && required != zone
    {
        sink.refuse(Code::Zone, || {
            let reason = Reason::Zone {
                zone: zone.clone(),
                allowed: BTreeSet::from([required.clone()]),
            };
            (reason, None)
        });
    }
    for rule in rules.zones.iter().filter(|rule| !rule.value.contains(zone)) {
        sink.refuse(Code::Zone, || {
            let reason = Reason::Zone {
                zone: zone.clone(),
                allowed: rule.value.clone(),
            };
            (reason, rule.authority())
        });
    }
}

fn mlps<S: Sink>(member: &Member, rules: &Rules<'_>, sink: &mut S) {
    let Some(strictest) = rules.levels.iter().max_by_key(|rule| rule.value) else {
        return;
    };
    let required = strictest.value;
    let Some(filing) = member.mlps else {
        sink.refuse(Code::MlpsNotFiled, || {
            (Reason::MlpsNotFiled { required }, strictest.authority())
        });
        return;
    };
    for rule in rules.levels.iter().filter(|rule| filing.level < rule.value) {
        sink.refuse(Code::MlpsLevel, || {
            let reason = Reason::MlpsLevel {
                level: filing.level,
                required: rule.value,
            };
            (reason, rule.authority())
        });
    }
    if let Some(valid_until) = filing.valid_until.filter(|until| *until < rules.now) {
        sink.refuse(Code::MlpsExpired, || {
            (Reason::MlpsExpired { valid_until }, Some(operator(member)))
        });
    }
}

pub(crate) fn residency<S: Sink>(site: &Site, rules: &Rules<'_>, sink: &mut S) {
    let broken = rules.residency.iter();
    for rule in broken.filter(|rule| !rule.value.hold(site)) {
        sink.refuse(Code::Residency, || {
            let reason = Reason::Residency {
                region: site.member.region.clone(),
                allowed: rule.value.names.clone(),
            };
            (reason, rule.authority())
        });
    }
}

fn provider<S: Sink>(member: &Member, rules: &Rules<'_>, sink: &mut S) {
    let provider = &member.provider;
    let broken = rules.providers.iter();
    for rule in broken.filter(|rule| !rule.value.contains(provider)) {
        sink.refuse(Code::Provider, || {
            let reason = Reason::Provider {
                provider: provider.clone(),
                allowed: rule.value.clone(),
            };
            (reason, rule.authority())
        });
    }
}

/// Judges the classes that a member maps.
pub(crate) fn classes<S: Sink>(has: &BTreeSet<String>, rules: &Rules<'_>, sink: &mut S) {
    let required = rules.request.required_classes.iter();
    for class in required.filter(|class| !has.contains(*class)) {
        sink.refuse(Code::ClassMissing, || {
            let reason = Reason::ClassMissing {
                class: class.clone(),
            };
            (reason, Some(Authority::PlatformAdministrators))
        });
    }
}
