use heyun_crds::query::{
    DecisionHistory, DecisionRecord, UsageReport, UsageRow, Why, WhyFinished, WhyMember, WhyQueue,
    WhyRefusal, WhyReplicas, WhyReturn, WhyScore,
};
use insta::assert_snapshot;
use k8s_openapi::api::core::v1::Pod;

use super::doctor::{Finding, Level};
use super::fixtures::{all, members, now, quotas, refused, tenants, workload, works};
use super::places::{Shown, places};
use super::quotas::Wanted;
use super::tree::Placed;

fn score(name: &str, points: u32, weight: u32) -> WhyScore {
    WhyScore {
        name: name.to_owned(),
        points,
        weight,
        note: String::new(),
    }
}

fn replicas(flavor: &str, replicas: u32) -> WhyReplicas {
    WhyReplicas {
        component: "Deployment/web".to_owned(),
        flavor: flavor.to_owned(),
        replicas,
    }
}

fn refusal(reason: &str, message: &str, unblocked_by: &str, decided_by: &str) -> WhyRefusal {
    WhyRefusal {
        filter: reason.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        unblocked_by: unblocked_by.to_owned(),
        decided_by: decided_by.to_owned(),
    }
}

fn filtered(member: &str, refusals: Vec<WhyRefusal>) -> WhyMember {
    WhyMember {
        member: member.to_owned(),
        verdict: "filtered".to_owned(),
        refusals,
        ..WhyMember::default()
    }
}

#[expect(clippy::too_many_lines, reason = "one value, written out")]
fn placed() -> Why {
    let chosen = WhyMember {
        member: "guangzhou-1".to_owned(),
        verdict: "chosen".to_owned(),
        replicas: vec![replicas("xinchuang-arm64", 8)],
        score: Some(87),
        scores: vec![
            score("balance", 90, 4),
            score("stability", 75, 1),
            score("cost", 0, 0),
        ],
        tier: "home".to_owned(),
        unchecked: vec!["Deployment/web: pod affinity".to_owned()],
        ..WhyMember::default()
    };
    let second = WhyMember {
        member: "province-a".to_owned(),
        verdict: "chosen".to_owned(),
        replicas: vec![replicas("general-amd64", 3), replicas("xinchuang-arm64", 1)],
        score: Some(61),
        tier: "province".to_owned(),
        refusals: vec![refusal(
            "Cordoned",
            "is cordoned",
            "when it is uncordoned",
            "",
        )],
        unchecked: vec!["Deployment/web: pod affinity".to_owned()],
        ..WhyMember::default()
    };
    let feasible = WhyMember {
        member: "foshan-1".to_owned(),
        verdict: "feasible".to_owned(),
        score: Some(40),
        scores: vec![
            score("balance", 40, 4),
            WhyScore {
                note: "no price".to_owned(),
                ..score("cost", 50, 2)
            },
        ],
        ..WhyMember::default()
    };
    let capacity = refusal(
        "Capacity",
        "Deployment/web needs 1 cpu, best node has 400m free",
        "1 cpu free on one node",
        "",
    );
    let residency = refusal(
        "Residency",
        "stands in shenzhen, allowed is guangzhou",
        "",
        "guangzhou security administrators",
    );
    let level = refusal(
        "MlpsLevel",
        "2 is below 3",
        "",
        "guangzhou security administrators",
    );
    Why {
        namespace: "gz-civil-affairs".to_owned(),
        name: "assistance".to_owned(),
        tenant: "gz-civil-affairs".to_owned(),
        generation: 4,
        decision: "7f3a9c0123456789abcdef".to_owned(),
        inputs_hash: "00aa11bb22cc33dd44ee".to_owned(),
        outcome: "Placed".to_owned(),
        message: "Placed on guangzhou-1:8, province-a:4".to_owned(),
        members: vec![
            chosen,
            second,
            feasible,
            filtered("panyu-1", vec![capacity]),
            filtered("深圳二", vec![residency, level]),
        ],
        ..Why::default()
    }
}

#[test]
fn why_names_every_member_with_scores_and_refusals() {
    assert_snapshot!(super::why::text(&placed(), true));
}

#[test]
fn why_says_first_what_keeps_an_unplaced_workload() {
    let why = Why {
        generation: 1,
        outcome: "Waiting".to_owned(),
        reason: "QuotaExceeded".to_owned(),
        message: "needs 6 cpu of general-amd64, 2 left in gz-civil-affairs; ask for more"
            .to_owned(),
        members: vec![WhyMember {
            member: "a".to_owned(),
            verdict: "feasible".to_owned(),
            score: Some(50),
            ..WhyMember::default()
        }],
        ..Why::default()
    };
    assert_snapshot!(super::why::text(&why, true));
    let invalid = Why {
        outcome: "Rejected".to_owned(),
        reason: "NoTenant".to_owned(),
        message: "namespace x belongs to no tenant".to_owned(),
        ..Why::default()
    };
    assert_snapshot!(super::why::text(&invalid, true));
}

#[test]
fn why_of_one_member_is_told_in_full() {
    let why = Why {
        members: vec![
            placed().members.swap_remove(1),
            placed().members.swap_remove(4),
        ],
        ..placed()
    };
    assert_snapshot!(super::why::in_full(&why));
}

#[test]
fn why_of_what_waits_names_its_place_and_who_is_before_it() {
    let queue = WhyQueue {
        position: 4,
        waiting: 7,
        before: vec!["gz/a".to_owned(), "gz/b".to_owned()],
        before_unnamed: 1,
        unblocked_by: vec!["QuotaReleased".to_owned(), "QuotaChanged".to_owned()],
        awaits: vec![
            "gz or a tenant below it releases cpu of amd".to_owned(),
            "the quota of gz or of a tenant below it changes".to_owned(),
        ],
    };
    let why = Why {
        generation: 1,
        outcome: "Waiting".to_owned(),
        reason: "QuotaExceeded".to_owned(),
        message: "needs 6 cpu of amd, 2 left in gz".to_owned(),
        in_force: "7f3a9c21d0".to_owned(),
        preempted: "made room in an emergency: 粤防汛〔2027〕3号".to_owned(),
        queue: Some(queue),
        ..Why::default()
    };
    assert_snapshot!(super::why::text(&why, true));
    let only_others = WhyQueue {
        position: 2,
        waiting: 2,
        before_unnamed: 1,
        ..WhyQueue::default()
    };
    let why = Why {
        queue: Some(only_others),
        ..why
    };
    let text = super::why::text(&why, true);
    let line = "In the queue: 2 of 2 · before it, for the same: one of another tenant";
    assert_eq!(text.lines().last(), Some(line));
}

#[test]
fn why_says_what_ended_where_and_when() {
    let part = |member: &str, state: &str, at: &str| WhyFinished {
        component: "Job/reindex".to_owned(),
        member: member.to_owned(),
        state: state.to_owned(),
        at: at.to_owned(),
        generation: 2,
    };
    let why = Why {
        decision: "7f3a9c21d0".to_owned(),
        generation: 2,
        outcome: "Finished".to_owned(),
        reason: "Failed".to_owned(),
        message: "Job/reindex on province-a: Failed".to_owned(),
        finished: vec![
            part("guangzhou-1", "Complete", "2027-05-01T08:05:00Z"),
            part("province-a", "Failed", ""),
        ],
        ..Why::default()
    };
    assert_snapshot!(super::why::text(&why, true));
}

#[test]
fn why_says_in_which_term_it_stands_and_what_going_back_waits_for() {
    let standing = |back: Option<WhyReturn>| {
        let why = Why {
            tier: "province".to_owned(),
            back,
            ..placed()
        };
        let text = super::why::text(&why, true);
        text.lines().nth(2).unwrap_or_default().to_owned()
    };
    assert_eq!(standing(None), "In term province");
    let back = WhyReturn {
        policy: "WhenIdle".to_owned(),
        term: "home".to_owned(),
        at: "2027-05-01T08:05:00Z".to_owned(),
        message: "at 2027-05-01T08:05:00Z, if it holds all of it until then".to_owned(),
    };
    assert_eq!(
        standing(Some(back)),
        "In term province · back to home (WhenIdle): at 2027-05-01T08:05:00Z, if it holds all of it \
         until then"
    );
}

#[test]
fn a_history_has_a_line_for_each_decision() {
    let record = |id: &str, time: &str, outcome: &str, reason: &str| DecisionRecord {
        decision: id.to_owned(),
        decided_at: time.to_owned(),
        generation: 4,
        outcome: outcome.to_owned(),
        reason: reason.to_owned(),
        ..DecisionRecord::default()
    };
    let mut placed = record("7f3a9c21d0", "2026-11-23T09:00:00Z", "Placed", "");
    placed.members = [("gz-1".to_owned(), 8), ("sz-1".to_owned(), 4)].into();
    let waited = record(
        "00aa11bb22",
        "2026-11-23T08:59:00.25Z",
        "Waiting",
        "NoCapacity",
    );
    let history = DecisionHistory {
        items: vec![placed, waited],
        ..DecisionHistory::default()
    };
    assert_snapshot!(super::why::history(&history, true));
    assert_eq!(super::why::history(&DecisionHistory::default(), true), "");
}

/// An earlier decision, of which not every member is known any more.
#[test]
fn why_of_an_earlier_decision_says_when_and_how_many_members_are_told_of() {
    let why = Why {
        decided_at: "2026-11-23T09:00:00Z".to_owned(),
        evaluated: 500,
        ..placed()
    };
    let text = super::why::text(&why, true);
    let head = "Decision 7f3a9c012345 · generation 4 · tenant gz-civil-affairs · 5 of 500 members · \
        decided 2026-11-23T09:00:00Z · inputs 00aa11bb22cc";
    assert_eq!(text.lines().next(), Some(head));
}

#[test]
fn where_shows_a_row_a_member_or_why_there_is_none() {
    let rows: Vec<_> = places(&workload())
        .into_iter()
        .chain(places(&refused()))
        .collect();
    let shown = Shown {
        namespaces: false,
        wide: false,
        headers: true,
    };
    assert_snapshot!(super::places::table(&rows, shown));
    let shown = Shown {
        namespaces: true,
        wide: true,
        headers: true,
    };
    assert_snapshot!(super::places::table(&rows, shown));
}

#[test]
fn tree_goes_down_to_pods_and_cuts_no_reason() {
    let pods: Vec<Pod> = all(r#"
apiVersion: v1
kind: Pod
metadata: {name: web-1, labels: {heyun.dev/component: deployment-web}}
spec: {nodeName: amd-0, containers: []}
status: {phase: Running, conditions: [{type: PodScheduled, status: "True"}, {type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-2, labels: {heyun.dev/component: deployment-web}}
spec: {containers: []}
status: {phase: Pending, conditions: [{type: PodScheduled, status: "False", message: "0/4 nodes are available: 4 Insufficient cpu"}]}
"#);
    let mut pods = Some(pods);
    let placed: Vec<Placed> = works()
        .into_iter()
        .rev()
        .map(|work| Placed {
            work,
            pods: pods.take(),
        })
        .collect();
    assert_snapshot!(super::tree::text(
        &super::tree::tree(&workload(), &placed),
        true
    ));
}

#[test]
fn quota_tree_draws_one_tree_a_flavor() {
    let wanted = Wanted {
        resource: Some("cpu".to_owned()),
        ..Wanted::default()
    };
    let rows = super::quotas::rows(&quotas(), &tenants(), &wanted);
    assert_snapshot!(super::quotas::text(&rows, true));
    let wanted = Wanted {
        root: Some("gz-health".to_owned()),
        flavor: Some("xinchuang-arm64".to_owned()),
        resource: None,
    };
    let rows = super::quotas::rows(&quotas(), &tenants(), &wanted);
    assert_snapshot!(super::quotas::text(&rows, false));
}

#[test]
fn tenants_line_up_with_chinese_names() {
    assert_snapshot!(super::tenants::table(&tenants(), true, true, now()));
    assert_snapshot!(super::tenants::tree(&tenants(), None, true));
    assert_snapshot!(super::tenants::tree(&tenants(), Some("guangzhou"), true));
}

#[test]
fn a_cycle_of_tenants_is_shown_and_ends() {
    let cycle = all(r"
apiVersion: heyun.dev/v1alpha1
kind: Tenant
metadata: {name: a}
spec: {parent: b, kind: Region}
---
apiVersion: heyun.dev/v1alpha1
kind: Tenant
metadata: {name: b}
spec: {parent: a, kind: Region}
---
apiVersion: heyun.dev/v1alpha1
kind: Tenant
metadata: {name: c}
spec: {parent: a, kind: Agency}
");
    assert_snapshot!(super::tenants::tree(&cycle, None, true));
}

#[test]
fn cluster_list_and_describe() {
    assert_snapshot!(super::clusters::table(&members(), false, true, now()));
    assert_snapshot!(super::clusters::table(&members(), true, false, now()));
    assert_snapshot!(super::clusters::describe(&members()[0], 3, now()));
}

#[test]
fn usage_counts_cores_and_gibibytes() {
    let row = |resource: &str, amount: &str| UsageRow {
        tenant: "gz-civil-affairs".to_owned(),
        flavor: "xinchuang-arm64".to_owned(),
        member: "guangzhou-1".to_owned(),
        resource: resource.to_owned(),
        amount_hours: amount.to_owned(),
    };
    let report = UsageReport {
        from: "2026-11-01T00:00:00Z".to_owned(),
        until: "2026-11-02T00:00:00Z".to_owned(),
        rows: vec![
            row("cpu", "192.5"),
            row("memory", "51539607552.25"),
            row("pods", "288"),
        ],
        ..UsageReport::default()
    };
    assert_snapshot!(super::usage::table(&report, true));
    let nothing = UsageReport {
        rows: Vec::new(),
        ..report
    };
    assert_snapshot!(super::usage::table(&nothing, true));
}

#[test]
fn doctor_lists_checks_and_fixes() {
    let findings = [
        Finding::ok("HY-D001", "the hub's API server answers", "v1.36.3"),
        Finding::ok("HY-D003", "clocks agree", "").with(
            Level::Warn,
            "9 s apart",
            "synchronise both",
        ),
        Finding::ok("HY-D008", "a hub leads", "").with(Level::Fail, "no hub leads", "see the logs"),
        Finding::ok("HY-D016", "credentials", "").with(Level::Skipped, "secrets is forbidden", ""),
    ];
    assert!(super::doctor::is_wrong(&findings));
    assert_snapshot!(super::doctor::text(&findings, true));
}
