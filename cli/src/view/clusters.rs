//! `heyun cluster list` and `describe`.

use heyun_crds::MemberCluster;
use heyun_crds::conditions::{ConditionType, condition};
use heyun_scheduler::quantity::{amount, format_amount};
use k8s_openapi::jiff::Timestamp;

use super::age::age;
use super::table::Grid;
use super::{NONE, or_none};

/// The table of members; `wide` adds who owns and runs them and where they are reached.
pub fn table(members: &[MemberCluster], wide: bool, with_headers: bool, now: Timestamp) -> String {
    let mut headers = vec![
        "NAME", "READY", "REASON", "MODE", "PROVIDER", "REGION", "ZONE", "MLPS", "NODES", "CPU",
    ];
    if wide {
        headers.extend(["OWNER", "OPERATOR", "VERSION", "ENDPOINT"]);
    }
    headers.push("AGE");
    let mut grid = Grid::new(&headers);
    for member in members {
        grid.row(row(member, wide, now));
    }
    grid.text(with_headers)
}

fn row(member: &MemberCluster, wide: bool, now: Timestamp) -> Vec<String> {
    let (spec, status) = (&member.spec, member.status.clone().unwrap_or_default());
    let ready = condition(&status.conditions, ConditionType::Ready);
    let reason = if spec.unschedulable {
        "Cordoned"
    } else {
        ready.map_or(NONE, |ready| or_none(&ready.reason))
    };
    let level = match spec.mlps.level {
        0 => NONE.to_owned(),
        level => level.to_string(),
    };
    let mut cells = vec![
        member.metadata.name.clone().unwrap_or_default(),
        ready
            .map_or("Unknown", |ready| ready.status.as_str())
            .to_owned(),
        reason.to_owned(),
        spec.mode.as_str().to_owned(),
        or_none(&spec.provider).to_owned(),
        or_none(&spec.location.region).to_owned(),
        spec.zone.as_str().to_owned(),
        level,
        format!("{}/{}", status.nodes.ready, status.nodes.total),
        used(member, "cpu"),
    ];
    if wide {
        let endpoint = spec.endpoint.as_deref().unwrap_or_default();
        let more =
            [&spec.owner, &spec.operator, &status.version].map(|text| or_none(text).to_owned());
        cells.extend(more);
        cells.push(or_none(endpoint).to_owned());
    }
    cells.push(age(member.metadata.creation_timestamp.as_ref(), now));
    cells
}

/// Requested of allocatable, over all flavors.
fn used(member: &MemberCluster, resource: &str) -> String {
    let lines = member.status.iter().flat_map(|status| &status.capacity);
    let (mut requested, mut allocatable, mut any) = (0_i64, 0_i64, false);
    for line in lines.filter(|line| line.resource == resource) {
        let read = |text: &str| amount(resource, text).unwrap_or(0);
        requested = requested.saturating_add(read(&line.requested.0));
        allocatable = allocatable.saturating_add(read(&line.allocatable.0));
        any = true;
    }
    if !any {
        return NONE.to_owned();
    }
    format!(
        "{}/{}",
        format_amount(resource, requested),
        format_amount(resource, allocatable)
    )
}

/// Everything of one member that people ask for.
pub fn describe(member: &MemberCluster, works: usize, now: Timestamp) -> String {
    let (spec, status) = (&member.spec, member.status.clone().unwrap_or_default());
    let mlps = match spec.mlps.level {
        0 => "not filed".to_owned(),
        level => format!(
            "level {level}, filing {}, valid until {}",
            or_none(&spec.mlps.filing_no),
            spec.mlps.valid_until.as_deref().unwrap_or("no end")
        ),
    };
    let mut facts = Grid::new(&[]);
    let credential = spec
        .credentials_ref
        .as_ref()
        .map_or(NONE, |secret| secret.name.as_str());
    for (name, value) in [
        ("Name:", member.metadata.name.as_deref().unwrap_or_default()),
        ("Mode:", spec.mode.as_str()),
        (
            "Endpoint:",
            or_none(spec.endpoint.as_deref().unwrap_or_default()),
        ),
        ("Credential:", credential),
        ("Provider:", or_none(&spec.provider)),
        ("Distribution:", or_none(&spec.distribution)),
        ("Region:", or_none(&spec.location.region)),
        ("Owner:", or_none(&spec.owner)),
        ("Operator:", or_none(&spec.operator)),
        ("Zone:", spec.zone.as_str()),
        ("MLPS:", &mlps),
        ("Version:", or_none(&status.version)),
        ("Cluster ID:", or_none(&status.cluster_id)),
        (
            "Unschedulable:",
            if spec.unschedulable { "true" } else { "false" },
        ),
        (
            "Nodes:",
            &format!("{} ready of {}", status.nodes.ready, status.nodes.total),
        ),
        ("Works:", &works.to_string()),
        (
            "Age:",
            &age(member.metadata.creation_timestamp.as_ref(), now),
        ),
    ] {
        facts.row([name, value]);
    }
    let mut text = facts.text(false);
    let mut conditions = Grid::new(&["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"]);
    for one in &status.conditions {
        let since = age(Some(&one.last_transition_time), now);
        conditions.row([&one.type_, &one.status, &one.reason, &since, &one.message]);
    }
    let mut capacity = Grid::new(&["FLAVOR", "RESOURCE", "ALLOCATABLE", "REQUESTED"]);
    for line in &status.capacity {
        capacity.row([
            &line.flavor,
            &line.resource,
            &line.allocatable.0,
            &line.requested.0,
        ]);
    }
    for part in [conditions, capacity]
        .iter()
        .filter(|part| !part.is_empty())
    {
        text.push('\n');
        text.push_str(&part.text(true));
    }
    text
}
