//! Tables without borders, aligned by the width that text has on a terminal.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

/// A table being made. Cells that hold line breaks are folded into one line.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Grid {
    /// With these column headers; none, where there is to be no header line.
    pub fn new(headers: &[&str]) -> Self {
        Self {
            headers: headers.iter().map(|&header| header.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// Numbers are read from the right: these columns are aligned there.
    #[must_use]
    pub fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    /// Adds a row.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let fold = |cell: T| cell.into().replace(['\n', '\r', '\t'], " ");
        self.rows.push(cells.into_iter().map(fold).collect());
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The text, a line per row; without the header line where that is not wanted.
    pub fn text(&self, with_headers: bool) -> String {
        let mut table = Table::new();
        table
            .load_style(NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        if with_headers && !self.headers.is_empty() {
            table.set_header(&self.headers);
        }
        for row in &self.rows {
            table.add_row(row);
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 3));
            if self.right.contains(&index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let lines: Vec<String> = table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        let mut text = lines.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    #[test]
    fn columns_line_up_by_the_width_on_a_terminal() {
        let mut grid = Grid::new(&["NAME", "DISPLAY", "KIND"]);
        grid.row(["gz-civil-affairs", "广州市民政局", "Agency"]);
        grid.row(["a", "ab", "Region"]);
        grid.row(["b", "社会救助", "System"]);
        let text = grid.text(true);
        let starts: Vec<usize> = text
            .lines()
            .map(|line| {
                let last = line.split_whitespace().last().unwrap();
                line[..line.rfind(last).unwrap()].width()
            })
            .collect();
        assert!(starts.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
        assert!(text.lines().all(|line| !line.ends_with(' ')), "{text:?}");
    }

    #[test]
    fn cells_stay_on_one_line_and_headers_may_be_left_out() {
        let mut grid = Grid::new(&["A", "B"]);
        grid.row(["x\ny", "1"]);
        assert_eq!(grid.text(false), "x y   1\n");
    }
}
