//! Pure plans: manifests to requests, hub objects to snapshots, decisions to Works.

pub mod aggregate;
pub mod approve;
pub mod decide;
pub mod diff;
pub mod explain;
pub mod finished;
pub mod grants;
pub mod guard;
pub mod health;
pub mod images;
pub mod interpret;
pub mod live;
pub mod member_names;
pub mod observe;
pub mod preempt;
pub mod queue;
pub mod render;
pub mod replay;
pub mod requests;
pub mod returns;
pub mod secrets;
pub mod sketch;
pub mod tenants;
pub mod wrap;

#[cfg(test)]
mod story;
