use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::placement::{AffinityTerm, PlacementSpec};
use heyun_scheduler::quota::{Key, Line, QuotaNode, QuotaTree};
use heyun_scheduler::request::{Component, Division};
use heyun_scheduler::snapshot::{Flavor, Member, Readiness, Shape, Sketch, Tenant, TenantKind};
use heyun_scheduler::{Config, Request, Resources, Snapshot, WorkloadKey, schedule};

use super::*;

fn shape(count: i64, cores: i64) -> Shape {
    Shape {
        count,
        flavor: Some("amd".to_owned()),
        free: Resources::new().with("cpu", cores * 1000).with("pods", 110),
        ..Shape::default()
    }
}

fn member(name: &str, shapes: Vec<Shape>) -> Member {
    Member {
        name: name.to_owned(),
        readiness: Readiness::Ready,
        apis: Some(BTreeSet::new()),
        sketch: Some(Sketch {
            shapes,
            ..Sketch::default()
        }),
        ..Member::default()
    }
}

fn asked(name: &str, replicas: i64) -> (WorkloadKey, Asked) {
    let key = WorkloadKey::new("ns", name);
    let component = |kind: &str, division| Component {
        name: format!("{kind}/{name}"),
        replicas,
        per_replica: Resources::new().with("cpu", 1000),
        division,
        ..Component::default()
    };
    let request = Request {
        key: key.clone(),
        uid: format!("uid-{name}"),
        generation: 1,
        tenant: "agency".to_owned(),
        components: vec![component("Deployment", Division::Divided)],
        ..Request::default()
    };
    let asked = Asked {
        generation: 1,
        decision: String::new(),
        placement_ref: String::new(),
        question: Question::Request(Box::new(request)),
    };
    (key, asked)
}

/// However the snapshot keeps them.
fn by_name<M: From<Member>>(members: [Member; 2]) -> BTreeMap<String, M> {
    members.map(|of| (of.name.clone(), M::from(of))).into()
}

/// Two members of 4 and 2 cores, quota for 8, one Workload of 3 and one of 9.
fn recording() -> Recording {
    let members = [
        member("a", vec![shape(1, 3), shape(1, 1)]),
        member("b", vec![shape(1, 2)]),
    ];
    let agency = Tenant {
        kind: TenantKind::Agency,
        ..Tenant::default()
    };
    let line = Line {
        guaranteed: 0,
        nominal: 8_000,
        ceiling: 8_000,
    };
    let node = QuotaNode {
        name: "agency".to_owned(),
        lines: [(Key::new("amd", "cpu"), line)].into(),
        ..QuotaNode::default()
    };
    let snapshot = Snapshot {
        now: 1_795_392_000,
        members: by_name(members),
        flavors: [("amd".to_owned(), Flavor::default())].into(),
        tenants: [("agency".to_owned(), agency)].into(),
        quotas: QuotaTree::build(&[node]).0,
        held: BTreeMap::new(),
        neighbours: BTreeMap::new(),
    };
    let mut workloads = BTreeMap::from([asked("small", 3), asked("wide", 9)]);
    let refused = Asked {
        question: Question::Refused {
            reason: "NoTenant".to_owned(),
            message: "no tenant".to_owned(),
        },
        ..asked("lost", 1).1
    };
    workloads.insert(WorkloadKey::new("ns", "lost"), refused);
    Recording::new(Config::default(), snapshot, workloads)
}

fn outcomes(recording: &Recording) -> BTreeMap<String, String> {
    let all = recording.replay(None).into_iter();
    all.map(|why| (why.name, format!("{} {}", why.outcome, why.reason)))
        .collect()
}

fn changed(changes: &[&str]) -> Recording {
    let mut recording = recording();
    let parsed: Vec<Change> = changes.iter().map(|text| text.parse().unwrap()).collect();
    recording.change(&parsed).unwrap();
    recording
}

fn refusal(change: &str) -> String {
    let mut recording = recording();
    let before = serde_json::to_string(&recording).unwrap();
    let parsed: Result<Change, ChangeError> = change.parse();
    let error = parsed.and_then(|change| recording.change(&[change]));
    assert_eq!(serde_json::to_string(&recording).unwrap(), before);
    error.unwrap_err().to_string()
}

#[test]
fn a_recording_read_back_gives_the_same_bytes_and_the_hash_of_its_inputs() {
    let recording = recording();
    let text = serde_json::to_string(&recording).unwrap();
    let read = Recording::read(text.as_bytes()).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    let answers = |of: &Recording| serde_json::to_string(&of.replay(None)).unwrap();
    assert_eq!(answers(&read), answers(&recording));
    // As whoever made it decided on it: the same inputs have the same hash.
    let request = match &recording.workloads[&WorkloadKey::new("ns", "small")].question {
        Question::Request(request) => Request::clone(request),
        Question::Refused { message, .. } => panic!("{message}"),
    };
    let only = BTreeSet::from([request.key.clone()]);
    let verdict = schedule(&recording.snapshot, &[request], &recording.config).remove(0);
    let replayed = read.replay(Some(&only)).remove(0);
    assert_eq!(replayed.inputs_hash, verdict.inputs_hash);
    assert_eq!(replayed.inputs_hash.len(), 64);
}

#[test]
fn what_is_no_recording_is_refused() {
    let read = |text: &str| Recording::read(text.as_bytes()).unwrap_err().to_string();
    assert!(read("{}").starts_with("it is no snapshot: missing field"));
    let mut other = recording();
    other.kind = "Else".to_owned();
    let said = read(&serde_json::to_string(&other).unwrap());
    assert!(said.starts_with("it is \"Else\" of"), "{said}");
}

#[test]
fn the_batch_is_decided_together_and_one_alone_on_request() {
    let found = outcomes(&recording());
    assert_eq!(found["small"], "Placed ");
    assert_eq!(found["wide"], "Waiting NoCapacity");
    assert_eq!(found["lost"], "Rejected NoTenant");
    let only = BTreeSet::from([WorkloadKey::new("ns", "lost")]);
    assert_eq!(recording().replay(Some(&only)).len(), 1);
}

#[test]
fn changes_of_members_quota_and_replicas_are_what_is_decided_on() {
    // 3 of 8 are taken by the first; 5 are left, and room for 3.
    let found = outcomes(&changed(&["workload/ns/wide.replicas=3"]));
    assert_eq!(found["wide"], "Placed ");
    let found = outcomes(&changed(&["workload/ns/wide.replicas[Deployment/wide]=4"]));
    assert_eq!(found["wide"], "Waiting NoCapacity");
    let more = ["workload/ns/wide.replicas=4", "member/b.nodes=+1"];
    assert_eq!(outcomes(&changed(&more))["wide"], "Placed ");
    let gone = ["member/a.ready=false", "member/b.unschedulable=true"];
    assert_eq!(outcomes(&changed(&gone))["small"], "Waiting NoMemberFits");
    let less = ["quota/agency/amd/cpu.nominal=2"];
    assert_eq!(outcomes(&changed(&less))["small"], "Waiting QuotaExceeded");
    let wide = [
        "quota/agency/amd/cpu.nominal=20",
        "quota/agency/amd/cpu.ceiling=20",
        "member/a.nodes[amd]=+6",
    ];
    assert_eq!(outcomes(&changed(&wide))["wide"], "Placed ");
}

#[test]
fn new_nodes_are_as_free_as_the_freest_and_the_freest_go_first() {
    let shapes = |recording: &Recording| -> Vec<(i64, i64)> {
        let member = &recording.snapshot.members["a"];
        let shapes = &member.sketch.as_ref().unwrap().shapes;
        shapes
            .iter()
            .map(|of| (of.count, of.free.get("cpu")))
            .collect()
    };
    assert_eq!(
        shapes(&changed(&["member/a.nodes=+2"])),
        [(3, 3_000), (1, 1_000)]
    );
    assert_eq!(shapes(&changed(&["member/a.nodes=-1"])), [(1, 1_000)]);
    let said = refusal("member/a.nodes=-3");
    assert_eq!(
        said,
        "member a has 2 nodes of flavor amd: 3 cannot be taken away"
    );
}

#[test]
fn another_placement_counts_for_those_that_refer_to_it() {
    let mut recording = recording();
    let key = WorkloadKey::new("ns", "small");
    let asked = recording.workloads.get_mut(&key).unwrap();
    asked.placement_ref = "policy".to_owned();
    let nowhere = PlacementSpec {
        affinity: vec![AffinityTerm {
            name: "b".to_owned(),
            members: vec!["b".to_owned()],
            ..AffinityTerm::default()
        }],
        ..PlacementSpec::default()
    };
    assert_eq!(recording.place("ns", "other", &nowhere), 0);
    assert_eq!(outcomes(&recording)["small"], "Placed ");
    assert_eq!(recording.place("ns", "policy", &nowhere), 1);
    assert_eq!(outcomes(&recording)["small"], "Waiting NoCapacity");
}

#[test]
fn a_change_that_cannot_be_made_says_why_and_makes_none() {
    for (change, said) in [
        ("member/a", "is no change: write one of member/NAME.ready"),
        ("member/a.color=red", "is no change"),
        ("node/a.ready=true", "is no change"),
        ("member/.ready=true", "is no change"),
        (
            "member/a.ready=yes",
            "`member/a.ready=yes`: yes is not true or false",
        ),
        ("member/a.nodes=4", "4 is not how many more or fewer"),
        ("member/a.nodes=", "nothing is not how many more"),
        ("quota/agency/amd/cpu.limit=1", "is no change"),
        ("quota/agency/amd.ceiling=1", "is no change"),
        (
            "quota/agency/amd/cpu.ceiling=x",
            "`quota/agency/amd/cpu.ceiling=x`: ",
        ),
        ("workload/small.replicas=1", "is no change"),
        (
            "workload/ns/small.replicas=-1",
            "-1 is not a number of replicas",
        ),
        (
            "member/c.ready=true",
            "member c is not in the snapshot: there are a, b",
        ),
        (
            "quota/none/amd/cpu.ceiling=1",
            "tenant none is not in the snapshot: there are agency",
        ),
        (
            "quota/agency/arm/cpu.ceiling=1",
            "flavor arm is not in the snapshot: there are amd",
        ),
        (
            "workload/ns/none.replicas=1",
            "workload ns/none is not in the snapshot: there are ns/lost,",
        ),
        (
            "workload/ns/lost.replicas=1",
            "workload ns/lost is not accepted",
        ),
        (
            "workload/ns/small.replicas[Job/x]=1",
            "there are Deployment/small",
        ),
        (
            "member/a.nodes[arm]=+1",
            "no node of flavor arm to take as a pattern: there are amd",
        ),
        (
            "quota/agency/amd/cpu.guaranteed=9",
            "quota/agency/amd/cpu: guaranteed 9, nominal 8, ceiling 8: keep guaranteed <= nominal",
        ),
    ] {
        let found = refusal(change);
        assert!(found.contains(said), "{change}: {found}");
    }
}
