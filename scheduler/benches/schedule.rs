//! How fast decisions are: one workload at a time and in batches, on fleets of 100 and 500 members.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use heyun_scheduler::quota::{Key, Line, QuotaNode, QuotaTree};
use heyun_scheduler::request::{
    Component, Division, DivisionKind, PlacementSpec, Request, SpreadConstraint, WorkloadKey,
};
use heyun_scheduler::snapshot::{
    Flavor, Member, Mlps, Readiness, Shape, Sketch, Snapshot, Tenant, TenantKind,
};
use heyun_scheduler::{Config, Resources, schedule};

fn snapshot(members: i64) -> Snapshot {
    let mut tenants = BTreeMap::new();
    let mut nodes = Vec::new();
    let line = Line {
        guaranteed: 0,
        nominal: 1 << 50,
        ceiling: 1 << 50,
    };
    let lines: BTreeMap<Key, Line> = ["amd", "arm"]
        .iter()
        .flat_map(|flavor| ["cpu", "memory"].map(|resource| (Key::new(*flavor, resource), line)))
        .collect();
    let mut tenant = |name: String, parent: Option<String>, kind: TenantKind| {
        let lines = lines.clone();
        nodes.push(QuotaNode {
            name: name.clone(),
            parent: parent.clone(),
            lines,
            ..QuotaNode::default()
        });
        tenants.insert(
            name,
            Tenant {
                parent,
                kind,
                ..Tenant::default()
            },
        );
    };
    tenant("nation".to_owned(), None, TenantKind::Region);
    for province in 0..31 {
        let name = format!("p{province:02}");
        tenant(name.clone(), Some("nation".to_owned()), TenantKind::Region);
        tenant(
            format!("agency-{province:02}"),
            Some(name),
            TenantKind::Agency,
        );
    }
    let members = (0..members).map(|index| {
        let name = format!("member-{index:04}");
        (name.clone(), member(name, index))
    });
    let flavor = |precedence| Flavor {
        precedence,
        ..Flavor::default()
    };
    Snapshot {
        now: 1_795_392_000,
        members: members.collect(),
        flavors: [
            ("amd".to_owned(), flavor(10)),
            ("arm".to_owned(), flavor(20)),
        ]
        .into(),
        tenants,
        quotas: QuotaTree::build(&nodes).0,
        held: BTreeMap::new(),
    }
}

fn member(name: String, index: i64) -> Member {
    let shapes = (0..8).map(|shape| {
        let arm = (index + shape) % 2 == 0;
        let (flavor, arch) = if arm {
            ("arm", "arm64")
        } else {
            ("amd", "amd64")
        };
        Shape {
            count: 3 + (index * 7 + shape) % 9,
            flavor: Some(flavor.to_owned()),
            labels: [("kubernetes.io/arch".to_owned(), arch.to_owned())].into(),
            taints: Vec::new(),
            free: Resources::new()
                .with("cpu", 4000 + 1000 * shape)
                .with("memory", (8 + shape) << 30)
                .with("pods", 100),
        }
    });
    Member {
        name,
        readiness: Readiness::Ready,
        provider: format!("provider-{}", index % 5),
        zone: "cegn-common".to_owned(),
        mlps: Some(Mlps {
            level: 3,
            valid_until: None,
        }),
        region: format!("p{:02}", index % 31),
        apis: Some(BTreeSet::from([
            "apps/v1/Deployment".to_owned(),
            "v1/Service".to_owned(),
        ])),
        sketch: Some(Sketch {
            keys: BTreeSet::from(["kubernetes.io/arch".to_owned()]),
            shapes: shapes.collect(),
        }),
        ..Member::default()
    }
}

fn request(index: i64) -> Request {
    let spread = SpreadConstraint {
        topology_key: "provider".to_owned(),
        max_skew: Some(2),
        min_groups: Some(2),
        ..SpreadConstraint::default()
    };
    let mut placement = PlacementSpec::default();
    if index % 3 == 1 {
        placement.division.kind = DivisionKind::ByCapacity;
    }
    if index % 4 == 0 {
        placement.spread.push(spread);
    }
    if index % 5 == 0 {
        placement.requirements.residency = [format!("p{:02}", index % 31)].into();
    }
    let component = |name: &str, replicas, cpu, division| Component {
        name: name.to_owned(),
        replicas,
        per_replica: Resources::new().with("cpu", cpu).with("memory", cpu << 20),
        division,
        ..Component::default()
    };
    Request {
        key: WorkloadKey::new(format!("agency-{:02}", index % 31), format!("w{index:06}")),
        uid: index.to_string(),
        generation: 1,
        tenant: format!("agency-{:02}", index % 31),
        created: index,
        components: vec![
            component(
                "Deployment/web",
                2 + index % 4,
                100 + 50 * (index % 7),
                Division::Divided,
            ),
            component("Job/nightly", 1, 100, Division::OneMember),
        ],
        placement,
        required_apis: ["apps/v1/Deployment".to_owned()].into(),
        ..Request::default()
    }
}

fn decisions(criterion: &mut Criterion) {
    let config = Config::default();
    let mut group = criterion.benchmark_group("schedule");
    group.sample_size(10);
    for (members, count) in [(100, 1), (100, 1000), (500, 1000)] {
        let fleet = snapshot(members);
        let requests: Vec<Request> = (0..count).map(request).collect();
        group.throughput(Throughput::Elements(count.unsigned_abs()));
        let id = BenchmarkId::new(format!("{members} members"), format!("{count} workloads"));
        group.bench_with_input(id, &requests, |bench, requests| {
            bench.iter(|| black_box(schedule(&fleet, requests, &config)));
        });
    }
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
