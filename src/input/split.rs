//! The items of a source that belong to a shard, by names that are the same on any machine.

use super::item::{Item, Items};
use super::shard::Shard;

/// The items that belong to the shard, if there is one; `name` is an item's name on any machine.
pub(super) fn kept(items: Items, shard: Option<Shard>, name: impl Fn(&Item) -> String + Send + 'static) -> Items {
    match shard {
        Some(shard) => Box::new(items.filter(move |item| shard.holds(&name(item)))),
        None => items,
    }
}

/// The name as in the output.
pub(super) fn as_named(item: &Item) -> String {
    item.name.to_string()
}

/// The part of a name below a folder, with `/` between its parts; the whole name if it isn't below the folder.
pub(super) fn below(folder: &str, name: &str) -> String {
    let inner = name.strip_prefix(folder).unwrap_or(name);
    let inner = inner.trim_start_matches(std::path::is_separator);
    let inner = if inner.is_empty() { name } else { inner };
    inner.replace(std::path::MAIN_SEPARATOR, "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_folder_makes_no_difference() {
        assert_eq!(below("photos/", "photos/a/1.jpg"), "a/1.jpg");
        assert_eq!(below("/mnt/b", "/mnt/b/a/1.jpg"), "a/1.jpg");
        assert_eq!(below("photos", "photos"), "photos");
    }
}
