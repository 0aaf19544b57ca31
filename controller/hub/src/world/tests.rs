use heyun_crds::Workload;
use heyun_crds::workload::WorkloadSpec;

use super::*;

fn workload(name: &str, version: u64) -> Workload {
    let mut object = Workload::new(name, WorkloadSpec::default());
    object.metadata.namespace = Some("ns".into());
    object.metadata.resource_version = Some(version.to_string());
    object
}

fn unreadable<K>(namespace: Option<&str>, name: &str) -> Change<K> {
    Change::Unreadable {
        namespace: namespace.map(str::to_owned),
        name: name.into(),
        error: "unknown variant".into(),
        gone: false,
    }
}

fn see(world: &mut World, all: impl IntoIterator<Item = Seen>) {
    let mut dirty = Dirty::default();
    for seen in all {
        world.see(seen, &mut dirty);
    }
}

#[test]
fn what_cannot_be_read_is_not_gone() {
    let mut world = World::default();
    let list = |world: &mut World, shown: Change<Workload>| {
        see(
            world,
            [Change::Begin, shown, Change::Complete].map(Seen::Workload),
        );
    };
    list(&mut world, Change::Apply(Box::new(workload("a", 1))));
    list(&mut world, unreadable(Some("ns"), "a"));
    let key = WorkloadKey::new("ns", "a");
    assert!(world.workloads.contains_key(&key) && world.listed_workloads.unread().contains(&key));
    list(&mut world, Change::Apply(Box::new(workload("a", 2))));
    assert!(world.listed_workloads.unread().is_empty());
    list(&mut world, unreadable(Some("ns"), "b"));
    assert!(
        !world.workloads.contains_key(&key),
        "it was not in the list"
    );
    assert!(
        world
            .listed_workloads
            .unread()
            .contains(&WorkloadKey::new("ns", "b"))
    );
    list(&mut world, Change::Apply(Box::new(workload("c", 3))));
    assert!(
        world.listed_workloads.unread().is_empty(),
        "b was not in the list"
    );

    see(
        &mut world,
        [Change::Begin, unreadable(None, "city"), Change::Complete].map(Seen::MemberCluster),
    );
    assert!(world.members.is_unread("city") && !world.members.is_unread("town"));
}

#[test]
fn a_kind_that_is_listed_twice_completes_no_other() {
    let mut world = World::default();
    for _ in 0..KINDS {
        see(
            &mut world,
            [Change::Begin, Change::Complete].map(Seen::Work),
        );
    }
    assert!(!world.is_complete());
}

#[test]
fn label_keys_are_counted_once_and_nobody_takes_them_all() {
    let mut world = World::default();
    let pinned = |namespace: &str, name: &str, keys: &[String]| {
        let mut object = workload(name, 1);
        object.metadata.namespace = Some(namespace.into());
        let selector: serde_json::Value = keys
            .iter()
            .map(|key| (key.clone(), serde_json::Value::from("x")))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let pod = serde_json::json!({"kind": "Pod", "spec": {"nodeSelector": selector}});
        object.spec.manifests = vec![heyun_crds::workload::Manifest(pod)];
        Seen::Workload(Change::Apply(Box::new(object)))
    };
    for n in 0..80 {
        see(
            &mut world,
            [pinned("a", &format!("same-{n}"), &["same".into()])],
        );
    }
    let many: Vec<String> = (0..100).map(|n| format!("key-{n:03}")).collect();
    see(&mut world, [pinned("b", "greedy", &many)]);
    see(&mut world, [pinned("c", "late", &["zone".into()])]);
    let keys = world.label_keys();
    assert_eq!(keys.len(), LABEL_KEYS_MAX);
    assert!(keys.contains("same") && keys.contains("zone"), "{keys:?}");
}

/// Of another generation, or of another object of that name, whatever follows from the spec is found
/// anew.
#[test]
fn what_follows_from_a_spec_is_kept_for_its_generation_alone() {
    let mut world = World::default();
    let mut shown = 0;
    let mut see = |uid: &str, generation: i64, key: &str| {
        shown += 1;
        let pod = serde_json::json!({"kind": "Pod", "spec": {"nodeSelector": {key: "x"}}});
        let manifests = vec![heyun_crds::workload::Manifest(pod)];
        let mut work = Work::new("w", heyun_crds::work::WorkSpec::default());
        work.metadata.namespace = Some("heyun-member-city".into());
        work.spec.manifests.clone_from(&manifests);
        let mut object = workload("w", shown);
        object.spec.manifests = manifests;
        for meta in [&mut object.metadata, &mut work.metadata] {
            meta.resource_version = Some(shown.to_string());
            meta.uid = Some(uid.into());
            meta.generation = Some(generation);
        }
        let expected = digest(&work.spec);
        let all = [
            Seen::Workload(Change::Apply(Box::new(object))),
            Seen::Work(Change::Apply(Box::new(work))),
        ];
        for seen in all {
            world.see(seen, &mut Dirty::default());
        }
        let entry = &world.workloads[&WorkloadKey::new("ns", "w")];
        let selector = &entry.manifests.get()[0].0["spec"]["nodeSelector"];
        assert!(selector[key].is_string(), "{selector}, not {key}");
        assert!(entry.label_keys.contains(key), "{:?}", entry.label_keys);
        let work = world.works.values().next().unwrap();
        assert_eq!(work.digest, expected, "of {key}");
        assert_eq!((entry.version, work.version), (shown, shown));
    };
    see("u1", 1, "a");
    see("u1", 1, "a");
    see("u1", 2, "b");
    see("u2", 2, "c");
}

#[test]
fn what_is_shown_of_a_quota_is_no_news() {
    use heyun_crds::Quota;
    use heyun_crds::quota::{EffectiveQuota, QuotaSpec, QuotaStatus};
    let quota = |version: u64, summary: &str, effective: i64| {
        let mut object = Quota::new("civil", QuotaSpec::default());
        object.metadata.resource_version = Some(version.to_string());
        object.status = Some(QuotaStatus {
            summary: summary.to_owned(),
            effective: Some(EffectiveQuota {
                generation: effective,
                ..EffectiveQuota::default()
            }),
            ..QuotaStatus::default()
        });
        object
    };
    let mut world = World::default();
    let mut told = |quota: Quota| {
        let mut dirty = Dirty::default();
        world.see(Seen::Quota(Change::Apply(Box::new(quota))), &mut dirty);
        let held = world.quotas.get("civil").and_then(|q| q.status.clone());
        (
            dirty.quotas,
            !dirty.happened.is_empty(),
            held.unwrap().summary,
        )
    };
    assert_eq!(told(quota(1, "1 of 4", 1)), (true, true, "1 of 4".into()));
    assert_eq!(told(quota(2, "2 of 4", 1)), (false, false, "2 of 4".into()));
    assert_eq!(told(quota(3, "2 of 8", 2)), (true, true, "2 of 8".into()));
}

#[test]
fn what_is_held_no_longer_may_be_anothers() {
    use heyun_scheduler::Resources;
    use heyun_scheduler::snapshot::{Held, HeldEntry};
    let held = |member: &str, replicas, cpu| Held {
        entries: vec![HeldEntry {
            member: member.into(),
            replicas,
            component: "Deployment/web".into(),
            flavor: "general".into(),
            per_replica: Resources::new(),
            charge: Resources::new().with("cpu", cpu),
        }],
    };
    let before = held("a", 2, 200);
    assert!(parted(&before, &before).is_empty());
    assert!(parted(&before, &held("a", 3, 300)).is_empty());
    assert!(parted(&Held::default(), &before).is_empty());
    let (cpu, none) = (vec!["cpu"], vec![]);
    let freed = |resources| vec![("a", "general", resources)];
    assert_eq!(parted(&before, &held("a", 1, 200)), freed(none));
    assert_eq!(parted(&before, &held("a", 2, 100)), freed(cpu.clone()));
    assert_eq!(parted(&before, &held("b", 2, 200)), freed(cpu.clone()));
    assert_eq!(parted(&before, &Held::default()), freed(cpu));
}

#[test]
fn a_price_is_no_reason_to_look_at_anything() {
    use heyun_crds::PriceBook;
    let mut world = World::default();
    let mut dirty = Dirty::default();
    let mut book = PriceBook::new("general", heyun_crds::price_book::PriceBookSpec::default());
    book.metadata.resource_version = Some("1".into());
    for change in [
        Change::Begin,
        Change::Apply(Box::new(book.clone())),
        Change::Complete,
        Change::Delete(Box::new(book)),
    ] {
        let seen = Seen::PriceBook(change);
        world.see(seen, &mut dirty);
    }
    assert_eq!(world.prices.iter().count(), 0);
    let looks = dirty.workloads.len() + dirty.members.len() + dirty.placements.len();
    let flags = [
        dirty.tenants,
        dirty.quotas,
        dirty.flavors,
        !dirty.happened.is_empty(),
    ];
    assert_eq!((looks, flags), (0, [false; 4]));
}

/// A tenant of two namespaces and one of a third.
fn tenants(world: &mut World) {
    for (name, namespaces) in [("health", vec!["ns", "ns2"]), ("other", vec!["ns3"])] {
        let spec = heyun_crds::tenant::TenantSpec {
            namespaces: namespaces.into_iter().map(str::to_owned).collect(),
            ..heyun_crds::tenant::TenantSpec::default()
        };
        let mut tenant = Tenant::new(name, spec);
        tenant.metadata.uid = Some(format!("uid-{name}"));
        tenant.metadata.resource_version = Some("1".to_owned());
        for namespace in &tenant.spec.namespaces {
            let mut object = Namespace::default();
            object.metadata.name = Some(namespace.clone());
            object.metadata.resource_version = Some("1".to_owned());
            let uid = format!("uid-{name}");
            object.metadata.labels = Some([(TENANT_UID.to_owned(), uid)].into());
            see(world, [Seen::Namespace(Change::Apply(Box::new(object)))]);
        }
        see(world, [Seen::Tenant(Change::Apply(Box::new(tenant)))]);
    }
    world.plant();
}

/// A Workload on a member, with a label, and the Placement that it names.
fn placed(name: &str, version: u64, app: &str, member: &str) -> Workload {
    use heyun_crds::workload::{Assignment, Decision, PlacementRef, WorkloadStatus};
    let mut object = workload(name, version);
    object.metadata.labels = Some([("app".to_owned(), app.to_owned())].into());
    object.spec.placement_ref = Some(PlacementRef { name: "p".into() });
    object.status = Some(WorkloadStatus {
        decision: Some(Decision {
            assignments: vec![Assignment {
                member: member.to_owned(),
                replicas: 1,
                ..Assignment::default()
            }],
            ..Decision::default()
        }),
        ..WorkloadStatus::default()
    });
    object
}

fn placement(version: u64, apart: bool) -> Seen {
    use heyun_crds::placement::{PlacementSpec, WorkloadTerm, WorkloadTermType};
    let term = WorkloadTerm {
        type_: WorkloadTermType::AntiAffinity,
        ..WorkloadTerm::default()
    };
    let spec = PlacementSpec {
        workloads: if apart { vec![term] } else { Vec::new() },
        ..PlacementSpec::default()
    };
    let mut object = Placement::new("p", spec);
    object.metadata.namespace = Some("ns".to_owned());
    object.metadata.resource_version = Some(version.to_string());
    Seen::Placement(Change::Apply(Box::new(object)))
}

/// A Workload that is being deleted.
fn going(at: u64) -> Seen {
    let mut object = placed("web", at, "c", "sz");
    let when = "2027-01-01T00:00:00Z".parse().unwrap();
    object.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(when));
    Seen::Workload(Change::Apply(Box::new(object)))
}

/// A Workload with a placement of its own that has a rule for others.
fn own(at: u64) -> Box<Workload> {
    let mut object = placed("own", at, "a", "gz");
    object.spec.placement_ref = None;
    let terms = vec![heyun_crds::placement::WorkloadTerm::default()];
    object.spec.placement = Some(heyun_crds::placement::PlacementSpec {
        workloads: terms,
        ..heyun_crds::placement::PlacementSpec::default()
    });
    Box::new(object)
}

/// What happens to a Workload is told to those that wait where its tenant has rules for others, and
/// nowhere else.
#[test]
fn what_others_see_of_a_workload_is_told_where_there_are_rules() {
    use heyun_scheduler::snapshot::Held;
    let mut world = World::default();
    tenants(&mut world);
    let mut at = 1;
    // Whether it unblocks, and whether what is held is looked at anew.
    let mut tell = |world: &mut World, seen: &dyn Fn(u64) -> Seen| {
        at += 1;
        world.touched.clear();
        let mut dirty = Dirty::default();
        world.see(seen(at), &mut dirty);
        (
            !dirty.happened.is_empty(),
            world.touched.contains(&WorkloadKey::new("ns", "web")),
        )
    };
    let web = |app: &'static str, member: &'static str| {
        move |at| Seen::Workload(Change::Apply(Box::new(placed("web", at, app, member))))
    };
    let free = |at| placement(at, false);
    let apart = |at| placement(at, true);
    assert_eq!(tell(&mut world, &web("a", "gz")), (false, true));
    assert_eq!(tell(&mut world, &free), (false, false));
    assert_eq!(tell(&mut world, &web("b", "gz")), (false, true));
    let has = |world: &World| ["ns", "ns2", "ns3"].map(|name| world.has_rules(name));
    assert_eq!(has(&world), [false; 3]);
    // A rule begins: all of the tenant are told of.
    assert_eq!(tell(&mut world, &apart), (true, true));
    assert_eq!(has(&world), [true, true, false]);
    // Its home too, which has its name.
    assert_eq!(
        world.told(),
        ["health", "ns", "ns2"].map(str::to_owned).into()
    );
    let key = WorkloadKey::new("ns", "web");
    let of = |world: &World| world.neighbour(&key, None, &Held::default());
    assert_eq!(of(&world).on, ["gz".to_owned()].into());
    assert_eq!(of(&world).keeps_out.len(), 1);
    assert_eq!(tell(&mut world, &web("b", "gz")), (false, true), "the same");
    assert_eq!(
        tell(&mut world, &web("c", "gz")),
        (true, true),
        "its labels"
    );
    assert_eq!(
        tell(&mut world, &web("c", "sz")),
        (true, true),
        "its members"
    );
    let next = world.neighbour(&key, Some(&["fs".to_owned()].into()), &Held::default());
    assert_eq!(next.on, ["fs".to_owned()].into());
    // One that goes is nowhere any more.
    assert_eq!(tell(&mut world, &going), (true, true));
    assert!(of(&world).on.is_empty());
    assert_eq!(tell(&mut world, &free), (true, true), "a rule ends");
    assert_eq!(has(&world), [false; 3]);
    // One in a Workload's own placement counts as well, and ends with it.
    let (unblocks, told) = tell(&mut world, &|at| Seen::Workload(Change::Apply(own(at))));
    assert!(!unblocks && told, "the others are told of from now on");
    assert_eq!(has(&world), [true, true, false]);
    tell(&mut world, &|at| Seen::Workload(Change::Delete(own(at))));
    assert_eq!(has(&world), [false; 3]);
}
