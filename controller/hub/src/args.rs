//! What the hub can be told on its command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use heyun_scheduler::Config;
use heyun_scheduler::config::ScoreWeights;
use heyun_telemetry::LogFormat;

/// The operator of Heyun: tenants, quotas, members, workloads, one scheduler.
#[derive(Clone, Debug, Parser)]
#[command(name = "heyun-hub", version)]
pub struct Args {
    /// Kubeconfig of the hub cluster; without it, the service account of the pod.
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Address of metrics and health: `/metrics`, `/healthz`, `/readyz`.
    #[arg(long, default_value = "0.0.0.0:8080", value_name = "ADDR")]
    pub admin_address: SocketAddr,

    /// Address of the aggregated API `query.heyun.dev`; `off` serves none.
    #[arg(long, default_value = "0.0.0.0:8443", value_name = "ADDR|off")]
    pub query_address: ServeAddress,

    /// Folder for what must outlive the process: the ledger's outbox, SQLite.
    #[arg(long, default_value = "/var/lib/heyun", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Ledger database: `sqlite:PATH` or `postgres://…`; without it, SQLite in the data folder.
    #[arg(long, env = "HEYUN_LEDGER_URL", value_name = "URL")]
    pub ledger_url: Option<String>,

    /// Configuration of image registries: which are asked for the platforms of images, and how;
    /// without it, none is asked, and images may run on any architecture.
    #[arg(long, env = "HEYUN_REGISTRIES", value_name = "FILE")]
    pub registries: Option<PathBuf>,

    /// Endpoint of an OpenTelemetry collector (gRPC); without it, nothing is exported.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Form of the log lines.
    #[arg(long, default_value = "json", value_enum)]
    pub log_format: LogForm,

    /// What is logged, by level and module.
    #[arg(long, env = "RUST_LOG", default_value = "info", value_name = "FILTER")]
    pub log_filter: String,

    /// How much each score counts, 0 to 100, where a placement gives no weights: those that are not
    /// named keep balance=40, stability=30, cost=20, preference=10.
    #[arg(
        long,
        env = "HEYUN_SCORE_WEIGHTS",
        value_name = "NAME=WEIGHT,…",
        default_value_t
    )]
    pub score_weights: ScoreWeights,

    /// Seconds after which a leader that does not renew is no longer one.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(2..=120))]
    pub lease_duration: u32,

    /// Seconds after which a leader that could not renew stops writing; less than the duration.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=119))]
    pub renew_deadline: u32,

    /// Milliseconds between renewals, and between looks at another's lease.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(100..=60_000))]
    pub retry_period: u32,

    /// Writes under way at once on the hub.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub write_concurrency: u32,

    /// Workloads that go back to an earlier affinity term at once.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub returns_at_once: u32,
}

/// An address to serve at, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServeAddress {
    /// Nothing is served.
    Off,
    /// Served there.
    At(SocketAddr),
}

impl std::str::FromStr for ServeAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse()
            .map(Self::At)
            .map_err(|_| format!("`{text}` is neither an address such as 0.0.0.0:8443 nor `off`"))
    }
}

/// Forms of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogForm {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

impl From<LogForm> for LogFormat {
    fn from(form: LogForm) -> Self {
        match form {
            LogForm::Json => Self::Json,
            LogForm::Text => Self::Text,
        }
    }
}

/// The times of leader election; see `leader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// After this without a renewal another may take over.
    pub duration: Duration,
    /// After this without a renewal the leader stops writing.
    pub renew_deadline: Duration,
    /// Between renewals, and between looks at another's lease.
    pub retry: Duration,
}

impl LeaseTimes {
    /// Server-side deadline of every write of a leader: shorter than duration − renew deadline,
    /// so that a write which starts in time ends before another may lead.
    pub fn write_timeout(&self) -> Duration {
        let slack = self.duration.saturating_sub(self.renew_deadline);
        slack
            .mul_f32(0.8)
            .max(Duration::from_millis(500))
            .min(slack)
    }
}

/// Flags that contradict each other.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ArgsError {
    /// The renew deadline is not below the lease duration.
    #[error(
        "--renew-deadline {renew_deadline} must be less than --lease-duration {lease_duration}: \
         lower the first or raise the second"
    )]
    RenewDeadline {
        /// Given renew deadline, seconds.
        renew_deadline: u32,
        /// Given lease duration, seconds.
        lease_duration: u32,
    },
}

impl Args {
    /// The times of leader election, checked.
    pub fn lease_times(&self) -> Result<LeaseTimes, ArgsError> {
        if self.renew_deadline >= self.lease_duration {
            return Err(ArgsError::RenewDeadline {
                renew_deadline: self.renew_deadline,
                lease_duration: self.lease_duration,
            });
        }
        Ok(LeaseTimes {
            duration: Duration::from_secs(self.lease_duration.into()),
            renew_deadline: Duration::from_secs(self.renew_deadline.into()),
            retry: Duration::from_millis(self.retry_period.into()),
        })
    }

    /// How the scheduler decides.
    pub fn config(&self) -> Config {
        Config {
            weights: self.score_weights,
            ..Config::default()
        }
    }

    /// The ledger's URL, SQLite in the data folder by default.
    pub fn ledger_url(&self) -> String {
        self.ledger_url
            .clone()
            .unwrap_or_else(|| format!("sqlite:{}", self.data_dir.join("ledger.db").display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renew_deadline_beyond_the_duration_is_refused() {
        let args = Args::parse_from([
            "heyun-hub",
            "--lease-duration",
            "5",
            "--renew-deadline",
            "5",
        ]);
        let error = args.lease_times().unwrap_err().to_string();
        assert!(error.contains("--renew-deadline 5"), "{error}");
    }

    #[test]
    fn a_write_ends_before_another_may_lead() {
        for (duration, renew) in [(15, 10), (4, 2), (2, 1)] {
            let times = LeaseTimes {
                duration: Duration::from_secs(duration),
                renew_deadline: Duration::from_secs(renew),
                retry: Duration::from_secs(1),
            };
            assert!(times.write_timeout() + times.renew_deadline <= times.duration);
            assert!(times.write_timeout() >= Duration::from_millis(500));
        }
    }

    #[test]
    fn without_weights_those_of_the_scheduler_count() {
        let args = Args::parse_from(["heyun-hub"]);
        assert_eq!(args.config(), Config::default());
        let args = Args::parse_from(["heyun-hub", "--score-weights=cost=100"]);
        assert_eq!(args.config().weights.cost, 100);
    }

    #[test]
    fn an_address_or_off() {
        assert_eq!("off".parse(), Ok(ServeAddress::Off));
        assert!(
            "nowhere"
                .parse::<ServeAddress>()
                .unwrap_err()
                .contains("nowhere")
        );
    }
}
