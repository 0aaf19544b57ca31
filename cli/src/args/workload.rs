//! Commands about Workloads.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

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

    /// How the answer is written.
    #[command(flatten)]
    pub format: Format,
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
    /// What would be deployed.
    #[command(flatten)]
    pub input: Input,

    /// Objects of the hub as files (file or folder, may be repeated) instead of the hub.
    #[arg(long, value_name = "FILE|DIR")]
    pub against: Vec<PathBuf>,

    /// The moment it is decided at, RFC 3339 [default: now].
    #[arg(long, value_name = "TIME")]
    pub at: Option<k8s_openapi::jiff::Timestamp>,

    /// How the answer is written.
    #[command(flatten)]
    pub format: Format,
}

fn duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        _ => None,
    };
    let seconds = number
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(n, f)| n.checked_mul(f));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| format!("`{text}` is no duration such as 90s, 5m or 1h"))
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
        for (text, seconds) in [("90", 90), ("90s", 90), ("5m", 300), ("2h", 7200)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in [
            "",
            "m",
            "5 m",
            "1d",
            "-1s",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_member_kubeconfig_names_its_member() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), PathBuf::from("b=c"))));
        assert!(pair("=b").is_err() && pair("a=").is_err() && pair("a").is_err());
    }
}
