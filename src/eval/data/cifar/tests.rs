//! Both sets in both forms, whole and damaged.

use std::fs;

use super::super::tests::{names, options};
use super::*;
use crate::labels::LabelList;

/// The pixels that `tests/data/eval/make.py` draws: picture 0 has its column as value, picture 1 its row, and the planes are
/// 0, 50 and 100 above that.
fn pixels(picture: usize) -> Vec<u8> {
    let value = |at: usize| if picture == 0 { at % SIDE } else { at / SIDE } as u8;
    (0..PIXELS)
        .map(|at| value(at % PLANE) + 50 * (at / PLANE) as u8)
        .collect()
}

fn ppm(picture: usize) -> Vec<u8> {
    let planes = pixels(picture);
    let interleaved = (0..PLANE).flat_map(|at| [planes[at], planes[PLANE + at], planes[2 * PLANE + at]]);
    b"P6\n32 32\n255\n".iter().copied().chain(interleaved).collect()
}

/// A batch as `cPickle` of Python 2 writes it, protocol 2: strings of bytes, memos, lists in one go.
fn python_2(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut pickle = b"\x80\x02}q\x01(".to_vec();
    for (key, value) in entries {
        pickle.extend([&[b'U', key.len() as u8][..], key.as_bytes(), b"q\x02", value].concat());
    }
    pickle.extend(b"u.");
    pickle
}

fn numbers(numbers: &[u8]) -> Vec<u8> {
    let items: Vec<u8> = numbers.iter().flat_map(|number| [b'K', *number]).collect();
    [b"]q\x03(", &items[..], b"e"].concat()
}

fn array(n: u8, bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u32).to_le_bytes();
    [
        &b"cnumpy.core.multiarray\n_reconstruct\nq\x04cnumpy\nndarray\nq\x05K\x00\x85U\x01b\x87Rq\x06(K\x01K"[..],
        &[n],
        b"M\x00\x0c\x86cnumpy\ndtype\nq\x07U\x02u1K\x00K\x01\x87Rq\x08(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T",
        &length,
        bytes,
        b"tb",
    ]
    .concat()
}

#[track_caller]
fn check_two(path: &Path, expected: [&str; 2]) {
    let data = DataSet::open(path, &options()).unwrap();
    assert!(data.unusable.is_empty(), "{:?}", data.unusable);
    let found: Vec<Vec<u8>> = data
        .samples
        .iter()
        .map(|sample| sample.picture.item().content.take("it").unwrap())
        .collect();
    assert!(found == [ppm(0), ppm(1)], "the pixels of {}", path.display());
    let resolved = data.resolve(LabelList::default(), &[]).unwrap();
    assert_eq!(names(&resolved), expected);
}

#[test]
fn python_2_writes_batches_and_names() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("cifar-10-batches-py");
    fs::create_dir(&folder).unwrap();
    let both = [pixels(0), pixels(1)].concat();
    let batch = python_2(&[("labels", numbers(&[3, 8])), ("data", array(2, &both))]);
    fs::write(folder.join("test_batch"), batch).unwrap();
    let texts: Vec<u8> = Kind::Ten
        .names()
        .flat_map(|name| [&[b'U', name.len() as u8][..], name.to_uppercase().as_bytes()].concat())
        .collect();
    let meta = python_2(&[("label_names", [b"](", &texts[..], b"e"].concat())]);
    fs::write(folder.join("batches.meta"), meta).unwrap();
    check_two(&folder, ["CAT", "SHIP"]);
    check_two(dir.path(), ["CAT", "SHIP"]);
}

#[test]
fn python_3_writes_them_with_any_protocol() {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/eval");
    for (name, batch, expected) in [
        ("cifar10-protocol-2", "test_batch", ["cat", "ship"]),
        ("cifar10-protocol-4", "test_batch", ["cat", "ship"]),
        ("cifar10-protocol-5", "test_batch", ["cat", "ship"]),
        ("cifar100-bytes-keys", "test", ["worm", "apple"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(made.join(name), dir.path().join(batch)).unwrap();
        check_two(dir.path(), expected);
    }
}

#[test]
fn the_binary_form_is_read_as_a_folder_and_as_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let ten = [&[3][..], &pixels(0), &[8], &pixels(1)].concat();
    fs::write(dir.path().join("test_batch.bin"), &ten).unwrap();
    fs::write(dir.path().join("batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n").unwrap();
    check_two(dir.path(), ["d", "i"]);
    let hundred = [&[13, 99][..], &pixels(0), &[4, 1], &pixels(1)].concat();
    let file = dir.path().join("mine.bin");
    fs::write(&file, &hundred).unwrap();
    check_two(&file, ["worm", "aquarium fish"]);
}

#[test]
fn damage_is_said_with_its_byte_and_the_rest_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("test_batch.bin");
    let whole = [&[3][..], &pixels(0), &[77], &pixels(1), &[1], &pixels(1)].concat();
    fs::write(&file, &whole[..whole.len() - 10]).unwrap();
    fs::write(dir.path().join("batches.meta.txt"), "cat\ndog\n").unwrap();
    let data = DataSet::open(dir.path(), &options()).unwrap();
    assert_eq!(data.samples.len(), 1);
    let said: Vec<String> = data
        .unusable
        .iter()
        .map(|unusable| unusable.error.to_string())
        .collect();
    assert!(
        said[0].ends_with("test_batch.bin picture 1, byte 3073`: its class is 77; there are 10, counted from 0"),
        "{said:?}"
    );
    assert!(
        said[1].contains("ends at byte 9209 in the middle of picture 2, which should have 3073 bytes and has 3063"),
        "{said:?}"
    );
    assert!(
        said[2].contains("batches.meta.txt") && said[2].contains("it names 2 classes"),
        "{said:?}"
    );
}

#[test]
fn a_pickle_of_something_else_is_refused_with_what_it_is() {
    let both = [pixels(0), pixels(1)].concat();
    let cut = python_2(&[("data", array(2, &both))]);
    for (bytes, said) in [
        (
            python_2(&[("data", array(2, &both)), ("labels", numbers(&[1]))]),
            "has 2 pictures, its `labels` 1 classes",
        ),
        (python_2(&[("labels", numbers(&[1]))]), "it has no `data`"),
        (
            python_2(&[("data", array(2, &both)), ("fine_labels", numbers(&[1, 2]))]),
            "it has no `labels`",
        ),
        (
            python_2(&[("data", array(3, &both)), ("labels", numbers(&[1]))]),
            "its `data` is an array of the shape [3, 3072] with 6144 bytes",
        ),
        (cut[..400].to_vec(), "it ends too early, at byte"),
        (
            b"\x80\x02cos\nsystem\nU\x02ls\x85R.".to_vec(),
            "`os.system`; nothing of it was run",
        ),
        (b"words".to_vec(), "not a pickle of protocol 2 or later"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("test_batch"), bytes).unwrap();
        let error = DataSet::open(dir.path(), &options()).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("test_batch"), "{error}");
    }
}
