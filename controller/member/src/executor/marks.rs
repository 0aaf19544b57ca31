//! What the executor remembers of objects besides what was seen: what was refused and when it
//! may be tried again, and how often somebody else changed it. Lost with the process, and then
//! each costs one more request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heyun_crds::conditions::Reason;

use crate::error::{Class, requeue};
use crate::seen::ObjectKey;

/// Most objects that are remembered; beyond it the smallest key is forgotten.
pub(crate) const MARKS_MAX: usize = 100_000;
/// How long a refusal stands while nothing changes: what an administrator did on the member is
/// seen after this.
const HELD_FOR: Duration = Duration::from_mins(10);
/// How long a calm makes drift count from the beginning.
const CALM: Duration = Duration::from_mins(10);

/// A write was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Reason code.
    pub reason: Reason,
    /// Names value, place and fix.
    pub message: String,
    /// When it may be tried again.
    pub class: Class,
}

#[derive(Clone, Debug, Default)]
struct Mark {
    /// What was to be applied to which version, when it was refused, and until when it is not
    /// tried again.
    held: Option<(String, String, Duration, Refusal)>,
    /// Fields that were not ours right after an apply of that hash: no sign of drift.
    never_ours: Option<(String, BTreeSet<String>)>,
    /// When drift was last undone, and how often without a calm between.
    undone: Option<(Duration, u32)>,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    held: Mutex<BTreeMap<ObjectKey, Mark>>,
}

impl Marks {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Mark>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, key: &ObjectKey, change: impl FnOnce(&mut Mark) -> T) -> T {
        let mut held = self.lock();
        if held.len() >= MARKS_MAX && !held.contains_key(key) {
            held.pop_first();
        }
        change(held.entry(key.clone()).or_default())
    }

    /// The refusal that still stands for applying `hash` to that version.
    pub(crate) fn refusal(
        &self,
        key: &ObjectKey,
        hash: &str,
        version: &str,
        now: Duration,
    ) -> Option<Refusal> {
        let held = self.lock();
        let (for_hash, for_version, until, refusal) = held.get(key)?.held.as_ref()?;
        (for_hash == hash && for_version == version && now < *until).then(|| refusal.clone())
    }

    /// Remembers a refusal, where trying again at once is useless.
    pub(crate) fn refused(
        &self,
        key: &ObjectKey,
        hash: &str,
        version: &str,
        refusal: &Refusal,
        now: Duration,
    ) {
        let wait = match refusal.class {
            Class::Invalid => HELD_FOR,
            Class::Denied | Class::Bug => requeue(refusal.class, 0, &key.name).unwrap_or(HELD_FOR),
            _ => return,
        };
        let held = (
            hash.to_owned(),
            version.to_owned(),
            now + wait,
            refusal.clone(),
        );
        self.with(key, |mark| mark.held = Some(held));
    }

    /// An apply succeeded; `never_ours` are the fields that are not ours even so.
    pub(crate) fn applied(&self, key: &ObjectKey, hash: &str, never_ours: BTreeSet<String>) {
        self.with(key, |mark| {
            mark.held = None;
            mark.never_ours = (!never_ours.is_empty()).then(|| (hash.to_owned(), never_ours));
        });
    }

    /// Whether that field was not ours right after the apply of that hash.
    pub(crate) fn was_never_ours(&self, key: &ObjectKey, hash: &str, field: &str) -> bool {
        let held = self.lock();
        held.get(key)
            .and_then(|mark| mark.never_ours.as_ref())
            .is_some_and(|(for_hash, fields)| for_hash == hash && fields.contains(field))
    }

    /// Whether drift may be undone now: at once the first time, then after ever longer, so that
    /// two who disagree do not write all day.
    pub(crate) fn may_undo(&self, key: &ObjectKey, now: Duration) -> bool {
        let held = self.lock();
        match held.get(key).and_then(|mark| mark.undone) {
            Some((at, times)) => now.saturating_sub(at) >= patience(times),
            None => true,
        }
    }

    /// Drift is undone.
    pub(crate) fn undone(&self, key: &ObjectKey, now: Duration) {
        self.with(key, |mark| {
            let times = match mark.undone {
                Some((at, times)) if now.saturating_sub(at) < CALM => times.saturating_add(1),
                _ => 1,
            };
            mark.undone = Some((now, times));
        });
    }

    /// The object is gone.
    pub(crate) fn forget(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }
}

/// 2 s, doubled, at most 5 min.
fn patience(times: u32) -> Duration {
    Duration::from_secs(1 << times.min(9)).min(Duration::from_mins(5))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::KindKey;

    fn key() -> ObjectKey {
        let kind = KindKey {
            api_version: "v1".into(),
            kind: "Service".into(),
        };
        ObjectKey {
            kind,
            namespace: "a".into(),
            name: "x".into(),
        }
    }

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn a_refusal_stands_until_something_changes_or_time_passes() {
        let marks = Marks::default();
        let refusal = Refusal {
            reason: Reason::ApplyFailed,
            message: "no".into(),
            class: Class::Invalid,
        };
        marks.refused(&key(), "h", "1", &refusal, at(0));
        assert_eq!(
            marks.refusal(&key(), "h", "1", at(1)),
            Some(refusal.clone())
        );
        assert_eq!(marks.refusal(&key(), "other", "1", at(1)), None);
        assert_eq!(marks.refusal(&key(), "h", "2", at(1)), None);
        assert_eq!(marks.refusal(&key(), "h", "1", at(601)), None);
        let passing = Refusal {
            class: Class::Transient,
            ..refusal
        };
        marks.applied(&key(), "h", BTreeSet::new());
        marks.refused(&key(), "h", "1", &passing, at(0));
        assert_eq!(marks.refusal(&key(), "h", "1", at(1)), None);
    }

    #[test]
    fn drift_is_undone_at_once_and_then_ever_later_until_a_calm() {
        let marks = Marks::default();
        assert!(marks.may_undo(&key(), at(0)));
        marks.undone(&key(), at(0));
        assert!(!marks.may_undo(&key(), at(1)) && marks.may_undo(&key(), at(2)));
        marks.undone(&key(), at(2));
        assert!(!marks.may_undo(&key(), at(5)) && marks.may_undo(&key(), at(6)));
        marks.undone(&key(), at(2000));
        assert!(marks.may_undo(&key(), at(2002)));
    }
}
