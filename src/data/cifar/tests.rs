//! Both sets in both forms, whole and damaged.

use std::fs;

use super::batch::{PIXELS, PLANE, SIDE};
use super::*;
use crate::data::kind::Purpose;
use crate::data::testing::{check_said, file, fixture, folder, opened, read, refused, said};

/// The pixels that `tests/data/eval/make.py` draws: image 0 has its column as value, image 1 its row, and the planes are
/// 0, 50 and 100 above that.
fn pixels(image: usize) -> Vec<u8> {
    let value = |at: usize| if image == 0 { at % SIDE } else { at / SIDE } as u8;
    (0..PIXELS)
        .map(|at| value(at % PLANE) + 50 * (at / PLANE) as u8)
        .collect()
}

fn ppm(image: usize) -> Vec<u8> {
    let planes = pixels(image);
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
    let (samples, problems) = read(path, Purpose::ZeroShot);
    check_said(&problems, &[]);
    let images: Vec<Vec<u8>> = samples.iter().map(|sample| sample.image.read().unwrap()).collect();
    assert!(images == [ppm(0), ppm(1)], "the pixels of {}", path.display());
    let classes = opened(path, Purpose::ZeroShot).classes;
    let class = |sample: &Sample| match sample.class {
        Some(ClassOf::Index(i)) => classes[i].name.clone(),
        _ => unreachable!("classes are numbered"),
    };
    assert_eq!(samples.iter().map(class).collect::<Vec<_>>(), expected);
}

#[test]
fn python_2_writes_batches_and_names() {
    let (_dir, root) = folder(&["cifar-10-batches-py/readme.html"]);
    let folder = root.join("cifar-10-batches-py");
    let both = [pixels(0), pixels(1)].concat();
    let batch = python_2(&[("labels", numbers(&[3, 8])), ("data", array(2, &both))]);
    fs::write(folder.join("test_batch"), batch).unwrap();
    let texts: Vec<u8> = Ten
        .names()
        .flat_map(|name| [&[b'U', name.len() as u8][..], name.to_uppercase().as_bytes()].concat())
        .collect();
    let meta = python_2(&[("label_names", [b"](", &texts[..], b"e"].concat())]);
    fs::write(folder.join("batches.meta"), meta).unwrap();
    for path in [&folder, &root, &folder.join("test_batch")] {
        check_two(path, ["CAT", "SHIP"]);
    }
}

#[test]
fn python_3_writes_them_with_any_protocol() {
    for (name, batch, expected) in [
        ("cifar10-protocol-2", "test_batch", ["cat", "ship"]),
        ("cifar10-protocol-4", "test_batch", ["cat", "ship"]),
        ("cifar10-protocol-5", "test_batch", ["cat", "ship"]),
        ("cifar100-bytes-keys", "test", ["worm", "apple"]),
    ] {
        let (_dir, root) = folder(&[]);
        fs::copy(fixture("eval").join(name), root.join(batch)).unwrap();
        check_two(&root, expected);
    }
}

#[test]
fn the_binary_form_is_read_as_a_folder_and_as_a_file() {
    let ten = [&[3][..], &pixels(0), &[8], &pixels(1)].concat();
    let (_dir, path) = file("test_batch.bin", ten);
    let root = path.parent().unwrap();
    fs::write(root.join("batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n").unwrap();
    check_two(root, ["d", "i"]);
    let hundred = [&[13, 99][..], &pixels(0), &[4, 1], &pixels(1)].concat();
    let (_dir, path) = file("mine.bin", hundred);
    check_two(&path, ["worm", "aquarium fish"]);
    // Whose split is asked for decides which batches are read.
    let (_dir, path) = file("train.bin", [&[13, 99][..], &pixels(0), &[4, 1], &pixels(1)].concat());
    assert_eq!(
        opened(path.parent().unwrap(), Purpose::Training).source.about(),
        "2 images"
    );
}

#[test]
fn damage_is_reported_with_its_byte_and_the_rest_is_used() {
    let whole = [&[3][..], &pixels(0), &[77], &pixels(1), &[1], &pixels(1)].concat();
    let (_dir, path) = file("test_batch.bin", &whole[..whole.len() - 10]);
    fs::write(path.with_file_name("batches.meta.txt"), "cat\ndog\n").unwrap();
    let data = opened(path.parent().unwrap(), Purpose::ZeroShot);
    assert_eq!(data.source.len(), 1);
    let expected = [
        "test_batch.bin image 1, byte 3073`: its class is 77; there are 10, counted from 0",
        "ends at byte 9209 in the middle of image 2, which should have 3073 bytes and has 3063",
        "batches.meta.txt`: it names 2 classes",
    ];
    check_said(&said(&data.unusable), &expected);
}

#[test]
fn a_pickle_of_something_else_is_refused_with_what_it_is() {
    let both = [pixels(0), pixels(1)].concat();
    let cut = python_2(&[("data", array(2, &both))]);
    for (bytes, expected) in [
        (
            python_2(&[("data", array(2, &both)), ("labels", numbers(&[1]))]),
            "has 2 images, its `labels` 1 classes",
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
        let (_dir, path) = file("test_batch", bytes);
        let (problem, _) = refused(path.parent().unwrap(), Purpose::ZeroShot);
        assert!(
            problem.contains(expected) && problem.contains("test_batch"),
            "{problem}"
        );
    }
}
