//! Runs over many images: progress, interrupts, errors that end them, and memory.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::fixture::Desk;
use crate::many::{LABELS, SMALL, arguments, text, with_many};

#[test]
#[ignore = "takes more than half a minute"]
fn a_long_run_reports_progress_every_half_minute() {
    let desk = with_many(3);
    let run = arguments(&[
        &["classify", "--files-from", "-", "--format", "ndjson"],
        &LABELS,
        &SMALL,
    ]);
    let mut child = desk
        .command(&run)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for (i, pause_s) in [(0, 0), (1, 31), (2, 1)] {
        std::thread::sleep(std::time::Duration::from_secs(pause_s));
        writeln!(stdin, "many/{i:05}.ppm").unwrap();
        // Each input line gives an output line immediately, even if no other input follows.
        assert!(lines.next().unwrap().unwrap().contains(&format!("{i:05}.ppm")));
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        said.lines().filter(|line| line.starts_with("note: 2 done, ")).count(),
        1,
        "{said}"
    );
}

/// The file that a run writes to before it has its name.
fn temporary(desk: &Desk, out: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(desk.path(".")).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths.find(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(&format!(".{out}.")) && name.ends_with(".partial")
    })
}

#[cfg(unix)]
#[test]
fn an_interrupt_completes_records_and_exits_with_130() {
    for ending in ["ndjson", "json"] {
        let desk = with_many(3000);
        let out = format!("out.{ending}");
        let run = arguments(&[&["classify", "many", "--batch", "2", "--output", &out], &LABELS, &SMALL]);
        let growing = || match ending {
            "json" => temporary(&desk, &out),
            _ => Some(desk.path(&out)),
        };
        let mut child = desk.command(&run).stderr(Stdio::piped()).spawn().unwrap();
        while !growing().is_some_and(|path| fs::metadata(path).is_ok_and(|metadata| metadata.len() > 1000)) {
            assert!(child.try_wait().unwrap().is_none());
            std::thread::yield_now();
        }
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
        assert!(said.contains(" done, 0 failed"), "{said}");
        let kept = if ending == "json" { "out.json.partial" } else { &out };
        let kept = text(&desk, kept);
        if ending == "json" {
            assert!(
                said.contains("what was done until now is in `out.json.partial`"),
                "{said}"
            );
            assert!(!serde_json::from_str::<Vec<Value>>(&kept).unwrap().is_empty());
            assert!(
                !desk.path("out.json").exists(),
                "an incomplete file does not have the final name"
            );
        } else {
            assert!(kept.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
            let continued = "; continue with `longclip classify many --batch 2 --output out.ndjson --label 'a cat' --label 'a dog, \
                             asleep' --model small.safetensors --resume`";
            assert!(
                said.contains("note: interrupted after ") && said.contains(" of 3000"),
                "{said}"
            );
            assert!(said.contains(continued), "{said}");
        }
    }
}

#[test]
fn on_error_and_max_errors_end_a_run() {
    let desk = with_many(40);
    for i in [2, 5, 9] {
        fs::write(desk.path(&format!("many/{i:05}.ppm")), "broken").unwrap();
    }
    let records = |more: &[&str]| {
        let run = arguments(&[&["classify", "many", "--format", "ndjson", "-q"], &LABELS, &SMALL, more]);
        let output = desk.output(&run);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stdout).unwrap().lines().count()
    };
    assert_eq!(records(&[]), 40);
    assert_eq!(records(&["--on-error", "fail"]), 3);
    assert_eq!(records(&["--max-errors", "1"]), 6);
    assert_eq!(records(&["--max-errors", "3"]), 40);
    assert_eq!(records(&["--on-error", "fail", "--max-errors", "1"]), 6);
}

/// The peak memory of a run over `n` images, in KiB, as the kernel counts it.
#[cfg(target_os = "linux")]
fn peak_kib(n: usize) -> u64 {
    let desk = with_many(n);
    let run = arguments(&[&["classify", "many", "--output", "out.ndjson", "-q"], &LABELS, &SMALL]);
    let mut child = desk.command(&run).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    while child.try_wait().unwrap().is_none() {
        // The kernel records the peak, so the last value before the end is close to it.
        let peak = fs::read_to_string(&status).unwrap_or_default();
        let line = peak.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak_kib = line.map_or(peak_kib, |line| line.trim().trim_end_matches(" kB").parse().unwrap());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(text(&desk, "out.ndjson").lines().count(), n);
    peak_kib
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes a minute; docs/batch.md quotes it"]
fn memory_of_ten_thousand_images_is_that_of_one_thousand() {
    let (few, many) = (peak_kib(1_000), peak_kib(10_000));
    let ratio = many as f64 / few as f64;
    println!("peak of 1,000: {few} KiB, of 10,000: {many} KiB, ratio {ratio:.3}");
    assert!(ratio <= 1.15);
}
