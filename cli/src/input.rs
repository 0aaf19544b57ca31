//! Files given with `-f`: what they hold, and what becomes of it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use heyun_crds::{GROUP, Workload};
use heyun_plan::interpret::ManifestError;
use heyun_plan::wrap::wrap;
use serde_json::Value;

use crate::apply::{documents, title};
use crate::args::workload::Input;
use crate::error::{Error, Result};

/// Most bytes that are read of one file or of standard input.
const BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Deepest folder that is read.
const DEPTH_MAX: usize = 16;
/// Fields that only a server writes.
const SERVER_FIELDS: [&str; 6] = [
    "managedFields",
    "resourceVersion",
    "uid",
    "creationTimestamp",
    "generation",
    "selfLink",
];

/// The text of a file; `-` is standard input.
///
/// # Errors
/// If it cannot be read, is too large or is no text.
pub fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .take(BYTES_MAX + 1)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text))
    };
    let shown = path.display();
    let bytes = read.map_err(|e| Error::usage(format!("{shown} cannot be read: {e}")))?;
    if u64::try_from(bytes).is_ok_and(|bytes| bytes > BYTES_MAX) {
        return Err(
            Error::usage(format!("{shown} has more than {BYTES_MAX} bytes"))
                .hint("give the files of one application"),
        );
    }
    Ok(text)
}

/// The documents of a file or folder; folders below it too where `deep`.
///
/// # Errors
/// What cannot be read or is not YAML; a folder without any file of manifests.
pub fn load(path: &Path, deep: bool) -> Result<Vec<Value>> {
    let files = if path.is_dir() {
        files(path, deep, 0)?
    } else {
        vec![path.to_path_buf()]
    };
    if files.is_empty() {
        return Err(Error::usage(format!(
            "{} holds no .yaml, .yml or .json file",
            path.display()
        ))
        .hint("give a file, or the folder that holds the manifests"));
    }
    let mut all = Vec::new();
    for file in files {
        let place = if file.as_os_str() == "-" {
            "standard input".to_owned()
        } else {
            file.display().to_string()
        };
        all.extend(documents(&place, &read(&file)?)?);
    }
    Ok(all)
}

fn files(folder: &Path, deep: bool, depth: usize) -> Result<Vec<PathBuf>> {
    let failed =
        |e: std::io::Error| Error::usage(format!("{} cannot be read: {e}", folder.display()));
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        entries.push(entry.map_err(failed)?.path());
    }
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default();
        if path.is_dir() && deep && depth < DEPTH_MAX {
            found.extend(files(&path, deep, depth + 1)?);
        } else if path.is_file() && ["yaml", "yml", "json"].contains(&extension) {
            found.push(path);
        }
    }
    Ok(found)
}

/// What is sent to the hub.
#[derive(Debug, Default)]
pub struct Bundle {
    /// Objects of Heyun that were given as they are, but Workloads: Placements for example.
    pub others: Vec<Value>,
    /// Native Secrets. They hold payload: never print them.
    pub secrets: Secrets,
    /// The Workloads: those that were given, and the one that wraps plain manifests.
    pub workloads: Vec<Value>,
    /// What the user may want to know, a sentence each.
    pub notes: Vec<String>,
}

/// Secrets that no message shows.
#[derive(Default)]
pub struct Secrets(pub Vec<Value>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(title)).finish()
    }
}

/// Reads what was given with `-f` and wraps what is plain.
///
/// # Errors
/// What cannot be read; every fault of the manifests; a namespace other than `asked`, the one
/// that the command line names.
pub fn bundle(input: &Input, namespace: &str, asked: Option<&str>) -> Result<Bundle> {
    let mut all = Vec::new();
    for path in &input.filename {
        all.extend(load(path, false)?);
    }
    let (ours, plain): (Vec<Value>, Vec<Value>) = all.into_iter().partition(is_ours);
    let mut bundle = Bundle::default();
    for object in ours {
        let object = as_given(object, namespace, asked)?;
        if object["kind"] == "Workload" {
            check(&object)?;
            bundle.workloads.push(object);
        } else {
            bundle.others.push(object);
        }
    }
    if !plain.is_empty() {
        wrap_into(&mut bundle, plain, input, namespace)?;
    } else if input.name.is_some() || input.placement_ref.is_some() {
        return Err(
            Error::usage("--name and --placement-ref are for plain manifests")
                .hint("the files hold Workloads: write both into them"),
        );
    }
    if bundle.workloads.is_empty() && bundle.others.is_empty() {
        return Err(Error::usage("the files hold no manifest")
            .hint("give plain Kubernetes manifests, or a Workload"));
    }
    Ok(bundle)
}

fn is_ours(object: &Value) -> bool {
    let version = object
        .get("apiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    version
        .split_once('/')
        .is_some_and(|(group, _)| group == GROUP)
}

/// An object that is sent as it was written, without what only a server writes.
fn as_given(mut object: Value, namespace: &str, asked: Option<&str>) -> Result<Value> {
    let name = title(&object);
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return Err(Error::usage(format!("{name} has no metadata")).hint("write metadata.name"));
    };
    for field in SERVER_FIELDS {
        metadata.remove(field);
    }
    let namespaced = name.starts_with("Workload/") || name.starts_with("Placement/");
    if !namespaced {
        return Ok(object);
    }
    let own = metadata
        .get("namespace")
        .and_then(Value::as_str)
        .map(str::to_owned);
    match (own, asked) {
        (Some(own), Some(asked)) if own != asked => Err(Error::usage(format!(
            "{name} is of namespace {own}, the command line says {asked}"
        ))
        .hint("leave one of the two out")),
        (Some(_), _) => Ok(object),
        (None, _) => {
            metadata.insert("namespace".to_owned(), namespace.into());
            Ok(object)
        }
    }
}

fn check(workload: &Value) -> Result<()> {
    serde_json::from_value::<Workload>(workload.clone())
        .map(|_| ())
        .map_err(|e| {
            Error::usage(format!("{}: {e}", title(workload)))
                .hint("see kubectl explain workload.spec")
        })
}

fn wrap_into(bundle: &mut Bundle, plain: Vec<Value>, input: &Input, namespace: &str) -> Result<()> {
    let name = name_of(input)?;
    let wrapped = wrap(&name, namespace, plain).map_err(|faults| refused(&faults))?;
    let mut workload = wrapped.workload;
    if let Some(placement) = &input.placement_ref {
        workload.spec.placement_ref = Some(heyun_crds::workload::PlacementRef {
            name: placement.clone(),
        });
    }
    let mut object = serde_json::to_value(workload).map_err(|e| Error::failure(e.to_string()))?;
    without_defaults(&mut object);
    bundle.workloads.push(object);
    bundle.secrets.0.extend(wrapped.secrets);
    bundle.notes.extend(wrapped.notes);
    Ok(())
}

/// What is as it would be without it is left out: who does not say it does not own it.
fn without_defaults(workload: &mut Value) {
    let Some(spec) = workload.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    let defaults = [
        ("suspend", Value::Bool(false)),
        ("deletionPolicy", "Delete".into()),
        ("adoption", "Never".into()),
        ("onImmutable", "Refuse".into()),
    ];
    for (field, default) in defaults {
        if spec.get(field) == Some(&default) {
            spec.remove(field);
        }
    }
}

/// `--name`, else the name of the first file or folder.
fn name_of(input: &Input) -> Result<String> {
    if let Some(name) = &input.name {
        return Ok(name.clone());
    }
    let first = input
        .filename
        .first()
        .filter(|path| path.as_os_str() != "-");
    let full = first.and_then(|path| std::fs::canonicalize(path).ok());
    let stem = full.as_deref().and_then(|path| {
        if path.is_dir() {
            path.file_name()
        } else {
            path.file_stem()
        }
    });
    stem.map(|stem| stem.to_string_lossy().into_owned())
        .ok_or_else(|| Error::usage("the Workload has no name").hint("give one with --name"))
}

fn refused(faults: &[ManifestError]) -> Error {
    let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let message = match all.as_slice() {
        [one] => one.clone(),
        many => format!("{} faults:\n  - {}", many.len(), many.join("\n  - ")),
    };
    let error = Error::usage(message);
    if faults.iter().any(|fault| fault.place == "name") {
        return error.hint("give the Workload a name with --name");
    }
    error
}

#[cfg(test)]
mod tests;
