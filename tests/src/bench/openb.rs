//! How well the scheduler packs a real cluster's pods onto a federation of the same nodes.
//!
//! The nodes of the OpenB trace are dealt to 12 members, once by model and once by chance. The
//! trace's pods are submitted one after the other, each as a Workload of one replica: the
//! scheduler sees each member's sketch and picks one, and the member binds the pod to a node by
//! best fit. Pods are never removed: the trace's times of deletion are ignored, since the question
//! is how full the nodes get and not how long a pod runs.
//!
//! Beside it stand two others that bind by the same best fit: `flat`, one cluster of all nodes
//! that sees every device, and `naive`, a federation that knows only what is free in all per
//! member and flavor.

mod deal;
mod federation;
mod node;
mod rivals;
mod trace;

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use self::node::Cluster;
use self::trace::{Pod, Trace};
use super::{Result, say};

/// Most percent by which the federation may stay behind one flat cluster.
const TARGET_BEHIND: f64 = 1.0;

/// What is asked.
#[derive(Clone, Debug, clap::Parser)]
pub struct Args {
    /// The folder with the trace's nodes.csv and pods.csv.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// What decides how nodes are dealt by chance.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// The figures of one run: for the worse of the two ways to deal, and for each.
#[derive(Debug, Serialize)]
pub struct Report {
    nodes: usize,
    members: usize,
    seed: u64,
    release: bool,
    /// Those of the way to deal that stays further behind one flat cluster; what must be 0, and
    /// the time, are summed over both.
    #[serde(flatten)]
    worse: Figures,
    by_model: Figures,
    by_chance: Figures,
}

/// The figures of one way to deal. Shares are percent of the GPU thousandths that were asked for.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    pods: i64,
    placed: i64,
    flat_placed: i64,
    naive_placed: i64,
    gpu_share: f64,
    flat_gpu_share: f64,
    naive_gpu_share: f64,
    /// Pods that were sent to a member whose nodes do not hold them.
    broken: i64,
    /// Pods that, added up anew on empty nodes, do not hold where they are said to run.
    unholdable: i64,
    /// How much less runs than on one flat cluster: pods or GPU thousandths, whichever is worse.
    /// Negative where more runs.
    behind_flat_percent: f64,
    /// From the first pod to the last, decided and bound by the federation.
    seconds: f64,
}

/// Reads the trace and packs it.
///
/// # Errors
/// If a file of the trace cannot be read, or the scheduler answers what it must not.
pub fn run(args: &Args) -> Result<Report> {
    let trace = Trace::read(&args.data)?;
    let (pods, nodes) = (trace.pods.len(), trace.machines.len());
    say(&format!("{pods} pods on {nodes} nodes, dealt in two ways"));
    measured(&trace, args.seed)
}

fn measured(trace: &Trace, seed: u64) -> Result<Report> {
    let cluster = Cluster::new(&trace.machines);
    let flat = Tally::of(&trace.pods, rivals::flat(&cluster, &trace.pods));
    let by_model = figures(trace, &cluster, flat, &deal::by_model(&cluster.nodes))?;
    let by_chance = figures(
        trace,
        &cluster,
        flat,
        &deal::by_chance(&cluster.nodes, seed),
    )?;
    Ok(Report {
        nodes: trace.machines.len(),
        members: deal::MEMBERS,
        seed,
        release: !cfg!(debug_assertions),
        worse: worse(&by_model, &by_chance),
        by_model,
        by_chance,
    })
}

fn figures(trace: &Trace, cluster: &Cluster, flat: Tally, deal: &[usize]) -> Result<Figures> {
    let pods = &trace.pods;
    let run = federation::run(cluster, deal, pods)?;
    let asked = Tally::of(pods, 0..pods.len());
    let own = Tally::of(pods, run.bound.iter().map(|bound| bound.pod));
    let naive = Tally::of(pods, rivals::naive(cluster, deal, pods));
    let behind = |flat: i64, own: i64| percent(flat - own, flat);
    Ok(Figures {
        pods: asked.pods,
        placed: own.pods,
        flat_placed: flat.pods,
        naive_placed: naive.pods,
        gpu_share: percent(own.milli, asked.milli),
        flat_gpu_share: percent(flat.milli, asked.milli),
        naive_gpu_share: percent(naive.milli, asked.milli),
        broken: run.broken,
        unholdable: federation::unholdable(&trace.machines, deal, pods, &run.bound),
        behind_flat_percent: behind(flat.pods, own.pods).max(behind(flat.milli, own.milli)),
        seconds: run.time.as_secs_f64(),
    })
}

/// See [`Report::worse`].
fn worse(left: &Figures, right: &Figures) -> Figures {
    let further = if right.behind_flat_percent > left.behind_flat_percent {
        right
    } else {
        left
    };
    Figures {
        broken: left.broken + right.broken,
        unholdable: left.unholdable + right.unholdable,
        seconds: left.seconds + right.seconds,
        ..further.clone()
    }
}

/// What some pods amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    pods: i64,
    /// Thousandths of devices.
    milli: i64,
}

impl Tally {
    /// Adds up pods by their places in the trace.
    fn of(pods: &[Pod], places: impl IntoIterator<Item = usize>) -> Self {
        let counted = places.into_iter().filter_map(|place| pods.get(place));
        counted.fold(Self::default(), |sum, pod| Self {
            pods: sum.pods + 1,
            milli: sum.milli + pod.gpu.milli(),
        })
    }
}

/// A share in percent with three digits; 0 of nothing.
fn percent(part: i64, whole: i64) -> f64 {
    let thousandths = (i128::from(part) * 100_000).checked_div(i128::from(whole));
    let thousandths = i32::try_from(thousandths.unwrap_or(0));
    f64::from(thousandths.unwrap_or(i32::MAX)) / 1000.0
}

impl Report {
    fn row(
        &self,
        f: &mut fmt::Formatter<'_>,
        what: &str,
        figure: fn(&Figures) -> String,
        target: &str,
    ) -> fmt::Result {
        let (model, chance) = (figure(&self.by_model), figure(&self.by_chance));
        writeln!(f, "{what:<44}{model:>10}{chance:>11}   {target}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pods, seed) = (self.worse.pods, self.seed);
        writeln!(
            f,
            "{pods} pods on {} nodes of {} members, dealt by model and by chance (seed {seed})",
            self.nodes, self.members
        )?;
        if !self.release {
            writeln!(
                f,
                "a debug build: build with --release for figures that count"
            )?;
        }
        let (model, chance) = ("BY MODEL", "BY CHANCE");
        writeln!(f, "{:<44}{model:>10}{chance:>11}   TARGET", "WHAT")?;
        self.row(f, "pods placed", |of| of.placed.to_string(), "")?;
        let flat = |of: &Figures| of.flat_placed.to_string();
        self.row(f, "pods placed by one flat cluster", flat, "")?;
        let naive = |of: &Figures| of.naive_placed.to_string();
        self.row(f, "pods placed by a federation of sums", naive, "")?;
        self.row(f, "GPU share, percent", |of| rounded(of.gpu_share), "")?;
        let flat = |of: &Figures| rounded(of.flat_gpu_share);
        self.row(f, "GPU share of one flat cluster, percent", flat, "")?;
        let naive = |of: &Figures| rounded(of.naive_gpu_share);
        self.row(f, "GPU share of a federation of sums, percent", naive, "")?;
        let behind = |of: &Figures| rounded(of.behind_flat_percent);
        let target = format!("<= {TARGET_BEHIND}");
        self.row(f, "behind one flat cluster, percent", behind, &target)?;
        let broken = |of: &Figures| of.broken.to_string();
        self.row(f, "sent where no node holds them", broken, "0")?;
        let unholdable = |of: &Figures| of.unholdable.to_string();
        self.row(f, "do not hold when added up anew", unholdable, "0")?;
        self.row(f, "seconds", |of| format!("{:.1}", of.seconds), "")
    }
}

fn rounded(percent: f64) -> String {
    format!("{percent:.2}")
}

#[cfg(test)]
mod tests;
