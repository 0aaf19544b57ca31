//! The two files of the trace, read line by line.

use std::path::Path;

use super::super::{Failure, Result};

/// Thousandths of a device that is wholly free.
pub(super) const WHOLE: i64 = 1000;
/// Most devices of a node: beyond it a number is a mistake.
const MAX_DEVICES: i64 = 64;
/// The columns of `nodes.csv`.
const NODES: &[&str] = &["sn", "cpu_milli", "memory_mib", "gpu", "model"];
/// The columns of `pods.csv`.
const PODS: &[&str] = &[
    "name",
    "cpu_milli",
    "memory_mib",
    "num_gpu",
    "gpu_milli",
    "gpu_spec",
    "qos",
    "pod_phase",
    "creation_time",
    "deletion_time",
    "scheduled_time",
];

/// A node of the trace with nothing on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// Millicores.
    pub(super) cpu: i64,
    /// MiB.
    pub(super) memory: i64,
    /// How many devices.
    pub(super) devices: i64,
    /// What they are; empty: there are none.
    pub(super) model: String,
}

/// What a pod wants of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gpu {
    /// Nothing.
    None,
    /// So many thousandths of one device, less than all.
    Share(i64),
    /// So many whole devices.
    Devices(i64),
}

impl Gpu {
    /// The same in thousandths of a device.
    pub(super) fn milli(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Share(share) => share,
            Self::Devices(devices) => devices * WHOLE,
        }
    }
}

/// A pod of the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pod {
    /// Its name.
    pub(super) name: String,
    /// Millicores.
    pub(super) cpu: i64,
    /// MiB.
    pub(super) memory: i64,
    /// Devices.
    pub(super) gpu: Gpu,
    /// The models it may use; empty: any.
    pub(super) models: Vec<String>,
    /// Seconds after the trace began.
    pub(super) created: i64,
}

/// All of it, in the order of the files.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    pub(super) machines: Vec<Machine>,
    pub(super) pods: Vec<Pod>,
}

impl Trace {
    /// Reads `nodes.csv` and `pods.csv` of a folder.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        Ok(Self {
            machines: file(&folder.join("nodes.csv"), machines)?,
            pods: file(&folder.join("pods.csv"), pods)?,
        })
    }
}

fn file<T>(path: &Path, parse: fn(&str, &str) -> Result<Vec<T>>) -> Result<Vec<T>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    parse(&name, &text)
}

fn machines(file: &str, text: &str) -> Result<Vec<Machine>> {
    rows(file, text, NODES, machine)
}

fn pods(file: &str, text: &str) -> Result<Vec<Pod>> {
    rows(file, text, PODS, pod)
}

fn machine(row: &Row<'_>) -> Result<Machine> {
    let (devices, model) = (row.number("gpu")?, row.text("model"));
    if devices > MAX_DEVICES {
        let why = format!("is more than the {MAX_DEVICES} devices a node may have");
        return Err(row.fault("gpu", &why));
    }
    if (devices == 0) != model.is_empty() {
        let why = format!("does not go with {devices} devices: a model is there if devices are");
        return Err(row.fault("model", &why));
    }
    Ok(Machine {
        cpu: row.number("cpu_milli")?,
        memory: row.number("memory_mib")?,
        devices,
        model: model.to_owned(),
    })
}

fn pod(row: &Row<'_>) -> Result<Pod> {
    let number = row.number("num_gpu")?;
    let gpu = match (number, row.number("gpu_milli")?) {
        (0, 0) => Gpu::None,
        (1, share @ 1..WHOLE) => Gpu::Share(share),
        (1..=MAX_DEVICES, WHOLE) => Gpu::Devices(number),
        _ => {
            let why = format!(
                "does not go with {number} devices: it is 0 for none, 1 to {WHOLE} for one, and \
                 {WHOLE} for each of 2 to {MAX_DEVICES}"
            );
            return Err(row.fault("gpu_milli", &why));
        }
    };
    let models = row.text("gpu_spec").split('|');
    Ok(Pod {
        name: row.text("name").to_owned(),
        cpu: row.number("cpu_milli")?,
        memory: row.number("memory_mib")?,
        gpu,
        models: models
            .filter(|model| !model.is_empty())
            .map(str::to_owned)
            .collect(),
        created: row.number("creation_time")?,
    })
}

/// One line, with what is needed to name a place in it.
struct Row<'a> {
    file: &'a str,
    line: usize,
    columns: &'a [&'a str],
    fields: Vec<&'a str>,
}

impl Row<'_> {
    /// A field; empty for a column that is not there.
    fn text(&self, column: &str) -> &str {
        let named = self.columns.iter().zip(&self.fields);
        let mut named = named.filter(|(name, _)| **name == column);
        named.next().map_or("", |(_, field)| *field)
    }

    /// A field of 32 bits, so that no sum of a trace overflows.
    fn number(&self, column: &str) -> Result<i64> {
        let number: Option<u32> = self.text(column).parse().ok();
        let expected = || format!("is not a whole number from 0 to {}", u32::MAX);
        number
            .map(i64::from)
            .ok_or_else(|| self.fault(column, &expected()))
    }

    fn fault(&self, column: &str, why: &str) -> Failure {
        let (file, line, value) = (self.file, self.line, self.text(column));
        format!("{file}, line {line}, column {column}: `{value}` {why}").into()
    }
}

/// The lines below the header. The files quote nothing, so a comma always ends a field; a quote is
/// refused rather than misread.
fn rows<T>(
    file: &str,
    text: &str,
    columns: &[&str],
    parse: fn(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut lines = text.lines();
    let (header, expected) = (lines.next().unwrap_or_default(), columns.join(","));
    if header != expected {
        let fault = format!("{file}, line 1: the header is `{header}`, expected `{expected}`");
        return Err(fault.into());
    }
    let row = |(index, line): (usize, &str)| {
        let row = Row {
            file,
            line: index + 2,
            columns,
            fields: line.split(',').collect(),
        };
        let quoted = columns.iter().find(|name| row.text(name).contains('"'));
        if let Some(column) = quoted {
            return Err(row.fault(column, "has a quote: quoted fields are not read"));
        }
        let (has, needs) = (row.fields.len(), columns.len());
        if has != needs {
            let at = format!("{file}, line {}", row.line);
            return Err(format!("{at}: `{line}` has {has} fields, expected {needs}").into());
        }
        parse(&row)
    };
    lines.enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "a,6000,12288,1,460,G2|T4,LS,Running,427061,12902960,";

    fn pod_of(line: &str) -> Result<Pod> {
        let text = format!("{}\n{line}\n", PODS.join(","));
        let mut read = pods("pods.csv", &text)?;
        Ok(read.remove(0))
    }

    fn refused(line: &str) -> String {
        pod_of(line).unwrap_err().to_string()
    }

    #[test]
    fn a_line_becomes_a_pod() {
        let expected = Pod {
            name: "a".to_owned(),
            cpu: 6000,
            memory: 12288,
            gpu: Gpu::Share(460),
            models: vec!["G2".to_owned(), "T4".to_owned()],
            created: 427_061,
        };
        assert_eq!(pod_of(POD).unwrap(), expected);
        let whole = pod_of(&POD.replace("1,460", "4,1000")).unwrap();
        assert_eq!(whole.gpu, Gpu::Devices(4));
        let none = pod_of(&POD.replace("1,460,G2|T4", "0,0,")).unwrap();
        assert_eq!((none.gpu, none.models), (Gpu::None, Vec::new()));
    }

    #[test]
    fn a_line_becomes_a_node() {
        let read = machines("n", &format!("{}\nx,32000,512,2,T4", NODES.join(","))).unwrap();
        let expected = Machine {
            cpu: 32000,
            memory: 512,
            devices: 2,
            model: "T4".to_owned(),
        };
        assert_eq!(read, [expected]);
        let bare = machines("n", &format!("{}\nx,32000,512,2,", NODES.join(",")));
        assert_eq!(
            bare.unwrap_err().to_string(),
            "n, line 2, column model: `` does not go with 2 devices: a model is there if devices are"
        );
    }

    #[test]
    fn a_bad_line_is_named() {
        assert_eq!(
            refused(&POD.replace("12288", "12.5")),
            "pods.csv, line 2, column memory_mib: `12.5` is not a whole number from 0 to 4294967295"
        );
        assert_eq!(
            refused("a,6000"),
            "pods.csv, line 2: `a,6000` has 2 fields, expected 11"
        );
        assert_eq!(
            refused(&POD.replace("LS", "\"L,S\"")),
            "pods.csv, line 2, column qos: `\"L` has a quote: quoted fields are not read"
        );
        let shares = refused(&POD.replace("1,460", "2,460"));
        let expected = "pods.csv, line 2, column gpu_milli: `460` does not go with 2 devices";
        assert!(shares.starts_with(expected), "{shares}");
        let header = pods("pods.csv", "name,cpu\n").unwrap_err().to_string();
        let expected = "pods.csv, line 1: the header is `name,cpu`, expected `name,cpu_milli,";
        assert!(header.starts_with(expected), "{header}");
    }

    #[test]
    fn a_folder_without_the_files_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Trace::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("nodes.csv: "), "{error}");
    }
}
