//! Knowledge-preserving stretching: CLIP's 77 text positions become Long-CLIP's 248.
//!
//! Used when a 77-row table is loaded, and when a training starts from CLIP; released Long-CLIP files are stretched
//! already. As in Long-CLIP (arXiv 2403.15378, section 3.1) and upstream `model/longclip.py`, `load_from_clip`: the first
//! rows stay as learned, each step between the others becomes `ratio` rows by linear interpolation, and the last step is
//! extrapolated. Row-major, computed in f64.

/// Rows of OpenAI CLIP's text table.
pub const CLIP_CONTEXT_LENGTH: usize = 77;

/// How a table is stretched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretching {
    /// Rows at the beginning that stay: most texts are this short, so CLIP has learned these rows well.
    pub keep: usize,
    /// The number of rows that each later row becomes.
    pub ratio: usize,
}

impl Default for Stretching {
    /// The paper's: 20 rows stay, the other 57 become 4 each.
    fn default() -> Self {
        Stretching { keep: 20, ratio: 4 }
    }
}

impl Stretching {
    /// Rows after stretching: `keep + (n_rows - keep) * ratio`; a table of at most `keep` rows stays unchanged.
    pub fn stretched_rows(self, n_rows: usize) -> usize {
        self.keep.min(n_rows) + n_rows.saturating_sub(self.keep) * self.ratio
    }

    /// Stretches a table `(n_rows, width)` to `(stretched_rows(n_rows), width)`.
    ///
    /// # Panics
    /// If `width` is 0 or does not divide the table's length.
    pub fn stretch(self, table: &[f32], width: usize) -> Vec<f32> {
        assert!(
            width > 0 && table.len().is_multiple_of(width),
            "{} values are not rows of {width}",
            table.len()
        );
        let n_rows = table.len() / width;
        let row = |i: usize| &table[i * width..(i + 1) * width];
        let mut stretched = table[..self.keep.min(n_rows) * width].to_vec();
        for i in self.keep..n_rows {
            // No row follows the last one: the step before it is repeated.
            let (before, after) = if i + 1 < n_rows {
                (row(i), row(i + 1))
            } else {
                (row(i.saturating_sub(1)), row(i))
            };
            for j in 0..self.ratio {
                let step = j as f64 / self.ratio as f64;
                let between = before.iter().zip(after).zip(row(i));
                stretched.extend(
                    between.map(|((b, a), from)| (f64::from(*from) + step * (f64::from(*a) - f64::from(*b))) as f32),
                );
            }
        }
        stretched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_table_becomes_248_rows() {
        assert_eq!(Stretching::default().stretched_rows(CLIP_CONTEXT_LENGTH), 248);
    }

    #[test]
    fn kept_rows_stay_steps_are_divided_and_the_last_is_extrapolated() {
        let stretched = Stretching { keep: 1, ratio: 4 }.stretch(&[5.0, 0.0, 4.0], 1);
        assert_eq!(stretched, [5.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    }

    #[test]
    fn a_table_of_only_kept_rows_stays() {
        assert_eq!(Stretching { keep: 4, ratio: 4 }.stretch(&[1.0, 2.0], 1), [1.0, 2.0]);
    }
}
