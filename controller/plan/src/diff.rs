//! From the Works that are wanted to the writes that bring them about.

use heyun_crds::Work;
use heyun_crds::labels;
use heyun_crds::work::WorkSpec;

use crate::render::RenderedWork;

/// One write. [`works`] orders them: what is added or changed comes before what goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The Work does not exist.
    Create(RenderedWork),
    /// The Work exists and says something else.
    Update {
        /// What it is to say.
        work: RenderedWork,
        /// uid of the Work that was compared.
        uid: String,
        /// resourceVersion of the Work that was compared: the precondition of the write.
        resource_version: String,
        /// Copies of Secrets that the Work no longer names, by name: they go after the write.
        dropped: Vec<String>,
    },
    /// The Work is no longer wanted: `spec.retire` gets the epoch, by a fenced write.
    Retire(Existing),
    /// The Work is retired: it is deleted, with uid and resourceVersion as precondition.
    Delete(Existing),
}

/// A Work as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Existing {
    /// Namespace on the hub (`heyun-member-NAME`).
    pub namespace: String,
    /// Name.
    pub name: String,
    /// uid.
    pub uid: String,
    /// resourceVersion.
    pub resource_version: String,
}

impl Existing {
    fn of(work: &Work) -> Self {
        Self {
            namespace: work.metadata.namespace.clone().unwrap_or_default(),
            name: work.metadata.name.clone().unwrap_or_default(),
            uid: work.metadata.uid.clone().unwrap_or_default(),
            resource_version: work.metadata.resource_version.clone().unwrap_or_default(),
        }
    }
}

/// The writes that turn the `existing` Works of one Workload into the `desired` ones: creates and
/// updates in the order of `desired`, then what goes, by namespace and name.
///
/// An epoch alone is no change. A Work that is being deleted gets no write: when it is gone, the
/// next call creates it anew if it is wanted.
pub fn works(desired: &[RenderedWork], existing: &[Work]) -> Vec<Step> {
    let mut steps = Vec::new();
    for wanted in desired {
        match existing.iter().find(|work| is_same_object(wanted, work)) {
            None => steps.push(Step::Create(wanted.clone())),
            Some(work) if work.metadata.deletion_timestamp.is_some() => {}
            Some(work) => {
                if !says_the_same(wanted, work) {
                    let Existing {
                        uid,
                        resource_version,
                        ..
                    } = Existing::of(work);
                    steps.push(Step::Update {
                        work: wanted.clone(),
                        uid,
                        resource_version,
                        dropped: dropped(wanted, work),
                    });
                }
            }
        }
    }
    let mut going: Vec<&Work> = existing
        .iter()
        .filter(|work| work.metadata.deletion_timestamp.is_none())
        .filter(|work| !desired.iter().any(|wanted| is_same_object(wanted, work)))
        .collect();
    going.sort_by_key(|work| (&work.metadata.namespace, &work.metadata.name));
    steps.extend(going.into_iter().map(|work| {
        let seen = Existing::of(work);
        if work.spec.retire.is_some() {
            Step::Delete(seen)
        } else {
            Step::Retire(seen)
        }
    }));
    steps
}

fn dropped(wanted: &RenderedWork, work: &Work) -> Vec<String> {
    let kept = |source: &str| wanted.spec.secrets.iter().any(|s| s.source == source);
    let sources = work.spec.secrets.iter().map(|s| &s.source);
    sources.filter(|source| !kept(source)).cloned().collect()
}

fn is_same_object(wanted: &RenderedWork, work: &Work) -> bool {
    work.metadata.namespace.as_deref() == Some(&wanted.namespace)
        && work.metadata.name.as_deref() == Some(&wanted.name)
}

fn says_the_same(wanted: &RenderedWork, work: &Work) -> bool {
    let metadata = &work.metadata;
    let holds =
        |have: &Option<std::collections::BTreeMap<String, String>>, key: &str, value: &str| {
            have.as_ref()
                .and_then(|map| map.get(key))
                .is_some_and(|found| found == value)
        };
    wanted
        .labels
        .iter()
        .all(|(k, v)| holds(&metadata.labels, k, v))
        && wanted
            .annotations
            .iter()
            .all(|(k, v)| holds(&metadata.annotations, k, v))
        && same_spec(&wanted.spec, &work.spec)
}

/// Whether two specs ask for the same: everything but the epoch, in the spec and on the objects.
pub fn same_spec(one: &WorkSpec, other: &WorkSpec) -> bool {
    if one.epoch == other.epoch {
        return one == other;
    }
    without_epoch(one) == without_epoch(other)
}

/// The spec with no epoch in it.
pub fn without_epoch(spec: &WorkSpec) -> WorkSpec {
    let mut spec = spec.clone();
    spec.epoch = 0;
    for manifest in &mut spec.manifests {
        if let Some(annotations) = manifest
            .0
            .pointer_mut("/metadata/annotations")
            .and_then(|a| a.as_object_mut())
        {
            annotations.remove(labels::EPOCH);
        }
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use heyun_crds::work::CarriedSecret;
    use heyun_crds::workload::Manifest;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    fn wanted(member: &str, decision: &str, epoch: i64) -> RenderedWork {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "c", "annotations": {labels::EPOCH: epoch.to_string()}},
        });
        RenderedWork {
            namespace: format!("heyun-member-{member}"),
            name: "web-0123456789".to_owned(),
            labels: [(labels::WORKLOAD.to_owned(), "web".to_owned())].into(),
            spec: WorkSpec {
                decision: decision.to_owned(),
                epoch,
                manifests: vec![Manifest(object)],
                ..WorkSpec::default()
            },
            ..RenderedWork::default()
        }
    }

    fn seen(rendered: &RenderedWork) -> Work {
        let mut work = Work::new(&rendered.name, rendered.spec.clone());
        work.metadata.namespace = Some(rendered.namespace.clone());
        work.metadata.uid = Some("u".to_owned());
        work.metadata.resource_version = Some("7".to_owned());
        work.metadata.labels = Some(rendered.labels.clone());
        work
    }

    fn shape(steps: &[Step]) -> Vec<String> {
        steps
            .iter()
            .map(|step| match step {
                Step::Create(work) => format!("create {}", work.namespace),
                Step::Update { work, .. } => format!("update {}", work.namespace),
                Step::Retire(work) => format!("retire {}", work.namespace),
                Step::Delete(work) => format!("delete {}", work.namespace),
            })
            .collect()
    }

    #[test]
    fn what_is_there_needs_no_write_and_an_epoch_is_no_change() {
        let old = wanted("a", "d1", 3);
        assert_eq!(works(std::slice::from_ref(&old), &[seen(&old)]), []);
        assert_eq!(works(&[wanted("a", "d1", 4)], &[seen(&old)]), []);
        assert_eq!(
            shape(&works(&[wanted("a", "d2", 4)], &[seen(&old)])),
            ["update heyun-member-a"]
        );
    }

    #[test]
    fn additions_come_before_what_goes() {
        let (a, b, c) = (
            wanted("a", "d1", 3),
            wanted("b", "d1", 3),
            wanted("c", "d1", 3),
        );
        let mut retired = seen(&b);
        retired.spec.retire = Some(3);
        let steps = works(
            &[wanted("z", "d2", 3), wanted("c", "d2", 3)],
            &[retired, seen(&a), seen(&c)],
        );
        assert_eq!(
            shape(&steps),
            [
                "create heyun-member-z",
                "update heyun-member-c",
                "retire heyun-member-a",
                "delete heyun-member-b",
            ]
        );
    }

    #[test]
    fn a_retired_work_that_is_wanted_again_is_asserted_and_one_being_deleted_is_left() {
        let a = wanted("a", "d1", 3);
        let mut work = seen(&a);
        work.spec.retire = Some(2);
        assert_eq!(
            shape(&works(
                std::slice::from_ref(&a),
                std::slice::from_ref(&work)
            )),
            ["update heyun-member-a"]
        );
        work.metadata.deletion_timestamp = Some(Time("2027-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(works(&[a], std::slice::from_ref(&work)), []);
        assert_eq!(works(&[], &[work]), []);
    }

    #[test]
    fn copies_of_secrets_that_no_longer_go_along_are_dropped() {
        let carrying = |names: &[&str]| {
            let mut rendered = wanted("a", "d1", 3);
            let carried = names.iter().map(|name| CarriedSecret {
                name: (*name).to_owned(),
                source: format!("{name}-copy"),
                ..CarriedSecret::default()
            });
            rendered.spec.secrets = carried.collect();
            rendered
        };
        let steps = works(&[carrying(&["db"])], &[seen(&carrying(&["db", "tls"]))]);
        let [Step::Update { dropped, .. }] = steps.as_slice() else {
            panic!("{:?}", shape(&steps))
        };
        assert_eq!(*dropped, ["tls-copy"]);
    }

    #[test]
    fn a_label_that_was_taken_off_is_put_back() {
        let a = wanted("a", "d1", 3);
        let mut work = seen(&a);
        work.metadata.labels = None;
        assert_eq!(shape(&works(&[a], &[work])), ["update heyun-member-a"]);
    }
}
