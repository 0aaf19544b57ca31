//! `heyun snapshot`, and `heyun simulate` on what it wrote.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use heyun_crds::Placement;
use heyun_plan::replay::Recording;
use heyun_scheduler::WorkloadKey;
use kube::ResourceExt as _;

use super::now;
use super::simulate::{hub_or_files, shown};
use crate::apply::title;
use crate::args::Global;
use crate::args::workload::{Simulate, Snapshot as Args};
use crate::error::{Error, Exit, Result};
use crate::input::load;
use crate::output::Output;
use crate::simulate::record;
use crate::view::{self, replay::Compared};

/// Most bytes that are read of a snapshot.
const BYTES_MAX: u64 = 1 << 30;

pub(super) async fn run(args: Args, global: &Global, output: &Output) -> Result<()> {
    let (mut world, _) = hub_or_files(&args.against, global).await?;
    world.weights = args.score_weights;
    let recording = record(&world, args.at.unwrap_or_else(now));
    let mut text = serde_json::to_string(&recording).map_err(|e| Error::failure(e.to_string()))?;
    text.push('\n');
    let Some(file) = args.out else {
        output.data(&text);
        return Ok(());
    };
    let shown = file.display();
    std::fs::write(&file, &text)
        .map_err(|e| Error::failure(format!("{shown} cannot be written: {e}")))?;
    output.say(format!(
        "{} and {} in {shown}",
        view::count(recording.snapshot.members.len(), "member"),
        view::count(recording.workloads.len(), "Workload"),
    ));
    output.next(format!("heyun simulate --snapshot {shown}"));
    Ok(())
}

/// `heyun simulate --snapshot`.
pub(super) fn replay(args: &Simulate, file: &Path, global: &Global, output: &Output) -> Result<()> {
    let mut recording = read(file)?;
    if let Some(at) = args.at {
        recording.snapshot.now = at.as_second();
    }
    let only = only(&args.workload, &recording)?;
    let before = recording.replay(only.as_ref());
    if args.set.is_empty() && args.placement.is_empty() {
        output.table(&shown(&before, args, view::replay::table)?);
        return Ok(());
    }
    recording
        .change(&args.set)
        .map_err(|e| Error::usage(e.to_string()))?;
    place(&mut recording, &args.placement, global, output)?;
    let after = recording.replay(only.as_ref());
    output.table(&Compared::of(&before, after).shown(args.format)?);
    Ok(())
}

fn read(file: &Path) -> Result<Recording> {
    let shown = file.display();
    let reader: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        let opened = File::open(file);
        Box::new(opened.map_err(|e| Error::usage(format!("{shown} cannot be read: {e}")))?)
    };
    Recording::read(BufReader::new(reader.take(BYTES_MAX)))
        .map_err(|e| Error::usage(format!("{shown}: {e}")))
}

/// The Workloads that are asked about; `None`: all.
fn only(wanted: &[WorkloadKey], recording: &Recording) -> Result<Option<BTreeSet<WorkloadKey>>> {
    if wanted.is_empty() {
        return Ok(None);
    }
    for key in wanted {
        if !recording.workloads.contains_key(key) {
            let message = format!("--workload {key}: it is not in the snapshot");
            return Err(Error::new(Exit::NotFound, message)
                .hint("heyun simulate --snapshot FILE lists those that are"));
        }
    }
    Ok(Some(wanted.iter().cloned().collect()))
}

/// Placements of files count for the Workloads that refer to them.
fn place(
    recording: &mut Recording,
    files: &[std::path::PathBuf],
    global: &Global,
    output: &Output,
) -> Result<()> {
    for file in files {
        for document in load(file, true)? {
            let name = title(&document);
            let shown = file.display();
            if document.get("kind").and_then(serde_json::Value::as_str) != Some("Placement") {
                let message = format!("--placement {shown}: {name} is no Placement");
                return Err(Error::usage(message).hint("give files with Placements alone"));
            }
            let placement: Placement = serde_json::from_value(document)
                .map_err(|e| Error::usage(format!("--placement {shown}: {name}: {e}")))?;
            let namespace = placement.namespace().or_else(|| global.namespace.clone());
            let Some(namespace) = namespace else {
                let message = format!("--placement {shown}: {name} has no namespace");
                return Err(Error::usage(message).hint("write metadata.namespace, or give -n"));
            };
            let using = recording.place(&namespace, &placement.name_any(), &placement.spec);
            let using = view::count(using, "Workload");
            output.say(format!(
                "note: {namespace}/{} counts for {using}",
                placement.name_any()
            ));
        }
    }
    Ok(())
}
