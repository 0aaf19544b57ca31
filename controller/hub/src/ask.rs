//! Questions to the loop that holds the world.

use heyun_crds::query::Why;
use heyun_crds::{Quota, Tenant};
use heyun_scheduler::request::WorkloadKey;
use tokio::sync::oneshot;

/// A question, with where the answer goes.
#[derive(Debug)]
pub enum Question {
    /// Why a Workload is where it is.
    Why {
        /// The Workload.
        key: WorkloadKey,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Why, AskError>>,
    },
    /// The tenant that a namespace belongs to.
    Tenant {
        /// The namespace.
        namespace: String,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<String, AskError>>,
    },
    /// The names of a tenant and of all below it; without a tenant, of all.
    Subtree {
        /// Root of the subtree.
        tenant: Option<String>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Vec<String>, AskError>>,
    },
    /// The topmost tenants that name a caller in any role.
    Named {
        /// Name of the user.
        user: String,
        /// Groups of the user.
        groups: Vec<String>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Vec<String>, AskError>>,
    },
    /// What is of these tenants and all below them, of those that have their home; without any, all
    /// there is.
    Below {
        /// Which of the two.
        what: Listed,
        /// Roots of the subtrees.
        roots: Option<Vec<String>>,
        /// The one of this name alone.
        only: Option<String>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Below, AskError>>,
    },
}

/// What is listed of a subtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Its Tenants.
    Tenants,
    /// Their Quotas.
    Quotas,
}

/// What there is of a subtree, by name.
#[derive(Clone, Debug)]
pub enum Below {
    /// Its Tenants.
    Tenants(Vec<Tenant>),
    /// Their Quotas.
    Quotas(Vec<Quota>),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No such object.
    #[error("{0} does not exist, or the hub has not seen it yet")]
    NotFound(String),
    /// The hub has not read its objects yet.
    #[error("the hub has not read its objects yet: try again in a moment")]
    NotReady,
    /// The loop has ended.
    #[error("the hub is shutting down: try again in a moment")]
    Gone,
}
