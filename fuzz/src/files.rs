//! Files for readers of files.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::{env, fs, process};

/// A folder in memory for this process: `fuzz/run` names one, and removes it.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let named = env::var_os("LONGCLIP_FUZZ_FOLDER").map(PathBuf::from);
    let folder = named
        .unwrap_or_else(env::temp_dir)
        .join(format!("longclip-fuzz-{}", process::id()));
    fs::create_dir_all(&folder).expect("a folder for files of targets");
    folder
});

/// The folder of files.
pub fn folder() -> PathBuf {
    FOLDER.clone()
}

/// A file of these bytes, which the next one of this name replaces.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = FOLDER.join(name);
    fs::write(&path, bytes).expect("a file in the folder of targets");
    path
}

/// The first byte of an input chooses between `choices`; the rest is what is read.
pub fn chosen<'a, T: Copy>(data: &'a [u8], choices: &[T]) -> Option<(T, &'a [u8])> {
    let (first, rest) = data.split_first()?;
    Some((choices[usize::from(*first) % choices.len()], rest))
}
