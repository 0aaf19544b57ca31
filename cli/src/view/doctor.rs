//! `heyun doctor`: findings as a table.

use std::fmt::Write as _;

use serde::Serialize;

use super::table::Grid;
use super::{NONE, count, or_none};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It could not be checked, and why.
    Skipped,
    /// It works, but somebody should look at it.
    Warn,
    /// It does not work.
    Fail,
}

impl Level {
    const fn mark(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skip",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable id, such as `HY-D010`.
    pub id: &'static str,
    /// What is checked.
    pub check: &'static str,
    /// How it came out.
    pub level: Level,
    /// What was found, with names and numbers.
    pub detail: String,
    /// What to do; empty where there is nothing to do.
    pub fix: String,
}

/// All findings, and how many of each sort there are.
pub fn text(findings: &[Finding], with_headers: bool) -> String {
    let mut grid = Grid::new(&["", "ID", "CHECK", "DETAIL"]);
    for finding in findings {
        grid.row([
            finding.level.mark(),
            finding.id,
            finding.check,
            or_none(&finding.detail),
        ]);
    }
    let mut text = grid.text(with_headers);
    for finding in findings.iter().filter(|finding| !finding.fix.is_empty()) {
        let _ = write!(
            text,
            "\n{} {}\n  fix: {}\n",
            finding.id, finding.detail, finding.fix
        );
    }
    let of = |level| {
        findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    };
    let _ = write!(
        text,
        "\n{}: {} ok, {} to look at, {} wrong, {} skipped\n",
        count(findings.len(), "check"),
        of(Level::Ok),
        of(Level::Warn),
        of(Level::Fail),
        of(Level::Skipped)
    );
    text
}

/// Whether anything is wrong.
pub fn is_wrong(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.level == Level::Fail)
}

impl Finding {
    /// The same with what was found and what to do.
    #[must_use]
    pub fn with(mut self, level: Level, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        self.level = level;
        self.detail = detail.into();
        self.fix = fix.into();
        self
    }

    /// A check that is well.
    pub fn ok(id: &'static str, check: &'static str, detail: impl Into<String>) -> Self {
        Self {
            id,
            check,
            level: Level::Ok,
            detail: detail.into(),
            fix: String::new(),
        }
    }

    /// Names of a list, the first few.
    pub fn names(names: &[String]) -> String {
        const SHOWN: usize = 5;
        if names.is_empty() {
            return NONE.to_owned();
        }
        let more = if names.len() > SHOWN { ", …" } else { "" };
        let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
        format!("{}{more}", shown.join(", "))
    }
}
