//! The example of Jobs that end, on real members: charged no more, deleted by their time to live, and
//! never made again for their generation.

use heyun_plan::member_names::work_name;
use heyun_tests::fleet::{Shared, alone, condition_of, list};
use serde_json::Value;

use crate::placement::{delete, gone, path, province, room, why};
use crate::placement_cases::HEALTH;

const FILE: &str = "44-finished-job.yaml";
const NAME: &str = "reindex";
const FINISHED: [&str; 3] = ["Finished", "True", "Complete"];
const MEMBERS: [&str; 2] = ["province-a", "shenzhen-1"];

#[test]
fn the_example_of_a_job_that_has_finished() {
    let (shared, _turn) = alone();
    province(shared);
    room(shared);
    shared.hub().run(&["apply", "-f", &path(FILE)]).unwrap();
    // Both ask for all there is: the second had to wait for the end of the first.
    for name in [NAME, "report"] {
        let told = shared.condition("workload", HEALTH, name, FINISHED);
        for member in MEMBERS {
            let part = format!("Job/{name} on {member}: Complete since 20");
            assert!(told.contains(&part), "{told}");
        }
    }
    let workload = shared.get("workload", HEALTH, NAME).unwrap();
    let decision = &workload["status"]["decision"];
    let reserved = decision["reserved"].as_array();
    assert!(reserved.is_none_or(Vec::is_empty), "{decision}");
    assert_eq!(workload["status"]["summary"]["reason"], "Complete");
    let why = why(shared, HEALTH, NAME).unwrap();
    let ends = why["finished"].as_array().unwrap();
    assert_eq!(ends.len(), 2, "{why}");
    assert!(ends.iter().all(|end| end["state"] == "Complete"), "{why}");

    // Nothing but its time to live deletes it, and that is set once its end is recorded.
    for member in MEMBERS {
        shared.eventually(&format!("the Job to go from {member}"), || {
            match job(shared, member) {
                None => Ok(()),
                Some(job) => Err(job.to_string()),
            }
        });
    }
    // A Work that is made anew, of which its executor knows nothing, makes no Job.
    for member in MEMBERS {
        let namespace = format!("heyun-member-{member}");
        let name = work_name(HEALTH, NAME);
        let before = shared.get("work", &namespace, &name).unwrap();
        delete(shared, &["work", &name, "-n", &namespace]);
        shared.eventually(&format!("a new Work on {member}"), || {
            let now = shared.get("work", &namespace, &name)?;
            let is_new = now["metadata"]["uid"] != before["metadata"]["uid"];
            let applied = condition_of(&now, "Applied")["status"] == "True";
            let ended = now["status"]["objects"][0]["finished"].is_object();
            let done = is_new && applied && ended;
            done.then_some(()).ok_or_else(|| now.to_string())
        });
        assert_eq!(job(shared, member), None);
    }
    let now = shared.get("workload", HEALTH, NAME).unwrap();
    let now = &now["status"]["decision"]["assignments"];
    assert_eq!(*now, decision["assignments"]);

    // Another generation runs anew.
    let patch = r#"[{"op": "replace", "path": "/spec/manifests/0/spec/completions", "value": 6}]"#;
    let args = [
        "patch", "workload", NAME, "-n", HEALTH, "--type", "json", "-p", patch,
    ];
    shared.hub().run(&args).unwrap();
    shared.condition("workload", HEALTH, NAME, FINISHED);
    delete(shared, &["-f", &path(FILE)]);
    gone(shared, HEALTH);
}

/// The Job on a member, if it is there.
fn job(shared: &Shared, member: &str) -> Option<Value> {
    let member = shared.member(member);
    let jobs = member.json(&["get", "jobs", "-n", HEALTH]).unwrap();
    let found = list(&jobs)
        .iter()
        .find(|job| job["metadata"]["name"] == NAME);
    found.cloned()
}
