//! Files that are not complete models: each is refused, the error says what is wrong, and nothing in it is executed.

use insta::assert_snapshot;

use crate::fixture::Desk;
use crate::recipe::{Config, Positions, Stored, write_safetensors};
use crate::reference::shared;

/// The output of a run with these weights, without the folder of the weights.
fn run_with(desk: &Desk, arguments: &[&str], weights: &str) -> String {
    let shown = desk.run(&[arguments, &["--model", weights]].concat());
    assert!(!desk.path("PWNED").exists(), "{weights} ran a command");
    match weights.rsplit_once('/') {
        Some((folder, _)) => shown.replace(&format!("{folder}/"), ""),
        None => shown,
    }
}

fn refused(desk: &Desk, weights: &str) -> String {
    run_with(desk, &["classify", "cat.jpg", "--labels", "a cat"], weights)
}

#[test]
fn errors_say_what_a_file_is_if_it_is_not_weights() {
    let pickle = b"\x80\x02cposix\nsystem\n(X\x0b\0\0\0touch PWNEDtR.";
    let desk = Desk::with_pictures()
        .file("empty.safetensors", "")
        .file("page.pt", "<!DOCTYPE html><html><body>404</body></html>\n")
        .file(
            "pointer.safetensors",
            "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 599000000\n",
        )
        .file(
            "huge-header.safetensors",
            [&(1u64 << 62).to_le_bytes()[..], b"{}"].concat(),
        )
        .file("runs-code.pt", pickle)
        .folder("nothing-in-it");
    let names = [
        "empty.safetensors",
        "page.pt",
        "pointer.safetensors",
        "huge-header.safetensors",
        "runs-code.pt",
        "./nothing-in-it",
        "cat.jpg",
    ];
    let said: Vec<String> = names.iter().map(|name| refused(&desk, name)).collect();
    assert_snapshot!(said.join("\n"), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `empty.safetensors` is not a safetensors file: found an empty file
    hint: fetch or save the file again, or name another: `longclip model list` shows the models that have names

    exit code 2
    --- stdout
    --- stderr
    error: `page.pt` is not a PyTorch weights file (a state dict saved by `torch.save`, or TorchScript): found a web page: the download failed
    hint: fetch or save the file again, or name another: `longclip model list` shows the models that have names

    exit code 2
    --- stdout
    --- stderr
    error: `pointer.safetensors` is not a safetensors file: found a Git LFS pointer: the weights themselves were not fetched
    hint: fetch or save the file again, or name another: `longclip model list` shows the models that have names

    exit code 2
    --- stdout
    --- stderr
    error: `huge-header.safetensors` is not a safetensors file: found 10 bytes without a valid header
    hint: fetch or save the file again, or name another: `longclip model list` shows the models that have names

    exit code 2
    --- stdout
    --- stderr
    error: `runs-code.pt` is not a PyTorch weights file (a state dict saved by `torch.save`, or TorchScript): found a bare pickle; weights come as the archive that `torch.save` of PyTorch 1.6 or later writes
    hint: fetch or save the file again, or name another: `longclip model list` shows the models that have names

    exit code 2
    --- stdout
    --- stderr
    error: `nothing-in-it` is not a folder with `model.safetensors`, its index, or one weights file: found no weights file
    hint: fetch or save the file again, or name another: `longclip model list` shows the models that have names

    exit code 2
    --- stdout
    --- stderr
    error: `cat.jpg` is not a safetensors file: found 50163 bytes without a valid header
    hint: fetch or save the file again, or name another: `longclip model list` shows the models that have names
    ");
}

#[test]
fn a_truncated_file_is_refused() {
    let desk = Desk::with_pictures().and_small_model();
    let whole = std::fs::read(desk.path("small.safetensors")).unwrap();
    let desk = desk.file("cut.safetensors", &whole[..whole.len() * 2 / 3]);
    assert_snapshot!(refused(&desk, "cut.safetensors"), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `cut.safetensors` is not a safetensors file: found 5076168 bytes, which is not what its header says: cut short or damaged
    hint: fetch or save the file again, or name another: `longclip model list` shows the models that have names
    ");
}

/// Writes a model in which a weight of a tower's last norm is NaN.
fn with_nan(desk: &Desk, tensor: &str) {
    let path = desk.path("nan.safetensors");
    write_safetensors(&path, &Config::SMALL, Positions::Long, Stored::F32).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let header_len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header_len]).unwrap();
    let start = 8 + header_len + header[tensor]["data_offsets"][0].as_u64().unwrap() as usize;
    bytes[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn nan_in_the_weights_of_either_tower_is_an_error() {
    let desk = Desk::with_pictures();
    with_nan(&desk, "ln_final.bias");
    assert_snapshot!(refused(&desk, "nan.safetensors"), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `nan.safetensors` does not hold a whole CLIP (OpenAI / Long-CLIP layout): `ln_final.bias` has NaN at element 0; a finite number is expected
    hint: the file is damaged, or its training failed: fetch or save it again
    ");
    with_nan(&desk, "visual.ln_post.bias");
    assert_snapshot!(refused(&desk, "nan.safetensors"), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `nan.safetensors` does not hold a whole CLIP (OpenAI / Long-CLIP layout): `visual.ln_post.bias` has NaN at element 0; a finite number is expected
    hint: the file is damaged, or its training failed: fetch or save it again
    ");
    assert_snapshot!(run_with(&desk, &["embed", "cat.jpg"], "nan.safetensors"), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `nan.safetensors` does not hold a whole CLIP (OpenAI / Long-CLIP layout): `visual.ln_post.bias` has NaN at element 0; a finite number is expected
    hint: the file is damaged, or its training failed: fetch or save it again
    ");
}

#[test]
fn every_bad_file_of_the_reference_is_refused_with_a_reason() {
    let Some(folder) = shared("model-tiny/bad") else {
        println!("skipped: needs ../shared/reference");
        return;
    };
    let desk = Desk::with_pictures();
    let mut said = Vec::new();
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    for name in names {
        let path = folder.join(&name);
        let shown = refused(&desk, path.to_str().unwrap());
        assert!(
            shown.starts_with("exit code 2\n--- stdout\n--- stderr\nerror: "),
            "{shown}"
        );
        assert!(shown.contains(name.to_str().unwrap()), "{shown}");
        said.push(shown.replace("exit code 2\n--- stdout\n--- stderr\n", ""));
    }
    assert_snapshot!(said.join("\n"), @r#"
    error: `empty.safetensors` is not a safetensors file: found an empty file
    hint: fetch or save the file again, or name another: `longclip model list` shows the models that have names

    error: `extra-tensor.safetensors` does not hold a whole CLIP (OpenAI / Long-CLIP layout): 1 not a CLIP's: `visual.transformer.resblocks.1.adapter.weight`
    hint: these change what the model computes, so they can't be ignored: use a file of a CLIP without them

    error: `html-instead-of-weights.pt` is not a PyTorch weights file (a state dict saved by `torch.save`, or TorchScript): found a web page: the download failed
    hint: fetch or save the file again, or name another: `longclip model list` shows the models that have names

    error: `huge-header.safetensors` is not a safetensors file: found 10 bytes without a valid header
    hint: fetch or save the file again, or name another: `longclip model list` shows the models that have names

    error: `lfs-pointer.safetensors` is not a safetensors file: found a Git LFS pointer: the weights themselves were not fetched
    hint: fetch or save the file again, or name another: `longclip model list` shows the models that have names

    error: `misshapen-tensor.safetensors` does not hold a whole CLIP (OpenAI / Long-CLIP layout): 1 of another shape: `visual.proj`, expected [128, 64], found [64, 64]
    hint: the file mixes models of different sizes: fetch or save it again

    error: `missing-tensor.safetensors` does not hold a whole CLIP (OpenAI / Long-CLIP layout): 1 missing: `visual.transformer.resblocks.1.mlp.c_fc.bias`, expected [512]
    hint: the file is incomplete: fetch or save it again

    error: `nan-weight.safetensors` does not hold a whole CLIP (OpenAI / Long-CLIP layout): `ln_final.bias` has NaN at element 0; a finite number is expected
    hint: the file is damaged, or its training failed: fetch or save it again

    error: `runs-code.pt` holds a Python object that is not weights, `posix.system`; nothing of it was run
    hint: save only the tensors: `torch.save(model.state_dict(), "weights.pt")`, or as safetensors

    error: `text-tower-only.safetensors` does not hold a whole CLIP (Hugging Face layout): no image tower: a CLIP has both a text and an image tower
    hint: only texts can be embedded with this half of a CLIP; for all else use a file with both towers

    error: `truncated.pt` is not a PyTorch weights file (a state dict saved by `torch.save`, or TorchScript): found 1895495 bytes of a zip archive without its end: cut short
    hint: fetch or save the file again, or name another: `longclip model list` shows the models that have names

    error: `truncated.safetensors` is not a safetensors file: found 1886408 bytes, which is not what its header says: cut short or damaged
    hint: fetch or save the file again, or name another: `longclip model list` shows the models that have names

    error: `whole-object.pt` holds a Python object that is not weights, `__main__.Tree`; nothing of it was run
    hint: save only the tensors: `torch.save(model.state_dict(), "weights.pt")`, or as safetensors
    "#);
}

/// Adds a tensor of one number to `small.safetensors`, as `more.safetensors`.
fn with_extra(desk: &Desk, name: &str) {
    let bytes = std::fs::read(desk.path("small.safetensors")).unwrap();
    let header_end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..header_end]).unwrap();
    let len = bytes.len() - header_end;
    header[name] = serde_json::json!({"dtype": "F32", "shape": [1], "data_offsets": [len, len + 4]});
    let header = serde_json::to_vec(&header).unwrap();
    let start = (header.len() as u64).to_le_bytes();
    let more = [&start[..], &header, &bytes[header_end..], &1f32.to_le_bytes()].concat();
    std::fs::write(desk.path("more.safetensors"), more).unwrap();
}

#[test]
fn ignore_surplus_ignores_what_changes_no_number() {
    let desk = Desk::with_pictures().and_small_model();
    with_extra(&desk, "classifier.weight");
    assert_snapshot!(refused(&desk, "more.safetensors"), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `more.safetensors` does not hold a whole CLIP (OpenAI / Long-CLIP layout): 1 not a CLIP's: `classifier.weight`
    hint: if the rest is what you want, ignore these with `--ignore-surplus`
    ");
    let shown = run_with(&desk, &["embed", "cat.jpg", "--ignore-surplus"], "more.safetensors");
    assert!(
        shown.starts_with("exit code 0\n--- stdout\n{\"path\":\"cat.jpg\",\"embedding\":["),
        "{shown}"
    );
    with_extra(&desk, "visual.transformer.resblocks.0.adapter.weight");
    assert_snapshot!(run_with(&desk, &["embed", "cat.jpg", "--ignore-surplus"], "more.safetensors"), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `more.safetensors` does not hold a whole CLIP (OpenAI / Long-CLIP layout): 1 not a CLIP's: `visual.transformer.resblocks.0.adapter.weight`
    hint: these change what the model computes, so they can't be ignored: use a file of a CLIP without them
    ");
}

#[test]
fn errors_name_the_format_of_a_model_that_is_not_read() {
    let xml = "<?xml version=\"1.0\"?>\n<net name=\"clip\" version=\"11\">\n";
    let npz = [&b"PK\x03\x04"[..], &[0; 40], b"PK\x01\x02 weight.npy"].concat();
    let desk = Desk::with_pictures()
        .file("a.onnx", b"\x08\x0a\x12\x07pytorch")
        .file("b.tflite", b"\x1c\0\0\0TFL3")
        .file("c.h5", b"\x89HDF\r\n\x1a\n")
        .file("d.npz", npz)
        .file("e.msgpack", b"\x83\xadlogit_scale")
        .file("f.gguf", b"GGUF\x03\0\0\0")
        .file("g.xml", xml)
        .file("g.bin", [0x3d; 100])
        .file(
            "h.pt2",
            [&b"PK\x03\x04"[..], &[0; 40], b"PK\x01\x02 h/archive_format"].concat(),
        )
        .file("i.bin", b"lmgg\x01\0\0\0")
        .file("j.mlmodel", b"\x08\x09")
        .file("k.engine", b"ftrt")
        .file("l.pb", b"\x0a\x20")
        .folder("exported")
        .file("exported/model.onnx", "x");
    let names = [
        "a.onnx",
        "b.tflite",
        "c.h5",
        "d.npz",
        "e.msgpack",
        "f.gguf",
        "g.xml",
        "g.bin",
        "h.pt2",
        "i.bin",
        "j.mlmodel",
        "k.engine",
        "l.pb",
        "./exported",
    ];
    let said: Vec<String> = names.iter().map(|name| refused(&desk, name)).collect();
    let said = said.join("").replace("exit code 2\n--- stdout\n--- stderr\n", "");
    let hint = "hint: use the safetensors or PyTorch file that it was made from\n";
    assert_eq!(said.matches(hint).count(), names.len(), "{said}");
    assert_snapshot!(said.replace(hint, ""), @r"
    error: cannot use `a.onnx`: it is an ONNX model, which can't be read
    error: cannot use `b.tflite`: it is a TensorFlow Lite model, which can't be read
    error: cannot use `c.h5`: it is an HDF5 file, as Keras and TensorFlow write, which can't be read
    error: cannot use `d.npz`: it is a NumPy file, which can't be read
    error: cannot use `e.msgpack`: it is a msgpack file, as Flax writes, which can't be read
    error: cannot use `f.gguf`: it is a GGUF model, as llama.cpp reads, which can't be read
    error: cannot use `g.xml`: it is an OpenVINO model, which can't be read
    error: cannot use `g.bin`: it is the second file of an OpenVINO model, which can't be read
    error: cannot use `h.pt2`: it is a program of torch.export, which can't be read
    error: cannot use `i.bin`: it is a GGML model, as clip.cpp reads, which can't be read
    error: cannot use `j.mlmodel`: it is a Core ML model, which can't be read
    error: cannot use `k.engine`: it is a TensorRT engine, which can't be read
    error: cannot use `l.pb`: it is a TensorFlow graph, which can't be read
    error: cannot use `exported/model.onnx`: it is an ONNX model, which can't be read
    ");
}

#[test]
fn a_logit_scale_that_is_not_a_logarithm_is_refused() {
    let desk = Desk::with_pictures().and_small_model();
    let whole = std::fs::read(desk.path("small.safetensors")).unwrap();
    let n_header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&whole[8..8 + n_header]).unwrap();
    let start = header["logit_scale"]["data_offsets"][0].as_u64().unwrap() as usize + 8 + n_header;
    let code = |scale: f32, arguments: &[&str]| {
        let mut bytes = whole.clone();
        let stored = match header["logit_scale"]["dtype"].as_str() {
            Some("F16") => half::f16::from_f32(scale).to_le_bytes().to_vec(),
            _ => scale.to_le_bytes().to_vec(),
        };
        bytes[start..start + stored.len()].copy_from_slice(&stored);
        std::fs::write(desk.path("scaled.safetensors"), bytes).unwrap();
        let output = desk.output(arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let classify = [
        "classify",
        "cat.jpg",
        "--labels",
        "a cat",
        "a dog",
        "--model",
        "scaled.safetensors",
    ];
    let verify = ["model", "verify", "./scaled.safetensors"];
    for arguments in [&classify[..], &verify] {
        for scale in [100.0, 10_000.0, 7.0] {
            let (code, stderr) = code(scale, arguments);
            assert!(
                code == Some(2) && stderr.contains("the file may store the factor"),
                "{scale}: {stderr}"
            );
        }
        assert_eq!(code(4.77, arguments).0, Some(0), "SigLIP's");
    }
}
