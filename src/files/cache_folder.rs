//! Where embeddings are kept from one run to the next.

use std::path::PathBuf;

/// The folder of the cache for `kind`, such as `labels`: below `$XDG_CACHE_HOME` if that is an absolute path, as the XDG base
/// directory specification has it, else below the home's `.cache`, else `%LOCALAPPDATA%`. `None` if `variable` knows none of
/// them.
pub fn cache_folder(kind: &str, variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .or_else(|| absolute("LOCALAPPDATA"))?;
    Some(cache.join("longclip").join(kind))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variables: &[(&str, &str)], expected: Option<&str>) {
        let lookup = |name: &str| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| PathBuf::from(v))
        };
        assert_eq!(cache_folder("labels", lookup), expected.map(PathBuf::from));
    }

    #[test]
    fn the_caches_place_is_the_systems() {
        check(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")], Some("/x/longclip/labels"));
        check(
            &[("XDG_CACHE_HOME", ""), ("HOME", "/h")],
            Some("/h/.cache/longclip/labels"),
        );
        check(
            &[("XDG_CACHE_HOME", "relative"), ("HOME", "/h")],
            Some("/h/.cache/longclip/labels"),
        );
        check(&[], None);
    }
}
