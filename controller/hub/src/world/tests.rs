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
        (dirty.quotas, dirty.unblock, held.unwrap().summary)
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
    assert!(!frees(&before, &before));
    assert!(!frees(&before, &held("a", 3, 300)));
    assert!(!frees(&Held::default(), &before));
    assert!(frees(&before, &held("a", 1, 200)));
    assert!(frees(&before, &held("a", 2, 100)));
    assert!(frees(&before, &held("b", 2, 200)));
    assert!(frees(&before, &Held::default()));
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
    let flags = [dirty.tenants, dirty.quotas, dirty.flavors, dirty.unblock];
    assert_eq!((looks, flags), (0, [false; 4]));
}
