//! What is kept of objects on a member: enough to decide and to report, never their content.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heyun_crds::labels;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::assess::{Assessed, assess};

/// Annotation on a top-level applied object: hash of what was applied, without epoch and
/// decision, which are not rewritten when nothing else changes.
pub const APPLIED_HASH: &str = "heyun.dev/applied-hash";

/// `apiVersion` and `kind`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KindKey {
    /// `apiVersion`. Example: `apps/v1`.
    pub api_version: String,
    /// Kind. Example: `Deployment`.
    pub kind: String,
}

/// An object on a member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectKey {
    /// What it is.
    pub kind: KindKey,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectKey {
    /// True when both name the same object, be it by different versions of its API.
    pub fn is_same_object(&self, other: &Self) -> bool {
        self.name == other.name
            && self.namespace == other.namespace
            && self.kind.kind == other.kind.kind
            && self.kind.group() == other.kind.group()
    }
}

impl KindKey {
    /// Group of the API; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind.kind, self.namespace, self.name)
    }
}

/// An object as it was last seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// uid.
    pub uid: String,
    /// resourceVersion.
    pub version: String,
    /// The Work that asserts it, if one does.
    pub work: Option<String>,
    /// What was applied, as a hash.
    pub hash: Option<String>,
    /// Number of the leader that applied it last.
    pub epoch: Option<i64>,
    /// True when it carries the mark that precedes a deletion.
    pub retired: bool,
    /// True when it is being deleted.
    pub deleting: bool,
    /// The fields that `heyun` owns by apply (`fieldsV1`, as text); `None`: none.
    pub fields: Option<Arc<str>>,
    /// Who else changed it last, for people.
    pub other_manager: Option<String>,
    /// `spec.replicas`, which an autoscaler may own.
    pub replicas: Option<i64>,
    /// How it fares.
    pub assessed: Assessed,
}

impl Seen {
    /// Keeps of an object what is needed.
    pub fn of(mut object: DynamicObject) -> Self {
        let managers = object.metadata.managed_fields.take().unwrap_or_default();
        let meta = &object.metadata;
        let annotation = |key: &str| object.annotations().get(key);
        let seen = Self {
            uid: meta.uid.clone().unwrap_or_default(),
            version: meta.resource_version.clone().unwrap_or_default(),
            work: object.labels().get(labels::WORK).cloned(),
            hash: annotation(APPLIED_HASH).cloned(),
            epoch: annotation(labels::EPOCH).and_then(|epoch| epoch.parse().ok()),
            retired: annotation(labels::RETIRE).is_some(),
            deleting: meta.deletion_timestamp.is_some(),
            fields: managers.iter().find(|m| is_ours(m)).and_then(fields),
            other_manager: last_other(&managers),
            replicas: object
                .data
                .pointer("/spec/replicas")
                .and_then(Value::as_i64),
            assessed: Assessed::default(),
        };
        Self {
            assessed: assess(object),
            ..seen
        }
    }

    /// True when `self` is not older than `other`, as far as their versions tell.
    fn replaces(&self, other: &Self) -> bool {
        match (self.version.parse::<u64>(), other.version.parse::<u64>()) {
            (Ok(new), Ok(old)) => new >= old,
            _ => true,
        }
    }
}

fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(labels::MANAGER)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

fn fields(entry: &ManagedFieldsEntry) -> Option<Arc<str>> {
    entry
        .fields_v1
        .as_ref()
        .map(|fields| fields.0.to_string().into())
}

/// The manager that changed the object last by something else than its status.
fn last_other(managers: &[ManagedFieldsEntry]) -> Option<String> {
    managers
        .iter()
        .filter(|m| m.manager.as_deref() != Some(labels::MANAGER))
        .filter(|m| m.subresource.as_deref() != Some("status"))
        .max_by_key(|m| m.time.as_ref().map(|time| time.0))
        .and_then(|m| m.manager.clone())
}

/// What is known of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// It was seen like this; a watch keeps it up to date, or it was seen just now.
    There(Arc<Seen>),
    /// A watch says that no object of ours has this name.
    Absent,
    /// Nobody looks: it has to be read.
    Unknown,
}

#[derive(Debug)]
struct Entry {
    seen: Arc<Seen>,
    at: Duration,
}

#[derive(Debug, Default)]
struct KindShelf {
    /// True once a watch has delivered its first list, and while it goes on.
    watched: bool,
    objects: BTreeMap<(String, String), Entry>,
    /// What a list that is under way has delivered.
    listed: Option<BTreeSet<(String, String)>>,
}

/// What is kept of one member's objects. Watches and the answers to our own writes fill it.
#[derive(Debug, Default)]
pub struct Shelf {
    kinds: Mutex<BTreeMap<KindKey, KindShelf>>,
}

/// What a watch reports.
#[derive(Clone, Debug)]
pub enum Report {
    /// A list begins.
    ListBegins,
    /// One object of the list.
    Listed(ObjectKey, Seen),
    /// The list is complete: what was not in it is gone.
    ListEnds,
    /// An object came or changed.
    Changed(ObjectKey, Seen),
    /// An object is gone.
    Gone(ObjectKey),
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<KindKey, KindShelf>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of an object; what no watch keeps up to date counts for `fresh` only.
    pub fn get(&self, key: &ObjectKey, now: Duration, fresh: Duration) -> Known {
        let kinds = self.lock();
        let Some(kind) = kinds.get(&key.kind) else {
            return Known::Unknown;
        };
        match kind.objects.get(&(key.namespace.clone(), key.name.clone())) {
            Some(entry) if kind.watched || now.saturating_sub(entry.at) <= fresh => {
                Known::There(entry.seen.clone())
            }
            None if kind.watched => Known::Absent,
            _ => Known::Unknown,
        }
    }

    /// Notes the answer to a read or a write of ours.
    pub fn put(&self, key: &ObjectKey, seen: Seen, now: Duration) -> Arc<Seen> {
        let mut kinds = self.lock();
        let kind = kinds.entry(key.kind.clone()).or_default();
        put(kind, key, seen, now)
    }

    /// Notes that an object is gone: a read of ours did not find it.
    pub fn remove(&self, key: &ObjectKey) {
        if let Some(kind) = self.lock().get_mut(&key.kind) {
            kind.objects
                .remove(&(key.namespace.clone(), key.name.clone()));
        }
    }

    /// Takes a report of the watch of one kind; returns the Works that it touches.
    pub fn report(&self, kind: &KindKey, report: Report, now: Duration) -> Vec<String> {
        let mut kinds = self.lock();
        let shelf = kinds.entry(kind.clone()).or_default();
        match report {
            Report::ListBegins => {
                shelf.listed = Some(BTreeSet::new());
                Vec::new()
            }
            Report::Listed(key, seen) => {
                if let Some(listed) = &mut shelf.listed {
                    listed.insert((key.namespace.clone(), key.name.clone()));
                }
                changed(shelf, &key, seen, now)
            }
            Report::ListEnds => list_ends(shelf),
            Report::Changed(key, seen) => changed(shelf, &key, seen, now),
            Report::Gone(key) => {
                let gone = shelf.objects.remove(&(key.namespace, key.name));
                gone.and_then(|entry| entry.seen.work.clone())
                    .into_iter()
                    .collect()
            }
        }
    }

    /// The watch of a kind has ended: what it said grows old.
    pub fn unwatched(&self, kind: &KindKey) {
        if let Some(shelf) = self.lock().get_mut(kind) {
            shelf.watched = false;
            shelf.listed = None;
        }
    }

    /// True once the watch of a kind has delivered its first list.
    pub fn is_watched(&self, kind: &KindKey) -> bool {
        self.lock().get(kind).is_some_and(|shelf| shelf.watched)
    }

    /// Every object that carries the label of that Work in that namespace.
    pub fn of_work(&self, namespace: &str, work: &str) -> Vec<ObjectKey> {
        let kinds = self.lock();
        let mut found = Vec::new();
        for (kind, shelf) in kinds.iter() {
            for ((ns, name), entry) in &shelf.objects {
                if ns == namespace && entry.seen.work.as_deref() == Some(work) {
                    found.push(ObjectKey {
                        kind: kind.clone(),
                        namespace: ns.clone(),
                        name: name.clone(),
                    });
                }
            }
        }
        found
    }

    /// The highest number that any object of ours carries, with its key.
    pub fn newest(&self) -> Option<(i64, ObjectKey)> {
        let kinds = self.lock();
        let each = kinds.iter().flat_map(|(kind, shelf)| {
            shelf.objects.iter().filter_map(move |((ns, name), entry)| {
                entry.seen.work.as_ref()?;
                Some((entry.seen.epoch?, (kind, ns, name)))
            })
        });
        each.max_by_key(|(epoch, _)| *epoch)
            .map(|(epoch, (kind, namespace, name))| {
                let (namespace, name) = (namespace.clone(), name.clone());
                (
                    epoch,
                    ObjectKey {
                        kind: kind.clone(),
                        namespace,
                        name,
                    },
                )
            })
    }
}

fn put(kind: &mut KindShelf, key: &ObjectKey, seen: Seen, now: Duration) -> Arc<Seen> {
    let slot = (key.namespace.clone(), key.name.clone());
    if let Some(entry) = kind.objects.get_mut(&slot)
        && entry.seen.uid == seen.uid
        && !seen.replaces(&entry.seen)
    {
        return entry.seen.clone();
    }
    let seen = Arc::new(seen);
    kind.objects.insert(
        slot,
        Entry {
            seen: seen.clone(),
            at: now,
        },
    );
    seen
}

fn changed(kind: &mut KindShelf, key: &ObjectKey, seen: Seen, now: Duration) -> Vec<String> {
    let slot = (key.namespace.clone(), key.name.clone());
    let before = kind.objects.get(&slot).map(|entry| entry.seen.clone());
    let after = put(kind, key, seen, now);
    match before {
        // The answer to our own write came first, or nothing changed that is kept.
        Some(before) if same_but_version(&before, &after) => Vec::new(),
        Some(before) if before.work != after.work => before
            .work
            .clone()
            .into_iter()
            .chain(after.work.clone())
            .collect(),
        _ => after.work.clone().into_iter().collect(),
    }
}

fn same_but_version(a: &Seen, b: &Seen) -> bool {
    a.uid == b.uid
        && Seen {
            version: String::new(),
            ..a.clone()
        } == Seen {
            version: String::new(),
            ..b.clone()
        }
}

fn list_ends(kind: &mut KindShelf) -> Vec<String> {
    kind.watched = true;
    let Some(listed) = kind.listed.take() else {
        return Vec::new();
    };
    let mut touched = Vec::new();
    kind.objects.retain(|slot, entry| {
        let stays = listed.contains(slot);
        if !stays {
            touched.extend(entry.seen.work.clone());
        }
        stays
    });
    touched
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        let kind = KindKey {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
        };
        ObjectKey {
            kind,
            namespace: "a".into(),
            name: name.into(),
        }
    }

    fn seen(version: &str) -> Seen {
        Seen {
            uid: "u".into(),
            version: version.into(),
            work: Some("w".into()),
            hash: Some(version.into()),
            ..Seen::default()
        }
    }

    #[test]
    fn an_object_is_the_same_under_every_version_of_its_api() {
        let named = |api_version: &str| ObjectKey {
            kind: KindKey {
                api_version: api_version.into(),
                kind: "X".into(),
            },
            ..key("x")
        };
        assert!(named("autoscaling/v1").is_same_object(&named("autoscaling/v2")));
        assert!(!named("v1").is_same_object(&named("apps/v1")));
    }

    const NOW: Duration = Duration::from_secs(100);
    const FRESH: Duration = Duration::from_secs(30);

    #[test]
    fn what_no_watch_keeps_is_known_for_a_while_only() {
        let shelf = Shelf::default();
        assert_eq!(shelf.get(&key("x"), NOW, FRESH), Known::Unknown);
        shelf.put(&key("x"), seen("1"), NOW);
        assert!(matches!(
            shelf.get(&key("x"), NOW + FRESH, FRESH),
            Known::There(_)
        ));
        assert_eq!(shelf.get(&key("x"), NOW + FRESH * 2, FRESH), Known::Unknown);
    }

    #[test]
    fn a_complete_list_says_what_is_absent_and_touches_what_went() {
        let shelf = Shelf::default();
        let kind = key("x").kind;
        shelf.put(&key("gone"), seen("1"), NOW);
        assert!(shelf.report(&kind, Report::ListBegins, NOW).is_empty());
        assert_eq!(
            shelf.report(&kind, Report::Listed(key("x"), seen("2")), NOW),
            ["w"]
        );
        assert_eq!(shelf.get(&key("y"), NOW, FRESH), Known::Unknown);
        assert_eq!(shelf.report(&kind, Report::ListEnds, NOW), ["w"]);
        assert_eq!(shelf.get(&key("gone"), NOW, FRESH), Known::Absent);
        assert_eq!(shelf.of_work("a", "w"), [key("x")]);
        shelf.unwatched(&kind);
        assert_eq!(shelf.get(&key("y"), NOW, FRESH), Known::Unknown);
    }

    #[test]
    fn an_older_event_does_not_undo_the_answer_to_our_own_write() {
        let shelf = Shelf::default();
        let kind = key("x").kind;
        shelf.put(&key("x"), seen("9"), NOW);
        assert!(shelf.report(&kind, Report::Changed(key("x"), seen("10")), NOW) == ["w"]);
        shelf.put(&key("x"), seen("12"), NOW);
        assert!(
            shelf
                .report(&kind, Report::Changed(key("x"), seen("11")), NOW)
                .is_empty()
        );
        let Known::There(held) = shelf.get(&key("x"), NOW, FRESH) else {
            panic!("unknown")
        };
        assert_eq!(held.version, "12");
    }

    #[test]
    fn a_change_of_the_version_alone_touches_nothing() {
        let shelf = Shelf::default();
        let kind = key("x").kind;
        shelf.put(&key("x"), seen("1"), NOW);
        let same = Seen {
            version: "2".into(),
            ..seen("1")
        };
        assert!(
            shelf
                .report(&kind, Report::Changed(key("x"), same), NOW)
                .is_empty()
        );
        assert_eq!(shelf.report(&kind, Report::Gone(key("x")), NOW), ["w"]);
    }
}
