//! What several commands share.

use clap::{Args, ValueEnum};

/// How the answer is written.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Format {
    /// How the answer is written.
    #[arg(short, long = "output", value_enum, default_value_t = Form::Table, value_name = "FORM")]
    pub output: Form,

    /// Without the header line.
    #[arg(long)]
    pub no_headers: bool,
}

impl Format {
    /// Whether a table has its header line.
    pub fn headers(self) -> bool {
        !self.no_headers
    }

    /// Whether the wide table is wanted.
    pub fn is_wide(self) -> bool {
        self.output == Form::Wide
    }
}

/// Forms of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A table.
    #[default]
    Table,
    /// A table with more columns.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// Kind and name, a line each.
    Name,
}

/// The only dry run of a command that asks no cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClientOnly {
    /// Nothing is sent.
    Client,
}

/// Dry runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// Nothing is sent; the object is printed.
    Client,
    /// The API server checks it and writes nothing.
    Server,
}
