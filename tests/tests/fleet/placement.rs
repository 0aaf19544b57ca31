//! Each file of `examples/placement/` ends up where its comment says, on real members.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use heyun_tests::fleet::{Shared, alone, condition_of, documents, list};
use serde_json::{Value, json};

use crate::placement_cases::Fate::{Not, Placed};
use crate::placement_cases::{AID, BUS, Expected, FILES, HEALTH, Part, of};

const TENANTS: &str = include_str!("../../../examples/20-tenants.yaml");
const QUOTAS: &str = include_str!("../../../examples/30-quotas.yaml");

/// A large replica of the examples: more than half of a node, so that a node holds one, whatever
/// small work of other tests runs beside it.
const LARGE_MILLICORES: u64 = 9000;

#[test]
fn examples_are_placed_as_their_comments_say() {
    let (shared, _turn) = alone();
    province(shared);
    for (file, all) in FILES {
        applied(shared, file, all, |workload| {
            if workload.name == "arm-only" {
                arm64_alone(shared);
            }
        });
    }
}

/// The wish for Shenzhen does not weaken the rules of the tenant, and each of them says who may.
#[test]
fn examples_that_a_hard_rule_refuses() {
    let (shared, _turn) = alone();
    province(shared);
    let who = "gz-civil-affairs security administrators";
    let stray = of(AID, "stray", Not(["Rejected", "NoMemberFits", "Residency"]));
    applied(shared, "50-residency.yaml", &[stray], |_| {
        let refused: [Refusal; 3] = [
            (
                "shenzhen-1",
                "Residency",
                "stands in shenzhen, allowed is guangzhou",
            ),
            ("shenzhen-1", "MlpsLevel", "2 is below 3"),
            (
                "shenzhen-1",
                "Zone",
                "is in zone cegn-internet, allowed is cegn-common",
            ),
        ];
        says(shared, AID, "stray", &refused, Some(who));
    });
    let level = of(
        HEALTH,
        "level-four",
        Not(["Rejected", "NoMemberFits", "MlpsLevel"]),
    );
    applied(shared, "51-mlps.yaml", &[level], |_| {
        let refused: [Refusal; 3] = [
            ("guangzhou-1", "MlpsLevel", "3 is below 4"),
            ("province-a", "MlpsLevel", "3 is below 4"),
            ("shenzhen-1", "MlpsLevel", "2 is below 4"),
        ];
        says(shared, HEALTH, "level-four", &refused, None);
    });
}

/// Of two that wait the one of the higher priority is first, and gets what becomes free.
#[test]
fn the_example_of_priority() {
    let (shared, _turn) = alone();
    province(shared);
    room(shared);
    for file in ["70-priority-classes.yaml", "71-priority.yaml"] {
        shared.hub().run(&["apply", "-f", &path(file)]).unwrap();
    }
    let waits = |name| of(BUS, name, Not(["Waiting", "QuotaExceeded", ""]));
    let runs = |name, parts| of(BUS, name, Placed(parts));
    decided(shared, &runs("alert", &[("province-a", "alert", 1)]));
    decided(shared, &waits("batch"));
    decided(shared, &waits("dispatch"));
    shared.eventually("dispatch to be before batch", || {
        let position = |name| why(shared, BUS, name).map(|why| why["queue"]["position"].as_u64());
        let found = (position("dispatch")?, position("batch")?);
        match found {
            (Some(dispatch), Some(batch)) if dispatch < batch => Ok(()),
            _ => Err(format!("{found:?}")),
        }
    });
    delete(shared, &["workload", "alert", "-n", BUS]);
    let dispatch = runs("dispatch", &[("province-a", "dispatch", 1)]);
    decided(shared, &dispatch);
    decided(shared, &waits("batch"));
    let rescue = path("72-preemption.yaml");
    shared.hub().run(&["apply", "-f", &rescue]).unwrap();
    decided(shared, &runs("rescue", &[("province-a", "rescue", 1)]));
    made_room(
        shared,
        BUS,
        "dispatch",
        &["Lower", "sz-transport-bus/rescue", ""],
    );
    delete(shared, &["-f", &rescue]);
    decided(shared, &dispatch);
    delete(shared, &["-f", &path("71-priority.yaml")]);
    delete(shared, &["-f", &path("70-priority-classes.yaml")]);
    gone(shared, BUS);
}

/// What was lent goes when it is asked for, and anything lower does in an emergency; both come back.
#[test]
fn the_examples_of_making_room_for_other_tenants() {
    let (shared, _turn) = alone();
    province(shared);
    room(shared);
    let apply = |file| shared.hub().run(&["apply", "-f", &path(file)]).unwrap();
    apply("70-priority-classes.yaml");
    let lent = of(HEALTH, "lent", Placed(&[("province-a", "lent", 4)]));
    let own = of(BUS, "own", Placed(&[("province-a", "own", 1)]));
    let clinic = of(HEALTH, "clinic", Placed(&[("shenzhen-1", "clinic", 2)]));
    let flood = of(BUS, "flood", Placed(&[("shenzhen-1", "flood", 1)]));
    let document = ["Emergency", "", "粤防汛〔2027〕3号"];
    for (first, stands, file, asker, told) in [
        (
            "73-lent.yaml",
            lent,
            "74-taken-back.yaml",
            own,
            ["Borrowed", "", ""],
        ),
        (
            "75-routine.yaml",
            clinic,
            "76-emergency.yaml",
            flood,
            document,
        ),
    ] {
        apply(first);
        decided(shared, &stands);
        apply(file);
        decided(shared, &asker);
        made_room(shared, HEALTH, stands.name, &told);
        delete(shared, &["-f", &path(file)]);
        decided(shared, &stands);
        delete(shared, &["-f", &path(first)]);
        gone(shared, HEALTH);
    }
    let misused = std::fs::read_to_string(path("76-emergency.yaml")).unwrap();
    let misused = misused.replace(BUS, HEALTH);
    shared.hub().apply(&misused).unwrap();
    let wanted = ["Accepted", "False", "GuardrailViolated"];
    let said = shared.condition("workload", HEALTH, "flood", wanted);
    assert!(said.contains("is none that may name it"), "{said}");
    delete(shared, &["workload", "flood", "-n", HEALTH]);
    delete(shared, &["-f", &path("70-priority-classes.yaml")]);
    gone(shared, BUS);
}

/// Waits until a Workload made room: by what right, for whom, and by what document.
fn made_room(shared: &Shared, namespace: &str, name: &str, told: &[&str; 3]) {
    shared.eventually(&format!("{name} to make room"), || {
        let workload = shared.get("workload", namespace, name)?;
        let decision = &workload["status"]["decision"];
        let text = |field: &str| decision["preempted"][field].as_str().unwrap_or_default();
        let found = [text("claim"), text("by"), text("document")];
        let left = assigned(&workload);
        let gone = decision["releasing"].as_array().is_none_or(Vec::is_empty);
        if found == *told && left.is_empty() && gone {
            return Ok(());
        }
        Err(decision.to_string())
    });
    shared.condition("workload", namespace, name, ["Scheduled", "False", ""]);
    let why = why(shared, namespace, name).unwrap();
    let said = why["preempted"].as_str().unwrap_or_default();
    assert!(said.starts_with("made room"), "{why}");
    assert!(said.contains(told[1]) && said.contains(told[2]), "{why}");
}

/// By their weights the cheap member is taken or the roomy one, and `why` shows what each scored.
#[test]
fn the_example_of_cost() {
    let (shared, _turn) = alone();
    province(shared);
    let file = "80-cost.yaml";
    let text = std::fs::read_to_string(path(file)).unwrap();
    // The hub watches kinds apart: it has seen the prices before it is asked.
    for book in documents(&text)
        .iter()
        .filter(|of| of["kind"] == "PriceBook")
    {
        shared.hub().apply(&book.to_string()).unwrap();
    }
    let all = [
        of(HEALTH, "thrifty", Placed(&[("shenzhen-1", "thrifty", 1)])),
        of(HEALTH, "roomy", Placed(&[("province-a", "roomy", 1)])),
    ];
    applied(shared, file, &all, |workload| {
        let why = why(shared, HEALTH, workload.name).unwrap();
        for (member, cost) in [("shenzhen-1", 100), ("province-a", 0)] {
            let found = score(&why, member, "cost");
            assert_eq!(found["points"], cost, "{member} in {why}");
            let weight = if workload.name == "thrifty" { 100 } else { 20 };
            assert_eq!(found["weight"], weight, "{why}");
        }
    });
}

/// A red line and a reserve keep away what is new, with their numbers, and nothing that is there.
#[test]
fn the_example_of_headroom() {
    let (shared, _turn) = alone();
    province(shared);
    room(shared);
    let file = path("81-headroom.yaml");
    member_says(shared, &json!({"maxUtilization": {"cpu": "55%"}}));
    shared.hub().run(&["apply", "-f", &file]).unwrap();
    let parts = Placed(&[("province-a", "headroom", 3), ("shenzhen-1", "headroom", 1)]);
    decided(shared, &of(HEALTH, "headroom", parts));
    let late = of(
        HEALTH,
        "late",
        Not(["Waiting", "NoMemberFits", "Utilization"]),
    );
    decided(shared, &late);
    // Small work of other tests is requested there too.
    let line = [
        "Deployment/late needs 9 cpu, the red line is 55% of 64 and ",
        " requested",
    ];
    refusal(shared, "late", "Utilization", &line);
    // A lower line moves nothing; without one, late is placed.
    member_says(shared, &json!({"maxUtilization": {"cpu": "10%"}}));
    let parts = Placed(&[("province-a", "headroom", 3), ("shenzhen-1", "headroom", 1)]);
    decided(shared, &of(HEALTH, "headroom", parts));
    member_says(shared, &json!({"maxUtilization": null}));
    decided(
        shared,
        &of(HEALTH, "late", Placed(&[("province-a", "late", 1)])),
    );
    delete(shared, &["-f", &file]);
    gone(shared, HEALTH);
    // Half of each node is kept back, and a replica needs more than the rest.
    room(shared);
    member_says(shared, &json!({"reserve": {"cpu": "50%"}}));
    shared.eventually("half of each node", || {
        let sketch = shared.get("sketch", "heyun-member-province-a", "sketch")?;
        let shapes = sketch["status"]["shapes"].as_array().into_iter().flatten();
        let most = shapes.map(|shape| millicores(&shape["free"]["cpu"])).max();
        if most <= Some(8000) {
            Ok(())
        } else {
            Err(format!("{most:?}"))
        }
    });
    let text = std::fs::read_to_string(&file).unwrap();
    let workloads = documents(&text);
    let late = workloads.iter().find(|of| of["metadata"]["name"] == "late");
    shared.hub().apply(&late.unwrap().to_string()).unwrap();
    decided(
        shared,
        &of(HEALTH, "late", Not(["Waiting", "NoMemberFits", "Capacity"])),
    );
    refusal(
        shared,
        "late",
        "Capacity",
        &["needs 9 cpu, best node has ", " free"],
    );
    member_says(shared, &json!({"reserve": null}));
    decided(
        shared,
        &of(HEALTH, "late", Placed(&[("province-a", "late", 1)])),
    );
    delete(shared, &["-f", &file]);
    gone(shared, HEALTH);
}

/// Changes the province's MemberCluster, and waits until the hub has seen it.
fn member_says(shared: &Shared, spec: &Value) {
    let (kind, name) = ("membercluster", "province-a");
    let patch = json!({ "spec": spec }).to_string();
    let args = ["patch", kind, name, "--type", "merge", "-p", &patch];
    shared.hub().run(&args).unwrap();
    shared.eventually(&format!("the hub to see {patch}"), || {
        let object = shared.get(kind, "", name)?;
        let seen = &object["status"]["observedGeneration"];
        if *seen == object["metadata"]["generation"] {
            return Ok(());
        }
        Err(seen.to_string())
    });
}

/// What the province's cloud is refused for says all of these.
fn refusal(shared: &Shared, name: &str, reason: &str, parts: &[&str]) {
    shared.eventually(&format!("{name} to be refused with {parts:?}"), || {
        let why = why(shared, HEALTH, name)?;
        let mut members = why["members"].as_array().into_iter().flatten();
        let province = members.find(|of| of["member"] == "province-a");
        let refusals = province.and_then(|of| of["refusals"].as_array());
        let mut refusals = refusals.into_iter().flatten();
        let found = refusals.find(|of| of["reason"] == reason);
        let said = found.map_or("", |of| of["message"].as_str().unwrap_or_default());
        if parts.iter().all(|part| said.contains(part)) {
            return Ok(());
        }
        Err(why.to_string())
    });
}

/// One score of a member.
fn score(why: &Value, member: &str, name: &str) -> Value {
    let members = why["members"].as_array().into_iter().flatten();
    let mut of = members.filter(|of| of["member"] == member);
    let scores = of.next().and_then(|of| of["scores"].as_array());
    let mut found = scores.into_iter().flatten().filter(|of| of["name"] == name);
    found.next().cloned().unwrap_or_default()
}

/// What was placed in a later term goes back to the first once that holds it, and not before.
#[test]
fn the_example_of_return() {
    let (shared, _turn) = alone();
    province(shared);
    room(shared);
    // One after the other: both in one batch would be placed in the order of their names.
    let text = std::fs::read_to_string(path("11-return.yaml")).unwrap();
    let (crowd, back) = text.split_once("\n---\n").unwrap();
    shared.hub().apply(crowd).unwrap();
    let crowded = Placed(&[("province-a", "crowd", 4)]);
    decided(shared, &of(HEALTH, "crowd", crowded));
    shared.hub().apply(back).unwrap();
    let away = of(HEALTH, "back", Placed(&[("shenzhen-1", "back", 1)]));
    decided(shared, &away);
    let why_away = why(shared, HEALTH, "back").unwrap();
    assert_eq!(why_away["tier"], "shenzhen");
    let waits = why_away["return"]["message"].as_str().unwrap_or_default();
    assert!(waits.starts_with("not now: "), "{why_away}");
    let decision = |shared: &Shared| -> Value {
        shared.get("workload", HEALTH, "back").unwrap()["status"]["decision"].clone()
    };
    let first = decision(shared);
    delete(shared, &["workload", "crowd", "-n", HEALTH]);
    let home = of(HEALTH, "back", Placed(&[("province-a", "back", 1)]));
    decided(shared, &home);
    let second = decision(shared);
    assert_eq!(
        (&first["tier"], &second["tier"]),
        (&"shenzhen".into(), &"home".into())
    );
    assert_eq!(second["returned"], true, "{second}");
    assert_eq!(first["generation"], second["generation"]);
    let why_home = why(shared, HEALTH, "back").unwrap();
    assert_eq!(
        (&why_home["tier"], &why_home["return"]),
        (&"home".into(), &Value::Null)
    );
    delete(shared, &["-f", &path("11-return.yaml")]);
    gone(shared, HEALTH);
}

/// Of Workloads that speak of each other each is decided by where the others are, and again when one
/// goes.
#[test]
fn the_example_of_workloads_near_and_apart() {
    let (shared, _turn) = alone();
    province(shared);
    room(shared);
    let file = path("42-workload-affinity.yaml");
    shared.hub().run(&["apply", "-f", &file]).unwrap();
    let runs = |name, parts| decided(shared, &of(HEALTH, name, Placed(parts)));
    let waits = |name, reason, said| {
        decided(shared, &of(HEALTH, name, Not(["Waiting", reason, said])));
    };
    runs("ledger", &[("guangzhou-1", "ledger", 1)]);
    runs("ledger-web", &[("province-a", "ledger-web", 1)]);
    runs("ledger-copy", &[("shenzhen-1", "ledger-copy", 1)]);
    waits("ledger-lost", "WorkloadAffinity", "app=archive");
    waits("ledger-other", "NoMemberFits", "WorkloadAntiAffinity 1");
    let kept =
        "gd-health-booking/ledger-copy keeps what app=ledger selects out of zone cegn-internet";
    let out: Refusal = ("shenzhen-1", "WorkloadAntiAffinity", kept);
    says(shared, HEALTH, "ledger-other", &[out], None);
    let far = "no workload that app in (ledger,journal) selects has replicas in zone cegn-internet";
    let far: Refusal = ("shenzhen-1", "WorkloadAffinity", far);
    says(shared, HEALTH, "ledger-web", &[far], None);

    // What keeps it out goes, and it is placed; a label makes another one what was waited for.
    delete(shared, &["workload", "ledger-copy", "-n", HEALTH]);
    runs("ledger-other", &[("shenzhen-1", "ledger-other", 1)]);
    let label = ["label", "workload", "ledger-other", "-n", HEALTH];
    let label = [&label[..], &["app=archive", "--overwrite"]].concat();
    shared.hub().run(&label).unwrap();
    runs("ledger-lost", &[("shenzhen-1", "ledger-lost", 1)]);
    delete(shared, &["-f", &file]);
    gone(shared, HEALTH);
}

/// No file is left out, and each says in two languages what it shows.
#[test]
fn every_example_of_placement_is_tested_and_explained() {
    let tested: BTreeSet<String> = FILES
        .iter()
        .map(|(file, _)| *file)
        .chain([
            "11-return.yaml",
            "42-workload-affinity.yaml",
            "44-finished-job.yaml",
            "50-residency.yaml",
            "51-mlps.yaml",
            "70-priority-classes.yaml",
            "71-priority.yaml",
            "72-preemption.yaml",
            "73-lent.yaml",
            "74-taken-back.yaml",
            "75-routine.yaml",
            "76-emergency.yaml",
            "80-cost.yaml",
            "81-headroom.yaml",
        ])
        .map(str::to_owned)
        .collect();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let entry = entry.unwrap();
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let name = entry.file_name().into_string().unwrap();
        let comment: String = text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .collect();
        let chinese = comment
            .chars()
            .any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        let english = comment
            .split_whitespace()
            .filter(|word| word.is_ascii())
            .count()
            > 10;
        assert!(chinese && english, "{name}: {comment}");
        found.insert(name);
    }
    assert_eq!(found, tested);
}

/// The tenants and quotas of the examples.
pub(crate) fn province(shared: &Shared) {
    static APPLIED: OnceLock<()> = OnceLock::new();
    APPLIED.get_or_init(|| {
        for (kind, yaml) in [("tenant", TENANTS), ("quota", QUOTAS)] {
            shared.hub().apply(yaml).unwrap();
            for object in documents(yaml) {
                let name = object["metadata"]["name"].as_str().unwrap();
                shared.condition(kind, "", name, ["Ready", "True", ""]);
            }
        }
    });
}

/// Applies a file, in a fleet with room, awaits all that is expected of it, lets `more` see each
/// Workload, and removes it again.
fn applied(shared: &Shared, file: &str, all: &[Expected], more: impl Fn(&Expected)) {
    room(shared);
    foretold(shared, file, all);
    shared.hub().run(&["apply", "-f", &path(file)]).unwrap();
    for workload in all {
        decided(shared, workload);
        more(workload);
    }
    delete(shared, &["-f", &path(file)]);
    for workload in all {
        gone(shared, workload.namespace);
    }
}

/// `heyun simulate` says the same before the file is applied.
fn foretold(shared: &Shared, file: &str, all: &[Expected]) {
    let output = shared.heyun(&["simulate", "-f", &path(file), "-o", "json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{file}: {error}: {said}"));
    let answers = match answer["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![answer],
    };
    assert_eq!(answers.len(), all.len(), "{file}");
    for workload in all {
        let why = answers
            .iter()
            .find(|why| why["name"] == workload.name)
            .unwrap_or_else(|| panic!("{file}: nothing of {}", workload.name));
        if let Err(differs) = agrees(why, workload) {
            panic!("{file}: simulated: {differs}");
        }
    }
}

/// Waits until a Workload is placed and its pods run as expected, or is refused as expected.
fn decided(shared: &Shared, expected: &Expected) {
    let Expected {
        namespace, name, ..
    } = *expected;
    shared.eventually(&format!("{name} to be decided as its file says"), || {
        agrees(&why(shared, namespace, name)?, expected)
    });
    match expected.fate {
        Placed(parts) => {
            let workload = shared.ready(namespace, name);
            assert_eq!(assigned(&workload), wanted(parts), "{name}");
            shared.eventually(&format!("the pods of {name}"), || {
                running(shared, namespace, parts)
            });
        }
        Not([_, reason, message]) => {
            // While replicas before it are in flight, it may be another rule that refuses.
            shared.eventually(&format!("{name} to say {message}"), || {
                let workload = shared.get("workload", namespace, name)?;
                let said = condition_of(&workload, "Scheduled");
                let text = said["message"].as_str().unwrap_or_default();
                if said["reason"] == reason && text.contains(message) {
                    return Ok(());
                }
                Err(said.to_string())
            });
            let workload = shared.get("workload", namespace, name).unwrap();
            assert!(assigned(&workload).is_empty(), "{workload}");
            let pods = shared.pods(namespace);
            let of_it = |app: &str| pods.iter().any(|(_, pod, _)| pod.starts_with(app));
            let manifests = workload["spec"]["manifests"].as_array().unwrap();
            for manifest in manifests {
                let app = manifest["metadata"]["name"].as_str().unwrap();
                assert!(!of_it(app), "{name}: {app} runs: {pods:?}");
            }
        }
    }
}

/// Member, reason, and what the refusal says.
type Refusal = (&'static str, &'static str, &'static str);

/// Whether `why` (or what was simulated) says what is expected.
fn agrees(why: &Value, expected: &Expected) -> Result<(), String> {
    let text = |field: &str| why[field].as_str().unwrap_or_default();
    let (outcome, reason, parts) = match expected.fate {
        Placed(parts) => ("Placed", "", parts),
        Not([outcome, reason, _]) => (outcome, reason, &[] as &[Part]),
    };
    let found = (text("outcome"), text("reason"), told(why));
    if found == (outcome, reason, wanted(parts)) {
        return Ok(());
    }
    Err(format!("{found:?} in {why}"))
}

/// `why` of a Workload; an error while the hub has not seen it.
pub(crate) fn why(shared: &Shared, namespace: &str, name: &str) -> Result<Value, String> {
    let workload = format!("workload/{name}");
    let output = shared.heyun(&["why", &workload, "-n", namespace, "-o", "json"]);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// `why` names each of these refusals, and who decides on each.
fn says(shared: &Shared, namespace: &str, name: &str, refused: &[Refusal], who: Option<&str>) {
    let why = why(shared, namespace, name).unwrap();
    let members = why["members"].as_array().unwrap();
    for (member, reason, message) in refused {
        let said = members.iter().find(|said| said["member"] == *member);
        let refusals = said.and_then(|said| said["refusals"].as_array());
        let found = refusals
            .into_iter()
            .flatten()
            .find(|refusal| refusal["reason"] == *reason && refusal["message"] == *message);
        let found = found.unwrap_or_else(|| panic!("{member}, {reason}: {message} in {why}"));
        if let Some(who) = who {
            assert_eq!(found["decidedBy"], who, "{found}");
        }
    }
}

/// Every pod of the example runs on a node of arm64, and the member without any was refused for it.
fn arm64_alone(shared: &Shared) {
    let refused = [(
        "province-a",
        "Architecture",
        "Deployment/arm-only runs on arm64, its nodes are amd64",
    )];
    says(shared, BUS, "arm-only", &refused, None);
    let member = shared.member("shenzhen-1");
    let pods = member
        .json(&["get", "pods", "-n", BUS, "-l", "app=arm-only"])
        .unwrap();
    for pod in list(&pods) {
        let node = pod["spec"]["nodeName"].as_str().unwrap();
        let node = member.json(&["get", "node", node]).unwrap();
        assert_eq!(node["metadata"]["labels"]["kubernetes.io/arch"], "arm64");
    }
}

/// Member, component and replicas.
type Places = BTreeSet<(String, String, u64)>;

fn wanted(parts: &[Part]) -> Places {
    let place = |(member, component, replicas): &Part| {
        let component = format!("Deployment/{component}");
        ((*member).to_owned(), component, u64::from(*replicas))
    };
    parts.iter().map(place).collect()
}

fn place(member: &Value, part: &Value) -> (String, String, u64) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let replicas = part["replicas"].as_u64().unwrap_or_default();
    (text(member), text(&part["component"]), replicas)
}

fn told(why: &Value) -> Places {
    let members = why["members"].as_array().into_iter().flatten();
    members
        .flat_map(|member| {
            let parts = member["replicas"].as_array().into_iter().flatten();
            parts.map(move |part| place(&member["member"], part))
        })
        .collect()
}

fn assigned(workload: &Value) -> Places {
    let all = workload["status"]["decision"]["assignments"].as_array();
    let all = all.into_iter().flatten();
    all.map(|part| place(&part["member"], part)).collect()
}

/// Whether exactly these pods run, on all real members.
fn running(shared: &Shared, namespace: &str, parts: &[Part]) -> Result<(), String> {
    let apps: BTreeSet<&str> = parts.iter().map(|(_, app, _)| *app).collect();
    for member in shared.members() {
        for app in &apps {
            let label = format!("app={app}");
            let pods = shared
                .member(&member)
                .json(&["get", "pods", "-n", namespace, "-l", &label])
                .map_err(|error| error.to_string())?;
            let phases: Vec<&Value> = list(&pods).iter().map(|p| &p["status"]["phase"]).collect();
            let here = |part: &&Part| part.0 == member && part.1 == *app;
            let count = parts.iter().find(here).map_or(0, |part| part.2 as usize);
            if phases.len() != count || phases.iter().any(|phase| **phase != "Running") {
                return Err(format!("{app} on {member}: {count} wanted, {phases:?}"));
            }
        }
    }
    Ok(())
}

pub(crate) fn delete(shared: &Shared, what: &[&str]) {
    let args = [&["delete"], what, &["--ignore-not-found", "--timeout=90s"]].concat();
    shared.hub().run(&args).unwrap();
}

pub(crate) fn gone(shared: &Shared, namespace: &str) {
    let what = format!("no pod in {namespace} on any member");
    shared.eventually(&what, || match shared.pods(namespace) {
        pods if pods.is_empty() => Ok(()),
        pods => Err(format!("{pods:?}")),
    });
}

/// Waits until every node of the real members has room for a large replica, as the hub sees it.
pub(crate) fn room(shared: &Shared) {
    for member in shared.members() {
        let namespace = format!("heyun-member-{member}");
        shared.eventually(&format!("room on each node of {member}"), || {
            let sketch = shared.get("sketch", &namespace, "sketch")?;
            let shapes = sketch["status"]["shapes"].as_array().into_iter().flatten();
            let roomy =
                shapes.filter(|shape| millicores(&shape["free"]["cpu"]) >= LARGE_MILLICORES);
            let count: u64 = roomy.filter_map(|shape| shape["count"].as_u64()).sum();
            if count > 0 && sketch["status"]["nodes"] == count {
                return Ok(());
            }
            Err(sketch["status"].to_string())
        });
    }
}

/// A quantity of cpu; 0 where it is none.
fn millicores(cpu: &Value) -> u64 {
    let text = cpu.as_str().unwrap_or_default();
    let (number, unit) = match text.strip_suffix('m') {
        Some(number) => (number, 1),
        None => (text, 1000),
    };
    number.parse::<u64>().map_or(0, |number| number * unit)
}

fn folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("examples/placement")
}

pub(crate) fn path(file: &str) -> String {
    folder().join(file).display().to_string()
}
