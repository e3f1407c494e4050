//! Pictures by `http://` and `https://` (feature `hub`): fetched when they are wanted, several at a time.

use super::{Content, InputOptions, Item};

#[cfg(feature = "hub")]
pub use self::with_network::Address;
#[cfg(not(feature = "hub"))]
pub use self::without_network::Address;
pub use crate::weights::hub::Proxies;

pub(super) fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

pub(super) fn item(url: &str, options: &InputOptions) -> Item {
    Item::new(url, content(url, options))
}

pub(super) fn content(url: &str, options: &InputOptions) -> Content {
    Content::Url(Address::new(url, &options.proxies))
}

#[cfg(feature = "hub")]
mod with_network {
    use std::sync::OnceLock;
    use std::time::Duration;

    use ureq::Agent;
    use ureq::http::Uri;

    use super::super::content::read_at_most;
    use super::Proxies;
    use crate::error::{Error, Result};

    const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
    /// No byte for this long is a broken connection; a slow one is not.
    const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

    /// A picture on the web.
    #[derive(Debug)]
    pub struct Address {
        url: String,
        proxy: Option<String>,
    }

    impl Address {
        pub(in super::super) fn new(url: &str, proxies: &Proxies) -> Self {
            let uri: Option<Uri> = url.parse().ok();
            let proxy = uri.and_then(|uri| Some(proxies.for_host(uri.scheme_str()?, uri.host()?)?.to_owned()));
            let url = url.to_owned();
            Address { url, proxy }
        }

        /// What it answers.
        pub(in super::super) fn fetch(&self) -> Result<Vec<u8>> {
            let mut request = agent().get(&self.url);
            if let Some(address) = &self.proxy {
                let proxy = ureq::Proxy::new(address).map_err(|error| self.failed(&error))?;
                request = request.config().proxy(Some(proxy)).build();
            }
            let answer = request.call().map_err(|error| self.failed(&error))?;
            read_at_most(answer.into_body().into_reader())
                .map_err(|error| self.failed(&error))?
                .ok_or_else(|| self.failed(&"the answer has more than 1 GiB"))
        }

        fn failed(&self, problem: &dyn std::fmt::Display) -> Error {
            Error::Network {
                url: self.url.clone(),
                problem: problem.to_string(),
                hint: None,
            }
        }
    }

    /// One for all, so that connections to a host are used again.
    fn agent() -> &'static Agent {
        static AGENT: OnceLock<Agent> = OnceLock::new();
        AGENT.get_or_init(|| {
            let config = Agent::config_builder()
                .proxy(None)
                .timeout_connect(Some(CONNECT_TIMEOUT))
                .timeout_recv_response(Some(SILENCE_TIMEOUT))
                .timeout_per_read(Some(SILENCE_TIMEOUT))
                .user_agent(concat!("longclip/", env!("CARGO_PKG_VERSION")))
                .build();
            config.into()
        })
    }
}

#[cfg(not(feature = "hub"))]
mod without_network {
    use super::Proxies;
    use crate::error::{Error, Result};

    /// A picture on the web, which this build doesn't fetch.
    #[derive(Debug)]
    pub struct Address(String);

    impl Address {
        pub(in super::super) fn new(url: &str, _proxies: &Proxies) -> Self {
            Address(url.to_owned())
        }

        pub(in super::super) fn fetch(&self) -> Result<Vec<u8>> {
            Err(Error::Network {
                url: self.0.clone(),
                problem: "this build of longclip was made without the feature `hub` and fetches nothing".into(),
                hint: Some("fetch the picture yourself, and name its file".into()),
            })
        }
    }
}
