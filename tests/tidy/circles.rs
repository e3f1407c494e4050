//! Finds circles between files: a file that uses another one, which uses the first, also through further files.
//!
//! A file uses what it names by `use` or by a path from `crate`, `self` or `super`. A name that another file only passes
//! on by `pub use` is followed to where it is declared. What a folder's own file declares belongs to the whole folder, so
//! files may use the items of the folders that they are in.

use std::collections::{BTreeMap, BTreeSet};

/// A module's path from the crate's root: `["input", "tar"]`.
type Path = Vec<String>;

/// What one file says.
struct Module {
    path: Path,
    /// Whether by `pub use`, and the path.
    uses: Vec<(bool, Path)>,
}

/// The circles among files, given as their paths below `src/` and their code. Each is a list of files.
pub(crate) fn circles(files: &[(String, String)]) -> Vec<Vec<String>> {
    let modules: Vec<Module> = files.iter().map(|(file, code)| module(file, code)).collect();
    let known: BTreeSet<&[String]> = modules.iter().map(|module| &module.path[..]).collect();
    let mut passed_on: BTreeMap<Path, Path> = BTreeMap::new();
    for module in &modules {
        for (_, path) in module.uses.iter().filter(|(is_passed_on, _)| *is_passed_on) {
            if let (Some(target), Some(name)) = (absolute(&module.path, path, &known), path.last()) {
                passed_on.insert([&module.path[..], std::slice::from_ref(name)].concat(), target);
            }
        }
    }
    let mut used: BTreeMap<&[String], BTreeSet<&[String]>> = BTreeMap::new();
    for module in &modules {
        for (_, path) in module.uses.iter().filter(|(is_passed_on, _)| !is_passed_on) {
            let target = absolute(&module.path, path, &known).map(|path| declared(path, &passed_on));
            let file =
                target.and_then(|target| (1..=target.len()).rev().find_map(|n| known.get(&target[..n]).copied()));
            if let Some(file) = file.filter(|file| !module.path.starts_with(file)) {
                used.entry(&module.path).or_default().insert(file);
            }
        }
    }
    groups(&used)
}

/// The path of a file's module, and what it uses.
fn module(file: &str, code: &str) -> Module {
    let name = file.trim_end_matches(".rs").trim_end_matches("/mod");
    let mut uses = Vec::new();
    let mut rest = String::new();
    let mut statements = code.split_inclusive(';');
    for statement in &mut statements {
        let Some((before, tree)) = use_statement(statement) else {
            rest += statement;
            continue;
        };
        let is_passed_on = before.trim_end().ends_with("pub") || before.trim_end().ends_with(')');
        uses.extend(paths(tree).into_iter().map(|path| (is_passed_on, path)));
    }
    uses.extend(paths_in_code(&rest).map(|path| (false, path)));
    Module {
        path: name.split('/').map(str::to_owned).collect(),
        uses,
    }
}

/// The last `use` of a statement: what precedes it on its line, and its tree.
fn use_statement(statement: &str) -> Option<(&str, &str)> {
    let at = statement
        .match_indices("use ")
        .map(|(at, _)| at)
        .filter(|&at| {
            let before = statement[..at].lines().last().unwrap_or_default().trim();
            let starts_a_line = at == 0 || statement[..at].ends_with([' ', '\n']);
            starts_a_line && (before.is_empty() || before.starts_with("pub"))
        })
        .last()?;
    let line = statement[..at].rfind('\n').map_or(0, |end| end + 1);
    Some((&statement[line..at], statement[at + 4..].trim_end_matches(';')))
}

/// The paths of a tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(tree: &str) -> Vec<Path> {
    let tree = tree.trim();
    let Some((start, list)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap_or_default();
        let path: Path = name.split("::").map(|part| part.trim().to_owned()).collect();
        return if path[0].is_empty() { Vec::new() } else { vec![path] };
    };
    let mut depth = 0;
    let list = list.trim_end().trim_end_matches('}');
    let members = list.split(|c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    members.flat_map(|member| paths(&format!("{start}{member}"))).collect()
}

/// Paths from `crate` and `super` in other code.
fn paths_in_code(code: &str) -> impl Iterator<Item = Path> {
    let starts = ["crate::", "super::"];
    starts.into_iter().flat_map(move |start| {
        code.match_indices(start).map(|(at, _)| {
            let is_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let end = code[at..].find(|c| !is_of_path(c)).unwrap_or(code.len() - at);
            code[at..at + end].split("::").map(str::to_owned).collect()
        })
    })
}

/// The path from the crate's root; `None` if it is another crate's.
fn absolute(module: &[String], path: &[String], known: &BTreeSet<&[String]>) -> Option<Path> {
    let n_up = path.iter().take_while(|part| *part == "super").count();
    if n_up > 0 {
        let outer = &module[..module.len().checked_sub(n_up)?];
        return Some([outer, &path[n_up..]].concat());
    }
    let inner = |path: &[String]| [module, path].concat();
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some(inner(&path[1..])),
        _ => Some(inner(path)).filter(|path| known.contains(&path[..=module.len()])),
    }
}

/// Where what a path names is declared.
fn declared(mut path: Path, passed_on: &BTreeMap<Path, Path>) -> Path {
    // Names are passed on a few times at most; a limit ends what would go round.
    for _ in 0..8 {
        let known = (1..=path.len()).find_map(|n| Some((n, passed_on.get(&path[..n])?)));
        match known {
            Some((n, target)) if target[..] != path[..n] => path = [&target[..], &path[n..]].concat(),
            _ => break,
        }
    }
    path
}

/// Files that reach each other.
fn groups(used: &BTreeMap<&[String], BTreeSet<&[String]>>) -> Vec<Vec<String>> {
    let reached = |start: &[String]| {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&[String]> = used.get(start).into_iter().flatten().copied().collect();
        while let Some(file) = open.pop() {
            if reached.insert(file) {
                open.extend(used.get(file).into_iter().flatten().copied());
            }
        }
        reached
    };
    let all: BTreeMap<&[String], BTreeSet<&[String]>> = used.keys().map(|file| (*file, reached(file))).collect();
    let in_circle = |file: &[String], other: &[String]| {
        all[file].contains(other) && all.get(other).is_some_and(|back| back.contains(file))
    };
    let mut groups: BTreeSet<Vec<String>> = BTreeSet::new();
    for file in all.keys().filter(|file| in_circle(file, file)) {
        let group = all[file].iter().filter(|other| in_circle(file, other));
        groups.insert(group.map(|path| path.join("::")).collect());
    }
    groups.into_iter().collect()
}

#[test]
fn a_circle_is_found_through_lists_paths_and_names_that_are_passed_on() {
    let found = |files: &[(&str, &str)]| {
        let own = |(file, code): &(&str, &str)| ((*file).to_owned(), (*code).to_owned());
        circles(&files.iter().map(own).collect::<Vec<_>>())
    };
    let direct = found(&[
        ("a/b.rs", "use std::fs;\nuse super::{c::C, d};"),
        ("a/c.rs", "fn f() -> crate::a::b::B {}"),
        ("a/mod.rs", "mod b;\nmod c;"),
    ]);
    assert_eq!(direct, [["a::b", "a::c"]]);
    let passed_on = found(&[
        ("a/mod.rs", "pub use self::b::B;\npub(crate) use c::C;"),
        ("a/b.rs", "use super::C;"),
        ("a/c.rs", "use crate::a::B;"),
    ]);
    assert_eq!(passed_on, [["a::b", "a::c"]]);
    let of_the_folder = found(&[("a/mod.rs", "use self::b::B;"), ("a/b.rs", "use super::A;")]);
    assert!(of_the_folder.is_empty(), "{of_the_folder:?}");
    let down_only = found(&[("a.rs", "use crate::b::B;"), ("b.rs", "use std::fs;")]);
    assert!(down_only.is_empty(), "{down_only:?}");
}
