//! Exact capacity, on members that no process stands behind.

use heyun_tests::fleet::{TestTenant, deployment, fleet, list, simulated, workload};

/// Twenty at once on room for twelve: six on each, and eight that wait and say why.
#[test]
fn twenty_at_once_on_room_for_twelve() {
    let (shared, _turn) = fleet();
    let tenant = TestTenant::new(shared, "fleet-capacity", 1000);
    for name in ["capacity-a", "capacity-b"] {
        simulated(shared, name, "capacity", 1, "10");
    }
    let placement = "placement: {tolerations: [{key: heyun-tests/simulated, operator: Exists}], \
         affinity: [{name: own, matchLabels: {heyun-tests/fleet: capacity}}]}";
    let all: Vec<String> = (0..20)
        .map(|number| {
            let name = format!("one-{number}");
            workload(
                &tenant.name,
                &name,
                &[deployment(&name, 1, "1500m")],
                placement,
            )
        })
        .collect();
    shared.hub().apply(&all.join("---\n")).unwrap();
    shared.eventually("six on each, eight waiting with a reason", || {
        let found = shared
            .hub()
            .json(&["get", "workloads", "-n", &tenant.name])
            .map_err(|e| e.to_string())?;
        let on = |member: &str| {
            let holds = |w: &&serde_json::Value| {
                w["status"]["decision"]["assignments"][0]["member"] == member
            };
            list(&found).iter().filter(holds).count()
        };
        let waiting: Vec<String> = list(&found)
            .iter()
            .filter(|w| {
                w["status"]["decision"]["assignments"]
                    .as_array()
                    .is_none_or(Vec::is_empty)
            })
            .map(|w| w["status"]["explanation"].to_string())
            .collect();
        let told = waiting
            .iter()
            .filter(|why| why.contains("\"NoMemberFits\"") && why.contains("\"Capacity\":2"))
            .count();
        match (on("capacity-a"), on("capacity-b"), told) {
            (6, 6, 8) => Ok(()),
            seen => Err(format!("{seen:?} {:?}", waiting.first())),
        }
    });
    let works = |member: &str| {
        let namespace = format!("heyun-member-{member}");
        list(
            &shared
                .hub()
                .json(&["get", "works", "-n", &namespace])
                .unwrap(),
        )
        .len()
    };
    shared.eventually("a Work for each that is placed", || {
        match (works("capacity-a"), works("capacity-b")) {
            (6, 6) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}
