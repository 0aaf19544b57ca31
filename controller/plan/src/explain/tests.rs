use std::collections::BTreeMap;

use super::*;
use heyun_scheduler::config::ScoreWeights;
use heyun_scheduler::quota::{Binding, Key, Limit, Shortfall};
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::resources::Resources;
use heyun_scheduler::verdict::{
    Authority, Filter, Placed, PlacedAssignment, Reason as Why_, WorkloadReason,
};
use std::collections::BTreeSet;

fn verdict(outcome: Outcome, members: Vec<MemberVerdict>) -> Verdict {
    let mut refused = BTreeMap::new();
    for refusal in members.iter().flat_map(|member| &member.refusals) {
        *refused.entry(refusal.reason.code().to_owned()).or_default() += 1;
    }
    let open = members.iter().filter(|member| member.refusals.is_empty());
    let open = open.count();
    Verdict {
        key: WorkloadKey::new("civil", "web"),
        uid: "u".to_owned(),
        generation: 4,
        tenant: "civil".to_owned(),
        inputs_hash: "abc".to_owned(),
        outcome,
        returned: false,
        tier: None,
        weights: ScoreWeights::default(),
        evaluated: u32::try_from(members.len()).unwrap(),
        feasible: u32::try_from(open).unwrap(),
        refused,
        members,
        relaxed: BTreeSet::new(),
        relaxed_neighbours: BTreeSet::new(),
        unchecked: BTreeSet::from(["pod anti-affinity".to_owned()]),
    }
}

fn member(name: &str, state: MemberState, total: u8, refusals: Vec<Refusal>) -> MemberVerdict {
    MemberVerdict {
        member: name.to_owned(),
        state,
        replicas: BTreeMap::new(),
        refusals,
        scores: (state != MemberState::Filtered).then(|| Scores {
            balance: total,
            total,
            ..Scores::default()
        }),
        tier: None,
    }
}

fn residency() -> Refusal {
    Refusal {
        filter: Filter::Residency,
        reason: Why_::Residency {
            region: "shenzhen".to_owned(),
            allowed: BTreeSet::from(["guangzhou".to_owned()]),
        },
        keeps: false,
        unblocked_by: BTreeSet::new(),
        decided_by: Some(Authority::SecurityAdministrators {
            tenant: "guangzhou".to_owned(),
        }),
    }
}

fn mlps() -> Refusal {
    Refusal {
        filter: Filter::Mlps,
        reason: Why_::MlpsLevel {
            level: 2,
            required: 3,
        },
        ..residency()
    }
}

fn placed() -> Verdict {
    let assignments = [("gz", 8), ("province", 4)].map(|(member, replicas)| PlacedAssignment {
        component: "Deployment/web".to_owned(),
        member: member.to_owned(),
        flavor: "arm".to_owned(),
        replicas,
        requests: Resources::new(),
        charge: Resources::new(),
    });
    verdict(
        Outcome::Placed(Placed {
            assignments: assignments.into(),
            ..Placed::default()
        }),
        vec![
            member("far", MemberState::Filtered, 0, vec![residency(), mlps()]),
            member("near", MemberState::Filtered, 0, vec![residency()]),
            member("spare", MemberState::Feasible, 30, vec![]),
            member("gz", MemberState::Chosen, 87, vec![]),
            member("province", MemberState::Chosen, 61, vec![]),
        ],
    )
}

fn quota(limit: Limit, at: &str) -> WorkloadReason {
    WorkloadReason::QuotaExceeded(Shortfall {
        node: "civil".to_owned(),
        key: Key::new("general-amd64", "cpu"),
        needed: 6000,
        available: 2000,
        binding: Binding {
            node: at.to_owned(),
            limit,
        },
    })
}

#[test]
fn why_shows_every_member_the_chosen_first() {
    let unchecked = ["Deployment/web: host ports".to_owned()];
    let why = why(
        &placed(),
        &About {
            decision: "d1",
            unchecked: &unchecked,
        },
    );
    let order: Vec<_> = why
        .members
        .iter()
        .map(|m| (m.member.as_str(), m.verdict.as_str()))
        .collect();
    assert_eq!(
        order,
        [
            ("gz", "chosen"),
            ("province", "chosen"),
            ("spare", "feasible"),
            ("near", "filtered"),
            ("far", "filtered"),
        ]
    );
    assert_eq!(
        (
            why.outcome.as_str(),
            why.reason.as_str(),
            why.decision.as_str()
        ),
        ("Placed", "", "d1")
    );
    assert_eq!(why.message, "Placed on gz:8, province:4");
    assert_eq!(why.members[0].replicas[0].replicas, 8);
    assert_eq!(why.members[0].score, Some(87));
    assert_eq!(why.members[0].scores[0].name, "balance");
    assert_eq!(why.members[0].unchecked.len(), 2);
    assert!(why.members[4].unchecked.is_empty());
    let codes: Vec<_> = why.members[4]
        .refusals
        .iter()
        .map(|r| r.reason.as_str())
        .collect();
    assert_eq!(
        codes,
        ["Residency", "MlpsLevel"],
        "every refusal, not the first alone"
    );
    assert_eq!(
        why.members[4].refusals[0].decided_by,
        "guangzhou security administrators"
    );
}

#[test]
fn a_summary_of_a_thousand_members_fits() {
    let mut members: Vec<MemberVerdict> = (0..1000)
        .map(|n| {
            let mut refusal = residency();
            if let Why_::Residency { allowed, .. } = &mut refusal.reason {
                allowed.insert("很长的地区名".repeat(50));
            }
            member(
                &format!("m{n:04}"),
                MemberState::Filtered,
                0,
                vec![refusal, mlps()],
            )
        })
        .collect();
    members.push(member("spare", MemberState::Feasible, 10, vec![]));
    let verdict = verdict(Outcome::Waiting(quota(Limit::Ceiling, "civil")), members);
    let summary = summary(&verdict, &About::default());
    assert!(serde_json::to_string(&summary).unwrap().len() <= EXPLANATION_BYTES_MAX);
    assert_eq!((summary.evaluated, summary.feasible), (1001, 1));
    assert_eq!(summary.refused["Residency"], 1000);
    assert_eq!(summary.members.rows()[0].member, "spare");
    assert!(summary.members.rows().len() <= NEAREST);
}

#[test]
fn a_summary_of_many_chosen_members_fits_too() {
    let members = (0..500).map(|n| member(&format!("m{n:04}"), MemberState::Chosen, 50, vec![]));
    let verdict = verdict(Outcome::Placed(Placed::default()), members.collect());
    let summary = summary(&verdict, &About::default());
    assert!(serde_json::to_string(&summary).unwrap().len() <= EXPLANATION_BYTES_MAX);
    assert!(summary.members.rows().len() > 10);
}

#[test]
fn messages_carry_the_fix_and_never_a_weaker_rule() {
    let reasons = [
        (
            quota(Limit::Ceiling, "civil"),
            "needs 6 cpu of general-amd64, 2 left in civil",
        ),
        (
            quota(Limit::NoLine, "civil"),
            "ask the administrators of civil for quota of general-amd64",
        ),
        (
            quota(Limit::Nominal, "guangdong"),
            "the number is guangdong's",
        ),
        (quota(Limit::FailoverReserve, "civil"), "kept for failover"),
        (WorkloadReason::NoMembers, "heyun cluster join"),
        (
            WorkloadReason::NoMemberFits {
                refused: [("Residency".to_owned(), 3)].into(),
            },
            "`heyun why workload/web -n civil`",
        ),
        (
            WorkloadReason::NoCapacity {
                component: "Deployment/web".to_owned(),
                needed: 4,
                fits: 1,
            },
            "placed when capacity is free",
        ),
        (
            WorkloadReason::TenantUnknown {
                tenant: "civil".to_owned(),
            },
            "have the Tenant civil",
        ),
        (
            WorkloadReason::DivisionUnsatisfiable {
                component: "Deployment/web".to_owned(),
                replicas: 3,
                members: 2,
            },
            "minPerMember",
        ),
        (
            WorkloadReason::SketchLabel {
                key: "disk".to_owned(),
            },
            "by itself",
        ),
    ];
    for (reason, part) in reasons {
        let verdict = verdict(Outcome::Waiting(reason.clone()), vec![]);
        let (code, message) = condition(&verdict);
        assert_eq!(code, reason.code());
        assert!(message.contains(part), "{message}");
        for advice in ["residency", "mlpsLevel", "guardrail", "lower the level"] {
            assert!(!message.contains(advice), "{message}");
        }
    }
}

#[test]
fn conditions_follow_the_verdict() {
    let show = |verdict: &Verdict| conditions(verdict).map(|c| (c.kind, c.status, c.reason));
    assert_eq!(
        show(&placed()),
        [
            (ConditionType::QuotaReserved, Some(true), "Ok".to_owned()),
            (ConditionType::Scheduled, Some(true), "Scheduled".to_owned()),
        ]
    );
    assert_eq!(
        show(&verdict(
            Outcome::Waiting(quota(Limit::Ceiling, "civil")),
            vec![]
        )),
        [
            (
                ConditionType::QuotaReserved,
                Some(false),
                "QuotaExceeded".to_owned()
            ),
            (
                ConditionType::Scheduled,
                Some(false),
                "QuotaExceeded".to_owned()
            ),
        ]
    );
    assert_eq!(
        show(&verdict(
            Outcome::Rejected(WorkloadReason::NoMembers),
            vec![]
        )),
        [
            (ConditionType::QuotaReserved, None, "Pending".to_owned()),
            (
                ConditionType::Scheduled,
                Some(false),
                "NoMembers".to_owned()
            ),
        ]
    );
}

#[test]
fn events_are_bounded_and_cut_on_a_character() {
    let problem = "规".repeat(1000);
    let verdict = verdict(
        Outcome::Rejected(WorkloadReason::Invalid { problem }),
        vec![],
    );
    let event = event(&verdict);
    assert!(event.warning);
    assert_eq!(event.reason, "Invalid");
    assert!(event.note.len() <= NOTE_BYTES_MAX && event.note.ends_with('…'));
    assert!(!super::event(&placed()).warning);
}

#[test]
fn a_spread_that_was_not_kept_is_said() {
    let mut verdict = placed();
    verdict.relaxed.insert("provider".to_owned());
    assert!(
        condition(&verdict)
            .1
            .ends_with("not spread as wished over provider")
    );
}

fn row<'a>(verdict: &'a str, outcome: &'a str, reason: &'a str) -> kept::Kept<'a> {
    kept::Kept {
        namespace: "civil",
        name: "web",
        tenant: "civil",
        decision: "7f3a9c21d0",
        decided_at: "2026-11-23T09:00:00Z",
        generation: 4,
        epoch: 2,
        inputs_hash: "abc",
        outcome,
        reason,
        verdict,
    }
}

#[test]
fn what_is_kept_of_a_verdict_says_the_same_later() {
    let verdict = placed();
    let text = kept::verdict(&verdict);
    let row = row(&text, "Placed", "Scheduled");
    let about = About {
        decision: "7f3a9c21d0",
        unchecked: &[],
    };
    let now = why(&verdict, &about);
    let later = kept::recall(&row);
    assert_eq!(later.decided_at, "2026-11-23T09:00:00Z");
    assert_eq!(
        Why {
            decided_at: String::new(),
            ..later
        },
        now
    );
    let record = kept::record(&row);
    let members = BTreeMap::from([("gz".to_owned(), 8), ("province".to_owned(), 4)]);
    assert_eq!((record.members, record.reason), (members, String::new()));
}

#[test]
fn a_verdict_on_many_members_is_kept_within_its_bound_with_the_chosen() {
    let far = |index: usize| {
        let name = format!("far-{index:04}");
        member(&name, MemberState::Filtered, 0, vec![residency(), mlps()])
    };
    let mut large = placed();
    let is_chosen = |of: &&MemberVerdict| of.state == MemberState::Chosen;
    let chosen = large.members.iter().filter(is_chosen).count();
    large.members.extend((0..500).map(far));
    large.evaluated = u32::try_from(large.members.len()).unwrap();
    let text = kept::verdict(&large);
    assert!(text.len() <= kept::KEPT_BYTES_MAX, "{}", text.len());
    assert!(text.len() > kept::KEPT_BYTES_MAX / 2, "{}", text.len());
    let later = kept::recall(&row(&text, "Placed", "Scheduled"));
    assert_eq!(later.evaluated, large.evaluated, "how many there were");
    assert!(later.members.len() < large.members.len());
    let told = later.members.iter().filter(|m| m.verdict == "chosen");
    assert_eq!(told.count(), chosen);
}

#[test]
fn a_refusal_without_a_verdict_is_kept_by_its_sentence_and_a_lost_one_says_so() {
    let long = "汉".repeat(20_000);
    let text = kept::message(&long);
    assert!(text.len() < kept::KEPT_BYTES_MAX);
    let text = kept::message("namespace x belongs to no tenant");
    let later = kept::recall(&row(&text, "Rejected", "NoTenant"));
    let said = (later.reason.as_str(), later.message.as_str());
    assert_eq!(said, ("NoTenant", "namespace x belongs to no tenant"));
    let lost = kept::recall(&row("null", "Placed", "Scheduled"));
    assert_eq!(
        (lost.outcome.as_str(), lost.reason.as_str()),
        ("Placed", "")
    );
    assert!(
        lost.message.contains("not known any more"),
        "{}",
        lost.message
    );
    assert!(kept::record(&row("null", "Placed", "")).members.is_empty());
}

#[test]
fn what_going_back_waits_for_is_said_in_a_line() {
    use heyun_crds::placement::{AffinityTerm, PlacementSpec, Return, ReturnPolicy};

    let term = |name: &str| AffinityTerm {
        name: name.to_owned(),
        ..AffinityTerm::default()
    };
    let mut placement = PlacementSpec {
        affinity: vec![term("home"), term("near"), term("far")],
        returning: Return {
            policy: ReturnPolicy::Always,
            after: Some("90s".to_owned()),
        },
        ..PlacementSpec::default()
    };
    let waits = Outcome::Waiting(WorkloadReason::NoCapacity {
        component: "Deployment/web".to_owned(),
        needed: 12,
        fits: 8,
    });
    let near = || "near".to_owned();
    let at = "2027-05-01T08:05:00Z".parse().unwrap();
    let all = [
        Back::From { term: near(), at },
        Back::Held {
            term: near(),
            by: "others that go back before it",
        },
        Back::Lacks(Some(Box::new(verdict(waits, Vec::new())))),
        Back::Lacks(Some(Box::new(placed()))),
        Back::Lacks(None),
    ];
    let said = all.iter().map(|state| {
        let told = back(&placement, state).unwrap();
        assert_eq!(told.policy, "Always");
        assert_eq!(told.at.is_empty(), !matches!(state, Back::From { .. }));
        format!("{}: {}", told.term, told.message)
    });
    let said: Vec<String> = said.collect();
    let expected = [
        "near: at 2027-05-01T08:05:00Z, if it holds all of it until then",
        "near: waits for others that go back before it",
        "home: not now: NoCapacity: Deployment/web has 12 replicas to place, 8 fit on the members \
         that are left",
        "home: when it has held all of it for 90 s",
        "home: waits until the Workload is accepted",
    ];
    assert_eq!(said, expected);
    placement.returning = Return::default();
    assert_eq!(back(&placement, &all[0]), None);
}

#[test]
fn the_term_is_named_or_all_that_it_stands_in() {
    let of = |state, tier: &str| MemberVerdict {
        tier: Some(tier.to_owned()),
        ..member(tier, state, 50, Vec::new())
    };
    let members = vec![
        of(MemberState::Chosen, "home"),
        of(MemberState::Chosen, "far"),
        of(MemberState::Feasible, "near"),
    ];
    let several = Verdict {
        members,
        ..placed()
    };
    let tier = |verdict: &Verdict| why(verdict, &About::default()).tier;
    assert_eq!(tier(&several), "far + home");
    let one = Verdict {
        tier: Some("home".to_owned()),
        ..several
    };
    assert_eq!(tier(&one), "home");
    assert_eq!(tier(&placed()), "");
}
