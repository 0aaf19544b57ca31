//! Small worlds for tests.

use std::collections::BTreeSet;

use crate::config::Config;
use crate::divide::Slot;
use crate::quota::{Key, Line, QuotaNode, QuotaTree};
use crate::request::{Assignment, Component, Request, WorkloadKey};
use crate::resources::Resources;
use crate::schedule::schedule;
use crate::snapshot::{
    Flavor, Held, HeldEntry, Level, Member, Mlps, Neighbour, Readiness, Shape, Sketch, Snapshot,
    Tenant, TenantKind,
};
use crate::verdict::{Outcome, Verdict};

/// 2026-11-23T00:00:00Z.
pub(crate) const NOW: i64 = 1_795_392_000;

/// A province with two cities, an agency in the first, and no member; quota is plenty.
pub(crate) fn world() -> Snapshot {
    let region = |parent: Option<&str>| Tenant {
        parent: parent.map(str::to_owned),
        kind: TenantKind::Region,
        ..Tenant::default()
    };
    let agency = Tenant {
        parent: Some("guangzhou".to_owned()),
        ..Tenant::default()
    };
    let tenants = [
        ("guangdong", region(None)),
        ("guangzhou", region(Some("guangdong"))),
        ("shenzhen", region(Some("guangdong"))),
        ("panyu", region(Some("guangzhou"))),
        ("civil-affairs", agency),
    ];
    let flavors = [("amd", 10), ("arm", 20)];
    let flavor = |precedence: i64| Flavor {
        precedence,
        ..Flavor::default()
    };
    let mut snapshot = Snapshot {
        now: NOW,
        flavors: flavors
            .map(|(name, rank)| (name.to_owned(), flavor(rank)))
            .into(),
        tenants: tenants
            .map(|(name, tenant)| (name.to_owned(), tenant))
            .into(),
        quotas: QuotaTree::default(),
        ..Snapshot::default()
    };
    quota(&mut snapshot, "civil-affairs", 1 << 40, 1 << 40);
    snapshot
}

/// The same with two provinces: one with a city of counties and a city without, one with a county
/// directly under it and a development zone.
pub(crate) fn regions() -> Snapshot {
    let mut snapshot = world();
    let regions = [
        ("guangdong", None, Some(Level::Provincial)),
        ("guangzhou", Some("guangdong"), Some(Level::Prefectural)),
        ("panyu", Some("guangzhou"), Some(Level::County)),
        ("huadu", Some("guangzhou"), Some(Level::County)),
        ("dongguan", Some("guangdong"), Some(Level::Prefectural)),
        ("hainan", None, Some(Level::Provincial)),
        ("wuzhishan", Some("hainan"), Some(Level::County)),
        ("hainan-zone", Some("hainan"), None),
    ];
    for (name, parent, level) in regions {
        let region = Tenant {
            parent: parent.map(str::to_owned),
            kind: TenantKind::Region,
            level,
            ..Tenant::default()
        };
        snapshot.tenants.insert(name.to_owned(), region);
    }
    snapshot
}

/// Gives every tenant so much of both flavors, and one of them its own numbers for `arm`.
pub(crate) fn quota(snapshot: &mut Snapshot, tenant: &str, nominal: i64, ceiling: i64) {
    let wide = Line {
        guaranteed: 0,
        nominal: 1 << 50,
        ceiling: 1 << 50,
    };
    let narrow = Line {
        guaranteed: 0,
        nominal,
        ceiling,
    };
    let nodes: Vec<QuotaNode> = snapshot
        .tenants
        .iter()
        .map(|(name, of)| {
            let keys = ["amd", "arm"].map(|flavor| {
                ["cpu", "memory"].map(|resource| {
                    let own = name == tenant && flavor == "arm" && resource == "cpu";
                    (Key::new(flavor, resource), if own { narrow } else { wide })
                })
            });
            QuotaNode {
                name: name.clone(),
                parent: of.parent.clone(),
                lines: keys.into_iter().flatten().collect(),
                ..QuotaNode::default()
            }
        })
        .collect();
    let (tree, problems) = QuotaTree::build(&nodes);
    assert_eq!(problems, Vec::new());
    snapshot.quotas = tree;
}

/// A ready member in Guangzhou with `nodes` nodes of so many cores each.
pub(crate) fn member(name: &str, flavor: &str, nodes: i64, cores: i64) -> Member {
    let arch = if flavor == "arm" { "arm64" } else { "amd64" };
    let free = Resources::new()
        .with("cpu", cores * 1000)
        .with("memory", cores << 32)
        .with("pods", 110);
    let labels = [("kubernetes.io/arch".to_owned(), arch.to_owned())];
    Member {
        name: name.to_owned(),
        readiness: Readiness::Ready,
        provider: "huawei".to_owned(),
        operator: "gz-cloud-ops".to_owned(),
        zone: "cegn-common".to_owned(),
        mlps: Some(Mlps {
            level: 3,
            valid_until: Some(NOW + 1000),
        }),
        region: "guangzhou".to_owned(),
        owner: "guangzhou".to_owned(),
        apis: Some(BTreeSet::from(["apps/v1/Deployment".to_owned()])),
        sketch: Some(Sketch {
            keys: BTreeSet::from(["kubernetes.io/arch".to_owned()]),
            shapes: vec![Shape {
                count: nodes,
                flavor: Some(flavor.to_owned()),
                labels: labels.into(),
                free,
                ..Shape::default()
            }],
        }),
        ..Member::default()
    }
}

/// Adds members to a snapshot.
pub(crate) fn with(mut snapshot: Snapshot, members: impl IntoIterator<Item = Member>) -> Snapshot {
    for member in members {
        snapshot.members.insert(member.name.clone(), member.into());
    }
    snapshot
}

/// A component of so many replicas that request so many millicores each.
pub(crate) fn component(name: &str, replicas: i64, millicores: i64) -> Component {
    Component {
        name: name.to_owned(),
        replicas,
        per_replica: Resources::new().with("cpu", millicores),
        ..Component::default()
    }
}

/// A request of the agency with these components.
pub(crate) fn request(name: &str, components: Vec<Component>) -> Request {
    Request {
        key: WorkloadKey::new("civil-affairs", name),
        uid: format!("uid-{name}"),
        generation: 1,
        tenant: "civil-affairs".to_owned(),
        components,
        ..Request::default()
    }
}

/// Decides on one request and has the checker look at it.
pub(crate) fn decide(snapshot: &Snapshot, request: &Request) -> Verdict {
    let mut verdicts = decide_all(snapshot, std::slice::from_ref(request));
    verdicts.pop().expect("one verdict per request")
}

/// Decides on all requests and has the checker look at them.
pub(crate) fn decide_all(snapshot: &Snapshot, requests: &[Request]) -> Vec<Verdict> {
    let config = Config::default();
    let verdicts = schedule(snapshot, requests, &config);
    let broken = crate::check::check(snapshot, requests, &verdicts, &config);
    assert!(broken.is_empty(), "{broken:#?}\n{verdicts:#?}");
    verdicts
}

/// What goes where, as `component@member/flavor=replicas`.
pub(crate) fn shown(verdict: &Verdict) -> Vec<String> {
    match &verdict.outcome {
        Outcome::Placed(placed) => placed
            .assignments
            .iter()
            .map(|a| format!("{}@{}/{}={}", a.component, a.member, a.flavor, a.replicas))
            .chain(placed.carried_to.iter().map(|member| format!("+{member}")))
            .collect(),
        other => vec![other.reason().expect("not placed").code().to_owned()],
    }
}

/// The codes that refuse a member.
pub(crate) fn refused(verdict: &Verdict, member: &str) -> Vec<&'static str> {
    let of = verdict
        .members
        .iter()
        .find(|of| of.member == member)
        .expect("every member");
    of.refusals
        .iter()
        .map(|refusal| refusal.reason.code())
        .collect()
}

/// Commits a verdict: what it assigns is held, charged, in flight, and the request's previous.
pub(crate) fn commit(snapshot: &mut Snapshot, request: &mut Request, verdict: &Verdict) {
    let Outcome::Placed(placed) = &verdict.outcome else {
        return;
    };
    let node = snapshot
        .quotas
        .node(&request.tenant)
        .expect("a tenant with quota");
    snapshot
        .quotas
        .charge(node, &placed.increase)
        .expect("charged as decided");
    let before = snapshot.held.remove(&request.key).unwrap_or_default();
    let mut entries = before.entries;
    for assignment in &placed.assignments {
        let at = entries.iter().position(|entry| {
            entry.member == assignment.member
                && entry.component == assignment.component
                && entry.flavor == assignment.flavor
        });
        let held = at.map_or(0, |at| entries[at].replicas);
        let fresh = HeldEntry {
            member: assignment.member.clone(),
            component: assignment.component.clone(),
            flavor: assignment.flavor.clone(),
            replicas: assignment.replicas.max(held),
            per_replica: assignment.requests.clone(),
            charge: at
                .map_or_else(Resources::new, |at| entries[at].charge.clone())
                .larger(&assignment.charge),
        };
        match at {
            Some(at) => entries[at] = fresh,
            None => entries.push(fresh),
        }
        if let Some(member) = snapshot.member_mut(&assignment.member) {
            member.in_flight.push(crate::snapshot::InFlight {
                flavor: assignment.flavor.clone(),
                per_replica: assignment.requests.clone(),
                replicas: assignment.replicas.saturating_sub(held).max(0),
            });
        }
    }
    let used = placed.assignments.iter().filter(|of| of.replicas > 0);
    let on: BTreeSet<String> = used.map(|of| of.member.clone()).collect();
    let there = entries.iter().filter(|of| of.replicas > 0);
    let there = there.map(|of| of.member.clone());
    let rules = request.placement.neighbours.iter();
    let neighbour = Neighbour {
        labels: request.labels.clone(),
        keeps_out: rules.filter(|of| of.keeps_out()).cloned().collect(),
        leaving: there.filter(|member| !on.contains(member)).collect(),
        on,
    };
    let neighbours = snapshot.neighbours.entry(request.tenant.clone());
    neighbours
        .or_default()
        .insert(request.key.clone(), neighbour);
    snapshot.held.insert(request.key.clone(), Held { entries });
    request.previous = placed
        .assignments
        .iter()
        .map(|assignment| Assignment {
            component: assignment.component.clone(),
            member: assignment.member.clone(),
            flavor: assignment.flavor.clone(),
            replicas: assignment.replicas,
        })
        .collect();
    request.previous_carried.clone_from(&placed.carried_to);
}

/// Every division within the bounds, by trying all.
pub(crate) fn divisions(slots: &[Slot], total: i64) -> Vec<Vec<i64>> {
    let Some((first, rest)) = slots.split_first() else {
        return if total == 0 {
            vec![Vec::new()]
        } else {
            Vec::new()
        };
    };
    let shares = (0..=first.hi.min(total)).filter(|share| *share == 0 || *share >= first.lo);
    shares
        .flat_map(|share| {
            divisions(rest, total - share)
                .into_iter()
                .map(move |mut tail| {
                    tail.insert(0, share);
                    tail
                })
        })
        .collect()
}
