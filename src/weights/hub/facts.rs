//! What the hub says about a file before it is fetched: its commit, its size and its hash.
//!
//! Read from the headers of `/OWNER/REPO/resolve/REVISION/FILE`. A large file's `X-Linked-Etag` is its sha256; a small
//! one's `ETag` is the sha1 that git gives it. The etag is also the file's name among the cache's blobs.

use std::ops::ControlFlow;

use ureq::http::{HeaderMap, StatusCode};

use super::address::is_commit;
use super::http::{Answer, Failure, HubClient, Method, Request, header, not_a_hub, permanent, url_path};
use super::{FileFacts, HubAddress};
use crate::error::Result;

/// The URL of a file on the hub.
pub(super) fn file_url(client: &HubClient<'_>, address: &HubAddress, file: &str) -> String {
    format!(
        "{}/{}/resolve/{}/{}",
        client.settings.endpoint,
        address.repo(),
        url_path(address.revision()).replace('/', "%2F"),
        url_path(file)
    )
}

/// Asks the hub about `file` of `address`.
pub(super) fn ask(client: &HubClient<'_>, address: &HubAddress, file: &str) -> Result<FileFacts> {
    let url = file_url(client, address, file);
    let wanted = format!("{}:{file}", address.without_file());
    client.patiently(|client| {
        let head = Request {
            method: Method::Head,
            url: &url,
            range: None,
            wanted: &wanted,
        };
        match gather(client, head) {
            // Some mirrors don't support HEAD; the headers of a request for the first byte say the same.
            Err(failure) if failure.status.is_some_and(lacks_head) => gather(
                client,
                Request {
                    method: Method::Get,
                    range: Some("bytes=0-0"),
                    ..head
                },
            ),
            other => other,
        }
    })
}

fn lacks_head(status: StatusCode) -> bool {
    status == StatusCode::METHOD_NOT_ALLOWED || status == StatusCode::NOT_IMPLEMENTED
}

fn gather(client: &HubClient<'_>, request: Request<'_>) -> Result<FileFacts, Failure> {
    let mut seen = Gathered::default();
    let end = client.follow(request, |headers| {
        seen.note_linked(headers);
        // A large file's redirect says everything; its content network need not be asked.
        match seen.etag.is_some() && seen.size_bytes.is_some() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    if let Some(answer) = end {
        seen.note_linked(answer.headers());
        seen.note_own(&answer);
    }
    seen.into_facts(request.url).map_err(permanent)
}

/// What the headers said so far; the first one that states a thing counts.
#[derive(Default)]
struct Gathered {
    commit: Option<String>,
    etag: Option<String>,
    size_bytes: Option<u64>,
    content_type: Option<String>,
}

impl Gathered {
    /// What the hub says about a file that another host serves.
    fn note_linked(&mut self, headers: &HeaderMap) {
        let text = |name| header(headers, name).map(str::to_owned);
        self.commit = self.commit.take().or_else(|| text("x-repo-commit"));
        self.etag = self.etag.take().or_else(|| text("x-linked-etag"));
        self.size_bytes = self.size_bytes.or_else(|| text("x-linked-size")?.parse().ok());
    }

    /// What the last answer says about its own bytes.
    fn note_own(&mut self, answer: &Answer) {
        let text = |name| header(answer.headers(), name).map(str::to_owned);
        let whole_size = match answer.status() {
            StatusCode::PARTIAL_CONTENT => text("content-range").and_then(|r| r.rsplit_once('/')?.1.parse().ok()),
            _ => text("content-length").and_then(|n| n.parse().ok()),
        };
        self.etag = self.etag.take().or_else(|| text("etag"));
        self.size_bytes = self.size_bytes.or(whole_size);
        self.content_type = text("content-type");
    }

    fn into_facts(self, url: &str) -> Result<FileFacts> {
        let commit = self.commit.filter(|commit| is_commit(commit));
        let etag = self.etag.as_deref().and_then(blob_name);
        match (commit, etag, self.size_bytes) {
            (Some(commit), Some(etag), Some(size_bytes)) => Ok(FileFacts {
                commit,
                etag,
                size_bytes,
            }),
            (commit, etag, _) => {
                let lacks = match (commit, etag) {
                    (None, _) => "a commit (`X-Repo-Commit`)",
                    (_, None) => "a usable `ETag`",
                    _ => "a size (`Content-Length`)",
                };
                let what = self
                    .content_type
                    .filter(|t| t.starts_with("text/html"))
                    .map_or("something", |_| "a web page");
                let problem = format!("it answers with {what} that is not a file of a hub: the answer lacks {lacks}");
                Err(not_a_hub(url, problem))
            }
        }
    }
}

/// The etag without quotes and `W/`, if it can be a file name.
fn blob_name(etag: &str) -> Option<String> {
    let name = etag.trim_start_matches("W/").trim_matches('"');
    let safe = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (!name.is_empty() && name.len() <= 128 && name.bytes().all(safe)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_names_a_blob_only_if_it_is_a_plain_word() {
        assert_eq!(blob_name("\"ab-1\"").as_deref(), Some("ab-1"));
        assert_eq!(blob_name("W/\"ab\"").as_deref(), Some("ab"));
        for bad in ["", "\"\"", "\"../x\"", "a/b", "a.b"] {
            assert_eq!(blob_name(bad), None, "{bad}");
        }
    }
}
