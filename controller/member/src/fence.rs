//! The fence on a member: a Lease whose number no older leader may write under.
//!
//! A new leader raises it before its first write there. A policy on the member has the Lease as
//! its parameter and refuses applies with a smaller `heyun.dev/epoch`. The number is the leader's
//! epoch plus a base that the hub keeps per member, so a member that has seen another hub cannot
//! raise the hub's own epoch.

use heyun_crds::labels::{LEADER_LEASE, MANAGED_BY, MANAGER, SYSTEM_NAMESPACE};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};

use crate::client::{CALL_LIMIT, within};
use crate::error::{Class, Classify as _, Error};

/// How often a raise is tried again when another process raises too.
const CONTENDERS_MAX: u32 = 5;

/// The number of the fence; 0 where there is none yet.
pub async fn number(client: &Client) -> Result<i64, Error> {
    Ok(read(client).await?.as_ref().map_or(0, number_of))
}

/// Raises the fence to `number` if it is lower. One that is higher is [`Error::FenceAhead`]: a
/// newer leader, or another hub, has been there, and nothing may be written. Says whether it was
/// written: the member's policy then needs a moment to know it.
pub async fn raise(client: &Client, number: i64) -> Result<bool, Error> {
    let mut contenders = 0;
    loop {
        let lease = read(client).await?;
        let found = lease.as_ref().map_or(0, number_of);
        if found > number {
            let (namespace, name) = (SYSTEM_NAMESPACE, LEADER_LEASE);
            return Err(Error::FenceAhead {
                namespace,
                name,
                found,
                number,
            });
        }
        if lease.is_some() && found == number {
            return Ok(false);
        }
        match write(client, lease, number).await {
            Ok(()) => return Ok(true),
            Err(e) if e.class() == Class::Conflict && contenders < CONTENDERS_MAX => {
                contenders += 1;
            }
            Err(e) => return Err(e),
        }
    }
}

fn api(client: &Client) -> Api<Lease> {
    Api::namespaced(client.clone(), SYSTEM_NAMESPACE)
}

async fn read(client: &Client) -> Result<Option<Lease>, Error> {
    within(
        CALL_LIMIT,
        "read the fence of the member",
        api(client).get_opt(LEADER_LEASE),
    )
    .await
}

/// A create or a replace of the version that was read: never a blind write.
async fn write(client: &Client, lease: Option<Lease>, number: i64) -> Result<(), Error> {
    let api = api(client);
    let params = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    let transitions = i32::try_from(number).ok();
    let doing = format!("raise the fence of the member to {number}");
    if let Some(mut lease) = lease {
        lease.spec.get_or_insert_default().lease_transitions = transitions;
        within(
            CALL_LIMIT,
            doing,
            api.replace(LEADER_LEASE, &params, &lease),
        )
        .await?;
    } else {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(LEADER_LEASE.to_owned()),
                namespace: Some(SYSTEM_NAMESPACE.to_owned()),
                labels: Some([(MANAGED_BY.to_owned(), MANAGER.to_owned())].into()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(MANAGER.to_owned()),
                lease_transitions: transitions,
                ..LeaseSpec::default()
            }),
        };
        within(CALL_LIMIT, doing, api.create(&params, &lease)).await?;
    }
    Ok(())
}

fn number_of(lease: &Lease) -> i64 {
    lease
        .spec
        .as_ref()
        .and_then(|spec| spec.lease_transitions)
        .map_or(0, i64::from)
}
