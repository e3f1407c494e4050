//! `longclip model list`, `pull`, `info`, `verify` and `convert`, run as commands.

use std::fs::File;
use std::process::Command;

use super::*;
use crate::short_clip::short_clip;

/// Runs `longclip ARGS` in a folder, with only these environment variables. Returns exit code, stdout and stderr.
fn longclip(dir: &Path, variables: &[(&str, &str)], args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_longclip"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

impl Sandbox {
    fn longclip(&self, args: &[&str]) -> (i32, String, String) {
        let endpoint = self.server.endpoint();
        let home = self.dir.path().to_str().unwrap();
        longclip(self.dir.path(), &[("HF_HOME", home), ("HF_ENDPOINT", &endpoint)], args)
    }

    /// Writes the built-in model's file into `checkpoints`.
    fn put_checkpoint(&self, file: &str) -> PathBuf {
        let path = self.dir.path().join("checkpoints").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, longclip::nano::safetensors()).unwrap();
        path
    }
}

#[test]
fn pull_prints_path_size_and_sha256() {
    let bytes = weights(5000);
    let sandbox = Sandbox::new(&[(B, Served::whole(&bytes))]);
    let (code, stdout, stderr) = sandbox.longclip(&["model", "pull", "longclip-b"]);
    assert_eq!(code, 0, "{stderr}");
    let path = sandbox
        .repo("models--BeichenZhang--LongCLIP-B/snapshots")
        .join(COMMIT)
        .join("longclip-B.pt");
    let expected = format!(
        "path    {}\nsize    20000 bytes\nsha256  {}\n",
        path.display(),
        sha256(&bytes)
    );
    assert_eq!(stdout, expected);
    assert_eq!(stderr, "note: downloading `longclip-B.pt` (20 kB)\n");

    let (code, again, stderr) = sandbox.longclip(&["model", "pull", "longclip-b", "--format", "json"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "nothing is downloaded twice");
    let json: serde_json::Value = serde_json::from_str(&again).unwrap();
    assert_eq!(json["files"][0]["sha256"], sha256(&bytes));
}

#[test]
fn pull_without_network_uses_the_cache_or_fails_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().to_str().unwrap().to_owned();
    let offline = [("HF_HOME", home.as_str()), ("HF_HUB_OFFLINE", "1")];
    let (code, stdout, stderr) = longclip(dir.path(), &offline, &["model", "pull", "longclip-b"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    for part in [
        "no model `longclip-b`",
        "HF_HUB_OFFLINE",
        "longclip model pull longclip-b",
        "models--BeichenZhang--LongCLIP-B",
    ] {
        assert!(stderr.contains(part), "{stderr}");
    }

    let sandbox = Sandbox::new(&[(B, Served::whole(&weights(5000)))]);
    sandbox.longclip(&["model", "pull", "longclip-b"]);
    let home = sandbox.dir.path().to_str().unwrap();
    let (code, stdout, stderr) = longclip(
        sandbox.dir.path(),
        &[("HF_HOME", home), ("HF_HUB_OFFLINE", "1")],
        &["model", "pull", "longclip-b"],
    );
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stdout.contains("longclip-B.pt") && stderr.contains("the hub was not asked"),
        "{stdout}{stderr}"
    );
}

#[test]
fn list_shows_every_model_and_where_it_is() {
    let sandbox = Sandbox::new(&[("BeichenZhang/LongCLIP-L/longclip-L.pt", Served::whole(&weights(5000)))]);
    sandbox.put_checkpoint("longclip-B.pt");
    sandbox.put_checkpoint("mine.safetensors");
    sandbox.longclip(&["model", "pull", "longclip-l"]);
    let (code, stdout, _) = sandbox.longclip(&["model", "list", "--format", "json"]);
    assert_eq!(code, 0);
    let list: Vec<serde_json::Value> = serde_json::from_str(&stdout).unwrap();
    let places: Vec<_> = list
        .iter()
        .map(|e| (e["name"].as_str().unwrap(), e["place"].as_str().unwrap()))
        .collect();
    assert_eq!(
        places,
        [
            ("nano", "built-in"),
            ("longclip-b", "checkpoints"),
            ("longclip-l", "cache"),
            ("longclip-b-32", "not here"),
            ("longclip-l-336", "not here"),
            ("himo-clip-l", "not here"),
            ("fg-clip-base", "not here"),
            ("fg-clip-large", "not here"),
            ("longclip-gmp-l", "not here"),
            ("longclip-sae-l", "not here"),
            ("mobileclip2-l", "not here"),
            ("mine", "checkpoints"),
        ]
    );
    assert_eq!(list[2]["size_bytes"], 20_000);
    assert_eq!(list.iter().filter(|e| e["default"] == true).count(), 1);
    assert_eq!(list[1]["default"], true);

    let (code, table, stderr) = sandbox.longclip(&["model", "list"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(
        table.contains("BeichenZhang/LongCLIP-L-336px:longclip-L@336px.pt"),
        "{table}"
    );
}

#[test]
fn info_reads_sizes_from_the_tensors() {
    let sandbox = Sandbox::new(&[]);
    let path = sandbox.put_checkpoint("mine.safetensors");
    let json = |model: &str| -> serde_json::Value {
        let (code, stdout, stderr) = sandbox.longclip(&["model", "info", model, "--format", "json"]);
        assert_eq!(code, 0, "{stderr}");
        serde_json::from_str(&stdout).unwrap()
    };
    let nano = json("nano");
    assert_eq!(nano["context_length"], 248);
    assert_eq!(nano["positions"]["stored_rows"], 248);
    assert_eq!(nano["positions"]["residual_table"], true);
    assert_eq!(nano["positions"]["stretched"], false);
    assert_eq!(nano["activation"], "quick-gelu");
    assert_eq!(nano["files"], serde_json::json!([]));
    let base = sandbox.dir.path().join("base.safetensors");
    fs::write(&base, short_clip(longclip::nano::safetensors())).unwrap();
    let base = json(base.to_str().unwrap());
    assert_eq!(base["context_length"], 248);
    assert_eq!(base["positions"]["stored_rows"], 77);
    assert_eq!(base["positions"]["stretched"], true);
    let parameters = &nano["parameters"];
    let towers = parameters["image"].as_u64().unwrap() + parameters["text"].as_u64().unwrap();
    assert_eq!(parameters["total"].as_u64().unwrap(), towers + 1);

    let mine = json("mine");
    assert_eq!(mine["parameters"], nano["parameters"]);
    assert_eq!(mine["files"][0]["sha256"], sha256(longclip::nano::safetensors()));
    assert_eq!(
        mine["files"][0]["path"],
        Path::new("checkpoints").join("mine.safetensors").to_str().unwrap()
    );
    assert_eq!(json(path.to_str().unwrap())["name"], path.to_str().unwrap());

    let (code, _, stderr) = sandbox.longclip(&["model", "info", "./nothing.pt"]);
    assert_eq!(code, 2);
    assert!(
        stderr.starts_with("error: no model `./nothing.pt`: there is no such file"),
        "{stderr}"
    );
}

#[test]
fn verify_finds_bytes_in_the_cache_that_changed_after_the_download() {
    let nano = longclip::nano::safetensors();
    let sandbox = Sandbox::new(&[("o/r/m.safetensors", Served::whole(nano))]);
    let verify = || sandbox.longclip(&["model", "verify", "o/r"]);
    let (code, stdout, stderr) = verify();
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(
        stdout.contains(&format!("hash     ok           sha256 {}", sha256(nano))),
        "{stdout}"
    );
    assert!(stdout.contains("all finite"), "{stdout}");
    assert!(stdout.contains("outputs  not checked"), "{stdout}");

    // Flip one bit of the last number, and keep the size and modification time of the checked file.
    let blob = sandbox.repo("models--o--r/blobs").join(sha256(nano));
    let time = fs::metadata(&blob).unwrap().modified().unwrap();
    let mut bytes = nano.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&blob, &bytes).unwrap();
    File::options()
        .write(true)
        .open(&blob)
        .unwrap()
        .set_modified(time)
        .unwrap();
    let (code, stdout, _) = verify();
    assert_eq!(code, 2);
    assert!(
        stdout.contains("hash     FAILED") && stdout.contains(&sha256(&bytes)),
        "{stdout}"
    );
}

#[test]
fn verify_compares_a_manually_placed_file_with_the_hubs_hash() {
    let Ok(tiny) = fs::read("../shared/reference/model-tiny/longclip.pt") else {
        eprintln!("skipped: needs ../shared/reference");
        return;
    };
    let sandbox = Sandbox::new(&[(B, Served::whole(&tiny))]);
    fs::create_dir(sandbox.dir.path().join("checkpoints")).unwrap();
    fs::write(sandbox.dir.path().join("checkpoints/longclip-B.pt"), &tiny).unwrap();
    let (code, stdout, stderr) = sandbox.longclip(&["model", "verify", "longclip-b"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.contains("is the hub's"), "{stdout}");

    sandbox.server.serve(B, Served::whole(&weights(5000)));
    let (code, stdout, _) = sandbox.longclip(&["model", "verify", "longclip-b"]);
    assert_eq!(code, 2);
    assert!(
        stdout.contains("hash     FAILED") && stdout.contains(&sha256(&weights(5000))),
        "{stdout}"
    );
}

#[test]
fn verify_finds_nan() {
    let sandbox = Sandbox::new(&[]);
    let path = sandbox.put_checkpoint("broken.safetensors");
    // A safetensors file has eight bytes of length, a JSON header with the offsets of each tensor, and the tensors.
    let mut bytes = fs::read(&path).unwrap();
    let header_len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header_len]).unwrap();
    let begin = 8 + header_len + header["visual.proj"]["data_offsets"][0].as_u64().unwrap() as usize;
    assert_eq!(header["visual.proj"]["dtype"], "F16");
    bytes[begin..begin + 2].copy_from_slice(&half::f16::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let (code, stdout, _) = sandbox.longclip(&["model", "verify", "broken", "--format", "json"]);
    assert_eq!(code, 2);
    let checks: Vec<serde_json::Value> = serde_json::from_str(&stdout).unwrap();
    let tensors = checks.iter().find(|check| check["check"] == "tensors").unwrap();
    assert_eq!(tensors["result"], "failed", "{stdout}");
    let detail = tensors["detail"].as_str().unwrap();
    assert!(detail.contains("`visual.proj` has NaN at element 0"), "{detail}");
    assert!(!checks.iter().any(|check| check["check"] == "outputs"), "{stdout}");
}

#[test]
fn convert_writes_loadable_folders_and_does_not_overwrite() {
    let sandbox = Sandbox::new(&[]);
    for (target, weights) in [("hf", "model.safetensors"), ("openclip", "open_clip_model.safetensors")] {
        let convert = || sandbox.longclip(&["model", "convert", "nano", "--to", target, "-o", target]);
        let (code, stdout, stderr) = convert();
        assert_eq!(code, 0, "{stderr}");
        assert!(
            stdout.starts_with(Path::new(target).join(weights).to_str().unwrap()),
            "{stdout}"
        );
        let (code, stdout, stderr) = sandbox.longclip(&["model", "info", target, "--format", "json"]);
        assert_eq!(code, 0, "{stderr}");
        let info: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(info["positions"]["stored_rows"], 248);
        assert!(
            info["towers_from"].as_str().unwrap().ends_with("config.json"),
            "{stdout}"
        );
        let (code, _, stderr) = convert();
        assert_eq!(code, 2);
        assert!(stderr.contains("exists already"), "{stderr}");
    }
}
