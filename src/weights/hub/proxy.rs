//! The proxy for a host, by the environment variables that curl reads.

#[cfg(feature = "hub")]
use ureq::http::Uri;

/// One proxy per scheme, and the hosts that are reached directly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<String>,
    https: Option<String>,
    except: Vec<String>,
}

impl Proxies {
    /// Reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, also in lower case, through `lookup`.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let either = |name: &str| {
            lookup(&name.to_lowercase())
                .or_else(|| lookup(name))
                .filter(|v| !v.is_empty())
        };
        let all = either("ALL_PROXY");
        Proxies {
            http: either("HTTP_PROXY").or_else(|| all.clone()),
            https: either("HTTPS_PROXY").or(all),
            except: either("NO_PROXY").map_or_else(Vec::new, |list| {
                list.split(',')
                    .map(|host| host.trim().to_lowercase())
                    .filter(|host| !host.is_empty())
                    .collect()
            }),
        }
    }

    /// The proxy for a URL of this scheme and host, as its variable names it.
    pub fn for_host(&self, scheme: &str, host: &str) -> Option<&str> {
        let host = host.to_lowercase();
        let excepted = self.except.iter().any(|rule| {
            let domain = rule.trim_start_matches('*').trim_start_matches('.');
            rule == "*" || host == domain || (!domain.is_empty() && host.ends_with(&format!(".{domain}")))
        });
        match scheme {
            _ if excepted => None,
            "https" => self.https.as_deref(),
            _ => self.http.as_deref(),
        }
    }
}

#[cfg(feature = "hub")]
impl Proxies {
    /// As [`Proxies::for_host`], for a whole URL.
    pub(crate) fn for_url(&self, url: &str) -> Option<&str> {
        let uri: Uri = url.parse().ok()?;
        self.for_host(uri.scheme_str()?, uri.host()?)
    }
}

/// A proxy's address for messages, without the name and the password that it may hold.
#[cfg(feature = "hub")]
pub(crate) fn without_password(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::from_lookup(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn each_scheme_has_its_proxy_and_all_proxy_is_the_default() {
        let set = proxies(&[("HTTPS_PROXY", "http://s:1"), ("all_proxy", "http://a:2")]);
        assert_eq!(set.for_host("https", "huggingface.co"), Some("http://s:1"));
        assert_eq!(set.for_host("http", "huggingface.co"), Some("http://a:2"));
        assert_eq!(proxies(&[]).for_host("https", "huggingface.co"), None);
    }

    #[test]
    fn no_proxy_names_hosts_and_their_subdomains() {
        let set = proxies(&[("ALL_PROXY", "http://a"), ("NO_PROXY", "127.0.0.1, .corp.example")]);
        for direct in ["127.0.0.1", "hub.corp.example", "corp.example"] {
            assert_eq!(set.for_host("http", direct), None, "{direct}");
        }
        assert_eq!(set.for_host("http", "notcorp.example"), Some("http://a"));
        assert_eq!(
            proxies(&[("ALL_PROXY", "http://a"), ("NO_PROXY", "*")]).for_host("http", "x"),
            None
        );
    }
}
