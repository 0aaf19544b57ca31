//! What is read of an object that may not be what its kind's schema says.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::PartialObjectMeta;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An object of a list or a watch, which goes on where one of them cannot be read.
///
/// As kube's `DeserializeGuard`, which makes a tree of every object and copies that before it reads
/// it: most of what a watch of thousands costs. Here its text is kept until it is read. So it is of
/// JSON alone, and of a watch event that says its type before its object, as every API server does.
#[derive(Clone, Debug)]
pub struct Guarded<K>(pub Result<K, Unreadable>);

/// An object that cannot be read as its kind.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Why.
    pub error: String,
    /// Who it is.
    pub metadata: ObjectMeta,
}

impl<'de, K: Resource + DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = <&RawValue>::deserialize(deserializer)?.get();
        serde_json::from_str(object)
            .map(Ok)
            .or_else(|error| {
                let error = error.to_string();
                let PartialObjectMeta { metadata, .. } =
                    serde_json::from_str::<PartialObjectMeta<K>>(object)
                        .map_err(D::Error::custom)?;
                Ok(Err(Unreadable { error, metadata }))
            })
            .map(Self)
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &Self::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &Self::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(unreadable) => &unreadable.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(unreadable) => &mut unreadable.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use kube::ResourceExt as _;
    use kube::core::WatchEvent;

    use super::Guarded;

    fn pod(containers: &str) -> String {
        format!(
            r#"{{"type": "ADDED", "object": {{
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {{"name": "web", "namespace": "town"}},
                "spec": {{"containers": {containers}}}
            }}}}"#
        )
    }

    fn read(event: &str) -> Guarded<Pod> {
        match serde_json::from_str(event).unwrap() {
            WatchEvent::Added(object) => object,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_object_is_read_as_its_kind() {
        let object = read(&pod(r#"[{"name": "main"}]"#));
        assert_eq!(object.name_any(), "web");
        let containers = object.0.unwrap().spec.unwrap().containers;
        assert_eq!(containers[0].name, "main");
    }

    #[test]
    fn one_that_cannot_be_read_says_who_it_is_and_why() {
        let object = read(&pod(r#""none""#));
        assert_eq!(object.name_any(), "web");
        assert_eq!(object.namespace().as_deref(), Some("town"));
        let error = object.0.unwrap_err().error;
        assert!(error.contains("none"), "{error}");
    }

    #[test]
    fn one_without_a_name_that_can_be_read_is_an_error() {
        let event = r#"{"type": "ADDED", "object": {"metadata": "none"}}"#;
        assert!(serde_json::from_str::<WatchEvent<Guarded<Pod>>>(event).is_err());
    }
}
