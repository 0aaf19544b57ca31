//! `heyun simulate`.

use heyun_crds::Workload;
use heyun_crds::query::Why;

use super::now;
use crate::args::Global;
use crate::args::common::Form;
use crate::args::workload::Simulate as Args;
use crate::ask::Hub;
use crate::error::{Error, Exit, Result};
use crate::input::{Bundle, bundle, load};
use crate::output::Output;
use crate::simulate::{World, simulate};
use crate::view;

pub(super) async fn run(args: Args, global: &Global, output: &Output) -> Result<()> {
    let asked = global.namespace.as_deref();
    let (mut world, namespace) = if args.against.is_empty() {
        let hub = Hub::new(global).await?;
        let world = Box::pin(World::from_hub(&hub)).await.map_err(|error| match error.exit {
            Exit::Denied => error.hint(
                "only who may read the whole platform can simulate against the hub; others: export its objects once and give --against FILE",
            ),
            _ => error,
        })?;
        (world, hub.namespace)
    } else {
        let mut documents = Vec::new();
        for path in &args.against {
            documents.extend(load(path, true)?);
        }
        (
            World::from_documents(documents)?,
            asked.unwrap_or("default").to_owned(),
        )
    };
    let given = bundle(&args.input, &namespace, asked)?;
    for note in &given.notes {
        output.say(format!("note: {note}"));
    }
    let now = args.at.unwrap_or_else(now);
    let answers = answers(&mut world, given, now)?;
    output.table(&shown(&answers, &args)?);
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

/// One answer a Workload; Placements among the files count as if they were applied.
fn answers(
    world: &mut World,
    given: Bundle,
    now: k8s_openapi::jiff::Timestamp,
) -> Result<Vec<Why>> {
    // A later one of the same name is the newer.
    let held = std::mem::take(world);
    *world = World::from_documents(given.others)?;
    merge(world, held);
    if given.workloads.is_empty() {
        return Err(Error::usage("the files hold no Workload and no manifest")
            .hint("give what would be deployed with -f"));
    }
    let mut answers = Vec::new();
    for object in given.workloads {
        let workload: Workload =
            serde_json::from_value(object).map_err(|e| Error::usage(e.to_string()))?;
        answers.push(simulate(world, &workload, now));
    }
    Ok(answers)
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

fn shown(answers: &[Why], args: &Args) -> Result<String> {
    match args.format.output {
        Form::Table | Form::Wide => {
            let texts: Vec<String> = answers
                .iter()
                .map(|why| view::why::text(why, args.format.headers()))
                .collect();
            Ok(texts.join("\n"))
        }
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
