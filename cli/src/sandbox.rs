//! A hub with members on this machine: for `heyun sandbox`, the demo and the tests.
//!
//! Everything runs as processes of one keeper and ends with it: with the process that called
//! [`up`], or, after [`Sandbox::detach`], with [`down`].

mod hub;
mod install;
mod members;
mod ready;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::try_join_all;
use heyun_sandbox::{Cache, Cluster, Fleet, FleetSpec, KeeperCommand, Progress};
use kube::Client;

pub use hub::{HUB_PROCESS, Hub, HubProgram, READY};
pub use install::{hub_kubeconfig, install, route_queries};
pub use members::{MEMBERS_MAX, Member, province};
pub use ready::{wait_condition, wait_member_ready};

use crate::connect::client_of;
use crate::error::{Error, Exit, Result};
use crate::join::{Join, join};

/// Subcommand of the CLI that is the keeper; not for people.
pub const KEEPER_COMMAND: &str = "__keeper";
/// Folder of `heyun sandbox` where none is given.
pub const DEFAULT_DIR: &str = "heyun-sandbox";

/// What is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the fleet, empty or new; `None`: a temporary one.
    pub dir: Option<PathBuf>,
    /// The members.
    pub members: Vec<Member>,
    /// How the keeper is started: `heyun_sandbox::built_keeper()` in tests.
    pub keeper: KeeperCommand,
    /// The hub's executable; `None` stops after the control planes (`--bare`).
    pub hub: Option<HubProgram>,
    /// Where built tools are kept.
    pub cache: Cache,
    /// Who is told what is being done.
    pub progress: Progress,
}

impl Options {
    /// The province of three members, a hub from this executable, a temporary folder, progress on
    /// standard error.
    ///
    /// # Errors
    /// If there is no folder for built tools.
    pub fn new(keeper: KeeperCommand, hub_binary: impl Into<PathBuf>) -> Result<Self> {
        let hub = HubProgram {
            binary: hub_binary.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
        };
        Ok(Self {
            dir: None,
            members: province(3)?,
            keeper,
            hub: Some(hub),
            cache: Cache::locate()?,
            progress: Progress::stderr(),
        })
    }
}

/// A running sandbox. Dropping it ends it, unless it was detached or only attached to.
pub struct Sandbox {
    fleet: Fleet,
    program: Option<HubProgram>,
    hub: Client,
    members: BTreeMap<String, Client>,
    hubs: Vec<Hub>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("fleet", &self.fleet)
            .field("hubs", &self.hubs)
            .finish_non_exhaustive()
    }
}

/// Starts control planes, installs Heyun on the hub, starts `heyun-hub` and joins the members.
/// When it answers, the hub is ready and every joined member is `Ready`.
///
/// # Errors
/// Whatever keeps a part from starting, with the place of its log. Nothing is left running then.
pub async fn up(options: Options) -> Result<Sandbox> {
    let progress = options.progress.clone();
    let spec = FleetSpec::with_hub(options.members.iter().map(|m| m.cluster.clone()).collect());
    let (dir, keeper, cache) = (
        options.dir.clone(),
        options.keeper.clone(),
        options.cache.clone(),
    );
    let starting = progress.clone();
    let fleet =
        hub::blocking(move || Fleet::start(&spec, dir.as_deref(), &keeper, &cache, &starting))
            .await?;
    let mut sandbox = Sandbox::over(fleet, options.hub.clone()).await?;
    let done = sandbox.furnish(&options).await;
    if let Err(error) = done {
        sandbox.fleet.keep_logs();
        let logs = sandbox.fleet.logs();
        let hint = match error.hint {
            Some(hint) => format!("{hint}; logs are in {}", logs.display()),
            None => format!("logs are in {}", logs.display()),
        };
        return Err(Error::new(error.exit, error.message).hint(hint));
    }
    Ok(sandbox)
}

/// A sandbox that another process started and that still runs. Dropping the answer leaves it so.
///
/// # Errors
/// If the folder holds none, or its keeper is gone.
pub async fn attach(dir: &Path) -> Result<Sandbox> {
    let dir = dir.to_path_buf();
    let shown = dir.display().to_string();
    let fleet = hub::blocking(move || Fleet::attach(&dir))
        .await
        .map_err(|error| {
            Error::new(
                Exit::NotFound,
                format!("no sandbox runs in {shown}: {error}"),
            )
            .hint("start one with: heyun sandbox up")
        })?;
    let mut sandbox = Sandbox::over(fleet, None).await?;
    let known = sandbox.fleet.processes()?;
    let running = known
        .iter()
        .filter(|one| one.name.starts_with(HUB_PROCESS))
        .count();
    for number in 1..=running {
        sandbox.hubs.push(Hub::find(&sandbox.fleet, number)?);
    }
    Ok(sandbox)
}

/// Ends the sandbox of a folder, whoever started it, and removes what it wrote.
///
/// # Errors
/// If the folder holds none.
pub async fn down(dir: &Path) -> Result<()> {
    let dir = dir.to_path_buf();
    hub::blocking(move || Fleet::down(&dir)).await
}

impl Sandbox {
    async fn over(fleet: Fleet, program: Option<HubProgram>) -> Result<Self> {
        let hub = client_of(fleet.hub()?.kubeconfig()).await?;
        let mut members = BTreeMap::new();
        for member in fleet.members() {
            let client = client_of(member.kubeconfig()).await?;
            members.insert(member.name().to_owned(), client);
        }
        Ok(Self {
            fleet,
            program,
            hub,
            members,
            hubs: Vec::new(),
        })
    }

    async fn furnish(&mut self, options: &Options) -> Result<()> {
        if self.program.is_none() {
            return Ok(());
        }
        let step = options.progress.step("hub: installing Heyun");
        let address = self.fleet.hub_address().to_string();
        install(&self.hub, &address).await?;
        step.done("hub: Heyun is installed");
        let step = options.progress.step("hub: starting heyun-hub");
        let first = self.start_hub().await?;
        route_queries(&self.hub, first.query_address().port()).await?;
        first.wait_ready(READY).await?;
        step.done("hub: heyun-hub is ready");
        let joining = self.join_members(&options.members, &options.progress);
        tokio::select! {
            joined = joining => joined,
            ended = first.ended() => Err(ended),
        }
    }

    async fn join_members(&self, members: &[Member], progress: &Progress) -> Result<()> {
        let joined = members
            .iter()
            .filter(|member| member.object.is_some())
            .map(|member| async {
                let step = progress.step(format!("{}: joining", member.name()));
                self.join(member).await?;
                step.detail("waiting for the hub to see it");
                wait_member_ready(&self.hub, member.name(), Duration::from_secs(90)).await?;
                step.done(format!("{}: joined and ready", member.name()));
                Ok(())
            });
        try_join_all(joined).await.map(|_: Vec<()>| ())
    }

    /// Joins a member of the fleet with its description, as `heyun cluster join` does.
    ///
    /// # Errors
    /// As [`join`].
    pub async fn join(&self, member: &Member) -> Result<()> {
        let path = self.fleet.cluster(member.name())?.kubeconfig();
        let kubeconfig = tokio::fs::read_to_string(path)
            .await
            .map_err(|e| Error::failure(format!("{} cannot be read: {e}", path.display())))?;
        let request = Join {
            name: member.name().to_owned(),
            kubeconfig,
            context: None,
            member: member.object.clone(),
        };
        join(&self.hub, &request).await.map(|_| ())
    }

    /// Starts one more process of the hub (the first is `heyun-hub`, then `heyun-hub-2` …) and
    /// does not wait. Each has its own identity, ports and data folder; one leads.
    ///
    /// # Errors
    /// If it cannot be started, or the sandbox was started bare or only attached to.
    pub async fn start_hub(&mut self) -> Result<Hub> {
        let Some(program) = self.program.clone() else {
            return Err(Error::usage("this sandbox knows no executable of the hub"));
        };
        self.start_hub_with(&program).await
    }

    /// As [`Sandbox::start_hub`], from another executable or with other arguments.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn start_hub_with(&mut self, program: &HubProgram) -> Result<Hub> {
        let path = self.fleet.dir().join("hub").join("heyun-hub.kubeconfig");
        if !path.exists() {
            hub_kubeconfig(&self.hub, self.fleet.hub()?, &path).await?;
        }
        let hub = Hub::spawn(&self.fleet, self.hubs.len() + 1, program, &path)?;
        self.hubs.push(hub.clone());
        Ok(hub)
    }

    /// The fleet: control planes, their kubectl, audit logs and processes.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.fleet.dir()
    }

    /// An administrator's client of the hub.
    pub fn hub_client(&self) -> Client {
        self.hub.clone()
    }

    /// The hub's control plane.
    ///
    /// # Errors
    /// None in practice: a sandbox always has one.
    pub fn hub_cluster(&self) -> Result<&Cluster> {
        Ok(self.fleet.hub()?)
    }

    /// An administrator's client of a member.
    ///
    /// # Errors
    /// If there is no such member.
    pub fn member_client(&self, name: &str) -> Result<Client> {
        self.members.get(name).cloned().ok_or_else(|| {
            let names: Vec<&str> = self.members.keys().map(String::as_str).collect();
            Error::new(
                Exit::NotFound,
                format!("no member \"{name}\" in the sandbox: {}", names.join(", ")),
            )
        })
    }

    /// Names of the members, in the order of the options.
    pub fn member_names(&self) -> Vec<String> {
        self.fleet
            .members()
            .map(|member| member.name().to_owned())
            .collect()
    }

    /// The processes of the hub, the first first.
    pub fn hubs(&self) -> &[Hub] {
        &self.hubs
    }

    /// The first process of the hub.
    ///
    /// # Errors
    /// If the sandbox is bare.
    pub fn hub(&self) -> Result<&Hub> {
        self.hubs.first().ok_or_else(|| {
            Error::new(
                Exit::NotFound,
                "this sandbox is bare: no heyun-hub was started",
            )
        })
    }

    /// Lets it go on when this process ends; [`attach`] and [`down`] find it by its folder, which
    /// is answered.
    ///
    /// # Errors
    /// If the keeper is gone; everything ends then.
    pub fn detach(self) -> Result<PathBuf> {
        Ok(self.fleet.detach()?)
    }
}
