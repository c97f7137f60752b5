//! Columns that stand below each other.

/// Rows with their cells padded to the widest of each column.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let letters = |cell: &String| cell.chars().count();
    let widths: [usize; N] =
        std::array::from_fn(|at| rows.iter().map(|row| letters(&row[at])).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_each_other() {
        let rows = [["a", "bb"], ["ccc", "d"]].map(|row| row.map(String::from));
        assert_eq!(table(&rows), "a    bb\nccc  d");
    }
}
