//! Tables of the kinds that are kept as they are.

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::{Flavor, MemberCluster, Placement, Quota, Sketch, Tenant};
use heyun_plan::member_names::member_of_namespace;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::ResourceExt;

use super::entry::version;
use crate::watch::Change;

/// How an object is named in its table.
pub trait Named: ResourceExt {
    /// The name: of the object, of its member, or namespace/name.
    fn table_name(&self) -> String {
        Self::name_of(&self.namespace().unwrap_or_default(), &self.name_any())
    }

    /// The same of an object of which no more is known.
    fn name_of(_namespace: &str, name: &str) -> String {
        name.to_owned()
    }
}

impl Named for MemberCluster {}
impl Named for Flavor {}
impl Named for Tenant {}
impl Named for Quota {}
impl Named for Namespace {}
impl Named for PriorityClass {}
impl Named for Placement {
    fn name_of(namespace: &str, name: &str) -> String {
        format!("{namespace}/{name}")
    }
}
impl Named for Sketch {
    fn name_of(namespace: &str, _name: &str) -> String {
        member_of_namespace(namespace)
            .unwrap_or(namespace)
            .to_owned()
    }
}

/// Objects of one kind, by name.
#[derive(Debug)]
pub struct Table<K> {
    objects: BTreeMap<String, K>,
    unread: Unread<String>,
    rest: Option<BTreeSet<String>>,
    listed: bool,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            unread: Unread::default(),
            rest: None,
            listed: false,
        }
    }
}

/// Objects that are there and cannot be read, by a hub that is older than they are. An object that
/// is not understood is not one that is gone.
#[derive(Debug)]
pub struct Unread<T> {
    /// These.
    pub now: BTreeSet<T>,
    /// Those that a list under way has not shown again.
    rest: Option<BTreeSet<T>>,
}

impl<T> Default for Unread<T> {
    fn default() -> Self {
        Self {
            now: BTreeSet::new(),
            rest: None,
        }
    }
}

impl<T: Ord + Clone> Unread<T> {
    /// A list begins.
    pub fn begin(&mut self) {
        self.rest = Some(self.now.clone());
    }

    /// One was seen; whether it is new.
    pub fn add(&mut self, key: T) -> bool {
        if let Some(rest) = &mut self.rest {
            rest.remove(&key);
        }
        self.now.insert(key)
    }

    /// One was read, or is gone; whether it was one of these.
    pub fn forget(&mut self, key: &T) -> bool {
        if let Some(rest) = &mut self.rest {
            rest.remove(key);
        }
        self.now.remove(key)
    }

    /// The list is complete: what it did not show is gone.
    pub fn complete(&mut self) -> BTreeSet<T> {
        let gone = self.rest.take().unwrap_or_default();
        self.now.retain(|key| !gone.contains(key));
        gone
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

    /// Whether there is an object of that name that could not be read as it is now.
    pub fn is_unread(&self, name: &str) -> bool {
        self.unread.now.contains(name)
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
            Change::Begin => {
                self.rest = Some(self.objects.keys().cloned().collect());
                self.unread.begin();
            }
            Change::Apply(object) => {
                let name = object.table_name();
                let was_unread = self.unread.forget(&name);
                if self.put(*object).is_some() || was_unread {
                    effect.names.push(name);
                }
            }
            Change::Delete(object) => self.drop_one(object.table_name(), &mut effect),
            Change::Complete => {
                for name in self.rest.take().unwrap_or_default() {
                    self.objects.remove(&name);
                    effect.names.push(name);
                }
                effect.names.extend(self.unread.complete());
                effect.completed = !self.listed;
                self.listed = true;
            }
            Change::Unreadable {
                namespace,
                name,
                error,
                gone,
            } => {
                let key = K::name_of(namespace.as_deref().unwrap_or_default(), &name);
                if gone {
                    self.drop_one(key, &mut effect);
                    return effect;
                }
                // It is there: what was held of it stays, and it counts as nothing else.
                if let Some(rest) = &mut self.rest {
                    rest.remove(&key);
                }
                if self.unread.add(key) {
                    tracing::error!(?namespace, name, error, "an object cannot be read");
                }
            }
        }
        effect
    }

    fn drop_one(&mut self, name: String, effect: &mut Effect) {
        let was_unread = self.unread.forget(&name);
        if self.objects.remove(&name).is_some() || was_unread {
            effect.names.push(name);
        }
    }

    /// Holds an object unless a newer one is held; its name when it was taken.
    pub fn put(&mut self, object: K) -> Option<String> {
        let name = object.table_name();
        if let Some(rest) = &mut self.rest {
            rest.remove(&name);
        }
        self.unread.forget(&name);
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
