//! Data to standard output, everything else to standard error.

use std::io::{IsTerminal as _, Write as _};

use crate::args::{Color, Global};
use crate::error::Error;

/// Where a command speaks.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    color: bool,
}

impl Output {
    /// Colour as asked for: never with `NO_COLOR`, and on terminals only.
    pub fn new(global: &Global) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => !unwanted && !dumb && std::io::stdout().is_terminal(),
        };
        Self { color }
    }

    /// Whether colour is wanted.
    pub fn color(&self) -> bool {
        self.color
    }

    /// Data, as it is; a line break is added where none ends it. A closed pipe ends the matter.
    pub fn data(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        if !text.ends_with('\n') && !text.is_empty() {
            let _ = out.write_all(b"\n");
        }
        let _ = out.flush();
    }

    /// A line for people.
    pub fn say(&self, text: impl AsRef<str>) {
        let _ = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
    }

    /// What to do next, after a success.
    pub fn next(&self, command: impl AsRef<str>) {
        self.say(format!("Next: {}", command.as_ref()));
    }

    /// An error and its hint.
    pub fn error(&self, error: &Error) {
        self.say(format!("error: {}", error.message));
        if let Some(hint) = &error.hint {
            self.say(format!("hint: {hint}"));
        }
    }
}
