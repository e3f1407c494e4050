//! `owner/repo[@revision][:file]`: which file of which repository of the hub.
//!
//! Parts of an address become folders of the cache, so anything that could lead out of the cache is refused here.

use std::fmt;

/// A model on the hub. The parts are safe to use in paths: relative, with no `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubAddress {
    repo: String,
    revision: String,
    file: Option<String>,
}

/// The revision if none is named.
const DEFAULT_REVISION: &str = "main";

impl HubAddress {
    /// Parses `owner/repo[@revision][:file]`; `None` if the text has another form.
    ///
    /// ```
    /// use longclip::weights::hub::HubAddress;
    /// let address = HubAddress::parse("BeichenZhang/LongCLIP-L-336px@main:longclip-L@336px.pt").unwrap();
    /// assert_eq!(address.repo(), "BeichenZhang/LongCLIP-L-336px");
    /// assert_eq!(address.file(), Some("longclip-L@336px.pt"));
    /// assert!(HubAddress::parse("longclip-b").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        // The file is cut off first: its name may contain an `@`.
        let (rest, file) = match text.split_once(':') {
            Some((rest, file)) => (rest, Some(file)),
            None => (text, None),
        };
        let (repo, revision) = rest.split_once('@').unwrap_or((rest, DEFAULT_REVISION));
        let (owner, name) = repo.split_once('/')?;
        let whole = is_repo_part(owner)
            && is_repo_part(name)
            && is_relative_path(revision)
            && file.is_none_or(is_relative_path);
        whole.then(|| HubAddress {
            repo: repo.to_owned(),
            revision: revision.to_owned(),
            file: file.map(str::to_owned),
        })
    }

    /// The address of a model in the table of known ones.
    pub(in crate::weights) fn known(repo: &str, file: &str) -> Self {
        HubAddress {
            repo: repo.to_owned(),
            revision: DEFAULT_REVISION.to_owned(),
            file: Some(file.to_owned()),
        }
    }

    /// The same revision of the same repository, without a file.
    #[cfg(feature = "hub")]
    pub(in crate::weights) fn without_file(&self) -> Self {
        HubAddress {
            file: None,
            ..self.clone()
        }
    }

    /// `owner/name`.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// The repository's folder in the cache.
    pub fn cache_folder(&self) -> String {
        format!("models--{}", self.repo.replace('/', "--"))
    }

    /// A branch, a tag or a commit.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The file, if one is named.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Whether the revision is a commit, whose content never changes.
    #[cfg(feature = "hub")]
    pub(super) fn names_a_commit(&self) -> bool {
        is_commit(&self.revision)
    }
}

impl fmt::Display for HubAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repo)?;
        if self.revision != DEFAULT_REVISION {
            write!(f, "@{}", self.revision)?;
        }
        match &self.file {
            Some(file) => write!(f, ":{file}"),
            None => Ok(()),
        }
    }
}

/// A full git commit: 40 hexadecimal digits.
#[cfg(feature = "hub")]
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// An owner's or a repository's name, by the hub's rules: letters, digits, `-`, `_`, `.`, without a dot at the start.
fn is_repo_part(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= 96
        && !part.starts_with('.')
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Whether a path stays below the folder that it is joined to, on every system.
pub(super) fn is_relative_path(path: &str) -> bool {
    path.len() <= 1024
        && !path.chars().any(|c| c == '\\' || c == ':' || c.is_control())
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, parts: Option<(&str, &str, Option<&str>)>) {
        let address = HubAddress::parse(text);
        let found = address.as_ref().map(|a| (a.repo(), a.revision(), a.file()));
        assert_eq!(found, parts, "{text}");
    }

    #[test]
    fn every_part_but_the_repository_may_be_left_out() {
        check("a/b", Some(("a/b", "main", None)));
        check("a/b@v1", Some(("a/b", "v1", None)));
        check("a/b@refs/pr/3:x/y.pt", Some(("a/b", "refs/pr/3", Some("x/y.pt"))));
        check(
            "a/b:longclip-L@336px.pt",
            Some(("a/b", "main", Some("longclip-L@336px.pt"))),
        );
    }

    #[test]
    fn what_could_step_out_of_the_cache_is_no_address() {
        for text in [
            "a",
            "../b",
            "a/..",
            "a/b/c",
            "a/b@..",
            "a/b@../x",
            "a/b:../../x",
            "a/b:/etc/passwd",
            "a/b:",
            "a/b:x\\..\\y",
            "a/b@",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn an_address_prints_as_it_was_written() {
        for text in ["a/b", "a/b@v1", "a/b:x.pt", "a/b@v1:x.pt"] {
            assert_eq!(HubAddress::parse(text).unwrap().to_string(), text);
        }
    }
}
