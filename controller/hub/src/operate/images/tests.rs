use heyun_crds::Workload;
use heyun_crds::workload::{Assignment, Manifest, WorkloadSpec, WorkloadStatus};
use heyun_member::error::Class;
use heyun_scheduler::Resources;
use heyun_scheduler::config::ScoreWeights;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::super::look::tests::tenant;
use super::super::secrets::Secrets;
use super::*;
use crate::images::Registries;
use crate::watch::{Change, Seen};
use crate::world::{Dirty, World};

fn key(name: &str) -> WorkloadKey {
    WorkloadKey::new("ns", name)
}

fn ask(image: &str) -> Ask {
    Ask {
        image: ImageName::parse(image).unwrap(),
        namespace: String::new(),
        secrets: BTreeMap::new(),
    }
}

fn with_secret(image: &str, hash: &str) -> Ask {
    Ask {
        namespace: "ns".to_owned(),
        secrets: BTreeMap::from([("pull".to_owned(), hash.to_owned())]),
        ..ask(image)
    }
}

fn told(ask: &Ask) -> Told {
    let platforms = Ok(BTreeSet::from(["linux/arm64".to_owned()]));
    let ask = ask.clone();
    Told { ask, platforms }
}

fn failed(ask: &Ask) -> Told {
    let message = "r.example does not answer".to_owned();
    let class = Class::Unreachable;
    let platforms = Err(Failure { class, message });
    let ask = ask.clone();
    Told { ask, platforms }
}

const PINNED: &str =
    "r.example/a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn one_question_serves_all_who_wait_and_a_tag_counts_for_a_while() {
    let mut images = Images::default();
    let (tag, pinned) = (ask("r.example/a:1"), ask(PINNED));
    let both = vec![tag.clone(), pinned.clone()];
    assert_eq!(images.request(&key("a"), both.clone()), both);
    assert!(images.request(&key("b"), vec![tag.clone()]).is_empty());
    let now = Duration::from_secs(7);
    assert_eq!(images.take(told(&tag), now), [key("a"), key("b")].into());
    assert_eq!(images.take(told(&pinned), now), [key("a")].into());
    let is_known = |images: &Images, ask: &Ask| images.known.contains_key(ask);
    images.take_due(TAG_TTL);
    assert!(is_known(&images, &tag));
    images.take_due(now + TAG_TTL);
    assert!(!is_known(&images, &tag) && is_known(&images, &pinned));
    assert_eq!(images.next(), None, "nobody waits for it");
}

#[test]
fn what_failed_is_shown_and_asked_again_when_it_is_due() {
    let mut images = Images::default();
    let one = ask("r.example/a:1");
    let mut now = Duration::ZERO;
    let mut delays = Vec::new();
    for _ in 0..3 {
        assert_eq!(images.request(&key("a"), vec![one.clone()]).len(), 1);
        assert_eq!(images.take(failed(&one), now), [key("a")].into());
        assert!(images.failed.contains_key(&one));
        let due = images.next().unwrap();
        assert!(
            images
                .take_due(due.saturating_sub(Duration::from_millis(1)))
                .is_empty()
        );
        assert_eq!(images.take_due(due), [key("a")].into());
        assert!(!images.failed.contains_key(&one));
        delays.push(due.saturating_sub(now));
        now = due;
    }
    assert!(
        delays[0] >= Duration::from_secs(5) && delays[1] > delays[0],
        "{delays:?}"
    );
    images.request(&key("a"), vec![one.clone()]);
    assert_eq!(images.take(told(&one), now), [key("a")].into());
    assert_eq!(images.next(), None);
}

#[test]
fn what_a_pull_secret_may_see_is_known_to_who_has_it_alone() {
    let mut images = Images::default();
    let (own, changed) = (
        with_secret("r.example/a:1", "x"),
        with_secret("r.example/a:1", "y"),
    );
    images.request(&key("a"), vec![own.clone()]);
    images.take(told(&own), Duration::ZERO);
    assert!(images.known.contains_key(&own));
    for other in [ask("r.example/a:1"), changed] {
        assert!(!images.known.contains_key(&other));
    }
}

#[test]
fn questions_and_what_is_known_are_bounded() {
    let mut images = Images::default();
    let mut started = Vec::new();
    for ns in 0..=UNDER_WAY_MAX / OF_NAMESPACE_MAX {
        let all = (0..=OF_NAMESPACE_MAX).map(|n| ask(&format!("r.example/{ns}:{n}")));
        let key = WorkloadKey::new(format!("ns-{ns}"), "a");
        let room = UNDER_WAY_MAX - started.len();
        let of = images.request(&key, all.collect());
        assert_eq!(of.len(), OF_NAMESPACE_MAX.min(room));
        started.extend(of);
    }
    // The end of any makes room for all that wait for it.
    let look = images.take(told(&started[0]), Duration::ZERO);
    assert_eq!(look.len(), UNDER_WAY_MAX / OF_NAMESPACE_MAX + 1);
    let mut images = Images::default();
    for n in 0..=IMAGES_MAX {
        images.take(told(&ask(&format!("r.example/b:{n}"))), Duration::ZERO);
        images.take(failed(&ask(&format!("r.example/c:{n}"))), Duration::ZERO);
    }
    assert_eq!(
        (images.known.len(), images.failed.len()),
        (IMAGES_MAX, IMAGES_MAX)
    );
    assert_eq!(
        (images.tags_due.len(), images.failures_due.len()),
        (IMAGES_MAX, IMAGES_MAX)
    );
}

/// A hub that asks `r.example` alone.
fn registries() -> Registries {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = tempfile::NamedTempFile::new().unwrap();
    let yaml = "unlisted: Skip\nregistries: [{host: r.example, insecure: true}]\n";
    std::fs::write(file.path(), yaml).unwrap();
    Registries::load(file.path()).unwrap()
}

/// A Workload `ns/web` of a tenant, with this image and a decision of the generation that is `decided`;
/// its own is 2.
fn world(image: &str, platforms: &[&str], decided: Option<i64>) -> World {
    let pod = json!({"containers": [{"name": "c", "image": image}]});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod},
        },
    });
    let spec = WorkloadSpec {
        manifests: vec![Manifest(deployment)],
        platforms: platforms.iter().map(|&p| p.to_owned()).collect(),
        ..WorkloadSpec::default()
    };
    let mut workload = Workload::new("web", spec);
    workload.metadata.namespace = Some("ns".to_owned());
    workload.metadata.resource_version = Some("5".to_owned());
    workload.metadata.generation = Some(2);
    let assignment = Assignment {
        component: "Deployment/web".to_owned(),
        member: "gone".to_owned(),
        flavor: "-".to_owned(),
        replicas: 1,
        architectures: vec!["arm64".to_owned()],
        ..Assignment::default()
    };
    let decision = decided.map(|generation| Decision {
        generation,
        assignments: vec![assignment],
        ..Decision::default()
    });
    workload.status = Some(WorkloadStatus {
        decision,
        ..WorkloadStatus::default()
    });
    let (mut world, mut dirty) = (World::default(), Dirty::default());
    world.see(tenant(), &mut dirty);
    world.see(
        Seen::Workload(Change::Apply(Box::new(workload))),
        &mut dirty,
    );
    world.plant();
    world
}

/// A look at `ns/web`.
fn look(world: &World, images: &Images, registries: Option<&Registries>, again: bool) -> Look {
    let sight = Sight {
        world,
        secrets: &Secrets::default(),
        images,
        registries,
        default_requests: &Resources::default(),
        weights: ScoreWeights::default(),
        unreachable: &BTreeSet::new(),
        epoch: 2,
        now: Time("2027-01-01T00:00:00Z".parse().unwrap()),
    };
    sight.look(&key("web"), again)
}

/// What it leads to, in a word; and what is said of it.
fn looked(
    world: &World,
    images: &Images,
    registries: Option<&Registries>,
    again: bool,
) -> (&'static str, String) {
    match look(world, images, registries, again) {
        Look::Nothing => ("nothing", String::new()),
        Look::Write(chain) => {
            let status = chain.status.map(|status| status.after).unwrap_or_default();
            let said = condition(&status.conditions, ConditionType::Scheduled);
            (
                "write",
                said.map(|c| format!("{} {}", c.status, c.reason))
                    .unwrap_or_default(),
            )
        }
        Look::Decide(candidate) => {
            let runs = &candidate.request.components[0].architectures;
            ("decide", runs.iter().cloned().collect::<Vec<_>>().join(","))
        }
        Look::Secrets(_) => ("secrets", String::new()),
        Look::Images(asks) => ("ask", asks[0].image.to_string()),
    }
}

#[test]
fn nothing_is_decided_before_its_images_are_known_and_a_decision_that_stands_goes_on() {
    let asking = registries();
    let (image, nothing) = ("r.example/a:1", Images::default());
    let (mut known, mut down) = (Images::default(), Images::default());
    known.take(told(&ask(image)), Duration::ZERO);
    down.take(failed(&ask(image)), Duration::ZERO);

    let fresh = world(image, &[], None);
    let is = |word: &'static str, said: &str| (word, said.to_owned());
    assert_eq!(
        looked(&fresh, &nothing, Some(&asking), false),
        is("ask", image)
    );
    assert_eq!(
        looked(&fresh, &known, Some(&asking), false),
        is("decide", "arm64")
    );
    let unknown = is("write", "False ImagePlatformsUnknown");
    assert_eq!(looked(&fresh, &down, Some(&asking), false), unknown);
    // Nobody is asked where no registry is configured, of one that is not listed, and where the
    // Workload declares its platforms.
    assert_eq!(looked(&fresh, &nothing, None, false), is("decide", ""));
    let elsewhere = world("other.example/a:1", &[], None);
    assert_eq!(
        looked(&elsewhere, &nothing, Some(&asking), false),
        is("decide", "")
    );
    let declared = world(image, &["linux/amd64"], None);
    assert_eq!(
        looked(&declared, &down, Some(&asking), false),
        is("decide", "amd64")
    );

    // One that stands is followed, also by a hub that starts while the registry is down, and where
    // it is to be made anew. Its condition says that it is scheduled.
    let decided = world(image, &[], Some(2));
    let followed = looked(&decided, &nothing, None, false);
    assert_eq!(followed, is("write", "True Scheduled"));
    assert_eq!(looked(&decided, &nothing, Some(&asking), false), followed);
    assert_eq!(
        looked(&decided, &nothing, Some(&asking), true),
        is("ask", image)
    );
    assert_eq!(looked(&decided, &down, Some(&asking), true), followed);
    assert_eq!(
        looked(&decided, &known, Some(&asking), true),
        is("decide", "arm64")
    );
}

#[test]
fn an_earlier_decision_is_upheld_while_images_are_not_known() {
    let (asking, mut down) = (registries(), Images::default());
    down.take(failed(&ask("r.example/a:1")), Duration::ZERO);
    let earlier = world("r.example/a:1", &[], Some(1));
    let Look::Write(chain) = look(&earlier, &down, Some(&asking), false) else {
        panic!("nothing is said");
    };
    let after = chain.status.unwrap().after;
    let said = condition(&after.conditions, ConditionType::Scheduled).unwrap();
    assert_eq!(said.reason, "ImagePlatformsUnknown");
    assert_eq!(
        after.decision.unwrap().assignments,
        [],
        "what it never began is not held"
    );
}
