//! Downloads one file into the cache: complete, with the hub's size and hash, or not at all.
//!
//! Bytes are written to `ETAG.incomplete` and hashed on arrival. A broken download is resumed, in this run or in the
//! next; a file with another hash is discarded.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use ureq::http::StatusCode;

use super::cache::RepoCache;
use super::disk::{make_parent, write_error};
use super::http::{Answer, Failure, HubClient, Method, Request, header, network, not_a_hub, permanent, temporary};
use super::integrity::{Hasher, Mark, Verdict, check_cached, hash_file};
use super::{Checksum, FileFacts, Progress};
use crate::error::{Error, Result};

/// Tries in a row without a byte before a download fails.
const MAX_EMPTY_TRIES: u32 = 3;
/// How often a server that ignores `Range` may make a download start again.
const MAX_RESTARTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// A file to fetch.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Where the hub serves it.
    pub(super) url: &'a str,
    /// Its name in the repository.
    pub(super) file: &'a str,
    /// What the hub says of it.
    pub(super) facts: &'a FileFacts,
}

/// Fetches the blob, unless another process has just done so.
pub(super) fn download(
    client: &HubClient<'_>,
    cache: &RepoCache,
    wanted: Wanted<'_>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<()> {
    let blob = cache.blob(wanted.facts);
    let path = cache.incomplete(wanted.facts);
    make_parent(&path)?;
    let _lock = cache.lock(wanted.facts, wanted.file, progress)?;
    let same_size = fs::metadata(&blob).is_ok_and(|meta| meta.len() == wanted.facts.size_bytes);
    if same_size && check_cached(&blob, |_| ())? == Verdict::Sound {
        return Ok(());
    }
    let resumed = Partial::open(&path, wanted.facts)?;
    let began_with = resumed.bytes_done;
    let mut outcome = fill(client, wanted, resumed, progress)?;
    if outcome.is_some() && began_with > 0 {
        // What an earlier run left may be the cause: download all of it, once.
        fs::remove_file(&path).map_err(write_error(&path))?;
        outcome = fill(client, wanted, Partial::open(&path, wanted.facts)?, progress)?;
    }
    if let Some(found) = outcome {
        fs::remove_file(&path).map_err(write_error(&path))?;
        return Err(wrong_hash(wanted, &found));
    }
    fs::rename(&path, &blob).map_err(write_error(&blob))?;
    Mark::of(&blob)?.remember();
    progress(Progress::Finished { file: wanted.file });
    Ok(())
}

/// Downloads what is missing. `Some` is the hash of a complete file that isn't the hub's.
fn fill(
    client: &HubClient<'_>,
    wanted: Wanted<'_>,
    mut partial: Partial,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Option<Checksum>> {
    let mut empty_tries = 0;
    let mut wait = None;
    while partial.bytes_done < wanted.facts.size_bytes {
        let before = partial.bytes_received;
        let failure = match pour(client, wanted, &mut partial, progress) {
            Ok(()) => network(wanted.url, "the connection ended early"),
            Err(failure) if failure.is_temporary => {
                wait = failure.wait;
                *failure.error
            }
            Err(failure) => return Err(*failure.error),
        };
        empty_tries = if partial.bytes_received > before {
            0
        } else {
            empty_tries + 1
        };
        if partial.bytes_done == wanted.facts.size_bytes {
            break;
        }
        if empty_tries == MAX_EMPTY_TRIES || partial.restarts > MAX_RESTARTS {
            return Err(interrupted(wanted, &partial, &failure));
        }
        if empty_tries > 0 {
            thread::sleep(wait.take().unwrap_or(PAUSE * empty_tries));
        }
    }
    partial.finish(wanted.facts)
}

/// Downloads the bytes of one request.
fn pour(
    client: &HubClient<'_>,
    wanted: Wanted<'_>,
    partial: &mut Partial,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), Failure> {
    let range = format!("bytes={}-", partial.bytes_done);
    let mut answer = client.answer(Request {
        method: Method::Get,
        url: wanted.url,
        range: (partial.bytes_done > 0).then_some(range.as_str()),
        wanted: wanted.file,
    })?;
    place(wanted, &answer, partial)?;
    let limit = wanted.facts.size_bytes;
    let mut body = answer.body_mut().with_config().limit(limit.saturating_add(1)).reader();
    let mut buffer = vec![0; 1 << 18];
    while partial.bytes_done < limit {
        progress(Progress::Downloading {
            file: wanted.file,
            bytes_done: partial.bytes_done,
            bytes_total: limit,
        });
        let room = buffer
            .len()
            .min(usize::try_from(limit - partial.bytes_done).unwrap_or(usize::MAX));
        let n = body
            .read(&mut buffer[..room])
            .map_err(|source| temporary(network(wanted.url, &format!("the connection broke ({source})"))))?;
        if n == 0 {
            return Ok(());
        }
        partial.write(&buffer[..n]).map_err(permanent)?;
    }
    Ok(())
}

/// Checks that the answer is the file, and continues where the bytes on disk end.
fn place(wanted: Wanted<'_>, answer: &Answer, partial: &mut Partial) -> Result<(), Failure> {
    let text = |name| header(answer.headers(), name);
    if text("content-type").is_some_and(|kind| kind.starts_with("text/html")) && !wanted.file.ends_with(".html") {
        let problem = "it answers with a web page instead of the file";
        return Err(permanent(not_a_hub(wanted.url, problem.into())));
    }
    if answer.status() == StatusCode::PARTIAL_CONTENT {
        let begins_at = text("content-range")
            .and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok());
        return match begins_at == Some(partial.bytes_done) {
            true => Ok(()),
            false => Err(temporary(network(
                wanted.url,
                "it sends another part of the file than the one asked for",
            ))),
        };
    }
    // The server doesn't know ranges (200), or refuses this one (416): the whole file comes, now or next time.
    if partial.bytes_done > 0 {
        partial.restart().map_err(permanent)?;
    }
    if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        return Err(temporary(network(wanted.url, "it refuses to continue the download")));
    }
    let announced = text("content-length").and_then(|n| n.parse::<u64>().ok());
    match announced {
        Some(n) if n != wanted.facts.size_bytes => Err(permanent(network(
            wanted.url,
            &format!("it sends {n} bytes, but the hub says {}", wanted.facts.size_bytes),
        ))),
        _ => Ok(()),
    }
}

/// A file that is being downloaded.
struct Partial {
    path: PathBuf,
    file: File,
    hasher: Hasher,
    bytes_done: u64,
    /// Everything that came over the network, including what was discarded.
    bytes_received: u64,
    restarts: u32,
    fresh_hasher: Box<dyn Fn() -> Hasher>,
}

impl Partial {
    /// Continues what an earlier run left, unless that is longer than the file.
    fn open(path: &Path, facts: &FileFacts) -> Result<Self> {
        let (etag, size_bytes) = (facts.etag.clone(), facts.size_bytes);
        let fresh_hasher = Box::new(move || Hasher::for_etag(&etag, size_bytes));
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(write_error(path))?;
        let left = file.seek(SeekFrom::End(0)).map_err(write_error(path))?;
        let mut partial = Partial {
            path: path.to_owned(),
            file,
            hasher: fresh_hasher(),
            bytes_done: left,
            bytes_received: 0,
            restarts: 0,
            fresh_hasher,
        };
        if left > facts.size_bytes {
            partial.restart()?;
        } else if left > 0 {
            partial.hasher = hash_file(path, (partial.fresh_hasher)(), |_| ())?;
        }
        Ok(partial)
    }

    fn restart(&mut self) -> Result<()> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .map_err(write_error(&self.path))?;
        self.hasher = (self.fresh_hasher)();
        self.bytes_done = 0;
        self.restarts += 1;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(write_error(&self.path))?;
        self.hasher.update(bytes);
        self.bytes_done += bytes.len() as u64;
        self.bytes_received += bytes.len() as u64;
        Ok(())
    }

    /// `None` if the bytes are the hub's, else their hash.
    fn finish(self, facts: &FileFacts) -> Result<Option<Checksum>> {
        self.file.sync_all().map_err(write_error(&self.path))?;
        let found = self.hasher.finish();
        Ok(found.filter(|found| Some(found) != Checksum::from_etag(&facts.etag).as_ref()))
    }
}

fn interrupted(wanted: Wanted<'_>, partial: &Partial, last: &Error) -> Error {
    let why = match last {
        Error::Network { problem, .. } => problem.clone(),
        other => other.to_string(),
    };
    Error::Network {
        url: wanted.url.to_owned(),
        problem: format!(
            "{why} after {} of {} bytes",
            partial.bytes_done, wanted.facts.size_bytes
        ),
        hint: Some("what has arrived is kept: run the same command again to continue".into()),
    }
}

fn wrong_hash(wanted: Wanted<'_>, found: &Checksum) -> Error {
    Error::Network {
        url: wanted.url.to_owned(),
        problem: format!(
            "the bytes that arrived have the {} {}, but the hub says {}; they were discarded",
            found.kind(),
            found.hex(),
            wanted.facts.etag
        ),
        hint: Some("try again; if it happens again, a mirror (HF_ENDPOINT) or a proxy changes files on the way".into()),
    }
}
