//! The main job, told as it happens: three clouds join, a province declares tenants and quotas,
//! three services are deployed, divided, refused, scaled, and one cloud is lost.
//!
//! Every step checks what it says; with `--once` the exit code is 0 only if all of it held.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser;
use heyun::sandbox::{self, Options, Sandbox};
use heyun_sandbox::{Component, Kubectl, built_binary, built_keeper, eventually};
use serde_json::Value;

/// The main job of Heyun on a fleet of real control planes on this machine.
#[derive(Debug, Parser)]
#[command(name = "demo")]
pub struct Args {
    /// Tear down at the end and exit 0 only if every step did what it says.
    #[arg(long)]
    pub once: bool,
}

/// Why the demo stopped.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

/// Longest time for anything to become ready.
const READY: Duration = Duration::from_mins(2);

/// Runs the demo.
pub fn main(args: Args) -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let hub = built_binary("heyun-hub")?;
    let cli = built_binary("heyun")?;
    let options = Options::new(built_keeper()?, hub)?;
    say(
        "一省三云：省级政务云（amd64）、广州信创云（arm64）、深圳混合云 — a province, three clouds",
    );
    let sandbox = runtime.block_on(sandbox::up(options))?;
    let demo = Demo {
        hub: sandbox.hub_cluster()?.kubectl().clone(),
        cli,
        sandbox,
    };
    let told = demo.tell();
    match &told {
        Ok(()) => say(&format!("done in {} s", started.elapsed().as_secs())),
        Err(_) => demo.sandbox.fleet().keep_logs(),
    }
    if args.once || told.is_err() {
        return told;
    }
    demo.invite();
    runtime.block_on(tokio::signal::ctrl_c())?;
    Ok(())
}

struct Demo {
    hub: Kubectl,
    cli: PathBuf,
    sandbox: Sandbox,
}

impl Demo {
    /// Every step, in order.
    fn tell(&self) -> Result<()> {
        self.clusters()?;
        self.province()?;
        self.services()?;
        self.refusals()?;
        self.scale()?;
        self.lost_member()?;
        self.summary()
    }

    fn clusters(&self) -> Result<()> {
        chapter("1  clouds that joined 成员集群");
        self.show(&["get", "memberclusters"])
    }

    fn province(&self) -> Result<()> {
        chapter("2  flavors, tenants and quotas 资源类型、租户树、配额");
        for file in ["10-flavors.yaml", "20-tenants.yaml", "30-quotas.yaml"] {
            self.show(&["apply", "-f", &example(file)])?;
        }
        self.kubectl(&[
            "wait",
            "--for=condition=Ready",
            "tenants",
            "--all",
            "--timeout=60s",
        ])?;
        self.kubectl(&[
            "wait",
            "--for=condition=Ready",
            "quotas",
            "--all",
            "--timeout=60s",
        ])?;
        self.show(&["apply", "-f", &example("40-placements.yaml")])?;
        self.heyun(&["tenant", "tree"])?;
        self.heyun(&["quota", "tree", "guangdong", "--resource", "cpu"])
            .map(drop)
    }

    fn services(&self) -> Result<()> {
        chapter("3  three services, unmodified manifests 三个业务，清单不改一字");
        let booking = example("workloads/booking.yaml");
        let ns = "gd-health-booking";
        self.heyun(&[
            "deploy",
            "-f",
            &booking,
            "-n",
            ns,
            "--placement-ref",
            "three-clouds",
        ])?;
        self.heyun(&[
            "deploy",
            "-f",
            &example("workloads/aid.yaml"),
            "-n",
            "gz-civil-affairs-aid",
        ])?;
        let report = example("workloads/bus-report.yaml");
        self.heyun(&["deploy", "-f", &report, "-n", "sz-transport-bus"])?;
        for (ns, name) in SERVICES {
            self.ready(ns, name)?;
            self.heyun(&["where", &format!("workload/{name}"), "-n", ns])?;
        }
        self.heyun(&["why", "workload/booking", "-n", "gd-health-booking"])?;
        self.expect_members("gd-health-booking", "booking", 3)?;
        self.no_password()
    }

    /// A Secret travels as a native Secret: no object of ours holds its payload.
    fn no_password(&self) -> Result<()> {
        let ours = self.kubectl(&["get", "workloads,works", "-A", "-o", "yaml"])?;
        if ours.contains("请在部署前替换") {
            return Err("the password of bus-db stands in a Workload or Work".into());
        }
        say("the password of bus-db is in no Workload and no Work; it travels as a native Secret");
        Ok(())
    }

    fn refusals(&self) -> Result<()> {
        chapter("4  refusals that explain themselves 拒绝，并说明理由");
        let huge = manifest("huge-report", 20, "1");
        self.deploy_text("sz-transport-bus", "huge-report", &huge, None)?;
        self.refused("sz-transport-bus", "huge-report", "QuotaExceeded")?;
        let stray = manifest("stray", 1, "100m");
        let placement = "{affinity: [{name: shenzhen, members: [shenzhen-1]}]}";
        self.deploy_text("gz-civil-affairs-aid", "stray", &stray, Some(placement))?;
        self.filtered("gz-civil-affairs-aid", "stray", "shenzhen-1", "Residency")?;
        for (ns, name) in [
            ("sz-transport-bus", "huge-report"),
            ("gz-civil-affairs-aid", "stray"),
        ] {
            let why = format!("workload/{name}");
            self.heyun(&["why", &why, "-n", ns])?;
            self.show(&[
                "delete",
                "workload",
                name,
                "-n",
                ns,
                "--wait=true",
                "--timeout=60s",
            ])?;
        }
        Ok(())
    }

    fn scale(&self) -> Result<()> {
        chapter("5  scale up 扩容");
        let ns = "sz-transport-bus";
        self.show(&["scale", "workload", "bus-report", "--replicas=6", "-n", ns])?;
        self.eventually("6 of 6 replicas of bus-report are ready", || {
            let status = self.status(ns, "bus-report")?;
            let shown = status["summary"]["replicas"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            Ok((shown == "6/6").then_some(()).ok_or(shown))
        })?;
        self.heyun(&["where", "workload/bus-report", "-n", ns])
            .map(drop)
    }

    fn lost_member(&self) -> Result<()> {
        chapter("6  a cloud does not answer 一朵云失联");
        let city = self.sandbox.fleet().cluster("shenzhen-1")?;
        let server = city.component(Component::ApiServer)?;
        server.kill()?;
        say("shenzhen-1: its API server was killed");
        self.member_is("shenzhen-1", "Unknown")?;
        self.show(&["get", "memberclusters"])?;
        self.heyun(&["where", "workload/booking", "-n", "gd-health-booking"])?;
        self.expect_members("gd-health-booking", "booking", 3)?;
        say("unreachable is unknown, not empty: nothing was scaled down or deleted 失联不等于清空");
        server.start()?;
        city.wait_ready()?;
        self.member_is("shenzhen-1", "True")?;
        self.ready("gd-health-booking", "booking")
    }

    fn summary(&self) -> Result<()> {
        chapter("summary 小结");
        self.show(&["get", "workloads", "-A"])?;
        self.show(&["get", "quotas"])?;
        for name in self.sandbox.member_names() {
            let pods = self
                .sandbox
                .fleet()
                .cluster(&name)?
                .kubectl()
                .json(&["get", "pods", "-A"])?;
            let running = pods["items"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|p| p["status"]["phase"] == "Running")
                .count();
            say(&format!("{name}: {running} pods running"));
            if running == 0 {
                return Err(format!("no pod runs on {name}").into());
            }
        }
        Ok(())
    }

    fn invite(&self) {
        let dir = self.sandbox.dir().display().to_string();
        say("everything stays up until Ctrl-C. Try:");
        for line in [
            format!(
                "export KUBECONFIG={dir}/hub.kubeconfig PATH={}:$PATH",
                self.sandbox.fleet().bin_dir().display()
            ),
            "kubectl get heyun -A".to_owned(),
            format!(
                "{} why workload/booking -n gd-health-booking",
                self.cli.display()
            ),
            format!("kubectl --kubeconfig {dir}/guangzhou-1.kubeconfig get pods -A"),
        ] {
            say(&format!("  {line}"));
        }
    }

    fn deploy_text(&self, ns: &str, name: &str, text: &str, placement: Option<&str>) -> Result<()> {
        let placement = placement.map_or(String::new(), |p| format!("  placement: {p}\n"));
        let text = format!(
            "apiVersion: heyun.dev/v1alpha1\nkind: Workload\nmetadata: {{name: {name}, namespace: {ns}}}\n\
             spec:\n{placement}  manifests:\n  - {text}\n"
        );
        let said = self.hub.apply(&text)?;
        say(said.trim());
        Ok(())
    }

    /// Waits for `Ready`, as an agency would.
    fn ready(&self, ns: &str, name: &str) -> Result<()> {
        let what = format!("workload/{name}");
        let waited = self.kubectl(&[
            "wait",
            "--for=condition=Ready",
            &what,
            "-n",
            ns,
            "--timeout=120s",
        ]);
        if waited.is_err() {
            let status = self.status(ns, name)?;
            say(&serde_json::to_string_pretty(&status)?);
        }
        waited.map(drop)
    }

    fn refused(&self, ns: &str, name: &str, reason: &str) -> Result<()> {
        self.eventually(&format!("{name} is refused with {reason}"), || {
            let status = self.status(ns, name)?;
            let found = status["explanation"]["reason"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            Ok((found == reason)
                .then_some(found)
                .ok_or_else(|| status.to_string()))
        })
        .map(drop)
    }

    fn filtered(&self, ns: &str, name: &str, member: &str, reason: &str) -> Result<()> {
        self.eventually(
            &format!("{member} is refused to {name} with {reason}"),
            || {
                let status = self.status(ns, name)?;
                let members = status["explanation"]["members"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                let found = members.iter().any(|m| {
                    m["member"] == member
                        && m["refusals"]
                            .as_array()
                            .into_iter()
                            .flatten()
                            .any(|r| r["reason"] == reason)
                });
                Ok(found.then_some(()).ok_or_else(|| status.to_string()))
            },
        )
    }

    fn expect_members(&self, ns: &str, name: &str, count: usize) -> Result<()> {
        let status = self.status(ns, name)?;
        let members = status["members"].as_array().map_or(0, Vec::len);
        if members != count {
            return Err(format!("{name} is on {members} members, not {count}: {status}").into());
        }
        Ok(())
    }

    fn member_is(&self, name: &str, wanted: &str) -> Result<()> {
        self.eventually(&format!("member {name} turns Ready={wanted}"), || {
            let member = self.hub.json(&["get", "membercluster", name])?;
            let conditions = member["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let ready = conditions.iter().find(|c| c["type"] == "Ready").cloned();
            let status = ready
                .as_ref()
                .and_then(|c| c["status"].as_str().map(str::to_owned));
            Ok((status.as_deref() == Some(wanted))
                .then_some(())
                .ok_or_else(|| format!("{ready:?}")))
        })
    }

    fn status(&self, ns: &str, name: &str) -> Result<Value> {
        Ok(self.hub.json(&["get", "workload", name, "-n", ns])?["status"].clone())
    }

    fn eventually<T>(
        &self,
        what: &str,
        mut check: impl FnMut() -> Result<std::result::Result<T, String>>,
    ) -> Result<T> {
        let logs = self.sandbox.fleet().logs();
        eventually(what, READY, Some(&logs), || match check() {
            Ok(found) => found,
            Err(error) => Err(error.to_string()),
        })
        .map_err(Into::into)
    }

    fn kubectl(&self, args: &[&str]) -> Result<String> {
        Ok(self.hub.run(args)?)
    }

    fn show(&self, args: &[&str]) -> Result<()> {
        say(&format!("$ kubectl {}", shown(args)));
        let output = self.kubectl(args)?;
        say(output.trim_end());
        Ok(())
    }

    fn heyun(&self, args: &[&str]) -> Result<String> {
        say(&format!("$ heyun {}", shown(args)));
        let output = Command::new(&self.cli)
            .args(args)
            .env("KUBECONFIG", self.hub.kubeconfig())
            .env("NO_COLOR", "1")
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        say(text.trim_end());
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("heyun {} failed: {said}", shown(args)).into());
        }
        Ok(text)
    }
}

/// The services of the examples, by namespace and name.
const SERVICES: &[(&str, &str)] = &[
    ("gd-health-booking", "booking"),
    ("gz-civil-affairs-aid", "aid"),
    ("sz-transport-bus", "bus-report"),
];

/// A Deployment in one line of YAML.
fn manifest(name: &str, replicas: u32, cpu: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}}}, spec: {{replicas: {replicas}, \
         selector: {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}}}, \
         spec: {{containers: [{{name: main, image: registry.gov.example/x:1, \
         resources: {{requests: {{cpu: {cpu}, memory: 64Mi}}}}}}]}}}}}}}}"
    )
}

/// Path of an example.
fn example(file: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."));
    root.join("examples").join(file).display().to_string()
}

/// Arguments as a reader would type them: paths from the workspace on.
fn shown(args: &[&str]) -> String {
    let prefix = example("");
    args.join(" ").replace(&prefix, "examples/")
}

fn chapter(title: &str) {
    say(&format!("\n── {title} ──"));
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
