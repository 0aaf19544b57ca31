use heyun_crds::quota::{EffectiveQuota, QuotaLine, QuotaSpec, QuotaStatus};
use proptest::prelude::*;

use super::*;

fn cpu() -> Key {
    Key::new("amd", "cpu")
}

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + hour * 3600).unwrap()
}

fn share(from: i64, until: i64, cores: i64) -> Share {
    Share {
        from: at(from),
        until: at(until),
        amounts: [(cpu(), cores * 1000)].into(),
    }
}

fn quota(name: &str, parent: Option<&str>, nominal: i64) -> Quota {
    let line = QuotaLine {
        flavor: "amd".into(),
        resource: "cpu".into(),
        nominal: nominal.to_string().as_str().into(),
        ..QuotaLine::default()
    };
    let mut quota = Quota::new(
        name,
        QuotaSpec {
            tenant: name.into(),
            resources: vec![line.clone()],
            ..QuotaSpec::default()
        },
    );
    quota.status = Some(QuotaStatus {
        effective: Some(EffectiveQuota {
            parent: parent.map(str::to_owned),
            resources: vec![line],
            ..EffectiveQuota::default()
        }),
        ..QuotaStatus::default()
    });
    quota
}

/// A city of 100 cores whose agencies have 40 and 30.
fn calendar() -> Calendar {
    let quotas = [
        quota("city", None, 100),
        quota("civil", Some("city"), 40),
        quota("health", Some("city"), 30),
    ];
    Calendar::of(&quotas, &TenantTree::default())
}

#[test]
fn it_counts_from_its_beginning_until_before_its_end() {
    let share = share(2, 4, 1);
    let counts: Vec<bool> = (1..6).map(|h| share.counts_at(at(h))).collect();
    assert_eq!(counts, [false, true, true, false, false]);
    assert_eq!(next_change([&share], at(1)), Some(at(2)));
    assert_eq!(next_change([&share], at(2)), Some(at(4)));
    assert_eq!(next_change([&share], at(4)), None);
    // The end of a day in China is a moment like any other.
    let grant = Grant {
        from: "2027-05-01T00:00:00+08:00".into(),
        until: "2027-10-01T00:00:00+08:00".into(),
        ..Grant::default()
    };
    let share = Share::of(&grant).unwrap();
    assert!(share.counts_at("2027-09-30T15:59:59Z".parse().unwrap()));
    assert!(!share.counts_at("2027-09-30T16:00:00Z".parse().unwrap()));
}

#[test]
fn two_grants_to_come_do_not_promise_the_same_cores() {
    let mut calendar = calendar();
    assert_eq!(calendar.room("civil", &share(10, 20, 30)), Ok(()));
    calendar.enter("civil", "a", share(10, 20, 30));
    assert_eq!(calendar.room("health", &share(0, 10, 30)), Ok(()), "before");
    assert_eq!(calendar.room("health", &share(20, 30, 30)), Ok(()), "after");
    let short = calendar.room("health", &share(0, 15, 5)).unwrap_err();
    assert_eq!((short.at, short.by), (at(10), 5_000));
    let text = short.to_string();
    assert!(
        text.starts_with("city lacks 5 cpu of amd on 2027-"),
        "{text}"
    );
    let short = calendar.room("health", &share(19, 40, 1)).unwrap_err();
    assert_eq!((short.at, short.by), (at(19), 1_000));
}

#[test]
fn what_the_parent_is_granted_can_be_passed_on_while_it_lasts() {
    let quotas = [
        quota("province", None, 1000),
        quota("city", Some("province"), 100),
        quota("civil", Some("city"), 100),
    ];
    let mut calendar = Calendar::of(&quotas, &TenantTree::default());
    calendar.enter("city", "c", share(0, 10, 50));
    assert_eq!(calendar.room("civil", &share(2, 10, 50)), Ok(()));
    let short = calendar.room("civil", &share(2, 11, 50)).unwrap_err();
    assert_eq!((short.at, short.by), (at(10), 50_000));
    let root = calendar.room("province", &share(0, 1, 1)).unwrap_err();
    assert!(root.to_string().contains("is a root"), "{root}");
}

#[test]
fn overcommit_promises_more_as_it_says() {
    let mut city = quota("city", None, 100);
    city.spec.overcommit_percent = Some(150);
    let calendar = Calendar::of(
        [&city, &quota("civil", Some("city"), 100)],
        &TenantTree::default(),
    );
    assert_eq!(calendar.room("civil", &share(0, 1, 50)), Ok(()));
    assert!(calendar.room("civil", &share(0, 1, 51)).is_err());
}

#[test]
fn what_is_active_in_the_lines_is_not_counted_twice() {
    let mut civil = quota("civil", Some("city"), 70);
    let grant = |uid: &str, cores: &str, active| Grant {
        uid: uid.into(),
        from: at(0).to_string(),
        until: at(9).to_string(),
        active,
        resources: vec![FlavorAmount {
            flavor: "amd".into(),
            resource: "cpu".into(),
            amount: cores.into(),
        }],
        ..Grant::default()
    };
    let effective = civil.status.as_mut().and_then(|s| s.effective.as_mut());
    effective.unwrap().grants = vec![grant("a", "30", true), grant("b", "20", false)];
    assert_eq!(
        nominal(civil.effective().unwrap()),
        [(cpu(), 40_000)].into()
    );
}

#[test]
fn a_nominal_is_not_raised_over_what_is_promised() {
    let mut calendar = calendar();
    let raised = |cores: i64| [(cpu(), cores * 1000)].into();
    // Nothing is promised: what Quotas say of each other is another's to judge.
    assert_eq!(calendar.raise("health", &raised(500), at(0)), Ok(()));
    calendar.enter("civil", "a", share(10, 20, 20));
    assert_eq!(calendar.raise("health", &raised(40), at(0)), Ok(()));
    let short = calendar.raise("health", &raised(41), at(0)).unwrap_err();
    assert_eq!((short.at, short.by), (at(10), 1_000));
    assert_eq!(calendar.raise("health", &raised(60), at(20)), Ok(()));
    assert_eq!(calendar.raise("health", &raised(3), at(0)), Ok(()), "lower");
    // One that is raised is seen by the next; one that is lowered, once that is written.
    let health = quota("health", Some("city"), 40);
    calendar.settled("health", health.effective().unwrap());
    assert!(calendar.raise("civil", &raised(41), at(0)).is_err());
    let health = quota("health", Some("city"), 10);
    calendar.settled("health", health.effective().unwrap());
    assert!(calendar.raise("civil", &raised(41), at(0)).is_err());
    let city = quota("city", None, 101);
    calendar.settled("city", city.effective().unwrap());
    assert_eq!(calendar.raise("civil", &raised(41), at(0)), Ok(()));
}

/// Found by the simulation: all was granted to one, and the Quota of another could never count.
#[test]
fn what_a_new_quota_is_to_have_is_not_granted_to_others() {
    let new = |nominal| {
        let mut health = quota("health", Some("city"), nominal);
        health.status = None;
        let all = [
            quota("city", None, 100),
            quota("civil", Some("city"), 40),
            health,
        ];
        let tenant = |name: &str, parent: Option<&str>| {
            let mut tenant = heyun_crds::Tenant::default();
            tenant.metadata.name = Some(name.to_owned());
            tenant.spec.parent = parent.map(str::to_owned);
            tenant
        };
        let tenants = [tenant("city", None), tenant("health", Some("city"))];
        Calendar::of(&all, &crate::tenants::tree(&tenants))
    };
    let raised = |cores: i64| [(cpu(), cores * 1000)].into();
    let mut calendar = new(30);
    assert_eq!(calendar.room("civil", &share(0, 9, 30)), Ok(()));
    assert!(calendar.room("civil", &share(0, 9, 31)).is_err());
    calendar.enter("civil", "a", share(0, 9, 30));
    assert_eq!(calendar.raise("health", &raised(30), at(0)), Ok(()));
    let mut calendar = new(40);
    calendar.enter("civil", "a", share(0, 9, 30));
    assert!(calendar.raise("health", &raised(40), at(0)).is_err());
}

/// A share that is asked for: of which tenant, from, for how long, cores, and whether another is
/// released first.
fn asked() -> impl Strategy<Value = (usize, i64, i64, i64, bool)> {
    (0..3_usize, 0..30_i64, 1..15_i64, 1..60_i64, any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Hour by hour, and not by change points.
    #[test]
    fn no_more_is_promised_than_there_is_at_any_hour(
        all in proptest::collection::vec(asked(), 1..25),
    ) {
        let names = ["civil", "health", "city"];
        let quotas = [
            quota("province", None, 160),
            quota("city", Some("province"), 100),
            quota("civil", Some("city"), 40),
            quota("health", Some("city"), 30),
        ];
        let mut promised: Vec<(usize, Share)> = Vec::new();
        for (of, from, hours, cores, release) in all {
            // What the city has is passed on: it is not released under its agencies.
            if release && let Some(i) = promised.iter().position(|(of, _)| *of != 2) {
                promised.remove(i);
            }
            let mut calendar = Calendar::of(&quotas, &TenantTree::default());
            for (i, (of, share)) in promised.iter().enumerate() {
                calendar.enter(names[*of], &i.to_string(), share.clone());
            }
            let wanted = share(from, from + hours, cores);
            let room = calendar.room(names[of], &wanted);
            let sum = |hour: i64, of: usize| -> i64 {
                let these = promised.iter().filter(|(i, s)| *i == of && s.counts_at(at(hour)));
                these.map(|(_, s)| s.amounts[&cpu()] / 1000).sum()
            };
            let fits = (from..from + hours).all(|hour| if of == 2 {
                100 + sum(hour, 2) + cores <= 160
            } else {
                70 + sum(hour, 0) + sum(hour, 1) + cores <= 100 + sum(hour, 2)
            });
            prop_assert_eq!(room.is_ok(), fits, "{:?}", room);
            if room.is_ok() {
                promised.push((of, wanted));
            }
        }
    }
}
