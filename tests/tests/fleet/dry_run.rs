//! Dry runs: what the API server of the hub says of objects that it does not keep.

use futures::{StreamExt as _, stream};
use heyun_tests::fleet::Shared;
use kube::Client;
use kube::api::PostParams;
use kube::core::Request;
use serde_json::Value;

/// Dry runs under way at once.
const AT_ONCE: usize = 8;

/// What the API server makes of each object if it is created at its path, as administrator, or why
/// it refuses it; in the order of the objects. A field that it does not know is a reason too.
pub(crate) fn create(shared: &Shared, objects: &[(String, Value)]) -> Vec<Result<Value, String>> {
    let client = shared.sandbox.hub_client();
    let answers = objects
        .iter()
        .map(|(path, object)| one(&client, path, object));
    shared
        .runtime
        .block_on(stream::iter(answers).buffered(AT_ONCE).collect())
}

async fn one(client: &Client, path: &str, object: &Value) -> Result<Value, String> {
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let body = serde_json::to_vec(object).unwrap();
    let mut request = Request::new(path).create(&params, body).unwrap();
    // As kubectl does; the parameters of the client have no word for it.
    let strict = format!("{}&fieldValidation=Strict", request.uri());
    *request.uri_mut() = strict.parse().unwrap();
    match client.request(request).await {
        Ok(answer) => Ok(answer),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(error) => panic!("{path}: {error}"),
    }
}
