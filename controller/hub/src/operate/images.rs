//! What registries told of images, and who waits for it. The state is pure.
//!
//! ```text
//! look ──missing──► request ──► registries ──► take ──► look again
//!   ▲                                           │
//!   └───────── due: asked again ◄── failed ◄────┘
//! ```
//!
//! What a digest names never changes; what a tag names counts for a while. A failure counts until
//! it is due by the one table, and is shown meanwhile. Who asks with a pull Secret is told what
//! that Secret may see, and nobody else is: its hash is a part of the question.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use heyun_crds::conditions::{ConditionType, Reason, condition};
use heyun_crds::workload::Decision;
use heyun_member::error::{Attempts, Classify, describe};
use heyun_plan::images::{self, ImageName, Version};
use heyun_plan::interpret::summarize;
use heyun_scheduler::request::WorkloadKey;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use super::look::{Facts, Look, Refusal, Sight};
use super::status::tell;
use super::{Ended, Operator};
use crate::images::{Failure, PullSecret};
use crate::world::Entry;

/// How long what a registry told of a tag counts.
const TAG_TTL: Duration = Duration::from_mins(10);
/// Images that something is known of; beyond it the least by name is forgotten, and asked again.
const IMAGES_MAX: usize = 10_000;
/// Questions that are not answered yet; beyond it Workloads wait for the end of any.
const UNDER_WAY_MAX: usize = 512;
/// Those of one namespace, so that none keeps all others waiting.
const OF_NAMESPACE_MAX: usize = 32;

/// What a registry is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ask {
    image: ImageName,
    /// Namespace of the pull Secrets; empty where there are none.
    namespace: String,
    /// Pull Secrets that are there, with their hashes.
    secrets: BTreeMap<String, String>,
}

/// The answer.
#[derive(Debug)]
pub(super) struct Told {
    ask: Ask,
    platforms: Result<BTreeSet<String>, Failure>,
}

#[derive(Debug)]
struct Known {
    platforms: BTreeSet<String>,
    until: Option<Duration>,
}

#[derive(Debug)]
struct Failed {
    message: String,
    at: Duration,
}

/// What is known of images, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Images {
    known: BTreeMap<Ask, Known>,
    failed: BTreeMap<Ask, Failed>,
    /// When tags count no longer, and when what failed is asked again.
    tags_due: BTreeSet<(Duration, Ask)>,
    failures_due: BTreeSet<(Duration, Ask)>,
    attempts: Attempts,
    /// Questions that are not answered yet, with the namespace that asked first.
    under_way: BTreeMap<Ask, String>,
    waiting: BTreeMap<Ask, BTreeSet<WorkloadKey>>,
    /// Those that wait for room.
    crowded: BTreeSet<WorkloadKey>,
}

impl Images {
    /// A Workload waits for these; those that are to be asked now.
    fn request(&mut self, key: &WorkloadKey, asks: Vec<Ask>) -> Vec<Ask> {
        let mut start = Vec::new();
        let same = self.under_way.values().filter(|of| **of == key.namespace);
        let mut own = same.count();
        for ask in asks {
            if !self.under_way.contains_key(&ask) {
                if self.under_way.len() >= UNDER_WAY_MAX || own >= OF_NAMESPACE_MAX {
                    self.crowded.insert(key.clone());
                    continue;
                }
                own += 1;
                self.under_way.insert(ask.clone(), key.namespace.clone());
                start.push(ask.clone());
            }
            self.waiting.entry(ask).or_default().insert(key.clone());
        }
        start
    }

    /// Takes in an answer; the Workloads that are to be looked at. After a failure they still wait.
    fn take(&mut self, told: Told, now: Duration) -> BTreeSet<WorkloadKey> {
        let Told { ask, platforms } = told;
        self.under_way.remove(&ask);
        let mut look = std::mem::take(&mut self.crowded);
        match platforms {
            Ok(platforms) => {
                self.attempts.succeeded(&ask.name());
                look.extend(self.waiting.remove(&ask).unwrap_or_default());
                self.keep(ask, platforms, now);
            }
            Err(failure) => {
                look.extend(self.waiting.get(&ask).cloned().unwrap_or_default());
                self.fail(ask, failure, now);
            }
        }
        look
    }

    fn keep(&mut self, ask: Ask, platforms: BTreeSet<String>, now: Duration) {
        let until = match ask.image.version {
            Version::Digest(_) => None,
            Version::Tag(_) => Some(now + TAG_TTL),
        };
        if self.known.len() >= IMAGES_MAX
            && let Some((least, known)) = self.known.pop_first()
        {
            let due = known.until.map(|until| (until, least));
            due.map(|due| self.tags_due.remove(&due));
        }
        if let Some(until) = until {
            self.tags_due.insert((until, ask.clone()));
        }
        self.known.insert(ask, Known { platforms, until });
    }

    fn fail(&mut self, ask: Ask, failure: Failure, now: Duration) {
        // The table gives a delay to every class but one, which no answer of a registry has.
        let delay = self.attempts.failed(&ask.name(), failure.class);
        let at = now + delay.unwrap_or(TAG_TTL);
        if self.failed.len() >= IMAGES_MAX
            && let Some((least, failed)) = self.failed.pop_first()
        {
            self.failures_due.remove(&(failed.at, least.clone()));
            self.crowded
                .extend(self.waiting.remove(&least).unwrap_or_default());
        }
        self.failures_due.insert((at, ask.clone()));
        let message = failure.message;
        self.failed.insert(ask, Failed { message, at });
    }

    /// Forgets what counts no longer; the Workloads that wait for what is to be asked again.
    pub(super) fn take_due(&mut self, now: Duration) -> BTreeSet<WorkloadKey> {
        while self.tags_due.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, ask)) = self.tags_due.pop_first() {
                self.known.remove(&ask);
            }
        }
        let mut look = BTreeSet::new();
        while self.failures_due.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, ask)) = self.failures_due.pop_first() {
                self.failed.remove(&ask);
                look.extend(self.waiting.remove(&ask).unwrap_or_default());
            }
        }
        look
    }

    /// When the next question is to be asked again.
    pub(super) fn next(&self) -> Option<Duration> {
        self.failures_due.first().map(|(at, _)| *at)
    }
}

impl Ask {
    fn new(image: ImageName, namespace: &str, secrets: &BTreeMap<String, String>) -> Self {
        let namespace = if secrets.is_empty() { "" } else { namespace };
        Self {
            image,
            namespace: namespace.to_owned(),
            secrets: secrets.clone(),
        }
    }

    /// For counting failures.
    fn name(&self) -> String {
        format!("{} {}", self.image, self.namespace)
    }
}

/// Why a Workload cannot be decided yet.
pub(super) enum Unready {
    /// Pull Secrets must be read first.
    Secrets(Vec<String>),
    /// Registries must be asked first.
    Ask(Vec<Ask>),
    /// They were asked, and did not tell.
    Unknown(Refusal),
    /// What they told leaves no node.
    Refused(Refusal),
}

impl Sight<'_> {
    /// Narrows what a Workload means to the platforms of its images, if registries are asked and
    /// it declares none.
    pub(super) fn platforms(&self, entry: &Entry, facts: &mut Facts) -> Result<(), Unready> {
        let Some(registries) = self.registries.filter(|_| entry.spec.platforms.is_empty()) else {
            return Ok(());
        };
        let namespace = &entry.key.namespace;
        let mut known = BTreeMap::new();
        let (mut missing, mut failures) = (BTreeSet::new(), BTreeSet::new());
        for component in &facts.interpreted.components {
            let secrets = self
                .secrets
                .hashes(namespace, component.pull_secrets.iter());
            let secrets = secrets.map_err(Unready::Secrets)?;
            for written in images::all_images(component) {
                let image = ImageName::parse(written).map_err(|error| {
                    Unready::Refused(refusal(Reason::Invalid, error.to_string()))
                })?;
                if !registries.asks(&image.registry) {
                    continue;
                }
                let ask = Ask::new(image, namespace, &secrets);
                if let Some(found) = self.images.known.get(&ask) {
                    known.insert(written.to_owned(), found.platforms.clone());
                } else if let Some(failed) = self.images.failed.get(&ask) {
                    failures.insert(format!("image {}: {}", ask.image, failed.message));
                } else {
                    missing.insert(ask);
                }
            }
        }
        if !missing.is_empty() {
            return Err(Unready::Ask(missing.into_iter().collect()));
        }
        if !failures.is_empty() {
            return Err(Unready::Unknown(unknown(&failures)));
        }
        images::narrow(&mut facts.interpreted, &known)
            .map_err(|errors| Unready::Refused(refusal(Reason::Invalid, summarize(&errors))))
    }

    /// What there is to do about a Workload that cannot be decided yet. A decision that stands for
    /// this generation goes on.
    pub(super) fn unready(
        &self,
        entry: &Entry,
        facts: &Facts,
        standing: Option<Decision>,
        unready: Unready,
    ) -> Look {
        match (unready, standing) {
            (Unready::Secrets(names), _) => Look::Secrets(names),
            (Unready::Ask(asks), _) => Look::Images(asks),
            (_, Some(decision)) => self.follow(entry, facts, decision),
            (Unready::Refused(refusal), None) => self.refuse(entry, &refusal),
            (Unready::Unknown(refusal), None) => {
                let Refusal { reason, message } = refusal;
                let mut after = self.unscheduled(entry, reason, &message);
                let accepted = (ConditionType::Accepted, Some(true), Reason::Ok.as_str(), "");
                tell(&mut after, entry.generation(), &self.now, [accepted]);
                after.summary.reason = format!("{reason}: {message}");
                if after.decision.is_none() {
                    "-".clone_into(&mut after.summary.members);
                }
                self.upheld(entry, after)
            }
        }
    }

    /// The same for a question: the decision that stands tells what was known when it was made. One
    /// who does not ask registries itself, because another leads, repeats what the leader said.
    pub(super) fn known_platforms(&self, entry: &Entry, facts: &mut Facts) -> Result<(), Refusal> {
        let Err(unready) = self.platforms(entry, facts) else {
            return Ok(());
        };
        if let Some(decision) = entry.decided() {
            for component in &mut facts.interpreted.components {
                let mut of = decision.assignments.iter();
                let of = of.find(|a| a.component == component.request.name);
                if let Some(assignment) = of.filter(|a| !a.architectures.is_empty()) {
                    let runs_on = assignment.architectures.iter().cloned().collect();
                    component.request.architectures = runs_on;
                }
            }
            return Ok(());
        }
        let reason = Reason::ImagePlatformsUnknown;
        let status = &entry.status;
        let said = condition(&status.conditions, ConditionType::Scheduled);
        let said = said.filter(|_| status.observed_generation == entry.generation());
        match (unready, said) {
            (Unready::Unknown(refusal) | Unready::Refused(refusal), _) => Err(refusal),
            (_, Some(said)) if said.reason == reason.as_str() => {
                Err(refusal(reason, said.message.clone()))
            }
            // It was decided on what was known then.
            (_, Some(_)) => Ok(()),
            (_, None) => {
                let message = "the registries of its images are being asked for their platforms";
                Err(refusal(reason, message.to_owned()))
            }
        }
    }

    /// Why the images keep a Workload from being decided; `None` where they do not.
    pub(super) fn unknown_platforms(&self, entry: &Entry) -> Option<Refusal> {
        self.registries?;
        let mut facts = self.facts(entry).ok()?;
        self.known_platforms(entry, &mut facts).err()
    }
}

fn refusal(reason: Reason, message: String) -> Refusal {
    Refusal { reason, message }
}

/// Most images that a message names.
const NAMED: usize = 3;

fn unknown(failures: &BTreeSet<String>) -> Refusal {
    let mut parts: Vec<&str> = failures.iter().take(NAMED).map(String::as_str).collect();
    let more = format!("and {} more", failures.len().saturating_sub(NAMED));
    if failures.len() > NAMED {
        parts.push(&more);
    }
    let message = format!(
        "{}; it is asked again by itself: have the registry mended, or declare the platforms in \
         spec.platforms, such as [linux/amd64, linux/arm64]",
        parts.join("; ")
    );
    refusal(Reason::ImagePlatformsUnknown, message)
}

impl Operator {
    /// Asks registries about images that a Workload needs; it is looked at again when they answer.
    pub(super) fn ask_images(&mut self, key: &WorkloadKey, asks: Vec<Ask>) {
        let Some(registries) = self.around.registries.clone() else {
            return;
        };
        for ask in self.images.request(key, asks) {
            let (client, registries) = (self.around.client.clone(), registries.clone());
            self.running.spawn(async move {
                let platforms = match pull_secrets(&client, &ask).await {
                    Ok(pull) => registries.platforms(&ask.image, &pull).await,
                    Err(failure) => Err(failure),
                };
                Ended::Image(Box::new(Told { ask, platforms }))
            });
        }
    }

    /// Takes in what a registry told.
    pub(super) fn take_image(&mut self, told: Told) {
        let now = self.around.clock.monotonic();
        let failure = told.platforms.as_ref().err();
        let error_type = failure.map_or("", |failure| failure.class.as_str());
        self.around.metrics.registry_question(error_type);
        match &told.platforms {
            Ok(platforms) => {
                tracing::debug!(image = %told.ask.image, ?platforms, "platforms known");
            }
            Err(failure) => {
                tracing::warn!(image = %told.ask.image, error = %failure, "platforms are not known");
            }
        }
        let look = self.images.take(told, now);
        self.candidates.extend(look);
    }
}

/// The pull Secrets of a question; what is in them goes to the registries and nowhere else.
async fn pull_secrets(client: &Client, ask: &Ask) -> Result<Vec<PullSecret>, Failure> {
    let mut read = Vec::new();
    for name in ask.secrets.keys() {
        let api: Api<Secret> = Api::namespaced(client.clone(), &ask.namespace);
        let secret = api.get_opt(name).await.map_err(|error| Failure {
            class: error.class(),
            message: format!(
                "Secret {}/{name} cannot be read: {}",
                ask.namespace,
                describe(&error)
            ),
        })?;
        read.extend(secret.as_ref().map(PullSecret::read));
    }
    Ok(read)
}

#[cfg(test)]
mod tests;
