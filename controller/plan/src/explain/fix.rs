//! What a Workload's owner can do about a verdict. Never that a rule be weakened: those who may
//! decide on a rule are named with the refusal.

use heyun_scheduler::quota::{Limit, Shortfall};
use heyun_scheduler::verdict::{Verdict, WorkloadReason};

/// The fix, as a part of a sentence; empty where the sentence says it already.
pub(super) fn fix(reason: &WorkloadReason, verdict: &Verdict) -> String {
    let why = format!(
        "heyun why workload/{} -n {}",
        verdict.key.name, verdict.key.namespace
    );
    match reason {
        WorkloadReason::Invalid { .. } => String::new(),
        WorkloadReason::TenantUnknown { tenant } => {
            format!("have the Tenant {tenant} created or corrected by its platform administrators")
        }
        WorkloadReason::NoMembers => {
            "it is placed when a platform administrator joins a member (heyun cluster join)".to_owned()
        }
        WorkloadReason::NoMemberFits { .. } => {
            format!("`{why}` lists every member, what would unblock it and who decides")
        }
        WorkloadReason::NoCapacity { .. } => format!(
            "it is placed when capacity is free; lower the replicas or requests, or see `{why}`"
        ),
        WorkloadReason::QuotaExceeded(shortfall) => quota(shortfall),
        WorkloadReason::Oversubscribed(shortfall) => format!(
            "others use what they are entitled to below {}: it is placed when some of it is given back",
            shortfall.binding.node
        ),
        WorkloadReason::DivisionUnsatisfiable { .. } => {
            "change the replicas, or minPerMember and maxPerMember in placement.division".to_owned()
        }
        WorkloadReason::SpreadUnsatisfiable { .. } => {
            "change the replicas or placement.spread, or set whenUnsatisfiable: ScheduleAnyway there"
                .to_owned()
        }
        WorkloadReason::ComponentsUnsatisfiable { .. } => {
            "change the replicas or requests, or type or topologyKey in placement.components".to_owned()
        }
        WorkloadReason::NoNeighbour { .. } => {
            "it is placed when one of them is; or change placement.workloads".to_owned()
        }
        WorkloadReason::DataPinned { member, .. } => {
            format!("it goes on when {member} may have it again")
        }
        WorkloadReason::SketchLabel { .. } => {
            "it goes on by itself when the members have reported it".to_owned()
        }
        WorkloadReason::Preempting { .. } => {
            "it is placed by itself when the members have confirmed that they are gone".to_owned()
        }
    }
}

fn quota(shortfall: &Shortfall) -> String {
    let (asker, at) = (&shortfall.node, &shortfall.binding.node);
    let whose = if asker == at {
        String::new()
    } else {
        format!(" (the number is {at}'s)")
    };
    match shortfall.binding.limit {
        Limit::NoLine => format!(
            "name other flavors in placement.flavors, or ask the administrators of {at} for quota of {}{whose}",
            shortfall.key.flavor
        ),
        Limit::FailoverReserve => {
            format!("lower the replicas or requests; the rest is kept for failover{whose}")
        }
        Limit::Ceiling | Limit::Nominal => format!(
            "lower the replicas or requests, free some of it, or ask the administrators of {at} for more{whose}"
        ),
    }
}
