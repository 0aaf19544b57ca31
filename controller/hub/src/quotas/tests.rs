use heyun_crds::Tenant;
use heyun_crds::common::FlavorAmount;
use heyun_crds::conditions::{ConditionType, condition};
use heyun_crds::quota::{Grant, QuotaLine, QuotaSpec};
use heyun_crds::tenant::TenantSpec;
use heyun_plan::grants::Share;
use heyun_plan::tenants::tree;
use k8s_openapi::jiff::Timestamp;

use super::*;

fn tenants() -> TenantTree {
    let tenant = |name: &str, parent: Option<&str>| {
        let parent = parent.map(str::to_owned);
        let spec = TenantSpec {
            parent,
            ..TenantSpec::default()
        };
        Tenant::new(name, spec)
    };
    tree(&[
        tenant("city", None),
        tenant("civil", Some("city")),
        tenant("health", Some("city")),
    ])
}

fn quota(name: &str, generation: i64, nominal: &str) -> Quota {
    let line = QuotaLine {
        flavor: "amd".into(),
        resource: "cpu".into(),
        nominal: nominal.into(),
        ..QuotaLine::default()
    };
    let spec = QuotaSpec {
        tenant: name.into(),
        resources: vec![line],
        ..QuotaSpec::default()
    };
    let mut quota = Quota::new(name, spec);
    quota.metadata.generation = Some(generation);
    quota
}

fn settled(
    quotas: &BTreeMap<String, Quota>,
    grant: Option<&Grant>,
    now: Timestamp,
) -> BTreeMap<String, Quota> {
    let tenants = tenants();
    let mut booking = Booking {
        calendar: Calendar::of(quotas.values(), &tenants),
        ..Booking::default()
    };
    if let Some(grant) = grant {
        let share = Share::of(grant).unwrap();
        booking.calendar.enter("civil", &grant.uid, share);
        booking.grants.insert("civil".into(), vec![grant.clone()]);
    }
    let charges = BTreeMap::new();
    let statuses = statuses(&tenants, quotas, &charges, booking, 1, &Time(now));
    let mut after = quotas.clone();
    for (name, status) in statuses {
        after.get_mut(&name).unwrap().status = Some(status);
    }
    after
}

fn nominal(quotas: &BTreeMap<String, Quota>, name: &str) -> String {
    let effective = quotas[name].effective().unwrap();
    effective.resources[0].nominal.0.clone()
}

/// A grant to come is promised: no nominal of another takes it away, and what is left is not kept.
#[test]
fn a_nominal_that_is_raised_takes_nothing_that_is_promised() {
    let now: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    let mut quotas: BTreeMap<String, Quota> = [
        ("city".to_owned(), quota("city", 1, "100")),
        ("civil".to_owned(), quota("civil", 1, "40")),
        ("health".to_owned(), quota("health", 1, "30")),
    ]
    .into();
    quotas = settled(&quotas, None, now);
    let grant = Grant {
        uid: "u-1".into(),
        from: "2027-05-01T00:00:00Z".into(),
        until: "2027-10-01T00:00:00Z".into(),
        resources: vec![FlavorAmount {
            flavor: "amd".into(),
            resource: "cpu".into(),
            amount: "20".into(),
        }],
        ..Grant::default()
    };
    quotas = settled(&quotas, Some(&grant), now);
    assert_eq!(nominal(&quotas, "civil"), "40", "it has not begun");
    let mut raised = |generation, cores| {
        let status = quotas["health"].status.clone();
        let mut health = quota("health", generation, cores);
        health.status = status;
        quotas.insert("health".into(), health);
        quotas = settled(&quotas, Some(&grant), now);
        let status = quotas["health"].status.clone().unwrap();
        let accepted = condition(&status.conditions, ConditionType::Accepted).unwrap();
        (nominal(&quotas, "health"), accepted.message.clone())
    };
    let (nominal, message) = raised(2, "50");
    assert_eq!(nominal, "30");
    assert!(
        message.contains("is promised to them: city lacks 10 cpu"),
        "{message}"
    );
    assert_eq!(raised(3, "40").0, "40");
    assert_eq!(raised(4, "10").0, "10");
}
