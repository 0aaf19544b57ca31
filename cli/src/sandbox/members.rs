//! Which members a sandbox has.

use heyun_sandbox::{MemberSpec, NodeGroup};
use serde_json::{Value, json};

use crate::apply::documents;
use crate::error::Result;

/// Most members of one sandbox: each takes about 700 MB of memory.
pub const MEMBERS_MAX: usize = 40;

const PROVINCE_A: &str = include_str!("../../../examples/members/province-a.yaml");
const GUANGZHOU_1: &str = include_str!("../../../examples/members/guangzhou-1.yaml");
const SHENZHEN_1: &str = include_str!("../../../examples/members/shenzhen-1.yaml");

/// A member of a sandbox: its control plane, and what the hub is told of it.
#[derive(Clone, Debug)]
pub struct Member {
    /// Control plane, nodes, storage classes.
    pub cluster: MemberSpec,
    /// The MemberCluster that is applied, without endpoint and credential; `None`: not joined.
    pub object: Option<Value>,
}

impl Member {
    /// A member with these nodes and the storage class `standard`, joined as the province's.
    pub fn new(name: &str, nodes: Vec<NodeGroup>) -> Self {
        let object = json!({
            "apiVersion": heyun_crds::API_VERSION,
            "kind": "MemberCluster",
            "metadata": {"name": name},
            "spec": {
                "provider": "yunhai",
                "location": {"region": "guangdong"},
                "owner": "guangdong",
                "operator": "gd-cloud-ops",
                "zone": "cegn-common",
                "mlps": {"level": 3, "filingNo": "44000099009", "validUntil": "2030-06-30"},
                "classMap": {"storage": {"standard": "standard"}, "ingress": {"default": "nginx"}},
            },
        });
        Self {
            cluster: MemberSpec::new(name, nodes),
            object: Some(object),
        }
    }

    /// The same, but it is not joined.
    #[must_use]
    pub fn apart(mut self) -> Self {
        self.object = None;
        self
    }

    /// The same with another MemberCluster, as YAML.
    ///
    /// # Errors
    /// If it is not one YAML document.
    pub fn described(mut self, yaml: &str) -> Result<Self> {
        self.object = documents(&self.cluster.name, yaml)?.into_iter().next();
        Ok(self)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.cluster.name
    }
}

/// The province of the examples: `province-a` (amd64), `guangzhou-1` (attested arm64),
/// `shenzhen-1` (mixed), and from the fourth on `member-4`, `member-5` … like the first.
///
/// # Errors
/// None in practice: the examples are part of this program.
pub fn province(count: usize) -> Result<Vec<Member>> {
    let group = |count, prefix, arch| NodeGroup::new(count, prefix, arch, "16", "64Gi");
    let attested = || group(4, "arm", "arm64").label(heyun_crds::labels::XINCHUANG, "true");
    (1..=count)
        .map(|number| match number {
            1 => Member::new("province-a", vec![group(4, "amd", "amd64")]).described(PROVINCE_A),
            2 => Member::new("guangzhou-1", vec![attested()]).described(GUANGZHOU_1),
            3 => Member::new(
                "shenzhen-1",
                vec![group(2, "amd", "amd64"), group(2, "arm", "arm64")],
            )
            .described(SHENZHEN_1),
            _ => Ok(Member::new(
                &format!("member-{number}"),
                vec![group(4, "amd", "amd64")],
            )),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_province_is_that_of_the_examples() {
        let members = province(4).unwrap();
        let names: Vec<&str> = members.iter().map(Member::name).collect();
        assert_eq!(
            names,
            ["province-a", "guangzhou-1", "shenzhen-1", "member-4"]
        );
        for member in &members {
            let object = member.object.as_ref().unwrap();
            assert_eq!(object["metadata"]["name"], member.name());
            assert_eq!(object["kind"], "MemberCluster");
        }
    }
}
