//! Pods of ours on a member, counted until they have really ended: what an earlier decision
//! held is gone when its pods are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct State {
    /// True once the first list of pods is complete.
    complete: bool,
    /// uids by Work and component (label or name).
    pods: BTreeMap<(String, String), BTreeSet<String>>,
    /// Where each uid is counted.
    places: BTreeMap<String, (String, String)>,
}

/// Pods of ours, by Work and component; bound or not, until they have ended or are gone.
#[derive(Debug, Default)]
pub struct PodIndex {
    state: Mutex<State>,
}

impl PodIndex {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a pod of a Work's component; returns the Work when that is news.
    pub fn insert(&self, uid: &str, work: &str, component: &str) -> Option<String> {
        let mut state = self.lock();
        let place = (work.to_owned(), component.to_owned());
        if state.places.get(uid) == Some(&place) {
            return None;
        }
        remove(&mut state, uid);
        state
            .pods
            .entry(place.clone())
            .or_default()
            .insert(uid.to_owned());
        state.places.insert(uid.to_owned(), place);
        Some(work.to_owned())
    }

    /// The pod has ended or is gone; returns its Work when it was counted.
    pub fn remove(&self, uid: &str) -> Option<String> {
        remove(&mut self.lock(), uid)
    }

    /// The list of pods is complete.
    pub fn complete(&self) {
        self.lock().complete = true;
    }

    /// Pods of a Work; `None` while that is not known.
    pub fn of_work(&self, work: &str) -> Option<u32> {
        self.components(work).map(|counts| counts.values().sum())
    }

    /// Pods of a Work by component (its label or its name); `None` while that is not known.
    pub fn components(&self, work: &str) -> Option<BTreeMap<String, u32>> {
        let state = self.lock();
        let each = state.pods.iter().filter(|((of, _), _)| of == work);
        let count = |uids: &BTreeSet<String>| u32::try_from(uids.len()).unwrap_or(u32::MAX);
        let counts = each.map(|((_, component), uids)| (component.clone(), count(uids)));
        let counts = counts.collect();
        state.complete.then_some(counts)
    }

    /// True once the first list of pods is complete.
    pub fn is_complete(&self) -> bool {
        self.lock().complete
    }
}

fn remove(state: &mut State, uid: &str) -> Option<String> {
    let place = state.places.remove(uid)?;
    if let Some(uids) = state.pods.get_mut(&place) {
        uids.remove(uid);
        if uids.is_empty() {
            state.pods.remove(&place);
        }
    }
    Some(place.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_count_until_they_are_gone_and_only_once_all_are_known() {
        let index = PodIndex::default();
        assert_eq!(index.insert("1", "w", "deployment-web"), Some("w".into()));
        assert_eq!(index.insert("1", "w", "deployment-web"), None);
        index.insert("2", "w", "deployment-api");
        assert_eq!(index.of_work("w"), None);
        index.complete();
        assert_eq!(index.of_work("w"), Some(2));
        assert_eq!(index.components("w").unwrap()["deployment-web"], 1);
        assert_eq!(index.remove("1"), Some("w".into()));
        assert_eq!(index.remove("1"), None);
        assert_eq!(index.of_work("w"), Some(1));
        assert_eq!(index.of_work("other"), Some(0));
    }
}
