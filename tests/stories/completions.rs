//! The completion scripts, in real shells.

use crate::fixture::Desk;

/// What each shell offers after words of a command.
const OFFERED: [(&str, &[&str]); 4] = [
    ("longclip classify --model ", &["longclip-b-32", "nano"]),
    ("longclip classify --format ", &["ndjson", "parquet"]),
    ("longclip classify --templates ", &["imagenet80"]),
    ("longclip eval ", &["retrieval", "zeroshot"]),
];

/// Checks what `script` prints, with the command in `$LINE` and a word to wait for in `$WORD`.
#[track_caller]
fn check(shell: &str, setup: &str, script: &str) {
    let desk = Desk::new().file("complete", script);
    if !desk.shell(&format!("command -v {shell}")).status.success() {
        println!("skipped: there is no {shell} on this machine");
        return;
    }
    assert!(desk.shell(setup).status.success(), "{shell}: {setup}");
    for (line, words) in OFFERED {
        let output = desk.shell(&format!("LINE='{line}' WORD={} {shell} complete", words[0]));
        let shown = String::from_utf8_lossy(&output.stdout);
        for word in words {
            assert!(
                shown.contains(word),
                "{shell} does not offer {word} after `{line}`: {output:?}"
            );
        }
    }
}

#[test]
fn bash_completes_names_of_models_formats_templates_and_commands() {
    let script = "\
. ./longclip.bash
read -ra COMP_WORDS <<< \"$LINE\"
COMP_CWORD=${#COMP_WORDS[@]}
COMP_WORDS+=('')
_longclip longclip '' \"${COMP_WORDS[COMP_CWORD - 1]}\" 2> /dev/null
printf '%s\\n' \"${COMPREPLY[@]}\"
";
    check("bash", "longclip completions bash > longclip.bash", script);
}

#[test]
fn fish_completes_names_of_models_formats_templates_and_commands() {
    let script = "source longclip.fish; complete -C \"$LINE\"";
    check("fish", "longclip completions fish > longclip.fish", script);
}

/// zsh completes only on a terminal, so the script makes one and presses the tabulator key twice.
#[test]
fn zsh_completes_names_of_models_formats_templates_and_commands() {
    let script = "\
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=1000; echo REA\"\"DY'
zpty -r shell shown '*READY*'
zpty -n -w shell \"$LINE\"$'\\t\\t'
shown=
for attempt in {1..100}; do
  while zpty -rt shell more; do shown+=$more; done
  [[ $shown == *$WORD* ]] && break
  sleep 0.1
done
sleep 0.5
while zpty -rt shell more; do shown+=$more; done
print -r -- $shown
zpty -d shell
";
    check("zsh", "longclip completions zsh > _longclip", script);
}
