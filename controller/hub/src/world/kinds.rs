//! Tables of the kinds that are kept as they are.

use std::collections::BTreeMap;

use heyun_crds::{
    Approval, ApprovalPolicy, Flavor, MemberCluster, Placement, PriceBook, Quota, ResourceRequest,
    Sketch, Tenant,
};
use heyun_plan::member_names::member_of_namespace;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::ResourceExt;

use super::entry::version;
use super::listing::Listing;
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
impl Named for PriceBook {}
impl Named for ApprovalPolicy {}
impl Named for Placement {
    fn name_of(namespace: &str, name: &str) -> String {
        in_namespace(namespace, name)
    }
}
impl Named for ResourceRequest {
    fn name_of(namespace: &str, name: &str) -> String {
        in_namespace(namespace, name)
    }
}
impl Named for Approval {
    fn name_of(namespace: &str, name: &str) -> String {
        in_namespace(namespace, name)
    }
}
impl Named for Sketch {
    fn name_of(namespace: &str, _name: &str) -> String {
        member_of_namespace(namespace)
            .unwrap_or(namespace)
            .to_owned()
    }
}

fn in_namespace(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// Objects of one kind, by name.
#[derive(Debug)]
pub struct Table<K> {
    objects: BTreeMap<String, K>,
    listing: Listing<String>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            listing: Listing::default(),
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

    /// Whether there is an object of that name that could not be read as it is now.
    pub fn is_unread(&self, name: &str) -> bool {
        self.listing.unread().contains(name)
    }

    /// Whether the first list is complete.
    pub fn is_listed(&self) -> bool {
        self.listing.is_listed()
    }
}

impl<K: Named> Table<K> {
    /// Takes in a change.
    pub fn take(&mut self, change: Change<K>) -> Effect {
        let mut effect = Effect::default();
        match change {
            Change::Begin => self.listing.begin(self.objects.keys()),
            Change::Apply(object) => {
                let name = object.table_name();
                let was_unread = self.listing.saw(&name);
                if self.put(*object).is_some() || was_unread {
                    effect.names.push(name);
                }
            }
            Change::Delete(object) => self.drop_one(object.table_name(), &mut effect),
            Change::Complete => {
                let list = self.listing.complete();
                for name in list.gone {
                    self.drop_one(name, &mut effect);
                }
                effect.completed = list.first;
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
                if self.listing.cannot_read(key) {
                    tracing::error!(?namespace, name, error, "an object cannot be read");
                }
            }
        }
        effect
    }

    fn drop_one(&mut self, name: String, effect: &mut Effect) {
        let was_unread = self.listing.saw(&name);
        if self.objects.remove(&name).is_some() || was_unread {
            effect.names.push(name);
        }
    }

    /// Holds an object unless a newer one is held; its name when it was taken.
    pub fn put(&mut self, object: K) -> Option<String> {
        let name = object.table_name();
        self.listing.saw(&name);
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
