use std::fs;

use super::*;

const RECORDS: [(&str, [u8; 4]); 2] = [("a", [1, 2, 3, 4]), ("b", [5, 6, 7, 8])];

fn open(path: &Path) -> Result<Store> {
    Store::open(path, "numbers", &7, |origin| match origin {
        7 => Ok(()),
        other => Err(Error::usage(format!("made by {other}"), "")),
    })
}

fn shared(path: &Path) -> Store {
    Store::shared(path, "numbers", &7).unwrap()
}

/// Adds those of the two records that are missing.
fn complete(store: &mut Store) {
    for (key, value) in RECORDS {
        if store.value(key.as_bytes()).is_none() {
            store.add(key.as_bytes(), &value);
        }
    }
    store.flush().unwrap();
}

fn has_both(store: &Store) -> bool {
    RECORDS
        .iter()
        .all(|(key, value)| store.value(key.as_bytes()).is_some_and(|found| found == value))
}

/// A file of two records, and its bytes.
fn two(dir: &tempfile::TempDir) -> (PathBuf, Vec<u8>) {
    let path = dir.path().join("kept");
    complete(&mut open(&path).unwrap());
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

#[test]
fn records_are_found_again_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = two(&dir);
    let store = open(&path).unwrap();
    let mut found = Vec::new();
    store
        .records(|_, key, value| found.push((key.to_vec(), value.to_vec())))
        .unwrap();
    assert_eq!(found, RECORDS.map(|(key, value)| (key.into(), value.to_vec())));
    assert_eq!(store.value(b"c"), None);
}

#[test]
fn whatever_a_kill_left_the_rest_is_added_and_the_file_is_the_same_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (path, whole) = two(&dir);
    for n_bytes in 0..whole.len() {
        fs::write(&path, &whole[..n_bytes]).unwrap();
        complete(&mut open(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), whole, "{n_bytes} bytes were left");
        fs::write(&path, &whole[..n_bytes]).unwrap();
        complete(&mut shared(&path));
        assert_eq!(fs::read(&path).unwrap(), whole, "{n_bytes} bytes were left");
    }
}

#[test]
fn damage_makes_a_value_absent_and_never_wrong_and_is_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let (path, whole) = two(&dir);
    let damaged = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        fs::write(&path, &bytes).unwrap();
        bytes
    };
    for at in 0..whole.len() {
        let bytes = damaged(at);
        match open(&path) {
            Ok(mut store) => {
                complete(&mut store);
                assert!(has_both(&store), "byte {at}");
                drop(store);
                assert!(has_both(&open(&path).unwrap()), "byte {at}");
            }
            Err(_) => assert_eq!(fs::read(&path).unwrap(), bytes, "what is refused stays: byte {at}"),
        }
        damaged(at);
        complete(&mut shared(&path));
        assert!(has_both(&shared(&path)), "byte {at}");
    }
}

#[test]
fn a_file_of_something_else_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (path, whole) = two(&dir);
    let refused = Store::open(&path, "words", &7, |_| Ok(())).err().unwrap().to_string();
    assert!(refused.ends_with("does not hold words"), "{refused}");
    let refused = Store::open(&path, "numbers", &8, |there: &i32| {
        Err(Error::usage(format!("of {there}"), ""))
    });
    assert_eq!(refused.err().unwrap().to_string(), "of 7");
    assert_eq!(fs::read(&path).unwrap(), whole);
    for diary in ["words", "{\"path\":\"a.jpg\"}\n", "LCSTORE2 and more"] {
        fs::write(&path, diary).unwrap();
        assert!(open(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), diary);
    }
}

#[cfg(feature = "parquet")]
#[test]
fn one_run_at_a_time_has_a_store_and_an_empty_one_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kept");
    let store = open(&path).unwrap();
    let twice = open(&path).err().unwrap().to_string();
    assert!(twice.ends_with("is being written by another run"), "{twice}");
    assert_eq!(store.leave().unwrap(), None);
    assert!(!path.exists());
    two(&dir);
    assert_eq!(open(&path).unwrap().leave().unwrap(), Some(path.clone()));
    open(&path).unwrap().remove().unwrap();
    assert!(!path.exists());
}

#[test]
fn many_runs_share_a_store_and_lose_nothing_of_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kept");
    std::thread::scope(|scope| {
        for i in 0..8u8 {
            let path = &path;
            scope.spawn(move || {
                let mut store = shared(path);
                for j in 0..4 {
                    store.add(b"of all", &[0; 4]);
                    store.add(&[i, j], &[i, j, i, j]);
                    store.flush().unwrap();
                }
            });
        }
    });
    let store = shared(&path);
    assert_eq!(store.value(b"of all"), Some(vec![0; 4]));
    for (i, j) in (0..8).flat_map(|i| (0..4).map(move |j| (i, j))) {
        assert_eq!(store.value(&[i, j]), Some(vec![i, j, i, j]));
    }
    assert_eq!(Store::shared(&path, "numbers", &8).unwrap().value(b"of all"), None);
}
