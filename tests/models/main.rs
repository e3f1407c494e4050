//! Models by name: how names are looked up, and how files are downloaded completely or not at all.
#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test and says where")]

mod commands;
#[path = "../hub_server/mod.rs"]
mod hub_server;
mod sandbox;
#[path = "../short_clip/mod.rs"]
mod short_clip;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use hub_server::{COMMIT, Host, Served, Trouble, git_sha1, sha256};
use longclip::Error;
use longclip::weights::hub::{self, HubAddress, HubSettings, Progress};
use longclip::weights::names::{Found, ModelSource, Places, Resolved, resolve};
use sandbox::Sandbox;

const B: &str = "BeichenZhang/LongCLIP-B/longclip-B.pt";

/// Bytes that are different at every offset, so that a part written at the wrong offset is noticed.
fn weights(n: u32) -> Vec<u8> {
    (0..n).flat_map(u32::to_le_bytes).collect()
}

#[track_caller]
fn path_of(found: &Resolved) -> &Path {
    match &found.source {
        ModelSource::Path(path) => path,
        ModelSource::Nano => panic!("nano was chosen"),
    }
}

#[track_caller]
fn check_error(error: &Error, parts: &[&str]) {
    let text = error.reason(|control| Some(control.to_string()));
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

#[test]
fn downloads_a_known_name_into_the_standard_cache_and_finds_it_there_offline() {
    let bytes = weights(100_000);
    let sandbox = Sandbox::new(&[(B, Served::whole(&bytes))]);
    let first = sandbox.resolve("longclip-b").unwrap();
    assert_eq!(first.found, Found::Downloaded);
    assert_eq!(fs::read(path_of(&first)).unwrap(), bytes);

    let repo = sandbox.repo("models--BeichenZhang--LongCLIP-B");
    assert_eq!(
        path_of(&first),
        repo.join("snapshots").join(COMMIT).join("longclip-B.pt")
    );
    assert_eq!(fs::read_to_string(repo.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(
        fs::canonicalize(path_of(&first)).unwrap(),
        fs::canonicalize(repo.join("blobs").join(sha256(&bytes))).unwrap()
    );

    let asked = sandbox.server.seen().len();
    let second = sandbox.resolve_with("longclip-b", &[("HF_HUB_OFFLINE", "1")]).unwrap();
    assert_eq!((second.found, path_of(&second)), (Found::InCache, path_of(&first)));
    assert_eq!(sandbox.resolve("longclip-b").unwrap().found, Found::InCache);
    let default = resolve(None, &Places::default(), &sandbox.settings(&[]), &mut |_| ()).unwrap();
    assert_eq!((path_of(&default), &default.notice), (path_of(&first), &None));
    assert_eq!(sandbox.server.seen().len(), asked, "only the cache is used");
}

#[test]
fn reports_download_progress_until_it_is_finished() {
    let sandbox = Sandbox::new(&[(B, Served::whole(&weights(300_000)))]);
    let (mut last, mut finished) = (0, 0);
    let address = HubAddress::parse("BeichenZhang/LongCLIP-B:longclip-B.pt").unwrap();
    hub::fetch(&address, &sandbox.settings(&[]), &mut |progress| match progress {
        Progress::Downloading {
            file,
            bytes_done,
            bytes_total,
        } => {
            assert_eq!((file, bytes_total), ("longclip-B.pt", 1_200_000));
            assert!(bytes_done >= last, "{bytes_done} after {last}");
            last = bytes_done;
        }
        Progress::Finished { .. } => finished += 1,
        _ => {}
    })
    .unwrap();
    assert!(last > 0);
    assert_eq!(finished, 1);
}

#[test]
fn resumes_a_broken_connection_where_it_stopped() {
    let bytes = weights(100_000);
    let sandbox = Sandbox::new(&[(B, Served::with(&bytes, Trouble::BreaksOnceAt(123_456)))]);
    let found = sandbox.resolve("longclip-b").unwrap();
    assert_eq!(fs::read(path_of(&found)).unwrap(), bytes);
    let ranges: Vec<_> = sandbox.at_cdn().into_iter().map(|seen| seen.range).collect();
    assert_eq!(ranges, [None, Some("bytes=123456-".to_owned())]);
}

#[test]
fn does_not_use_an_incomplete_download_and_continues_it_next_time() {
    let bytes = weights(100_000);
    let sandbox = Sandbox::new(&[(B, Served::with(&bytes, Trouble::BreaksAlwaysAt(200_000)))]);
    let error = sandbox.resolve("longclip-b").unwrap_err();
    check_error(
        &error,
        &["after 200000 of 400000 bytes", "run the same command again to continue"],
    );
    let incomplete = format!("{}.incomplete", sha256(&bytes));
    assert_eq!(sandbox.blobs("models--BeichenZhang--LongCLIP-B"), [incomplete]);
    let default = resolve(None, &Places::default(), &sandbox.settings(&[]), &mut |_| ()).unwrap();
    assert_eq!(default.source, ModelSource::Nano, "an incomplete model is not used");

    sandbox.server.serve(B, Served::whole(&bytes));
    let found = sandbox.resolve("longclip-b").unwrap();
    assert_eq!(fs::read(path_of(&found)).unwrap(), bytes);
    assert_eq!(sandbox.at_cdn().last().unwrap().range.as_deref(), Some("bytes=200000-"));
    assert_eq!(sandbox.blobs("models--BeichenZhang--LongCLIP-B"), [sha256(&bytes)]);
}

#[test]
fn discards_wrong_partial_downloads_and_starts_again() {
    let bytes = weights(1000);
    let sandbox = Sandbox::new(&[(B, Served::whole(&bytes))]);
    let blobs = sandbox.repo("models--BeichenZhang--LongCLIP-B").join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    for left in [vec![b'x'; 100], vec![b'x'; 4000], vec![b'x'; 5000]] {
        fs::write(blobs.join(format!("{}.incomplete", sha256(&bytes))), left).unwrap();
        let found = sandbox.resolve("longclip-b").unwrap();
        assert_eq!(fs::read(path_of(&found)).unwrap(), bytes);
        fs::remove_file(path_of(&found)).unwrap();
        fs::remove_file(blobs.join(sha256(&bytes))).unwrap();
    }
}

#[test]
fn discards_bytes_with_a_wrong_hash() {
    let bytes = weights(1000);
    let sandbox = Sandbox::new(&[(B, Served::with(&bytes, Trouble::Corrupt))]);
    let error = sandbox.resolve("longclip-b").unwrap_err();
    check_error(
        &error,
        &[
            "sha256",
            &sha256(&bytes),
            &sha256(&[b'?'; 4000]),
            "discarded",
            "HF_ENDPOINT",
        ],
    );
    assert!(sandbox.blobs("models--BeichenZhang--LongCLIP-B").is_empty());
    assert!(sandbox.resolve_with("longclip-b", &[("HF_HUB_OFFLINE", "1")]).is_err());
}

#[test]
fn does_not_use_a_damaged_file_in_the_cache_and_downloads_it_again() {
    let bytes = weights(1000);
    let sandbox = Sandbox::new(&[(B, Served::whole(&bytes))]);
    let path = path_of(&sandbox.resolve("longclip-b").unwrap()).to_owned();
    fs::write(fs::canonicalize(&path).unwrap(), weights(999)).unwrap();
    let error = sandbox
        .resolve_with("longclip-b", &[("HF_HUB_OFFLINE", "1")])
        .unwrap_err();
    check_error(
        &error,
        &["is not the hub's file", &sha256(&bytes), &sha256(&weights(999))],
    );
    assert_eq!(sandbox.resolve("longclip-b").unwrap().found, Found::Downloaded);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn works_with_servers_that_support_neither_ranges_nor_head() {
    let bytes = weights(1000);
    let small = weights(100);
    let sandbox = Sandbox::new(&[
        (B, Served::with(&bytes, Trouble::NoRanges)),
        ("o/r/a.pt", Served::with(&small, Trouble::NoHead)),
    ]);
    let blobs = sandbox.repo("models--BeichenZhang--LongCLIP-B").join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(format!("{}.incomplete", sha256(&bytes))), &bytes[..1000]).unwrap();
    assert_eq!(
        fs::read(path_of(&sandbox.resolve("longclip-b").unwrap())).unwrap(),
        bytes
    );
    assert_eq!(fs::read(path_of(&sandbox.resolve("o/r:a.pt").unwrap())).unwrap(), small);
}

#[test]
fn sends_the_token_to_the_hub_but_not_to_the_content_network() {
    let sandbox = Sandbox::new(&[(B, Served::whole(&weights(1000)))]);
    sandbox
        .resolve_with("longclip-b", &[("HF_TOKEN", "hf_secret")])
        .unwrap();
    for seen in sandbox.server.seen() {
        let expected = (seen.host == Host::Hub).then_some("Bearer hf_secret");
        assert_eq!(seen.authorization.as_deref(), expected, "{seen:?}");
    }
    assert_eq!(sandbox.at_cdn().len(), 1);
}

#[test]
fn follows_renamed_repositories_and_accepts_commits_and_refs_as_revisions() {
    let bytes = weights(1000);
    let sandbox = Sandbox::new(&[
        ("new/r/a.pt", Served::whole(&bytes)),
        ("o/r/sub/a.pt", Served::whole(&weights(2000))),
    ]);
    assert_eq!(
        fs::read(path_of(&sandbox.resolve("old/r:a.pt").unwrap())).unwrap(),
        bytes
    );
    let by_commit = sandbox.resolve(&format!("o/r@{COMMIT}:sub/a.pt")).unwrap();
    assert!(!sandbox.repo("models--o--r/refs").exists(), "a commit needs no ref");
    let by_branch = sandbox.resolve("o/r@refs/pr/1:sub/a.pt").unwrap();
    assert_eq!(path_of(&by_commit), path_of(&by_branch));
    assert_eq!(
        fs::read_to_string(sandbox.repo("models--o--r/refs/refs/pr/1")).unwrap(),
        COMMIT
    );
}

#[test]
fn a_repository_name_without_a_file_means_its_weights_and_config() {
    let config = br#"{"hidden_act":"gelu"}"#;
    let sandbox = Sandbox::new(&[
        ("o/one/README.md", Served::whole(b"# hello")),
        ("o/one/config.json", Served::whole(config)),
        ("o/one/model.safetensors", Served::whole(&weights(1000))),
        ("o/two/a.pt", Served::whole(b"a")),
        ("o/two/b.pt", Served::whole(b"b")),
    ]);
    let found = sandbox.resolve("o/one").unwrap();
    let downloaded = path_of(&found).with_file_name("config.json");
    assert_eq!(fs::read(downloaded).unwrap(), config);
    assert!(sandbox.blobs("models--o--one").contains(&git_sha1(config)));
    assert!(!path_of(&found).with_file_name("README.md").exists());
    assert_eq!(
        sandbox
            .resolve_with("o/one", &[("HF_HUB_OFFLINE", "yes")])
            .unwrap()
            .found,
        Found::InCache
    );
    let named = sandbox.resolve("o/one:model.safetensors").unwrap();
    assert_eq!(path_of(&named), path_of(&found));

    check_error(
        &sandbox.resolve("o/two").unwrap_err(),
        &["several weights files: a.pt, b.pt", "o/two:a.pt"],
    );
}

#[test]
fn a_model_in_shards_is_complete_or_not_used() {
    let index = br#"{"weight_map":{"x":"m-1.safetensors","y":"m-2.safetensors"}}"#;
    let sandbox = Sandbox::new(&[
        ("o/r/model.safetensors.index.json", Served::whole(index)),
        ("o/r/m-1.safetensors", Served::whole(&weights(1000))),
        (
            "o/r/m-2.safetensors",
            Served::with(&weights(2000), Trouble::Status(503, "")),
        ),
    ]);
    check_error(
        &sandbox.resolve("o/r").unwrap_err(),
        &["HTTP 503", "`Control::PullModel(\"o/r\")`", "`Control::Nano`"],
    );
    assert!(sandbox.resolve_with("o/r", &[("HF_HUB_OFFLINE", "1")]).is_err());
    sandbox
        .server
        .serve("o/r/m-2.safetensors", Served::whole(&weights(2000)));
    let found = sandbox.resolve("o/r").unwrap();
    assert!(path_of(&found).join("m-1.safetensors").is_file());
    assert!(path_of(&found).join("m-2.safetensors").is_file());
    assert_eq!(
        sandbox.resolve_with("o/r", &[("HF_HUB_OFFLINE", "1")]).unwrap().source,
        found.source
    );
}

#[test]
fn refusals_say_what_is_missing_and_what_to_do() {
    let small = |code, reason| Served::with(b"x", Trouble::Status(code, reason));
    let sandbox = Sandbox::new(&[
        ("o/gated/a.pt", small(403, "GatedRepo")),
        ("o/private/a.pt", small(401, "")),
        ("o/login/a.pt", Served::with(b"x", Trouble::WebPage)),
        ("o/r/a.pt", Served::whole(b"x")),
    ]);
    for (name, parts) in [
        ("o/gated:a.pt", ["gated", "HTTP 403", "HF_TOKEN"]),
        ("o/private:a.pt", ["private or gated", "HTTP 401", "HF_TOKEN"]),
        ("o/nobody", ["does not exist", "HTTP 401", "HF_TOKEN"]),
        (
            "o/nobody:a.pt",
            ["no such repository", "HTTP 404", "owner/repo[@revision][:file]"],
        ),
        ("o/r@v9:a.pt", ["no such revision", "HTTP 404", "o/r@v9"]),
        ("o/r:b.pt", ["no such file", "HTTP 404", "o/r:b.pt"]),
        ("o/login:a.pt", ["a web page", "X-Repo-Commit", "HF_ENDPOINT"]),
    ] {
        check_error(&sandbox.resolve(name).unwrap_err(), &parts);
    }
    let with_token = sandbox
        .resolve_with("o/private:a.pt", &[("HF_TOKEN", "hf_secret")])
        .unwrap_err();
    check_error(&with_token, &["the token in use may not read it"]);
    assert!(!with_token.to_string().contains("hf_secret"));
}

#[test]
fn without_network_the_error_suggests_the_download_command_and_nano() {
    let sandbox = Sandbox::new(&[]);
    // A port that no one listens on: bound, then released.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = format!("http://{closed}");
    let error = sandbox
        .resolve_with("longclip-b", &[("HF_ENDPOINT", &closed)])
        .unwrap_err();
    check_error(
        &error,
        &[
            "`127.0.0.1` cannot be reached",
            "`Control::PullModel(\"longclip-b\")`",
            "`Control::Nano`",
        ],
    );
    let error = sandbox
        .resolve_with("longclip-b", &[("TRANSFORMERS_OFFLINE", "1")])
        .unwrap_err();
    check_error(
        &error,
        &[
            "`longclip-b`",
            "HF_HUB_OFFLINE",
            "`Control::PullModel(\"longclip-b\")`",
            "`Control::Nano`",
        ],
    );
    assert!(sandbox.server.seen().is_empty());
}

#[test]
fn a_certificate_bundle_must_be_readable_and_contain_certificates() {
    let sandbox = Sandbox::new(&[(B, Served::whole(&weights(1000)))]);
    let bundle = sandbox.dir.path().join("ca.pem");
    let bundle = bundle.to_str().unwrap();
    let resolve = || sandbox.resolve_with("longclip-b", &[("SSL_CERT_FILE", bundle)]);
    check_error(&resolve().unwrap_err(), &["cannot read", bundle]);
    fs::write(bundle, "no certificate").unwrap();
    check_error(&resolve().unwrap_err(), &["holds no certificates", "SSL_CERT_FILE"]);
}

#[test]
fn without_a_home_folder_the_error_names_the_variable_to_set() {
    let nothing = HubSettings::from_lookup(|_| None);
    let error = resolve(Some("longclip-b"), &Places::default(), &nothing, &mut |_| ()).unwrap_err();
    check_error(&error, &["neither HF_HOME nor HOME is set", "set HF_HOME"]);
    let default = resolve(None, &Places::default(), &nothing, &mut |_| ()).unwrap();
    assert_eq!(default.source, ModelSource::Nano);
}

#[test]
fn several_threads_download_a_file_only_once() {
    let bytes = weights(100_000);
    let sandbox = Sandbox::new(&[(B, Served::whole(&bytes))]);
    let paths: Vec<PathBuf> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| sandbox.resolve("longclip-b").unwrap()))
            .collect();
        runs.into_iter()
            .map(|run| path_of(&run.join().unwrap()).to_owned())
            .collect()
    });
    assert!(paths.iter().all(|path| fs::read(path).unwrap() == bytes));
    assert_eq!(sandbox.at_cdn().len(), 1);
}

#[test]
fn downloads_a_new_commit_only_on_refresh() {
    let sandbox = Sandbox::new(&[(B, Served::whole(&weights(1000)))]);
    sandbox.resolve("longclip-b").unwrap();
    sandbox.server.serve(B, Served::whole(&weights(1001)));
    assert_eq!(
        fs::read(path_of(&sandbox.resolve("longclip-b").unwrap())).unwrap(),
        weights(1000)
    );
    let address = HubAddress::parse("BeichenZhang/LongCLIP-B:longclip-B.pt").unwrap();
    let fresh = hub::refresh(&address, &sandbox.settings(&[]), &mut |_| ()).unwrap();
    assert_eq!(fs::read(fresh.path).unwrap(), weights(1001));
}
