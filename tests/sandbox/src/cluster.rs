//! One control plane.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::address::API_PORT;
use crate::component::{Component, Files};
use crate::error::IoContext;
use crate::keeper::{Keeper, Process};
use crate::pki::{Pki, write_private};
use crate::spec::{ClusterSpec, HUB, MemberSpec};
use crate::{AuditEvent, Error, Kubectl, Progress, Result, eventually, read_audit};

/// A control plane is up within seconds; this is for a machine under heavy load.
const PATIENCE: Duration = Duration::from_mins(2);

/// What [`Cluster`] is made of, as it stands in `fleet.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ClusterState {
    pub(crate) name: String,
    pub(crate) ip: Ipv4Addr,
    pub(crate) components: Vec<Component>,
}

/// A running control plane.
#[derive(Clone, Debug)]
pub struct Cluster {
    state: ClusterState,
    dir: PathBuf,
    kubectl: Kubectl,
    keeper: Arc<Keeper>,
}

impl Cluster {
    pub(crate) fn new(state: ClusterState, dir: &Path, bin: &Path, keeper: &Arc<Keeper>) -> Self {
        let kubeconfig = dir.join(format!("{}.kubeconfig", state.name));
        let cache = dir.join(&state.name).join("kubectl");
        let kubectl = Kubectl::new(bin.join("kubectl"), kubeconfig, cache);
        Self {
            state,
            dir: dir.to_path_buf(),
            kubectl,
            keeper: Arc::clone(keeper),
        }
    }

    pub(crate) fn state(&self) -> &ClusterState {
        &self.state
    }

    /// Its name: `hub`, or the member's.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Whether it is the hub.
    pub fn is_hub(&self) -> bool {
        self.state.name == HUB
    }

    /// Its loopback address.
    pub fn ip(&self) -> Ipv4Addr {
        self.state.ip
    }

    /// URL of its API server.
    pub fn server(&self) -> String {
        format!("https://{}:{API_PORT}", self.state.ip)
    }

    /// Its administrator's kubeconfig; everything is inside that file.
    pub fn kubeconfig(&self) -> &Path {
        self.kubectl.kubeconfig()
    }

    /// A kubeconfig for another client: a certificate of this user and group, without any rights
    /// but what RBAC gives them. Further groups: impersonate.
    ///
    /// # Errors
    /// [`Error::Certificate`], [`Error::Io`].
    pub fn kubeconfig_for(&self, user: &str, group: Option<&str>) -> Result<String> {
        Pki::open(&self.own_dir().join("pki")).kubeconfig(self.name(), &self.server(), user, group)
    }

    /// The authority that signed its API server's certificate, PEM.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn ca(&self) -> Result<String> {
        let path = self.own_dir().join("pki/ca.crt");
        fs::read_to_string(&path).io(|| format!("reading {}", path.display()))
    }

    /// kubectl for it, as its administrator.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// The folder of its logs.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs").join(&self.state.name)
    }

    /// The audit log of its API server.
    pub fn audit_log(&self) -> PathBuf {
        self.logs().join("audit.log")
    }

    /// What its API server was asked to write; see [`read_audit`].
    ///
    /// # Errors
    /// [`Error::Io`] where the audit is off, [`Error::Json`].
    pub fn audit(&self) -> Result<Vec<AuditEvent>> {
        read_audit(&self.audit_log())
    }

    /// Its components, in the order of starting.
    pub fn components(&self) -> &[Component] {
        &self.state.components
    }

    /// The process of a component, to stop, start, freeze, thaw or kill.
    ///
    /// # Errors
    /// [`Error::Keeper`] if it has none: a hub runs neither scheduler nor kwok.
    pub fn component(&self, component: Component) -> Result<Process> {
        self.keeper.process(&self.process_name(component))
    }

    /// Waits until its API server says that it is ready, after a restart for example.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Ended`] at once if the API server or etcd does not run.
    pub fn wait_ready(&self) -> Result<()> {
        let servers = [
            self.component(Component::Etcd)?,
            self.component(Component::ApiServer)?,
        ];
        let address = SocketAddr::from((self.state.ip, API_PORT));
        let what = format!("the API server of {}", self.name());
        let mut ended = None;
        let result = eventually(&what, PATIENCE, Some(&self.logs()), || {
            if let Some(error) = servers.iter().find_map(|server| server.check().err()) {
                ended = Some(error);
                return Ok(());
            }
            // The port opens late: until then no kubectl needs to be started.
            TcpStream::connect_timeout(&address, Duration::from_secs(1))
                .map_err(|error| error.to_string())?;
            let args = ["get", "--raw", "/readyz", "--request-timeout=5s"];
            self.kubectl
                .run(&args)
                .map(|_| ())
                .map_err(|error| error.to_string())
        });
        ended.map_or(result, Err)
    }

    fn own_dir(&self) -> PathBuf {
        self.dir.join(&self.state.name)
    }

    fn process_name(&self, component: Component) -> String {
        format!("{}/{component}", self.state.name)
    }

    fn launch(&self, component: Component, files: &Files<'_>) -> Result<Process> {
        let log = self.logs().join(format!("{component}.log"));
        self.keeper
            .spawn(component.launch(self.process_name(component), log, files))
    }

    /// Starts everything, and answers when work can be given to it.
    pub(crate) fn start(
        &self,
        bin: &Path,
        spec: &ClusterSpec,
        member: Option<&MemberSpec>,
        progress: &Progress,
    ) -> Result<()> {
        let step = progress.step(format!("{}: starting", self.name()));
        let (dir, logs) = (self.own_dir(), self.logs());
        for folder in [&dir, &logs] {
            fs::create_dir_all(folder).io(|| format!("making {}", folder.display()))?;
        }
        let pki = Pki::create(&dir.join("pki"), self.state.ip)?;
        let files = Files {
            bin,
            dir: &dir,
            audit_log: &self.audit_log(),
            pki: &pki,
            ip: self.ip(),
            spec,
        };
        let admin = pki.kubeconfig(
            self.name(),
            &self.server(),
            "heyun-admin",
            Some("system:masters"),
        )?;
        files.write(self.name(), &self.server(), member)?;
        step.detail("API server");
        self.launch(Component::Etcd, &files)?;
        self.launch(Component::ApiServer, &files)?;
        write_private(self.kubeconfig(), &admin)?;
        self.wait_ready()?;
        step.detail("controllers");
        let servers = [Component::Etcd, Component::ApiServer];
        for &component in self
            .components()
            .iter()
            .filter(|one| !servers.contains(one))
        {
            self.launch(component, &files)?;
        }
        if let Some(member) = member {
            self.populate(member)?;
        }
        self.settle(member)?;
        step.done(format!("{}: ready at {}", self.name(), self.server()));
        Ok(())
    }

    fn populate(&self, member: &MemberSpec) -> Result<()> {
        let mut list = member.node_list(self.ip());
        let mut classes = member.storage_class_list();
        if let (Some(items), Some(more)) = (
            list["items"].as_array_mut(),
            classes["items"].as_array_mut(),
        ) {
            items.append(more);
            if items.is_empty() {
                return Ok(());
            }
        }
        let create = ["create", "--validate=false", "-f", "-"];
        self.kubectl
            .run_with(&create, &list.to_string())
            .map(|_| ())
    }

    /// Waits for the nodes, and for the service account without which no pod can be created.
    fn settle(&self, member: Option<&MemberSpec>) -> Result<()> {
        let args = [
            "wait",
            "--for=create",
            "serviceaccount/default",
            "-n",
            "default",
        ];
        self.patient(&args)?;
        if member.is_none_or(|member| member.nodes.iter().all(|group| group.count == 0)) {
            return Ok(());
        }
        // Not `kubectl wait`, which asks for each node by itself.
        let what = format!("the nodes of {} to be ready", self.name());
        eventually(&what, PATIENCE, Some(&self.logs()), || {
            let nodes = self
                .kubectl
                .json(&["get", "nodes"])
                .map_err(|error| error.to_string())?;
            let all = nodes["items"]
                .as_array()
                .map_or(&[] as &[Value], Vec::as_slice);
            let waiting = all.iter().filter(|node| !is_ready(node)).count();
            if waiting == 0 {
                Ok(())
            } else {
                Err(format!("{waiting} of {} are not", all.len()))
            }
        })
    }

    /// One kubectl that waits, rather than many that ask.
    fn patient(&self, args: &[&str]) -> Result<()> {
        let timeout = format!("--timeout={}s", PATIENCE.as_secs());
        match self.kubectl.run(&[args, &[timeout.as_str()]].concat()) {
            Ok(_) => Ok(()),
            Err(error) => {
                // A component that ended says more than the wait for what it should do.
                for &component in self.components() {
                    self.component(component)?.check()?;
                }
                Err(Error::Timeout {
                    what: format!("{}: kubectl {}", self.name(), args.join(" ")),
                    waited: PATIENCE,
                    last: error.to_string(),
                    logs: Some(self.logs()),
                })
            }
        }
    }
}

/// Whether a node takes pods: it is ready, and the taint that it was born with is off.
fn is_ready(node: &Value) -> bool {
    let has = |list: &Value, field: &str, wanted: &str, also: &str| {
        let test = |one: &Value| one[field] == wanted && (also.is_empty() || one["status"] == also);
        list.as_array().is_some_and(|list| list.iter().any(test))
    };
    has(&node["status"]["conditions"], "type", "Ready", "True")
        && !has(
            &node["spec"]["taints"],
            "key",
            "node.kubernetes.io/not-ready",
            "",
        )
}
