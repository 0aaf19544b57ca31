//! Making room for others: what a Workload has to give, by what class it may ask, and what its
//! decision becomes when it gives way.

use heyun_crds::conditions::Reason;
use heyun_crds::labels::EMERGENCY_TENANTS;
use heyun_crds::workload::{Assignment, Decision, Preempted, WorkloadSpec};
use heyun_scheduler::preempt::{Place, Standing};
use heyun_scheduler::quota::{Amounts, Key};
use heyun_scheduler::request::WorkloadKey;
use heyun_scheduler::resources::Resources;
use heyun_scheduler::snapshot::Held;
use k8s_openapi::api::scheduling::v1::PriorityClass;

use crate::decide;
use crate::finished;
use crate::interpret::{ManifestError, shown};
use crate::observe::{amounts, held};
use crate::tenants::TenantTree;

/// What a PriorityClass of the hub says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Class {
    /// Its value.
    pub value: i32,
    /// Whether others may have to make room: `preemptionPolicy` is not `Never`.
    pub preempts: bool,
    /// It is for emergencies: tenants that may name it, with all below them.
    pub emergency: Option<Vec<String>>,
}

impl Class {
    /// The class of a Workload that names none: as Kubernetes has it, 0, and others may have to make
    /// room.
    pub const NONE: Self = Self {
        value: 0,
        preempts: true,
        emergency: None,
    };

    /// What a PriorityClass says.
    pub fn read(class: &PriorityClass) -> Self {
        let annotations = class.metadata.annotations.as_ref();
        let tenants = annotations.and_then(|all| all.get(EMERGENCY_TENANTS));
        let names = |list: &String| {
            let names = list.split(',').map(str::trim);
            let names = names.filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        };
        Self {
            value: class.value.unwrap_or(0),
            preempts: class.preemption_policy.as_deref() != Some("Never"),
            emergency: tenants.map(names),
        }
    }
}

/// What is wrong with the emergency that a Workload names, or does not.
///
/// An emergency class needs the number of a document, and a tenant that the platform lets name it;
/// another class goes with none.
pub fn emergency(
    spec: &WorkloadSpec,
    class: &Class,
    tenant: &str,
    tree: &TenantTree,
) -> Option<ManifestError> {
    let named = spec.priority_class_name.as_deref().unwrap_or_default();
    let Some(tenants) = &class.emergency else {
        let document = &spec.emergency.as_ref()?.document;
        return Some(ManifestError::invalid(
            "spec.emergency.document",
            format!(
                "{} goes with a priority class for emergencies, which {} is not",
                shown(document),
                shown(named)
            ),
            "name such a class in spec.priorityClassName, or leave spec.emergency out",
        ));
    };
    if spec.emergency.is_none() {
        return Some(ManifestError::invalid(
            "spec.emergency",
            format!(
                "is missing, and {} is a class for emergencies",
                shown(named)
            ),
            "give the number of the document that declares it in spec.emergency.document",
        ));
    }
    if tenants.iter().any(|outer| tree.within(outer, tenant)) {
        return None;
    }
    Some(ManifestError {
        reason: Reason::GuardrailViolated,
        place: "spec.priorityClassName".to_owned(),
        problem: format!(
            "{} is a class for emergencies, and tenant {} is none that may name it",
            shown(named),
            shown(tenant)
        ),
        fix: format!(
            "name another class; decided by: platform administrators (annotation \
             {EMERGENCY_TENANTS} of the PriorityClass)"
        ),
    })
}

/// What stands of a Workload, as one that others may have to make room for.
#[derive(Clone, Copy, Debug)]
pub struct Stands<'a> {
    /// Its decision, as far as it has one.
    pub decision: Option<&'a Decision>,
    /// The tenant that is charged.
    pub tenant: &'a str,
    /// Its class.
    pub class: &'a Class,
    /// When it was created, in seconds since 1970.
    pub created: i64,
    /// Whether its decision is rendered: of an earlier generation, of one that is suspended or not
    /// accepted any more, nothing can be brought about but that it is gone.
    pub rendered: bool,
    /// Whether all of it is going: it is being deleted.
    pub leaves: bool,
    /// Whether a write of it is under way.
    pub busy: bool,
    /// What that write will have it hold.
    pub assumed: &'a Held,
}

/// The scheduler's view of it.
pub fn standing(of: &Stands<'_>) -> Standing {
    let assigned = of.decision.into_iter().flat_map(finished::running);
    let released = of.decision.into_iter().flat_map(|d| &d.releasing);
    let assigned = assigned.map(|assignment| {
        if of.leaves {
            going(assignment)
        } else {
            stays(assignment)
        }
    });
    let places: Vec<Place> = assigned.chain(released.map(going)).collect();
    let keeps_some = places.iter().any(|place| place.keeps > 0);
    Standing {
        tenant: of.tenant.to_owned(),
        priority: of.class.value,
        emergency: of.class.emergency.is_some(),
        created: of.created,
        busy: of.busy || (!of.rendered && keeps_some),
        places,
        uncommitted: uncommitted(of),
    }
}

/// What a write that is under way charges beyond what is decided.
fn uncommitted(of: &Stands<'_>) -> Amounts {
    let decided = of.decision.map(held::places).unwrap_or_default();
    let mut sums = Amounts::new();
    for entry in &of.assumed.entries {
        let place = (
            entry.member.clone(),
            entry.component.clone(),
            entry.flavor.clone(),
        );
        let before = decided.get(&place);
        for (name, amount) in entry.charge.iter() {
            let before = before.map_or(0, |before| before.charge.get(name));
            let sum = sums.entry(Key::new(&*entry.flavor, name)).or_default();
            *sum = sum.saturating_add(amount.saturating_sub(before).max(0));
        }
    }
    sums.retain(|_, amount| *amount > 0);
    sums
}

fn stays(assignment: &Assignment) -> Place {
    Place {
        member: assignment.member.clone(),
        flavor: assignment.flavor.clone(),
        per_replica: amounts::taken(&assignment.requests),
        replicas: i64::from(assignment.replicas.max(0)),
        keeps: i64::from(assignment.keeps.max(0)),
        charge: amounts::taken(&assignment.charge),
        ..Place::default()
    }
}

fn going(assignment: &Assignment) -> Place {
    Place {
        replicas: 0,
        keeps: 0,
        charge: Resources::new(),
        going: i64::from(assignment.replicas.max(0)),
        going_charge: amounts::taken(&assignment.charge),
        ..stays(assignment)
    }
}

/// The decision of a Workload of that uid once it has made room: what it keeps, the rest released.
/// `epoch` is of the leader that will write.
///
/// Where it keeps nothing at all, nothing of it stays anywhere but the record of what has finished;
/// else the objects stay where they are.
pub fn preempted(decision: &Decision, uid: &str, told: Preempted, epoch: i64) -> Decision {
    let keeps_some = finished::running(decision).any(|of| of.keeps > 0);
    let kept = decision.assignments.iter();
    let kept = kept.filter(|of| keeps_some || of.finished.is_some());
    let mut less = Decision {
        assignments: kept.map(kept_of).collect(),
        carried_to: Vec::new(),
        epoch,
        preempted: Some(told),
        ..decision.clone()
    };
    decide::replace(&mut less, uid, Some(decision));
    less
}

fn kept_of(assignment: &Assignment) -> Assignment {
    if assignment.finished.is_some() {
        return assignment.clone();
    }
    let goes = stays(assignment);
    let freed = goes.freed();
    let rest = goes.charge.iter();
    let rest = rest.map(|(name, amount)| {
        let left = amount.saturating_sub(freed.get(name)).max(0);
        (name.to_owned(), left)
    });
    let charge: Resources = rest.filter(|(_, amount)| *amount > 0).collect();
    Assignment {
        replicas: assignment.keeps.clamp(0, assignment.replicas.max(0)),
        charge: amounts::to_map(&charge),
        ..assignment.clone()
    }
}

/// What its owner is told.
pub fn sentence(told: &Preempted) -> String {
    match (told.claim.as_str(), &told.by, &told.document) {
        ("Lower", Some(by), _) => {
            format!("made room for {by} of the same tenant, which has a higher priority")
        }
        ("Emergency", _, Some(document)) => format!("made room in an emergency: {document}"),
        ("Emergency", ..) => "made room in an emergency".to_owned(),
        _ => {
            "made room for another tenant: it ran on what its tenant had borrowed, which was taken \
              back"
                .to_owned()
        }
    }
}

/// What a victim is told by an asker of a tenant, which is named to its own alone.
pub fn told(
    victim: &heyun_scheduler::preempt::Victim,
    own_tenant: bool,
    asker: &WorkloadKey,
    document: Option<&str>,
    now: jiff::Timestamp,
) -> Preempted {
    Preempted {
        claim: victim.claim.as_str().to_owned(),
        by: own_tenant.then(|| asker.to_string()),
        document: document.map(str::to_owned),
        at: decide::rfc3339(now),
    }
}

#[cfg(test)]
mod tests;
