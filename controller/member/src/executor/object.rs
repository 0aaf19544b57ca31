//! One object: look, decide, write, remember.

use std::time::Duration;

use heyun_crds::conditions::Reason;
use heyun_crds::work::ObjectState;
use heyun_crds::workload::ImmutablePolicy;
use heyun_telemetry::labels::Verb;
use heyun_telemetry::{names::attribute, spans};
use kube::Api;
use kube::api::DynamicObject;
use std::sync::Arc;
use tracing::{Instrument as _, info_span};

use super::decide::{Rules, Step, Why, decide};
use super::drift::never_ours;
use super::marks::Refusal;
use super::refusals::{immutable_fields, refusal};
use super::status;
use super::wanted::{Content, Stamp, Wanted, intent, secret_intent};
use super::{Executor, Pass};
use crate::apply::{Force, apply, dry_run};
use crate::client::{CALL_LIMIT, within};
use crate::error::{Class, Classify as _, Error};
use crate::kinds::Kind;
use crate::seen::{Known, ObjectKey, Seen};

/// How long what was read is believed where no watch looks.
const FRESH: Duration = Duration::from_secs(30);
/// The same for Secrets, which no watch ever looks at: the hub may not read a member's Secrets.
const SECRET_FRESH: Duration = Duration::from_mins(10);
/// How often a write is tried again while a new binding settles, and how long is waited between.
const SETTLE_ATTEMPTS: u32 = 40;
const SETTLE_PAUSE: Duration = Duration::from_millis(100);

/// How it went with one object.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) state: ObjectState,
    pub(super) class: Option<Class>,
    pub(super) wrote: bool,
    pub(super) drifted: bool,
    pub(super) fenced: bool,
}

/// One object and its place.
pub(super) struct Place<'a> {
    pub(super) pass: &'a Pass<'a>,
    pub(super) wanted: &'a Wanted,
    pub(super) kind: Kind,
    pub(super) api: Api<DynamicObject>,
}

impl Executor {
    /// Brings one object about. An error means that nothing is known: the member or the hub did
    /// not answer.
    pub(super) async fn bring_about(
        &self,
        pass: &Pass<'_>,
        wanted: &Wanted,
    ) -> Result<Outcome, Error> {
        match self.try_bring_about(pass, wanted).await {
            Ok(outcome) => Ok(outcome),
            Err(error) if error.class() == Class::Unreachable => Err(error),
            Err(error) => Ok(self.failed(&wanted.key, &error, None)),
        }
    }

    fn failed(&self, key: &ObjectKey, error: &Error, seen: Option<&Seen>) -> Outcome {
        let refusal = refusal(key, &self.parts.scope.member, error);
        Outcome {
            fenced: error.is_fenced(),
            ..refused(key, &refusal, seen)
        }
    }

    async fn try_bring_about(&self, pass: &Pass<'_>, wanted: &Wanted) -> Result<Outcome, Error> {
        let key = &wanted.key;
        let (version, kind) = (&key.kind.api_version, &key.kind.kind);
        let kind = self
            .parts
            .kinds
            .resolve(&self.parts.member, version, kind)
            .await?;
        if !is_secret(key) {
            self.parts.in_use.note(&kind);
        }
        let api = pass.base.client.dynamic(&kind.resource);
        let place = Place {
            pass,
            wanted,
            kind,
            api,
        };
        let finished = status::finished(pass.work, key);
        let seen = self.look(&place, finished.is_some()).await?;
        if let Some(finished) = &finished
            && !seen
                .as_deref()
                .is_some_and(|seen| is_there(seen, pass.name))
        {
            return Ok(Outcome {
                state: status::gone(pass.work, key, finished.clone()),
                ..Outcome::default()
            });
        }
        let rules = Rules {
            work: pass.name,
            hash: &wanted.hash,
            adoption: pass.work.spec.adoption,
            uid: inventory_uid(pass, key),
            number: self.number(),
        };
        if let (Content::Secret(_), Some(seen)) = (&wanted.content, seen.as_deref())
            && let Some(other) = seen.work.as_deref().filter(|work| *work != pass.name)
        {
            return self.share(&place, seen, other, &rules).await;
        }
        let step = decide(key, seen.as_deref(), &rules, |seen| {
            self.drift(&place, seen)
        });
        let mut outcome = self.take(&place, step, seen.as_deref()).await?;
        status::finish(&mut outcome.state, pass.work, seen.as_deref(), finished);
        Ok(outcome)
    }

    /// What is there: from the watch, or read. What has `finished` need not be there.
    async fn look(&self, place: &Place<'_>, finished: bool) -> Result<Option<Arc<Seen>>, Error> {
        let key = &place.wanted.key;
        let fresh = if is_secret(key) { SECRET_FRESH } else { FRESH };
        match self.parts.shelf.get(key, self.now(), fresh) {
            Known::There(seen) => return Ok(Some(seen)),
            Known::Absent if finished => return Ok(None),
            Known::Absent | Known::Unknown => {}
        }
        // A watch sees what is ours; what is not ours has to be looked for.
        let found = self
            .settling(place, || {
                within(
                    CALL_LIMIT,
                    format!("look for {key}"),
                    place.api.get_opt(&key.name),
                )
            })
            .await?;
        if let Some(object) = found {
            let seen = Seen::of(object);
            if seen.work.is_none() {
                return Ok(Some(Arc::new(seen)));
            }
            return Ok(Some(self.parts.shelf.put(key, seen, self.now())));
        }
        self.parts.shelf.remove(key);
        Ok(None)
    }

    /// Tries again while a refusal may only mean that a new binding is not known yet.
    async fn settling<T, F>(&self, place: &Place<'_>, call: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut attempts = 0;
        loop {
            match call().await {
                Err(error)
                    if error.class() == Class::Denied
                        && !error.is_fenced()
                        && attempts < SETTLE_ATTEMPTS
                        && place.pass.base.settles(self.now()) =>
                {
                    attempts += 1;
                    tokio::time::sleep(SETTLE_PAUSE).await;
                }
                Err(error) => {
                    if error.class() == Class::Denied {
                        self.bases.forget(&place.wanted.key.namespace);
                    }
                    return Err(error);
                }
                answer => return answer,
            }
        }
    }

    pub(super) async fn take(
        &self,
        place: &Place<'_>,
        step: Step,
        seen: Option<&Seen>,
    ) -> Result<Outcome, Error> {
        let key = &place.wanted.key;
        let version = seen.map_or("", |seen| seen.version.as_str());
        if !matches!(step, Step::Keep | Step::Wait | Step::Refuse { .. })
            && let Some(held) = self
                .marks
                .refusal(key, &attempt(place), version, self.now())
        {
            return Ok(refused(key, &held, seen));
        }
        match (step, seen) {
            (Step::Keep, Some(seen)) => Ok(Outcome {
                state: status::applied(key, seen),
                ..Outcome::default()
            }),
            (Step::Wait, _) => {
                let state = status::state(key, Reason::Applying, "the old one is being deleted");
                Ok(Outcome {
                    state,
                    class: Some(Class::Transient),
                    ..Outcome::default()
                })
            }
            (Step::Refuse { reason, message }, _) => {
                let class = Class::Denied;
                Ok(refused(
                    key,
                    &Refusal {
                        reason,
                        message,
                        class,
                    },
                    None,
                ))
            }
            (Step::Assert(Why::Drifted(field)), Some(seen)) => {
                self.undo_drift(place, seen, &field).await
            }
            (Step::Assert(Why::Retired), Some(seen)) => {
                let kind = &place.kind.resource;
                let object = self.unmark(&place.api, key, kind, &seen.uid).await?;
                self.write(place, Some(&Seen::of(object))).await
            }
            (Step::AdoptIfSame, Some(seen)) => match self.difference(place, seen).await? {
                None => self.write(place, Some(seen)).await,
                Some(field) => Ok(refused(
                    key,
                    &Refusal {
                        reason: Reason::ObjectExists,
                        message: format!(
                            "{key} exists and differs at {field} from what would be applied; \
                             make them equal, or set spec.adoption: Always"
                        ),
                        class: Class::Denied,
                    },
                    None,
                )),
            },
            (_, seen) => self.write(place, seen).await,
        }
    }

    /// Where an apply would change an object that is not ours; labels and annotations that are
    /// added do not count.
    async fn difference(&self, place: &Place<'_>, seen: &Seen) -> Result<Option<String>, Error> {
        let key = &place.wanted.key;
        let object = self.intent(place, Some(seen)).await?;
        let doing = format!("try to apply {key}");
        let would = within(CALL_LIMIT, doing.clone(), dry_run(&place.api, &object)).await?;
        let is = within(CALL_LIMIT, doing, place.api.get(&key.name)).await?;
        let (Some(would), Some(is)) = (would.data.as_object(), is.data.as_object()) else {
            return Ok(None);
        };
        let differs =
            |field: &&String| field.as_str() != "status" && would.get(*field) != is.get(*field);
        Ok(would.keys().chain(is.keys()).find(differs).cloned())
    }

    /// The full intent; a Secret's payload is read from beside the Work now.
    async fn intent(&self, place: &Place<'_>, seen: Option<&Seen>) -> Result<DynamicObject, Error> {
        let wanted = place.wanted;
        let stamp = Stamp {
            work: place.pass.work,
            number: self.number(),
            uid: seen.map(|seen| seen.uid.as_str()),
            replicas: seen.and_then(|seen| seen.replicas),
        };
        let value = match &wanted.content {
            Content::Manifest(manifest) => intent(wanted, manifest, &stamp),
            Content::Secret(carried) => {
                let doing = format!("read Secret {} beside the Work", carried.source);
                let found =
                    within(CALL_LIMIT, doing, self.secrets.get_opt(&carried.source)).await?;
                let payload = found
                    .filter(|secret| heyun_plan::secrets::hash(secret) == carried.hash)
                    .ok_or_else(|| Error::Refused {
                        reason: Reason::NotFound,
                        message: format!(
                            "the payload of Secret {} is not beside the Work yet; the hub puts \
                             it there",
                            carried.name
                        ),
                    })?;
                secret_intent(wanted, &payload, &stamp)
            }
        };
        serde_json::from_value(value).map_err(|e| Error::Refused {
            reason: Reason::Invalid,
            // The parser names a place and a type, never the content.
            message: format!("{}: the manifest cannot be read: {e}", wanted.key),
        })
    }

    pub(super) async fn write(
        &self,
        place: &Place<'_>,
        seen: Option<&Seen>,
    ) -> Result<Outcome, Error> {
        let key = &place.wanted.key;
        let span = info_span!(
            spans::APPLY_OBJECT,
            { attribute::CLUSTER } = self.parts.scope.member,
            { attribute::KIND } = key.kind.kind,
            { attribute::NAME } = key.name,
        );
        self.write_in_span(place, seen).instrument(span).await
    }

    async fn write_in_span(
        &self,
        place: &Place<'_>,
        seen: Option<&Seen>,
    ) -> Result<Outcome, Error> {
        let (key, hash) = (&place.wanted.key, &place.wanted.hash);
        let object = self.intent(place, seen).await?;
        let version = seen.map(|seen| seen.version.as_str());
        let written = self
            .settling(place, || {
                let call = apply(&place.api, &object, version, Force::Yes);
                within(CALL_LIMIT, format!("apply {key}"), call)
            })
            .await;
        let verb = if seen.is_none() {
            Verb::Create
        } else {
            Verb::Apply
        };
        self.count_write(verb, written.as_ref().map(|_| ()));
        match written {
            Ok((_, object)) => {
                let seen = self.parts.shelf.put(key, Seen::of(object), self.now());
                self.marks.applied(key, hash, never_ours(place, &seen));
                let state = status::applied(key, &seen);
                Ok(Outcome {
                    state,
                    wrote: true,
                    ..Outcome::default()
                })
            }
            Err(error) if error.class() == Class::Unreachable => Err(error),
            Err(error) => self.write_refused(place, seen, &error).await,
        }
    }

    async fn write_refused(
        &self,
        place: &Place<'_>,
        seen: Option<&Seen>,
        error: &Error,
    ) -> Result<Outcome, Error> {
        let key = &place.wanted.key;
        if is_secret(key) {
            // No watch corrects what was seen of it, and that may be why: it is read again.
            self.parts.shelf.remove(key);
        }
        if let Some(seen) = seen
            && place.pass.work.spec.on_immutable == ImmutablePolicy::Recreate
            && error.status().and_then(immutable_fields).is_some()
        {
            self.delete(&place.api, key, &place.kind.resource, &seen.uid)
                .await?;
            let state = status::state(key, Reason::Immutable, "is deleted and created again");
            let class = Some(Class::Transient);
            return Ok(Outcome {
                state,
                class,
                wrote: true,
                ..Outcome::default()
            });
        }
        let outcome = self.failed(key, error, seen);
        let refusal = refusal(key, &self.parts.scope.member, error);
        let version = seen.map_or("", |seen| seen.version.as_str());
        if error.is_fenced() {
            // It is not the object that was refused, but this leader.
            return Ok(outcome);
        }
        self.marks
            .refused(key, &attempt(place), version, &refusal, self.now());
        Ok(Outcome {
            wrote: false,
            ..outcome
        })
    }
}

/// Whether it is this Work's and stays.
fn is_there(seen: &Seen, work: &str) -> bool {
    seen.work.as_deref() == Some(work) && !seen.deleting
}

pub(super) fn is_secret(key: &ObjectKey) -> bool {
    key.kind.api_version == "v1" && key.kind.kind == "Secret"
}

/// An object whose apply was refused: how the one that is there fares is told all the same.
fn refused(key: &ObjectKey, refusal: &Refusal, seen: Option<&Seen>) -> Outcome {
    // What is not ours must not come into the inventory by its uid.
    let ours = seen.filter(|seen| seen.work.is_some());
    let there = ours.map_or_else(ObjectState::default, |seen| status::applied(key, seen));
    let state = ObjectState {
        uid: there.uid,
        healthy: there.healthy,
        desired: there.desired,
        ready: there.ready,
        ..status::state(key, refusal.reason, &refusal.message)
    };
    Outcome {
        state,
        class: Some(refusal.class),
        ..Outcome::default()
    }
}

/// uid of the object by that name in the inventory of the Work.
pub(super) fn inventory_uid<'a>(pass: &Pass<'a>, key: &ObjectKey) -> Option<&'a str> {
    status::before(pass.work, key).map(|object| object.uid.as_str())
}

/// What a refusal is remembered for: any change of the Work makes it worth another try.
fn attempt(place: &Place<'_>) -> String {
    let generation = place.pass.work.metadata.generation.unwrap_or_default();
    format!("{}@{generation}", place.wanted.hash)
}
