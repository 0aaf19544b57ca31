use std::collections::BTreeMap;

use heyun_crds::Tenant;
use heyun_crds::tenant::TenantSpec;
use heyun_crds::workload::Emergency;
use heyun_scheduler::preempt::{Claim, Victim};

use super::*;
use crate::tenants;

fn assignment(member: &str, replicas: i32, keeps: i32) -> Assignment {
    let requests = Resources::new().with("cpu", 1000);
    // One more for surge.
    let charge = Resources::new().with("cpu", 1000 * (i64::from(replicas) + 1));
    Assignment {
        member: member.to_owned(),
        flavor: "arm".to_owned(),
        component: "Deployment/web".to_owned(),
        replicas,
        requests: amounts::to_map(&requests),
        charge: amounts::to_map(&charge),
        keeps,
        ..Assignment::default()
    }
}

fn decided(assignments: Vec<Assignment>) -> Decision {
    let mut decision = Decision {
        generation: 4,
        epoch: 2,
        assignments,
        ..Decision::default()
    };
    decide::replace(&mut decision, "uid", None);
    decision
}

fn lower() -> Preempted {
    let victim = Victim {
        key: WorkloadKey::new("civil", "web"),
        claim: Claim::Lower,
    };
    let asker = WorkloadKey::new("civil", "alert");
    let now = "2027-05-01T08:00:00.5Z".parse().unwrap();
    told(&victim, true, &asker, None, now)
}

fn shape(of: &[Assignment]) -> Vec<String> {
    let cpu = |a: &Assignment| a.charge.get("cpu").map_or("0", |q| q.0.as_str()).to_owned();
    of.iter()
        .map(|a| format!("{} {} ({})", a.member, a.replicas, cpu(a)))
        .collect()
}

#[test]
fn who_keeps_nothing_leaves_and_stays_charged_until_it_is_gone() {
    let before = decided(vec![assignment("a", 2, 0), assignment("b", 1, 0)]);
    let after = preempted(&before, "uid", lower(), 3);
    assert_eq!(after.assignments, []);
    assert_eq!(shape(&after.releasing), ["a 2 (3)", "b 1 (2)"]);
    assert_eq!(after.reserved, before.reserved);
    assert_eq!((after.generation, after.epoch), (4, 3));
    assert_ne!(after.id, before.id);
    assert!(!decide::same(&before, &after));
    let said = sentence(after.preempted.as_ref().unwrap());
    assert_eq!(
        said,
        "made room for civil/alert of the same tenant, which has a higher priority"
    );
}

#[test]
fn what_a_budget_keeps_stays_with_its_surge() {
    let before = decided(vec![assignment("a", 5, 2), assignment("b", 3, 0)]);
    let after = preempted(&before, "uid", lower(), 3);
    assert_eq!(shape(&after.assignments), ["a 2 (3)", "b 0 (0)"]);
    assert_eq!(shape(&after.releasing), ["a 3 (3)", "b 3 (4)"]);
    assert_eq!(after.reserved, before.reserved);
}

#[test]
fn what_stands_tells_what_goes_and_what_is_going() {
    let mut decision = decided(vec![assignment("a", 3, 1)]);
    decision.releasing = vec![assignment("b", 2, 0)];
    let class = Class {
        value: 7,
        ..Class::NONE
    };
    let stands = Stands {
        decision: Some(&decision),
        tenant: "civil",
        class: &class,
        created: 9,
        rendered: true,
        leaves: false,
        busy: false,
        assumed: &Held::default(),
    };
    let found = standing(&stands);
    let [a, b] = &found.places[..] else { panic!() };
    assert_eq!((a.spare(), a.keeps, a.going), (2, 1, 0));
    assert_eq!(a.freed(), Resources::new().with("cpu", 2000));
    assert_eq!((b.spare(), b.going), (0, 2));
    assert_eq!(b.going_charge, Resources::new().with("cpu", 3000));
    assert_eq!((found.priority, found.busy), (7, false));
    // Of an earlier generation a part cannot be rendered any more.
    let newer = Stands {
        rendered: false,
        ..stands
    };
    assert!(standing(&newer).busy);
    // What is being deleted is going.
    let leaves = Stands {
        leaves: true,
        ..stands
    };
    assert_eq!(standing(&leaves).places[0].going, 3);
}

#[test]
fn an_emergency_class_needs_a_document_and_a_tenant_that_may_name_it() {
    let tenant = |name: &str, parent: Option<&str>| {
        let spec = TenantSpec {
            parent: parent.map(str::to_owned),
            ..TenantSpec::default()
        };
        Tenant::new(name, spec)
    };
    let all = [
        tenant("gd", None),
        tenant("flood", Some("gd")),
        tenant("flood-radar", Some("flood")),
        tenant("health", Some("gd")),
    ];
    let tree = tenants::tree_in(&all, &tenants::Surroundings::default());
    let mut object = PriorityClass {
        value: Some(900),
        preemption_policy: Some("Never".to_owned()),
        ..PriorityClass::default()
    };
    let plain = Class::read(&object);
    assert_eq!(
        (plain.value, plain.preempts, &plain.emergency),
        (900, false, &None)
    );
    let annotations = [(EMERGENCY_TENANTS.to_owned(), "flood, fire".to_owned())];
    object.metadata.annotations = Some(BTreeMap::from(annotations));
    let class = Class::read(&object);
    let mut spec = WorkloadSpec {
        priority_class_name: Some("flood".to_owned()),
        ..WorkloadSpec::default()
    };
    let refused = |spec: &WorkloadSpec, class: &Class, tenant: &str| {
        emergency(spec, class, tenant, &tree).map(|error| error.to_string())
    };
    assert_eq!(refused(&spec, &plain, "health"), None);
    let said = refused(&spec, &class, "flood").unwrap();
    assert!(said.contains("spec.emergency: is missing"), "{said}");
    spec.emergency = Some(Emergency {
        document: "粤防汛〔2027〕3号".to_owned(),
    });
    assert_eq!(refused(&spec, &class, "flood"), None);
    assert_eq!(refused(&spec, &class, "flood-radar"), None);
    let said = refused(&spec, &class, "health").unwrap();
    assert!(
        said.contains("tenant \"health\" is none that may name it"),
        "{said}"
    );
    let said = refused(&spec, &plain, "flood").unwrap();
    assert!(said.contains("which \"flood\" is not"), "{said}");
}
