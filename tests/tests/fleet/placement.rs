//! Each file of `examples/placement/` ends up where its comment says, on real members.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use heyun_tests::fleet::{Shared, alone, documents, list};
use serde_json::Value;

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
    decided(shared, &runs("dispatch", &[("province-a", "dispatch", 1)]));
    decided(shared, &waits("batch"));
    delete(shared, &["-f", &path("71-priority.yaml")]);
    delete(shared, &["-f", &path("70-priority-classes.yaml")]);
    gone(shared, BUS);
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
    let kept = "gd-health-booking/ledger-copy keeps what app=ledger selects out of zone cegn-internet";
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
            "42-workload-affinity.yaml",
            "50-residency.yaml",
            "51-mlps.yaml",
            "70-priority-classes.yaml",
            "71-priority.yaml",
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
fn province(shared: &Shared) {
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
            let wanted = ["Scheduled", "False", reason];
            let said = shared.condition("workload", namespace, name, wanted);
            assert!(said.contains(message), "{name}: {said}");
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
fn why(shared: &Shared, namespace: &str, name: &str) -> Result<Value, String> {
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

fn delete(shared: &Shared, what: &[&str]) {
    let args = [&["delete"], what, &["--ignore-not-found", "--timeout=90s"]].concat();
    shared.hub().run(&args).unwrap();
}

fn gone(shared: &Shared, namespace: &str) {
    let what = format!("no pod in {namespace} on any member");
    shared.eventually(&what, || match shared.pods(namespace) {
        pods if pods.is_empty() => Ok(()),
        pods => Err(format!("{pods:?}")),
    });
}

/// Waits until every node of the real members has room for a large replica, as the hub sees it.
fn room(shared: &Shared) {
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

fn path(file: &str) -> String {
    folder().join(file).display().to_string()
}
