//! What `heyun simulate` says on the hub's objects as files is what the hub then decides, member
//! by member.

use std::collections::BTreeSet;

use heyun_tests::fleet::{Shared, TestTenant, deployment, fleet, simulated, workload};
use serde_json::{Map, Value, json};

/// Members of this test alone: name, nodes, and cpu that is free on each. Requests of other tests
/// always fit there, for one of those counts the members that are too small.
const OWN: [(&str, u32, &str); 3] = [
    ("agreement-a", 2, "8"),
    ("agreement-b", 1, "8"),
    ("agreement-c", 1, "2"),
];

/// What a decision depends on.
const KINDS: &str = "memberclusters.heyun.dev,sketches.heyun.dev,flavors.heyun.dev,\
     tenants.heyun.dev,quotas.heyun.dev,placements.heyun.dev,workloads.heyun.dev,works.heyun.dev,\
     namespaces,priorityclasses.scheduling.k8s.io";

const PLACEMENT: &str = "placement: {division: {type: ByCapacity}, \
     tolerations: [{key: heyun-tests/simulated, operator: Exists}], \
     affinity: [{name: own, matchLabels: {heyun-tests/fleet: agreement}}]}";

/// What is deployed, and what is to come of it.
struct Case {
    name: &'static str,
    replicas: u32,
    cpu: &'static str,
    /// Outcome, and its reason.
    outcome: (Option<&'static str>, Option<&'static str>),
    /// Members that get some of it.
    members: usize,
    /// Exit code of `heyun simulate`.
    exit: i32,
}

/// Each is decided on what those before it hold.
const CASES: [Case; 4] = [
    Case {
        name: "huge",
        replicas: 1,
        cpu: "100",
        outcome: (Some("Waiting"), Some("NoMemberFits")),
        members: 0,
        exit: 1,
    },
    Case {
        name: "wide",
        replicas: 5,
        cpu: "3",
        outcome: (Some("Placed"), None),
        members: 2,
        exit: 0,
    },
    // It would fit, were it not for the one before.
    Case {
        name: "late",
        replicas: 1,
        cpu: "6",
        outcome: (Some("Waiting"), Some("NoMemberFits")),
        members: 0,
        exit: 1,
    },
    // There is room for it, and quota for two of three.
    Case {
        name: "over",
        replicas: 3,
        cpu: "1900m",
        outcome: (Some("Waiting"), Some("QuotaExceeded")),
        members: 0,
        exit: 7,
    },
];

#[test]
fn simulate_says_what_the_hub_decides() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-agreement", 20);
    for (name, nodes, cpu) in OWN {
        simulated(shared, name, "agreement", nodes, cpu);
    }
    for case in &CASES {
        agrees(shared, &tenant.name, case);
    }
}

fn agrees(shared: &Shared, ns: &str, case: &Case) {
    let name = case.name;
    let manifest = deployment(name, case.replicas, case.cpu);
    let yaml = workload(ns, name, &[manifest], PLACEMENT);
    let foretold = simulate(shared, ns, &yaml, case.exit);
    let outcome = (foretold["outcome"].as_str(), foretold["reason"].as_str());
    assert_eq!(outcome, case.outcome, "{name}: {foretold}");
    let expected = compared(shared, &foretold);
    let silent = expected["members"]
        .as_object()
        .unwrap()
        .iter()
        .find(|(_, said)| said.is_null());
    assert!(silent.is_none(), "{name}: {silent:?} in {foretold}");

    shared.hub().apply(&yaml).unwrap();
    let placed = case.members > 0;
    let status = if placed { "True" } else { "False" };
    shared.condition("workload", ns, name, ["Scheduled", status, ""]);
    let what = format!("{name} to be decided as it was simulated");
    let decided = shared.eventually(&what, || {
        let decided = why(shared, ns, name)?;
        let found = compared(shared, &decided);
        // Until it knows of its own commit, the hub too says what it would decide.
        if found == expected && decided["decision"].is_string() == placed {
            return Ok(decided);
        }
        Err(format!("simulated {expected}\ndecided {found}"))
    });
    let object = shared.get("workload", ns, name).unwrap();
    assert_eq!(object["status"]["decision"]["id"], decided["decision"]);
    let places = told(&foretold);
    assert_eq!(places.len(), case.members, "{name}: {foretold}");
    assert_eq!(assigned(&object), places, "{name}");
}

/// What `heyun simulate` says of a Workload, on the hub's objects of now as files.
fn simulate(shared: &Shared, ns: &str, yaml: &str, exit: i32) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let objects = ["get", KINDS, "-A", "-o", "yaml"];
    let against = file("hub.yaml", &shared.hub().run(&objects).unwrap());
    let given = file("workload.yaml", yaml);
    let output = shared.heyun(&[
        "simulate",
        "-f",
        &given,
        "--against",
        &against,
        "-n",
        ns,
        "-o",
        "json",
    ]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// What `heyun why` says; an error while the hub has not seen the Workload.
fn why(shared: &Shared, ns: &str, name: &str) -> Result<Value, String> {
    let workload = format!("workload/{name}");
    let output = shared.heyun(&["why", &workload, "-n", ns, "-o", "json"]);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// What both must say alike: of the members of this test every word, of the real ones, where other
/// tests come and go, all but the sentences with numbers. Members of other tests are left out.
fn compared(shared: &Shared, why: &Value) -> Value {
    let mut members = Map::new();
    for (name, ..) in OWN {
        members.insert(name.to_owned(), member(why, name));
    }
    for name in shared.members() {
        let mut said = member(why, &name);
        let refusals = said.get_mut("refusals").and_then(Value::as_array_mut);
        for refusal in refusals.into_iter().flatten() {
            *refusal = json!([refusal["filter"], refusal["reason"]]);
        }
        members.insert(name, said);
    }
    json!({
        "tenant": why["tenant"], "outcome": why["outcome"], "reason": why["reason"],
        "members": members,
    })
}

/// What is said of a member; null if nothing is.
fn member(why: &Value, name: &str) -> Value {
    let members = why["members"].as_array();
    let mut members = members.into_iter().flatten();
    let found = members.find(|member| member["member"] == name);
    found.cloned().unwrap_or_default()
}

/// What goes where, as it is told.
fn told(why: &Value) -> BTreeSet<String> {
    let members = why["members"].as_array();
    let places = members.into_iter().flatten().flat_map(|member| {
        let parts = member["replicas"].as_array();
        let parts = parts.into_iter().flatten();
        parts.map(move |part| place(&member["member"], part))
    });
    places.collect()
}

/// What goes where, as it is decided.
fn assigned(workload: &Value) -> BTreeSet<String> {
    let all = workload["status"]["decision"]["assignments"].as_array();
    let places = all.into_iter().flatten();
    places.map(|part| place(&part["member"], part)).collect()
}

fn place(member: &Value, part: &Value) -> String {
    let [replicas, component, flavor] =
        ["replicas", "component", "flavor"].map(|field| &part[field]);
    format!("{replicas} of {component} in {flavor} on {member}")
}
