use heyun_crds::member_cluster::MemberClusterSpec;
use heyun_crds::tenant::TenantSpec;
use heyun_crds::work::{WorkSpec, WorkloadKey as WorkOf};
use heyun_crds::{MemberCluster, Tenant};
use heyun_plan::member_names::work_name;

use super::*;
use crate::watch::{Change, Seen};
use crate::world::Dirty;

fn key() -> WorkloadKey {
    WorkloadKey::new("ns", "web")
}

/// A Work on `city` whose Workload is gone.
fn work(deleting: bool) -> Seen {
    let mut work = Work::new(&work_name("ns", "web"), WorkSpec::default());
    work.spec.workload = WorkOf {
        namespace: "ns".to_owned(),
        name: "web".to_owned(),
        ..WorkOf::default()
    };
    work.metadata.namespace = Some("heyun-member-city".to_owned());
    work.metadata.uid = Some("u".to_owned());
    work.metadata.resource_version = Some("7".to_owned());
    work.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    work.metadata.deletion_timestamp = deleting.then(now);
    Seen::Work(Change::Apply(Box::new(work)))
}

/// The tenant that has the namespace `ns`.
pub(in crate::operate) fn tenant() -> Seen {
    let spec = TenantSpec {
        namespaces: vec!["ns".to_owned()],
        ..TenantSpec::default()
    };
    let mut tenant = Tenant::new("ns", spec);
    tenant.metadata.resource_version = Some("3".to_owned());
    Seen::Tenant(Change::Apply(Box::new(tenant)))
}

pub(super) fn member() -> Box<MemberCluster> {
    let mut member = MemberCluster::new("city", MemberClusterSpec::default());
    member.metadata.resource_version = Some("3".to_owned());
    Box::new(member)
}

fn unreadable<K>(namespace: Option<&str>, name: &str, gone: bool) -> Change<K> {
    Change::Unreadable {
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        error: "unknown variant".to_owned(),
        gone,
    }
}

pub(super) fn now() -> Time {
    Time("2027-01-01T00:00:00Z".parse().unwrap())
}

pub(super) fn world(all: impl IntoIterator<Item = Seen>) -> (World, Dirty) {
    let (mut world, mut dirty) = (World::default(), Dirty::default());
    for seen in all {
        world.see(seen, &mut dirty);
    }
    (world, dirty)
}

/// A look at `ns/web` by who knows nothing but this world.
pub(super) fn look(world: &World, epoch: i64, again: bool) -> Look {
    let sight = Sight {
        world,
        secrets: &Secrets::default(),
        images: &Images::default(),
        registries: None,
        default_requests: &Resources::default(),
        weights: ScoreWeights::default(),
        unreachable: &BTreeSet::new(),
        epoch,
        now: now(),
    };
    sight.look(&key(), again)
}

/// Whether Works are let go by the hub alone, and what goes; none where there is nothing to write.
fn going(world: &World) -> Option<(bool, usize)> {
    match look(world, 2, false) {
        Look::Write(chain) => Some((chain.abandon, chain.steps.len())),
        Look::Nothing => None,
        Look::Decide(_) | Look::Secrets(_) | Look::Images(_) => {
            panic!("there is no Workload to decide")
        }
    }
}

#[test]
fn works_on_a_member_that_left_are_let_go_by_the_hub() {
    let joined = || Seen::MemberCluster(Change::Apply(member()));
    assert_eq!(going(&world([joined(), work(false)]).0), Some((false, 1)));
    // Its executor ends what is being deleted.
    assert_eq!(going(&world([joined(), work(true)]).0), None);
    for deleting in [false, true] {
        let left = Seen::MemberCluster(Change::Delete(member()));
        let (mut world, mut dirty) = world([joined(), work(deleting)]);
        dirty.workloads.clear();
        world.see(left, &mut dirty);
        assert!(dirty.workloads.contains(&key()), "nobody looks");
        assert_eq!(going(&world), Some((true, 1)));
    }
}

#[test]
fn a_member_that_cannot_be_read_has_not_left() {
    let unread = |gone| Seen::MemberCluster(unreadable(None, "city", gone));
    assert_eq!(going(&world([unread(false), work(true)]).0), None);
    let both = [unread(false), work(true), unread(true)];
    assert_eq!(going(&world(both).0), Some((true, 1)));
}

#[test]
fn nothing_goes_while_a_workload_or_a_work_of_it_cannot_be_read() {
    let joined = || Seen::MemberCluster(Change::Apply(member()));
    let workload = |gone| Seen::Workload(unreadable(Some("ns"), "web", gone));
    let seen = [joined(), work(false), workload(false)];
    assert_eq!(going(&world(seen).0), None);
    let (gone, dirty) = world([joined(), work(false), workload(false), workload(true)]);
    assert_eq!(going(&gone), Some((false, 1)));
    assert!(dirty.workloads.contains(&key()));
    let name = work_name("ns", "web");
    let elsewhere = Seen::Work(unreadable(Some("heyun-member-town"), &name, false));
    assert_eq!(going(&world([joined(), work(false), elsewhere]).0), None);
}
