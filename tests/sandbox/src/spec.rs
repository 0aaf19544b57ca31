//! What a fleet is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Error, KUBERNETES_VERSION, Result};

/// A fleet: at most one hub, and members.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FleetSpec {
    /// The hub; it has no nodes.
    pub hub: Option<ClusterSpec>,
    /// The members, in the order of their addresses.
    pub members: Vec<MemberSpec>,
}

impl FleetSpec {
    /// A hub with the usual settings, named `hub`, and these members.
    pub fn with_hub(members: Vec<MemberSpec>) -> Self {
        Self {
            hub: Some(ClusterSpec::default()),
            members,
        }
    }

    /// Refuses what could not be started.
    pub(crate) fn check(&self) -> Result<()> {
        let mut names = BTreeSet::new();
        if self.hub.is_some() {
            names.insert(HUB);
        }
        for member in &self.members {
            check_name("member", &member.name)?;
            if member.name.len() > 40 {
                return Err(Error::Spec(format!(
                    "member name {:?} is longer than 40 characters",
                    member.name
                )));
            }
            if ["bin", "logs"].contains(&member.name.as_str()) || !names.insert(&member.name) {
                return Err(Error::Spec(format!(
                    "member name {:?} is taken; names are unique, and `hub`, `bin`, `logs` are reserved",
                    member.name
                )));
            }
            let mut prefixes = BTreeSet::new();
            for group in &member.nodes {
                check_name("node name prefix", &group.name_prefix)?;
                if !prefixes.insert(&group.name_prefix) {
                    return Err(Error::Spec(format!(
                        "two node groups of {} have the prefix {:?}",
                        member.name, group.name_prefix
                    )));
                }
            }
        }
        if names.is_empty() {
            return Err(Error::Spec(
                "there is neither a hub nor a member".to_owned(),
            ));
        }
        Ok(())
    }
}

/// Name of the hub's cluster.
pub(crate) const HUB: &str = "hub";

fn check_name(what: &str, name: &str) -> Result<()> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = !name.is_empty()
        && name.len() <= 63
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if good {
        return Ok(());
    }
    Err(Error::Spec(format!(
        "{what} {name:?}: 1 to 63 lower-case letters, digits and inner dashes are allowed"
    )))
}

/// Settings of one control plane.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// Write an audit log (metadata of writes). Default true.
    pub audit: bool,
    /// More arguments for the API server, for example `--feature-gates=…`.
    pub apiserver_args: Vec<String>,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self {
            audit: true,
            apiserver_args: Vec::new(),
        }
    }
}

/// A member cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberSpec {
    /// Its name, a DNS label of at most 40 characters.
    pub name: String,
    /// Its nodes.
    pub nodes: Vec<NodeGroup>,
    /// Its storage classes, the first being the default; claims for them are bound at once.
    pub storage_classes: Vec<String>,
    /// Its control plane.
    pub cluster: ClusterSpec,
}

impl MemberSpec {
    /// A member with these nodes, one storage class `standard`, and the usual control plane.
    pub fn new(name: impl Into<String>, nodes: Vec<NodeGroup>) -> Self {
        Self {
            name: name.into(),
            nodes,
            storage_classes: vec!["standard".to_owned()],
            cluster: ClusterSpec::default(),
        }
    }

    /// Its nodes as a List that kubectl creates at once.
    pub(crate) fn node_list(&self, ip: Ipv4Addr) -> Value {
        let nodes: Vec<Value> = self
            .nodes
            .iter()
            .flat_map(|group| (0..group.count).map(|index| group.node(&self.name, ip, index)))
            .collect();
        json!({"apiVersion": "v1", "kind": "List", "items": nodes})
    }

    /// Its storage classes, likewise.
    pub(crate) fn storage_class_list(&self) -> Value {
        let class = |(index, name): (usize, &String)| {
            json!({
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": name, "annotations": {
                    "storageclass.kubernetes.io/is-default-class": (index == 0).to_string(),
                }},
                "provisioner": "kwok.x-k8s.io/volume",
                "reclaimPolicy": "Delete",
                "volumeBindingMode": "Immediate",
            })
        };
        let items: Vec<Value> = self.storage_classes.iter().enumerate().map(class).collect();
        json!({"apiVersion": "v1", "kind": "List", "items": items})
    }
}

/// Simulated nodes of one shape.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeGroup {
    /// How many.
    pub count: u32,
    /// Their names are this, a dash and a number from 0.
    pub name_prefix: String,
    /// CPU of each, a Kubernetes quantity such as `16` or `1500m`.
    pub cpu: String,
    /// Memory of each, for example `64Gi`.
    pub memory: String,
    /// Pods on each, 110 as a rule.
    pub pods: u32,
    /// `kubernetes.io/arch`, for example `amd64` or `arm64`.
    pub arch: String,
    /// More labels. They win over the usual ones: architecture, system, host name, region (the
    /// member's name) and zone (`MEMBER-a`).
    pub labels: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<Taint>,
    /// More resources, for example `huawei.com/Ascend910: "8"`.
    pub extra: BTreeMap<String, String>,
}

impl NodeGroup {
    /// `count` nodes of this prefix, architecture, CPU and memory, with room for 110 pods each.
    pub fn new(count: u32, name_prefix: &str, arch: &str, cpu: &str, memory: &str) -> Self {
        Self {
            count,
            name_prefix: name_prefix.to_owned(),
            cpu: cpu.to_owned(),
            memory: memory.to_owned(),
            pods: 110,
            arch: arch.to_owned(),
            labels: BTreeMap::new(),
            taints: Vec::new(),
            extra: BTreeMap::new(),
        }
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Adds a taint.
    #[must_use]
    pub fn taint(mut self, key: &str, value: &str, effect: &str) -> Self {
        let [key, value, effect] = [key, value, effect].map(str::to_owned);
        self.taints.push(Taint { key, value, effect });
        self
    }

    /// Adds a resource.
    #[must_use]
    pub fn resource(mut self, name: &str, quantity: &str) -> Self {
        self.extra.insert(name.to_owned(), quantity.to_owned());
        self
    }

    fn node(&self, member: &str, ip: Ipv4Addr, index: u32) -> Value {
        let name = format!("{}-{index}", self.name_prefix);
        let mut labels: BTreeMap<&str, &str> = BTreeMap::from([
            ("kubernetes.io/arch", self.arch.as_str()),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/hostname", &name),
            ("topology.kubernetes.io/region", member),
        ]);
        let zone = format!("{member}-a");
        labels.insert("topology.kubernetes.io/zone", &zone);
        labels.extend(
            self.labels
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        );
        let pods = self.pods.to_string();
        let mut resources: BTreeMap<&str, &str> = BTreeMap::from([
            ("cpu", self.cpu.as_str()),
            ("memory", &self.memory),
            ("pods", &pods),
            ("ephemeral-storage", "100Gi"),
        ]);
        resources.extend(
            self.extra
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        );
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": name,
                "labels": labels,
                "annotations": {"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
            },
            "spec": {"taints": self.taints},
            // What kwok would write as its first step: for many nodes that takes long.
            "status": {
                "phase": "Running",
                "conditions": [{
                    "type": "Ready", "status": "True",
                    "reason": "KubeletReady", "message": "kubelet is posting ready status",
                }],
                "addresses": [
                    {"type": "InternalIP", "address": ip}, {"type": "Hostname", "address": name},
                ],
                "allocatable": resources,
                "capacity": resources,
                "nodeInfo": {
                    "architecture": self.arch,
                    "bootID": "", "containerRuntimeVersion": "kwok", "kernelVersion": "",
                    "kubeProxyVersion": KUBERNETES_VERSION, "kubeletVersion": KUBERNETES_VERSION,
                    "machineID": "", "operatingSystem": "linux", "osImage": "", "systemUUID": "",
                },
            },
        })
    }
}

/// A taint of a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value, which may be empty.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_collide_or_not_be_names_are_refused() {
        let member =
            |name: &str| MemberSpec::new(name, vec![NodeGroup::new(1, "n", "amd64", "1", "1Gi")]);
        let check = |members| {
            FleetSpec::with_hub(members)
                .check()
                .map_err(|error| error.to_string())
        };
        assert_eq!(check(vec![member("a"), member("b-2")]), Ok(()));
        assert!(
            check(vec![member("a"), member("a")])
                .unwrap_err()
                .contains("taken")
        );
        assert!(check(vec![member("hub")]).unwrap_err().contains("reserved"));
        assert!(check(vec![member("A")]).unwrap_err().contains("\"A\""));
        assert!(check(vec![member("")]).is_err());
        assert!(FleetSpec::default().check().is_err());
        let mut twice = member("a");
        twice.nodes.push(twice.nodes[0].clone());
        assert!(check(vec![twice]).unwrap_err().contains("prefix"));
    }

    #[test]
    fn a_node_shows_its_shape_and_given_labels_win() {
        let group = NodeGroup::new(2, "ascend", "arm64", "64", "256Gi")
            .label("topology.kubernetes.io/zone", "z1")
            .resource("huawei.com/Ascend910", "8")
            .taint("dedicated", "ai", "NoSchedule");
        let list = MemberSpec::new("city", vec![group]).node_list(Ipv4Addr::LOCALHOST);
        let node = &list["items"][1];
        assert_eq!(node["metadata"]["name"], "ascend-1");
        assert_eq!(node["metadata"]["labels"]["kubernetes.io/arch"], "arm64");
        assert_eq!(
            node["metadata"]["labels"]["topology.kubernetes.io/zone"],
            "z1"
        );
        assert_eq!(node["status"]["allocatable"]["huawei.com/Ascend910"], "8");
        assert_eq!(node["spec"]["taints"][0]["effect"], "NoSchedule");
    }
}
