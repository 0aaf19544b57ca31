//! Every case of `crds/tests/admission.yaml`, as the API server of the hub judges it.

use std::collections::BTreeSet;

use heyun_crds::API_VERSION;
use heyun_tests::fleet::{Shared, fleet};
use serde::Deserialize;
use serde_json::Value;

use crate::dry_run;

const CASES: &str = include_str!("../../../crds/tests/admission.yaml");

/// A case; the file says what its fields mean.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    object: Value,
    update: Option<Value>,
    refused: Option<String>,
    #[serde(default)]
    by: Wall,
}

/// Who refuses.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wall {
    /// The definition: its schema and rules.
    #[default]
    Schema,
    /// The ValidatingAdmissionPolicy of Workloads.
    Policy,
    /// That of ResourceRequests.
    Requests,
    /// That of Approvals.
    Approvals,
}

impl Wall {
    /// What stands in each of its refusals.
    fn sign(self) -> &'static str {
        match self {
            Self::Schema => "is invalid",
            Self::Policy => "ValidatingAdmissionPolicy 'heyun-workloads'",
            Self::Requests => "ValidatingAdmissionPolicy 'heyun-requests'",
            Self::Approvals => "ValidatingAdmissionPolicy 'heyun-approvals'",
        }
    }
}

impl Case {
    /// What is wrong with an answer, if anything.
    fn fault(&self, answer: Result<(), String>) -> Option<String> {
        let sign = self.by.sign();
        let found = match (answer, self.refused.as_deref()) {
            (Ok(()), None) => return None,
            (Ok(()), Some(words)) => format!("accepted, and should be refused with: {words}"),
            (Err(said), None) => format!("should be accepted: {said}"),
            (Err(said), Some(words)) if said.contains(words) && said.contains(sign) => return None,
            (Err(said), Some(words)) => format!("{sign:?} and {words:?} are not both in: {said}"),
        };
        Some(format!("{}, {}: {found}", self.object["kind"], self.name))
    }
}

#[test]
fn every_case_is_judged_as_it_says() {
    let (shared, _turn) = fleet();
    let cases: Vec<Case> = serde_yaml::from_str(CASES).unwrap();
    let names: BTreeSet<(String, &str)> = cases
        .iter()
        .map(|case| (case.object["kind"].to_string(), case.name.as_str()))
        .collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");

    let created: Vec<&Case> = cases.iter().filter(|case| case.update.is_none()).collect();
    let objects: Vec<(String, Value)> = created.iter().map(|case| placed(&case.object)).collect();
    let answers = dry_run::create(shared, &objects);
    let mut wrong = Vec::new();
    for (case, answer) in created.iter().zip(answers) {
        wrong.extend(case.fault(answer.map(|_| ())));
    }
    for case in &cases {
        if let Some(update) = &case.update {
            wrong.extend(case.fault(updated(shared, &case.object, update)));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n\n")
    );
}

/// An object as it is sent, and the path that it is created at.
fn placed(object: &Value) -> (String, Value) {
    let kind = object["kind"].as_str().unwrap();
    let one = kind.to_lowercase();
    let plural = match one.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{one}s"),
    };
    let path = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("/apis/{API_VERSION}/namespaces/{namespace}/{plural}"),
        None => format!("/apis/{API_VERSION}/{plural}"),
    };
    let mut object = object.clone();
    object["apiVersion"] = API_VERSION.into();
    (path, object)
}

/// What is said of an update: the object is kept for as long as that takes.
fn updated(shared: &Shared, object: &Value, update: &Value) -> Result<(), String> {
    let (_, object) = placed(object);
    let kind = object["kind"].as_str().unwrap();
    let name = object["metadata"]["name"].as_str().unwrap();
    let hub = shared.hub();
    hub.run_with(&["create", "-f", "-"], &object.to_string())
        .map_err(|error| error.to_string())?;
    let patch = update.to_string();
    let answer = hub.run(&[
        "patch",
        kind,
        name,
        "--type=merge",
        "--dry-run=server",
        "-p",
        &patch,
    ]);
    hub.run(&["delete", kind, name, "--timeout=60s"]).unwrap();
    answer.map(|_| ()).map_err(|error| error.to_string())
}
