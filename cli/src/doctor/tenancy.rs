//! Checks of tenants, quotas and what runs.

use std::collections::BTreeMap;

use heyun_crds::labels::TENANT_UID;
use heyun_crds::{Quota, Tenant, Work, Workload};
use heyun_scheduler::quantity::amount;
use kube::ResourceExt as _;

use super::{Facts, Judgement, fail, known, ok, unless_empty, untrue, warn};
use crate::view::count;

pub(super) fn tenants(facts: &Facts) -> Judgement {
    let tenants = known(&facts.tenants)?;
    let said = |tenant: &Tenant| {
        let conditions = &tenant.status.as_ref()?.conditions;
        let found = untrue(conditions, "Accepted").or_else(|| untrue(conditions, "Ready"))?;
        Some(format!(
            "{} ({}: {})",
            tenant.name_any(),
            found.reason,
            found.message
        ))
    };
    let names: Vec<String> = tenants.iter().filter_map(said).collect();
    unless_empty(&names, count(tenants.len(), "tenant"), |names| {
        fail(names, "the message says what to change in the Tenant")
    })
}

pub(super) fn namespaces(facts: &Facts) -> Judgement {
    let (tenants, namespaces) = (known(&facts.tenants)?, known(&facts.namespaces)?);
    let mut faults = Vec::new();
    for tenant in tenants {
        for name in &tenant.spec.namespaces {
            let Some(namespace) = namespaces.iter().find(|one| one.name_any() == *name) else {
                faults.push(format!("{name} of {} is missing", tenant.name_any()));
                continue;
            };
            let owner = namespace.labels().get(TENANT_UID);
            if namespace.metadata.deletion_timestamp.is_some() {
                faults.push(format!("{name} of {} is Terminating", tenant.name_any()));
            } else if owner != tenant.metadata.uid.as_ref() {
                faults.push(format!(
                    "{name} is not marked as that of {}",
                    tenant.name_any()
                ));
            }
        }
    }
    unless_empty(&faults, "all".to_owned(), |names| {
        fail(
            names,
            "kubectl describe tenant NAME; Terminating ends when every APIService is available",
        )
    })
}

pub(super) fn quotas(facts: &Facts) -> Judgement {
    let quotas = known(&facts.quotas)?;
    let said = |quota: &Quota| {
        let conditions = &quota.status.as_ref()?.conditions;
        let found = untrue(conditions, "Accepted").or_else(|| untrue(conditions, "Ready"))?;
        Some(format!(
            "{} ({}: {})",
            quota.name_any(),
            found.reason,
            found.message
        ))
    };
    let names: Vec<String> = quotas.iter().filter_map(said).collect();
    unless_empty(&names, count(quotas.len(), "quota"), |names| {
        fail(
            names,
            "the message says what to change in the Quota; the last accepted numbers count",
        )
    })
}

pub(super) fn unquoted(facts: &Facts) -> Judgement {
    let (tenants, quotas) = (known(&facts.tenants)?, known(&facts.quotas)?);
    let without = |tenant: &&Tenant| {
        let name = tenant.name_any();
        !tenant.spec.namespaces.is_empty() && !quotas.iter().any(|quota| quota.spec.tenant == name)
    };
    let names: Vec<String> = tenants
        .iter()
        .filter(without)
        .map(kube::ResourceExt::name_any)
        .collect();
    unless_empty(&names, "each".to_owned(), |names| {
        warn(
            format!("without a Quota: {names}"),
            "apply a Quota: an absent line is 0, so nothing can be placed",
        )
    })
}

pub(super) fn debt(facts: &Facts) -> Judgement {
    let mut owing = Vec::new();
    for quota in known(&facts.quotas)? {
        let lines = quota.status.iter().flat_map(|status| &status.resources);
        let debts = lines.filter(|line| amount(&line.resource, &line.debt.0).is_ok_and(|d| d > 0));
        owing.extend(debts.map(|line| {
            format!(
                "{} owes {} {} of {}",
                quota.spec.tenant, line.debt.0, line.resource, line.flavor
            )
        }));
    }
    unless_empty(&owing, "none".to_owned(), |names| {
        warn(
            names,
            "it grows no further; scale something down, or raise the quota",
        )
    })
}

pub(super) fn workloads(facts: &Facts) -> Judgement {
    let workloads = known(&facts.workloads)?;
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for workload in workloads {
        if let Some(reason) = trouble(workload) {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    let parts: Vec<String> = reasons
        .into_iter()
        .map(|(reason, number)| format!("{number} {reason}"))
        .collect();
    unless_empty(&parts, count(workloads.len(), "Workload"), |parts| {
        warn(
            parts,
            "heyun where -A shows them, heyun why NAME -n NAMESPACE explains one",
        )
    })
}

fn trouble(workload: &Workload) -> Option<String> {
    let Some(status) = &workload.status else {
        return Some("not seen by the hub".to_owned());
    };
    untrue(&status.conditions, "Ready").map(|condition| condition.reason.clone())
}

pub(super) fn works(facts: &Facts) -> Judgement {
    let works = known(&facts.works)?;
    let said = |work: &Work| {
        let conditions = &work.status.as_ref()?.conditions;
        let key = &work.spec.workload;
        untrue(conditions, "Applied").map(|c| {
            format!(
                "{}/{} ({}: {})",
                key.namespace, key.name, c.reason, c.message
            )
        })
    };
    let names: Vec<String> = works.iter().filter_map(said).collect();
    if works.is_empty() {
        return ok("none");
    }
    unless_empty(&names, count(works.len(), "Work"), |names| {
        warn(names, "heyun tree NAME -n NAMESPACE shows the objects")
    })
}
