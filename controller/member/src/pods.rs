//! Pods of ours on a member, counted until they have really ended: what an earlier decision
//! held is gone when its pods are. Each with what it requests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use heyun_plan::live::{Ask, Live};

#[derive(Debug, Default)]
struct State {
    /// True once the first list of pods is complete.
    complete: bool,
    /// Pods by Work and component (label or name): uid and what each requests.
    pods: BTreeMap<(String, String), BTreeMap<String, Ask>>,
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

    /// Counts a pod of a Work's component; returns the Work when that is news, or what the pod
    /// requests is.
    pub fn insert(&self, uid: &str, work: &str, component: &str, ask: Ask) -> Option<String> {
        let mut state = self.lock();
        let place = (work.to_owned(), component.to_owned());
        let held = state.pods.get(&place).and_then(|pods| pods.get(uid));
        if held == Some(&ask) {
            return None;
        }
        remove(&mut state, uid);
        state
            .pods
            .entry(place.clone())
            .or_default()
            .insert(uid.to_owned(), ask);
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
        self.components(work)
            .map(|pods| pods.values().map(Live::pods).sum())
    }

    /// Pods of a Work by component (its label or its name); `None` while that is not known.
    pub fn components(&self, work: &str) -> Option<BTreeMap<String, Live>> {
        let state = self.lock();
        if !state.complete {
            return None;
        }
        let mut components = BTreeMap::new();
        for ((_, component), pods) in state.pods.iter().filter(|((of, _), _)| of == work) {
            let mut live = Live::default();
            for ask in pods.values() {
                live.add(ask);
            }
            components.insert(component.clone(), live);
        }
        Some(components)
    }

    /// True once the first list of pods is complete.
    pub fn is_complete(&self) -> bool {
        self.lock().complete
    }
}

fn remove(state: &mut State, uid: &str) -> Option<String> {
    let place = state.places.remove(uid)?;
    if let Some(pods) = state.pods.get_mut(&place) {
        pods.remove(uid);
        if pods.is_empty() {
            state.pods.remove(&place);
        }
    }
    Some(place.0)
}

#[cfg(test)]
mod tests {
    use heyun_plan::sketch::from_pod;

    use super::*;

    #[test]
    fn pods_count_until_they_are_gone_and_only_once_all_are_known() {
        let index = PodIndex::default();
        let insert = |uid: &str, component: &str| index.insert(uid, "w", component, Ask::default());
        assert_eq!(insert("1", "deployment-web"), Some("w".into()));
        assert_eq!(insert("1", "deployment-web"), None);
        insert("2", "deployment-api");
        assert_eq!(index.of_work("w"), None);
        index.complete();
        assert_eq!(index.of_work("w"), Some(2));
        assert_eq!(index.components("w").unwrap()["deployment-web"].pods(), 1);
        assert_eq!(index.remove("1"), Some("w".into()));
        assert_eq!(index.remove("1"), None);
        assert_eq!(index.of_work("w"), Some(1));
        assert_eq!(index.of_work("other"), Some(0));
    }

    #[test]
    fn a_pod_that_requests_something_else_is_news() {
        let index = PodIndex::default();
        let ask = |cpu: &str| -> Ask {
            let pod =
                serde_json::from_value(serde_json::json!({"metadata": {}, "spec": {"containers": [
                {"name": "c", "resources": {"requests": {"cpu": cpu}}}]}}));
            Ask::of(&from_pod(&pod.unwrap()))
        };
        index.insert("1", "w", "deployment-web", ask("1"));
        assert_eq!(index.insert("1", "w", "deployment-web", ask("1")), None);
        assert_eq!(
            index.insert("1", "w", "deployment-web", ask("2")),
            Some("w".into())
        );
        index.complete();
        let mut wanted = Live::default();
        wanted.add(&ask("2"));
        assert_eq!(index.components("w").unwrap()["deployment-web"], wanted);
        assert_eq!(index.of_work("w"), Some(1));
    }
}
