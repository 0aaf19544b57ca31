//! Whether a caller may: the API server's RBAC decides, asked by SubjectAccessReview.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

use super::caller::Caller;

/// What a caller wants to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// API group of the resource.
    pub group: &'static str,
    /// Verb: `get` or `list`.
    pub verb: &'static str,
    /// Resource.
    pub resource: &'static str,
    /// Subresource, if any.
    pub subresource: Option<&'static str>,
    /// Namespace; absent: all.
    pub namespace: Option<String>,
    /// Name, if one object is meant.
    pub name: Option<String>,
}

/// Asks the API server. Returns its reason when it says no.
///
/// # Errors
/// When the question cannot be asked.
pub async fn review(
    client: &Client,
    caller: &Caller,
    wanted: &Wanted,
) -> Result<Result<(), String>, kube::Error> {
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(caller.user().to_owned()),
            groups: Some(caller.groups().to_vec()),
            resource_attributes: Some(ResourceAttributes {
                group: Some(wanted.group.into()),
                resource: Some(wanted.resource.into()),
                subresource: wanted.subresource.map(Into::into),
                verb: Some(wanted.verb.into()),
                namespace: wanted.namespace.clone(),
                name: wanted.name.clone(),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let answer = api.create(&PostParams::default(), &review).await?;
    let status = answer.status.unwrap_or_default();
    Ok(if status.allowed {
        Ok(())
    } else {
        Err(status.reason.unwrap_or_default())
    })
}
