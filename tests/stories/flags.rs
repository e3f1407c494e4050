//! Flags as `--help` lists them: each command takes each of its flags, with the value in the flag's example.

use std::fs;

use crate::fixture::Desk;

/// Commands with what they need to run.
const COMMANDS: &[(&str, &str)] = &[
    ("classify", "cat.jpg -l cat -l dog --model small.safetensors"),
    ("embed", "cat.jpg --model small.safetensors"),
    (
        "sort",
        "cat.jpg --into out --copy -l cat -l dog --model small.safetensors",
    ),
    ("tag", "photos --vocabulary my-keywords.txt --model small.safetensors"),
    ("score", "pairs.ndjson --model small.safetensors"),
    ("tokens", "'a cat'"),
    ("eval zeroshot", "--data classes --model small.safetensors"),
    ("eval retrieval", "--data pairs.ndjson --model small.safetensors"),
    #[cfg(feature = "parquet")]
    ("search query", "photos 'a cat' --model small.safetensors"),
    #[cfg(feature = "parquet")]
    ("search duplicates", "photos --model small.safetensors"),
    #[cfg(feature = "parquet")]
    ("search build", "photos -o index.parquet --model small.safetensors"),
    ("model list", ""),
    ("model info", "small.safetensors"),
    ("model verify", "small.safetensors"),
    ("model pull", "nano"),
    ("bench", "--rounds 1 --model small.safetensors"),
];

/// Flags that need something besides their example, of one command or of all, and what they are run with. Nothing is run for
/// those that exclude what the command needs, or need a GPU, a network, a stream, or a file with several tables.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("", "--device", ""),
    ("", "--model", ""),
    ("", "--positions", ""),
    ("", "--quiet", ""),
    ("", "--verbose", ""),
    ("", "--in", ""),
    ("", "--data", ""),
    ("", "--null", "--files-from names.zero --null"),
    ("", "--shard-by", "--shard 0/2 --shard-by archive"),
    ("", "--neutral", "--score independent --neutral neutral.txt"),
    ("", "--compare", "--compare nano"),
    ("", "--compare-no-stretch", "--compare nano --compare-no-stretch"),
    ("classify", "--embeddings", "--format ndjson --embeddings"),
    ("sort", "--into", ""),
    ("sort", "--move", ""),
    ("sort", "--copy", ""),
    ("sort", "--link", ""),
    ("sort", "--undo", ""),
    ("tag", "--dry-run", "--write xmp --dry-run"),
    ("eval zeroshot", "--labels", "--labels cat dog"),
    ("eval zeroshot", "--label", "--label cat --label dog"),
    ("eval zeroshot", "--labels-file", "--labels-file my-keywords.txt"),
    // Its one image is not in the first of eight shards.
    ("search build", "--shard", "--shard 0/1"),
    ("search build", "--output", ""),
    ("bench", "--rounds", ""),
];

/// A command's flags, each with the first example in its text.
fn flags(desk: &Desk, command: &str) -> Vec<(String, Option<String>)> {
    let help = desk.shell(&format!("longclip {command} --help"));
    let help = String::from_utf8(help.stdout).unwrap();
    let mut flags: Vec<(String, String)> = Vec::new();
    for line in help.lines() {
        let words = line.trim_start();
        let is_flag = words.starts_with('-') && line.len() - words.len() < 8;
        match (is_flag, flags.last_mut()) {
            (true, _) => {
                let long = words.split([' ', ',', '[', '=']).find(|word| word.starts_with("--"));
                flags.extend(long.map(|long| (long.to_owned(), String::new())));
            }
            (false, Some((_, text))) => *text += &format!("{words} "),
            (false, None) => {}
        }
    }
    let example = |text: &str| Some(text.split_once("Example: `")?.1.split('`').next()?.to_owned());
    flags.into_iter().map(|(flag, text)| (flag, example(&text))).collect()
}

#[test]
fn each_command_takes_each_flag_of_its_help() {
    let mut refused = Vec::new();
    let mut n_run = 0;
    for (command, needs) in COMMANDS {
        for (flag, example) in flags(&desk(), command) {
            let is_meant = |of: &str| of.is_empty() || of == *command;
            let otherwise = OTHERWISE.iter().find(|(of, other, _)| *other == flag && is_meant(of));
            let words = match otherwise {
                Some((.., "")) => continue,
                Some((.., words)) => (*words).to_owned(),
                None => example.unwrap_or(flag),
            };
            n_run += 1;
            let run = format!("longclip {command} {needs} {words}");
            let output = desk().shell(&format!("{run} -q < /dev/null"));
            if output.status.code().is_none_or(|code| code >= 2) {
                refused.push(format!("$ {run}\n{}", String::from_utf8_lossy(&output.stderr)));
            }
        }
    }
    assert!(
        refused.is_empty(),
        "{} of {n_run} are refused:\n{}",
        refused.len(),
        refused.join("\n")
    );
    assert!(n_run > 200, "{n_run}");
}

/// A folder with what the examples name.
fn desk() -> Desk {
    let mut desk = Desk::with_pictures().and_small_model();
    for folder in [
        "photos",
        "all-photos",
        "scans",
        "classes",
        "classes/cat",
        "classes/dog",
        "val2017",
    ] {
        desk = desk.folder(folder);
    }
    for copy in [
        "photos/cat.jpg",
        "all-photos/cat.jpg",
        "classes/cat/cat.jpg",
        "classes/dog/coffee.jpg",
        "val2017/cat.jpg",
        "val2017/coffee.jpg",
        "like-this.jpg",
        "sofa.jpg",
    ] {
        fs::copy(desk.path("cat.jpg"), desk.path(copy)).unwrap();
    }
    desk.file("names.txt", "cat.jpg\n")
        .file("names.zero", "cat.jpg\0")
        .file("images.ndjson", "{\"path\": \"cat.jpg\"}\n")
        .file("labels.txt", "a cat\na dog\n")
        .file("animals.csv", "label,family\na cat,cats\na dog,dogs\n")
        .file("neutral.txt", "a thing\n")
        .file("captions.txt", "a cat\n")
        .file("queries.txt", "a cat\n")
        .file("my-keywords.txt", "cat\ndog\n")
        .file(
            "pairs.ndjson",
            "{\"path\": \"cat.jpg\", \"text\": \"A cat.\", \"summary\": \"Cat.\", \"split\": \"test\"}\n\
             {\"path\": \"coffee.jpg\", \"text\": \"A cup.\", \"summary\": \"Cup.\", \"split\": \"test\"}\n",
        )
}
