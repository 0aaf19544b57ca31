//! Tables of the kinds that are kept as they are.

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::{Flavor, MemberCluster, Placement, Quota, Sketch, Tenant};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::ResourceExt;

use super::entry::version;
use crate::watch::Change;

/// How an object is named in its table.
pub trait Named: ResourceExt {
    /// The name: of the object, of its member, or namespace/name.
    fn table_name(&self) -> String {
        self.name_any()
    }
}

impl Named for MemberCluster {}
impl Named for Flavor {}
impl Named for Tenant {}
impl Named for Quota {}
impl Named for Namespace {}
impl Named for PriorityClass {}
impl Named for Placement {
    fn table_name(&self) -> String {
        format!(
            "{}/{}",
            self.namespace().unwrap_or_default(),
            self.name_any()
        )
    }
}
impl Named for Sketch {
    fn table_name(&self) -> String {
        let namespace = self.namespace().unwrap_or_default();
        namespace
            .strip_prefix("heyun-member-")
            .unwrap_or(&namespace)
            .to_owned()
    }
}

/// Objects of one kind, by name.
#[derive(Debug)]
pub struct Table<K> {
    objects: BTreeMap<String, K>,
    rest: Option<BTreeSet<String>>,
    listed: bool,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            rest: None,
            listed: false,
        }
    }
}

/// What a change did to a table.
#[derive(Debug, Default)]
pub struct Effect {
    /// Names of the objects that changed or went.
    pub names: Vec<String>,
    /// The first list is complete with this change.
    pub completed: bool,
}

impl Effect {
    /// Whether anything changed, the first list included.
    pub fn changed(&self) -> bool {
        self.completed || !self.names.is_empty()
    }
}

impl<K> Table<K> {
    /// The object of that name.
    pub fn get(&self, name: &str) -> Option<&K> {
        self.objects.get(name)
    }

    /// Every object, by name, as a map.
    pub fn map(&self) -> &BTreeMap<String, K> {
        &self.objects
    }

    /// Every object, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &K)> {
        self.objects.iter()
    }

    /// Every object, in the order of names.
    pub fn values(&self) -> impl Iterator<Item = &K> + Clone {
        self.objects.values()
    }

    /// Whether the first list is complete.
    pub fn is_listed(&self) -> bool {
        self.listed
    }
}

impl<K: Named> Table<K> {
    /// Takes in a change.
    pub fn take(&mut self, change: Change<K>) -> Effect {
        let mut effect = Effect::default();
        match change {
            Change::Begin => self.rest = Some(self.objects.keys().cloned().collect()),
            Change::Apply(object) => effect.names.extend(self.put(*object)),
            Change::Delete(object) => {
                let name = object.table_name();
                if self.objects.remove(&name).is_some() {
                    effect.names.push(name);
                }
            }
            Change::Complete => {
                for name in self.rest.take().unwrap_or_default() {
                    self.objects.remove(&name);
                    effect.names.push(name);
                }
                effect.completed = !self.listed;
                self.listed = true;
            }
            Change::Unreadable {
                namespace,
                name,
                error,
            } => {
                tracing::warn!(?namespace, name, error, "an object cannot be read");
            }
        }
        effect
    }

    /// Holds an object unless a newer one is held; its name when it was taken.
    pub fn put(&mut self, object: K) -> Option<String> {
        let name = object.table_name();
        if let Some(rest) = &mut self.rest {
            rest.remove(&name);
        }
        if self
            .objects
            .get(&name)
            .is_some_and(|held| version(held.meta()) >= version(object.meta()))
        {
            return None;
        }
        self.objects.insert(name.clone(), object);
        Some(name)
    }
}
