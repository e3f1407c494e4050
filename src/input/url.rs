//! Images at `http://` and `https://` URLs (feature `hub`): fetched when they are needed, several at a time.

use std::path::PathBuf;
use std::time::Duration;

#[cfg(feature = "hub")]
pub use self::with_network::{Address, Web};
#[cfg(not(feature = "hub"))]
pub use self::without_network::{Address, Web};
pub use crate::weights::hub::Proxies;

/// How URLs are fetched.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// Proxies for the requests.
    pub proxies: Proxies,
    /// A PEM file of the authorities to trust instead of Mozilla's, for a proxy that inspects TLS.
    pub ca_bundle: Option<PathBuf>,
    /// A connection without a byte for this long is broken; a slow one is not.
    pub silence: Duration,
    /// The time that a whole image may take.
    pub total: Duration,
    /// Whether URLs are not fetched at all: each is an image that can't be used.
    pub is_refused: bool,
}

impl Default for WebSettings {
    fn default() -> Self {
        WebSettings {
            proxies: Proxies::default(),
            ca_bundle: None,
            silence: Duration::from_secs(60),
            total: Duration::from_secs(600),
            is_refused: false,
        }
    }
}

pub(super) fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

#[cfg(feature = "hub")]
mod with_network {
    use std::sync::{Arc, OnceLock};
    use std::thread;
    use std::time::Duration;

    use ureq::http::{Response, StatusCode};
    use ureq::{Agent, Body, Proxy};

    use super::super::limit::{Unread, read_at_most, read_sized};
    use super::WebSettings;
    use crate::error::{Control, Error, Hint, Result, hint, masked};
    use crate::weights::hub::retry::{PAUSES, pause_for};
    use crate::weights::hub::{tls, without_password};

    const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

    /// Fetches URLs. Clones share their connections, which are reused.
    #[derive(Debug, Clone, Default)]
    pub struct Web(Arc<Inner>);

    #[derive(Debug, Default)]
    struct Inner {
        settings: WebSettings,
        agent: OnceLock<Agent>,
    }

    impl Web {
        /// With these settings, which are checked when the first URL is fetched.
        pub fn new(settings: WebSettings) -> Self {
            let agent = OnceLock::new();
            Web(Arc::new(Inner { settings, agent }))
        }

        fn agent(&self) -> Result<&Agent> {
            if let Some(agent) = self.0.agent.get() {
                return Ok(agent);
            }
            let WebSettings {
                ca_bundle,
                silence,
                total,
                ..
            } = &self.0.settings;
            let config = Agent::config_builder()
                .http_status_as_error(false)
                .proxy(None)
                .timeout_connect(Some(CONNECT_TIMEOUT.min(*silence)))
                .timeout_recv_response(Some(*silence))
                .timeout_per_read(Some(*silence))
                .timeout_global(Some(*total))
                // Images are compressed already, and a packed answer can be a thousand times larger than what is sent.
                .accept_encoding("identity")
                .user_agent(concat!("longclip/", env!("CARGO_PKG_VERSION")))
                .tls_config(tls(ca_bundle.as_deref())?)
                .build();
            Ok(self.0.agent.get_or_init(|| config.into()))
        }
    }

    /// The URL of an image, and how to fetch it.
    #[derive(Debug)]
    pub struct Address {
        url: String,
        web: Web,
    }

    impl Address {
        pub(in super::super) fn new(url: &str, web: &Web) -> Self {
            Address {
                url: url.to_owned(),
                web: web.clone(),
            }
        }

        /// The bytes of the answer.
        pub(in super::super) fn fetch(&self) -> Result<Vec<u8>> {
            if self.web.0.settings.is_refused {
                return Err(self.failed("URLs are not fetched in this run", None));
            }
            let body = self.answer()?.into_body();
            let read = match body.content_length() {
                Some(size) => read_sized(body.into_reader(), size),
                None => read_at_most(body.into_reader()),
            };
            read.map_err(|unread| match unread {
                Unread::TooMany => self.too_large(),
                Unread::Failed(error) => self.unfetched(&error.into()),
            })
        }

        /// A good answer. A server that is busy is asked again when it wants to be.
        fn answer(&self) -> Result<Response<Body>> {
            let mut pauses = PAUSES.into_iter();
            loop {
                let answer = self.ask()?;
                if answer.status().is_success() {
                    return Ok(answer);
                }
                let pause = pauses.next();
                match pause.and_then(|pause| pause_for(answer.status(), answer.headers(), pause)) {
                    Some(wait) => thread::sleep(wait),
                    None => return Err(self.refused(answer.status())),
                }
            }
        }

        /// Any answer, after redirects.
        fn ask(&self) -> Result<Response<Body>> {
            let mut request = self.web.agent()?.get(&self.url);
            if let Some(address) = self.proxy() {
                let proxy = Proxy::new(address).map_err(|error| {
                    let address = without_password(address);
                    let problem = format!("the proxy `{address}` is not a proxy's address: {error}");
                    self.failed(&problem, Some("check HTTP_PROXY, HTTPS_PROXY and ALL_PROXY".into()))
                })?;
                request = request.config().proxy(Some(proxy)).build();
            }
            request.call().map_err(|error| self.unfetched(&error))
        }

        fn refused(&self, status: StatusCode) -> Error {
            match status.as_u16() {
                404 => self.failed("there is no such page (HTTP 404)", None),
                status => self.failed(&format!("the server answers HTTP {status}"), None),
            }
        }

        fn proxy(&self) -> Option<&str> {
            self.web.0.settings.proxies.for_url(&self.url)
        }

        fn too_large(&self) -> Error {
            self.failed("the answer has more than 1 GiB", Some("name a single image".into()))
        }

        fn unfetched(&self, error: &ureq::Error) -> Error {
            let WebSettings { silence, total, .. } = &self.web.0.settings;
            let (silence_s, total_s) = (silence.as_secs_f64(), total.as_secs_f64());
            match error {
                ureq::Error::Timeout(ureq::Timeout::Global) => self.failed(
                    &format!("it was not complete after {total_s} s"),
                    Some(hint!("allow more time with {}", Control::UrlTimeout)),
                ),
                ureq::Error::Timeout(_) => self.failed(
                    &format!("no answer for {silence_s} s ({error})"),
                    Some(hint!("allow more time with {}", Control::UrlTimeout)),
                ),
                other => {
                    let through = self.proxy().map_or_else(String::new, |address| {
                        format!(" (through the proxy `{}`)", without_password(address))
                    });
                    self.failed(&format!("{other}{through}"), None)
                }
            }
        }

        fn failed(&self, problem: &str, hint: Option<Hint>) -> Error {
            Error::Network {
                url: masked(&self.url).into_owned(),
                problem: masked(problem).into_owned(),
                hint,
            }
        }
    }
}

#[cfg(not(feature = "hub"))]
mod without_network {
    use super::WebSettings;
    use crate::error::{Error, Result};

    /// This build fetches no URLs.
    #[derive(Debug, Clone, Default)]
    pub struct Web;

    impl Web {
        /// Ignores the settings.
        pub fn new(_settings: WebSettings) -> Self {
            Web
        }
    }

    /// The URL of an image, which this build doesn't fetch.
    #[derive(Debug)]
    pub struct Address(String);

    impl Address {
        pub(in super::super) fn new(url: &str, _web: &Web) -> Self {
            Address(url.to_owned())
        }

        pub(in super::super) fn fetch(&self) -> Result<Vec<u8>> {
            Err(Error::Network {
                url: self.0.clone(),
                problem: "this build of longclip lacks the feature `hub` and can't fetch URLs".into(),
                hint: Some("download the image, and name its file".into()),
            })
        }
    }
}

#[cfg(feature = "hub")]
#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// A server that answers each request with `answer`, and the address of an image there.
    fn address(settings: WebSettings, answer: fn(TcpStream, &str) -> std::io::Result<()>) -> Address {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = vec![0; 4096];
                let n = stream.read(&mut request).unwrap();
                // A client that has seen enough closes its connection.
                drop(answer(stream, &String::from_utf8_lossy(&request[..n])));
            }
        });
        Address::new(
            &format!("http://me:secret@{host}/a.jpg?sig=secret"),
            &Web::new(settings),
        )
    }

    #[test]
    fn an_answer_that_drips_is_abandoned_and_secrets_stay_out_of_messages() {
        let settings = WebSettings {
            total: Duration::from_millis(300),
            ..WebSettings::default()
        };
        let drips = address(settings, |mut stream, _| {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")?;
            loop {
                stream.write_all(b"x")?;
                thread::sleep(Duration::from_millis(10));
            }
        });
        let message = drips.fetch().unwrap_err().to_string();
        assert!(message.contains("not complete after 0.3 s"), "{message}");
        assert!(
            message.contains("/a.jpg?sig=***") && !message.contains("secret"),
            "{message}"
        );
    }

    #[test]
    fn images_are_asked_for_as_they_are() {
        let shows = address(WebSettings::default(), |mut stream, request| {
            let length = request.len();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{request}")
        });
        let request = String::from_utf8(shows.fetch().unwrap()).unwrap().to_lowercase();
        assert!(request.contains("accept-encoding: identity"), "{request}");
    }

    #[test]
    fn a_run_without_urls_connects_to_nothing() {
        let settings = WebSettings {
            is_refused: true,
            ..WebSettings::default()
        };
        let never = address(settings, |_, request| panic!("{request}"));
        assert!(
            never
                .fetch()
                .unwrap_err()
                .to_string()
                .contains("not fetched in this run")
        );
    }
}
