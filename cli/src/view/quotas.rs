//! `heyun quota tree`: one tree for each flavor and resource.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use heyun_crds::quota::{QuotaLine, QuotaUse};
use heyun_crds::{Quota, Tenant};
use heyun_scheduler::quantity::amount;
use serde::Serialize;

use super::NONE;
use super::branch::{Branch, flatten};
use super::table::Grid;
use super::tenants::Family;

/// Cells of a full bar.
const BAR: i128 = 10;

/// What is shown.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only this tenant and what is below it.
    pub root: Option<String>,
    /// Only this resource; `None`: all.
    pub resource: Option<String>,
    /// Only this flavor; `None`: all.
    pub flavor: Option<String>,
}

/// One tenant in one tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Flavor of the tree.
    pub flavor: String,
    /// Resource of the tree.
    pub resource: String,
    /// The tenant.
    pub tenant: String,
    /// Its parent in the tree that is shown; empty at the top.
    pub parent: String,
    /// What it is granted; empty without a line.
    pub nominal: String,
    /// What it uses with all below it.
    pub used: String,
    /// Used of nominal, in percent.
    pub percent: Option<i64>,
    /// What it borrows, lends, owes, and what is pending, where that is not 0.
    pub notes: Vec<String>,
    #[serde(skip)]
    before: String,
}

/// The rows of every tree, tree by tree, from the top down.
pub fn rows(quotas: &[Quota], tenants: &[Tenant], wanted: &Wanted) -> Vec<Row> {
    let by_tenant: BTreeMap<&str, &Quota> = quotas
        .iter()
        .map(|quota| (quota.spec.tenant.as_str(), quota))
        .collect();
    let is_wanted = |filter: &Option<String>, value: &str| {
        filter.as_deref().is_none_or(|filter| filter == value)
    };
    let keys: BTreeSet<(&str, &str)> = quotas
        .iter()
        .flat_map(lines)
        .map(|line| (line.flavor.as_str(), line.resource.as_str()))
        .filter(|(flavor, resource)| {
            is_wanted(&wanted.flavor, flavor) && is_wanted(&wanted.resource, resource)
        })
        .collect();
    let family = Family::new(tenants);
    let mut rows = Vec::new();
    for key in keys {
        for tree in family.trees(wanted.root.as_deref()) {
            let Some(tree) = with_lines(&tree, &by_tenant, key) else {
                continue;
            };
            let parents = parents(&tree);
            for (before, tenant) in flatten(std::slice::from_ref(&tree)) {
                let parent = parents.get(tenant).copied().unwrap_or_default();
                rows.push(row(
                    tenant,
                    parent,
                    by_tenant.get(tenant).copied(),
                    key,
                    before,
                ));
            }
        }
    }
    rows
}

/// The part of a tree that has a line of this key, with what is above it.
fn with_lines<'a>(
    tree: &Branch<&'a Tenant>,
    quotas: &BTreeMap<&str, &Quota>,
    key: (&str, &str),
) -> Option<Branch<&'a str>> {
    let children: Vec<Branch<&str>> = tree
        .children
        .iter()
        .filter_map(|child| with_lines(child, quotas, key))
        .collect();
    let name = tree.value.metadata.name.as_deref()?;
    let own = quotas
        .get(name)
        .is_some_and(|quota| line(quota, key).is_some());
    (own || !children.is_empty()).then_some(Branch {
        value: name,
        children,
    })
}

fn parents<'a>(tree: &Branch<&'a str>) -> BTreeMap<&'a str, &'a str> {
    let mut all = BTreeMap::new();
    for child in &tree.children {
        all.insert(child.value, tree.value);
        all.extend(parents(child));
    }
    all
}

/// The numbers that count, or, until any do, those that are wished for.
fn lines(quota: &Quota) -> &[QuotaLine] {
    quota
        .effective()
        .map_or(&quota.spec.resources, |effective| &effective.resources)
}

fn line<'q>(quota: &'q Quota, key: (&str, &str)) -> Option<&'q QuotaLine> {
    lines(quota)
        .iter()
        .find(|line| (line.flavor.as_str(), line.resource.as_str()) == key)
}

fn row(
    tenant: &str,
    parent: &str,
    quota: Option<&Quota>,
    key: (&str, &str),
    before: String,
) -> Row {
    let line = quota.and_then(|quota| line(quota, key));
    let uses = quota
        .and_then(|quota| quota.status.as_ref())
        .map_or(&[][..], |s| &s.resources);
    let found = uses
        .iter()
        .find(|one| (one.flavor.as_str(), one.resource.as_str()) == key);
    let nominal = line.map(|line| line.nominal.0.clone()).unwrap_or_default();
    let used = found.map(|one| one.used.0.clone()).unwrap_or_default();
    Row {
        flavor: key.0.to_owned(),
        resource: key.1.to_owned(),
        tenant: tenant.to_owned(),
        parent: parent.to_owned(),
        percent: percent(key.1, &used, &nominal),
        nominal,
        used,
        notes: found.map(|one| notes(key.1, one)).unwrap_or_default(),
        before,
    }
}

fn percent(resource: &str, used: &str, nominal: &str) -> Option<i64> {
    let used = i128::from(amount(resource, used).ok()?);
    let nominal = i128::from(amount(resource, nominal).ok()?);
    if nominal == 0 {
        return None;
    }
    i64::try_from(used * 100 / nominal).ok()
}

fn notes(resource: &str, found: &QuotaUse) -> Vec<String> {
    [
        ("borrows", &found.borrowed),
        ("lends", &found.lent),
        ("owes", &found.debt),
        ("pending", &found.pending),
    ]
    .into_iter()
    .filter(|(_, quantity)| amount(resource, &quantity.0).is_ok_and(|amount| amount != 0))
    .map(|(what, quantity)| format!("{what} {}", quantity.0))
    .collect()
}

/// The trees, each under a line that names flavor and resource.
pub fn text(rows: &[Row], with_headers: bool) -> String {
    let mut text = String::new();
    for tree in rows.chunk_by(|a, b| (&a.flavor, &a.resource) == (&b.flavor, &b.resource)) {
        if !text.is_empty() {
            text.push('\n');
        }
        let Some(first) = tree.first() else { continue };
        let _ = writeln!(text, "{} {}", first.flavor, first.resource);
        let mut grid = Grid::new(&["TENANT", "NOMINAL", "USED", "", "%", "NOTE"]).right(&[1, 2, 4]);
        for row in tree {
            let or_none = |text: &str| if text.is_empty() { NONE } else { text }.to_owned();
            grid.row([
                format!("{}{}", row.before, row.tenant),
                or_none(&row.nominal),
                or_none(&row.used),
                row.percent.map_or_else(String::new, bar),
                row.percent
                    .map_or_else(|| NONE.to_owned(), |percent| format!("{percent} %")),
                row.notes.join(", "),
            ]);
        }
        text.push_str(&grid.text(with_headers));
    }
    text
}

/// A bar of ten cells; what is over 100 % does not make it longer.
fn bar(percent: i64) -> String {
    let cells = (i128::from(percent) * BAR + 50) / 100;
    let cells = usize::try_from(cells.clamp(0, BAR)).unwrap_or(0);
    "█".repeat(cells)
}
