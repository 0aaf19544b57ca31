//! The values of topology keys as numbers, found out once for every member and again when it has
//! changed.

use std::collections::BTreeMap;

use super::Fleet;
use super::numbered::Numbered;
use crate::rules::topology;

/// The most keys that are remembered, those of one request besides; beyond it all are forgotten.
const REMEMBERED: usize = 256;

/// What members have at one key.
#[derive(Default)]
pub(crate) struct Values {
    numbers: Numbered<String>,
    /// Of each member the number of its value; `None`: it has none.
    of: Vec<Option<u32>>,
    /// How far the fleet's list of changes was read.
    read: usize,
}

impl Values {
    fn new(fleet: &Fleet, key: &str) -> Self {
        let mut values = Self {
            of: vec![None; fleet.sites.len()],
            read: fleet.changed.len(),
            ..Self::default()
        };
        for site in 0..fleet.sites.len() {
            values.look(fleet, key, site);
        }
        values
    }

    fn look(&mut self, fleet: &Fleet, key: &str, site: usize) {
        let value = fleet.sites.get(site).and_then(|of| topology(of, key));
        let number = value.map(|value| self.numbers.number(&value.to_owned()));
        if let Some(place) = self.of.get_mut(site) {
            *place = number.and_then(|number| u32::try_from(number).ok());
        }
    }

    /// The number of a member's value: the same for members with the same value.
    pub(crate) fn of(&self, site: usize) -> Option<u32> {
        self.of.get(site).copied().flatten()
    }
}

/// All of them by key.
#[derive(Default)]
pub(crate) struct Topologies(BTreeMap<String, Values>);

impl Topologies {
    /// Makes the values of keys what they are now.
    pub(crate) fn look<'k>(&mut self, fleet: &Fleet, keys: impl Iterator<Item = &'k String>) {
        // Before the first: all that are looked at now are there afterwards.
        if self.0.len() > REMEMBERED {
            self.0.clear();
        }
        for key in keys {
            let values = match self.0.get_mut(key) {
                // Values that no member has any more keep their numbers: not more than twice as many.
                Some(values) if values.numbers.all().len() / 2 <= fleet.sites.len() => values,
                _ => self
                    .0
                    .entry(key.clone())
                    .insert_entry(Values::new(fleet, key))
                    .into_mut(),
            };
            let news = fleet.changed.get(values.read..).unwrap_or_default();
            for site in news {
                values.look(fleet, key, *site);
            }
            values.read = fleet.changed.len();
        }
    }

    /// What members have at a key that was looked at.
    pub(crate) fn get(&self, key: &str) -> Option<&Values> {
        self.0.get(key)
    }
}
