//! URLs as inputs: redirects, errors, timeouts and proxies. Each URL keeps its place in the output.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::fixture::{Desk, repository};

/// A web server on 127.0.0.1 whose paths say how it behaves. It records the first line of every request.
struct WebServer {
    host: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl WebServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, notes) = (stream.unwrap(), Arc::clone(&notes));
                // A client that times out closes the connection; this does not fail the test.
                thread::spawn(move || serve(stream, &notes).is_ok());
            }
        });
        WebServer { host, seen }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.host)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, notes: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    lines
        .by_ref()
        .take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty()))
        .for_each(drop);
    notes.lock().unwrap().push(request.clone());
    let path = request.split(' ').nth(1).unwrap_or_default();
    if request.starts_with("CONNECT ") {
        return tunnel(stream, path);
    }
    let picture = std::fs::read(repository().join("img/cat.jpg"))?;
    let mut answer = |head: &str, body: &[u8]| {
        write!(stream, "HTTP/1.1 {head}\r\nConnection: close\r\n\r\n")?;
        stream.write_all(body)
    };
    let length = format!("200 OK\r\nContent-Length: {}", picture.len());
    match path {
        "/cat.jpg" => answer(&length, &picture),
        "/once" => answer("302 Found\r\nLocation: /twice\r\nContent-Length: 0", b""),
        "/twice" => answer("301 Moved\r\nLocation: cat.jpg\r\nContent-Length: 0", b""),
        "/circle" => answer("302 Found\r\nLocation: /circle\r\nContent-Length: 0", b""),
        "/broken" => answer(&length, &picture[..1000]),
        "/vast" => answer("200 OK\r\nContent-Length: 99999999999", b"begins"),
        "/busy" => answer("503 Service Unavailable\r\nContent-Length: 0", b""),
        // Busy at the first request.
        "/later" if notes.lock().unwrap().iter().filter(|seen| **seen == request).count() == 1 => {
            answer("429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0", b"")
        }
        "/later" => answer(&length, &picture),
        "/much-later" => answer("503 Service Unavailable\r\nRetry-After: 3600\r\nContent-Length: 0", b""),
        "/page" => answer("200 OK\r\nContent-Length: 15", b"<html>no</html>"),
        // Sends nothing until the client disconnects.
        "/silent" => stream.read(&mut [0; 1]).map(drop),
        _ => answer("404 Not Found\r\nContent-Length: 4", b"none"),
    }
}

/// Forwards bytes in both directions, as a proxy does.
fn tunnel(mut client: TcpStream, host: &str) -> std::io::Result<()> {
    let mut server = TcpStream::connect(host)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || std::io::copy(&mut from_client, &mut to_server).is_ok());
    std::io::copy(&mut server, &mut client)?;
    client.shutdown(std::net::Shutdown::Both)
}

fn classify(desk: &Desk, inputs: &[&str]) -> Vec<Value> {
    let rest = [
        "--label",
        "a cat",
        "--label",
        "a dog",
        "--model",
        "small.safetensors",
        "--format",
        "ndjson",
        "-q",
    ];
    desk.records(&[&["classify"], inputs, &rest].concat())
}

#[track_caller]
fn check_error(record: &Value, expected: &str) {
    let error = record["error"].as_str().unwrap_or_default();
    assert!(error.contains(expected), "`{expected}` is not in {record}");
}

#[test]
fn follows_redirects_and_failures_keep_their_places() {
    let server = WebServer::start();
    let urls = [
        "once", "gone.jpg", "circle", "cat.jpg", "broken", "vast", "busy", "page",
    ]
    .map(|path| server.url(path));
    let inputs: Vec<&str> = urls.iter().map(String::as_str).chain(["cat.jpg"]).collect();
    let records = classify(&Desk::with_pictures().and_small_model(), &inputs);
    let paths: Vec<&str> = records.iter().map(|record| record["path"].as_str().unwrap()).collect();
    assert_eq!(paths, inputs);
    assert_eq!(
        records[0]["labels"], records[8]["labels"],
        "two redirects, then the image"
    );
    assert_eq!(records[3]["labels"], records[8]["labels"]);
    check_error(&records[1], "there is no such page (HTTP 404)");
    check_error(&records[2], "too many redirects");
    check_error(&records[4], "cannot fetch");
    check_error(&records[5], "more than 1 GiB");
    check_error(&records[6], "HTTP 503");
    check_error(&records[7], "not an image");
}

#[test]
fn a_server_that_sends_nothing_times_out_and_the_rest_continues() {
    let server = WebServer::start();
    let desk = Desk::with_pictures().and_small_model();
    let (silent, there) = (server.url("silent"), server.url("cat.jpg"));
    let records = classify(&desk, &[&silent, &there, "--url-timeout", "1"]);
    check_error(&records[0], "no answer for 1 s");
    check_error(&records[0], "allow more time with `--url-timeout`");
    assert!(records[1]["labels"].is_array());
}

#[test]
fn names_in_lists_and_records_may_be_urls() {
    let server = WebServer::start();
    let url = server.url("cat.jpg");
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("list", format!("{url}\ncat.jpg\n"))
        .file("records", format!("{{\"path\":\"{url}\",\"n\":1}}\n"));
    let records = classify(&desk, &["--files-from", "list", "--ndjson-from", "records"]);
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|record| record["labels"] == records[0]["labels"]));
    assert_eq!(records[2]["n"], 1);
}

#[test]
fn uses_a_proxy_unless_the_host_is_excluded() {
    let (server, proxy) = (WebServer::start(), WebServer::start());
    let url = server.url("cat.jpg");
    let through = |except: &str| {
        let desk = Desk::with_pictures()
            .and_small_model()
            .variable("http_proxy", &format!("http://{}", proxy.host))
            .variable("NO_PROXY", except);
        classify(&desk, &[&url])
    };
    let direct = through("127.0.0.1");
    assert_eq!((server.seen().len(), proxy.seen().len()), (1, 0));
    let proxied = through("");
    assert_eq!(proxy.seen(), [format!("CONNECT {} HTTP/1.1", server.host)]);
    assert_eq!(server.seen().len(), 2);
    assert_eq!(direct, proxied);
}

#[test]
fn a_busy_server_is_asked_again_when_it_says() {
    let server = WebServer::start();
    let urls = ["later", "much-later", "cat.jpg"].map(|path| server.url(path));
    let inputs: Vec<&str> = urls.iter().map(String::as_str).collect();
    let records = classify(&Desk::with_pictures().and_small_model(), &inputs);
    assert_eq!(records[0]["labels"], records[2]["labels"]);
    check_error(&records[1], "HTTP 503");
    let n_asked = |path: &str| server.seen().iter().filter(|seen| seen.contains(path)).count();
    assert_eq!((n_asked("/later"), n_asked("/much-later")), (2, 1));
}

#[test]
fn an_error_names_the_proxy_without_its_password() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .variable("http_proxy", "http://me:secret@127.0.0.1:1");
    let records = classify(&desk, &["http://example.org/a.jpg", "cat.jpg"]);
    check_error(&records[0], "through the proxy `http://127.0.0.1:1`");
    assert!(!records[0].to_string().contains("secret"));
}

#[test]
fn a_failed_tls_handshake_is_an_error_of_its_image() {
    let server = WebServer::start();
    let url = server.url("cat.jpg").replace("http://", "https://");
    let records = classify(&Desk::with_pictures().and_small_model(), &[&url, "cat.jpg"]);
    check_error(&records[0], "cannot fetch `https://");
    assert!(records[1]["labels"].is_array());
}
