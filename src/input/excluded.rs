//! Folders that are not searched, by patterns of their names: thumbnails of storage devices, code, deleted files.

use std::path::Path;

use glob::{MatchOptions, Pattern};

use crate::error::{Error, Result};

/// What programs and storage devices write next to photos. Hidden names, as `.git` or `.thumbnails`, are skipped anyway.
const DEFAULTS: [&str; 8] = [
    "@eaDir",
    "#recycle",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
    "__MACOSX",
    "node_modules",
    "*.lrdata",
];

/// Patterns of folders that are not searched.
#[derive(Debug, Clone)]
pub struct ExcludedFolders(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    pattern: Pattern,
    is_exception: bool,
}

impl Default for ExcludedFolders {
    fn default() -> Self {
        let rule = |name: &&str| Rule::parse(name).ok();
        ExcludedFolders(DEFAULTS.iter().filter_map(rule).collect())
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self> {
        let (is_exception, glob) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let pattern = Pattern::new(glob.trim_end_matches('/')).map_err(|error| {
            Error::usage(
                format!("`{text}` is not a pattern of folders: {error}"),
                "write it as the shell does, for example `thumbs*`",
            )
        })?;
        Ok(Rule { pattern, is_exception })
    }
}

impl ExcludedFolders {
    /// Adds a pattern. With `/` it is compared with a folder's path below the named one, otherwise with its name. After
    /// `!`, folders that it matches are searched. The last pattern that matches a folder decides.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is not a pattern.
    pub fn add(&mut self, pattern: &str) -> Result<()> {
        self.0.push(Rule::parse(pattern)?);
        Ok(())
    }

    /// Whether a folder is excluded, by its path below the one that the user named.
    pub(super) fn have(&self, below: &Path) -> bool {
        const PATHS: MatchOptions = MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: false,
        };
        let matches = |rule: &&Rule| match (rule.pattern.as_str().contains('/'), below.file_name()) {
            (true, _) => rule.pattern.matches_path_with(below, PATHS),
            (false, Some(name)) => rule.pattern.matches_path(Path::new(name)),
            (false, None) => false,
        };
        self.0.iter().rev().find(matches).is_some_and(|rule| !rule.is_exception)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Found::{Searched, Skipped};

    #[derive(PartialEq)]
    enum Found {
        Searched,
        Skipped,
    }

    #[track_caller]
    fn check(patterns: &[&str], folder: &str, expected: Found) {
        let mut excluded = ExcludedFolders::default();
        for pattern in patterns {
            excluded.add(pattern).unwrap();
        }
        let is_skipped = excluded.have(Path::new(folder));
        assert_eq!(is_skipped, expected == Found::Skipped, "{patterns:?} {folder}");
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        check(&[], "a/@eaDir", Skipped);
        check(&[], "a/eaDir", Searched);
        check(&[], "Catalog Previews.lrdata", Skipped);
        check(&["!@eaDir"], "a/@eaDir", Searched);
        check(&["!@eaDir", "@*"], "a/@eaDir", Skipped);
        check(&["thumb*"], "2024/thumbs", Skipped);
        check(&["2024/*"], "2024/thumbs", Skipped);
        check(&["2024/*"], "2024/a/thumbs", Searched);
        check(&["**/a/thumbs/"], "2024/a/thumbs", Skipped);
        assert!(ExcludedFolders::default().add("[").is_err());
    }
}
