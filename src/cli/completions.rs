//! `longclip completions SHELL`: a completion script on stdout.

use std::io::{self, Write};

use clap_complete::Shell;
use longclip::weights::names::known_names;

use super::Outcome;
use super::help::{Length, command};
use super::label_flags::template_sets;
use super::report::Exit;

const EXAMPLES: &str = "\
Examples:
  longclip completions bash > longclip.bash
  longclip completions zsh > _longclip
  longclip completions fish > ~/.config/fish/completions/longclip.fish";

const NOTES: &str = "\
In bash, put the file into ~/.local/share/bash-completion/completions/longclip; in
zsh, into a folder of $fpath as `_longclip`. Names of models, formats and sets of
templates are completed too.";

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = NOTES)]
pub(super) struct Args {
    /// bash, zsh, fish, elvish or powershell
    ///
    /// Example: `longclip completions zsh`
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Outcome {
    io::stdout().lock().write_all(script(args.shell).as_bytes())?;
    Ok(Exit::Done)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(Length::Long), "longclip", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    // A model and a set of templates may be files too, which scripts don't offer next to names.
    [known_names(), template_sets()]
        .iter()
        .fold(script, |script, names| match shell {
            Shell::Zsh => {
                let names = names.join(" ");
                script.replace(&format!(":({names})"), &format!(":{{compadd - {names}; _files}}"))
            }
            Shell::Fish => {
                let first = format!(" -a \"{}\\t", names[0]);
                script.replace(&format!(" -r -f{first}"), &format!(" -r -F{first}"))
            }
            _ => script,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a script in which `flag` is completed.
    fn lines(shell: Shell, flag: &str) -> String {
        let script = script(shell);
        let after = |i: usize| script.lines().skip(i).take(10).collect::<Vec<_>>().join("\n");
        let places = script.lines().enumerate().filter(|(_, line)| line.contains(flag));
        places.map(|(i, _)| after(i)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn models_formats_and_templates_are_offered_in_each_shell() {
        for (shell, [model, format, templates]) in [
            (Shell::Bash, ["--model)", "--format)", "--templates)"]),
            (Shell::Zsh, ["--model=", "--format=", "--templates="]),
            (Shell::Fish, ["-l model ", "-l format ", "-l templates "]),
        ] {
            assert!(
                lines(shell, model).contains("longclip-b-32"),
                "{shell}: {}",
                lines(shell, model)
            );
            assert!(
                lines(shell, format).contains("ndjson"),
                "{shell}: {}",
                lines(shell, format)
            );
            assert!(
                lines(shell, templates).contains("imagenet7"),
                "{shell}: {}",
                lines(shell, templates)
            );
        }
    }

    #[test]
    fn files_are_offered_next_to_models() {
        assert!(
            lines(Shell::Zsh, "--model=").contains("; _files}"),
            "{}",
            lines(Shell::Zsh, "--model=")
        );
        assert!(
            lines(Shell::Fish, "-l model ").contains("-r -F -a"),
            "{}",
            lines(Shell::Fish, "-l model ")
        );
    }
}
