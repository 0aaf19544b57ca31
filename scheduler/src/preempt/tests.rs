use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::fixtures::{component, member, request, with, world};
use crate::quota::{Key, Line, QuotaNode, QuotaTree};
use crate::schedule::schedule;
use crate::snapshot::{Held, HeldEntry, Shape, Tenant};

/// Tenants that are below the city, with what each is entitled to in millicores of `arm`.
const AGENCIES: [&str; 3] = ["civil-affairs", "health", "transport"];

/// Workloads that stand, and one kind of member with room for so many cores on one node; each agency
/// is entitled to so much, and may use all of the city's.
#[derive(Debug)]
struct Town {
    snapshot: Snapshot,
    standing: BTreeMap<WorkloadKey, Standing>,
}

impl Town {
    fn new(cores: i64, nominal: [i64; 3], city: i64) -> Self {
        let mut snapshot = with(world(), [member("a", "arm", 1, cores)]);
        for agency in AGENCIES {
            let tenant = Tenant {
                parent: Some("guangzhou".to_owned()),
                ..Tenant::default()
            };
            snapshot.tenants.insert(agency.to_owned(), tenant);
        }
        let line = |nominal| Line {
            guaranteed: 0,
            nominal,
            ceiling: 1 << 40,
        };
        let nodes: Vec<QuotaNode> = snapshot
            .tenants
            .iter()
            .map(|(name, of)| {
                let own = AGENCIES.iter().position(|agency| agency == name);
                let nominal = own.map_or(city, |own| nominal[own]);
                QuotaNode {
                    name: name.clone(),
                    parent: of.parent.clone(),
                    lines: BTreeMap::from([(Key::new("arm", "cpu"), line(nominal))]),
                    ..QuotaNode::default()
                }
            })
            .collect();
        snapshot.quotas = QuotaTree::build(&nodes).0;
        Self {
            snapshot,
            standing: BTreeMap::new(),
        }
    }

    /// The nodes.
    fn shape(&mut self) -> &mut Shape {
        let member = self.snapshot.member_mut("a").unwrap();
        &mut member.sketch.as_mut().unwrap().shapes[0]
    }

    /// One that stands is gone, with its pod and its charge.
    fn goes(&mut self, key: &WorkloadKey) -> Standing {
        let gone = self.standing.remove(key).unwrap();
        let size = gone.places[0].charge.get("cpu");
        let node = self.snapshot.quotas.node(&gone.tenant).unwrap();
        let freed = Amounts::from([(Key::new("arm", "cpu"), size)]);
        self.snapshot.quotas.release(node, &freed).unwrap();
        let free = self.shape().free.get("cpu") + size;
        self.shape().free.set("cpu", free);
        gone
    }

    /// A workload of one replica stands, bound on the node.
    fn stands(&mut self, name: &str, tenant: &str, priority: i32, millicores: i64) -> &mut Place {
        let each = Resources::new().with("cpu", millicores);
        let node = self.snapshot.quotas.node(tenant).unwrap();
        let charge = Amounts::from([(Key::new("arm", "cpu"), millicores)]);
        self.snapshot.quotas.charge(node, &charge).unwrap();
        let free = self.shape().free.get("cpu") - millicores;
        assert!(free >= 0, "{name} has no room");
        self.shape().free.set("cpu", free);
        let place = Place {
            member: "a".to_owned(),
            flavor: "arm".to_owned(),
            per_replica: each.clone(),
            replicas: 1,
            charge: each,
            ..Place::default()
        };
        let standing = Standing {
            tenant: tenant.to_owned(),
            priority,
            places: vec![place],
            ..Standing::default()
        };
        let key = WorkloadKey::new(tenant, name);
        self.standing.insert(key.clone(), standing);
        &mut self.standing.get_mut(&key).unwrap().places[0]
    }

    /// Whom a request makes go, and what its verdict says; nothing when it is placed or none goes.
    fn ask(&self, requests: &[Request]) -> (Vec<Preemption>, Vec<Verdict>) {
        let config = Config::default();
        let mut verdicts = schedule(&self.snapshot, requests, &config);
        let (found, _) = preempt(
            &self.snapshot,
            requests,
            &mut verdicts,
            &self.standing,
            &config,
        );
        (found, verdicts)
    }

    fn victims(&self, request: &Request) -> Option<Vec<String>> {
        let (found, _) = self.ask(std::slice::from_ref(request));
        let of = found.into_iter().next()?;
        let each = of.victims.iter();
        Some(
            each.map(|victim| format!("{}:{}", victim.key.name, victim.claim.as_str()))
                .collect(),
        )
    }
}

fn asks(name: &str, tenant: &str, priority: i32, millicores: i64) -> Request {
    let mut asked = request(name, vec![component("web", 1, millicores)]);
    asked.key = WorkloadKey::new(tenant, name);
    asked.tenant = tenant.to_owned();
    asked.priority = priority;
    asked.preempts = true;
    asked
}

#[test]
fn what_was_lent_is_taken_back_whatever_its_priority() {
    let mut town = Town::new(10, [4000, 6000, 0], 10_000);
    town.stands("own", "health", 5, 4000);
    town.stands("more", "health", 5, 4000);
    let asked = asks("app", "civil-affairs", 0, 4000);
    assert_eq!(town.victims(&asked), Some(vec!["more:Borrowed".to_owned()]));
    // Within its nominal nobody goes for another.
    let mut within = Town::new(10, [4000, 8000, 0], 12_000);
    within.stands("own", "health", 0, 4000);
    within.stands("more", "health", 0, 4000);
    assert_eq!(within.victims(&asks("app", "civil-affairs", 9, 4000)), None);
    // Nor for one who would borrow himself.
    assert_eq!(town.victims(&asks("app", "civil-affairs", 9, 5000)), None);
    // Nor for one whose class says `Never`.
    let mut never = asked;
    never.preempts = false;
    assert_eq!(town.victims(&never), None);
}

#[test]
fn a_tenant_gives_way_to_itself_by_priority() {
    let mut town = Town::new(8, [8000, 0, 0], 8000);
    town.stands("routine", "civil-affairs", 1, 4000);
    town.stands("business", "civil-affairs", 5, 4000);
    let urgent = asks("urgent", "civil-affairs", 9, 4000);
    assert_eq!(
        town.victims(&urgent),
        Some(vec!["routine:Lower".to_owned()])
    );
    let equal = asks("equal", "civil-affairs", 1, 4000);
    assert_eq!(town.victims(&equal), None);
    // Another tenant's, however low, stays.
    let other = asks("other", "health", 9, 4000);
    assert_eq!(town.victims(&other), None);
}

#[test]
fn borrowed_goes_before_own_and_few_before_many() {
    let mut town = Town::new(12, [8000, 2000, 0], 12_000);
    town.stands("low", "civil-affairs", 1, 4000);
    town.stands("lent-a", "health", 9, 2000);
    town.stands("lent-b", "health", 9, 2000);
    town.stands("lent-c", "health", 9, 4000);
    let urgent = asks("urgent", "civil-affairs", 5, 4000);
    assert_eq!(
        town.victims(&urgent),
        Some(vec!["lent-c:Borrowed".to_owned()])
    );
    let small = asks("small", "civil-affairs", 5, 1500);
    let one = town.victims(&small).unwrap();
    assert_eq!(one.len(), 1);
    assert!(
        one[0].starts_with("lent-a") || one[0].starts_with("lent-b"),
        "{one:?}"
    );
}

#[test]
fn a_lender_takes_no_more_than_was_lent() {
    // Health borrows 1 of its 5 cores: one of its two goes, the other stays whatever is asked.
    let mut town = Town::new(8, [6000, 4000, 0], 10_000);
    town.stands("first", "health", 0, 2500);
    town.stands("second", "health", 0, 2500);
    let asked = asks("app", "civil-affairs", 0, 5000);
    assert_eq!(town.victims(&asked), None, "one alone is not enough");
    let asked = asks("app", "civil-affairs", 0, 2500);
    assert_eq!(town.victims(&asked), None, "there is room");
    town.stands("third", "transport", 0, 3000);
    let found = town
        .victims(&asks("app", "civil-affairs", 0, 2500))
        .unwrap();
    assert_eq!(
        found,
        ["third:Borrowed"],
        "who is entitled to nothing owes most"
    );
}

#[test]
fn what_is_kept_stays_and_the_rest_may_go() {
    let mut town = Town::new(8, [8000, 0, 0], 8000);
    let place = town.stands("routine", "civil-affairs", 1, 8000);
    place.per_replica = Resources::new().with("cpu", 2000);
    (place.replicas, place.keeps) = (4, 3);
    let one = asks("urgent", "civil-affairs", 9, 2000);
    assert_eq!(town.victims(&one), Some(vec!["routine:Lower".to_owned()]));
    let mut two = one.clone();
    two.components[0].replicas = 2;
    assert_eq!(town.victims(&two), None);
}

#[test]
fn an_emergency_has_anyone_go_that_is_none_and_lower() {
    let mut town = Town::new(8, [8000, 8000, 0], 16_000);
    town.stands("routine", "health", 1, 4000);
    town.stands("business", "health", 5, 4000);
    let mut flood = asks("flood", "civil-affairs", 9, 4000);
    assert_eq!(town.victims(&flood), None);
    flood.emergency = true;
    assert_eq!(
        town.victims(&flood),
        Some(vec!["routine:Emergency".to_owned()])
    );
    let key = WorkloadKey::new("health", "routine");
    town.standing.get_mut(&key).unwrap().emergency = true;
    assert_eq!(
        town.victims(&flood),
        Some(vec!["business:Emergency".to_owned()])
    );
}

#[test]
fn what_is_going_is_waited_for_and_nobody_is_asked_twice() {
    let mut town = Town::new(8, [8000, 0, 0], 8000);
    let place = town.stands("first", "civil-affairs", 1, 4000);
    (place.replicas, place.going) = (0, 1);
    place.going_charge = std::mem::take(&mut place.charge);
    town.stands("second", "civil-affairs", 1, 4000);
    let urgent = asks("urgent", "civil-affairs", 9, 4000);
    let other = asks("other", "civil-affairs", 8, 4000);
    assert_eq!(town.victims(&urgent), Some(Vec::new()));
    // The one after it has another go.
    let (found, verdicts) = town.ask(&[other, urgent]);
    let names: Vec<(&str, usize)> = found
        .iter()
        .map(|of| (&*of.key.name, of.victims.len()))
        .collect();
    assert_eq!(names, [("urgent", 0), ("other", 1)]);
    assert_eq!(verdicts[0].outcome.reason().unwrap().code(), "Preempting");
    // What goes on a member that does not answer is not waited for.
    town.snapshot.member_mut("a").unwrap().readiness =
        crate::snapshot::Readiness::Unknown { since: 0 };
    assert_eq!(
        town.victims(&asks("urgent", "civil-affairs", 9, 4000)),
        None
    );
}

#[test]
fn names_of_other_tenants_are_not_told() {
    let mut town = Town::new(8, [12_000, 0, 0], 12_000);
    town.stands("secret-name", "health", 1, 4000);
    town.stands("mine", "civil-affairs", 1, 4000);
    let mut urgent = asks("urgent", "civil-affairs", 9, 4000);
    urgent.components[0].replicas = 2;
    let (_, verdicts) = town.ask(&[urgent]);
    let text = crate::text::verdict(&verdicts[0]);
    assert_eq!(
        text,
        "Preempting: civil-affairs/mine and 1 of other tenants make room for it: waits until they \
         are gone"
    );
}

/// What stands and who asks: (tenant, priority, half cores), and of the asker how many replicas.
fn towns() -> impl Strategy<Value = (Town, Request)> {
    let stands = prop::collection::vec((0_usize..3, 0_i32..4, 1_i64..6), 1..9);
    let asker = (0_usize..3, 0_i32..5, 1_i64..6, 1_i64..5, any::<bool>());
    (stands, prop::array::uniform3(0_i64..10), asker).prop_map(|(stands, nominal, asker)| {
        let used: i64 = stands.iter().map(|of| of.2).sum();
        let nominal = nominal.map(|of| of * 500);
        let city = (used * 500).max(nominal.iter().sum());
        // No more than half a core is free.
        let mut town = Town::new(1, nominal, city);
        town.shape().free.set("cpu", used * 500 + 500);
        for (index, (tenant, priority, halves)) in stands.into_iter().enumerate() {
            town.stands(
                &format!("w{index}"),
                AGENCIES[tenant],
                priority,
                halves * 500,
            );
        }
        let (tenant, priority, halves, replicas, emergency) = asker;
        let mut asked = asks("asker", AGENCIES[tenant], priority, halves * 500);
        asked.components[0].replicas = replicas;
        asked.emergency = emergency;
        (town, asked)
    })
}

/// What each agency is charged in all.
fn charged(town: &Town, without: &BTreeSet<&WorkloadKey>) -> BTreeMap<String, i64> {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for (key, of) in &town.standing {
        if !without.contains(key) {
            *sums.entry(of.tenant.clone()).or_default() += of.places[0].charge.get("cpu");
        }
    }
    sums
}

/// Whether these may go for the asker, judged from the rules as they are told, one going after the
/// other in some order.
fn may_go(town: &Town, asked: &Request, some: &[&WorkloadKey]) -> bool {
    let cpu = Key::new("arm", "cpu");
    let nominal = |tenant: &str| {
        let node = town.snapshot.quotas.node(tenant).unwrap();
        town.snapshot.quotas.line(node, &cpu).nominal
    };
    let wants = wanted(asked);
    let none = BTreeSet::new();
    let own = charged(town, &none)
        .get(&asked.tenant)
        .copied()
        .unwrap_or(0);
    let entitled = own + wants <= nominal(&asked.tenant);
    let lower = |key: &WorkloadKey| town.standing[key].priority < asked.priority;
    let borrowed: Vec<&&WorkloadKey> = some
        .iter()
        .filter(|key| {
            let of = &town.standing[**key];
            let emergency = asked.emergency && !of.emergency && lower(key);
            of.tenant != asked.tenant && !emergency
        })
        .collect();
    let by_rank = some
        .iter()
        .filter(|key| town.standing[**key].tenant == asked.tenant)
        .all(|key| lower(key));
    // Each that goes as borrowed is over the line while it goes, in the best order: the largest last.
    let back = borrowed.iter().all(|last| {
        let tenant = &town.standing[**last].tenant;
        let mates: Vec<_> = borrowed
            .iter()
            .filter(|key| town.standing[***key].tenant == *tenant)
            .collect();
        let size = |key: &WorkloadKey| town.standing[key].places[0].charge.get("cpu");
        let sum: i64 = mates.iter().map(|key| size(key)).sum();
        let largest = mates.iter().map(|key| size(key)).max().unwrap_or(0);
        charged(town, &none)[tenant] - sum + largest > nominal(tenant)
    });
    by_rank && (borrowed.is_empty() || (entitled && back))
}

/// A town in few words.
fn told(town: &Town, asked: &Request) -> String {
    let cpu = Key::new("arm", "cpu");
    let nominal = AGENCIES.map(|tenant| {
        let node = town.snapshot.quotas.node(tenant).unwrap();
        town.snapshot.quotas.line(node, &cpu).nominal
    });
    let each = town.standing.iter().map(|(key, of)| {
        let size = of.places[0].charge.get("cpu");
        format!("{key} {} {size}", of.priority)
    });
    let stands = each.collect::<Vec<_>>().join(", ");
    let wants = asked.components[0].per_replica.get("cpu");
    format!(
        "{nominal:?} [{stands}] {} {} {} x {wants} emergency {}",
        asked.tenant, asked.priority, asked.components[0].replicas, asked.emergency
    )
}

/// What the asker is charged for all its replicas.
fn wanted(asked: &Request) -> i64 {
    let component = &asked.components[0];
    component.per_replica.get("cpu") * component.replicas
}

/// Whether the asker has room and quota once these are gone: what each leaves behind holds so many
/// replicas, whole ones, and so does what is free.
fn is_enough(town: &Town, asked: &Request, some: &[&WorkloadKey]) -> bool {
    let each = asked.components[0].per_replica.get("cpu");
    let shape = &town.snapshot.members["a"].sketch.as_ref().unwrap().shapes[0];
    let holes = some
        .iter()
        .map(|key| town.standing[*key].places[0].charge.get("cpu"));
    let fit: i64 = holes
        .chain([shape.free.get("cpu")])
        .map(|hole| hole / each)
        .sum();
    let without: BTreeSet<&WorkloadKey> = some.iter().copied().collect();
    let used: i64 = charged(town, &without).values().sum();
    let cpu = Key::new("arm", "cpu");
    let node = town.snapshot.quotas.node("guangzhou").unwrap();
    let nominal = town.snapshot.quotas.line(node, &cpu).nominal;
    fit >= asked.components[0].replicas && used + wanted(asked) <= nominal
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whoever goes may be asked to, is enough, and can be done without by nobody; and where one or two
    /// could go, somebody does.
    #[test]
    fn victims_are_those_that_brute_force_allows((town, asked) in towns()) {
        let keys: Vec<&WorkloadKey> = town.standing.keys().collect();
        let sets: Vec<Vec<&WorkloadKey>> = (0_u32..1 << keys.len())
            .map(|bits| {
                let chosen = keys.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0);
                chosen.map(|(_, key)| *key).collect()
            })
            .collect();
        let good = |some: &Vec<&WorkloadKey>| {
            is_enough(&town, &asked, some) && may_go(&town, &asked, some)
        };
        let least = sets.iter().filter(|some| good(some)).map(Vec::len).min();
        let (found, verdicts) = town.ask(std::slice::from_ref(&asked));
        if verdicts[0].outcome.placed().is_some() {
            prop_assert_eq!(least, Some(0));
            return Ok(());
        }
        let Some(found) = found.first() else {
            // Three and more may be missed, where what a tenant owes allows some sets of them alone.
            let all = sets.iter().find(|some| good(some));
            let few = least.is_some_and(|least| least <= 2);
            prop_assert!(!few, "could have gone: {:?}; {}", all, told(&town, &asked));
            return Ok(());
        };
        let some: Vec<&WorkloadKey> = found.victims.iter().map(|of| &of.key).collect();
        prop_assert!(good(&some), "{:?}", some);
        for place in 0..some.len() {
            let mut fewer = some.clone();
            fewer.remove(place);
            prop_assert!(!is_enough(&town, &asked, &fewer), "{:?} is enough", fewer);
        }
    }

    /// Many that stand and wait, in turns of deciding, going and placing: it ends, and each time what
    /// goes is far fewer than could.
    #[test]
    fn it_ends(
        nominal in prop::array::uniform3(0_i64..6),
        asked in prop::collection::vec((0_usize..3, 0_i32..4, 1_i64..4), 1..9),
    ) {
        let mut town = Town::new(6, nominal.map(|of| of * 1000), 6000.max(nominal.iter().sum::<i64>() * 1000));
        let requests: Vec<Request> = asked
            .iter()
            .enumerate()
            .map(|(index, (tenant, priority, cores))| {
                asks(&format!("w{index}"), AGENCIES[*tenant], *priority, cores * 1000)
            })
            .collect();
        let mut went = 0_usize;
        for turn in 0.. {
            let waiting: Vec<Request> = requests
                .iter()
                .filter(|one| !town.standing.contains_key(&one.key))
                .cloned()
                .collect();
            let (found, verdicts) = town.ask(&waiting);
            let mut moved = false;
            for verdict in verdicts.iter().filter(|of| of.outcome.placed().is_some()) {
                let of = waiting.iter().find(|one| one.key == verdict.key).unwrap();
                let size = of.components[0].per_replica.get("cpu");
                town.stands(&of.key.name, &of.tenant, of.priority, size);
                moved = true;
            }
            // They go, and what is kept for the asker is taken by it alone.
            for of in &found {
                for victim in &of.victims {
                    town.goes(&victim.key);
                    went += 1;
                }
                let asker = waiting.iter().find(|one| one.key == of.key).unwrap();
                let size = asker.components[0].per_replica.get("cpu");
                town.stands(&asker.key.name, &asker.tenant, asker.priority, size);
                moved = true;
            }
            if !moved {
                break;
            }
            prop_assert!(turn < 4 * requests.len(), "no end after {} turns", turn);
        }
        prop_assert!(went <= requests.len() * requests.len(), "{} went", went);
    }
}

#[test]
fn growth_counts_what_is_held_already() {
    let mut town = Town::new(8, [6000, 2000, 0], 8000);
    town.stands("lent", "health", 0, 4000);
    // The asker stands with two of three replicas of 2 cores: all of it is within its nominal.
    town.stands("app", "civil-affairs", 0, 4000);
    let key = WorkloadKey::new("civil-affairs", "app");
    town.standing.remove(&key);
    let mut grows = asks("app", "civil-affairs", 0, 2000);
    grows.components[0].replicas = 3;
    grows.previous = vec![crate::request::Assignment {
        component: "web".to_owned(),
        member: "a".to_owned(),
        flavor: "arm".to_owned(),
        replicas: 2,
    }];
    let entry = HeldEntry {
        member: "a".to_owned(),
        component: "web".to_owned(),
        flavor: "arm".to_owned(),
        replicas: 2,
        per_replica: Resources::new().with("cpu", 2000),
        charge: Resources::new().with("cpu", 4000),
    };
    let held = Held {
        entries: vec![entry],
    };
    town.snapshot.held.insert(key, held);
    assert_eq!(town.victims(&grows), Some(vec!["lent:Borrowed".to_owned()]));
}

/// What is kept for one that waits is its own, whoever comes first, an emergency aside.
#[test]
fn nobody_takes_what_is_kept_for_another() {
    let mut town = Town::new(8, [4000, 4000, 0], 8000);
    town.stands("lent", "health", 9, 4000);
    town.stands("more", "health", 9, 4000);
    let asked = asks("app", "civil-affairs", 0, 4000);
    let (found, _) = town.ask(std::slice::from_ref(&asked));
    let [found] = &found[..] else { panic!() };
    let key = found.victims[0].key.clone();
    let was = town.goes(&key);
    let kept = BTreeMap::from([(found.key.clone(), found.reservation.clone())]);
    town.snapshot.reservations = kept;
    // Who went asks again, with its higher priority.
    let back = asks(&key.name, "health", was.priority, 4000);
    let (again, verdicts) = town.ask(std::slice::from_ref(&back));
    assert!(verdicts[0].outcome.placed().is_none());
    assert!(again.is_empty(), "{again:?}");
    // So in one batch with it; the one that it is kept for is decided first, and takes it.
    let both = [back.clone(), asked.clone()];
    let (_, verdicts) = town.ask(&both);
    assert_eq!(verdicts[0].key, asked.key);
    assert!(verdicts[0].outcome.placed().is_some());
    assert!(verdicts[1].outcome.placed().is_none());
    // An emergency comes before.
    let mut flood = asks("flood", "transport", 0, 4000);
    flood.emergency = true;
    let (_, verdicts) = town.ask(&[both[0].clone(), both[1].clone(), flood]);
    assert_eq!(verdicts[0].key.name, "flood");
    assert!(verdicts[0].outcome.placed().is_some());
    assert!(verdicts[1].outcome.placed().is_none());
}

#[test]
fn what_is_not_known_to_be_in_force_makes_nobody_owe() {
    let mut town = Town::new(10, [4000, 4000, 0], 8000);
    town.stands("stands", "health", 0, 4000);
    town.stands("comes", "health", 0, 4000);
    let asked = asks("app", "civil-affairs", 0, 4000);
    assert!(town.victims(&asked).is_some());
    // Of what is charged half is a decision that may come to nothing.
    let key = WorkloadKey::new("health", "comes");
    let comes = town.standing.get_mut(&key).unwrap();
    comes.busy = true;
    comes.places.clear();
    comes.uncommitted = Amounts::from([(Key::new("arm", "cpu"), 4000)]);
    assert_eq!(town.victims(&asked), None);
}

#[test]
fn what_goes_is_below_the_red_line_no_longer() {
    let mut town = Town::new(10, [8000, 0, 0], 8000);
    town.stands("routine", "civil-affairs", 1, 4000);
    let line = crate::snapshot::RedLine {
        percent: 50,
        allocatable: Some(10_000),
        requested: 4000,
    };
    let member = town.snapshot.member_mut("a").unwrap();
    member.red_lines.insert("cpu".to_owned(), line);
    // 6 cores are free, and 1 below the line.
    let urgent = asks("urgent", "civil-affairs", 9, 3000);
    assert_eq!(
        town.victims(&urgent),
        Some(vec!["routine:Lower".to_owned()])
    );
}
