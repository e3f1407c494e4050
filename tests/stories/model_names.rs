//! Names of models on the command line.

use insta::assert_snapshot;

use crate::fixture::Desk;

const RUN: [&str; 5] = ["classify", "cat.jpg", "--labels", "a cat", "--top-k=1"];

fn with_model(desk: &Desk, name: &str) -> String {
    desk.run(&[&RUN[..], &["--model", name]].concat())
}

#[test]
fn an_unknown_name_is_an_error_that_lists_known_names() {
    let desk = Desk::with_pictures();
    assert_snapshot!(with_model(&desk, "longclip-x").replace(&folder_of_the_program(), "[PROGRAM]"), @r"
    exit code 2
    --- stdout
    --- stderr
    error: no model `longclip-x`: it is not a path, not in `checkpoints` or `[PROGRAM]/checkpoints`, and not one of nano, longclip-b, longclip-l, longclip-b-32, longclip-l-336, himo-clip-l, fg-clip-base, fg-clip-large, longclip-gmp-l, longclip-sae-l, mobileclip2-l
    hint: did you mean `longclip-l`?
    hint: other models are addressed as `owner/repo[@revision][:file]` on the Hugging Face hub
    ");
}

/// The folder of the program, where it also looks for checkpoints.
fn folder_of_the_program() -> String {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_longclip"));
    program.parent().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_missing_path_is_not_looked_up_on_the_hub() {
    assert_snapshot!(with_model(&Desk::with_pictures(), "./weights/mine.safetensors"), @r"
    exit code 2
    --- stdout
    --- stderr
    error: no model `./weights/mine.safetensors`: there is no such file or folder
    hint: `longclip model list` shows the models that have names, and where they are
    ");
}

#[test]
fn a_known_model_that_is_missing_is_an_error_and_not_replaced_by_nano() {
    assert_snapshot!(with_model(&Desk::with_pictures(), "longclip-b"), @r"
    exit code 2
    --- stdout
    --- stderr
    error: no model `longclip-b`: it is not in the cache (`[DESK]/.cache/huggingface/hub`), and HF_HUB_OFFLINE forbids asking the hub
    hint: `longclip model pull longclip-b` fetches it if there is a network; `--model nano` works without one
    ");
}

#[test]
fn a_download_without_a_network_says_how_the_model_gets_here_without_one() {
    assert_snapshot!(Desk::new().run(&["model", "pull", "longclip-b"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: no model `longclip-b`: it is not in the cache (`[DESK]/.cache/huggingface/hub`), and HF_HUB_OFFLINE forbids asking the hub
    hint: unset HF_HUB_OFFLINE; or run `longclip model pull longclip-b` on another machine, and copy the folder `models--BeichenZhang--LongCLIP-B` of its cache into `[DESK]/.cache/huggingface/hub`; weights that you have already are used by their path
    ");
}

#[test]
fn the_environment_can_name_the_model() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .variable("LONGCLIP_MODEL", "small.safetensors");
    assert_snapshot!(desk.run(&RUN), @r"
    exit code 0
    --- stdout
    cat.jpg
       100.0%  a cat
    --- stderr
    warning: label `a cat` is the only one, so its probability is always 100%; give others, or use `--reject` or `--score independent`
    ");
    let desk = desk.variable("LONGCLIP_MODEL", "");
    assert!(desk.run(&[&RUN[..], &["-v"]].concat()).contains("model nano: "));
}

#[test]
fn files_in_checkpoints_are_found_by_name_and_longclip_b_is_the_default() {
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
    // This is a safetensors file with another extension; the format is detected from the content.
    let shown = desk.run(&[&RUN[..], &["-v"]].concat());
    assert!(shown.contains("checkpoints/longclip-B.pt"), "{shown}");
}

#[test]
fn verbose_describes_the_model() {
    let desk = Desk::with_pictures().and_small_model();
    let shown = desk.run(&[&RUN[..], &["-v", "--model", "small.safetensors"]].concat());
    let model = "model small.safetensors: small.safetensors (OpenAI / Long-CLIP), 64 px, 248 tokens, quick-gelu\n";
    for part in [
        model,
        "\ncomputing on cpu in f32, ",
        " threads; loaded in ",
        "\nlabels encoded in ",
        "\ndecoded in ",
        "\nencoded in ",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}
