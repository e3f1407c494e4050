//! Which model a name stands for.

use super::*;

/// A folder with these files, as the only checkpoints folder, and a hub that may not be asked.
fn places(files: &[&str]) -> (tempfile::TempDir, Places) {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let places = Places {
        checkpoints: vec![dir.path().to_owned()],
        preferred: None,
    };
    (dir, places)
}

fn nowhere() -> HubSettings {
    HubSettings {
        offline: true,
        ..HubSettings::default()
    }
}

fn find(name: Option<&str>, places: &Places) -> Result<Resolved> {
    resolve(name, places, &nowhere(), &mut |_| ())
}

/// The file or folder that a model is read from. Windows and macOS find it by a name with other capital letters too.
fn file_of(source: &ModelSource) -> PathBuf {
    match source {
        ModelSource::Path(path) => path.canonicalize().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_checkpoint(name: &str, file: &str) {
    let (dir, places) = places(&[file, "README.md"]);
    let found = find(Some(name), &places).unwrap();
    let top = file.split('/').next().unwrap();
    assert_eq!(file_of(&found.source), dir.path().join(top).canonicalize().unwrap());
    assert_eq!(found.found, Found::InCheckpoints);
}

#[test]
fn checkpoints_hold_models_under_our_names_and_upstreams() {
    check_checkpoint("longclip-b", "longclip-B.pt");
    check_checkpoint("LongCLIP-B", "longclip-B.pt");
    check_checkpoint("longclip-l-336", "longclip-L@336px.pt");
    check_checkpoint("longclip-b", "longclip-b/model.safetensors");
    check_checkpoint("mine", "mine.safetensors");
}

#[test]
fn a_usual_file_name_is_of_no_known_model() {
    let (_dir, places) = places(&["model.safetensors"]);
    assert!(find(Some("fg-clip-base"), &places).is_err());
    assert_eq!(KnownModel::by_file("model.safetensors"), None);
}

#[test]
fn a_path_comes_before_every_name() {
    let (dir, places) = places(&["a.pt", "folder/readme"]);
    for path in [dir.path().join("a.pt"), dir.path().join("folder")] {
        let found = find(path.to_str(), &places).unwrap();
        assert_eq!((found.source, found.found), (ModelSource::Path(path), Found::AtPath));
    }
}

#[test]
fn without_a_name_it_is_the_preferred_then_longclip_b_then_nano_with_a_word() {
    let (dir, mut with_b) = places(&["longclip-B.pt", "mine.pt"]);
    let b = find(None, &with_b).unwrap();
    let file = dir.path().join("longclip-B.pt").canonicalize().unwrap();
    assert_eq!((file_of(&b.source), b.notice), (file, None));
    with_b.preferred = Some("mine".into());
    assert_eq!(find(None, &with_b).unwrap().name, "mine");
    assert_eq!(find(Some("nano"), &with_b).unwrap().source, ModelSource::Nano);

    let nano = find(None, &places(&[]).1).unwrap();
    assert_eq!(nano.source, ModelSource::Nano);
    assert!(nano.notice.unwrap().to_string().contains("PullModel(\"longclip-b\")"));
}

#[test]
fn a_named_model_that_is_not_here_is_an_error_with_a_way_out() {
    let error = find(Some("longclip-b"), &places(&[]).1).unwrap_err();
    let hint = error.hint().unwrap();
    assert!(
        hint.to_string().contains("PullModel(\"longclip-b\")") && hint.to_string().contains("Nano"),
        "{hint}"
    );
    let error = find(Some("longclip-x"), &places(&[]).1).unwrap_err();
    assert!(error.to_string().contains("longclip-l-336"), "{error}");
    for path in ["./nothing", "dir/nothing.pt", "~/x", "/nothing/here"] {
        let error = find(Some(path), &places(&[]).1).unwrap_err();
        assert!(error.to_string().contains("no such file"), "{error}");
    }
}

#[test]
fn the_built_in_model_has_one_name() {
    assert_eq!(NANO, crate::nano::NAME);
}

#[test]
fn checkpoints_are_looked_for_here_and_beside_the_program() {
    let places = Places::from_lookup(|_| None, Some(Path::new("/opt/longclip/longclip")));
    assert_eq!(
        places.checkpoints,
        [Path::new("checkpoints"), Path::new("/opt/longclip/checkpoints")]
    );
}
