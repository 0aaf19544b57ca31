//! A Secret that several Works of one namespace use. One Work asserts it for all; when that one no
//! longer uses it, the next takes it over, and the last takes it away.
//!
//! Only Secrets are shared: two Workloads that name one Secret of their namespace mean the same
//! one, while manifests of one name are two objects.

use heyun_crds::conditions::Reason;
use heyun_crds::labels;
use heyun_crds::work::Work;
use kube::api::ListParams;

use super::decide::{Rules, Step, decide};
use super::object::{Outcome, Place};
use super::{Executor, name_of, status};
use crate::client::{CALL_LIMIT, within};
use crate::error::{Class, Error};
use crate::seen::{ObjectKey, Seen};

/// Works of one page of a list.
const PAGE: u32 = 500;

impl Executor {
    /// Brings about a Secret that Work `other` asserts.
    pub(super) async fn share(
        &self,
        place: &Place<'_>,
        seen: &Seen,
        other: &str,
        rules: &Rules<'_>,
    ) -> Result<Outcome, Error> {
        let key = &place.wanted.key;
        if !self.is_user(other, key).await? {
            let inherited = Seen {
                work: Some(rules.work.to_owned()),
                hash: None,
                ..seen.clone()
            };
            let step = decide(key, Some(&inherited), rules, |_| None);
            return self.take(place, step, Some(&inherited)).await;
        }
        if seen.hash.as_deref() == Some(rules.hash) {
            return self.take(place, Step::Keep, Some(seen)).await;
        }
        // No watch looks at it: the next pass reads it again.
        self.parts.shelf.remove(key);
        let message = format!("Work {other} asserts it too and brings the new value");
        Ok(Outcome {
            state: status::state(key, Reason::Applying, &message),
            class: Some(Class::Transient),
            ..Outcome::default()
        })
    }

    /// Whether that Work is there to stay and uses the Secret.
    pub(super) async fn is_user(&self, work: &str, key: &ObjectKey) -> Result<bool, Error> {
        let doing = format!("look whether Work {work} uses {key}");
        let found = within(CALL_LIMIT, doing, self.works.get_opt(work)).await?;
        Ok(found.is_some_and(|work| uses(&work, key)))
    }

    /// Whether a Work besides that one is there to stay and uses the Secret.
    pub(super) async fn has_another_user(
        &self,
        work: &str,
        key: &ObjectKey,
    ) -> Result<bool, Error> {
        let same = format!("{}={}", labels::WORKLOAD_NAMESPACE, key.namespace);
        let mut page = ListParams::default().labels(&same).limit(PAGE);
        loop {
            let doing = format!("look who else uses {key}");
            let works = within(CALL_LIMIT, doing, self.works.list(&page)).await?;
            if works
                .items
                .iter()
                .any(|one| name_of(one) != work && uses(one, key))
            {
                return Ok(true);
            }
            match works.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(false),
            }
        }
    }
}

fn uses(work: &Work, key: &ObjectKey) -> bool {
    work.metadata.deletion_timestamp.is_none()
        && work.spec.workload.namespace == key.namespace
        && work.spec.secrets.iter().any(|one| one.name == key.name)
}

#[cfg(test)]
mod tests {
    use heyun_crds::work::{CarriedSecret, WorkSpec, WorkloadKey};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::seen::KindKey;

    fn work() -> Work {
        let secret = CarriedSecret {
            name: "db".into(),
            ..CarriedSecret::default()
        };
        let spec = WorkSpec {
            workload: WorkloadKey {
                namespace: "gz-a".into(),
                ..WorkloadKey::default()
            },
            secrets: vec![secret],
            ..WorkSpec::default()
        };
        Work::new("w", spec)
    }

    fn key(namespace: &str, name: &str) -> ObjectKey {
        ObjectKey {
            kind: KindKey {
                api_version: "v1".into(),
                kind: "Secret".into(),
            },
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    #[test]
    fn a_user_lists_the_secret_in_its_namespace_and_is_not_leaving() {
        assert!(uses(&work(), &key("gz-a", "db")));
        assert!(!uses(&work(), &key("gz-a", "other")));
        assert!(!uses(&work(), &key("gz-b", "db")));
        let mut leaving = work();
        leaving.metadata.deletion_timestamp = Some(Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH));
        assert!(!uses(&leaving, &key("gz-a", "db")));
    }
}
