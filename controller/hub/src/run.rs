//! The hub as a process: everything is started here, and stopped in order.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use heyun_ledger::Ledger;
use heyun_member::clock::{Clock, SystemClock};
use heyun_telemetry::{Telemetry, TelemetryConfig};
use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::args::{Args, ArgsError, LeaseTimes, ServeAddress};
use crate::ask::Question;
use crate::client::{self, ClientError};
use crate::images::{self, Registries};
use crate::leader::{Election, Standing};
use crate::operate::{Operator, Surroundings};
use crate::outbox;
use crate::serve::admin::{self, Readiness};
use crate::serve::{listener, routes};
use crate::usage;

/// Exit code where the command line or the surroundings are wrong.
const EXIT_USAGE: u8 = 2;
/// Longest time that what is under way may take to end.
const SHUTDOWN: Duration = Duration::from_secs(20);
/// Between two attempts to serve the aggregated API.
const SERVE_AGAIN: Duration = Duration::from_secs(5);

/// Why the hub did not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Args(#[from] ArgsError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("telemetry cannot be set up")]
    Telemetry(#[from] heyun_telemetry::TelemetryError),
    #[error(transparent)]
    Registries(#[from] images::ConfigError),
    #[error("the ledger's URL cannot be used")]
    Ledger(#[from] heyun_ledger::LedgerError),
    #[error("--data-dir {path} cannot be made")]
    DataDir {
        path: String,
        source: std::io::Error,
    },
    #[error("the runtime cannot be started")]
    Runtime(#[from] std::io::Error),
}

/// Runs until SIGTERM or SIGINT.
pub fn main(args: Args) -> ExitCode {
    // Another provider may have been installed by a process that embeds us.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = heyun_member::error::describe(&error);
            let _ = writeln!(std::io::stderr(), "heyun-hub: {text}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn start(args: Args) -> Result<(), StartError> {
    let times = args.lease_times()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let identity = identity();
        let telemetry = Arc::new(heyun_telemetry::init(TelemetryConfig {
            service_name: "heyun-hub".into(),
            instance_id: identity.clone(),
            otlp_endpoint: args.otlp_endpoint.clone(),
            log_format: args.log_format.into(),
            log_filter: args.log_filter.clone(),
        })?);
        let result = hub(args, times, identity, Arc::clone(&telemetry)).await;
        if let Some(telemetry) = Arc::into_inner(telemetry)
            && let Err(error) = telemetry.shutdown()
        {
            warn!(%error, "telemetry was not flushed");
        }
        result
    })
}

/// Fresh for each start: the host's name and random bytes.
fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    format!("{}_{}", host.trim(), uuid.trim())
}

/// Where the ledger and what was not told to it yet are kept.
async fn make_data_dir(path: &Path) -> Result<(), StartError> {
    tokio::fs::create_dir_all(path)
        .await
        .map_err(|source| StartError::DataDir {
            path: path.display().to_string(),
            source,
        })
}

async fn hub(
    args: Args,
    times: LeaseTimes,
    identity: String,
    telemetry: Arc<Telemetry>,
) -> Result<(), StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let registries = args.registries.as_deref().map(Registries::load);
    let registries = registries.transpose()?.map(Arc::new);
    make_data_dir(&args.data_dir).await?;
    let watch_client = client::connect(args.kubeconfig.as_deref()).await?;
    let client = client::with_write_deadline(&watch_client, times.write_timeout());
    let ledger = Arc::new(Ledger::connect(&args.ledger_url()).await?);
    let stop = CancellationToken::new();
    let late = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(signals(stop.clone()));

    let readiness = Readiness::default();
    let ready = readiness.clone();
    tasks.spawn(administer(
        args.admin_address,
        Arc::clone(&telemetry),
        ready,
        late.clone(),
    ));

    let (entries, receive) = mpsc::channel(outbox::QUEUE);
    tasks.spawn(outbox::run(
        args.data_dir.join("outbox"),
        Arc::clone(&ledger),
        receive,
        Arc::clone(&clock),
        telemetry.metrics().clone(),
        late.clone(),
    ));

    let (ask, questions) = mpsc::channel(64);
    if let ServeAddress::At(address) = args.query_address {
        let source = usage::Source {
            ledger: Arc::clone(&ledger),
            clock: Arc::clone(&clock),
        };
        tasks.spawn(query(client.clone(), address, ask, source, late.clone()));
    }

    let highest = Arc::new(AtomicI64::new(0));
    let (send, standing) = watch::channel(Standing::Following);
    let election = Election {
        client: client.clone(),
        identity,
        times,
        clock: Arc::clone(&clock),
        highest: Arc::clone(&highest),
    };
    tasks.spawn(election.run(send, late.clone()));

    let operator = Operator::new(Surroundings {
        client,
        watch_client,
        clock,
        metrics: telemetry.metrics().clone(),
        config: args.config(),
        registries,
        outbox: entries,
        questions,
        standing,
        highest,
        readiness,
        write_concurrency: usize::try_from(args.write_concurrency).unwrap_or(1),
        returns_at_once: usize::try_from(args.returns_at_once).unwrap_or(1),
        write_deadline: times.write_timeout(),
    });
    info!("started");
    operator.run(stop).await;
    // The loop has ended and with it every write; only now may another lead.
    late.cancel();
    wind_up(tasks).await;
    Ok(())
}

/// Waits for what still runs, within a bound.
async fn wind_up(mut tasks: JoinSet<()>) {
    let ended = tokio::time::timeout(SHUTDOWN, async {
        while let Some(result) = tasks.join_next().await {
            if let Err(error) = result {
                error!(%error, "a task ended badly");
            }
        }
    });
    if ended.await.is_err() {
        warn!("some tasks did not end in time");
    }
}

/// Serves metrics and health; without them the hub still works.
async fn administer(
    address: std::net::SocketAddr,
    telemetry: Arc<Telemetry>,
    readiness: Readiness,
    stop: CancellationToken,
) {
    if let Err(error) = admin::serve(address, telemetry, readiness, stop).await {
        error!(%error, %address, "metrics and health are not served");
    }
}

/// Cancels on SIGTERM and SIGINT.
async fn signals(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else {
        return;
    };
    let Ok(mut int) = signal(SignalKind::interrupt()) else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        () = stop.cancelled() => {}
    }
    info!("stopping");
    stop.cancel();
}

/// Serves the aggregated API, again and again until it can be served.
async fn query(
    client: Client,
    address: std::net::SocketAddr,
    ask: mpsc::Sender<Question>,
    ledger: usage::Source,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let served = async {
            let proxy = Arc::new(listener::front_proxy(&client).await?);
            let api = routes::Api {
                client: client.clone(),
                proxy,
                ask: ask.clone(),
                ledger: ledger.clone(),
            };
            listener::serve(address, api, stop.clone()).await
        };
        if let Err(error) = served.await {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            warn!(%error, source, "the aggregated API is not served yet");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(SERVE_AGAIN) => {}
        }
    }
}
