use std::collections::BTreeSet;

use heyun_crds::Tenant;
use heyun_crds::approval_policy::{ApprovalPolicySpec, ApprovalRule, ApprovalStage, ApprovalWhen};
use heyun_crds::common::FlavorAmount;
use heyun_crds::tenant::{AdminLevel, TenantKind, TenantSpec};
use heyun_scheduler::quota::Key;
use proptest::prelude::*;

use super::*;
use crate::tenants::{TenantTree, tree};

const SUBJECT: Subject<'static> = Subject {
    name: "flood",
    uid: "u-1",
    hash: "sha256:1",
    applicant: "li",
};

fn act(stage: &str, verdict: ApprovalVerdict, approver: &str) -> ApprovalSpec {
    ApprovalSpec {
        request: "flood".into(),
        request_uid: "u-1".into(),
        request_hash: "sha256:1".into(),
        stage: stage.into(),
        verdict,
        approver: approver.into(),
        comment: String::new(),
    }
}

fn yes(stage: &str, approver: &str) -> ApprovalSpec {
    act(stage, ApprovalVerdict::Approve, approver)
}

fn stage(name: &str, require: ApprovalRequire, k: usize, approvers: &[&str]) -> Stage {
    Stage {
        name: name.into(),
        require,
        k,
        approvers: approvers.iter().map(|a| (*a).to_owned()).collect(),
    }
}

/// A bureau (whoever may), two of three in the city, both in the province.
fn three() -> Chain {
    Chain {
        name: "p/three".into(),
        stages: vec![
            stage("bureau", ApprovalRequire::Any, 1, &[]),
            stage("city", ApprovalRequire::KOfN, 2, &["chen", "lin", "wu"]),
            stage("province", ApprovalRequire::All, 1, &["zhao", "sun"]),
        ],
    }
}

fn waits(stage: &str, agreed: usize, needed: usize) -> Standing {
    Standing::Waiting {
        stage: stage.into(),
        agreed,
        needed,
    }
}

#[test]
fn a_request_goes_from_stage_to_stage() {
    let chain = three();
    let mut acts = Vec::new();
    let stands = |acts: &[ApprovalSpec]| stand(SUBJECT, Some(&chain), acts);
    assert_eq!(stands(&acts), waits("bureau", 0, 1));
    acts.push(yes("bureau", "wang"));
    assert_eq!(stands(&acts), waits("city", 0, 2));
    acts.push(yes("city", "chen"));
    acts.push(yes("city", "chen"));
    assert_eq!(stands(&acts), waits("city", 1, 2), "one person is one");
    acts.push(yes("city", "mallory"));
    assert_eq!(stands(&acts), waits("city", 1, 2), "who is not named");
    acts.push(yes("city", "wu"));
    acts.push(yes("province", "zhao"));
    assert_eq!(stands(&acts), waits("province", 1, 2), "all of them");
    acts.push(yes("province", "sun"));
    let by = [
        "bureau: wang",
        "city: chen",
        "city: wu",
        "province: sun",
        "province: zhao",
    ];
    let by = by.map(str::to_owned).to_vec();
    assert_eq!(stands(&acts), Standing::Approved { by });
}

#[test]
fn nobody_approves_what_is_theirs_or_twice_or_another() {
    let chain = Chain {
        name: "p/two".into(),
        stages: vec![
            stage("bureau", ApprovalRequire::Any, 1, &[]),
            stage("city", ApprovalRequire::Any, 1, &[]),
        ],
    };
    let stands = |acts: &[ApprovalSpec]| stand(SUBJECT, Some(&chain), acts);
    let own = [yes("bureau", "li"), yes("city", "chen")];
    assert_eq!(stands(&own), waits("bureau", 0, 1), "who applied");
    let twice = [yes("bureau", "chen"), yes("city", "chen")];
    assert_eq!(stands(&twice), waits("city", 0, 1), "two stages by one");
    let mut of_another = yes("bureau", "wang");
    of_another.request_uid = "u-0".into();
    let mut of_before = yes("bureau", "wang");
    of_before.request_hash = "sha256:0".into();
    let mut of_other = yes("bureau", "wang");
    of_other.request = "drought".into();
    let strange = [of_another, of_before, of_other, yes("city", "chen")];
    assert_eq!(stands(&strange), waits("bureau", 0, 1));
    assert_eq!(stand(SUBJECT, None, &twice), Standing::Nobody);
    let at_no_stage = [yes("", "chen")];
    assert_eq!(stand(SUBJECT, None, &at_no_stage), Standing::Nobody);
}

#[test]
fn a_word_against_it_ends_it() {
    let chain = three();
    let stands = |acts: &[ApprovalSpec]| stand(SUBJECT, Some(&chain), acts);
    let over = |verdict, said: &str| Standing::Over {
        verdict,
        said: said.into(),
    };
    let mut no = act("province", ApprovalVerdict::Reject, "zhao");
    no.comment = "no money".into();
    let said = "zhao (province): no money";
    assert_eq!(stands(&[no.clone()]), over(ApprovalVerdict::Reject, said));
    let back = act("bureau", ApprovalVerdict::ReturnForCorrection, "wang");
    let both = [no.clone(), back.clone()];
    assert_eq!(stands(&both), over(ApprovalVerdict::Reject, said));
    assert_eq!(
        stands(&[back]),
        over(ApprovalVerdict::ReturnForCorrection, "wang (bureau)")
    );
    let withdrawn = [no, act("", ApprovalVerdict::Withdraw, "li")];
    assert_eq!(stands(&withdrawn), over(ApprovalVerdict::Withdraw, "li"));
    // Who has no say at a stage refuses nothing there.
    let strange = [act("city", ApprovalVerdict::Reject, "mallory")];
    assert_eq!(stands(&strange), waits("bureau", 0, 1));
}

#[test]
fn what_is_granted_ends_by_release_and_revocation_only() {
    let all = [
        act("city", ApprovalVerdict::Reject, "chen"),
        act("", ApprovalVerdict::Withdraw, "li"),
    ];
    assert_eq!(ended(SUBJECT, true, &all), None);
    let withdrawn = Some((ApprovalVerdict::Withdraw, "li".to_owned()));
    assert_eq!(ended(SUBJECT, false, &all), withdrawn);
    let released = [act("", ApprovalVerdict::Release, "li")];
    let ends = Some((ApprovalVerdict::Release, "li".to_owned()));
    assert_eq!(ended(SUBJECT, true, &released), ends);
    let mut revoked = act("city", ApprovalVerdict::Revoke, "chen");
    revoked.comment = "misuse".into();
    let both = [released[0].clone(), revoked];
    let ends = Some((ApprovalVerdict::Revoke, "chen (city): misuse".to_owned()));
    assert_eq!(ended(SUBJECT, true, &both), ends);
    let mut strange = released[0].clone();
    strange.request_uid = "u-0".into();
    assert_eq!(ended(SUBJECT, true, [&strange]), None);
}

#[test]
fn the_hash_is_of_all_that_is_asked() {
    let spec = ResourceRequestSpec {
        tenant: "civil".into(),
        applicant: "li".into(),
        until: "2027-10-01T00:00:00Z".into(),
        ..ResourceRequestSpec::default()
    };
    let mut other = spec.clone();
    other.reason = "more".into();
    assert_ne!(hash(&spec), hash(&other));
    assert_eq!(hash(&spec), hash(&spec.clone()));
    assert_eq!(hash(&spec).len(), "sha256:".len() + 64);
}

fn tenants() -> TenantTree {
    let tenant = |name: &str, parent: Option<&str>, level| {
        let spec = TenantSpec {
            parent: parent.map(str::to_owned),
            kind: TenantKind::Region,
            admin_level: level,
            ..TenantSpec::default()
        };
        Tenant::new(name, spec)
    };
    tree(&[
        tenant("province", None, Some(AdminLevel::Provincial)),
        tenant("city", Some("province"), Some(AdminLevel::Prefectural)),
        tenant("civil", Some("city"), None),
    ])
}

fn rule(name: &str, when: ApprovalWhen, stages: &[&str]) -> ApprovalRule {
    ApprovalRule {
        name: name.into(),
        when,
        automatic: stages.is_empty(),
        stages: stages.iter().map(|s| (*s).to_owned()).collect(),
    }
}

fn policy(tenant: Option<&str>, rules: Vec<ApprovalRule>) -> ApprovalPolicySpec {
    ApprovalPolicySpec {
        tenant: tenant.map(str::to_owned),
        stages: ["bureau", "city"]
            .map(|name| ApprovalStage {
                name: name.into(),
                ..ApprovalStage::default()
            })
            .to_vec(),
        rules,
    }
}

fn facts(cpu: i64, nominal: i64, days: i64) -> Facts {
    Facts {
        tenant: "civil".into(),
        amounts: [(Key::new("amd", "cpu"), cpu * 1000)].into(),
        nominal: [(Key::new("amd", "cpu"), nominal * 1000)].into(),
        seconds: days * 86_400,
    }
}

fn most(flavor: &str, resource: &str, amount: &str) -> FlavorAmount {
    FlavorAmount {
        flavor: flavor.into(),
        resource: resource.into(),
        amount: amount.into(),
    }
}

#[test]
fn the_first_rule_that_fits_counts() {
    let when = |when: ApprovalWhen, facts: &Facts| {
        let rules = vec![
            rule("fits", when, &[]),
            rule("rest", ApprovalWhen::default(), &["city"]),
        ];
        let policies = [("p".to_owned(), policy(None, rules))];
        let found = chain(policies.iter().map(|(n, p)| (n, p)), &tenants(), facts).unwrap();
        assert_eq!(found.stages.is_empty(), found.name == "p/fits");
        found.name == "p/fits"
    };
    let at_most = |limits: &[FlavorAmount]| ApprovalWhen {
        at_most: limits.to_vec(),
        ..ApprovalWhen::default()
    };
    let four = facts(4, 10, 30);
    assert!(when(ApprovalWhen::default(), &four));
    assert!(when(at_most(&[most("*", "cpu", "4")]), &four));
    assert!(!when(at_most(&[most("*", "cpu", "3999m")]), &four));
    assert!(
        !when(at_most(&[most("arm", "cpu", "9")]), &four),
        "other flavor"
    );
    assert!(
        !when(at_most(&[most("*", "memory", "9")]), &four),
        "other resource"
    );
    let both = [most("*", "cpu", "9"), most("amd", "cpu", "3")];
    assert!(
        !when(at_most(&both), &four),
        "each limit that stands for it"
    );
    assert!(!when(at_most(&[most("*", "cpu", "lots")]), &four));
    let growth = |percent| ApprovalWhen {
        growth_at_most_percent: Some(percent),
        ..ApprovalWhen::default()
    };
    assert!(when(growth(40), &four));
    assert!(!when(growth(39), &four));
    assert!(!when(growth(1000), &facts(4, 0, 30)), "of nothing");
    let flavors = |flavor: &str| ApprovalWhen {
        flavors: vec![flavor.into()],
        ..ApprovalWhen::default()
    };
    assert!(when(flavors("amd"), &four));
    assert!(!when(flavors("arm"), &four));
    let level = |level| ApprovalWhen {
        levels: vec![level],
        ..ApprovalWhen::default()
    };
    assert!(
        when(level(AdminLevel::Prefectural), &four),
        "the nearest above"
    );
    assert!(!when(level(AdminLevel::Provincial), &four));
    let days = |days| ApprovalWhen {
        days_at_most: Some(days),
        ..ApprovalWhen::default()
    };
    assert!(when(days(30), &four));
    assert!(!when(days(29), &four));
}

#[test]
fn the_policy_of_the_nearest_tenant_counts() {
    let all = |name: &str| vec![rule(name, ApprovalWhen::default(), &["bureau"])];
    let policies = [
        ("a".to_owned(), policy(None, all("any"))),
        ("b".to_owned(), policy(Some("province"), all("province"))),
        ("c".to_owned(), policy(Some("city"), all("city"))),
        ("d".to_owned(), policy(Some("elsewhere"), all("elsewhere"))),
    ];
    let of = |tenant: &str| {
        let facts = Facts {
            tenant: tenant.into(),
            ..facts(1, 1, 1)
        };
        chain(policies.iter().map(|(n, p)| (n, p)), &tenants(), &facts)
    };
    assert_eq!(of("civil").unwrap().name, "c/city");
    assert_eq!(of("province").unwrap().name, "b/province");
    let one = [("a".to_owned(), policy(None, all("any")))];
    let found = chain(one.iter().map(|(n, p)| (n, p)), &tenants(), &facts(1, 1, 1));
    assert_eq!(found.unwrap().name, "a/any");
    // A rule that contradicts itself, or names no stage there is, grants nothing.
    let broken = [
        (
            "a".to_owned(),
            policy(None, vec![rule("x", ApprovalWhen::default(), &["moon"])]),
        ),
        ("a".to_owned(), policy(None, vec![ApprovalRule::default()])),
    ];
    for one in broken {
        let one = [one];
        let found = chain(one.iter().map(|(n, p)| (n, p)), &tenants(), &facts(1, 1, 1));
        assert_eq!(found, None);
    }
}

const PEOPLE: [&str; 6] = ["li", "wang", "chen", "lin", "zhao", "sun"];
const STAGES: [&str; 3] = ["bureau", "city", "province"];

fn any_act() -> impl Strategy<Value = ApprovalSpec> {
    (0..3_usize, 0..6_usize, 0..12_usize).prop_map(|(stage, who, bad)| {
        let mut act = yes(STAGES[stage], PEOPLE[who]);
        match bad {
            0 => act.request_uid = "u-0".into(),
            1 => act.request_hash = "sha256:0".into(),
            _ => {}
        }
        act
    })
}

fn any_chain() -> impl Strategy<Value = Chain> {
    let one = (
        0..3_usize,
        1..3_usize,
        proptest::collection::btree_set(0..6_usize, 0..4),
    );
    proptest::collection::vec(one, 1..4).prop_map(|stages| Chain {
        name: "p/r".into(),
        stages: stages
            .into_iter()
            .enumerate()
            .map(|(i, (require, k, approvers))| {
                let require = [
                    ApprovalRequire::Any,
                    ApprovalRequire::All,
                    ApprovalRequire::KOfN,
                ][require];
                let approvers: Vec<&str> = approvers.iter().map(|i| PEOPLE[*i]).collect();
                stage(STAGES[i], require, k, &approvers)
            })
            .collect(),
    })
}

/// Whether people can be told off to the stages so that each is satisfied by its own: found by trying
/// every subset, and sharing nothing with what is tested.
fn could_be_granted(stages: &[Stage], acts: &[ApprovalSpec], taken: &BTreeSet<&str>) -> bool {
    let Some((stage, rest)) = stages.split_first() else {
        return true;
    };
    let candidates: Vec<&str> = PEOPLE
        .into_iter()
        .filter(|who| *who != "li" && !taken.contains(who))
        .filter(|who| stage.approvers.is_empty() || stage.approvers.contains(*who))
        .filter(|who| {
            acts.iter().any(|a| {
                (a.stage.as_str(), a.approver.as_str()) == (stage.name.as_str(), *who)
                    && (a.request_uid.as_str(), a.request_hash.as_str()) == ("u-1", "sha256:1")
            })
        })
        .collect();
    (0..1_u32 << candidates.len()).any(|set| {
        let chosen: BTreeSet<&str> = (0..candidates.len())
            .filter(|i| set & (1 << i) != 0)
            .map(|i| candidates[i])
            .collect();
        let enough = match stage.require {
            ApprovalRequire::Any => chosen.len() == 1,
            ApprovalRequire::KOfN => chosen.len() == stage.k,
            ApprovalRequire::All => {
                !chosen.is_empty() && stage.approvers.iter().all(|a| chosen.contains(a.as_str()))
            }
        };
        let all: BTreeSet<&str> = taken.union(&chosen).copied().collect();
        enough && could_be_granted(rest, acts, &all)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_acts_grant_without_the_chain_and_order_does_not_matter(
        chain in any_chain(),
        acts in proptest::collection::vec(any_act(), 0..14),
        turn in 0..14_usize,
    ) {
        let found = stand(SUBJECT, Some(&chain), &acts);
        if let Standing::Approved { by } = &found {
            prop_assert!(!by.is_empty());
            prop_assert!(could_be_granted(&chain.stages, &acts, &BTreeSet::new()));
        }
        let mut turned = acts.clone();
        turned.rotate_left(turn.min(acts.len()));
        prop_assert_eq!(&stand(SUBJECT, Some(&chain), &turned), &found);
        turned.reverse();
        prop_assert_eq!(&stand(SUBJECT, Some(&chain), &turned), &found);
    }
}
