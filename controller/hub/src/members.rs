//! Members (stub).
use std::collections::BTreeSet;
use std::sync::Arc;
use heyun_member::clock::Clock;
use heyun_telemetry::Metrics;
use kube::Client;
use crate::leader::Term;
use crate::world::World;
/// Stub.
pub struct Fleet;
/// Stub.
pub struct Report;
impl Fleet {
    /// Stub.
    pub fn new(_: Client, _: Arc<dyn Clock>, _: Metrics) -> Self { Self }
    /// Stub.
    pub fn sync(&mut self, _: &World, _: &Term, _: &BTreeSet<String>) {}
    /// Stub.
    pub async fn report(&mut self) -> Option<Report> { std::future::pending().await }
    /// Stub.
    pub fn stop_soon(&mut self) {}
    /// Stub.
    pub async fn stop_all(&mut self) {}
}
impl crate::operate::Operator { pub(crate) fn hear(&mut self, _: Report) {} }
