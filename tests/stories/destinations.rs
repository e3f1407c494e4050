//! Where results go: devices, pipes, links, stdout, and files that two runs or a killed run share.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use crate::fixture::Desk;
use crate::many::{SMALL, arguments, text, with_many};
use crate::overwriting::{WHOLE, classify};
use crate::overwriting_models::convert;

#[cfg(unix)]
#[test]
fn devices_and_pipes_are_written_to_and_not_replaced() {
    use std::os::unix::fs::FileTypeExt;
    let desk = Desk::with_pictures().and_small_model();
    let kind = |path: &Path| fs::symlink_metadata(path).unwrap().file_type();
    std::os::unix::fs::symlink("/dev/null", desk.path("link")).unwrap();
    let embed = |more: &[&'static str]| arguments(&[&["embed", "cat.jpg"], &SMALL, more]);
    for format in [&WHOLE[..], &["ndjson", "csv"]].concat() {
        for place in ["/dev/null", "link"] {
            let run = classify(&["cat.jpg", "-o", place, "-f", format]);
            assert_eq!(
                desk.run(&run),
                "exit code 0\n--- stdout\n--- stderr\n",
                "{format} to {place}"
            );
        }
    }
    assert_eq!(
        desk.output(&embed(&["-o", "/dev/null", "-f", "npy"])).status.code(),
        Some(0)
    );
    assert!(kind(Path::new("/dev/null")).is_char_device() && kind(&desk.path("link")).is_symlink());
    let piped = |run: &str| {
        desk.shell(&format!(
            "mkfifo pipe; cat pipe > got & longclip {run} && wait; rm pipe"
        ))
    };
    for (format, begins) in [
        ("json", "[\n"),
        ("html", "<!doctype"),
        ("parquet", "PAR1"),
        ("csv", "path,"),
    ] {
        piped(&format!(
            "classify cat.jpg -o pipe -f {format} --model small.safetensors --label a --label b -q"
        ));
        assert!(
            fs::read(desk.path("got")).unwrap().starts_with(begins.as_bytes()),
            "{format}"
        );
    }
    piped("embed cat.jpg -o pipe -f npy --model small.safetensors");
    assert!(fs::read(desk.path("got")).unwrap().starts_with(b"\x93NUMPY"));
    let told = desk.run(&classify(&["cat.jpg", "-o", "/dev/null", "-f", "ndjson", "--resume"]));
    assert!(
        told.contains("only a file can be continued, and `/dev/null` is not one"),
        "{told}"
    );
}

#[cfg(unix)]
#[test]
fn links_stay_links_and_replaced_files_keep_their_mode() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::with_pictures().and_small_model();
    for format in [&WHOLE[..], &["ndjson"]].concat() {
        let (out, link) = (format!("real.{format}"), format!("link.{format}"));
        std::os::unix::fs::symlink(&out, desk.path(&link)).unwrap();
        assert_eq!(
            desk.output(&classify(&["cat.jpg", "-o", &link])).status.code(),
            Some(0),
            "{format}"
        );
        assert!(fs::symlink_metadata(desk.path(&link)).unwrap().is_symlink());
        assert!(fs::metadata(desk.path(&out)).unwrap().len() > 0);
        fs::set_permissions(desk.path(&out), fs::Permissions::from_mode(0o640)).unwrap();
        desk.output(&classify(&["cat.jpg", "-o", &link, "--force"]));
        let mode = fs::metadata(desk.path(&out)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "{format}");
    }
}

#[test]
fn a_second_run_to_the_same_file_is_refused_and_a_planted_link_is_ignored() {
    for format in WHOLE {
        let desk = with_many(400).file("victim", "precious");
        let out = format!("out.{format}");
        #[cfg(unix)]
        std::os::unix::fs::symlink("victim", desk.path(&format!("{out}.partial"))).unwrap();
        let run = classify(&["many", "-o", &out, "--batch", "2"]);
        let mut first = desk.command(&run).stderr(Stdio::null()).spawn().unwrap();
        while !desk.path(&format!(".{out}.lock")).exists() {
            assert!(first.try_wait().unwrap().is_none(), "{format}");
            std::thread::yield_now();
        }
        let told = desk.run(&run);
        let said = format!("error: `{out}` is being written by another run");
        assert!(told.starts_with("exit code 2") && told.contains(&said), "{told}");
        assert!(first.wait().unwrap().success());
        assert!(fs::metadata(desk.path(&out)).unwrap().len() > 0);
        assert_eq!(text(&desk, "victim"), "precious");
        assert!(!desk.path(&format!(".{out}.lock")).exists());
    }
}

#[test]
fn a_dash_is_stdout() {
    let desk = Desk::with_pictures().and_small_model();
    for format in ["ndjson", "json"] {
        let to = |place: &[&'static str]| desk.output(&classify(&[&["cat.jpg", "-f", format][..], place].concat()));
        assert_eq!(to(&["-o", "-"]).stdout, to(&[]).stdout);
    }
    assert!(!desk.path("-").exists());
    let output = desk.output(&convert("-"));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(desk.output(&convert("file.safetensors")).status.code(), Some(0));
    assert!(output.stdout == fs::read(desk.path("file.safetensors")).unwrap());
    fs::write(desk.path("again.safetensors"), output.stdout).unwrap();
    let told = desk.output(&["model", "info", "again.safetensors"]);
    assert_eq!(told.status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn a_stderr_that_is_closed_or_full_loses_no_results() {
    let desk = with_many(4).file("many/00002.ppm", "broken");
    let run = |format: &str, stderr: &str| {
        let task = match format {
            "npy" => "embed many",
            _ => "classify many --label a --label b",
        };
        let out = format!("out.{format}");
        let run = format!("longclip {task} -o {out} -f {format} --model small.safetensors --force -v 2>{stderr}");
        let code = desk.shell(&run).status.code();
        (code, fs::read(desk.path(&out)).unwrap_or_default())
    };
    for format in ["ndjson", "parquet", "json", "npy", "html"] {
        let expected = run(format, "/dev/null");
        assert_eq!(expected.0, Some(1), "{format}");
        for stderr in ["&-", "/dev/full"] {
            let found = run(format, stderr);
            assert_eq!(found.0, Some(1), "{format} with stderr {stderr}");
            assert_eq!(found.1.len(), expected.1.len(), "{format} with stderr {stderr}");
        }
    }
    // A reader of stderr that stops early.
    let run = classify(&["many", "-o", "read.json"]);
    let run: Vec<&str> = run.into_iter().filter(|part| *part != "-q").collect();
    let mut child = desk.command(&run).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(desk.path("read.json").exists());
}

#[cfg(unix)]
#[test]
fn temporary_files_of_a_killed_run_are_removed_by_a_later_run() {
    let desk = with_many(400);
    let run = classify(&["many", "-o", "out.json", "--batch", "2"]);
    let is_left = |name: &str| name.starts_with(".out.json.") && name.ends_with(".partial");
    let left = || {
        let names = fs::read_dir(desk.path(".")).unwrap();
        let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.find(|name| is_left(name))
    };
    let mut child = desk.command(&run).stderr(Stdio::null()).spawn().unwrap();
    while left().is_none() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let name = left().unwrap();
    assert!(!desk.path("out.json").exists());
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 3600);
    let file = fs::File::options().write(true).open(desk.path(&name)).unwrap();
    file.set_modified(old).unwrap();
    assert_eq!(desk.output(&run).status.code(), Some(0));
    assert_eq!(left(), None);
    let mut start = [0; 2];
    fs::File::open(desk.path("out.json"))
        .unwrap()
        .read_exact(&mut start)
        .unwrap();
    assert_eq!(&start, b"[\n");
}
