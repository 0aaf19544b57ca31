//! `heyun request`: requests in a table, and one with its way so far.

use std::fmt::Write as _;

use heyun_crds::approval::ApprovalVerdict;
use heyun_crds::conditions::{ConditionType, condition};
use heyun_crds::resource_request::ResourceRequestStatus;
use heyun_crds::{Approval, ResourceRequest};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;

use super::age::age;
use super::or_none;
use super::table::Grid;

/// Requests, a line each.
pub fn table(
    all: &[ResourceRequest],
    spaces: bool,
    wide: bool,
    headers: bool,
    now: Timestamp,
) -> String {
    let mut columns = vec![
        "NAME", "TENANT", "ASKS", "APPROVED", "ACTIVE", "STAGE", "REASON",
    ];
    if spaces {
        columns.insert(0, "NAMESPACE");
    }
    if wide {
        columns.extend(["FROM", "UNTIL", "DOCUMENT", "APPLICANT"]);
    }
    columns.push("AGE");
    let mut grid = Grid::new(&columns);
    for request in all {
        let status = request.status.clone().unwrap_or_default();
        let spec = &request.spec;
        let mut cells = vec![
            request.name_any(),
            spec.tenant.clone(),
            asks(request),
            is(&status, ConditionType::Approved),
            is(&status, ConditionType::Active),
            or_none(&status.stage).to_owned(),
            or_none(&status.summary).to_owned(),
        ];
        if spaces {
            cells.insert(0, request.namespace().unwrap_or_default());
        }
        if wide {
            cells.push(or_none(spec.from.as_deref().unwrap_or_default()).to_owned());
            cells.push(spec.until.clone());
            cells.push(or_none(spec.document_number()).to_owned());
            cells.push(spec.applicant.clone());
        }
        cells.push(age(request.metadata.creation_timestamp.as_ref(), now));
        grid.row(cells);
    }
    grid.text(headers)
}

/// One request: what it asks, where it stands, and what was done.
pub fn show(request: &ResourceRequest, acts: &[Approval], now: Timestamp) -> String {
    let spec = &request.spec;
    let status = request.status.clone().unwrap_or_default();
    let mut text = String::new();
    let made = age(request.metadata.creation_timestamp.as_ref(), now);
    let from = spec.from.as_deref().unwrap_or("when it was made");
    // Writing to a String does not fail.
    let _ = writeln!(text, "Request {} of {}", request.name_any(), spec.tenant);
    let mut head = Grid::default();
    head.row(["Asks", &asks(request)]);
    head.row(["From", from]);
    head.row(["Until", &spec.until]);
    head.row(["Reason", &spec.reason]);
    head.row(["Document", or_none(spec.document_number())]);
    head.row(["Applicant", &format!("{}, {made} ago", spec.applicant)]);
    head.row(["Decided by", or_none(&status.chain)]);
    head.row(["Waits for", or_none(&status.stage)]);
    text.push_str(&head.text(false));
    text.push('\n');
    let mut conditions = Grid::new(&["CONDITION", "STATUS", "REASON", "MESSAGE"]);
    for condition in &status.conditions {
        let cells = [
            &condition.type_,
            &condition.status,
            &condition.reason,
            &condition.message,
        ];
        conditions.row(cells.map(String::as_str));
    }
    if !conditions.is_empty() {
        text.push('\n');
        text.push_str(&conditions.text(true));
        text.push('\n');
    }
    text.push_str(&done(request, acts, now));
    text
}

/// What was done, the oldest first. What speaks of another request of the name is told apart.
fn done(request: &ResourceRequest, acts: &[Approval], now: Timestamp) -> String {
    let name = request.name_any();
    let mut of_it: Vec<&Approval> = acts.iter().filter(|a| a.spec.request == name).collect();
    let made = |act: &Approval| act.metadata.creation_timestamp.as_ref().map(|t| t.0);
    of_it.sort_by_key(|act| (made(act), act.name_any()));
    if of_it.is_empty() {
        return String::new();
    }
    let hash = heyun_plan::approve::hash(&request.spec);
    let mut grid = Grid::new(&["STAGE", "VERDICT", "BY", "COMMENT", "AGE"]);
    for act in of_it {
        let spec = &act.spec;
        let same = Some(&spec.request_uid) == request.metadata.uid.as_ref();
        let verdict = match spec.verdict {
            verdict if same && spec.request_hash == hash => verdict.as_str().to_owned(),
            verdict => format!("{} (of another request)", verdict.as_str()),
        };
        let by = if spec.approver == request.spec.applicant
            && spec.verdict == ApprovalVerdict::Approve
        {
            format!("{} (the applicant: does not count)", spec.approver)
        } else {
            spec.approver.clone()
        };
        grid.row([
            or_none(&spec.stage),
            &verdict,
            &by,
            or_none(&spec.comment),
            &age(act.metadata.creation_timestamp.as_ref(), now),
        ]);
    }
    format!("\n{}\n", grid.text(true))
}

/// Where it stands, in one line; empty while nothing is known.
pub fn line(status: &ResourceRequestStatus) -> String {
    let of = |kind| condition(&status.conditions, kind);
    let no = |kind| of(kind).filter(|c| c.status == "False");
    let first = of(ConditionType::Ended)
        .or_else(|| no(ConditionType::Accepted))
        .or_else(|| no(ConditionType::Approved))
        .or_else(|| of(ConditionType::Active));
    first.map_or_else(String::new, |c| format!("{}: {}", c.reason, c.message))
}

fn is(status: &ResourceRequestStatus, kind: ConditionType) -> String {
    let found = condition(&status.conditions, kind);
    found.map_or_else(|| "Unknown".to_owned(), |c| c.status.clone())
}

/// `40 cpu (general-amd64), 64Gi memory (general-amd64)`.
fn asks(request: &ResourceRequest) -> String {
    let line = |line: &heyun_crds::common::FlavorAmount| {
        format!("{} {} ({})", line.amount, line.resource, line.flavor)
    };
    let all: Vec<String> = request.spec.resources.iter().map(line).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests;
