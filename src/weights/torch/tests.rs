//! Small archives made here, damaged ones, and the reference's own files if they are present.

use std::path::Path;

use super::specimen::*;
use super::*;
use crate::error::Error;
use crate::random::Random;
use crate::weights::open;
use crate::weights::stored::StoredType;
use crate::weights::wrappers::look_through;

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/reference/model-tiny");

/// Reads an archive of this object and the record of [`six`].
fn load(object: &[u8]) -> Result<TensorFile> {
    read_bytes(archive(
        Zip::Stored,
        &[("data.pkl", &pickled(object)), ("data/0", &six())],
    ))
}

fn read_bytes(bytes: Vec<u8>) -> Result<TensorFile> {
    read(Path::new("w.pt"), Blob::InMemory(bytes.into()))
}

fn values(file: &TensorFile, name: &str) -> Vec<f32> {
    file.read(name, &file.tensors[name]).unwrap().into_owned()
}

#[track_caller]
fn refused(result: Result<TensorFile>) -> String {
    match result {
        Ok(file) => panic!("read {} tensors of a file that is none", file.tensors.len()),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn check_refused(result: Result<TensorFile>, expected: &str) {
    let message = refused(result);
    assert!(message.contains(expected), "`{expected}` is not in: {message}");
}

#[test]
fn views_keep_their_offset_and_strides() {
    let file = load(&dict(&[
        ("whole", view("FloatStorage", 6, 0, &[2, 3], &[3, 1])),
        ("transposed", view("FloatStorage", 6, 0, &[3, 2], &[1, 3])),
        ("last", view("FloatStorage", 6, 5, &[], &[])),
        ("spread", view("FloatStorage", 6, 1, &[3], &[0])),
    ]))
    .unwrap();
    assert_eq!(values(&file, "whole"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(values(&file, "transposed"), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(values(&file, "last"), [6.0]);
    assert_eq!(values(&file, "spread"), [2.0, 2.0, 2.0]);
}

#[test]
fn every_number_type_is_known_by_its_storage() {
    for (storage, expected, n) in [
        ("DoubleStorage", StoredType::F64, 3),
        ("FloatStorage", StoredType::F32, 6),
        ("HalfStorage", StoredType::F16, 12),
        ("BFloat16Storage", StoredType::BF16, 12),
        ("LongStorage", StoredType::I64, 3),
        ("IntStorage", StoredType::I32, 6),
        ("ShortStorage", StoredType::I16, 12),
        ("CharStorage", StoredType::I8, 24),
        ("ByteStorage", StoredType::U8, 24),
        ("BoolStorage", StoredType::Bool, 24),
    ] {
        let fits = load(&dict(&[("t", view(storage, n, 0, &[n], &[1]))])).unwrap();
        assert_eq!(fits.tensors["t"].stored_type(), expected);
        check_refused(
            load(&dict(&[("t", view(storage, n + 1, 0, &[1], &[1]))])),
            "record is shorter",
        );
    }
}

#[test]
fn a_tensor_that_reaches_beyond_its_record_is_refused() {
    let huge = i64::MAX;
    let cases = [
        (0, vec![7], vec![1]),
        (1, vec![6], vec![1]),
        (6, vec![], vec![]),
        (0, vec![2, 2], vec![5, 1]),
        (0, vec![huge, huge], vec![1, 1]),
        (0, vec![2], vec![huge]),
        (huge, vec![2], vec![1]),
        (0, vec![huge], vec![0]),
        (0, vec![0, huge, huge], vec![1, 1, 1]),
    ];
    for (offset, shape, strides) in cases {
        check_refused(
            load(&dict(&[("t", view("FloatStorage", 6, offset, &shape, &strides))])),
            "extends beyond its record",
        );
    }
    for (offset, shape, strides) in [
        (-1, vec![1], vec![1]),
        (0, vec![-1], vec![1]),
        (0, vec![1; 17], vec![1; 17]),
    ] {
        check_refused(
            load(&dict(&[("t", view("FloatStorage", 6, offset, &shape, &strides))])),
            "that no tensor has",
        );
    }
    check_refused(
        load(&dict(&[("t", view("FloatStorage", 6, 0, &[1], &[]))])),
        "a stride too few or too many",
    );
}

#[test]
fn a_training_checkpoint_is_looked_through() {
    let weights = dict(&[("a", view("FloatStorage", 6, 0, &[6], &[1]))]);
    let other = dict(&[("b", view("FloatStorage", 6, 0, &[1], &[1]))]);
    let file = load(&dict(&[
        ("epoch", b"K\x03".to_vec()),
        (
            "args",
            b"cargparse\nNamespace\n)\x81}("
                .to_vec()
                .into_iter()
                .chain(*b"X\x02\0\0\0lrG\0\0\0\0\0\0\0\0ub")
                .collect(),
        ),
        ("ema", other.clone()),
        ("best", b"cnumpy.core.multiarray\nscalar\n)R".to_vec()),
        ("state_dict", weights),
        ("model", other),
    ]))
    .unwrap();
    assert_eq!(file.tensors.keys().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn parameters_are_read_as_their_tensors() {
    let tensor = view("FloatStorage", 6, 0, &[6], &[1]);
    let arguments = tuple(&[tensor, vec![0x88], b"ccollections\nOrderedDict\n)R".to_vec()]);
    let parameter = [b"ctorch._utils\n_rebuild_parameter\n", &arguments[..], b"R"].concat();
    assert_eq!(values(&load(&dict(&[("p", parameter)])).unwrap(), "p").len(), 6);
}

#[test]
fn a_torch_script_module_gives_the_names_of_its_tree() {
    let tensor = view("FloatStorage", 6, 0, &[6], &[1]);
    let object = |attributes: Vec<u8>| [b"c__torch__.net\nTree\n)\x81", &attributes[..], b"b"].concat();
    let inner = object(dict(&[("weight", tensor.clone()), ("training", vec![0x88])]));
    let root = pickled(&object(dict(&[
        ("proj", tensor),
        ("conv1", inner),
        ("vocab_size", int(1000)),
    ])));
    let script: [(&str, &[u8]); 4] = [
        ("data.pkl", &root),
        ("data/0", &six()),
        ("constants.pkl", b"\x80\x02)."),
        ("code/__torch__.py", b""),
    ];
    let file = read_bytes(archive(Zip::Stored, &script)).unwrap();
    assert_eq!(file.format, FileFormat::TorchScript);
    assert_eq!(file.tensors.keys().collect::<Vec<_>>(), ["conv1.weight", "proj"]);
    // Without its code it would be a pickle of whole objects.
    check_refused(read_bytes(archive(Zip::Stored, &script[..2])), "`__torch__.net.Tree`");
}

#[test]
fn a_module_that_contains_itself_is_refused() {
    let root = pickled(b"c__torch__\nT\n)\x81q\0}(X\x01\0\0\0ah\0ub");
    let script: [(&str, &[u8]); 3] = [("data.pkl", &root), ("constants.pkl", b""), ("code/a.py", b"")];
    check_refused(read_bytes(archive(Zip::Stored, &script)), "a tensor whose name has");
}

#[test]
fn whatever_else_a_pickle_names_is_refused_by_name() {
    for (module, name) in [
        ("posix", "system"),
        ("builtins", "eval"),
        ("torch", "load"),
        ("torch.serialization", "load"),
    ] {
        let call = format!("c{module}\n{name}\n").into_bytes();
        let error = load(&dict(&[("x", call.clone())])).err().unwrap();
        assert!(
            matches!(&error, Error::ForeignPickle { global, .. } if *global == format!("{module}.{name}")),
            "{error}"
        );
        let by_stack = [&text(module)[..], &text(name), b"\x93"].concat();
        assert!(matches!(load(&by_stack), Err(Error::ForeignPickle { .. })));
    }
}

#[test]
fn each_kind_of_wrong_file_gets_its_own_message() {
    let empty = pickled(b"}");
    check_refused(read_bytes(vec![]), "found an empty file");
    check_refused(read_bytes(b"<!DOCTYPE html><html>".to_vec()), "found a web page");
    check_refused(
        read_bytes(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec()),
        "PyTorch before 1.6",
    );
    check_refused(read_bytes(b"\x80\x04}.".to_vec()), "a bare pickle");
    check_refused(
        read_bytes(b"PK\x03\x04 and no end".to_vec()),
        "without its end: cut short",
    );
    check_refused(
        read_bytes(archive(Zip::Stored, &[("x", b"")])),
        "without the `data.pkl`",
    );
    check_refused(
        read_bytes(archive(Zip::Stored, &[("data.pkl", &empty), ("byteorder", b"big")])),
        "big-endian",
    );
    check_refused(
        read_bytes(archive(Zip::Deflated, &[("data.pkl", &empty)])),
        "compressed",
    );
    check_refused(load(b"}"), "a dictionary without tensors (it is empty)");
    check_refused(
        load(&dict(&[("epoch", int(3))])),
        "a dictionary without tensors (`epoch`)",
    );
    check_refused(load(b"K\x01"), "something other than a dictionary");
    let no_record = pickled(&dict(&[("t", view("FloatStorage", 6, 0, &[6], &[1]))]));
    check_refused(
        read_bytes(archive(Zip::Stored, &[("data.pkl", &no_record)])),
        "without the record `data/0`",
    );
}

#[test]
fn lengths_that_promise_more_than_there_is_are_refused_at_once() {
    let programs: [&[u8]; 8] = [
        b"X\xff\xff\xff\xffa",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
        b"B\xff\xff\xff\x7f",
        b"}r\xff\xff\xff\xffj\xfe\xff\xff\xff",
        b"\x8a\xff",
        b"t",
        b"(0",
        b"(\x85",
    ];
    for program in programs {
        check_refused(load(program), "a damaged pickle");
    }
    // A million nested tuples: dropping them must not nest as deeply.
    check_refused(
        load(&[b")", &[0x85; 1 << 20][..]].concat()),
        "something other than a dictionary",
    );
    check_refused(load(&vec![b'N'; (1 << 21) + 1]), "steps");
}

#[test]
fn an_archive_in_memory_is_recognised_by_its_content() {
    let file = open::from_bytes("bytes", specimens()[0].clone().into()).unwrap();
    assert_eq!(file.format, FileFormat::TorchPickle);
}

#[test]
fn sizes_and_offsets_of_64_bits_are_read() {
    let object = pickled(&dict(&[("t", view("FloatStorage", 6, 0, &[6], &[1]))]));
    let file = read_bytes(archive(Zip::Stored64, &[("data.pkl", &object), ("data/0", &six())])).unwrap();
    assert_eq!(values(&file, "t"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
}

/// A state dict of two tensors, one transposed, in both widths of sizes, and a TorchScript module of the same.
fn specimens() -> [Vec<u8>; 3] {
    let entries = [
        ("a.weight", view("FloatStorage", 6, 0, &[3, 2], &[1, 3])),
        ("a.bias", view("HalfStorage", 12, 4, &[2, 4], &[4, 1])),
    ];
    let module = [b"c__torch__.net\nTree\n)\x81", &dict(&entries)[..], b"b"].concat();
    let (state_dict, module, numbers) = (pickled(&dict(&entries)), pickled(&module), six());
    let plain: [(&str, &[u8]); 3] = [
        ("data.pkl", &state_dict),
        ("byteorder", b"little"),
        ("data/0", &numbers),
    ];
    let script: [(&str, &[u8]); 4] = [
        ("data.pkl", &module),
        ("data/0", &numbers),
        ("constants.pkl", b""),
        ("code/a.py", b""),
    ];
    [
        archive(Zip::Stored, &plain),
        archive(Zip::Stored64, &plain),
        archive(Zip::Stored, &script),
    ]
}

/// Reads damaged bytes and, where they still make tensors, reads those: neither may panic.
#[track_caller]
fn survives(bytes: Vec<u8>) {
    let len_bytes = bytes.len();
    match read_bytes(bytes) {
        Ok(file) => {
            for (name, tensor) in &file.tensors {
                assert!(tensor.n_elements() <= len_bytes);
                let _ = file.read(name, tensor);
            }
        }
        Err(Error::NotWeights { .. } | Error::ForeignPickle { .. } | Error::Unsupported { .. }) => {}
        Err(other) => panic!("a damaged file is not refused as one: {other}"),
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    for specimen in specimens() {
        for len in 0..specimen.len() {
            refused(read_bytes(specimen[..len].to_vec()));
        }
    }
}

#[test]
fn no_changed_byte_makes_the_reader_panic() {
    for specimen in specimens() {
        for at in 0..specimen.len() {
            for mask in [0x01, 0x08, 0x80, 0xff] {
                let mut bytes = specimen.clone();
                bytes[at] ^= mask;
                survives(bytes);
            }
        }
    }
}

#[test]
fn no_sequence_of_opcodes_makes_the_reader_panic() {
    const OPCODES: &[u8] =
        b"(012qrhjNJKMGXTUBC)]}aeltusRbQc\x80\x81\x85\x86\x87\x88\x8a\x8c\x8d\x8f\x90\x91\x93\x94\x95";
    let mut random = Random::new(1, 0);
    for _ in 0..20_000 {
        let mut program = Vec::new();
        for _ in 0..24 {
            program.push(OPCODES[random.below(OPCODES.len())]);
            program.extend(&[0, 1][..random.below(2)]);
        }
        program.push(b'.');
        let _ = pickle::read(&program, Dialect::TorchScript);
    }
}

/// Whether a `.pt` of the reference holds what its sibling holds, bit for bit; `extra` tensors are TorchScript's own.
#[track_caller]
fn check_same_bits(pt: &str, sibling: &str, format: FileFormat, extra: &[&str]) {
    let folder = Path::new(REFERENCE);
    if !folder.exists() {
        return;
    }
    let (pt, expected) = (
        look_through(open::tensors(&folder.join(pt)).unwrap()),
        open::tensors(&folder.join(sibling)).unwrap(),
    );
    assert_eq!(pt.format, format);
    let names: Vec<_> = pt
        .tensors
        .keys()
        .filter(|name| !extra.contains(&name.as_str()))
        .collect();
    assert_eq!(names, expected.tensors.keys().collect::<Vec<_>>());
    for name in names {
        let (found, wanted) = (&pt.tensors[name], &expected.tensors[name]);
        assert_eq!(found.shape, wanted.shape, "{name}");
        let is_half = found.stored_type == StoredType::F16;
        let (found, mut wanted) = (pt.read(name, found).unwrap(), expected.read(name, wanted).unwrap());
        if is_half {
            // The sibling was written before the rounding; only `logit_scale` isn't exact in f16.
            wanted
                .to_mut()
                .iter_mut()
                .for_each(|v| *v = half::f16::from_f32(*v).to_f32());
        }
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert!(bits(&found) == bits(&wanted), "{name} differs");
    }
}

#[test]
fn the_reference_files_hold_the_same_bits_as_their_siblings() {
    check_same_bits("longclip.pt", "longclip.safetensors", FileFormat::TorchPickle, &[]);
    check_same_bits("longclip-f16.pt", "longclip.safetensors", FileFormat::TorchPickle, &[]);
    check_same_bits(
        "openclip-training.pt",
        "longclip.safetensors",
        FileFormat::TorchPickle,
        &[],
    );
    let sizes = ["context_length", "input_resolution", "vocab_size"];
    check_same_bits(
        "clip77-torchscript.pt",
        "clip77.safetensors",
        FileFormat::TorchScript,
        &sizes,
    );
}

#[test]
fn the_reference_bad_files_are_refused_with_their_reason() {
    let bad = Path::new(REFERENCE).join("bad");
    if !bad.exists() {
        return;
    }
    check_refused(
        open::tensors(&bad.join("runs-code.pt")),
        "not weights, `posix.system`; nothing of it was run",
    );
    check_refused(
        open::tensors(&bad.join("whole-object.pt")),
        "not weights, `__main__.Tree`",
    );
    check_refused(open::tensors(&bad.join("truncated.pt")), "without its end: cut short");
    check_refused(open::tensors(&bad.join("html-instead-of-weights.pt")), "a web page");
    let whole = std::fs::read(Path::new(REFERENCE).join("longclip.pt")).unwrap();
    for len in (0..whole.len()).step_by(whole.len() / 97) {
        refused(read_bytes(whole[..len].to_vec()));
    }
}
