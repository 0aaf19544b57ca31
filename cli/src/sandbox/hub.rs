//! Processes of the hub: started by the keeper, killed, frozen and started again by tests.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use heyun_sandbox::{ExitInfo, Fleet, Process, eventually_async};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;

use crate::error::{Error, Result};

/// Name of the first hub's process; the second is `heyun-hub-2`, and so on.
pub const HUB_PROCESS: &str = "heyun-hub";
/// How long a hub may take to read the hub cluster and say that it is ready.
pub const READY: Duration = Duration::from_mins(1);
/// Longest wait for one answer of a hub's own listener.
const ANSWER: Duration = Duration::from_secs(5);

/// How a hub's process is started.
#[derive(Clone, Debug)]
pub struct HubProgram {
    /// The executable, by absolute path.
    pub binary: PathBuf,
    /// Arguments after those of the sandbox; a later one wins over an earlier where both are given.
    pub args: Vec<String>,
    /// Environment beside PATH, HOME, TMPDIR and LANG.
    pub env: BTreeMap<String, String>,
}

/// A process of the hub. Clones are the same process.
#[derive(Clone, Debug)]
pub struct Hub {
    process: Process,
    admin: SocketAddr,
    query: SocketAddr,
}

impl Hub {
    /// Starts the hub of this number, from 1, or answers the one that exists.
    pub(super) fn spawn(
        fleet: &Fleet,
        number: usize,
        program: &HubProgram,
        kubeconfig: &Path,
    ) -> Result<Self> {
        let (admin, query) = addresses(fleet, number)?;
        let data = fleet.dir().join("hub").join(process_name(number));
        let mut argv = vec![program.binary.display().to_string()];
        let flags = [
            ("--kubeconfig", kubeconfig.display().to_string()),
            ("--admin-address", admin.to_string()),
            ("--query-address", query.to_string()),
            ("--data-dir", data.display().to_string()),
            // Short, so that a takeover is quick; a real hub takes the defaults.
            ("--lease-duration", "4".to_owned()),
            ("--renew-deadline", "2".to_owned()),
            ("--retry-period", "500".to_owned()),
            ("--log-format", "text".to_owned()),
        ];
        for (flag, value) in flags {
            let own = |arg: &String| arg == flag || arg.starts_with(&format!("{flag}="));
            if !program.args.iter().any(own) {
                argv.extend([flag.to_owned(), value]);
            }
        }
        argv.extend(program.args.iter().cloned());
        // As the chart has it.
        let mut env = program.env.clone();
        env.entry("MIMALLOC_ALLOW_THP".to_owned())
            .or_insert_with(|| "0".to_owned());
        let process = fleet.spawn(&process_name(number), &argv, &env)?;
        Ok(Self {
            process,
            admin,
            query,
        })
    }

    /// The hub of this number of a fleet that runs.
    pub(super) fn find(fleet: &Fleet, number: usize) -> Result<Self> {
        let (admin, query) = addresses(fleet, number)?;
        let process = fleet.process(&process_name(number))?;
        Ok(Self {
            process,
            admin,
            query,
        })
    }

    /// Its process: name, log, id, signals.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Where metrics and health are served.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Where the aggregated API is served.
    pub fn query_address(&self) -> SocketAddr {
        self.query
    }

    /// Its log, of all its runs.
    pub fn log(&self) -> &Path {
        self.process.log()
    }

    /// Waits until `/readyz` is well.
    ///
    /// # Errors
    /// At once, with the end of its log, if it ended; else after the deadline.
    pub async fn wait_ready(&self, deadline: Duration) -> Result<()> {
        let what = format!("{} to be ready", self.process.name());
        let check = || async {
            match self.get("/readyz").await {
                Ok(_) => Ok(Ok(())),
                Err(error) => match self.process.check() {
                    Err(ended) => Ok(Err(ended)),
                    Ok(()) => Err(error.message),
                },
            }
        };
        let sleep = tokio::time::sleep;
        Ok(eventually_async(&what, deadline, Some(self.log()), sleep, check).await??)
    }

    /// Waits until it ends, and answers with the end of its log.
    pub async fn ended(&self) -> Error {
        loop {
            if let Err(error) = self.process.check() {
                return error.into();
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn kill(&self) -> Result<()> {
        let process = self.process.clone();
        blocking(move || process.kill()).await
    }

    /// SIGTERM, after `grace` SIGKILL; answers how it ended.
    ///
    /// # Errors
    /// If the keeper is gone.
    pub async fn stop(&self, grace: Duration) -> Result<Option<ExitInfo>> {
        let process = self.process.clone();
        blocking(move || process.stop(grace)).await
    }

    /// Starts it again, as it was, and does not wait.
    ///
    /// # Errors
    /// If it runs.
    pub fn start(&self) -> Result<()> {
        Ok(self.process.start()?)
    }

    /// SIGKILL, start, wait until it is ready.
    ///
    /// # Errors
    /// As those of the three.
    pub async fn restart(&self) -> Result<()> {
        self.kill().await?;
        self.start()?;
        self.wait_ready(READY).await
    }

    /// SIGSTOP: it freezes, its connections stay open.
    ///
    /// # Errors
    /// If it does not run.
    pub fn pause(&self) -> Result<()> {
        Ok(self.process.pause()?)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// If it does not run.
    pub fn resume(&self) -> Result<()> {
        Ok(self.process.resume()?)
    }

    /// The text of `/metrics`.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn metrics(&self) -> Result<String> {
        self.get("/metrics").await
    }

    /// The body of an answer of the admin listener with status 200.
    ///
    /// # Errors
    /// Any other status, with the body; no answer.
    pub async fn get(&self, path: &str) -> Result<String> {
        let what = format!("GET http://{}{path}", self.admin);
        let asked = tokio::time::timeout(ANSWER, http_get(self.admin, path)).await;
        let answer = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(Error::failure(format!("{what}: {error}"))),
            Err(_) => return Err(Error::timeout(&what, ANSWER)),
        };
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .unwrap_or((answer.as_str(), ""));
        let status = head.split_whitespace().nth(1).unwrap_or("no status");
        if status == "200" {
            return Ok(body.to_owned());
        }
        Err(Error::failure(format!("{what}: {status} {}", body.trim())))
    }
}

/// One request to a plain listener of our own on loopback. HTTP/1.0: one answer, not in chunks.
async fn http_get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn process_name(number: usize) -> String {
    match number {
        1 => HUB_PROCESS.to_owned(),
        _ => format!("{HUB_PROCESS}-{number}"),
    }
}

/// Admin and query address; the fleet remembers them by name.
fn addresses(fleet: &Fleet, number: usize) -> Result<(SocketAddr, SocketAddr)> {
    let name = process_name(number);
    let at = |what: &str| -> Result<SocketAddr> {
        let port = fleet.reserve_port(&format!("{name}/{what}"))?;
        Ok((fleet.hub_address(), port).into())
    };
    Ok((at("admin")?, at("query")?))
}

/// Runs what waits for a process without holding up the runtime.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> heyun_sandbox::Result<T> + Send + 'static,
) -> Result<T> {
    match spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(error) => Err(Error::failure(format!(
            "a task of the sandbox ended badly: {error}"
        ))),
    }
}
