//! A small hub on 127.0.0.1 for tests. It serves the routes that downloads use, and fails in ways that a test chooses.
//!
//! `/api/models/OWNER/REPO/revision/REV` lists files. `/OWNER/REPO/resolve/REV/FILE` answers as huggingface.co does: small
//! files directly, with git's sha1 as `ETag`, and large ones with a redirect to a content network (`/cdn/SHA256`, on another
//! port) and `X-Linked-Etag`, `X-Linked-Size` and `X-Repo-Commit`. It uses one thread per connection and records every
//! request.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The commit of every revision on this hub.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// Files of at least this size are served through the content network.
const LARGE_BYTES: usize = 1000;

/// A file of a repository, and how serving it fails.
#[derive(Clone, Default)]
pub(crate) struct Served {
    pub(crate) bytes: Vec<u8>,
    pub(crate) trouble: Trouble,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Trouble {
    #[default]
    None,
    /// The first connection breaks at this byte of the file; later ones work.
    BreaksOnceAt(usize),
    /// Every connection breaks at this byte of the file.
    BreaksAlwaysAt(usize),
    /// The bytes do not match the hash.
    Corrupt,
    /// Every answer has this status.
    Status(u16, &'static str),
    /// Ranges are ignored: every answer is the whole file.
    NoRanges,
    /// The answer is a login page.
    WebPage,
    /// HEAD requests are not supported.
    NoHead,
}

/// The server that received a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Host {
    Hub,
    ContentNetwork,
}

/// One recorded request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) authorization: Option<String>,
    pub(crate) host: Host,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Served>,
    seen: Vec<Seen>,
    cdn: Option<SocketAddr>,
}

/// A running hub. Its threads end with the test process.
pub(crate) struct HubServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl HubServer {
    /// Serves `files`, named `owner/repo/path`.
    pub(crate) fn start(files: &[(&str, Served)]) -> Self {
        let state = Arc::new(Mutex::new(State {
            files: files
                .iter()
                .map(|(name, file)| ((*name).to_owned(), file.clone()))
                .collect(),
            ..State::default()
        }));
        let address = listen(Arc::clone(&state), Host::Hub);
        let cdn = listen(Arc::clone(&state), Host::ContentNetwork);
        state.lock().unwrap().cdn = Some(cdn);
        HubServer { address, state }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes what is served for a name, for example when a hub recovers.
    pub(crate) fn serve(&self, name: &str, file: Served) {
        self.state.lock().unwrap().files.insert(name.to_owned(), file);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }
}

impl Served {
    pub(crate) fn whole(bytes: &[u8]) -> Self {
        Served {
            bytes: bytes.to_vec(),
            trouble: Trouble::None,
        }
    }

    pub(crate) fn with(bytes: &[u8], trouble: Trouble) -> Self {
        Served {
            bytes: bytes.to_vec(),
            trouble,
        }
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// The hash of a file as a git blob.
pub(crate) fn git_sha1(bytes: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    format!("{:x}", hash.finalize())
}

fn listen(state: Arc<Mutex<State>>, host: Host) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                // In some tests, the client disconnects early.
                let _ = converse(&stream, &state, host);
            });
        }
    });
    address
}

/// Reads one request and answers it; the connection is closed afterwards.
fn converse(mut stream: &TcpStream, state: &Mutex<State>, host: Host) -> std::io::Result<()> {
    let Some(request) = read_request(stream, host)? else {
        return Ok(());
    };
    let answer = {
        let mut state = state.lock().unwrap();
        state.seen.push(request.clone());
        match host {
            Host::Hub => hub_answer(&mut state, &request),
            Host::ContentNetwork => cdn_answer(&mut state, &request),
        }
    };
    let mut head = format!("HTTP/1.1 {}\r\nConnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", answer.announced));
    stream.write_all(head.as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&answer.body)?;
    }
    stream.flush()
}

fn read_request(stream: &TcpStream, host: Host) -> std::io::Result<Option<Seen>> {
    let mut lines = BufReader::new(stream).lines();
    let Some(first) = lines.next().transpose()? else {
        return Ok(None);
    };
    let mut words = first.split(' ').map(str::to_owned);
    let mut seen = Seen {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        range: None,
        authorization: None,
        host,
    };
    for line in lines {
        let line = line?;
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("range") => seen.range = Some(value.trim().to_owned()),
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                seen.authorization = Some(value.trim().to_owned());
            }
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    Ok(Some(seen))
}

struct Answer {
    status: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// The `Content-Length`; a broken connection sends fewer bytes.
    announced: usize,
}

impl Answer {
    fn new(status: &str, body: Vec<u8>) -> Self {
        Answer {
            status: status.to_owned(),
            headers: Vec::new(),
            announced: body.len(),
            body,
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

fn hub_answer(state: &mut State, request: &Seen) -> Answer {
    if let Some(rest) = request.path.strip_prefix("/api/models/") {
        let repo = rest.split("/revision/").next().unwrap_or_default();
        return listing(state, repo);
    }
    // The hub answers the old name of a repository with a relative redirect.
    if let Some(rest) = request.path.strip_prefix("/old/") {
        return Answer::new("307 Temporary Redirect", Vec::new()).with("Location", format!("/new/{rest}"));
    }
    let Some((repo, rest)) = request.path.trim_start_matches('/').split_once("/resolve/") else {
        return Answer::new("404 Not Found", Vec::new());
    };
    let (revision, file) = rest.split_once('/').unwrap_or((rest, ""));
    let known = state.files.keys().any(|name| name.starts_with(&format!("{repo}/")));
    let (false, true) = (!known, ["main", "refs%2Fpr%2F1", COMMIT].contains(&revision)) else {
        let code = if known { "RevisionNotFound" } else { "RepoNotFound" };
        return Answer::new("404 Not Found", Vec::new()).with("X-Error-Code", code);
    };
    match state.files.get(&format!("{repo}/{file}")).cloned() {
        None => Answer::new("404 Not Found", Vec::new()).with("X-Error-Code", "EntryNotFound"),
        Some(served) => file_answer(state, request, served),
    }
}

fn file_answer(state: &mut State, request: &Seen, served: Served) -> Answer {
    let sha = sha256(&served.bytes);
    match served.trouble {
        Trouble::Status(code, reason) => {
            return Answer::new(&format!("{code} No"), Vec::new()).with("X-Error-Code", reason);
        }
        Trouble::WebPage => {
            return Answer::new("200 OK", b"<!doctype html>log in".to_vec()).with("Content-Type", "text/html");
        }
        Trouble::NoHead if request.method == "HEAD" => return Answer::new("501 Not Implemented", Vec::new()),
        _ => {}
    }
    if served.bytes.len() >= LARGE_BYTES {
        let cdn = state.cdn.expect("the content network starts with the hub");
        return Answer::new("302 Found", Vec::new())
            .with("X-Repo-Commit", COMMIT)
            .with("X-Linked-Etag", format!("\"{sha}\""))
            .with("X-Linked-Size", served.bytes.len().to_string())
            .with("Location", format!("http://{cdn}/cdn/{sha}"));
    }
    let etag = format!("\"{}\"", git_sha1(&served.bytes));
    ranged(request, served.bytes)
        .with("X-Repo-Commit", COMMIT)
        .with("ETag", etag)
}

fn cdn_answer(state: &mut State, request: &Seen) -> Answer {
    let wanted = request.path.trim_start_matches("/cdn/");
    let Some(served) = state.files.values_mut().find(|file| sha256(&file.bytes) == wanted) else {
        return Answer::new("404 Not Found", Vec::new());
    };
    let size = served.bytes.len();
    let begin = range_start(request).unwrap_or(0);
    match served.trouble {
        Trouble::BreaksOnceAt(at) => {
            served.trouble = Trouble::None;
            broken(ranged(request, served.bytes.clone()), at.saturating_sub(begin))
        }
        Trouble::BreaksAlwaysAt(at) => broken(ranged(request, served.bytes.clone()), at.saturating_sub(begin)),
        Trouble::Corrupt => ranged(request, vec![b'?'; size]),
        Trouble::NoRanges => Answer::new("200 OK", served.bytes.clone()),
        _ => ranged(request, served.bytes.clone()),
    }
}

fn broken(mut answer: Answer, keep: usize) -> Answer {
    answer.body.truncate(keep);
    answer
}

fn range_start(request: &Seen) -> Option<usize> {
    request
        .range
        .as_deref()?
        .strip_prefix("bytes=")?
        .split('-')
        .next()?
        .parse()
        .ok()
}

/// The whole file, or the part from the start of the range to the end (for `0-0`, one byte).
fn ranged(request: &Seen, bytes: Vec<u8>) -> Answer {
    let size = bytes.len();
    let Some(begin) = range_start(request) else {
        return Answer::new("200 OK", bytes);
    };
    let end = if request.range.as_deref() == Some("bytes=0-0") {
        1
    } else {
        size
    };
    if begin >= end {
        return Answer::new("416 Range Not Satisfiable", Vec::new());
    }
    Answer::new("206 Partial Content", bytes[begin..end].to_vec())
        .with("Content-Range", format!("bytes {begin}-{}/{size}", end - 1))
}

fn listing(state: &State, repo: &str) -> Answer {
    let prefix = format!("{repo}/");
    let names: Vec<&str> = state
        .files
        .keys()
        .filter_map(|name| name.strip_prefix(&prefix))
        .collect();
    if names.is_empty() {
        return Answer::new("401 Unauthorized", Vec::new()).with("X-Error-Code", "RepoNotFound");
    }
    let siblings: Vec<String> = names
        .iter()
        .map(|name| format!("{{\"rfilename\":\"{name}\"}}"))
        .collect();
    let body = format!("{{\"sha\":\"{COMMIT}\",\"siblings\":[{}]}}", siblings.join(","));
    Answer::new("200 OK", body.into_bytes()).with("Content-Type", "application/json")
}
