//! `heyun where`: where the replicas of Workloads are.

use heyun_crds::Workload;
use heyun_crds::workload::MemberState;
use serde::Serialize;

use super::table::Grid;
use super::{NONE, or_none};

/// Replicas of one Workload on one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// Namespace of the Workload.
    pub namespace: String,
    /// Its name.
    pub workload: String,
    /// The member; empty where it is placed nowhere.
    pub member: String,
    /// Flavors of what is assigned there.
    pub flavors: Vec<String>,
    /// Replicas that the decision assigns.
    pub desired: i32,
    /// Replicas that are ready there.
    pub ready: i32,
    /// Reason code.
    pub reason: String,
    /// The same as a sentence.
    pub message: String,
}

/// Where one Workload is: a row a member, or one that says why it is nowhere.
pub fn places(workload: &Workload) -> Vec<Place> {
    let status = workload.status.clone().unwrap_or_default();
    let of = |member: &str| Place {
        namespace: workload.metadata.namespace.clone().unwrap_or_default(),
        workload: workload.metadata.name.clone().unwrap_or_default(),
        member: member.to_owned(),
        flavors: flavors(workload, member),
        desired: 0,
        ready: 0,
        reason: String::new(),
        message: String::new(),
    };
    if status.members.is_empty() {
        let reason = status.summary.reason;
        return vec![Place { reason, ..of("") }];
    }
    let place = |state: MemberState| Place {
        desired: state.desired,
        ready: state.ready,
        reason: reason(&state),
        message: state.message,
        ..of(&state.name)
    };
    status.members.into_iter().map(place).collect()
}

/// The hub gives a reason where something is amiss.
fn reason(state: &MemberState) -> String {
    match (state.reason.as_str(), state.applied, state.healthy) {
        ("", true, true) => "Healthy".to_owned(),
        ("", true, false) => "Progressing".to_owned(),
        ("", false, _) => "Applying".to_owned(),
        (reason, _, _) => reason.to_owned(),
    }
}

fn flavors(workload: &Workload, member: &str) -> Vec<String> {
    let decision = workload
        .status
        .as_ref()
        .and_then(|status| status.decision.as_ref());
    let assigned = decision
        .into_iter()
        .flat_map(|decision| &decision.assignments);
    let mut flavors: Vec<String> = assigned
        .filter(|assignment| assignment.member == member)
        .map(|assignment| assignment.flavor.clone())
        .collect();
    flavors.sort_unstable();
    flavors.dedup();
    flavors
}

/// What the table shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown {
    /// With the namespace.
    pub namespaces: bool,
    /// With flavors and messages.
    pub wide: bool,
    /// With the header line.
    pub headers: bool,
}

/// The table.
pub fn table(places: &[Place], shown: Shown) -> String {
    let mut headers = vec!["WORKLOAD", "MEMBER", "DESIRED", "READY", "REASON"];
    if shown.namespaces {
        headers.insert(0, "NAMESPACE");
    }
    if shown.wide {
        headers.extend(["FLAVORS", "MESSAGE"]);
    }
    let mut grid = Grid::new(&headers);
    for place in places {
        let nowhere = place.member.is_empty();
        let number = |number: i32| {
            if nowhere {
                NONE.to_owned()
            } else {
                number.to_string()
            }
        };
        let mut cells = vec![
            place.workload.clone(),
            or_none(&place.member).to_owned(),
            number(place.desired),
            number(place.ready),
            or_none(&place.reason).to_owned(),
        ];
        if shown.namespaces {
            cells.insert(0, place.namespace.clone());
        }
        if shown.wide {
            cells.push(or_none(&place.flavors.join(",")).to_owned());
            cells.push(or_none(&place.message).to_owned());
        }
        grid.row(cells);
    }
    grid.text(shown.headers)
}
