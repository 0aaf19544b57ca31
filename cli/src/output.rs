//! Data to standard output, everything else to standard error.

use std::io::{IsTerminal as _, Write as _};

use owo_colors::OwoColorize as _;

use crate::args::{Color, Global};
use crate::error::Error;

/// Where a command speaks.
#[derive(Clone, Debug)]
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

    /// Data, as it is; a line break is added where none ends it. A closed pipe ends the matter.
    pub fn data(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        if !text.ends_with('\n') && !text.is_empty() {
            let _ = out.write_all(b"\n");
        }
        let _ = out.flush();
    }

    /// A table; on a terminal with colour for what is well and what is not.
    pub fn table(&self, text: &str) {
        if self.color && !text.is_empty() {
            self.data(&painted(text));
        } else {
            self.data(text);
        }
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

/// Paints the cells that judge. It comes after the layout, which it therefore does not disturb.
fn painted(text: &str) -> String {
    const GAP: &str = "   ";
    let cell = |cell: &str| match cell.trim() {
        "True" | "chosen" | "ok" | "running" => cell.green().to_string(),
        "False" | "filtered" | "FAIL" => cell.red().to_string(),
        "Unknown" | "feasible" | "WARN" => cell.yellow().to_string(),
        _ => cell.to_owned(),
    };
    let line = |line: &str| line.split(GAP).map(cell).collect::<Vec<_>>().join(GAP);
    let mut painted: String = text.lines().map(line).collect::<Vec<_>>().join("\n");
    painted.push('\n');
    painted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_changes_cells_that_judge_and_nothing_else() {
        let text = "NAME   READY     REASON\na      True      True story\nb      False     -\n";
        let painted = painted(text);
        assert!(painted.contains("\u{1b}[32mTrue\u{1b}"), "{painted:?}");
        assert!(painted.contains("\u{1b}[31mFalse\u{1b}"), "{painted:?}");
        assert!(painted.contains("True story\n"), "{painted:?}");
        let plain: String = painted
            .split('\u{1b}')
            .map(|part| {
                part.split_once('m')
                    .filter(|(code, _)| code.starts_with('['))
                    .map_or(part, |(_, rest)| rest)
            })
            .collect();
        assert_eq!(plain, text);
    }
}
