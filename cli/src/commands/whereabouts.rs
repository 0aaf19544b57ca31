//! `heyun where`.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use heyun_crds::Workload;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};

use crate::args::Global;
use crate::args::common::{Form, Format};
use crate::args::workload::Where as Args;
use crate::ask::{Hub, list, workload_name};
use crate::error::{Error, Result};
use crate::output::Output;
use crate::view;
use crate::view::places::{Place, Shown, places, table};

/// Rows to which a watch aligns the next.
const ALIGNED: usize = 200;

pub(super) async fn run(args: Args, global: &Global, output: &Output) -> Result<()> {
    let hub = Hub::new(global).await?;
    let name = args.workload.as_deref().map(workload_name).transpose()?;
    if name.is_some() && args.all_namespaces {
        return Err(
            Error::usage("a name and --all-namespaces contradict each other")
                .hint("give the namespace with -n"),
        );
    }
    let api: Api<Workload> = if args.all_namespaces {
        Api::all(hub.client.clone())
    } else {
        hub.here()
    };
    if args.watch {
        return watch(api, name, &args, output).await;
    }
    let found = match name {
        Some(name) => vec![hub.get::<Workload>(name).await?],
        None => list(&api, args.selector.as_deref()).await?,
    };
    if found.is_empty() {
        let place = if args.all_namespaces {
            "any namespace".to_owned()
        } else {
            format!("namespace {}", hub.namespace)
        };
        output.say(format!("no Workload in {place}"));
    }
    let rows: Vec<Place> = found.iter().flat_map(places).collect();
    output.table(&written(&rows, args.format, args.all_namespaces, true)?);
    Ok(())
}

fn written(rows: &[Place], format: Format, namespaces: bool, first: bool) -> Result<String> {
    Ok(match format.output {
        Form::Table | Form::Wide if rows.is_empty() => String::new(),
        Form::Table | Form::Wide => {
            let shown = Shown {
                namespaces,
                wide: format.is_wide(),
                headers: format.headers() && first,
            };
            table(rows, shown)
        }
        Form::Json => view::json(&rows)?,
        Form::Yaml => view::yaml(&rows)?,
        Form::Name => {
            let mut names: Vec<String> = rows
                .iter()
                .map(|row| format!("workload.heyun.dev/{}", row.workload))
                .collect();
            names.dedup();
            names.join("\n")
        }
    })
}

/// The last rows of a table; all of it with `whole`. Rows that came before keep the columns where
/// they were.
fn tail(text: &str, rows: usize, whole: bool) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let skipped = if whole {
        0
    } else {
        lines.len().saturating_sub(rows)
    };
    lines[skipped..].join("\n")
}

/// Prints what there is, and then the rows that change, until it is interrupted.
async fn watch(api: Api<Workload>, name: Option<&str>, args: &Args, output: &Output) -> Result<()> {
    let mut config = watcher::Config::default();
    if let Some(name) = name {
        config = config.fields(&format!("metadata.name={name}"));
    }
    if let Some(selector) = &args.selector {
        config = config.labels(selector);
    }
    let mut printer = Printer {
        args,
        output,
        seen: BTreeMap::new(),
        printed: Vec::new(),
        first: true,
    };
    let mut listed = Vec::new();
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(workload)) => listed.push(workload),
            Ok(watcher::Event::InitDone) => {
                listed.sort_by_key(|workload| (workload.namespace(), workload.name_any()));
                printer.show(&std::mem::take(&mut listed))?;
            }
            Ok(watcher::Event::Apply(workload)) => printer.show(&[workload])?,
            Ok(watcher::Event::Delete(workload)) => {
                printer.seen.remove(&key(&workload));
                output.say(format!("{} is deleted", key(&workload)));
            }
            Err(watcher::Error::InitialListFailed(error)) => {
                return Err(Error::kube("list workloads", &error));
            }
            Err(error) => output.say(format!("the watch was interrupted: {error}")),
        }
    }
    Ok(())
}

fn key(workload: &Workload) -> String {
    format!(
        "{}/{}",
        workload.namespace().unwrap_or_default(),
        workload.name_any()
    )
}

/// What a watch has printed.
struct Printer<'a> {
    args: &'a Args,
    output: &'a Output,
    seen: BTreeMap<String, Vec<Place>>,
    printed: Vec<Place>,
    first: bool,
}

impl Printer<'_> {
    /// Prints the rows that are not as they were.
    fn show(&mut self, workloads: &[Workload]) -> Result<()> {
        let mut fresh = Vec::new();
        for workload in workloads {
            let rows = places(workload);
            let before = self
                .seen
                .insert(key(workload), rows.clone())
                .unwrap_or_default();
            fresh.extend(rows.into_iter().filter(|row| !before.contains(row)));
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let (format, namespaces) = (self.args.format, self.args.all_namespaces);
        if !matches!(format.output, Form::Table | Form::Wide) {
            self.output
                .data(&written(&fresh, format, namespaces, true)?);
            return Ok(());
        }
        let number = fresh.len();
        self.printed.extend(fresh);
        let text = written(&self.printed, format, namespaces, self.first)?;
        self.output.table(&tail(&text, number, self.first));
        self.first = false;
        let excess = self.printed.len().saturating_sub(ALIGNED);
        self.printed.drain(..excess);
        Ok(())
    }
}
