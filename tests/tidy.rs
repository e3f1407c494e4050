//! Checks rules of docs/ARCHITECTURE.md that the compiler does not: which folder may import which, what only the command
//! line may do, how long a file may be, and what no file may contain.

#![allow(clippy::unwrap_used, reason = "a panic fails the test and says where")]

#[path = "tidy/circles.rs"]
mod circles;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file is one idea. Tables of data are not Rust files and have no limit.
const FILE_LINES_MAX: usize = 450;

/// Layers of the library, from top to bottom. A folder may import from later rows, but not from its own row or earlier
/// ones.
const LAYERS: [&[&str]; 9] = [
    &["session"],
    &["pipeline", "train", "eval", "search"],
    &["data"],
    &["input", "labels", "score", "output"],
    &["model", "store"],
    &["preprocess", "sidecar", "text", "weights"],
    &["recipe"],
    &[
        "kernels",
        "named",
        "nano",
        "plain_text",
        "json_fields",
        "random",
        "files",
        "memory",
    ],
    &["error"],
];

/// Names that do not say what is in a file.
const VAGUE_NAMES: [&str; 6] = ["utils", "util", "helpers", "helper", "common", "misc"];

/// A Rust file, without its tests.
struct Source {
    /// Relative to the repository's root.
    path: String,
    /// Number of lines in the file, including tests.
    n_lines: usize,
    /// Number and text of each line of code, without comments.
    code: Vec<(usize, String)>,
}

impl Source {
    fn read(path: &Path) -> Source {
        let text = fs::read_to_string(path).unwrap();
        let relative = path.strip_prefix(root()).unwrap();
        let is_test_file = ["tests.rs", "specimen.rs", "testing.rs"]
            .iter()
            .any(|name| path.ends_with(name));
        let code = if is_test_file { "" } else { before_tests(&text) };
        Source {
            path: relative.to_str().unwrap().replace('\\', "/"),
            n_lines: text.lines().count(),
            code: (1..)
                .zip(code.lines())
                .filter(is_code)
                .map(|(n, line)| (n, line.to_owned()))
                .collect(),
        }
    }

    /// The folder of `src`, or the file directly in it, that this source belongs to.
    fn folder(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap();
        inside.split(['/', '.']).next().unwrap()
    }

    /// Lines of code that contain `word`.
    fn lines_with<'a>(&'a self, word: &'a str) -> impl Iterator<Item = String> + 'a {
        let found = self.code.iter().filter(move |(_, line)| line.contains(word));
        found.map(move |(n, line)| format!("{}:{n}: {}", self.path, line.trim()))
    }
}

/// The part of a file before its tests, which are at the end.
fn before_tests(text: &str) -> &str {
    let start = ["\n#[cfg(test)]\nmod ", "\n#[cfg(test)]\n#[allow"]
        .iter()
        .filter_map(|start| text.find(start))
        .min();
    start.map_or(text, |start| &text[..start])
}

fn is_code((_, line): &(usize, &str)) -> bool {
    !line.trim_start().starts_with("//")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder of the repository.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    let sources: Vec<Source> = rust_files("src").iter().map(|path| Source::read(path)).collect();
    assert!(sources.len() > 50, "found only {} files", sources.len());
    sources
}

fn is_below_cli(source: &Source) -> bool {
    !["cli", "main"].contains(&source.folder())
}

#[track_caller]
fn check_none(promise: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{promise}; broken by\n{}", broken.join("\n"));
}

/// Folders of the library that a line of code imports from.
fn folders_named(line: &str) -> Vec<String> {
    let mut folders = Vec::new();
    for (start, _) in line.match_indices("crate::") {
        let path = &line[start + "crate::".len()..];
        let names = match path.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap().split(',').map(str::trim).collect(),
            None => vec![path],
        };
        let first = |name: &str| {
            name.split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap()
                .to_owned()
        };
        folders.extend(names.into_iter().map(first));
    }
    folders
}

#[test]
fn imports_go_down_only() {
    let layer = |folder: &str| LAYERS.iter().position(|folders| folders.contains(&folder));
    let mut broken = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| is_below_cli(source) && source.folder() != "lib")
    {
        let Some(own) = layer(source.folder()) else {
            broken.push(format!("{}: `{}` is in no layer", source.path, source.folder()));
            continue;
        };
        for (n, line) in &source.code {
            for folder in folders_named(line) {
                let goes_down = folder == source.folder() || layer(&folder).is_some_and(|other| other > own);
                // `crate::Error` and `crate::Result` are re-exports from `error`.
                if !goes_down && !["Error", "ErrorKind", "Result"].contains(&folder.as_str()) {
                    broken.push(format!("{}:{n}: {} uses {folder}", source.path, source.folder()));
                }
            }
        }
    }
    check_none("a folder imports only from layers below it", &broken);
}

#[test]
fn finds_imports_in_use_lists_and_paths() {
    assert_eq!(folders_named("use crate::{error::Error, model};"), ["error", "model"]);
    assert_eq!(
        folders_named("fn f() -> crate::error::Result<crate::cli::X> {"),
        ["error", "cli"]
    );
    assert_eq!(before_tests("code\n#[cfg(test)]\nmod tests {}"), "code");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let code = |source: &Source| {
        let lines: Vec<&str> = source.code.iter().map(|(_, line)| line.as_str()).collect();
        let file = source.path.strip_prefix("src/").unwrap();
        (file.to_owned(), lines.join("\n"))
    };
    let sources = sources();
    // `lib.rs` only names the modules.
    let modules = sources
        .iter()
        .filter(|source| !["lib", "main"].contains(&source.folder()));
    let found = circles::circles(&modules.map(code).collect::<Vec<_>>());
    let found: Vec<String> = found.iter().map(|files| files.join(", ")).collect();
    check_none("what two files need of each other belongs in a third one", &found);
}

#[test]
fn nothing_below_the_command_line_prints_exits_or_reads_the_environment() {
    const EDGE: [&str; 9] = [
        "println!",
        "print!(",
        "dbg!(",
        "process::exit",
        "std::env::",
        "use std::env",
        "env::var",
        "io::stdout()",
        "io::stderr()",
    ];
    let sources = sources();
    let below = || sources.iter().filter(|source| is_below_cli(source));
    let broken: Vec<String> = below()
        .flat_map(|source| EDGE.iter().flat_map(|word| source.lines_with(word)))
        .collect();
    check_none(
        "code below `cli` depends only on its arguments and returns its results",
        &broken,
    );
}

/// Whether a line's text names a flag, such as `--labels`, or a command of `longclip`.
fn names_a_flag(line: &str) -> bool {
    let mut dashes = line.match_indices("--");
    let is_flag = |(at, _): (usize, &str)| {
        let before = line[..at].chars().next_back();
        let after = line[at + 2..].chars().next();
        before.is_none_or(|c| !c.is_alphanumeric() && !"(-".contains(c))
            && after.is_some_and(|c| c.is_ascii_lowercase())
    };
    line.contains('"') && (dashes.any(is_flag) || line.contains("`longclip "))
}

#[test]
fn messages_of_the_library_name_no_flags() {
    assert!(names_a_flag(r#""or use `--long-text chunk`""#) && names_a_flag(r#""`longclip model list`""#));
    assert!(!names_a_flag(r#""models--a""#) && !names_a_flag(r#""var(--shade)""#));
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| is_below_cli(source)) {
        let lines = source.code.iter().filter(|(_, line)| names_a_flag(line));
        broken.extend(lines.map(|(n, line)| format!("{}:{n}: {}", source.path, line.trim())));
    }
    check_none(
        "the command line says what a setting is called (`src/cli/hint.rs`)",
        &broken,
    );
}

#[test]
fn anyhow_stays_at_the_edge_and_candle_out_of_kernels_and_output() {
    let mut broken = Vec::new();
    for source in &sources() {
        if is_below_cli(source) {
            broken.extend(source.lines_with("anyhow"));
        }
        if ["kernels", "output", "text", "preprocess", "input"].contains(&source.folder()) {
            broken.extend(source.lines_with("candle"));
        }
    }
    check_none(
        "library errors are ours, and only `model`, `weights` and `train` use tensors",
        &broken,
    );
}

#[test]
fn only_the_hub_and_the_url_source_use_the_network() {
    let mut broken = Vec::new();
    for source in &sources() {
        if !source.path.starts_with("src/weights/hub/") && source.path != "src/input/url.rs" {
            broken.extend(source.lines_with("ureq").chain(source.lines_with("TcpStream")));
        }
    }
    check_none("nothing else uses the network", &broken);
}

#[test]
fn unsafe_is_only_in_kernels_and_in_the_memory_map() {
    let mut broken = Vec::new();
    for source in &sources() {
        if source.folder() != "kernels" && source.path != "src/weights/map.rs" {
            broken.extend(source.lines_with("unsafe ").chain(source.lines_with("unsafe_code")));
        }
    }
    check_none("`unsafe` is allowed in two places only", &broken);
}

#[test]
fn every_file_begins_by_saying_what_it_does() {
    let begins = |path: &PathBuf| fs::read_to_string(path).unwrap().starts_with("//!");
    // A `tests.rs` is described by the module it belongs to.
    let of_code = rust_files("src").into_iter().filter(|path| !path.ends_with("tests.rs"));
    let without = of_code.filter(|path| !begins(path));
    check_none(
        "a module begins with prose",
        &without.map(|path| path.display().to_string()).collect::<Vec<_>>(),
    );
}

#[test]
fn files_are_short() {
    let files = ["src", "tests", "benches"].iter().flat_map(|folder| rust_files(folder));
    let long = files
        .map(|path| Source::read(&path))
        .filter(|source| source.n_lines > FILE_LINES_MAX);
    let long: Vec<String> = long
        .map(|source| format!("{}: {} lines", source.path, source.n_lines))
        .collect();
    check_none(&format!("a file has at most {FILE_LINES_MAX} lines"), &long);
}

/// Files tracked by git; none if the sources are not in a git repository.
fn tracked_files() -> Vec<String> {
    let listed = Command::new("git")
        .arg("-C")
        .arg(root())
        .args(["ls-files", "-z"])
        .output();
    let Ok(listed) = listed else { return Vec::new() };
    let names = String::from_utf8(listed.stdout).unwrap();
    names.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn file_names_are_not_vague() {
    let is_vague = |path: &String| path.split(['/', '.']).any(|part| VAGUE_NAMES.contains(&part));
    let vague: Vec<String> = tracked_files().into_iter().filter(is_vague).collect();
    check_none("a name says what is in it", &vague);
}

/// Folders of a particular machine and hosts of package registries; a file that names them works in one place only. Each
/// is split into two parts, so that the test does not find this list.
const MACHINE_SPECIFIC: [(&str, &str); 8] = [
    ("/ro", "ot/"),
    ("/ho", "me/"),
    ("/wo", "rk/"),
    ("/Use", "rs/"),
    ("index.cra", "tes.io"),
    ("static.cra", "tes.io"),
    ("files.python", "hosted.org"),
    ("pypi.org/", "simple"),
];

/// `dist` writes it, with the folder of Homebrew on the machines that it runs on.
const GENERATED_WORKFLOW: &str = ".github/workflows/release.yml";

#[test]
fn no_file_names_a_machine_or_a_registry() {
    let mut broken = Vec::new();
    for path in tracked_files().into_iter().filter(|path| path != GENERATED_WORKFLOW) {
        // Images and weights are not text.
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue;
        };
        for (n, line) in (1..).zip(text.lines()) {
            let named = MACHINE_SPECIFIC.iter().map(|(start, end)| format!("{start}{end}"));
            broken.extend(
                named
                    .filter(|place| line.contains(place))
                    .map(|place| format!("{path}:{n}: {place}")),
            );
        }
    }
    check_none("tracked files work on any machine", &broken);
}

/// A line of a document, in characters. Tables, code and addresses without spaces can't be wrapped.
const DOCUMENT_WIDTH_MAX: usize = 120;

#[test]
fn documents_are_wrapped() {
    let mut wide = Vec::new();
    for path in tracked_files().into_iter().filter(|path| path.ends_with(".md")) {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let mut is_code = false;
        for (n, line) in (1..).zip(text.lines()) {
            is_code ^= line.trim_start().starts_with("```");
            let can_be_wrapped = line.trim().contains(' ') && !line.starts_with('|');
            if !is_code && can_be_wrapped && line.chars().count() > DOCUMENT_WIDTH_MAX && !line.contains("](http") {
                wide.push(format!("{path}:{n}"));
            }
        }
    }
    check_none("documents are wrapped", &wide);
}

#[test]
fn packages_come_from_crates_io() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let sources = lock.lines().filter(|line| line.starts_with("source = "));
    let elsewhere = sources.filter(|line| !line.contains("registry+https://github.com/rust-lang/crates.io-index"));
    check_none(
        "packages come from crates.io",
        &elsewhere.map(str::to_owned).collect::<Vec<_>>(),
    );
}

#[test]
fn nothing_is_left_to_do_without_an_issue() {
    let mut broken = Vec::new();
    for source in &sources() {
        for word in ["todo!", "unimplemented!"] {
            broken.extend(source.lines_with(word));
        }
    }
    for path in rust_files("src") {
        let text = fs::read_to_string(&path).unwrap();
        let marks = text
            .lines()
            .filter(|line| line.contains("TODO") && !line.contains("TODO(#"));
        broken.extend(marks.map(|line| format!("{}: {line}", path.display())));
    }
    check_none("a TODO has an issue number", &broken);
}
