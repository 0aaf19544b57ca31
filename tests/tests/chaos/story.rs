//! The demo in short, step by step; each step is at rest before the next begins.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::audit::Tail;
use crate::common::{Ground, deployment, example, manifests};

const BOOKING: (&str, &str) = ("gd-health-booking", "booking");
const AID: (&str, &str) = ("gz-civil-affairs-aid", "aid");
/// On three members, and scaled by nobody else.
const MAP: (&str, &str) = ("gd-health-booking", "map");
const BUS: (&str, &str) = ("sz-transport-bus", "bus-report");
/// Steps that come once; after them `map` is scaled again and again.
pub(crate) const STEPS: usize = 6;
/// Between two steps, the hub is at rest when it wrote nothing for this long.
const QUIET: Duration = Duration::from_millis(1500);
/// At the end: longer than the hub waits between two writes of amounts that are only shown.
const SILENT: Duration = Duration::from_secs(12);

/// Flavors, tenants, quotas, placements.
pub(crate) fn province(ground: &Ground) {
    for file in ["10-flavors.yaml", "20-tenants.yaml", "30-quotas.yaml"] {
        ground
            .hub()
            .run(&["apply", "-f", &example(file)])
            .expect("the examples are accepted");
    }
    // A namespace that the hub has yet to make refuses the Placement.
    let args = ["apply", "-f", &example("40-placements.yaml")];
    ground.eventually("placements to be accepted", || {
        ground.hub().run(&args).map_err(|e| e.to_string())
    });
    ground.province_is_ready();
}

/// What the user does in a step.
pub(crate) fn act(ground: &Ground, step: usize) {
    let none = json!({});
    match step {
        0 => {
            let placement = json!({"placementRef": {"name": "three-clouds"}});
            ground.deploy(
                BOOKING.0,
                BOOKING.1,
                &manifests("workloads/booking.yaml"),
                &placement,
            );
        }
        1 => ground.deploy(AID.0, AID.1, &manifests("workloads/aid.yaml"), &none),
        2 => ground.deploy(BUS.0, BUS.1, &manifests("workloads/bus-report.yaml"), &none),
        3 => {
            let placement = json!({"placementRef": {"name": "three-clouds"}});
            ground.deploy(MAP.0, MAP.1, &[deployment(MAP.1, 12)], &placement);
        }
        4 => delete(ground, BUS),
        5 => ground.deploy(AID.0, "desk", &[deployment("desk", 3)], &none),
        _ => {
            let replicas = format!("--replicas={}", scaled(step));
            let args = ["scale", "workload", MAP.1, &replicas, "-n", MAP.0];
            ground.hub().run(&args).unwrap_or_else(|e| panic!("{e}"));
        }
    }
}

/// Waits until what the user asked for in a step is there.
pub(crate) fn settle(ground: &Ground, step: usize) {
    match step {
        0 => drop(ground.ready(BOOKING.0, BOOKING.1, Some(12))),
        1 => drop(ground.ready(AID.0, AID.1, None)),
        2 => drop(ground.ready(BUS.0, BUS.1, None)),
        3 => drop(ground.ready(MAP.0, MAP.1, Some(12))),
        4 => ground.eventually("bus-report to be gone", || {
            match ground.get("workload", BUS.0, BUS.1) {
                Ok(object) => Err(object["metadata"].to_string()),
                Err(_) => Ok(()),
            }
        }),
        5 => drop(ground.ready(AID.0, "desk", Some(3))),
        _ => drop(ground.ready(MAP.0, MAP.1, Some(scaled(step)))),
    }
}

fn delete(ground: &Ground, (namespace, name): (&str, &str)) {
    let args = ["delete", "workload", name, "-n", namespace, "--wait=false"];
    ground.hub().run(&args).unwrap_or_else(|e| panic!("{e}"));
}

/// Replicas of `map` after a step: up and down, never twice the same.
fn scaled(step: usize) -> u32 {
    12 + u32::try_from(step * 5 % 7).expect("small")
}

/// Waits until every Work was applied as decided and the hub writes nothing for a while.
pub(crate) fn rest(ground: &Ground) {
    rest_for(ground, QUIET);
}

/// As [`rest`], so long that what is only shown was written too.
pub(crate) fn end(ground: &Ground) {
    rest_for(ground, SILENT);
}

fn rest_for(ground: &Ground, quiet: Duration) {
    ground.eventually("every Work to be applied", || {
        let works = ground
            .hub()
            .json(&["get", "works", "-A"])
            .map_err(|e| e.to_string())?;
        let late = works["items"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|work| {
                work["status"]["appliedDecision"] != work["spec"]["decision"]
                    || !work["metadata"]["deletionTimestamp"].is_null()
            });
        late.map_or(Ok(()), |work| Err(work["status"].to_string()))
    });
    let mut tail = Tail::new(ground);
    let (began, mut since) = (Instant::now(), Instant::now());
    while since.elapsed() < quiet {
        std::thread::sleep(Duration::from_millis(100));
        let wrote = tail.next();
        if !wrote.is_empty() {
            since = Instant::now();
            let last = wrote.last().map(ToString::to_string).unwrap_or_default();
            assert!(
                began.elapsed() < Duration::from_mins(1),
                "the hub does not rest: {last}"
            );
        }
    }
}
