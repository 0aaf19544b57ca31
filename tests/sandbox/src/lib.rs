//! Fleets of real control planes on loopback.
//!
//! A fleet is a hub and members, each with its own etcd, API server and controller manager; members
//! also have a scheduler and nodes that kwok plays. The tests, the demo and `heyun sandbox` share
//! this library. It knows nothing of Heyun's own kinds.
//!
//! ```no_run
//! use heyun_sandbox::{Cache, Fleet, FleetSpec, MemberSpec, NodeGroup, Progress, built_keeper};
//!
//! # fn main() -> heyun_sandbox::Result<()> {
//! let nodes = vec![NodeGroup::new(3, "node", "arm64", "16", "64Gi")];
//! let spec = FleetSpec::with_hub(vec![MemberSpec::new("city", nodes)]);
//! let progress = Progress::stderr();
//! let fleet = Fleet::start(&spec, None, &built_keeper()?, &Cache::locate()?, &progress)?;
//! println!("{}", fleet.cluster("city")?.kubectl().run(&["get", "nodes"])?);
//! # Ok(())
//! # }
//! ```
//!
//! # Who owns what
//!
//! [`Fleet::start`] starts a *keeper*, a process that owns all others; it kills them and removes the
//! folder when the process that called `start` ends, however it ends. Any executable can be the
//! keeper: `heyun-keeper` of this crate, or one that calls [`keeper_main`] first thing in `main`
//! behind a hidden subcommand. [`Fleet::detach`] lets the fleet outlive its starter.
//!
//! # Addresses
//!
//! A fleet takes a block `127.A.B.0/24` of the loopback net, so any number run side by side with
//! fixed ports. [`Fleet::hub_address`] and [`Fleet::reserve_port`] are for servers of ours.
//!
//! # Traps
//!
//! - **An unavailable APIService stops the end of namespaces.** While the server behind an
//!   APIService does not answer, every deleted namespace on that API server stays `Terminating`
//!   (condition `NamespaceDeletionDiscoveryFailure`, reason `DiscoveryFailed`), and goes as soon as
//!   the service answers or the APIService is deleted. So remove the APIService of a hub that is
//!   stopped for good.
//! - **Aggregated APIs of a plain process** are reached through a Service of type `ExternalName`
//!   whose `externalName` is [`Fleet::hub_address`] as text, with the port in the APIService. The
//!   API servers therefore run without `--enable-aggregator-routing`, which refuses that type. The
//!   name in the server's certificate is `SERVICE.NAMESPACE.svc`.
//! - **Creates by server-side apply** have the verb `patch` in the audit log; [`AuditEvent::created`]
//!   knows. Events are written right after the answer, so wait for the last one before counting.
//! - **kubectl's discovery cache** is keyed by address, and the next fleet may have this one's: the
//!   library's [`Kubectl`] keeps its cache in the fleet's folder. By hand, an outdated cache shows as
//!   an unknown kind; `--cache-dir` or ten minutes help.
//! - **Frozen is not gone.** After SIGSTOP a server's connections stay open and its port still takes
//!   new ones: only a timeout tells. After SIGKILL of an API server, connections are refused at once.
//! - **`kubectl wait node --all`** asks for each node by itself, ten a second.
//! - **Deleted pods** go at once: kwok does not wait for the grace period.
//! - **Nodes** are played as long as kwok runs. With kwok frozen, they turn NotReady after 50 s.
//! - **Storage** is a name: claims of a member's storage classes are bound when they are made.
//! - **Images, CNI, kube-proxy** do not exist. `kubectl logs` and `exec` have no answer.
//! - **etcd** is reachable by any user of the machine, without a password.

#![allow(
    clippy::disallowed_methods,
    reason = "runs processes against the wall clock; nothing here decides anything for the product"
)]

mod address;
mod audit;
mod binary;
mod cache;
mod cluster;
mod component;
mod error;
mod fleet;
mod keeper;
mod kubectl;
mod pki;
mod postgres;
pub mod preflight;
mod progress;
mod spec;
mod tools;
mod wait;

pub use audit::{AuditEvent, AuditObject, AuditStatus, AuditUser, read_audit};
pub use binary::{built_binary, built_keeper};
pub use cache::Cache;
pub use cluster::Cluster;
pub use component::Component;
pub use error::{Error, Result};
pub use fleet::Fleet;
pub use keeper::{ExitInfo, Keeper, KeeperCommand, Process, ProcessInfo, Signal, keeper_main};
pub use kubectl::Kubectl;
pub use postgres::Postgres;
pub use progress::{Progress, Step};
pub use spec::{ClusterSpec, FleetSpec, MemberSpec, NodeGroup, Taint};
pub use tools::{CONTROL_PLANE, KUBERNETES_VERSION, Tool, controlplane, tool};
pub use wait::{eventually, eventually_async};
