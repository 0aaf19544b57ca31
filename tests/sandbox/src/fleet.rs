//! A hub and its members.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::{self, FIRST_RESERVED_PORT, LAST_RESERVED_PORT};
use crate::cluster::{Cluster, ClusterState};
use crate::component::Component;
use crate::error::IoContext;
use crate::keeper::{KEEP_LOGS, Keeper, KeeperCommand, Launch, OWNED, Process, ProcessInfo, sweep};
use crate::pki::write_private;
use crate::spec::{ClusterSpec, FleetSpec, HUB, MemberSpec};
use crate::{Cache, Error, Progress, Result, controlplane, eventually, preflight};

/// The file that [`Fleet::attach`] reads.
const STATE: &str = "fleet.json";

#[derive(Debug, Serialize, Deserialize)]
struct State {
    bin: PathBuf,
    clusters: Vec<ClusterState>,
    ports: BTreeMap<String, u16>,
}

/// Running control planes. Dropping it ends them and removes the folder, unless it was detached or
/// only attached to.
#[derive(Debug)]
pub struct Fleet {
    dir: PathBuf,
    bin: PathBuf,
    clusters: Vec<Cluster>,
    ports: Mutex<BTreeMap<String, u16>>,
    keeper: Arc<Keeper>,
    owner: bool,
}

impl Fleet {
    /// Starts a fleet and answers when its clusters take work.
    ///
    /// `dir` must be empty or not exist yet; what the fleet writes there goes with it. Without one,
    /// a temporary folder is made. The control planes are built if `cache` lacks them.
    ///
    /// The fleet lives as long as this process, or until the answer is dropped, or, once
    /// [`Fleet::detach`] was called, until [`Fleet::down`].
    ///
    /// # Errors
    /// [`Error::Preflight`], [`Error::Build`], [`Error::Spec`], and whatever keeps a component from
    /// starting, with the end of its log. Nothing but the logs is left then.
    pub fn start(
        spec: &FleetSpec,
        dir: Option<&Path>,
        keeper: &KeeperCommand,
        cache: &Cache,
        progress: &Progress,
    ) -> Result<Self> {
        spec.check()?;
        preflight::run()?;
        let bin = controlplane(cache, progress)?;
        let temporary = dir.is_none();
        let dir = folder(dir)?;
        let keeper = Arc::new(Keeper::start(keeper, &dir, temporary)?);
        let base = keeper.address();
        let mut clusters = Vec::new();
        let hub = spec.hub.iter().map(|_| HUB);
        for name in hub.chain(spec.members.iter().map(|member| member.name.as_str())) {
            let ip = address::of_cluster(base, clusters.len())?;
            let components = Component::of(name == HUB);
            let state = ClusterState {
                name: name.to_owned(),
                ip,
                components,
            };
            clusters.push(Cluster::new(state, &dir, &bin, &keeper));
        }
        let fleet = Self {
            dir,
            bin,
            clusters,
            ports: Mutex::default(),
            keeper,
            owner: true,
        };
        fleet.write_owned(temporary)?;
        fleet.write_state()?;
        match fleet.start_clusters(spec, progress) {
            Ok(()) => Ok(fleet),
            Err(error) => {
                fleet.keep_logs();
                Err(error)
            }
        }
    }

    /// All at once: most of a start is waiting.
    fn start_clusters(&self, spec: &FleetSpec, progress: &Progress) -> Result<()> {
        let members = spec
            .members
            .iter()
            .map(|member| (&member.cluster, Some(member)));
        let all: Vec<(&ClusterSpec, Option<&MemberSpec>)> = spec
            .hub
            .iter()
            .map(|hub| (hub, None))
            .chain(members)
            .collect();
        let results: Vec<Result<()>> = thread::scope(|scope| {
            let start = |(cluster, (spec, member)): (&'_ Cluster, (&'_ ClusterSpec, _))| {
                let (cluster, bin) = (cluster.clone(), self.bin.clone());
                let spec = spec.clone();
                scope.spawn(move || cluster.start(&bin, &spec, member, progress))
            };
            let threads: Vec<_> = self.clusters.iter().zip(all).map(start).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, Result<()>>| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Error::Keeper("a starting thread panicked".to_owned())))
            };
            threads.into_iter().map(join).collect()
        });
        results.into_iter().collect()
    }

    /// A fleet that another process started and that still runs. Dropping the answer leaves it so.
    ///
    /// # Errors
    /// [`Error::Io`] if there is none, [`Error::Keeper`].
    pub fn attach(dir: &Path) -> Result<Self> {
        let dir = fs::canonicalize(dir).io(|| format!("opening {}", dir.display()))?;
        let path = dir.join(STATE);
        let text = fs::read(&path).io(|| format!("reading {}", path.display()))?;
        let state: State = serde_json::from_slice(&text).map_err(|source| Error::Json {
            what: path.display().to_string(),
            source,
        })?;
        let keeper = Arc::new(Keeper::connect(&dir)?);
        let cluster = |of: ClusterState| Cluster::new(of, &dir, &state.bin, &keeper);
        let clusters = state.clusters.into_iter().map(cluster).collect();
        let ports = Mutex::new(state.ports);
        Ok(Self {
            dir,
            bin: state.bin,
            clusters,
            ports,
            keeper,
            owner: false,
        })
    }

    /// Ends the fleet of a folder, whoever started it, and removes what it wrote. Also cleans up
    /// after a fleet that is dead already.
    ///
    /// # Errors
    /// [`Error::Missing`] if the folder holds no fleet, [`Error::Keeper`].
    pub fn down(dir: &Path) -> Result<()> {
        if !dir.join(OWNED).exists() {
            return Err(Error::Missing(format!(
                "{} holds no fleet; give the folder that `sandbox up` was given",
                dir.display()
            )));
        }
        if let Ok(keeper) = Keeper::connect(dir) {
            return keeper.shutdown();
        }
        sweep(dir);
        Ok(())
    }

    /// Lets the fleet go on when this process ends; [`Fleet::attach`] and [`Fleet::down`] find it by
    /// its folder, which is answered.
    ///
    /// # Errors
    /// [`Error::Keeper`]; the fleet ends then.
    pub fn detach(mut self) -> Result<PathBuf> {
        self.keeper.detach()?;
        self.owner = false;
        self.keeper.close();
        Ok(self.dir.clone())
    }

    /// Its folder: kubeconfigs, `bin`, logs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of its logs.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// A folder to be put on PATH: kubectl and the servers.
    pub fn bin_dir(&self) -> PathBuf {
        self.dir.join("bin")
    }

    /// An executable of the control planes, for example `kubectl`, by absolute path.
    pub fn bin(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// The hub.
    ///
    /// # Errors
    /// [`Error::Missing`] if the fleet has none.
    pub fn hub(&self) -> Result<&Cluster> {
        self.cluster(HUB)
    }

    /// A cluster by its name.
    ///
    /// # Errors
    /// [`Error::Missing`], with the names that there are.
    pub fn cluster(&self, name: &str) -> Result<&Cluster> {
        let found = self.clusters.iter().find(|cluster| cluster.name() == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.clusters.iter().map(Cluster::name).collect();
            Error::Missing(format!(
                "no cluster {name:?} in the fleet: {}",
                names.join(", ")
            ))
        })
    }

    /// All clusters, the hub first.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// The members, in the order of the specification.
    pub fn members(&self) -> impl Iterator<Item = &Cluster> {
        self.clusters.iter().filter(|cluster| !cluster.is_hub())
    }

    /// The address that is this fleet's alone, beside which no other process binds: our own
    /// servers listen here, on ports of [`Fleet::reserve_port`].
    pub fn hub_address(&self) -> Ipv4Addr {
        self.keeper.address()
    }

    /// A port below 32768 that nobody else in the fleet gets; the same for the same name.
    ///
    /// # Errors
    /// [`Error::Spec`] after a thousand, [`Error::Io`].
    pub fn reserve_port(&self, name: &str) -> Result<u16> {
        let mut ports = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&port) = ports.get(name) {
            return Ok(port);
        }
        let next = ports
            .values()
            .max()
            .map_or(FIRST_RESERVED_PORT, |last| last + 1);
        if next >= LAST_RESERVED_PORT {
            return Err(Error::Spec(
                "a fleet has no more than 1000 ports".to_owned(),
            ));
        }
        ports.insert(name.to_owned(), next);
        drop(ports);
        self.write_state()?;
        Ok(next)
    }

    /// Runs a program of the caller's with the fleet: it ends with it at the latest.
    ///
    /// `argv[0]` is an absolute path. It gets PATH, HOME, TMPDIR, LANG and `env`, nothing else of
    /// this process's environment. Its output is appended to `NAME.log` among the logs. A name
    /// whose program has ended may be used again.
    ///
    /// # Errors
    /// [`Error::Keeper`] if a program of that name runs.
    pub fn spawn(
        &self,
        name: &str,
        argv: &[String],
        env: &BTreeMap<String, String>,
    ) -> Result<Process> {
        let logs = self.logs();
        fs::create_dir_all(&logs).io(|| format!("making {}", logs.display()))?;
        self.keeper.spawn(Launch {
            name: name.to_owned(),
            argv: argv.to_vec(),
            env: env.clone(),
            log: logs.join(format!("{}.log", name.replace('/', "-"))),
            setpriv: Vec::new(),
        })
    }

    /// A process by its name: `CLUSTER/COMPONENT`, or that of [`Fleet::spawn`].
    ///
    /// # Errors
    /// [`Error::Keeper`] if there is none.
    pub fn process(&self, name: &str) -> Result<Process> {
        self.keeper.process(name)
    }

    /// All processes: names, ids, how they ended.
    ///
    /// # Errors
    /// [`Error::Keeper`] if the keeper is gone.
    pub fn processes(&self) -> Result<Vec<ProcessInfo>> {
        self.keeper.list()
    }

    /// Process id of the keeper.
    pub fn keeper_pid(&self) -> u32 {
        self.keeper.pid()
    }

    /// [`eventually`] with this fleet's logs, which outlive the fleet when the wait is in vain.
    ///
    /// # Errors
    /// [`Error::Timeout`].
    pub fn eventually<T>(
        &self,
        what: &str,
        deadline: Duration,
        check: impl FnMut() -> Result<T, String>,
    ) -> Result<T> {
        let result = eventually(what, deadline, Some(&self.logs()), check);
        if result.is_err() {
            self.keep_logs();
        }
        result
    }

    /// Leaves the logs in place when the fleet ends. A panic of the thread that drops it does so too.
    pub fn keep_logs(&self) {
        // Without the mark the logs go, which is not worth a failure.
        let _ = fs::write(self.dir.join(KEEP_LOGS), "");
    }

    fn write_owned(&self, everything: bool) -> Result<()> {
        let link = self.dir.join("bin");
        std::os::unix::fs::symlink(&self.bin, &link).io(|| format!("making {}", link.display()))?;
        if everything {
            return Ok(());
        }
        for name in ["bin", "logs", STATE] {
            self.keeper.own(name)?;
        }
        for cluster in &self.clusters {
            self.keeper.own(cluster.name())?;
            self.keeper.own(&format!("{}.kubeconfig", cluster.name()))?;
        }
        Ok(())
    }

    fn write_state(&self) -> Result<()> {
        let ports = self
            .ports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let clusters = self
            .clusters
            .iter()
            .map(|cluster| cluster.state().clone())
            .collect();
        let state = State {
            bin: self.bin.clone(),
            clusters,
            ports,
        };
        let path = self.dir.join(STATE);
        let text = serde_json::to_string_pretty(&state).map_err(|source| Error::Json {
            what: path.display().to_string(),
            source,
        })?;
        write_private(&path, &text)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if self.owner {
            if thread::panicking() {
                self.keep_logs();
            }
            // Not left to the last of the processes' handles.
            self.keeper.close();
        }
    }
}

/// An empty folder that only this user may enter, by its absolute path.
fn folder(wanted: Option<&Path>) -> Result<PathBuf> {
    let dir = match wanted {
        None => tempfile::Builder::new()
            .prefix("heyun-fleet-")
            .tempdir()
            .io(|| format!("making a folder in {}", std::env::temp_dir().display()))?
            .keep(),
        Some(dir) => {
            fs::create_dir_all(dir).io(|| format!("making {}", dir.display()))?;
            dir.to_path_buf()
        }
    };
    let context = || format!("preparing {}", dir.display());
    if fs::read_dir(&dir).io(context)?.next().is_some() {
        return Err(Error::Spec(format!(
            "{} is not empty; give a new folder, or end the fleet that it holds with `sandbox down`",
            dir.display()
        )));
    }
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).io(context)?;
    fs::canonicalize(&dir).io(context)
}
