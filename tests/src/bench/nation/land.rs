//! The divisions of the country, each below its province.

use std::ops::Range;

use heyun_scheduler::Member;
use heyun_scheduler::snapshot::Level;

use super::member::nodes;
use crate::bench::random::{Random, deal};

/// The index of the country itself.
pub(super) const ROOT: usize = 0;

const PROVINCES: usize = 31;
/// How many of them, the first ones, have counties and no prefectures.
const MUNICIPALITIES: usize = 4;
const PREFECTURES: usize = 333;
const COUNTIES: usize = 2844;

/// How high a division stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    /// All of it.
    Country,
    /// A province, or a municipality of that rank.
    Province,
    /// A prefecture.
    City,
    /// A county.
    County,
}

impl Tier {
    /// Its level of government.
    pub(super) fn level(self) -> Level {
        match self {
            Self::Country => Level::National,
            Self::Province => Level::Provincial,
            Self::City => Level::Prefectural,
            Self::County => Level::County,
        }
    }

    /// The value of the label `tier`.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Country => "country",
            Self::Province => "province",
            Self::City => "city",
            Self::County => "county",
        }
    }
}

/// A part of the country.
pub(super) struct Division {
    /// The name of its tenant, such as `p07-c03-x11`.
    pub(super) name: String,
    /// How high it stands.
    pub(super) tier: Tier,
    /// What it is a part of.
    pub(super) parent: Option<usize>,
    /// How many members it has itself.
    pub(super) own: usize,
    /// The members of it and of all below it, as indices; its own are the first.
    pub(super) members: Range<usize>,
    /// How much its agencies ask for, compared with others.
    pub(super) weight: i64,
}

/// The divisions. One stands before those below it, and these stand together.
pub(super) struct Land {
    /// The country first.
    pub(super) divisions: Vec<Division>,
    /// No division is below a province, and the country has agencies of its own.
    pub(super) flat: bool,
}

impl Land {
    fn new(flat: bool) -> Self {
        let mut land = Self {
            divisions: Vec::new(),
            flat,
        };
        land.push("cn".to_owned(), Tier::Country, None, 0);
        land
    }

    fn push(&mut self, name: String, tier: Tier, parent: Option<usize>, own: usize) -> usize {
        self.divisions.push(Division {
            name,
            tier,
            parent,
            own,
            members: 0..0,
            weight: 0,
        });
        self.divisions.len() - 1
    }

    /// Adds a division with one member.
    fn add(&mut self, parent: usize, tier: Tier, letter: char, number: usize) -> usize {
        let above = &self.divisions[parent].name;
        let name = format!("{above}-{letter}{number:02}");
        self.push(name, tier, Some(parent), 1)
    }

    fn add_counties(&mut self, parent: usize, count: usize) {
        for number in 1..=count {
            self.add(parent, Tier::County, 'x', number);
        }
    }

    /// Counts the members of each division, in the order of the divisions.
    fn counted(mut self) -> Self {
        let mut start = 0;
        for division in &mut self.divisions {
            division.members = start..start + division.own;
            start += division.own;
        }
        for index in (1..self.divisions.len()).rev() {
            let end = self.divisions[index].members.end;
            if let Some(parent) = self.divisions[index].parent {
                let above = &mut self.divisions[parent].members;
                above.end = above.end.max(end);
            }
        }
        self
    }

    /// Weighs each division by the nodes of its own members, so that each asks for about as much as
    /// it has. Agencies of the country, where there are some, ask for as much as all others.
    pub(super) fn weigh(&mut self, members: &[Member]) {
        for division in &mut self.divisions {
            let own = members[division.members.clone()].iter().take(division.own);
            division.weight = own.map(nodes).sum();
        }
        if self.flat {
            self.divisions[ROOT].weight = members.iter().map(nodes).sum();
        }
    }

    /// The division of a tier that a division is or lies in.
    pub(super) fn at(&self, division: usize, tier: Tier) -> Option<usize> {
        let mut at = division;
        while self.divisions[at].tier != tier {
            at = self.divisions[at].parent?;
        }
        Some(at)
    }

    /// The province of a division; of the country, the country.
    pub(super) fn province(&self, division: usize) -> usize {
        self.at(division, Tier::Province).unwrap_or(ROOT)
    }

    /// The name of a division.
    pub(super) fn name(&self, division: usize) -> String {
        self.divisions[division].name.clone()
    }
}

fn province(number: usize) -> String {
    format!("p{:02}", number + 1)
}

/// All divisions of China, dealt unevenly: 31 provinces, 333 prefectures, 2,844 counties. Some
/// provinces have counties of their own, municipalities have no others.
pub(super) fn country(random: &mut Random) -> Land {
    let mut weights = vec![0; MUNICIPALITIES];
    weights.extend((MUNICIPALITIES..PROVINCES).map(|_| random.between(40, 160)));
    let cities = deal(PREFECTURES, &weights);
    let mut weights = Vec::with_capacity(PROVINCES + PREFECTURES);
    for (number, cities) in cities.iter().enumerate() {
        weights.push(if number < MUNICIPALITIES {
            random.between(200, 450)
        } else if random.percent(20) {
            random.between(30, 80)
        } else {
            0
        });
        weights.extend((0..*cities).map(|_| random.between(40, 160)));
    }
    let mut counties = deal(COUNTIES, &weights).into_iter();
    let mut land = Land::new(false);
    for (number, cities) in cities.into_iter().enumerate() {
        let province = land.push(province(number), Tier::Province, Some(ROOT), 1);
        let direct = counties.next().unwrap_or(0);
        for city in 1..=cities {
            let city = land.add(province, Tier::City, 'c', city);
            land.add_counties(city, counties.next().unwrap_or(0));
        }
        land.add_counties(province, direct);
    }
    land.counted()
}

/// 31 provinces with so many members in all, as many in each as can be.
pub(super) fn fleet(members: usize) -> Land {
    let mut land = Land::new(true);
    for number in 0..PROVINCES {
        let own = members / PROVINCES + usize::from(number < members % PROVINCES);
        land.push(province(number), Tier::Province, Some(ROOT), own);
    }
    land.counted()
}

/// So many provinces, in each so many cities, in each of these so many counties with a member each.
pub(super) fn grid([provinces, cities, counties]: [usize; 3]) -> Land {
    let mut land = Land::new(false);
    for number in 0..provinces {
        let province = land.push(province(number), Tier::Province, Some(ROOT), 0);
        for number in 1..=cities {
            let city = land.add(province, Tier::City, 'c', number);
            land.divisions[city].own = 0;
            land.add_counties(city, counties);
        }
    }
    land.counted()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_deals_all_divisions() {
        for seed in 0..20 {
            let land = country(&mut Random::new(seed));
            let tier = |tier: Tier| land.divisions.iter().filter(|of| of.tier == tier).count();
            assert_eq!(tier(Tier::Province), PROVINCES);
            assert_eq!(tier(Tier::City), PREFECTURES);
            assert_eq!(tier(Tier::County), COUNTIES);
            let below = land.divisions.iter().filter(|of| of.tier == Tier::City);
            let least = below.map(|of| of.members.len()).min();
            assert!(least > Some(2), "{least:?}");
        }
    }

    #[test]
    fn a_division_has_the_members_of_all_below_it() {
        let land = country(&mut Random::new(1));
        assert_eq!(land.divisions[ROOT].members, 0..3208);
        for (index, division) in land.divisions.iter().enumerate().skip(1) {
            assert_eq!(division.members.start, index - 1);
            let parent = division.parent.unwrap();
            let above = &land.divisions[parent].members;
            assert!(above.start <= division.members.start);
            assert!(division.members.end <= above.end);
            assert!(land.at(index, Tier::Province).is_some());
        }
        let fleet = fleet(33);
        let own: Vec<usize> = fleet.divisions.iter().map(|of| of.own).take(4).collect();
        assert_eq!(own, [0, 2, 2, 1]);
        assert_eq!(fleet.divisions[2].members, 2..4);
    }
}
