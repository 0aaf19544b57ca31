//! Building Kubernetes and the other Go tools.
//!
//! Each is a Go module without Go code: its `tool` lines say what to build, its `go.sum` says from
//! which bytes. They are embedded, so that an installed CLI can build them too.

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use crate::error::{IoContext, tail};
use crate::preflight::{self, is_executable};
use crate::{Cache, Error, Progress, Result, Step, cache};

/// The version of every Kubernetes component.
pub const KUBERNETES_VERSION: &str = "v1.36.3";

/// The executables of a control plane folder.
pub const CONTROL_PLANE: [&str; 6] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kwok",
];

/// Go's settings: no C, no toolchain download, and `go.sum` as it is.
const GO_ENV: [(&str, &str); 4] = [
    ("CGO_ENABLED", "0"),
    ("GOTOOLCHAIN", "local"),
    ("GOFLAGS", "-mod=readonly"),
    ("GOWORK", "off"),
];

/// A tool beside the control planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `helm` 4.3.1.
    Helm,
    /// An OpenTelemetry Collector 0.145.0: otlp receiver, batch processor, debug and file exporters.
    OtelCollector,
    /// `registry` 3.0.0 of the CNCF's Distribution: the registry that most others are built on.
    Registry,
}

struct Module {
    name: &'static str,
    go_mod: &'static str,
    go_sum: &'static str,
    extra: &'static str,
    ldflags: String,
}

fn control_plane_module() -> Module {
    let mut parts = KUBERNETES_VERSION.trim_start_matches('v').split('.');
    let major = parts.next().unwrap_or_default();
    let minor = parts.next().unwrap_or_default();
    let mut ldflags = "-s -w".to_owned();
    // Without these, servers report v0.0.0 and clients refuse them.
    for package in [
        "k8s.io/component-base/version",
        "k8s.io/client-go/pkg/version",
    ] {
        for (variable, value) in [
            ("gitVersion", KUBERNETES_VERSION),
            ("gitMajor", major),
            ("gitMinor", minor),
        ] {
            let _ = write!(ldflags, " -X {package}.{variable}={value}");
        }
    }
    Module {
        name: "controlplane",
        go_mod: include_str!("../modules/controlplane/go.mod"),
        go_sum: include_str!("../modules/controlplane/go.sum"),
        extra: "",
        ldflags,
    }
}

impl Tool {
    fn module(self) -> Module {
        let ldflags = "-s -w".to_owned();
        match self {
            Self::Helm => Module {
                name: "helm",
                go_mod: include_str!("../modules/helm/go.mod"),
                go_sum: include_str!("../modules/helm/go.sum"),
                extra: "",
                ldflags: format!(
                    "{ldflags} -X helm.sh/helm/v4/internal/version.version=v4.3.1 \
                     -X helm.sh/helm/v4/internal/version.gitTreeState=clean"
                ),
            },
            Self::OtelCollector => Module {
                name: "collector",
                go_mod: include_str!("../modules/collector/go.mod"),
                go_sum: include_str!("../modules/collector/go.sum"),
                extra: include_str!("../modules/collector/manifest.yaml"),
                ldflags,
            },
            Self::Registry => Module {
                name: "registry",
                go_mod: include_str!("../modules/registry/go.mod"),
                go_sum: include_str!("../modules/registry/go.sum"),
                extra: "",
                ldflags,
            },
        }
    }

    fn binary(self) -> &'static str {
        match self {
            Self::Helm => "helm",
            Self::OtelCollector => "otelcol",
            Self::Registry => "registry",
        }
    }
}

/// The folder that holds the six executables of a control plane, built if it is not there.
///
/// `KUBEBUILDER_ASSETS`, where set, is used instead and must hold all six. Cold, on two cores,
/// building takes about six minutes.
///
/// # Errors
/// [`Error::Preflight`], [`Error::Build`], [`Error::Missing`] for an incomplete
/// `KUBEBUILDER_ASSETS`.
pub fn controlplane(cache: &Cache, progress: &Progress) -> Result<PathBuf> {
    if let Some(assets) = cache::set("KUBEBUILDER_ASSETS") {
        let missing: Vec<&str> = CONTROL_PLANE
            .into_iter()
            .filter(|name| !is_executable(&assets.join(name)))
            .collect();
        if missing.is_empty() {
            return fs::canonicalize(&assets).io(|| format!("resolving {}", assets.display()));
        }
        return Err(Error::Missing(format!(
            "KUBEBUILDER_ASSETS={} lacks {}; add them, or unset it to have all built",
            assets.display(),
            missing.join(", ")
        )));
    }
    let module = control_plane_module();
    built(cache, &module, progress, |folder, step| {
        compile(&module, folder, step)?;
        let (from, to) = (folder.join("server"), folder.join("etcd"));
        fs::rename(&from, &to).io(|| format!("renaming {}", from.display()))
    })
}

/// Another tool, built if it is not there: two minutes cold for Helm, one for the Collector,
/// three for the registry.
///
/// # Errors
/// [`Error::Preflight`], [`Error::Build`].
pub fn tool(cache: &Cache, tool: Tool, progress: &Progress) -> Result<PathBuf> {
    let module = tool.module();
    let folder = built(cache, &module, progress, |folder, step| {
        compile(&module, folder, step)?;
        if tool == Tool::OtelCollector {
            collector(&module, folder, step)
        } else {
            Ok(())
        }
    })?;
    Ok(folder.join(tool.binary()))
}

fn built(
    cache: &Cache,
    module: &Module,
    progress: &Progress,
    build: impl FnOnce(&Path, &Step) -> Result<()>,
) -> Result<PathBuf> {
    let go = preflight::go_version();
    if let Some(go) = &go {
        let ready = cache.root().join(module.name).join(key(module, go));
        if ready.is_dir() {
            return Ok(ready);
        }
    }
    preflight::build(cache)?;
    let key = key(module, go.as_deref().unwrap_or_default());
    cache.folder(module.name, &key, progress, |folder| {
        let step = progress.step(format!("building {} with Go", module.name));
        build(folder, &step)?;
        step.done(format!("built {}", module.name));
        Ok(())
    })
}

fn key(module: &Module, go: &str) -> String {
    let mut hash = Sha256::new();
    for part in [
        module.go_mod,
        module.go_sum,
        module.extra,
        go,
        &module.ldflags,
        env::consts::ARCH,
    ] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    for (name, value) in GO_ENV {
        hash.update(name);
        hash.update(value);
    }
    hash.finalize()
        .iter()
        .take(8)
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Runs `go build tool` of the module into `folder`; its sources lie in a folder of their own.
fn compile(module: &Module, folder: &Path, step: &Step) -> Result<()> {
    let source = tempfile::tempdir().io(|| "making a folder for go.mod".to_owned())?;
    for (name, text) in [("go.mod", module.go_mod), ("go.sum", module.go_sum)] {
        let path = source.path().join(name);
        fs::write(&path, text).io(|| format!("writing {}", path.display()))?;
    }
    let mut go = Command::new("go");
    go.args([
        "build",
        "-v",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        &module.ldflags,
    ])
    .arg("-o")
    .arg(folder)
    .arg("tool")
    .current_dir(source.path())
    .envs(GO_ENV);
    watched(go, module.name, step)
}

/// Lets the builder generate and compile the Collector, then keeps that alone.
fn collector(module: &Module, folder: &Path, step: &Step) -> Result<()> {
    let work = tempfile::tempdir().io(|| "making a folder for the Collector".to_owned())?;
    let output = work.path().join("out");
    let manifest = work.path().join("manifest.yaml");
    fs::write(
        &manifest,
        module.extra.replace("OUTPUT", &output.to_string_lossy()),
    )
    .io(|| format!("writing {}", manifest.display()))?;
    let builder = folder.join("builder");
    let mut command = Command::new(&builder);
    command.arg("--config").arg(&manifest).envs(GO_ENV);
    // It writes the generated module's go.sum itself.
    command.env("GOFLAGS", "-mod=mod").current_dir(work.path());
    watched(command, module.name, step)?;
    let binary = folder.join(Tool::OtelCollector.binary());
    fs::copy(output.join("otelcol"), &binary).io(|| format!("copying to {}", binary.display()))?;
    fs::remove_file(&builder).io(|| format!("removing {}", builder.display()))
}

/// Runs a build and shows in `step` how far it is; what it prints is kept for the error.
fn watched(mut command: Command, what: &str, step: &Step) -> Result<()> {
    let log_path = env::temp_dir().join(format!("heyun-build-{what}-{}.log", std::process::id()));
    let mut log = File::create(&log_path).io(|| format!("making {}", log_path.display()))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .io(|| format!("starting {}", command.get_program().display()))?;
    let mut lines = 0_u32;
    for line in child
        .stderr
        .take()
        .into_iter()
        .flat_map(|err| BufReader::new(err).lines())
    {
        let Ok(line) = line else { break };
        // Go names packages, one a line; other lines are for the log.
        if !line.contains(char::is_whitespace) {
            lines += 1;
            step.detail(format!("{lines} packages, now {line}"));
        }
        let _ = writeln!(log, "{line}");
    }
    let status = child.wait().io(|| "waiting for the build".to_owned())?;
    if status.success() {
        let _ = fs::remove_file(&log_path);
        return Ok(());
    }
    Err(Error::Build {
        what: what.to_owned(),
        status: status.to_string(),
        tail: tail(&log_path, 30),
        log: log_path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_changes_with_every_input() {
        let module = control_plane_module();
        let base = key(&module, "go1.26.8");
        assert_eq!(base.len(), 16);
        assert_ne!(base, key(&module, "go1.26.9"));
        assert_ne!(
            base,
            key(
                &Module {
                    ldflags: String::new(),
                    ..control_plane_module()
                },
                "go1.26.8"
            )
        );
        assert_ne!(base, key(&Tool::Helm.module(), "go1.26.8"));
    }

    #[test]
    fn the_module_builds_the_version_that_it_reports() {
        let module = control_plane_module();
        assert!(
            module
                .go_mod
                .contains(&format!("k8s.io/kubernetes {KUBERNETES_VERSION}"))
        );
        assert!(module.ldflags.contains("gitMinor=36"));
    }
}
