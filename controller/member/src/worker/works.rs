//! The Works of one member, as the hub has them: packed, so that parsed manifests take no room.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use heyun_crds::work::Work;

#[derive(Debug)]
struct Held {
    version: String,
    packed: Arc<str>,
}

/// The Works of one member.
#[derive(Debug, Default)]
pub(super) struct WorkShelf {
    works: Mutex<BTreeMap<String, Held>>,
}

impl WorkShelf {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.works.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a Work as it is now. Says whether that is news: an event that is older than the
    /// answer to our own write is none, nor is the event of that write.
    pub(super) fn put(&self, work: &Work) -> bool {
        let name = work.metadata.name.clone().unwrap_or_default();
        let version = work.metadata.resource_version.clone().unwrap_or_default();
        let mut works = self.lock();
        if works
            .get(&name)
            .is_some_and(|held| !is_newer(&version, &held.version))
        {
            return false;
        }
        let Ok(packed) = serde_json::to_string(work) else {
            return false;
        };
        works.insert(
            name,
            Held {
                version,
                packed: packed.into(),
            },
        );
        true
    }

    /// The Work is gone.
    pub(super) fn remove(&self, name: &str) {
        self.lock().remove(name);
    }

    /// Keeps only these: the list is complete. Returns the names of those that are gone.
    pub(super) fn retain(&self, listed: &std::collections::BTreeSet<String>) -> Vec<String> {
        let mut gone = Vec::new();
        self.lock().retain(|name, _| {
            let stays = listed.contains(name);
            if !stays {
                gone.push(name.clone());
            }
            stays
        });
        gone
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }

    /// The Work of that name.
    pub(super) fn get(&self, name: &str) -> Option<Work> {
        let packed = self.lock().get(name).map(|held| held.packed.clone())?;
        serde_json::from_str(&packed).ok()
    }

    /// All names.
    pub(super) fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }
}

fn is_newer(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(new), Ok(old)) => new > old,
        _ => version != than,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heyun_crds::work::WorkSpec;

    fn work(version: &str, decision: &str) -> Work {
        let mut work = Work::new(
            "w",
            WorkSpec {
                decision: decision.into(),
                ..WorkSpec::default()
            },
        );
        work.metadata.resource_version = Some(version.into());
        work
    }

    #[test]
    fn an_older_event_and_the_event_of_our_own_write_are_no_news() {
        let shelf = WorkShelf::default();
        assert!(shelf.put(&work("9", "d1")));
        assert!(shelf.put(&work("11", "d2")));
        assert!(!shelf.put(&work("11", "d2")));
        assert!(!shelf.put(&work("10", "d1")));
        assert_eq!(shelf.get("w").unwrap().spec.decision, "d2");
        assert_eq!(shelf.retain(&std::collections::BTreeSet::new()), ["w"]);
        assert!(!shelf.contains("w"));
    }
}
