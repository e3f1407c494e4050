//! Tests the commands in the documents: those with output are run, and the flags of the others must exist.
//!
//! A ```` ```console ```` block is a session: `$ COMMAND`, followed by everything that the command prints, stdout and stderr
//! together. A line `...` matches any lines. Each `longclip` command in a ```` ```sh ```` block or between backticks is run
//! with `--help`, which works only if the program knows all flags before it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::{Desk, repository, without_last_digits, without_rate};

/// README.md and the pages in docs/.
fn documents() -> Vec<PathBuf> {
    let pages = std::fs::read_dir(repository().join("docs")).unwrap();
    let pages = pages.map(|page| page.unwrap().path());
    let mut documents: Vec<PathBuf> = pages
        .filter(|page| page.extension().is_some_and(|e| e == "md"))
        .collect();
    documents.push(repository().join("README.md"));
    documents.sort();
    documents
}

/// The contents of the fenced blocks of a language.
pub(crate) fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let after_fences = text.split(&fence).skip(1);
    after_fences
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

/// A working folder with the images of the repository in `img/` and in `photos/`.
fn desk() -> Desk {
    let desk = Desk::new().folder("img").folder("photos");
    for name in ["cat.jpg", "coffee.jpg", "astronaut.jpg"] {
        for folder in ["img", "photos"] {
            std::fs::copy(repository().join("img").join(name), desk.path(folder).join(name)).unwrap();
        }
    }
    desk
}

/// Runs a line of a document in a shell; returns stdout and stderr together.
fn shell(desk: &Desk, line: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_longclip"));
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", program.parent().unwrap().display());
    // Readers of the README have not installed the program yet.
    let line = line.replace("cargo run --release --", "longclip");
    let mut command = Command::new("bash");
    command
        .args(["-c", &format!("{{ {line}\n}} 2>&1")])
        .current_dir(desk.path(""));
    command
        .env_clear()
        .env("HOME", desk.path(""))
        .env("PATH", path)
        .env("HF_HUB_OFFLINE", "1");
    // The variables of a task in a job array.
    command.envs([
        ("SLURM_ARRAY_TASK_ID", "3"),
        ("SLURM_ARRAY_TASK_MIN", "0"),
        ("SLURM_ARRAY_TASK_COUNT", "4"),
        ("SLURM_CPUS_PER_TASK", "2"),
    ]);
    let output = command.output().unwrap();
    without_rate(&String::from_utf8(output.stdout).unwrap())
}

/// The commands of a session with the output that the document shows.
fn session(block: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), String::new())),
            // A command that continues on the next line.
            (None, Some((command, output))) if output.is_empty() && command.ends_with('\\') => {
                command.push('\n');
                command.push_str(line);
            }
            (None, Some((_, output))) => *output += &format!("{line}\n"),
            (None, None) => panic!("a session must begin with `$ `: {line}"),
        }
    }
    commands
}

/// Without digits that depend on the instruction set; a number may happen to have none of them.
fn comparable(text: &str) -> String {
    without_last_digits(text).replace('…', "")
}

/// Whether `found` matches what the document shows, in which a line `...` matches any lines.
fn is_shown(shown: &str, found: &str) -> bool {
    let mut rest = found;
    let parts: Vec<&str> = shown.split("...\n").collect();
    let last = parts.len() - 1;
    parts.iter().enumerate().all(|(i, part)| {
        let at = if i == 0 {
            rest.starts_with(part).then_some(0)
        } else if i == last && !part.is_empty() {
            rest.ends_with(part).then(|| rest.len() - part.len())
        } else {
            rest.find(part)
        };
        at.is_some_and(|at| {
            rest = &rest[at + part.len()..];
            i < last || last > 0 || rest.is_empty()
        })
    })
}

/// Pages that are not about a task: the map of the code, a table of contents, and tables that a script writes.
const NOT_OF_TASKS: [&str; 3] = ["ARCHITECTURE.md", "PERFORMANCE.md", "docs/README.md"];
/// Columns of a page. Tables, code and addresses may be wider.
const COLUMNS_MAX: usize = 100;

/// A line without its code and addresses, which can't be wrapped.
fn prose(line: &str) -> String {
    let words: String = line.split('`').step_by(2).collect();
    let mut parts = words.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once(')').map_or("", |(_, rest)| rest)
    })
}

#[test]
fn pages_of_tasks_begin_with_a_command_and_are_wrapped() {
    for page in documents() {
        if NOT_OF_TASKS.iter().any(|other| page.ends_with(other)) {
            continue;
        }
        let text = std::fs::read_to_string(&page).unwrap();
        let (page, mut is_code) = (page.display(), false);
        for (n, line) in (1..).zip(text.lines()) {
            is_code ^= line.trim_start().starts_with("```");
            let is_prose = !is_code && !line.trim_start().starts_with(['|', '!']);
            assert!(
                !is_prose || prose(line).chars().count() <= COLUMNS_MAX,
                "{page}:{n}: {line}"
            );
        }
        let first = text.lines().position(|line| line.starts_with("```"));
        assert!(
            first.is_some_and(|line| line < 12),
            "{page} has no command at its beginning"
        );
    }
}

#[test]
fn commands_print_what_the_documents_show() {
    let mut n_commands = 0;
    let mut wrong = Vec::new();
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        let desk = desk();
        for (command, shown) in blocks(&text, "console").iter().flat_map(|block| session(block)) {
            let found = shell(&desk, &command);
            let shown = without_rate(&shown);
            if !is_shown(&comparable(&shown), &comparable(&found)) {
                let document = document.display();
                wrong.push(format!("{document}: `{command}`\n--- shown\n{shown}--- found\n{found}"));
            }
            n_commands += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(n_commands > 0, "the README should show a command with its output");
}

#[test]
fn the_picture_in_the_readme_shows_what_is_printed() {
    let picture = std::fs::read_to_string(repository().join("docs/pictures/table.svg")).unwrap();
    let texts = picture
        .lines()
        .filter_map(|line| line.strip_prefix("<text ")?.strip_suffix("</text>"));
    let lines: Vec<String> = texts
        .map(|text| text.split_once('>').unwrap().1.replace("&quot;", "\""))
        .collect();
    let [first, second, shown @ ..] = &lines[..] else {
        panic!("a command on two lines and its output: {lines:?}");
    };
    let command = format!("{}\n{second} -q", first.strip_prefix("$ ").unwrap());
    let found = shell(&desk(), &command);
    let found: Vec<&str> = found.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(shown, found, "docs/scripts/pictures.py makes it again");
}

#[test]
fn every_command_in_the_documents_exists() {
    let mut n_commands = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        let desk = desk();
        let in_blocks = blocks(&text, "sh").into_iter().flat_map(|block| commands_of(&block));
        for line in in_blocks.chain(spans(&text)) {
            let found = shell(&desk, &format!("{line} --help"));
            assert!(
                found.contains("Usage: longclip"),
                "{}: `{line}`\n{found}",
                document.display()
            );
            n_commands += 1;
        }
    }
    assert!(n_commands > 20, "{n_commands}");
}

/// The `longclip` commands of a block, without the other commands of a pipe.
fn commands_of(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    let commands = joined.lines().flat_map(|line| line.split(" | "));
    let commands = commands.filter(|command| command.trim_start().starts_with("longclip "));
    commands.map(without_comment_and_redirection).collect()
}

/// The commands between backticks in prose and tables.
fn spans(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with("```"));
    let inside = lines.flat_map(|line| line.split('`').skip(1).step_by(2));
    inside
        .filter(|span| span.starts_with("longclip "))
        .flat_map(commands_of)
        .collect()
}

fn without_comment_and_redirection(command: &str) -> String {
    let end = [" # ", "  #", " > ", " < ", " && "]
        .iter()
        .filter_map(|mark| command.find(mark))
        .min();
    command[..end.unwrap_or(command.len())].trim().to_owned()
}
