//! Requests to the hub: which host gets the token, which failures are temporary, and what each one means to the user.
//!
//! Redirects are followed here, not by `ureq`: a file's hash and commit are in the headers of the first answer, and the
//! token must not go to the content network that serves the bytes.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;
use std::time::Duration;

use ureq::http::{HeaderMap, Response, StatusCode, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::retry::{PAUSES, pause_for};
use super::{HubSettings, without_password};
use crate::error::{Error, Result};

/// As many hops as browsers and `ureq` allow, to the nearest ten.
const MAX_REDIRECTS: usize = 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection without a byte for this long is broken; a slow one is not.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// The verb of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Head,
    Get,
}

/// One request to the hub.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: &'a str,
    /// The value of a `Range` header.
    pub(super) range: Option<&'a str>,
    /// What is asked for, for messages: `owner/repo:file`.
    pub(super) wanted: &'a str,
}

/// An answer with a good status, or with 416, which a resumed download can meet.
pub(super) type Answer = Response<Body>;

/// A failed request.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Box<Error>,
    /// Whether the same request may succeed a moment later.
    pub(super) is_temporary: bool,
    /// How long the hub wants to be left alone, if it says so.
    pub(super) wait: Option<Duration>,
    /// The status of the hub's answer, if it answered.
    pub(super) status: Option<StatusCode>,
}

/// Sends requests to one hub.
pub(super) struct HubClient<'a> {
    agent: Agent,
    pub(super) settings: &'a HubSettings,
}

impl<'a> HubClient<'a> {
    /// # Errors
    /// [`Error::Read`] or [`Error::Usage`] if the settings' authorities can't be used.
    pub(super) fn new(settings: &'a HubSettings) -> Result<Self> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(SILENCE_TIMEOUT))
            .timeout_per_read(Some(SILENCE_TIMEOUT))
            .user_agent(concat!("longclip/", env!("CARGO_PKG_VERSION")))
            // Sizes and ranges must be those of the file, not of a compressed form of it.
            .accept_encoding("identity")
            .tls_config(tls(settings.ca_bundle.as_deref())?)
            .build();
        Ok(HubClient {
            agent: config.new_agent(),
            settings,
        })
    }

    /// Asks up to three times, as long as the failure is temporary.
    pub(super) fn patiently<T>(&self, ask: impl Fn(&Self) -> Result<T, Failure>) -> Result<T> {
        for pause in PAUSES {
            match ask(self) {
                Err(failure) if failure.is_temporary => thread::sleep(failure.wait.unwrap_or(pause)),
                other => return other.map_err(|failure| *failure.error),
            }
        }
        ask(self).map_err(|failure| *failure.error)
    }

    /// Follows redirects to the last answer.
    pub(super) fn answer(&self, request: Request<'_>) -> Result<Answer, Failure> {
        let end = self.follow(request, |_| ControlFlow::Continue(()))?;
        end.ok_or_else(|| permanent(network(request.url, "the redirects led nowhere")))
    }

    /// Follows redirects, showing the headers of each to `on_redirect`; `None` if that broke off.
    pub(super) fn follow(
        &self,
        request: Request<'_>,
        mut on_redirect: impl FnMut(&HeaderMap) -> ControlFlow<()>,
    ) -> Result<Option<Answer>, Failure> {
        let mut url = request.url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.one_hop(request, &url)?;
            if !answer.status().is_redirection() {
                return self.judge(request, answer).map(Some);
            }
            if on_redirect(answer.headers()).is_break() {
                return Ok(None);
            }
            url = header(answer.headers(), "location")
                .and_then(|location| join(&url, location))
                .ok_or_else(|| permanent(network(&url, "it redirects without saying where to")))?;
        }
        Err(permanent(network(
            request.url,
            &format!("more than {MAX_REDIRECTS} redirects"),
        )))
    }

    fn one_hop(&self, request: Request<'_>, url: &str) -> Result<Answer, Failure> {
        let mut hop = match request.method {
            Method::Head => self.agent.head(url),
            Method::Get => self.agent.get(url),
        };
        if let Some(range) = request.range {
            hop = hop.header("Range", range);
        }
        if let Some(token) = self
            .settings
            .token
            .as_ref()
            .filter(|_| same_origin(url, &self.settings.endpoint))
        {
            hop = hop.header("Authorization", token.authorization());
        }
        let proxy = self.settings.proxies.for_url(url);
        if let Some(address) = proxy {
            let wrong = format!("the proxy `{}` is not a proxy's address", without_password(address));
            let proxy = ureq::Proxy::new(address).map_err(|_| permanent(network(url, &wrong)))?;
            hop = hop.config().proxy(Some(proxy)).build();
        }
        hop.call().map_err(|source| connection_failure(url, proxy, &source))
    }

    /// Returns good answers; an error says what another one means.
    fn judge(&self, request: Request<'_>, answer: Answer) -> Result<Answer, Failure> {
        let status = answer.status();
        if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok(answer);
        }
        let said = Said::read(&answer);
        let code = status.as_u16();
        let error = match code {
            401 | 403 => self.refusal(request, &said),
            404 => not_found(request, &said),
            _ => network(
                request.url,
                &format!("the hub answers HTTP {code}{}", said.in_its_words()),
            ),
        };
        let wait = pause_for(status, answer.headers(), PAUSES[0]);
        Err(Failure {
            error: error.into(),
            is_temporary: wait.is_some() || matches!(code, 500 | 502 | 504),
            // Without a header, pauses grow from try to try.
            wait: wait.filter(|_| answer.headers().contains_key("retry-after")),
            status: Some(status),
        })
    }

    fn refusal(&self, request: Request<'_>, said: &Said) -> Error {
        let problem = match (said.code.as_str(), &self.settings.token) {
            ("GatedRepo", _) => "it is gated: its terms must be accepted first",
            (_, Some(_)) => "the hub refuses: it does not exist, or the token in use may not read it",
            (_, None) => "the hub refuses: it is private or gated, or does not exist",
        };
        Error::Network {
            url: request.url.to_owned(),
            problem: format!("{problem} (HTTP {}{})", said.status, said.in_its_words()),
            hint: Some(
                "check the name; for a gated or private model accept its terms on its page, then set HF_TOKEN to a token of that account"
                    .into(),
            ),
        }
    }
}

/// The authorities to trust: Mozilla's list, or the user's own.
pub(crate) fn tls(ca_bundle: Option<&Path>) -> Result<TlsConfig> {
    let Some(path) = ca_bundle else {
        return Ok(TlsConfig::default());
    };
    let pem = fs::read(path).map_err(Error::read(path))?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(Error::usage(
            format!("`{}` holds no certificates", path.display()),
            "REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE and SSL_CERT_FILE name a PEM file of authorities; unset them to trust the usual ones",
        ));
    }
    Ok(TlsConfig::builder().root_certs(RootCerts::from(certificates)).build())
}

/// What the hub's own headers say about a refusal.
struct Said {
    status: u16,
    code: String,
    message: String,
}

impl Said {
    fn read(answer: &Answer) -> Self {
        let text = |name| header(answer.headers(), name).unwrap_or_default();
        Said {
            status: answer.status().as_u16(),
            code: text("x-error-code").to_owned(),
            message: text("x-error-message")
                .chars()
                .filter(|c| !c.is_control())
                .take(200)
                .collect(),
        }
    }

    fn in_its_words(&self) -> String {
        match self.message.is_empty() {
            true => String::new(),
            false => format!(": {}", self.message.trim_end_matches('.')),
        }
    }
}

fn not_found(request: Request<'_>, said: &Said) -> Error {
    let problem = match said.code.as_str() {
        "RepoNotFound" => "the hub has no such repository",
        "RevisionNotFound" => "the repository has no such revision",
        "EntryNotFound" => "the repository has no such file",
        _ => "the hub has no such repository, revision or file",
    };
    Error::UnknownModel {
        name: request.wanted.to_owned(),
        problem: format!("{problem} (HTTP 404 for `{}`)", request.url),
        hint: Some("check the spelling; an address is `owner/repo[@revision][:file]`".into()),
    }
}

/// A network error without a hint; the caller, which knows the model, adds one.
pub(super) fn network(url: &str, problem: &str) -> Error {
    Error::Network {
        url: url.to_owned(),
        problem: problem.to_owned(),
        hint: None,
    }
}

/// An error for an answer that no hub gives.
pub(super) fn not_a_hub(url: &str, problem: String) -> Error {
    Error::Network {
        url: url.to_owned(),
        problem,
        hint: Some("check HF_ENDPOINT, and whether the network asks for a login on a web page first".into()),
    }
}

pub(super) fn temporary(error: Error) -> Failure {
    Failure {
        error: error.into(),
        is_temporary: true,
        wait: None,
        status: None,
    }
}

pub(super) fn permanent(error: Error) -> Failure {
    Failure {
        is_temporary: false,
        ..temporary(error)
    }
}

fn connection_failure(url: &str, proxy: Option<&str>, source: &ureq::Error) -> Failure {
    let mut host = format!("`{}`", host_of(url).unwrap_or_else(|| url.to_owned()));
    if let Some(proxy) = proxy {
        host += &format!(" through the proxy `{}`", without_password(proxy));
    }
    let unreachable = match source {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => true,
        // The standard library has no kind for an unknown host, only this text.
        ureq::Error::Io(e) if e.to_string().contains("lookup address") => true,
        ureq::Error::Io(e) => matches!(
            e.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::AddrNotAvailable
        ),
        _ => false,
    };
    if unreachable {
        return permanent(network(url, &format!("{host} cannot be reached ({source})")));
    }
    let problem = network(url, &format!("the connection to {host} failed ({source})"));
    match source {
        ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::Protocol(_) => temporary(problem),
        _ => permanent(problem),
    }
}

/// A header's value, if it is there and is text.
pub(super) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn host_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    uri.host().map(str::to_owned)
}

/// Whether scheme, host and port are the same: the token goes nowhere else.
fn same_origin(url: &str, endpoint: &str) -> bool {
    let origin = |text: &str| {
        let uri: Uri = text.parse().ok()?;
        let scheme = uri.scheme_str()?.to_lowercase();
        let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        Some((scheme, uri.host()?.to_lowercase(), port))
    };
    matches!((origin(url), origin(endpoint)), (Some(a), Some(b)) if a == b)
}

/// The URL of a `Location` header, relative to `base`; `None` if it is not HTTP.
fn join(base: &str, location: &str) -> Option<String> {
    if location.contains("://") {
        let (scheme, _) = location.split_once("://")?;
        return ["http", "https"]
            .contains(&scheme.to_lowercase().as_str())
            .then(|| location.to_owned());
    }
    let (scheme, rest) = base.split_once("://")?;
    if let Some(other_host) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{other_host}"));
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if let Some(from_root) = location.strip_prefix('/') {
        return Some(format!("{scheme}://{authority}/{from_root}"));
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let folder = path
        .rsplit_once('/')
        .map_or(String::new(), |(folder, _)| format!("{folder}/"));
    Some(format!("{scheme}://{authority}/{folder}{location}"))
}

/// A path for a URL, with reserved characters as `%XX`.
pub(super) fn url_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(byte.into()),
            b'-' | b'.' | b'_' | b'~' | b'/' | b'@' | b'+' | b'=' | b',' | b'(' | b')' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_may_be_relative() {
        let base = "https://hub/a/b/resolve/main/f.pt?x=1";
        for (location, expected) in [
            ("/c/d", "https://hub/c/d"),
            ("//cdn/x", "https://cdn/x"),
            ("http://cdn:8/x?y", "http://cdn:8/x?y"),
            ("g.pt", "https://hub/a/b/resolve/main/g.pt"),
        ] {
            assert_eq!(join(base, location).as_deref(), Some(expected));
        }
        assert_eq!(join("http://hub", "x").as_deref(), Some("http://hub/x"));
        assert_eq!(join(base, "file:///etc/passwd"), None);
    }

    #[test]
    fn the_token_goes_to_the_hub_itself_and_nowhere_else() {
        assert!(same_origin("https://hub/x", "https://hub"));
        assert!(same_origin("https://HUB:443/x", "https://hub"));
        for other in [
            "http://hub/x",
            "https://hub:8443/x",
            "https://hub.evil/x",
            "https://hub@evil/x",
            "x",
        ] {
            assert!(!same_origin(other, "https://hub"), "{other}");
        }
    }

    #[test]
    fn odd_file_names_are_escaped() {
        assert_eq!(url_path("a b/ü#?%.pt"), "a%20b/%C3%BC%23%3F%25.pt");
        assert_eq!(url_path("longclip-L@336px.pt"), "longclip-L@336px.pt");
    }
}
