//! Which chain applies to a request.

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::approval_policy::{
    ApprovalPolicySpec, ApprovalRequire, ApprovalRule, ApprovalWhen,
};
use heyun_crds::common::FlavorAmount;
use heyun_crds::tenant::AdminLevel;
use heyun_scheduler::quantity::amount;
use heyun_scheduler::quota::Key;

use crate::tenants::TenantTree;

/// Who decides on one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Policy and rule, as `policy/rule`.
    pub name: String,
    /// Stages in order; none: it is granted at once.
    pub stages: Vec<Stage>,
}

/// One stage of a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// How many must agree.
    pub require: ApprovalRequire,
    /// How many, for `KOfN`.
    pub k: usize,
    /// Users whose agreement counts; empty: whoever may.
    pub approvers: BTreeSet<String>,
}

/// What a rule asks of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The tenant that asks.
    pub tenant: String,
    /// What it asks for.
    pub amounts: BTreeMap<Key, i64>,
    /// Its nominal without any grant.
    pub nominal: BTreeMap<Key, i64>,
    /// For how many seconds.
    pub seconds: i64,
}

const DAY: i64 = 86_400;

/// The chain that applies: of the policy of the nearest tenant, the first rule that fits. `None`:
/// nobody can grant it.
pub fn chain<'a>(
    policies: impl IntoIterator<Item = (&'a String, &'a ApprovalPolicySpec)>,
    tree: &TenantTree,
    facts: &Facts,
) -> Option<Chain> {
    let lineage: Vec<&str> = tree
        .lineage(&facts.tenant)
        .map(|node| node.name.as_str())
        .collect();
    let distance = |policy: &ApprovalPolicySpec| match policy.tenant.as_deref() {
        None => Some(lineage.len()),
        Some(of) => lineage.iter().position(|name| *name == of),
    };
    let (_, name, policy) = policies
        .into_iter()
        .filter_map(|(name, policy)| Some((distance(policy)?, name, policy)))
        .min_by_key(|(distance, name, _)| (*distance, *name))?;
    let level = tree
        .lineage(&facts.tenant)
        .find_map(|node| node.admin_level);
    let rule = policy
        .rules
        .iter()
        .find(|rule| fits(&rule.when, facts, level))?;
    stages(policy, rule).map(|stages| Chain {
        name: format!("{name}/{}", rule.name),
        stages,
    })
}

/// The stages of a rule; `None`: it names one that there is not, and then it grants nothing.
fn stages(policy: &ApprovalPolicySpec, rule: &ApprovalRule) -> Option<Vec<Stage>> {
    if rule.automatic != rule.stages.is_empty() {
        return None;
    }
    let stage = |name: &String| {
        let stage = policy.stages.iter().find(|stage| stage.name == *name)?;
        Some(Stage {
            name: stage.name.clone(),
            require: stage.require,
            k: usize::try_from(stage.k.unwrap_or(1)).unwrap_or(usize::MAX),
            approvers: stage.approvers.iter().cloned().collect(),
        })
    };
    rule.stages.iter().map(stage).collect()
}

fn fits(when: &ApprovalWhen, facts: &Facts, level: Option<AdminLevel>) -> bool {
    let every = |holds: &dyn Fn(&Key, i64) -> bool| {
        facts
            .amounts
            .iter()
            .all(|(key, amount)| holds(key, *amount))
    };
    let size = when.at_most.is_empty() || every(&|key, amount| within(&when.at_most, key, amount));
    let change = when.growth_at_most_percent.is_none_or(|percent| {
        every(&|key, amount| {
            let nominal = facts.nominal.get(key).copied().unwrap_or(0);
            i128::from(amount).saturating_mul(100)
                <= i128::from(nominal).saturating_mul(i128::from(percent))
        })
    });
    let flavor = when.flavors.is_empty() || every(&|key, _| when.flavors.contains(&key.flavor));
    let level = when.levels.is_empty() || level.is_some_and(|level| when.levels.contains(&level));
    let time = when
        .days_at_most
        .is_none_or(|days| facts.seconds <= i64::from(days).saturating_mul(DAY));
    size && change && flavor && level && time
}

/// Whether one line is within a limit that stands for it. One that cannot be read limits to nothing.
fn within(limits: &[FlavorAmount], key: &Key, asked: i64) -> bool {
    let means = |limit: &&FlavorAmount| {
        limit.resource == key.resource && (limit.flavor == "*" || limit.flavor == key.flavor)
    };
    let mut of_it = limits.iter().filter(means).peekable();
    of_it.peek().is_some()
        && of_it
            .all(|limit| amount(&limit.resource, &limit.amount.0).is_ok_and(|most| asked <= most))
}
