//! Commands about Workloads.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use heyun_plan::replay::Change;
use heyun_scheduler::WorkloadKey;
use heyun_scheduler::config::ScoreWeights;
use k8s_openapi::jiff::Timestamp;

use super::common::{DryRun, Form, Format};

/// What becomes a Workload.
#[derive(Clone, Debug, Args)]
pub struct Input {
    /// File or folder (*.yaml, *.yml, *.json) with plain manifests, or with a Workload; - is
    /// standard input. May be repeated.
    #[arg(short, long, required = true, value_name = "FILE|DIR|-")]
    pub filename: Vec<PathBuf>,

    /// Name of the Workload [default: that of the file or folder].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Placement that the Workload refers to, in the same namespace.
    #[arg(long, value_name = "NAME")]
    pub placement_ref: Option<String>,
}

/// `heyun deploy`.
#[derive(Clone, Debug, Args)]
pub struct Deploy {
    /// What is deployed.
    #[command(flatten)]
    pub input: Input,

    /// Print what would be sent (client), or have it checked (server).
    #[arg(long, value_enum, value_name = "client|server", require_equals = true)]
    pub dry_run: Option<DryRun>,

    /// How the answer is written: name, yaml or json.
    #[arg(short, long, value_enum, value_name = "FORM")]
    pub output: Option<Form>,

    /// Wait until the Workload is Ready.
    #[arg(long)]
    pub wait: bool,

    /// How long to wait, such as 90s or 5m.
    #[arg(long, default_value = "5m", value_parser = duration, value_name = "DURATION")]
    pub timeout: Duration,

    /// Take over fields that another manager set.
    #[arg(long)]
    pub force_conflicts: bool,
}

/// `heyun where`.
#[derive(Clone, Debug, Args)]
pub struct Where {
    /// The Workload, as NAME or workload/NAME; without it, all.
    #[arg(value_name = "NAME")]
    pub workload: Option<String>,

    /// Of all namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,

    /// Of Workloads with these labels, such as app=web,tier!=test.
    #[arg(
        short = 'l',
        long,
        value_name = "SELECTOR",
        conflicts_with = "workload"
    )]
    pub selector: Option<String>,

    /// Go on and print what changes.
    #[arg(short, long)]
    pub watch: bool,

    /// How the answer is written.
    #[command(flatten)]
    pub format: Format,
}

/// `heyun why`.
#[derive(Clone, Debug, Args)]
pub struct Why {
    /// The Workload, as NAME or workload/NAME.
    #[arg(value_name = "NAME")]
    pub workload: String,

    /// What was decided and in force at this moment: RFC 3339, or how long ago, such as 2h.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["decision", "history"])]
    pub at: Option<Moment>,

    /// The decision of this id, or of its beginning.
    #[arg(long, value_name = "ID", conflicts_with = "history")]
    pub decision: Option<String>,

    /// A line for each decision that is kept, the newest first.
    #[arg(long)]
    pub history: bool,

    /// This member alone, with all that is said of it.
    #[arg(long, value_name = "MEMBER", conflicts_with = "history")]
    pub cluster: Option<String>,

    /// How the answer is written.
    #[command(flatten)]
    pub format: Format,
}

/// A moment, as it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// This time.
    At(Timestamp),
    /// So long ago.
    Ago(Duration),
}

impl Moment {
    /// The time that is meant at `now`.
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        duration(text).map(Self::Ago).map_err(|_| {
            format!("`{text}` is neither a time such as 2026-11-01T09:00:00+08:00 nor a duration such as 2h")
        })
    }
}

/// `heyun tree`.
#[derive(Clone, Debug, Args)]
pub struct Tree {
    /// The Workload, as NAME or workload/NAME.
    #[arg(value_name = "NAME")]
    pub workload: String,

    /// Kubeconfig of a member, to show its pods: NAME=FILE. May be repeated.
    #[arg(long, value_name = "NAME=FILE", value_parser = pair)]
    pub member_kubeconfig: Vec<(String, PathBuf)>,

    /// How the answer is written.
    #[command(flatten)]
    pub format: Format,
}

/// `heyun simulate`.
#[derive(Clone, Debug, Args)]
pub struct Simulate {
    /// What would be deployed: file or folder (*.yaml, *.yml, *.json) with plain manifests, or with
    /// a Workload; - is standard input. May be repeated.
    #[arg(
        short,
        long,
        required_unless_present = "snapshot",
        conflicts_with = "snapshot",
        value_name = "FILE|DIR|-"
    )]
    pub filename: Vec<PathBuf>,

    /// Name of the Workload [default: that of the file or folder].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Placement that the Workload refers to, in the same namespace.
    #[arg(long, value_name = "NAME")]
    pub placement_ref: Option<String>,

    /// Objects of the hub as files (file or folder, may be repeated) instead of the hub.
    #[arg(long, value_name = "FILE|DIR", conflicts_with = "snapshot")]
    pub against: Vec<PathBuf>,

    /// Decide on all Workloads of a file that heyun snapshot wrote; - is standard input.
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["name", "placement_ref"])]
    pub snapshot: Option<PathBuf>,

    /// Of the snapshot, only this Workload; may be repeated.
    #[arg(long, value_name = "NAMESPACE/NAME", requires = "snapshot")]
    pub workload: Vec<WorkloadKey>,

    /// What would be if; may be repeated.
    #[arg(
        long,
        value_name = "CHANGE",
        help = "What would be if: member/NAME.ready=false, member/NAME.unschedulable=true, \
                member/NAME.nodes=+4, member/NAME.nodes[FLAVOR]=+4, \
                quota/TENANT/FLAVOR/RESOURCE.ceiling=100 (nominal, guaranteed), \
                workload/NAMESPACE/NAME.replicas=12. May be repeated"
    )]
    pub set: Vec<Change>,

    /// Placements that count instead of those of the same name in the snapshot (file or folder, may
    /// be repeated). With -f, give them there.
    #[arg(long, value_name = "FILE|DIR", requires = "snapshot")]
    pub placement: Vec<PathBuf>,

    /// The weights that the hub was started with, where they are not the defaults; a
    /// snapshot has its own.
    #[arg(
        long,
        env = "HEYUN_SCORE_WEIGHTS",
        value_name = "NAME=WEIGHT,…",
        default_value_t
    )]
    pub score_weights: ScoreWeights,

    /// The moment it is decided at, RFC 3339 [default: now, or that of the snapshot].
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,

    /// How the answer is written.
    #[command(flatten)]
    pub format: Format,
}

impl Simulate {
    /// What becomes a Workload.
    pub fn input(&self) -> Input {
        Input {
            filename: self.filename.clone(),
            name: self.name.clone(),
            placement_ref: self.placement_ref.clone(),
        }
    }
}

/// `heyun snapshot`.
#[derive(Clone, Debug, Args)]
pub struct Snapshot {
    /// Write to this file [default: standard output].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Objects of the hub as files (file or folder, may be repeated) instead of the hub.
    #[arg(long, value_name = "FILE|DIR")]
    pub against: Vec<PathBuf>,

    /// The weights that the hub was started with, where they are not the defaults.
    #[arg(
        long,
        env = "HEYUN_SCORE_WEIGHTS",
        value_name = "NAME=WEIGHT,…",
        default_value_t
    )]
    pub score_weights: ScoreWeights,

    /// The moment that decisions are made at, RFC 3339 [default: now].
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    };
    let seconds = number
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(n, f)| n.checked_mul(f));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| format!("`{text}` is no duration such as 90s, 5m, 1h or 2d"))
}

fn pair(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok((name.to_owned(), file.into()))
        }
        _ => Err(format!(
            "`{text}` is not NAME=FILE, such as guangzhou-1=gz.kubeconfig"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_or_are_seconds() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("5m", 300),
            ("2h", 7200),
            ("3d", 259_200),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in [
            "",
            "m",
            "5 m",
            "1w",
            "-1s",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        let now: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        for (text, meant) in [
            ("2h", "2026-11-23T07:00:00Z"),
            ("1d", "2026-11-22T09:00:00Z"),
            ("2026-11-01T09:00:00+08:00", "2026-11-01T01:00:00Z"),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.before(now).to_string(), meant, "{text}");
        }
        let error = Moment::from_str("yesterday").unwrap_err();
        assert!(error.starts_with("`yesterday` is neither"), "{error}");
    }

    #[test]
    fn a_member_kubeconfig_names_its_member() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), PathBuf::from("b=c"))));
        assert!(pair("=b").is_err() && pair("a=").is_err() && pair("a").is_err());
    }
}
