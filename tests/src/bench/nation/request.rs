//! What the agencies ask for.

use std::collections::{BTreeMap, BTreeSet};

use heyun_scheduler::request::{
    AffinityTerm, Division, DivisionKind, DivisionSpec, LabelOp, LabelRequirement, PlacementSpec,
    SpreadConstraint, Surge, WhenUnsatisfiable,
};
use heyun_scheduler::resources::{CPU, MEMORY};
use heyun_scheduler::{Component, Member, Request, Resources, WorkloadKey};

use super::land::{Land, ROOT, Tier};
use super::member::{DEVICE, GENERAL, GPU, XINCHUANG};
use super::tenant::Agency;
use super::{GIB, NOW};
use crate::bench::random::Random;

/// Standard sizes in millicores and MiB; small ones are common.
const MILLICORES: [i64; 16] = [
    100, 150, 200, 250, 300, 400, 500, 600, 750, 1000, 1250, 1500, 2000, 2500, 3000, 4000,
];
const MEBIBYTES: [i64; 13] = [
    128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192,
];
const REPLICAS: [i64; 15] = [1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6, 8, 10, 12];
const NAMES: [&str; 3] = ["web", "api", "worker"];

/// How a request wants to be placed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// Near first, then farther away.
    Tiers,
    /// Spread over providers or zones.
    Spread,
    /// By capacity over the province.
    ByCapacity,
    /// By weight over some members.
    Weighted,
    /// All replicas on each of some members.
    Duplicated,
    /// Wherever the tenant may go, on few members.
    Anywhere,
}

impl Policy {
    fn draw(random: &mut Random) -> Self {
        match random.range(0, 99) {
            0..=49 => Self::Tiers,
            50..=64 => Self::Spread,
            65..=79 => Self::ByCapacity,
            80..=89 => Self::Weighted,
            90..=94 => Self::Duplicated,
            _ => Self::Anywhere,
        }
    }
}

/// So many requests, the oldest first, and what they ask for in all. An agency has as many as its
/// division weighs.
pub(super) fn requests(
    count: usize,
    land: &Land,
    agencies: &[Agency],
    members: &[Member],
    random: &mut Random,
) -> (Vec<Request>, Resources) {
    let mut sum = 0;
    let mut weights = Vec::with_capacity(agencies.len());
    for agency in agencies {
        sum += land.divisions[agency.division].weight;
        weights.push(sum);
    }
    let mut asker = Asker {
        land,
        members,
        random,
    };
    let mut asked = Resources::new();
    let mut requests = Vec::with_capacity(count);
    for number in 0..count {
        let drawn = asker.random.range(1, sum.max(1));
        let agency = weights.partition_point(|weight| *weight < drawn);
        let Some(agency) = agencies.get(agency) else {
            break;
        };
        let age = i64::try_from(count - number).unwrap_or(0);
        let request = asker.request(agency, number, NOW - age);
        asked.saturating_add_assign(&asks(&request));
        requests.push(request);
    }
    (requests, asked)
}

/// What a request takes of the members, all copies counted.
pub(super) fn asks(request: &Request) -> Resources {
    let placement = &request.placement;
    let named = placement.affinity.first().map_or(1, |of| of.members.len());
    let copies = match placement.division.kind {
        DivisionKind::Duplicated => i64::try_from(named).unwrap_or(1).max(1),
        _ => 1,
    };
    let mut asked = Resources::new();
    for component in &request.components {
        let copies = match component.division {
            Division::Divided => copies,
            _ => 1,
        };
        let replicas = component.replicas * copies;
        asked.saturating_add_assign(&component.per_replica.saturating_mul(replicas));
    }
    asked
}

struct Asker<'a> {
    land: &'a Land,
    members: &'a [Member],
    random: &'a mut Random,
}

impl Asker<'_> {
    fn request(&mut self, agency: &Agency, number: usize, created: i64) -> Request {
        let policy = Policy::draw(self.random);
        // Not every prefecture has devices.
        let narrow = self.land.divisions[agency.scope].tier == Tier::City;
        let with_devices = policy == Policy::Anywhere && !narrow && self.random.percent(20);
        let components = if with_devices {
            vec![self.trainer()]
        } else {
            self.components()
        };
        let mut placement = self.placement(agency, policy);
        if with_devices {
            placement.flavors = vec![GPU.to_owned()];
        } else if self.random.percent(10) {
            placement.flavors = [XINCHUANG, GENERAL].map(str::to_owned).into();
        }
        let stateful = components
            .iter()
            .any(|of| of.division == Division::OneMember);
        let mut apis = vec!["v1/Service", "apps/v1/Deployment"];
        let mut classes = vec!["ingress/default"];
        if stateful {
            apis.push("apps/v1/StatefulSet");
            classes.push("storage/standard");
        }
        let priority = match self.random.range(0, 99) {
            0..=69 => 0,
            70..=94 => 100,
            _ => 1000,
        };
        Request {
            key: WorkloadKey::new(agency.name.clone(), format!("w{number:06}")),
            uid: format!("uid-{number:06}"),
            generation: 1,
            tenant: agency.name.clone(),
            created,
            priority,
            components,
            placement,
            required_apis: apis.into_iter().map(str::to_owned).collect(),
            required_classes: classes.into_iter().map(str::to_owned).collect(),
            ..Request::default()
        }
    }

    /// One to three components. Most are Deployments, which divide and may surge.
    fn components(&mut self) -> Vec<Component> {
        let count = self.random.one_of(&[1, 1, 1, 1, 1, 1, 2, 2, 2, 3]);
        let names = NAMES.iter().take(count).enumerate();
        names
            .map(|(index, name)| {
                let single = self.random.percent(if index == 0 { 8 } else { 25 });
                let (kind, division, surge) = if single {
                    ("StatefulSet", Division::OneMember, Surge::Absolute(0))
                } else {
                    ("Deployment", Division::Divided, Surge::Percent(25))
                };
                let replicas: &[i64] = if single { &[1, 1, 1, 2, 3] } else { &REPLICAS };
                let (per_replica, architectures) = self.size();
                Component {
                    name: format!("{kind}/{name}"),
                    replicas: self.random.one_of(replicas),
                    surge,
                    per_replica,
                    architectures,
                    division,
                    ..Component::default()
                }
            })
            .collect()
    }

    /// One of about 170 sizes. Images of some run on one architecture, as the size tells: two
    /// components of a size are alike.
    fn size(&mut self) -> (Resources, BTreeSet<String>) {
        let length = MILLICORES.len();
        let cpu = self.random.index(length).min(self.random.index(length));
        let memory = cpu * 4 / 5 + self.random.between(0, 14);
        let memory = memory.saturating_sub(6).min(MEBIBYTES.len() - 1);
        let per_replica = Resources::new()
            .with(CPU, MILLICORES[cpu])
            .with(MEMORY, MEBIBYTES[memory] << 20);
        let architectures: &[&str] = match (cpu + memory) % 4 {
            0 => &["amd64"],
            1 => &["amd64", "arm64"],
            _ => &[],
        };
        let architectures = architectures.iter().map(|arch| (*arch).to_owned());
        (per_replica, architectures.collect())
    }

    /// A component of one or two replicas with a device each.
    fn trainer(&mut self) -> Component {
        let cpu = self.random.one_of(&[2000, 4000]);
        Component {
            name: "Deployment/train".to_owned(),
            replicas: self.random.range(1, 2),
            per_replica: Resources::new()
                .with(CPU, cpu)
                .with(MEMORY, 8 * GIB)
                .with(DEVICE, 1),
            architectures: BTreeSet::from(["amd64".to_owned()]),
            ..Component::default()
        }
    }

    fn placement(&mut self, agency: &Agency, policy: Policy) -> PlacementSpec {
        let mut placement = PlacementSpec::default();
        match policy {
            Policy::Anywhere => {}
            Policy::Tiers => placement.affinity = self.terms(agency),
            Policy::Spread => placement.spread = vec![self.spread()],
            Policy::ByCapacity => {
                let province = self.land.province(agency.division);
                placement.affinity = vec![self.ground("province", province)];
                placement.division = DivisionSpec {
                    kind: DivisionKind::ByCapacity,
                    min_per_member: Some(1),
                    ..DivisionSpec::default()
                };
            }
            Policy::Weighted => {
                let names = self.named(agency, 4).into_iter();
                let weights: BTreeMap<String, u32> = names
                    .map(|name| (name, self.random.one_of(&[1, 2, 3])))
                    .collect();
                placement.division = DivisionSpec {
                    kind: DivisionKind::Weighted,
                    weights,
                    ..DivisionSpec::default()
                };
            }
            Policy::Duplicated => {
                placement.affinity = vec![AffinityTerm {
                    name: "named".to_owned(),
                    members: self.named(agency, 3),
                    ..AffinityTerm::default()
                }];
                placement.division.kind = DivisionKind::Duplicated;
            }
        }
        placement
    }

    fn spread(&mut self) -> SpreadConstraint {
        let key = self.random.one_of(&["provider", "provider", "zone"]);
        let soft = self.random.index(3) == 0;
        SpreadConstraint {
            topology_key: key.to_owned(),
            max_skew: Some(self.random.range(1, 2)),
            when_unsatisfiable: if soft {
                WhenUnsatisfiable::ScheduleAnyway
            } else {
                WhenUnsatisfiable::DoNotSchedule
            },
            ..SpreadConstraint::default()
        }
    }

    /// The members of the own division, then all of the prefecture, then all of the province. Where
    /// no division is below a province: the large members, then all.
    fn terms(&self, agency: &Agency) -> Vec<AffinityTerm> {
        let (land, own) = (self.land, agency.division);
        let province = self.ground("province", land.province(own));
        if land.flat {
            let tiers = [Tier::Province, Tier::City].map(|tier| tier.label().to_owned());
            let large = AffinityTerm {
                name: "large".to_owned(),
                labels: vec![LabelRequirement {
                    key: "tier".to_owned(),
                    op: LabelOp::In,
                    values: tiers.into(),
                }],
                ..province.clone()
            };
            return vec![large, province];
        }
        let mut terms = vec![AffinityTerm {
            name: "own".to_owned(),
            owners: BTreeSet::from([land.name(own)]),
            ..AffinityTerm::default()
        }];
        let city = land.at(own, Tier::City);
        terms.extend(city.map(|city| self.ground("city", city)));
        terms.push(province);
        terms
    }

    /// All members on the ground of a division.
    fn ground(&self, name: &str, division: usize) -> AffinityTerm {
        AffinityTerm {
            name: name.to_owned(),
            regions: BTreeSet::from([self.land.name(division)]),
            ..AffinityTerm::default()
        }
    }

    /// Two to `most` draws of members that suit an agency, near it; at least one.
    fn named(&mut self, agency: &Agency, most: usize) -> BTreeSet<String> {
        let area = match agency.scope {
            ROOT => self.land.province(agency.division),
            scope => scope,
        };
        let members = &self.members[self.land.divisions[area].members.clone()];
        let mut names = BTreeSet::new();
        if members.is_empty() {
            return names;
        }
        for _ in 0..self.random.between(2, most) {
            let member = &members[self.random.index(members.len())];
            if agency.suits(member) {
                names.insert(member.name.clone());
            }
        }
        if names.is_empty() {
            let suiting = members.iter().find(|member| agency.suits(member));
            let any = suiting.or(members.first());
            names.extend(any.map(|member| member.name.clone()));
        }
        names
    }
}
