use super::*;
use crate::error::Exit;

const WEB: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 2, template: {spec: {containers: [{name: c, image: i}]}}}\n";
const SECRET: &str =
    "---\napiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {p: canary-4711}\n";

struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    fn input(&self, names: &[&str]) -> Input {
        Input {
            filename: names.iter().map(|name| self.0.path().join(name)).collect(),
            name: None,
            placement_ref: None,
        }
    }
}

#[test]
fn plain_manifests_become_one_workload_named_by_the_file_and_secrets_go_beside() {
    let files = Files::new(&[("shop.yaml", &format!("{WEB}{SECRET}"))]);
    let mut input = files.input(&["shop.yaml"]);
    input.placement_ref = Some("spread".to_owned());
    let bundle = bundle(&input, "ns", None).unwrap();
    let workload = &bundle.workloads[0];
    assert_eq!(workload["metadata"]["name"], "shop");
    assert_eq!(workload["metadata"]["namespace"], "ns");
    assert_eq!(workload["spec"]["placementRef"]["name"], "spread");
    assert_eq!(workload["spec"]["secrets"][0]["name"], "db");
    assert_eq!(
        workload["spec"].get("suspend"),
        None,
        "defaults are not ours to own"
    );
    assert_eq!(bundle.secrets.0.len(), 1);
    let shown = format!("{bundle:?}");
    assert!(!shown.contains("canary"), "{shown}");
    assert!(!workload.to_string().contains("canary"));
}

#[test]
fn a_folder_is_read_in_order_and_not_below() {
    let other = WEB.replace("web", "api");
    let files = Files::new(&[
        ("app/b.yaml", WEB),
        ("app/a.yml", &other),
        ("app/notes.txt", "no: [manifest"),
        ("app/deep/c.yaml", "no: manifest"),
    ]);
    let bundle = bundle(&files.input(&["app"]), "ns", None).unwrap();
    let workload = &bundle.workloads[0];
    assert_eq!(workload["metadata"]["name"], "app");
    assert_eq!(workload["spec"]["manifests"][0]["metadata"]["name"], "api");
    assert_eq!(workload["spec"]["manifests"][1]["metadata"]["name"], "web");
}

#[test]
fn a_workload_is_sent_as_it_is_without_what_a_server_writes() {
    let given = "apiVersion: heyun.dev/v1alpha1\nkind: Workload\n\
        metadata: {name: w, uid: u, resourceVersion: '7', labels: {a: b}}\n\
        spec: {suspend: false, manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}]}\n\
        status: {replicas: 3}\n";
    let files = Files::new(&[("w.yaml", given)]);
    let bundle = bundle(&files.input(&["w.yaml"]), "ns", None).unwrap();
    let wanted = serde_json::json!({
        "apiVersion": "heyun.dev/v1alpha1", "kind": "Workload",
        "metadata": {"name": "w", "namespace": "ns", "labels": {"a": "b"}},
        "spec": {"suspend": false, "manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}]},
    });
    assert_eq!(bundle.workloads, [wanted]);
}

#[test]
fn what_cannot_be_deployed_is_refused_with_every_fault() {
    let foreign = WEB.replace("{name: web}", "{name: web, namespace: other}");
    let scoped = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n";
    let workload = "apiVersion: heyun.dev/v1alpha1\nkind: Workload\nmetadata: {name: w, namespace: x}\nspec: {manifests: []}\n";
    let files = Files::new(&[
        ("foreign.yaml", &format!("{foreign}{scoped}")),
        ("Bad_Name.yaml", WEB),
        ("empty.yaml", "# nothing\n"),
        ("w.yaml", workload),
        (
            "typo.yaml",
            &workload.replace("manifests: []", "manifest: []"),
        ),
        ("none/x.txt", ""),
    ]);
    let refused = |names: &[&str], asked| bundle(&files.input(names), "ns", asked).unwrap_err();
    let error = refused(&["foreign.yaml"], None);
    assert!(error.message.starts_with("2 faults:"), "{error}");
    assert!(
        error.message.contains("\"other\"") && error.message.contains("Namespace/n"),
        "{error}"
    );
    assert_eq!(
        refused(&["Bad_Name.yaml"], None).hint.as_deref(),
        Some("give the Workload a name with --name")
    );
    assert!(
        refused(&["empty.yaml"], None)
            .message
            .contains("no manifest")
    );
    let error = refused(&["w.yaml"], Some("ns"));
    assert!(
        error
            .message
            .contains("is of namespace x, the command line says ns"),
        "{error}"
    );
    assert!(refused(&["typo.yaml"], None).message.contains("manifests"));
    assert!(refused(&["none"], None).message.contains("holds no .yaml"));
    let error = refused(&["missing.yaml"], None);
    assert!(
        error.message.contains("cannot be read") && error.exit == Exit::Usage,
        "{error}"
    );
}
