//! What is decided of many Workloads: a line each, and what differs after a change.

use std::collections::BTreeMap;

use heyun_crds::query::Why;
use serde::Serialize;

use super::table::Grid;
use crate::args::common::{Form, Format};
use crate::error::Result;

/// Where it goes, or why nowhere.
fn place(why: &Why) -> String {
    if why.outcome != "Placed" {
        return format!("{}: {}", why.outcome, why.reason);
    }
    let mut members: BTreeMap<&str, u64> = BTreeMap::new();
    for member in why.members.iter().filter(|of| of.verdict == "chosen") {
        let replicas = member.replicas.iter().map(|part| u64::from(part.replicas));
        members.insert(&member.member, replicas.sum());
    }
    let each = members.iter().map(|(name, n)| format!("{name}:{n}"));
    each.collect::<Vec<_>>().join(", ")
}

fn name(why: &Why) -> String {
    format!("{}/{}", why.namespace, why.name)
}

fn is_placed(why: &Why) -> bool {
    why.outcome == "Placed"
}

/// A line for each answer, behind how many are placed.
pub fn table(answers: &[Why], with_headers: bool) -> String {
    let placed = answers.iter().filter(|why| is_placed(why)).count();
    let mut grid = Grid::new(&["WORKLOAD", "OUTCOME", "INPUTS"]);
    for why in answers {
        let inputs = why.inputs_hash.get(..12).unwrap_or("-");
        grid.row([name(why), place(why), inputs.to_owned()]);
    }
    let head = format!("{placed} of {} placed\n", answers.len());
    if grid.is_empty() {
        return head;
    }
    head + &grid.text(with_headers)
}

/// What is decided before and after a change.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// How many are placed before.
    pub placed_before: usize,
    /// How many are placed after.
    pub placed_after: usize,
    /// Those that differ.
    pub changed: Vec<Changed>,
    /// All answers after.
    pub items: Vec<Why>,
}

/// What differs of one Workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// The Workload, as `namespace/name`.
    pub workload: String,
    /// Where it went, or why nowhere.
    pub before: String,
    /// Where it goes.
    pub after: String,
}

impl Compared {
    /// From the answers on the same Workloads before and after.
    pub fn of(before: &[Why], after: Vec<Why>) -> Self {
        let placed = |all: &[Why]| all.iter().filter(|why| is_placed(why)).count();
        let places: BTreeMap<String, String> =
            before.iter().map(|why| (name(why), place(why))).collect();
        let changed = after.iter().filter_map(|why| {
            let (workload, after) = (name(why), place(why));
            let before = places.get(&workload).cloned().unwrap_or_default();
            (before != after).then_some(Changed {
                workload,
                before,
                after,
            })
        });
        Self {
            placed_before: placed(before),
            placed_after: placed(&after),
            changed: changed.collect(),
            items: after,
        }
    }

    /// What differs, as a table.
    pub fn table(&self, with_headers: bool) -> String {
        let all = self.items.len();
        let head = format!(
            "{} of {all} placed before, {} after; {} changed\n",
            self.placed_before,
            self.placed_after,
            self.changed.len()
        );
        let mut grid = Grid::new(&["WORKLOAD", "BEFORE", "AFTER"]);
        for one in &self.changed {
            grid.row([&one.workload, &one.before, &one.after].map(Clone::clone));
        }
        if grid.is_empty() {
            return head;
        }
        head + &grid.text(with_headers)
    }

    /// As it is asked for.
    ///
    /// # Errors
    /// None in practice: what is shown can be written.
    pub fn shown(&self, format: Format) -> Result<String> {
        Ok(match format.output {
            Form::Table | Form::Wide => self.table(format.headers()),
            Form::Json => super::json(self)?,
            Form::Yaml => super::yaml(self)?,
            Form::Name => {
                let names = self.changed.iter().map(|one| one.workload.as_str());
                names.collect::<Vec<_>>().join("\n")
            }
        })
    }
}
