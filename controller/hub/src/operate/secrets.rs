//! What is known of tenants' Secrets: hashes, and the versions they were read at. Pure.
//!
//! ```text
//! look ──missing──► request ──► read ──► take ──► look again
//!   ▲                                                │
//!   └── forgotten ◄── notice ◄── watch, metadata ◄───┘
//! ```
//!
//! A hash counts until the watch of its namespace shows something newer; then it is forgotten, and
//! who uses the Secret reads it again. A read and a watch have no common order: what the watch
//! shows while a read is under way is kept as a mark, and an answer older than its mark is not
//! kept. So each change costs one more read at most, and an answer that stays was newer than all
//! that was shown.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use heyun_member::error::Class;
use heyun_scheduler::request::WorkloadKey;

use crate::watch::Noticed;

/// A Secret as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// There was none.
    Absent,
    /// It was there.
    There {
        /// Hash of type and payload.
        hash: String,
        /// Its resourceVersion.
        version: u64,
    },
}

impl Read {
    /// Whether the watch has shown something that this read did not see yet.
    fn is_older_than(&self, mark: Mark) -> bool {
        match (self, mark) {
            (Self::Absent, Mark::There(_)) => true,
            (Self::Absent, Mark::Gone(_)) => false,
            (Self::There { version, .. }, Mark::There(at) | Mark::Gone(at)) => *version < at,
        }
    }
}

/// What the watch last showed of a Secret.
#[derive(Clone, Copy, Debug)]
enum Mark {
    /// There, at this resourceVersion.
    There(u64),
    /// Gone since this resourceVersion.
    Gone(u64),
}

/// A read that has not been answered.
#[derive(Debug)]
struct UnderWay {
    ticket: u64,
    mark: Option<Mark>,
}

/// The answer to a read.
#[derive(Debug)]
pub(super) struct Answer {
    /// Namespace of the Secret.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The ticket that [`Secrets::request`] gave.
    pub ticket: u64,
    /// What was read, or why not.
    pub read: Result<Read, Class>,
}

/// What is known of one namespace's Secrets, as far as Workloads use them.
#[derive(Debug, Default)]
struct Space {
    read: BTreeMap<String, Read>,
    under_way: BTreeMap<String, UnderWay>,
    /// Names that the list under way has shown.
    shown: Option<BTreeSet<String>>,
    /// The watch has completed a list.
    listed: bool,
}

impl Space {
    /// Takes in what the watch shows; true when what was read is older and was forgotten.
    fn mark(&mut self, name: &str, mark: Mark) -> bool {
        if let Some(under_way) = self.under_way.get_mut(name) {
            under_way.mark = Some(mark);
        }
        let older = self
            .read
            .get(name)
            .is_some_and(|read| read.is_older_than(mark));
        if older {
            self.read.remove(name);
        }
        older
    }

    /// The list is complete: what it did not show is gone, or is shown next.
    fn complete(&mut self) -> BTreeSet<String> {
        self.listed = true;
        let Some(shown) = self.shown.take() else {
            return BTreeSet::new();
        };
        let known: BTreeSet<String> = self
            .read
            .keys()
            .chain(self.under_way.keys())
            .filter(|name| !shown.contains(*name))
            .cloned()
            .collect();
        known
            .into_iter()
            .filter(|name| self.mark(name, Mark::Gone(u64::MAX)))
            .collect()
    }
}

/// What is known of Secrets, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    spaces: BTreeMap<String, Space>,
    /// Workloads, with the names they wait for.
    waiting: BTreeMap<WorkloadKey, BTreeSet<String>>,
    /// Tickets given out. An answer to a read of an earlier term has one that is not known.
    tickets: u64,
}

impl Secrets {
    /// Hashes of those that are there, or the names of those that must be read.
    pub(super) fn hashes<'a>(
        &self,
        namespace: &str,
        names: impl Iterator<Item = &'a String>,
    ) -> Result<BTreeMap<String, String>, Vec<String>> {
        let space = self.spaces.get(namespace);
        let mut found = BTreeMap::new();
        let mut missing = Vec::new();
        for name in names {
            match space.and_then(|space| space.read.get(name)) {
                Some(Read::There { hash, .. }) => {
                    found.insert(name.clone(), hash.clone());
                }
                // It goes along once it is there: the watch tells.
                Some(Read::Absent) => {}
                None => missing.push(name.clone()),
            }
        }
        if missing.is_empty() {
            Ok(found)
        } else {
            Err(missing)
        }
    }

    /// A Workload waits for these; those that no read is under way for, each with its ticket.
    pub(super) fn request(&mut self, key: &WorkloadKey, names: Vec<String>) -> Vec<(String, u64)> {
        let space = self.spaces.entry(key.namespace.clone()).or_default();
        let mut start = Vec::new();
        for name in &names {
            if let Entry::Vacant(slot) = space.under_way.entry(name.clone()) {
                self.tickets += 1;
                let ticket = self.tickets;
                slot.insert(UnderWay { ticket, mark: None });
                start.push((name.clone(), ticket));
            }
        }
        self.waiting.entry(key.clone()).or_default().extend(names);
        start
    }

    /// Takes in an answer; the Workloads that waited for it and for no other. They are to be looked
    /// at, and where the answer is old they ask again. After a failure all that waited for it.
    pub(super) fn take(&mut self, answer: Answer) -> Vec<WorkloadKey> {
        let Answer {
            namespace,
            name,
            ticket,
            read,
        } = answer;
        let Some(space) = self.spaces.get_mut(&namespace) else {
            return Vec::new();
        };
        let asked = space.under_way.get(&name).filter(|u| u.ticket == ticket);
        let Some(mark) = asked.map(|under_way| under_way.mark) else {
            return Vec::new();
        };
        space.under_way.remove(&name);
        let failed = read.is_err();
        if let Ok(read) = read
            && !mark.is_some_and(|mark| read.is_older_than(mark))
        {
            space.read.insert(name.clone(), read);
        }
        self.release(&namespace, &name, failed)
    }

    fn release(&mut self, namespace: &str, name: &str, failed: bool) -> Vec<WorkloadKey> {
        let mut released = Vec::new();
        let first = WorkloadKey::new(namespace, "");
        let waiting = self.waiting.range_mut(first..);
        for (key, names) in waiting.take_while(|(key, _)| key.namespace == namespace) {
            if names.remove(name) && (failed || names.is_empty()) {
                released.push(key.clone());
            }
        }
        for key in &released {
            self.waiting.remove(key);
        }
        released
    }

    /// Takes in what a watch saw; the names of those that are to be read again.
    pub(super) fn notice(&mut self, namespace: &str, noticed: Noticed) -> BTreeSet<String> {
        let Some(space) = self.spaces.get_mut(namespace) else {
            return BTreeSet::new();
        };
        let (name, mark) = match noticed {
            Noticed::Begin => {
                space.shown = Some(BTreeSet::new());
                return BTreeSet::new();
            }
            Noticed::Complete => return space.complete(),
            Noticed::There { name, version } => {
                if let Some(shown) = &mut space.shown {
                    shown.insert(name.clone());
                }
                (name, Mark::There(version))
            }
            Noticed::Gone { name, version } => (name, Mark::Gone(version)),
        };
        let older = space.mark(&name, mark);
        older.then_some(name).into_iter().collect()
    }

    /// What was read of one Secret no longer counts.
    pub(super) fn forget(&mut self, namespace: &str, name: &str) {
        if let Some(space) = self.spaces.get_mut(namespace) {
            space.read.remove(name);
        }
    }

    /// What was read counts no longer where no watch has completed a list: the names, by namespace.
    pub(super) fn forget_unwatched(&mut self) -> Vec<(String, BTreeSet<String>)> {
        let unwatched = self.spaces.iter_mut().filter(|(_, space)| !space.listed);
        unwatched
            .map(|(namespace, space)| {
                let read = std::mem::take(&mut space.read);
                (namespace.clone(), read.into_keys().collect())
            })
            .collect()
    }

    /// Keeps what Workloads use, by namespace; the rest is forgotten.
    pub(super) fn retain(&mut self, in_use: &BTreeMap<&str, BTreeSet<&str>>) {
        self.spaces
            .retain(|namespace, space| match in_use.get(namespace.as_str()) {
                Some(names) => {
                    space.read.retain(|name, _| names.contains(name.as_str()));
                    true
                }
                None => false,
            });
        self.waiting
            .retain(|key, _| self.spaces.contains_key(&key.namespace));
    }

    /// Namespaces of which something is known or asked.
    pub(super) fn namespaces(&self) -> Vec<String> {
        self.spaces.keys().cloned().collect()
    }

    /// Nothing is known any more: answers to what was asked do not count.
    pub(super) fn reset(&mut self) {
        self.spaces.clear();
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NS: &str = "gz-a";

    fn key(name: &str) -> WorkloadKey {
        WorkloadKey::new(NS, name)
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn version(version: u64) -> Read {
        let hash = format!("hash of {version}");
        Read::There { hash, version }
    }

    fn there(name: &str, version: u64) -> Noticed {
        let name = name.to_owned();
        Noticed::There { name, version }
    }

    fn gone(name: &str, version: u64) -> Noticed {
        let name = name.to_owned();
        Noticed::Gone { name, version }
    }

    fn answer(name: &str, ticket: u64, read: Read) -> Answer {
        Answer {
            namespace: NS.to_owned(),
            name: name.to_owned(),
            ticket,
            read: Ok(read),
        }
    }

    /// What a Workload that uses `db` alone sees.
    fn seen(secrets: &Secrets) -> Result<Option<String>, Vec<String>> {
        let names = names(&["db"]);
        let hashes = secrets.hashes(NS, names.iter());
        hashes.map(|mut found| found.remove("db"))
    }

    /// `db` was read so, and nothing else happened.
    fn knowing(read: Read) -> Secrets {
        let mut secrets = Secrets::default();
        let ticket = secrets.request(&key("web"), names(&["db"]))[0].1;
        assert_eq!(secrets.take(answer("db", ticket, read)), [key("web")]);
        secrets
    }

    fn notice(secrets: &mut Secrets, noticed: Noticed) -> Vec<String> {
        secrets.notice(NS, noticed).into_iter().collect()
    }

    #[test]
    fn a_change_is_read_again_and_what_is_known_or_unused_costs_nothing() {
        let mut secrets = knowing(version(5));
        assert_eq!(seen(&secrets), Ok(Some("hash of 5".to_owned())));
        for known in [there("db", 5), there("db", 4), gone("db", 3)] {
            assert!(notice(&mut secrets, known).is_empty());
        }
        assert!(notice(&mut secrets, there("other", 9)).is_empty());
        assert_eq!(seen(&secrets), Ok(Some("hash of 5".to_owned())));
        assert_eq!(notice(&mut secrets, there("db", 7)), ["db"]);
        assert_eq!(seen(&secrets), Err(names(&["db"])));
        // Told once: who uses it has been told to read it.
        assert!(notice(&mut secrets, there("db", 7)).is_empty());
    }

    #[test]
    fn one_that_comes_is_read_and_one_that_goes_is_read_as_absent() {
        let mut secrets = knowing(Read::Absent);
        assert_eq!(seen(&secrets), Ok(None));
        assert!(notice(&mut secrets, gone("db", 3)).is_empty());
        assert_eq!(notice(&mut secrets, there("db", 4)), ["db"]);
        let mut secrets = knowing(version(4));
        assert_eq!(notice(&mut secrets, gone("db", 6)), ["db"]);
        assert_eq!(seen(&secrets), Err(names(&["db"])));
    }

    #[test]
    fn a_list_tells_what_fell_between_read_and_watch() {
        let listed = |read: Read, shown: &[Noticed]| {
            let mut secrets = knowing(read);
            let mut again = Vec::new();
            let list = [Noticed::Begin].into_iter().chain(shown.iter().cloned());
            for noticed in list.chain([Noticed::Complete]) {
                again.extend(notice(&mut secrets, noticed));
            }
            again
        };
        assert!(listed(version(5), &[there("db", 5)]).is_empty());
        assert_eq!(listed(version(5), &[there("db", 8)]), ["db"]);
        assert_eq!(listed(version(5), &[there("other", 6)]), ["db"]);
        assert!(listed(Read::Absent, &[there("other", 6)]).is_empty());
        assert_eq!(listed(Read::Absent, &[there("db", 8)]), ["db"]);
    }

    #[test]
    fn an_answer_older_than_what_the_watch_showed_meanwhile_is_not_kept() {
        let meanwhile = |read: Read, noticed: &[Noticed]| {
            let mut secrets = Secrets::default();
            let ticket = secrets.request(&key("web"), names(&["db"]))[0].1;
            for one in noticed {
                assert!(notice(&mut secrets, one.clone()).is_empty());
            }
            // The Workload is looked at in any case: where nothing was kept it asks again.
            assert_eq!(secrets.take(answer("db", ticket, read)), [key("web")]);
            seen(&secrets).is_ok()
        };
        assert!(meanwhile(version(5), &[there("db", 5)]));
        assert!(meanwhile(version(7), &[there("db", 5), gone("db", 6)]));
        assert!(meanwhile(Read::Absent, &[there("db", 5), gone("db", 6)]));
        assert!(!meanwhile(version(5), &[there("db", 6)]));
        assert!(!meanwhile(version(5), &[gone("db", 6)]));
        assert!(!meanwhile(Read::Absent, &[gone("db", 6), there("db", 7)]));
        let empty_list = [Noticed::Begin, Noticed::Complete];
        assert!(!meanwhile(version(5), &empty_list));
        assert!(meanwhile(Read::Absent, &empty_list));
    }

    #[test]
    fn one_read_serves_all_who_wait_and_each_is_told_when_it_has_all() {
        let mut secrets = Secrets::default();
        let first = secrets.request(&key("a"), names(&["db", "pull"]));
        assert_eq!(first.len(), 2);
        assert!(secrets.request(&key("b"), names(&["pull"])).is_empty());
        let pull = answer("pull", first[1].1, version(3));
        assert_eq!(secrets.take(pull), [key("b")]);
        let db = Answer {
            read: Err(Class::Transient),
            ..answer("db", first[0].1, Read::Absent)
        };
        assert_eq!(secrets.take(db), [key("a")]);
        assert_eq!(seen(&secrets), Err(names(&["db"])));
        // After a failure it is read anew.
        assert_eq!(secrets.request(&key("a"), names(&["db"])).len(), 1);
    }

    #[test]
    fn an_answer_of_an_earlier_term_does_not_count() {
        let mut secrets = Secrets::default();
        let old = secrets.request(&key("web"), names(&["db"]))[0].1;
        secrets.reset();
        let new = secrets.request(&key("web"), names(&["db"]))[0].1;
        assert!(secrets.take(answer("db", old, version(5))).is_empty());
        assert_eq!(secrets.take(answer("db", new, version(7))), [key("web")]);
        assert_eq!(seen(&secrets), Ok(Some("hash of 7".to_owned())));
    }

    #[test]
    fn what_nobody_uses_is_forgotten_and_what_no_watch_lists_is_read_again() {
        let mut secrets = knowing(version(5));
        let db: BTreeSet<String> = names(&["db"]).into_iter().collect();
        assert_eq!(secrets.forget_unwatched(), [(NS.to_owned(), db)]);
        let mut secrets = knowing(version(5));
        for noticed in [Noticed::Begin, there("db", 5), Noticed::Complete] {
            notice(&mut secrets, noticed);
        }
        assert!(secrets.forget_unwatched().is_empty());
        secrets.retain(&BTreeMap::from([(NS, BTreeSet::from(["db"]))]));
        assert!(seen(&secrets).is_ok());
        secrets.retain(&BTreeMap::from([(NS, BTreeSet::from(["other"]))]));
        assert_eq!(seen(&secrets), Err(names(&["db"])));
        secrets.retain(&BTreeMap::new());
        assert!(secrets.namespaces().is_empty());
    }
}
