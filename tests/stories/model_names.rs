//! What a model can be called on the command line.

use insta::assert_snapshot;

use crate::fixture::Desk;

const RUN: [&str; 5] = ["classify", "cat.jpg", "--labels", "a cat", "--top-k=1"];

fn with_model(desk: &Desk, name: &str) -> String {
    desk.run(&[&RUN[..], &["--model", name]].concat())
}

#[test]
fn an_unknown_name_lists_what_there_is() {
    let desk = Desk::with_pictures();
    assert_snapshot!(with_model(&desk, "longclip-x").replace(&beside_the_program(), "[PROGRAM]"), @r"
    exit code 2
    --- stdout
    --- stderr
    error: no model `longclip-x`: it is no path, not in `checkpoints` or `[PROGRAM]/checkpoints`, and not one of nano, longclip-b, longclip-l, longclip-b-32, longclip-l-336
    hint: other models are addressed as `owner/repo[@revision][:file]` on the Hugging Face hub
    ");
}

/// The folder of the program, which it looks for checkpoints in too.
fn beside_the_program() -> String {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_longclip"));
    program.parent().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_path_that_isnt_there_is_never_asked_of_the_hub() {
    assert_snapshot!(with_model(&Desk::with_pictures(), "./weights/mine.safetensors"), @r"
    exit code 2
    --- stdout
    --- stderr
    error: no model `./weights/mine.safetensors`: there is no such file or folder
    hint: `longclip model list` shows the models that have names, and where they are
    ");
}

#[test]
fn a_named_model_that_isnt_here_is_an_error_and_never_the_built_in_one() {
    assert_snapshot!(with_model(&Desk::with_pictures(), "longclip-b"), @r"
    exit code 2
    --- stdout
    --- stderr
    error: no model `longclip-b`: it is not in the cache (`[DESK]/.cache/huggingface/hub`), and HF_HUB_OFFLINE forbids to ask the hub
    hint: `longclip model pull longclip-b` fetches it where there is a network; `--model nano` works without
    ");
}

#[test]
fn a_model_can_be_named_by_the_environment() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .variable("LONGCLIP_MODEL", "small.safetensors");
    assert_snapshot!(desk.run(&RUN), @r"
    exit code 0
    --- stdout
    cat.jpg
      100.0 %  a cat
    --- stderr
    ");
    let desk = desk.variable("LONGCLIP_MODEL", "");
    assert!(desk.run(&RUN).contains("note: using `nano`"));
}

#[test]
fn a_file_in_checkpoints_is_found_by_its_name_and_longclip_b_is_the_default() {
    let desk = Desk::with_pictures().folder("checkpoints").and_small_model();
    std::fs::rename(
        desk.path("small.safetensors"),
        desk.path("checkpoints/mine.safetensors"),
    )
    .unwrap();
    assert!(with_model(&desk, "mine").starts_with("exit code 0"));
    std::fs::rename(
        desk.path("checkpoints/mine.safetensors"),
        desk.path("checkpoints/longclip-B.pt"),
    )
    .unwrap();
    // A safetensors file under another ending: what counts is the content, and that it is found.
    let shown = desk.run(&[&RUN[..], &["-v"]].concat());
    assert!(shown.contains("checkpoints/longclip-B.pt"), "{shown}");
}

#[test]
fn verbose_says_which_model_and_what_it_is() {
    let desk = Desk::with_pictures().and_small_model();
    assert_snapshot!(desk.run(&[&RUN[..], &["-v", "--model", "small.safetensors"]].concat()), @r"
    exit code 0
    --- stdout
    cat.jpg
      100.0 %  a cat
    --- stderr
    model small.safetensors: small.safetensors (OpenAI / Long-CLIP), 64 px, 248 tokens, quick-gelu
    ");
}
