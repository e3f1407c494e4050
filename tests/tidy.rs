//! Reads the sources and checks the rules of docs/ARCHITECTURE.md that a compiler doesn't: who may know whom, what stands
//! only at the edge, how long a file may be, what no file may say.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, and says where")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file is one idea; tables of data are not Rust and are free.
const FILE_LINES_MAX: usize = 600;

/// Folders of the library, from the top of the house to its ground. A folder may use those of later rows, not those of
/// its own row or of earlier ones.
const STOREYS: [&[&str]; 6] = [
    &["classify", "pipeline", "train", "eval", "search"],
    &["input", "labels", "score", "output"],
    &["model"],
    &["preprocess", "text", "weights"],
    &["kernels", "nano", "random"],
    &["error"],
];

/// Drawers in which anything would fit.
const DRAWERS: [&str; 6] = ["utils", "util", "helpers", "helper", "common", "misc"];

/// A Rust file of `src`, without its tests.
struct Source {
    /// From the repository's root.
    path: String,
    /// The file's number of lines, tests included.
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

    /// The folder, or the file at the top, that it belongs to.
    fn room(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap();
        inside.split(['/', '.']).next().unwrap()
    }

    /// Lines of its code that hold `word`.
    fn lines_with<'a>(&'a self, word: &'a str) -> impl Iterator<Item = String> + 'a {
        let found = self.code.iter().filter(move |(_, line)| line.contains(word));
        found.map(move |(n, line)| format!("{}:{n}: {}", self.path, line.trim()))
    }
}

/// Tests stand at the foot of a file.
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
    !["cli", "main"].contains(&source.room())
}

#[track_caller]
fn check_none(promise: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{promise}; broken by\n{}", broken.join("\n"));
}

/// Rooms of the library that a line of code names.
fn rooms_named(line: &str) -> Vec<String> {
    let mut rooms = Vec::new();
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
        rooms.extend(names.into_iter().map(first));
    }
    rooms
}

#[test]
fn imports_go_down_only() {
    let storey = |room: &str| STOREYS.iter().position(|rooms| rooms.contains(&room));
    let mut broken = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| is_below_cli(source) && source.room() != "lib")
    {
        let Some(own) = storey(source.room()) else {
            broken.push(format!(
                "{}: `{}` has no place in the house",
                source.path,
                source.room()
            ));
            continue;
        };
        for (n, line) in &source.code {
            for room in rooms_named(line) {
                let goes_down = room == source.room() || storey(&room).is_some_and(|other| other > own);
                // `crate::Error` and `crate::Result` are error's, under the crate's face.
                if !goes_down && !["Error", "ErrorKind", "Result"].contains(&room.as_str()) {
                    broken.push(format!("{}:{n}: {} uses {room}", source.path, source.room()));
                }
            }
        }
    }
    check_none("a folder knows only what stands below it", &broken);
}

#[test]
fn a_use_list_and_a_path_are_both_seen() {
    assert_eq!(rooms_named("use crate::{error::Error, model};"), ["error", "model"]);
    assert_eq!(
        rooms_named("fn f() -> crate::error::Result<crate::cli::X> {"),
        ["error", "cli"]
    );
    assert_eq!(before_tests("code\n#[cfg(test)]\nmod tests {}"), "code");
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
        "what is done below `cli` depends on arguments alone, and results are returned",
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
        if ["kernels", "output", "text", "preprocess", "input"].contains(&source.room()) {
            broken.extend(source.lines_with("candle"));
        }
    }
    check_none(
        "callers can match our errors; only `model`, `weights` and `train` know tensors",
        &broken,
    );
}

#[test]
fn the_network_is_known_to_the_hub_and_to_the_url_source_alone() {
    let mut broken = Vec::new();
    for source in &sources() {
        if !source.path.starts_with("src/weights/hub/") && source.path != "src/input/url.rs" {
            broken.extend(source.lines_with("ureq").chain(source.lines_with("TcpStream")));
        }
    }
    check_none("nothing else speaks to a network", &broken);
}

#[test]
fn unsafe_stands_in_kernels_and_in_the_memory_map_alone() {
    let mut broken = Vec::new();
    for source in &sources() {
        if source.room() != "kernels" && source.path != "src/weights/map.rs" {
            broken.extend(source.lines_with("unsafe ").chain(source.lines_with("unsafe_code")));
        }
    }
    check_none("`unsafe` has two homes", &broken);
}

#[test]
fn every_file_begins_by_saying_what_it_does() {
    let begins = |path: &PathBuf| fs::read_to_string(path).unwrap().starts_with("//!");
    // Tests that outgrew their module's file are introduced there.
    let of_code = rust_files("src").into_iter().filter(|path| !path.ends_with("tests.rs"));
    let silent = of_code.filter(|path| !begins(path));
    check_none(
        "a module begins with prose",
        &silent.map(|path| path.display().to_string()).collect::<Vec<_>>(),
    );
}

#[test]
fn a_file_is_one_idea() {
    let files = ["src", "tests", "benches"].iter().flat_map(|folder| rust_files(folder));
    let long = files
        .map(|path| Source::read(&path))
        .filter(|source| source.n_lines > FILE_LINES_MAX);
    let long: Vec<String> = long
        .map(|source| format!("{}: {} lines", source.path, source.n_lines))
        .collect();
    check_none(&format!("a file has at most {FILE_LINES_MAX} lines"), &long);
}

/// What git keeps; nothing where the sources came without it.
fn kept_files() -> Vec<String> {
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
fn there_are_no_drawers() {
    let in_a_drawer = |path: &String| path.split(['/', '.']).any(|part| DRAWERS.contains(&part));
    let drawers: Vec<String> = kept_files().into_iter().filter(in_a_drawer).collect();
    check_none("a name says what is in it", &drawers);
}

/// Folders of one machine, and hosts that serve packages: a file that names them works in one place only. Each is
/// joined from two parts, so that this list doesn't find itself.
const OF_ONE_PLACE: [(&str, &str); 8] = [
    ("/ro", "ot/"),
    ("/ho", "me/"),
    ("/wo", "rk/"),
    ("/Use", "rs/"),
    ("index.cra", "tes.io"),
    ("static.cra", "tes.io"),
    ("files.python", "hosted.org"),
    ("pypi.org/", "simple"),
];

#[test]
fn no_file_names_a_machine_or_a_registry() {
    let mut broken = Vec::new();
    for path in kept_files() {
        // Pictures and weights are not text.
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue;
        };
        for (n, line) in (1..).zip(text.lines()) {
            let named = OF_ONE_PLACE.iter().map(|(start, end)| format!("{start}{end}"));
            broken.extend(
                named
                    .filter(|place| line.contains(place))
                    .map(|place| format!("{path}:{n}: {place}")),
            );
        }
    }
    check_none("what is kept works on any machine", &broken);
}

#[test]
fn packages_come_from_the_one_public_index() {
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
    check_none("a TODO carries an issue's number", &broken);
}
