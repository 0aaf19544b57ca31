//! What the hub serves: metrics and health on one listener, the aggregated API on another.
//!
//! ```text
//! API server ── front proxy (mTLS) ──► tls ──► caller ──► access ──► routes ──► the loop, the ledger
//! kubelet, Prometheus ───────────────► admin
//! ```

pub mod access;
pub mod admin;
pub mod caller;
pub mod listener;
pub mod routes;
mod subtree;
pub mod tls;
