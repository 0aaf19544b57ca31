//! Loopback addresses for fleets.
//!
//! Binding port 0 and handing its number to a server is a race. On Linux all of 127.0.0.0/8 is
//! loopback, so a fleet takes a block of its own, `127.A.B.0/24`, and every server in it a fixed
//! port.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, TcpListener};

use crate::{Error, Result};

/// Held on `127.A.B.1` by whoever owns the block. All fixed ports are below 32768, where Linux
/// begins to hand out ports to connections, and unusual, for a server on all addresses would
/// collide with them.
const CLAIM_PORT: u16 = 20_999;
/// Of every API server.
pub(crate) const API_PORT: u16 = 26_443;
/// Of etcd, for clients.
pub(crate) const ETCD_PORT: u16 = 22_379;
/// Of etcd, for HTTP: on one port with gRPC, it slows gRPC down.
pub(crate) const ETCD_HTTP_PORT: u16 = 22_381;
/// Of etcd, for peers; it has none but must listen.
pub(crate) const ETCD_PEER_PORT: u16 = 22_380;
/// The first of the ports that a fleet hands out on request.
pub(crate) const FIRST_RESERVED_PORT: u16 = 21_000;
/// One past the last of them.
pub(crate) const LAST_RESERVED_PORT: u16 = 22_000;

/// A block of addresses, ours as long as this lives.
pub(crate) struct Claim {
    pub(crate) ip: Ipv4Addr,
    _held: TcpListener,
}

/// Takes a free block.
pub(crate) fn claim() -> Result<Claim> {
    // Anywhere in the range, so that fleets that start together seldom meet.
    let start = RandomState::new().hash_one(std::process::id()) % (64 * 254);
    for step in 0..64 * 254 {
        let n = (start + step) % (64 * 254);
        let a = u8::try_from(64 + n / 254).unwrap_or(64);
        let b = u8::try_from(1 + n % 254).unwrap_or(1);
        let ip = Ipv4Addr::new(127, a, b, 1);
        if let Ok(held) = TcpListener::bind((ip, CLAIM_PORT)) {
            return Ok(Claim { ip, _held: held });
        }
    }
    Err(Error::Keeper(format!(
        "no block of loopback addresses is free: is a server bound to port {CLAIM_PORT} of all addresses?"
    )))
}

/// The address of the cluster with this number, the first one being 0.
pub(crate) fn of_cluster(base: Ipv4Addr, index: usize) -> Result<Ipv4Addr> {
    let [a, b, c, d] = base.octets();
    let last = u8::try_from(index)
        .ok()
        .and_then(|index| d.checked_add(index));
    match last.filter(|&last| last < 255) {
        Some(last) => Ok(Ipv4Addr::new(a, b, c, last)),
        None => Err(Error::Spec("a fleet has at most 254 clusters".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_differ_while_they_are_held() {
        let first = claim().unwrap();
        let second = claim().unwrap();
        assert_ne!(first.ip, second.ip);
        assert!(TcpListener::bind((first.ip, CLAIM_PORT)).is_err());
        let ip = first.ip;
        drop(first);
        assert!(TcpListener::bind((ip, CLAIM_PORT)).is_ok());
    }

    #[test]
    fn clusters_count_up_and_end() {
        let base = Ipv4Addr::new(127, 64, 1, 1);
        assert_eq!(of_cluster(base, 3).unwrap(), Ipv4Addr::new(127, 64, 1, 4));
        assert!(of_cluster(base, 253).is_ok());
        assert!(of_cluster(base, 254).is_err());
    }
}
