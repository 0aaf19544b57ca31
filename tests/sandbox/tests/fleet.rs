//! Real fleets: that they run work, stand side by side, and leave nothing behind.

#![allow(clippy::disallowed_methods, reason = "measures real time")]
#![allow(
    clippy::unwrap_used,
    reason = "Clippy knows #[test] functions, not their helpers"
)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use heyun_sandbox::{
    Cache, Component, Fleet, FleetSpec, KeeperCommand, MemberSpec, NodeGroup, Postgres, Progress,
    eventually,
};

/// A fleet's end takes no longer, however it comes.
const END: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_mins(1);
/// Tells the test `owner` where to put its fleet.
const OWNER_DIR: &str = "HEYUN_TEST_OWNER_DIR";

fn keeper() -> KeeperCommand {
    // As an executable that embeds it has it: behind a subcommand.
    let path = env!("CARGO_BIN_EXE_heyun-keeper").into();
    KeeperCommand {
        path,
        args: vec!["keeper".into()],
    }
}

fn start(spec: &FleetSpec, dir: Option<&Path>) -> Fleet {
    static PROGRESS: OnceLock<Progress> = OnceLock::new();
    let progress = PROGRESS.get_or_init(Progress::stderr);
    Fleet::start(spec, dir, &keeper(), &Cache::locate().unwrap(), progress).unwrap()
}

/// One control plane without nodes.
fn small() -> FleetSpec {
    FleetSpec {
        hub: None,
        members: vec![MemberSpec::new("alone", Vec::new())],
    }
}

/// Processes whose arguments name this folder.
fn processes_of(dir: &Path) -> Vec<String> {
    let wanted = dir.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| {
            let arguments = fs::read(entry.path().join("cmdline")).ok()?;
            let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
            let pid = entry.file_name().into_string().ok()?;
            (pid.parse::<u32>().is_ok() && arguments.contains(wanted))
                .then(|| format!("{pid}: {arguments}"))
        })
        .collect()
}

fn nothing_left(dir: &Path) {
    eventually(
        &format!("nothing of {} to be left", dir.display()),
        END,
        None,
        || {
            let left = processes_of(dir);
            if !left.is_empty() {
                return Err(left.join("\n"));
            }
            if dir.exists() {
                Err("the folder is there".to_owned())
            } else {
                Ok(())
            }
        },
    )
    .unwrap();
}

fn sigkill(pid: u32) {
    let killed = Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
}

/// What the members' clusters are asked to run.
const WORK: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: work}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: work}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {kubernetes.io/arch: arm64}
      containers: [{name: web, image: web, resources: {requests: {cpu: "1"}}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: work}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: db}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once, namespace: work}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: once, image: once}]}}}
"#;

#[test]
fn a_fleet_runs_work_and_ends_when_it_is_dropped() {
    let nodes = vec![
        NodeGroup::new(2, "arm", "arm64", "4", "8Gi").label("pool", "xinchuang"),
        NodeGroup::new(1, "amd", "amd64", "4", "8Gi"),
    ];
    let fleet = start(
        &FleetSpec::with_hub(vec![MemberSpec::new("city", nodes)]),
        None,
    );
    let dir = fleet.dir().to_path_buf();
    let city = fleet.cluster("city").unwrap();
    runs_work(&fleet);
    the_hub_is_a_real_one(&fleet);
    an_unavailable_api_service_holds_namespaces(&fleet);
    audit_tells_creates_and_deletes(&fleet);

    // Faults: killed and started again, frozen and thawed.
    let server = city.component(Component::ApiServer).unwrap();
    server.kill().unwrap();
    assert!(server.check().unwrap_err().to_string().contains("signal 9"));
    server.start().unwrap();
    city.wait_ready().unwrap();
    let store = city.component(Component::Etcd).unwrap();
    store.kill().unwrap();
    store.start().unwrap();
    city.wait_ready().unwrap();
    assert!(city.kubectl().run(&["get", "node", "arm-0"]).is_ok());
    server.pause().unwrap();
    assert!(
        city.kubectl()
            .run(&["get", "--raw", "/readyz", "--request-timeout=1s"])
            .is_err()
    );
    server.resume().unwrap();
    city.wait_ready().unwrap();
    let ended = city
        .component(Component::Kwok)
        .unwrap()
        .stop(Duration::from_secs(5))
        .unwrap();
    assert!(ended.is_some());

    // A program of ours, with its own environment and nothing of this process's.
    let env = [("SAID".to_owned(), "heard".to_owned())].into();
    let argv = ["/bin/sh", "-c", "echo $SAID $CARGO_PKG_NAME; exit 3"].map(str::to_owned);
    let ours = fleet.spawn("ours", &argv, &env).unwrap();
    assert_eq!(ours.wait(END).unwrap().unwrap().code, Some(3));
    assert_eq!(fs::read_to_string(ours.log()).unwrap(), "heard\n");
    let port = fleet.reserve_port("query").unwrap();
    assert_eq!(port, fleet.reserve_port("query").unwrap());
    assert_ne!(port, fleet.reserve_port("metrics").unwrap());

    drop(fleet);
    nothing_left(&dir);
}

fn runs_work(fleet: &Fleet) {
    let kubectl = fleet.cluster("city").unwrap().kubectl();
    kubectl.apply(WORK).unwrap();
    for what in ["deployment/web", "statefulset/db"] {
        kubectl
            .run(&["rollout", "status", "-n", "work", what, "--timeout=60s"])
            .unwrap();
    }
    let done = [
        "wait",
        "-n",
        "work",
        "--for=condition=Complete",
        "job/once",
        "--timeout=60s",
    ];
    kubectl.run(&done).unwrap();
    let pods = kubectl
        .json(&["get", "pods", "-n", "work", "-l", "app=web"])
        .unwrap();
    let pods = pods["items"].as_array().unwrap();
    assert_eq!(pods.len(), 3);
    assert!(pods.iter().all(|pod| {
        pod["spec"]["nodeName"]
            .as_str()
            .unwrap()
            .starts_with("arm-")
    }));
    assert!(pods.iter().all(|pod| pod["status"]["podIP"].is_string()));
    kubectl
        .run(&["delete", "namespace", "work", "--timeout=60s"])
        .unwrap();
}

/// The front proxy's authority is published, built-in roles are filled, others can be let in.
fn the_hub_is_a_real_one(fleet: &Fleet) {
    let hub = fleet.hub().unwrap().kubectl();
    let config = [
        "get",
        "configmap",
        "-n",
        "kube-system",
        "extension-apiserver-authentication",
    ];
    let config = hub.json(&config).unwrap();
    let names = config["data"]["requestheader-allowed-names"]
        .as_str()
        .unwrap();
    assert_eq!(names, r#"["front-proxy-client"]"#);
    fleet
        .eventually("the role edit to be filled", SOON, || {
            let role = hub
                .json(&["get", "clusterrole", "edit"])
                .map_err(|e| e.to_string())?;
            let rules = role["rules"].as_array().map_or(0, Vec::len);
            if rules > 0 {
                Ok(())
            } else {
                Err("no rules".to_owned())
            }
        })
        .unwrap();
    let stranger = fleet
        .hub()
        .unwrap()
        .kubeconfig_for("li", Some("agency"))
        .unwrap();
    let path = fleet.dir().join("li.kubeconfig");
    fs::write(&path, stranger).unwrap();
    let mut whoami = Command::new(fleet.bin("kubectl"));
    whoami
        .arg("--kubeconfig")
        .arg(&path)
        .args(["auth", "whoami", "-o", "json"]);
    let said = String::from_utf8(whoami.output().unwrap().stdout).unwrap();
    assert!(
        said.contains("\"li\"") && said.contains("\"agency\""),
        "{said}"
    );
}

fn an_unavailable_api_service_holds_namespaces(fleet: &Fleet) {
    let hub = fleet.hub().unwrap().kubectl();
    let port = fleet.reserve_port("nobody").unwrap();
    hub.apply(&format!(
        r#"
apiVersion: v1
kind: Service
metadata: {{name: nobody, namespace: default}}
spec: {{type: ExternalName, externalName: "{}"}}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {{name: v1.nobody.example}}
spec:
  group: nobody.example
  version: v1
  groupPriorityMinimum: 1000
  versionPriority: 10
  insecureSkipTLSVerify: true
  service: {{name: nobody, namespace: default, port: {port}}}
---
apiVersion: v1
kind: Namespace
metadata: {{name: held}}
"#,
        fleet.hub_address()
    ))
    .unwrap();
    hub.run(&["delete", "namespace", "held", "--wait=false"])
        .unwrap();
    fleet
        .eventually("the namespace to say why it stays", SOON, || {
            let held = hub
                .run(&["get", "ns", "held", "-o", "json"])
                .map_err(|e| e.to_string())?;
            if held.contains("DiscoveryFailed") {
                Ok(())
            } else {
                Err(held)
            }
        })
        .unwrap();
    hub.run(&["delete", "apiservice", "v1.nobody.example"])
        .unwrap();
    let gone = ["wait", "--for=delete", "namespace/held", "--timeout=60s"];
    hub.run(&gone).unwrap();
}

fn audit_tells_creates_and_deletes(fleet: &Fleet) {
    let city = fleet.cluster("city").unwrap();
    let in_work = |resource: &str, test: fn(&heyun_sandbox::AuditEvent) -> bool| {
        let events = city.audit().unwrap();
        let matching = events.iter().filter(|event| test(event)).filter(|event| {
            let object = event.object_ref.as_ref();
            object.is_some_and(|of| of.namespace == "work" && of.resource == resource)
        });
        matching.count()
    };
    // The first by server-side apply, whose verb is patch.
    assert_eq!(
        in_work("deployments", heyun_sandbox::AuditEvent::created),
        1
    );
    assert_eq!(
        in_work("pods", heyun_sandbox::AuditEvent::created),
        3 + 2 + 1
    );
    assert!(in_work("deployments", heyun_sandbox::AuditEvent::deleted) >= 1);
}

/// Not a test of its own: the process that another test kills.
#[test]
#[ignore = "run by owner_killed_leaves_nothing"]
fn owner() {
    let Some(dir) = env::var_os(OWNER_DIR) else {
        return;
    };
    let fleet = start(&small(), Some(Path::new(&dir)));
    fs::write(fleet.dir().join("ready"), "").unwrap();
    loop {
        std::thread::park();
    }
}

struct Owner {
    child: Child,
    dir: PathBuf,
}

fn start_owner(home: &Path) -> Owner {
    let dir = home.join("fleet");
    let child = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "owner", "--nocapture"])
        .env(OWNER_DIR, &dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Owner { child, dir }
}

#[test]
fn owner_killed_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut owner = start_owner(home.path());
    // Side by side with this process's own.
    let ours = start(&small(), None);
    let ready = owner.dir.join("ready");
    eventually("the other fleet", SOON, None, || {
        if ready.exists() {
            Ok(())
        } else {
            Err("starting".to_owned())
        }
    })
    .unwrap();
    let theirs = Fleet::attach(&owner.dir).unwrap();
    assert_ne!(ours.hub_address(), theirs.hub_address());
    for fleet in [&ours, &theirs] {
        fleet.cluster("alone").unwrap().wait_ready().unwrap();
        assert_eq!(
            fleet
                .processes()
                .unwrap()
                .iter()
                .filter(|one| one.pid.is_some())
                .count(),
            5
        );
    }
    let dir = theirs.dir().to_path_buf();
    // A file of the user's own is not the fleet's to remove.
    fs::remove_file(&ready).unwrap();
    drop(theirs);
    sigkill(owner.child.id());
    owner.child.wait().unwrap();
    nothing_left(&dir);

    // The same for the keeper itself.
    ours.cluster("alone").unwrap().wait_ready().unwrap();
    let dir = ours.dir().to_path_buf();
    sigkill(ours.keeper_pid());
    nothing_left(&dir);
    assert!(ours.processes().unwrap_err().to_string().contains("keeper"));
}

#[test]
fn detached_it_goes_on_until_it_is_taken_down() {
    let home = tempfile::tempdir().unwrap();
    let dir = home
        .path()
        .join("a folder whose name is too long for a socket ".repeat(4));
    let fleet = start(&small(), Some(&dir));
    let refused = Fleet::start(
        &small(),
        Some(&dir),
        &keeper(),
        &Cache::locate().unwrap(),
        &Progress::silent(),
    );
    assert!(refused.unwrap_err().to_string().contains("is not empty"));
    let port = fleet.reserve_port("query").unwrap();
    fleet.detach().unwrap();
    fs::write(dir.join("mine.yaml"), "").unwrap();
    let again = Fleet::attach(&dir).unwrap();
    assert_eq!(again.reserve_port("query").unwrap(), port);
    drop(again);
    Fleet::attach(&dir)
        .unwrap()
        .cluster("alone")
        .unwrap()
        .wait_ready()
        .unwrap();
    Fleet::down(&dir).unwrap();
    assert_eq!(processes_of(&dir), Vec::<String>::new());
    let left: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .flatten()
        .map(|one| one.file_name())
        .collect();
    assert_eq!(left, ["mine.yaml"]);
    assert!(
        Fleet::down(&dir)
            .unwrap_err()
            .to_string()
            .contains("holds no fleet")
    );
}

#[test]
fn postgres_is_owned_likewise() {
    let Some(postgres) = Postgres::start(&keeper(), &Progress::stderr()).unwrap() else {
        return;
    };
    assert!(postgres.url().starts_with("postgres://postgres@127."));
    postgres.process().kill().unwrap();
    // Its children outlive it for a moment and hold its shared memory: a start may be refused.
    eventually(
        "PostgreSQL to come back",
        Duration::from_secs(20),
        None,
        || {
            if postgres
                .process()
                .pid()
                .map_err(|e| e.to_string())?
                .is_none()
            {
                postgres.process().start().map_err(|e| e.to_string())?;
            }
            postgres.ready().map_err(|e| e.to_string())
        },
    )
    .unwrap();
    let dir = postgres.process().log().parent().unwrap().to_path_buf();
    drop(postgres);
    nothing_left(&dir);
}

#[test]
#[ignore = "a measurement: cargo test -p heyun-sandbox --test fleet -- --ignored --nocapture start_times"]
fn start_times() {
    let members = |count, nodes| -> Vec<MemberSpec> {
        let nodes = vec![NodeGroup::new(nodes, "node", "arm64", "16", "64Gi")];
        (0..count)
            .map(|n| MemberSpec::new(format!("member-{n}"), nodes.clone()))
            .collect()
    };
    for (count, nodes) in [(3, 3), (3, 100), (10, 3)] {
        let spec = FleetSpec::with_hub(members(count, nodes));
        let mut times: Vec<Duration> = (0..3)
            .map(|_| {
                let since = std::time::Instant::now();
                let cache = Cache::locate().unwrap();
                let fleet = Fleet::start(&spec, None, &keeper(), &cache, &Progress::silent());
                let taken = since.elapsed();
                drop(fleet.unwrap());
                taken
            })
            .collect();
        times.sort();
        Progress::stderr().say(format!(
            "hub + {count} members of {nodes} nodes: {times:.1?}"
        ));
    }
}

#[test]
#[ignore = "builds for minutes when cold; the tests that use the tools cover it"]
fn tools_are_built_and_run() {
    use heyun_sandbox::{Tool, tool};
    for (which, args, said) in [
        (Tool::Helm, ["version", "--short"].as_slice(), "v4.3.1"),
        (Tool::OtelCollector, &["components"], "otlp"),
        (Tool::Registry, &["--version"], "v3.0.0"),
    ] {
        let path = tool(&Cache::locate().unwrap(), which, &Progress::stderr()).unwrap();
        let output = Command::new(path).args(args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains(said), "{text}");
    }
}
