//! Who makes room for whom: workloads that stand, for one that waits.
//!
//! A workload that waits may have others make room when its priority class allows it. Who may be
//! asked to is a matter of rights, and each that may has one of three [`Claim`]s against it:
//!
//! | claim | who | why |
//! |---|---|---|
//! | [`Claim::Borrowed`] | of another tenant, whatever its priority | its branch is charged above its nominal, and the asker's stays within its own: what was lent is taken back |
//! | [`Claim::Lower`] | of the same tenant, of lower priority | the tenant's own order |
//! | [`Claim::Emergency`] | of anyone, no emergency itself, of lower priority | the asker's class is one for emergencies |
//!
//! Nobody goes below what it keeps (a PodDisruptionBudget's floor, data that does not move), and what is
//! already going counts as going: nobody is asked twice. Of the ways that are found to make enough
//! room the one with the weakest claims needed, then the lowest priorities, then the fewest victims is
//! taken; it has no victim that it could do without. One that needs one or two is always found. Of
//! larger ones some are missed: which may go together when a tenant owes less than all of them is a
//! knapsack.
//!
//! Why it ends: after a victim of [`Claim::Borrowed`] the asker's branch does not borrow, so the
//! victim's has no such claim against the asker while that holds; and the other two claims go strictly
//! downwards in priority. A victim that waits again can take what is idle, or what another owes to its
//! branch, and no more.

mod ground;
mod rights;
mod search;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::quota::Amounts;
use crate::request::{Request, WorkloadKey};
use crate::resources::Resources;
use crate::snapshot::{InFlight, Snapshot};
use crate::verdict::{Outcome, Verdict, WorkloadReason};

use ground::Ground;

/// The most workloads of one batch for which others make room; the rest waits for the next.
const ASKERS: usize = 32;

/// A workload that holds something, as one that others may have to make room for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Standing {
    /// The tenant that is charged.
    pub tenant: String,
    /// Its priority.
    pub priority: i32,
    /// Whether its priority class is one for emergencies.
    pub emergency: bool,
    /// When it was created, in seconds since 1970: of two alike the younger goes.
    pub created: i64,
    /// Whether its decision may not be touched now: a write of it is under way, or it is of an
    /// earlier generation of which something is to be kept. What is going of it counts all the same.
    pub busy: bool,
    /// What it holds, one place per (member, component, flavor).
    pub places: Vec<Place>,
    /// What it is charged by a decision that is not known to be in force: nobody goes for that.
    pub uncommitted: Amounts,
}

impl Standing {
    /// The places of which something may go.
    pub(crate) fn spare_places(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(|place| place.spare() > 0)
    }
}

/// What a workload holds in one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Place {
    /// The member.
    pub member: String,
    /// The flavor.
    pub flavor: String,
    /// What one replica requests.
    pub per_replica: Resources,
    /// Replicas that are decided.
    pub replicas: i64,
    /// Of these, replicas that are never taken for others.
    pub keeps: i64,
    /// What is charged for those that are decided.
    pub charge: Resources,
    /// Replicas that are already going, and not confirmed as gone.
    pub going: i64,
    /// What is charged for those.
    pub going_charge: Resources,
}

impl Place {
    /// Replicas that may go.
    pub fn spare(&self) -> i64 {
        self.replicas.saturating_sub(self.keeps.max(0)).max(0)
    }

    /// What is charged no more once the spare replicas are gone: all of it where nothing stays, else
    /// their requests; the surge of what stays is charged on.
    pub fn freed(&self) -> Resources {
        if self.spare() == self.replicas {
            return self.charge.clone();
        }
        let each = self.per_replica.saturating_mul(self.spare());
        let amounts = each.iter();
        amounts
            .map(|(name, amount)| (name.to_owned(), amount.min(self.charge.get(name)).max(0)))
            .filter(|(_, amount)| *amount > 0)
            .collect()
    }
}

/// By what right a workload makes room for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Claim {
    /// It runs on what its tenant borrowed.
    Borrowed,
    /// It is of the same tenant and of lower priority.
    Lower,
    /// There is an emergency.
    Emergency,
}

impl Claim {
    /// The name in PascalCase.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Borrowed => "Borrowed",
            Self::Lower => "Lower",
            Self::Emergency => "Emergency",
        }
    }
}

/// A workload that makes room: all of its spare replicas go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Victim {
    /// The workload.
    pub key: WorkloadKey,
    /// By what right.
    pub claim: Claim,
}

/// What is kept for a workload that waits for others to go: nobody after it takes that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Reservation {
    /// Its tenant.
    pub tenant: String,
    /// Its priority: of two such the higher goes first.
    pub priority: i32,
    /// Whether it is an emergency.
    pub emergency: bool,
    /// Room that it will take.
    pub room: Vec<Room>,
    /// By how much its tenant's charge will grow.
    pub increase: Amounts,
}

/// Room for replicas on one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Room {
    /// The member.
    pub member: String,
    /// The flavor, what each replica requests, and how many there are.
    #[serde(flatten)]
    pub replicas: InFlight,
}

/// Who makes room for one that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preemption {
    /// The workload that waits.
    pub key: WorkloadKey,
    /// Who makes room now, by name; nobody where enough is already going.
    pub victims: Vec<Victim>,
    /// What is kept for it meanwhile.
    pub reservation: Reservation,
}

/// Finds who makes room for those of a batch that wait, in the order of the verdicts, and says so in
/// their verdicts.
///
/// `snapshot` is what the batch was decided on, `verdicts` are of all of its `requests`, `standing` is
/// everyone who holds something. With `standing` empty nobody makes room for anyone. Besides, those that
/// it did not come to, since it asks for so many at once and no more: they are to be decided again soon,
/// whatever happens.
pub fn preempt(
    snapshot: &Snapshot,
    requests: &[Request],
    verdicts: &mut [Verdict],
    standing: &BTreeMap<WorkloadKey, Standing>,
    config: &Config,
) -> (Vec<Preemption>, Vec<WorkloadKey>) {
    let asking = short(requests, verdicts).filter(|(_, request)| rights::any(standing, request));
    let asking: Vec<(usize, &Request)> = asking.collect();
    let (asked, unasked) = asking.split_at(asking.len().min(ASKERS));
    let mut found = Vec::new();
    let mut ground: Option<Ground<'_>> = None;
    for (place, request) in asked {
        let ground = ground
            .get_or_insert_with(|| Ground::new(snapshot, requests, verdicts, standing, config));
        let Some((victims, placed)) = search::victims(ground, request) else {
            continue;
        };
        let room = ground.settle(request, &victims, &placed);
        let reason = reason(request, &victims, standing);
        if let Some(verdict) = verdicts.get_mut(*place) {
            verdict.outcome = Outcome::Waiting(reason);
        }
        found.push(Preemption {
            key: request.key.clone(),
            victims,
            reservation: Reservation {
                tenant: request.tenant.clone(),
                priority: request.priority,
                emergency: request.emergency,
                room,
                increase: placed.increase,
            },
        });
    }
    let unasked = unasked.iter().map(|(_, request)| request.key.clone());
    (found, unasked.collect())
}

/// Whether any of a batch waits for what others have and may have them go: [`preempt`] would find
/// nothing for the rest.
pub fn is_wanted(requests: &[Request], verdicts: &[Verdict]) -> bool {
    short(requests, verdicts).next().is_some()
}

/// Those of a batch that wait for what others have and may have them go, with the places of their
/// verdicts.
fn short<'r>(
    requests: &'r [Request],
    verdicts: &[Verdict],
) -> impl Iterator<Item = (usize, &'r Request)> {
    let by_key: BTreeMap<&WorkloadKey, &'r Request> =
        requests.iter().map(|one| (&one.key, one)).collect();
    let each = verdicts.iter().enumerate();
    each.filter_map(move |(place, verdict)| {
        let request = *by_key.get(&verdict.key)?;
        (request.preempts && is_short(verdict)).then_some((place, request))
    })
}

/// Whether what a verdict waits for is room or quota, which others may have.
pub(crate) fn is_short(verdict: &Verdict) -> bool {
    let Outcome::Waiting(reason) = &verdict.outcome else {
        return false;
    };
    match reason {
        WorkloadReason::NoCapacity { .. }
        | WorkloadReason::NoMemberFits { .. }
        | WorkloadReason::QuotaExceeded(_)
        | WorkloadReason::Oversubscribed(_)
        | WorkloadReason::DivisionUnsatisfiable { .. }
        | WorkloadReason::SpreadUnsatisfiable { .. }
        | WorkloadReason::ComponentsUnsatisfiable { .. } => true,
        WorkloadReason::Invalid { .. }
        | WorkloadReason::TenantUnknown { .. }
        | WorkloadReason::NoMembers
        | WorkloadReason::DataPinned { .. }
        | WorkloadReason::Preempting { .. }
        | WorkloadReason::NoNeighbour { .. }
        | WorkloadReason::SketchLabel { .. } => false,
    }
}

/// What the asker is told: names of its own tenant, of others how many.
fn reason(
    request: &Request,
    victims: &[Victim],
    standing: &BTreeMap<WorkloadKey, Standing>,
) -> WorkloadReason {
    let is_own = |victim: &&Victim| {
        let of = standing.get(&victim.key);
        of.is_some_and(|of| of.tenant == request.tenant)
    };
    let own: BTreeSet<String> = victims
        .iter()
        .filter(is_own)
        .map(|victim| victim.key.to_string())
        .collect();
    let others = victims.len().saturating_sub(own.len());
    WorkloadReason::Preempting {
        own,
        others: u32::try_from(others).unwrap_or(u32::MAX),
    }
}
