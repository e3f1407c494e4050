//! A temporary folder to run the program in, and what a command printed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::recipe::{Config, Positions, Stored, write_safetensors};

/// Limits the instruction set of every run, so that `LONGCLIP_CPU=avx2 cargo test` shows what such a machine shows.
pub(crate) const CPU_VARIABLE: &str = "LONGCLIP_CPU";

/// A temporary folder to run commands in, with an environment without models and without a hub.
pub(crate) struct Desk {
    dir: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
    stdin: Vec<u8>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Desk {
            dir: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
            stdin: Vec::new(),
        }
    }

    /// A folder with the three images of the repository: `cat.jpg`, `coffee.jpg`, `astronaut.jpg`.
    pub(crate) fn with_pictures() -> Self {
        let desk = Desk::new();
        for name in ["cat.jpg", "coffee.jpg", "astronaut.jpg"] {
            std::fs::copy(repository().join("img").join(name), desk.path(name)).unwrap();
        }
        desk
    }

    /// Adds `small.safetensors`, a generated two-layer model that reads any text. Its numbers mean nothing, but do not
    /// change when the built-in model is trained again.
    pub(crate) fn and_small_model(self) -> Self {
        write_safetensors(
            &self.path("small.safetensors"),
            &Config::SMALL,
            Positions::Long,
            Stored::F16,
        )
        .unwrap();
        self
    }

    pub(crate) fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    pub(crate) fn stdin(mut self, bytes: &[u8]) -> Self {
        self.stdin = bytes.to_vec();
        self
    }

    pub(crate) fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.path(name), bytes).unwrap();
        self
    }

    pub(crate) fn folder(self, name: &str) -> Self {
        std::fs::create_dir(self.path(name)).unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command that runs the program in this folder, without the machine's own environment variables.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longclip"));
        command.args(arguments).current_dir(self.dir.path());
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("HF_HUB_OFFLINE", "1");
        command.envs(std::env::var_os(CPU_VARIABLE).map(|level| (CPU_VARIABLE, level)));
        command.envs(self.variables.iter().map(|(name, value)| (*name, value)));
        command
    }

    /// Runs the program until it exits.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that does not read its stdin may close it first.
        let _ = stdin.write_all(&self.stdin);
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    /// Runs a script in a shell whose environment contains only the path to this program and the usual programs.
    pub(crate) fn shell(&self, script: &str) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_longclip"));
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", program.parent().unwrap().display());
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(self.dir.path());
        command.env_clear().env("HOME", self.dir.path()).env("PATH", path);
        command.envs(std::env::var_os(CPU_VARIABLE).map(|level| (CPU_VARIABLE, level)));
        command.output().unwrap()
    }

    /// What a terminal shows of a shell command; `None` if the machine has no `script` to make one.
    pub(crate) fn on_terminal(&self, command: &str) -> Option<String> {
        if !self.shell("script -qec true /dev/null").status.success() {
            println!("skipped: there is no `script` to make a terminal");
            return None;
        }
        let command = command.replace('\'', "'\\''");
        let output = self.shell(&format!("script -qec '{command}' /dev/null"));
        Some(String::from_utf8(output.stdout).unwrap())
    }

    /// What a user sees: exit code, stdout and stderr.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let place = self.dir.path().to_str().unwrap();
        let shown = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap().replace(place, "[DESK]");
            without_last_digits(&without_rate(&text))
        };
        format!(
            "exit code {}\n--- stdout\n{}--- stderr\n{}",
            output.status.code().expect("the program exits"),
            shown(&output.stdout),
            shown(&output.stderr),
        )
    }

    /// The records of a run that prints NDJSON.
    #[track_caller]
    pub(crate) fn records(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let output = self.output(arguments);
        let stdout = String::from_utf8(output.stdout).unwrap();
        let records = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(
            output.status.code().is_some_and(|code| code < 2),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        records
    }
}

/// Cuts numbers after five decimals: the digits that follow depend on the instruction set.
pub(crate) fn without_last_digits(text: &str) -> String {
    const DECIMALS_MAX: usize = 5;
    let mut kept = String::new();
    let mut n_decimals = None;
    for c in text.chars() {
        n_decimals = match n_decimals {
            None if c == '.' && kept.ends_with(|before: char| before.is_ascii_digit()) => Some(0),
            Some(n) if c.is_ascii_digit() => Some(n + 1),
            _ => None,
        };
        match n_decimals {
            Some(n) if n == DECIMALS_MAX + 1 => kept.push('…'),
            Some(n) if n > DECIMALS_MAX => {}
            _ => kept.push(c),
        }
    }
    kept
}

/// Replaces the rate of a run, which is different each time.
pub(crate) fn without_rate(text: &str) -> String {
    let Some((before, after)) = text.split_once(" images/s") else {
        return text.to_owned();
    };
    let start = before.rfind(' ').map_or(0, |space| space + 1);
    format!("{}[RATE] images/s{}", &before[..start], without_rate(after))
}

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The path of a file in `tests/data`.
pub(crate) fn data(name: &str) -> String {
    repository().join("tests/data").join(name).to_str().unwrap().to_owned()
}
