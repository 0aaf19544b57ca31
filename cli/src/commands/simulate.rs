//! `heyun simulate`.

use std::path::PathBuf;

use heyun_crds::Workload;
use heyun_crds::query::Why;
use heyun_plan::replay::{Change, Recording};
use heyun_scheduler::WorkloadKey;

use super::{now, snapshot};
use crate::args::Global;
use crate::args::common::Form;
use crate::args::workload::Simulate as Args;
use crate::ask::Hub;
use crate::error::{Error, Exit, Result};
use crate::input::{Bundle, bundle, load};
use crate::output::Output;
use crate::simulate::{World, record_one};
use crate::view::{self, replay::Compared};

/// The hub's objects, from the hub or from files, and the namespace of the command.
pub(super) async fn hub_or_files(against: &[PathBuf], global: &Global) -> Result<(World, String)> {
    if against.is_empty() {
        let hub = Hub::new(global).await?;
        let world = Box::pin(World::from_hub(&hub)).await.map_err(|error| match error.exit {
            Exit::Denied => error.hint(
                "only who may read the whole platform can simulate against the hub; others: export its objects once and give --against FILE",
            ),
            _ => error,
        })?;
        return Ok((world, hub.namespace));
    }
    let mut documents = Vec::new();
    for path in against {
        documents.extend(load(path, true)?);
    }
    let namespace = global.namespace.as_deref().unwrap_or("default");
    Ok((World::from_documents(documents)?, namespace.to_owned()))
}

pub(super) async fn run(args: Args, global: &Global, output: &Output) -> Result<()> {
    if let Some(file) = &args.snapshot {
        return snapshot::replay(&args, file, global, output);
    }
    let asked = global.namespace.as_deref();
    let (mut world, namespace) = hub_or_files(&args.against, global).await?;
    let given = bundle(&args.input(), &namespace, asked)?;
    for note in &given.notes {
        output.say(format!("note: {note}"));
    }
    let now = args.at.unwrap_or_else(now);
    let recordings = recordings(&mut world, given, now)?;
    let mut answers = answers(&recordings);
    if args.set.is_empty() {
        output.table(&shown(&answers, &args, whole)?);
    } else {
        let changed = changed(recordings, &args.set)?;
        let compared = Compared::of(&answers, self::answers(&changed));
        answers.clone_from(&compared.items);
        output.table(&match args.format.output {
            Form::Table | Form::Wide => {
                let headers = args.format.headers();
                format!("{}\n{}", compared.table(headers), whole(&answers, headers))
            }
            _ => compared.shown(args.format)?,
        });
    }
    let unplaced: Vec<&Why> = answers
        .iter()
        .filter(|why| why.outcome != "Placed")
        .collect();
    let Some(first) = unplaced.first() else {
        output.next("heyun deploy with the same arguments");
        return Ok(());
    };
    let exit = match first.reason.as_str() {
        "QuotaExceeded" | "Oversubscribed" => Exit::Quota,
        _ => Exit::Failure,
    };
    let message = format!(
        "{}/{} would not be placed: {}",
        first.namespace, first.name, first.reason
    );
    Err(Error::new(exit, message).hint("the table says what would unblock each member"))
}

/// What the decision about each Workload depends on; Placements among the files count as if they
/// were applied.
fn recordings(
    world: &mut World,
    given: Bundle,
    now: k8s_openapi::jiff::Timestamp,
) -> Result<Vec<Recording>> {
    // A later one of the same name is the newer.
    let held = std::mem::take(world);
    *world = World::from_documents(given.others)?;
    merge(world, held);
    if given.workloads.is_empty() {
        return Err(Error::usage("the files hold no Workload and no manifest")
            .hint("give what would be deployed with -f"));
    }
    let mut recordings = Vec::new();
    for object in given.workloads {
        let workload: Workload =
            serde_json::from_value(object).map_err(|e| Error::usage(e.to_string()))?;
        recordings.push(record_one(world, &workload, now));
    }
    Ok(recordings)
}

/// All with these changes; one of a Workload is made where that is asked about.
fn changed(mut recordings: Vec<Recording>, changes: &[Change]) -> Result<Vec<Recording>> {
    let given: Vec<WorkloadKey> = recordings
        .iter()
        .flat_map(|recording| recording.workloads.keys().cloned())
        .collect();
    for recording in &mut recordings {
        let elses = |change: &Change| match change {
            Change::Replicas { key, .. } => {
                given.contains(key) && !recording.workloads.contains_key(key)
            }
            _ => false,
        };
        let ours: Vec<Change> = changes.iter().filter(|it| !elses(it)).cloned().collect();
        recording
            .change(&ours)
            .map_err(|e| Error::usage(e.to_string()))?;
    }
    Ok(recordings)
}

/// One answer a Workload.
fn answers(recordings: &[Recording]) -> Vec<Why> {
    let each = recordings.iter().map(|recording| recording.replay(None));
    each.flatten().collect()
}

/// Each answer as `heyun why` writes it.
fn whole(answers: &[Why], with_headers: bool) -> String {
    let texts: Vec<String> = answers
        .iter()
        .map(|why| view::why::text(why, with_headers))
        .collect();
    texts.join("\n")
}

/// Adds what is held behind what was given: the first of a name is found.
fn merge(world: &mut World, held: World) {
    world.members.extend(held.members);
    world.sketches.extend(held.sketches);
    world.flavors.extend(held.flavors);
    world.tenants.extend(held.tenants);
    world.quotas.extend(held.quotas);
    world.placements.extend(held.placements);
    world.workloads.extend(held.workloads);
    world.works.extend(held.works);
    world.namespaces.extend(held.namespaces);
    world.priorities.extend(held.priorities);
}

/// Answers as they are asked for; `table` makes the table.
pub(super) fn shown(
    answers: &[Why],
    args: &Args,
    table: impl FnOnce(&[Why], bool) -> String,
) -> Result<String> {
    match args.format.output {
        Form::Table | Form::Wide => Ok(table(answers, args.format.headers())),
        Form::Json | Form::Yaml => {
            let is_json = args.format.output == Form::Json;
            match answers {
                // As `heyun why` writes it, to be compared with it.
                [one] if is_json => view::json(one),
                [one] => view::yaml(one),
                many if is_json => view::json(&view::list(many)?),
                many => view::yaml(&view::list(many)?),
            }
        }
        Form::Name => {
            let names: Vec<String> = answers
                .iter()
                .map(|why| format!("workload.heyun.dev/{}", why.name))
                .collect();
            Ok(names.join("\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use heyun_plan::replay::{Asked, Question};
    use heyun_scheduler::quota::QuotaTree;
    use heyun_scheduler::{Component, Config, Request, Snapshot};

    use super::*;

    fn recording(name: &str) -> Recording {
        let key = WorkloadKey::new("ns", name);
        let request = Request {
            key: key.clone(),
            components: vec![Component {
                replicas: 1,
                ..Component::default()
            }],
            ..Request::default()
        };
        let asked = Asked {
            generation: 1,
            decision: String::new(),
            placement_ref: String::new(),
            question: Question::Request(Box::new(request)),
        };
        let snapshot = Snapshot {
            now: 0,
            members: BTreeMap::new(),
            flavors: BTreeMap::new(),
            tenants: BTreeMap::new(),
            quotas: QuotaTree::default(),
            held: BTreeMap::new(),
            neighbours: BTreeMap::new(),
        };
        Recording::new(Config::default(), snapshot, [(key, asked)].into())
    }

    #[test]
    fn a_change_of_one_of_several_workloads_is_made_there_alone() {
        let replicas = |recordings: &[Recording]| -> Vec<i64> {
            let all = recordings.iter().flat_map(|of| of.workloads.values());
            let each = all.map(|asked| match &asked.question {
                Question::Request(request) => request.components[0].replicas,
                Question::Refused { .. } => -1,
            });
            each.collect()
        };
        let change: Change = "workload/ns/b.replicas=7".parse().unwrap();
        let both = vec![recording("a"), recording("b")];
        let both = changed(both, &[change]).unwrap();
        assert_eq!(replicas(&both), [1, 7]);
        let other: Change = "workload/ns/c.replicas=7".parse().unwrap();
        let error = changed(both, &[other]).unwrap_err();
        assert!(error.message.contains("ns/c is not in"), "{error}");
    }
}
