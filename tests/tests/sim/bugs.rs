//! Bugs sown on purpose: the simulation finds each.

use heyun_hub::seeded::Bug;

use super::run::{Kind, simulate};

/// All that can be sown, by the names that `HEYUN_SIM_BUG` takes, with the seeds to look among from
/// the one on that found it last.
const BUGS: [(&str, Bug, Kind, u64); 21] = [
    ("Fence", Bug::Fence, Kind::Free, 164),
    ("Relist", Bug::Relist, Kind::Takeover, 36),
    ("Precondition", Bug::Precondition, Kind::Free, 86),
    ("Lost", Bug::Lost, Kind::Free, 43),
    ("Assumed", Bug::Assumed, Kind::Free, 3),
    ("Twice", Bug::Twice, Kind::Free, 0),
    ("Releasing", Bug::Releasing, Kind::Free, 0),
    ("Tenant", Bug::Tenant, Kind::Free, 2),
    ("Order", Bug::Order, Kind::Free, 0),
    ("Retire", Bug::Retire, Kind::Free, 8),
    ("LastCopy", Bug::LastCopy, Kind::Free, 59),
    ("Quota", Bug::Quota, Kind::Shrink, 78),
    ("Unblock", Bug::Unblock, Kind::Free, 133),
    ("Said", Bug::Said, Kind::Free, 200),
    ("Uphold", Bug::Uphold, Kind::Free, 409),
    ("Reserve", Bug::Reserve, Kind::Preempt, 165),
    ("Budget", Bug::Budget, Kind::Preempt, 7),
    ("Finished", Bug::Finished, Kind::Jobs, 0),
    ("Anew", Bug::Anew, Kind::Jobs, 47),
    ("Above", Bug::Above, Kind::Preempt, 47),
    ("Unkept", Bug::Unkept, Kind::Preempt, 4809),
];
/// Most seeds that are looked at for one bug.
const SEEDS: u64 = 200;

/// The bug that the environment names, for a replay.
pub(crate) fn named() -> Option<Bug> {
    let name = std::env::var("HEYUN_SIM_BUG").ok()?;
    let bug = BUGS.iter().find(|(known, ..)| *known == name);
    Some(
        bug.unwrap_or_else(|| panic!("HEYUN_SIM_BUG={name}: no such bug"))
            .1,
    )
}

#[test]
fn every_bug_that_is_sown_is_found() {
    let mut missed = Vec::new();
    for (name, bug, kind, first) in BUGS {
        let found = (first..first + SEEDS).find_map(|seed| {
            let ran = simulate(kind, seed, Some(bug));
            ran.violations.first().cloned().map(|said| (seed, said))
        });
        match found {
            Some((seed, said)) => {
                println!("{name}: {kind:?} seed {seed}: {said}");
                let sound = simulate(kind, seed, None);
                let said = sound.violations;
                assert!(
                    said.is_empty(),
                    "{kind:?} seed {seed} breaks without {name}: {said:?}"
                );
            }
            None => missed.push(name),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
