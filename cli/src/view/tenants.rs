//! `heyun tenant list` and `tree`.

use std::collections::BTreeMap;

use heyun_crds::Tenant;
use heyun_crds::conditions::{ConditionType, condition};
use k8s_openapi::jiff::Timestamp;

use super::age::age;
use super::branch::{Branch, flatten};
use super::table::Grid;
use super::{NONE, or_none};

/// Tenants by name, with the names of their children: the shape of the tree.
pub struct Family<'a> {
    by_name: BTreeMap<&'a str, &'a Tenant>,
    children: BTreeMap<&'a str, Vec<&'a str>>,
    roots: Vec<&'a str>,
}

impl<'a> Family<'a> {
    /// Of all tenants. One whose parent does not exist, or that is its own ancestor, is a root.
    pub fn new(tenants: &'a [Tenant]) -> Self {
        let by_name: BTreeMap<&str, &Tenant> = tenants
            .iter()
            .filter_map(|t| Some((t.metadata.name.as_deref()?, t)))
            .collect();
        let mut family = Self {
            by_name,
            children: BTreeMap::new(),
            roots: Vec::new(),
        };
        let names: Vec<&str> = family.by_name.keys().copied().collect();
        for name in names {
            match family.parent(name) {
                Some(parent) if !family.is_cyclic(name) => {
                    family.children.entry(parent).or_default().push(name);
                }
                _ => family.roots.push(name),
            }
        }
        family
    }

    fn parent(&self, name: &str) -> Option<&'a str> {
        let parent = self.by_name.get(name)?.spec.parent.as_deref()?;
        self.by_name.contains_key(parent).then_some(parent)
    }

    fn is_cyclic(&self, name: &str) -> bool {
        let mut at = name;
        for _ in 0..self.by_name.len() {
            match self.parent(at) {
                Some(parent) if parent == name => return true,
                Some(parent) => at = parent,
                None => return false,
            }
        }
        // A loop above it, which it is not part of.
        false
    }

    /// The tenant of that name.
    pub fn get(&self, name: &str) -> Option<&'a Tenant> {
        self.by_name.get(name).copied()
    }

    /// The trees of the roots, or the one of `root`.
    pub fn trees(&self, root: Option<&'a str>) -> Vec<Branch<&'a Tenant>> {
        let roots = root.map_or_else(|| self.roots.clone(), |root| vec![root]);
        roots
            .into_iter()
            .filter_map(|name| self.tree(name))
            .collect()
    }

    fn tree(&self, name: &str) -> Option<Branch<&'a Tenant>> {
        let below = self.children.get(name).map_or(&[][..], Vec::as_slice);
        Some(Branch {
            value: self.get(name)?,
            children: below.iter().filter_map(|child| self.tree(child)).collect(),
        })
    }
}

/// The list.
pub fn table(tenants: &[Tenant], wide: bool, with_headers: bool, now: Timestamp) -> String {
    let mut headers = vec![
        "NAME",
        "READY",
        "DISPLAY NAME",
        "KIND",
        "PARENT",
        "NAMESPACES",
    ];
    if wide {
        headers.extend(["LEVEL", "PATH", "REASON"]);
    }
    headers.push("AGE");
    let mut grid = Grid::new(&headers);
    for tenant in tenants {
        let mut cells = common(tenant);
        cells.insert(
            4,
            or_none(tenant.spec.parent.as_deref().unwrap_or_default()).to_owned(),
        );
        if wide {
            let level = tenant
                .spec
                .admin_level
                .map_or_else(|| NONE.to_owned(), |l| format!("{l:?}"));
            let path = tenant
                .status
                .as_ref()
                .map_or("", |status| status.path.as_str());
            cells.extend([level, or_none(path).to_owned(), reason(tenant)]);
        }
        cells.push(age(tenant.metadata.creation_timestamp.as_ref(), now));
        grid.row(cells);
    }
    grid.text(with_headers)
}

/// The tree, or the part of it below `root`.
pub fn tree(tenants: &[Tenant], root: Option<&str>, with_headers: bool) -> String {
    let family = Family::new(tenants);
    let mut grid = Grid::new(&[
        "TENANT",
        "READY",
        "DISPLAY NAME",
        "KIND",
        "NAMESPACES",
        "REASON",
    ]);
    for (before, tenant) in flatten(&family.trees(root)) {
        let mut cells = common(tenant);
        cells[0].insert_str(0, &before);
        cells.push(reason(tenant));
        grid.row(cells);
    }
    grid.text(with_headers)
}

/// Name, readiness, name for people, kind, namespaces.
fn common(tenant: &Tenant) -> Vec<String> {
    let spec = &tenant.spec;
    let conditions = tenant
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions);
    let ready = condition(conditions, ConditionType::Ready);
    vec![
        tenant.metadata.name.clone().unwrap_or_default(),
        ready
            .map_or("Unknown", |ready| ready.status.as_str())
            .to_owned(),
        or_none(&spec.display_name).to_owned(),
        spec.kind.as_str().to_owned(),
        or_none(&spec.namespaces.join(",")).to_owned(),
    ]
}

/// Why it is not ready; a dash where it is.
fn reason(tenant: &Tenant) -> String {
    let conditions = tenant
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions);
    match condition(conditions, ConditionType::Ready) {
        Some(ready) if ready.status != "True" => format!("{}: {}", ready.reason, ready.message),
        _ => NONE.to_owned(),
    }
}
