//! Text in the cells of a terminal: how wide it is, wrapped, shortened, in columns.
//!
//! Most characters take one cell, those of Chinese, Japanese and Korean and most emoji two, and accents that combine
//! with a letter none. Counting characters would give lines that are too long for the terminal, which breaks them.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::text::printable;

/// The number of cells that a text takes in one line.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text on one line, as a terminal can show it: each run of whitespace, including line breaks, becomes one space.
pub fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    printable(&line).into_owned()
}

/// The text with spaces after it, to fill `columns` cells.
pub fn padded(text: &str, columns: usize) -> String {
    text.to_owned() + &" ".repeat(columns.saturating_sub(width(text)))
}

/// Lines of at most `columns` cells, broken between words. A word that is longer than a line is broken anywhere, as all
/// text in languages without spaces is.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    // Two cells hold any character, so that each line takes at least one.
    let columns = columns.max(2);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let is_first = line.is_empty();
        let with_word = width(&line) + usize::from(!is_first) + width(word);
        if with_word > columns && width(word) <= columns && !is_first {
            lines.push(std::mem::take(&mut line));
        } else if !is_first {
            line.push(' ');
        }
        for grapheme in word.graphemes(true) {
            if width(&line) + width(grapheme) > columns {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
            }
            line.push_str(grapheme);
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// The beginning of a text that is longer than `columns` cells, with an ellipsis.
pub fn start(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    first_cells(text.graphemes(true), columns.saturating_sub(1)) + "…"
}

/// The end of a text that is longer than `columns` cells, with an ellipsis: of a path, the file's name.
pub fn end(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let backwards = first_cells(text.graphemes(true).rev(), columns.saturating_sub(1));
    "…".to_owned() + &backwards.graphemes(true).rev().collect::<String>()
}

fn first_cells<'a>(graphemes: impl Iterator<Item = &'a str>, columns: usize) -> String {
    let mut n_cells = 0;
    let fits = |grapheme: &&str| {
        n_cells += width(grapheme);
        n_cells <= columns
    };
    graphemes.take_while(fits).collect()
}

/// Texts shortened to `columns` cells, so that they still look different: of two that begin with the same words, the
/// words by which they differ are kept.
pub fn told_apart(texts: &[String], columns: usize) -> Vec<String> {
    let mut sorted: Vec<&str> = texts.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let shortened = |text: &String| {
        let at = sorted.partition_point(|other| *other < text.as_str());
        let neighbours = [at.checked_sub(1), Some(at + 1)].into_iter().flatten();
        let shared = neighbours.filter_map(|i| Some(n_shared_bytes(text, sorted.get(i)?)));
        with_difference(text, shared.max().unwrap_or(0), columns)
    };
    texts.iter().map(shortened).collect()
}

fn n_shared_bytes(a: &str, b: &str) -> usize {
    let mut pairs = a.char_indices().zip(b.chars());
    let first_other = pairs.find(|((_, a), b)| a != b).map(|((at, _), _)| at);
    first_other.unwrap_or_else(|| a.len().min(b.len()))
}

/// The text in `columns` cells, with a part of what follows its first `n_shared` bytes.
fn with_difference(text: &str, n_shared: usize, columns: usize) -> String {
    let is_visible = |n_bytes: usize| width(&text[..n_bytes]) + columns / 4 < columns;
    if width(text) <= columns || is_visible(n_shared) {
        return start(text, columns);
    }
    let word = text[..n_shared].rfind(' ').map_or(n_shared, |space| space + 1);
    // A short beginning shows what kind of label it is.
    let begin = first_cells(text.graphemes(true), columns / 3);
    let room = columns - width(&begin) - 1;
    let rest = match width(&text[word..]) <= room {
        true => end(text, room + 1).trim_start_matches('…').to_owned(),
        false => start(&text[word..], room),
    };
    format!("{begin}…{rest}")
}

/// Lines that fit a terminal of `fit` cells: what is too long is wrapped under the last column of its line.
pub fn fitted(text: &str, fit: usize) -> String {
    let line = |line: &str| {
        if width(line) <= fit {
            return format!("{line}\n");
        }
        let last = line.rfind(GAP).map_or(0, |gap| gap + GAP.len());
        let own = line.len() - line.trim_start().len();
        let (start, rest) = match fit.saturating_sub(width(&line[..last])) >= COLUMN_MIN {
            true => line.split_at(last),
            false => line.split_at(own),
        };
        let indent = width(start) + if start.len() == last { 0 } else { GAP.len() };
        let lines = wrapped(rest, fit.saturating_sub(indent.max(GAP.len())));
        let starts = std::iter::once(start.to_owned()).chain(std::iter::repeat(" ".repeat(indent)));
        starts.zip(lines).map(|(start, line)| start + &line + "\n").collect()
    };
    text.lines().map(line).collect()
}

/// What separates two columns.
const GAP: &str = "  ";

/// A column that is cut to fewer cells than this is hard to read.
const COLUMN_MIN: usize = 14;

/// Columns of text, each as wide as its widest cell; the last one is not padded. On a terminal of `fit_columns` cells,
/// the widest columns are made narrower, and their cells wrapped. If it has no room for that, the cells of a row are
/// below each other.
pub fn columns(rows: &[Vec<String>], fit_columns: Option<usize>) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| width(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..n_columns).map(widest).collect();
    let gaps = GAP.len() * n_columns.saturating_sub(1);
    let taken = |most: usize| gaps + widths.iter().map(|width| (*width).min(most)).sum::<usize>();
    let fit = fit_columns.unwrap_or(usize::MAX);
    let widest = widths.iter().copied().max().unwrap_or(0);
    match (COLUMN_MIN.min(widest)..=widest).rev().find(|most| taken(*most) <= fit) {
        Some(most) => rows.iter().map(|row| in_columns(row, &widths, most)).collect(),
        None => rows.iter().map(|row| below_each_other(row, fit)).collect(),
    }
}

/// A row whose cells take `most` cells of the terminal at most.
fn in_columns(row: &[String], widths: &[usize], most: usize) -> String {
    let column = |(cell, width): (&String, &usize)| match *width > most {
        true => (wrapped(cell, most), most),
        false => (vec![cell.clone()], *width),
    };
    let columns: Vec<(Vec<String>, usize)> = row.iter().zip(widths).map(column).collect();
    let n_lines = columns.iter().map(|(lines, _)| lines.len()).max().unwrap_or(0);
    let line = |i: usize| {
        let cells = columns
            .iter()
            .map(|(lines, width)| padded(lines.get(i).map_or("", String::as_str), *width));
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned() + "\n"
    };
    (0..n_lines).map(line).collect()
}

/// A row's cells below the first one.
fn below_each_other(row: &[String], fit: usize) -> String {
    let cells = row.iter().enumerate().flat_map(|(i, cell)| {
        let indent = if i == 0 { "" } else { GAP };
        let lines = wrapped(cell, fit.saturating_sub(indent.len()));
        lines.into_iter().map(move |line| format!("{indent}{line}\n"))
    });
    cells.collect()
}

/// Columns of a bar in a line.
const BAR_COLUMNS_MAX: usize = 30;
const BAR_COLUMNS_MIN: usize = 5;

/// A line of at most `columns` cells: a bar, if the share is known and there is room, and as many words as fit.
pub fn with_bar(share: Option<f64>, words: &[String], columns: usize) -> String {
    let mut line = String::new();
    for word in words {
        let with_word = match line.is_empty() {
            true => start(word, columns),
            false => format!("{line}  {word}"),
        };
        if width(&with_word) <= columns {
            line = with_word;
        }
    }
    let room = columns.saturating_sub(width(&line) + 2).min(BAR_COLUMNS_MAX);
    match share.filter(|_| room >= BAR_COLUMNS_MIN) {
        Some(share) => {
            let n_full = (share.clamp(0.0, 1.0) * room as f64) as usize;
            format!("{}{}  {line}", "█".repeat(n_full), "░".repeat(room - n_full))
        }
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_never_wider_than_the_terminal() {
        let texts = [
            "a cat asleep on a sofa",
            "internationalization of it",
            "一只猫在沙发上睡觉",
            "👩‍👩‍👧 a family 🐈‍⬛",
            "",
        ];
        for (text, columns) in texts
            .iter()
            .flat_map(|text| (2..30).map(move |columns| (text, columns)))
        {
            let lines = wrapped(text, columns);
            assert!(lines.iter().all(|line| width(line) <= columns), "{columns}: {lines:?}");
            let bare = |text: &str| text.replace(' ', "");
            assert_eq!(bare(&lines.concat()), bare(text));
            for cut in [start(text, columns), end(text, columns)] {
                assert!(width(&cut) <= columns, "{columns}: {cut}");
            }
        }
    }

    #[test]
    fn lines_are_broken_between_words_and_long_words_anywhere() {
        assert_eq!(wrapped("a cat asleep on a sofa", 10), ["a cat", "asleep on", "a sofa"]);
        assert_eq!(wrapped("一只猫在沙发上", 6), ["一只猫", "在沙发", "上"]);
        assert_eq!(wrapped("a 一只猫在", 6), ["a 一只", "猫在"]);
    }

    #[test]
    fn a_path_keeps_its_end_and_a_label_its_beginning() {
        assert_eq!(end("photos/holiday/cat.jpg", 10), "…y/cat.jpg");
        assert_eq!(start("a cat asleep on a sofa", 10), "a cat asl…");
        assert_eq!(start("猫猫猫猫猫猫", 6), "猫猫…");
    }

    #[test]
    fn texts_with_the_same_beginning_look_different_however_short_they_are() {
        let begin = "The photo shows a cat that lies on a wide windowsill in the afternoon sun, and ";
        let texts =
            ["behind it a dog sleeps.", "behind it a dog barks.", "nothing else."].map(|end| begin.to_owned() + end);
        assert_eq!(
            told_apart(&texts, 30),
            [
                "The photo …nd it a dog sleeps.",
                "The photo …ind it a dog barks.",
                "The photo …, and nothing else."
            ]
        );
        for columns in 8..60 {
            let short = told_apart(&texts, columns);
            assert!(short.iter().all(|text| width(text) <= columns), "{columns}: {short:?}");
            assert!(
                columns < 20 || (short[0] != short[1] && short[1] != short[2]),
                "{columns}: {short:?}"
            );
        }
    }

    #[test]
    fn columns_line_up_and_end_without_spaces() {
        let rows = [["a", "bb", "c"], ["猫猫", "b", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(columns(&rows, None), "a     bb  c\n猫猫  b\n");
    }

    #[test]
    fn a_long_line_is_wrapped_under_its_last_column() {
        let text = "top-1    34.2%  (95%: 1000 resamples of the images)\n\nshort\n";
        assert_eq!(
            fitted(text, 40),
            "top-1    34.2%  (95%: 1000 resamples of\n                the images)\n\nshort\n"
        );
        assert_eq!(
            fitted(text, 28),
            "top-1 34.2% (95%: 1000\n  resamples of the images)\n\nshort\n"
        );
    }

    #[test]
    fn columns_fit_a_terminal() {
        let rows = [
            [
                "longclip-b",
                "Long-CLIP ViT-B/16, 224 px, 248 tokens",
                "not here; on the hub",
            ],
            ["nano", "small", "built in"],
        ];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        for fit in 12..90 {
            let text = columns(&rows, Some(fit));
            assert!(text.lines().all(|line| width(line) <= fit), "{fit}:\n{text}");
            let bare = |text: &str| text.replace([' ', '\n'], "");
            assert!(
                fit < 72 || bare(&text) == bare(&rows.concat().concat()),
                "{fit}:\n{text}"
            );
        }
        assert_eq!(
            columns(&rows, Some(50)),
            "longclip-b  Long-CLIP           not here; on the\n            ViT-B/16, 224 px,   hub\n            \
             248 tokens\nnano        small               built in\n"
        );
        assert_eq!(
            columns(&rows, Some(30)),
            "longclip-b\n  Long-CLIP ViT-B/16, 224 px,\n  248 tokens\n  not here; on the hub\nnano\n  small\n  built in\n"
        );
    }

    #[test]
    fn a_line_never_wraps_and_keeps_what_matters_most() {
        let words = ["1234/260000", "12 failed", "3 hours left", "1234 images/s"].map(str::to_owned);
        for columns in 0..120 {
            let line = with_bar(Some(0.5), &words, columns);
            assert!(width(&line) <= columns, "{columns}: {line}");
        }
        assert_eq!(with_bar(Some(0.5), &words, 24), "1234/260000  12 failed");
        assert_eq!(
            with_bar(Some(0.5), &words, 32),
            "███░░░  1234/260000  12 failed".replace("███░░░", "████░░░░")
        );
        assert_eq!(
            with_bar(Some(0.5), &words, 100),
            "███████████████░░░░░░░░░░░░░░░  1234/260000  12 failed  3 hours left  1234 images/s"
        );
        assert_eq!(with_bar(None, &words[..1], 40), "1234/260000");
    }
}
