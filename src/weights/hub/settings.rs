//! Where the cache is, which hub is asked and with which token: the variables that Hugging Face's own tools read.
//!
//! The library doesn't read the environment: the caller passes a lookup function. Names and precedence follow <https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables>.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::Proxies;

/// How to reach the hub, and where its files are kept.
#[derive(Debug, Clone)]
pub struct HubSettings {
    /// The folder that holds `models--*`. `None` if neither a variable nor a home folder says where.
    pub cache_dir: Option<PathBuf>,
    /// The hub's address, without a `/` at its end.
    pub endpoint: String,
    /// The token for private and gated repositories.
    pub token: Option<Token>,
    /// Nothing may be fetched; only the cache is used.
    pub offline: bool,
    /// Proxies for the requests.
    pub proxies: Proxies,
    /// A PEM file of the authorities to trust instead of Mozilla's, for a proxy that inspects TLS.
    pub ca_bundle: Option<PathBuf>,
}

const PUBLIC_HUB: &str = "https://huggingface.co";

impl Default for HubSettings {
    /// The public hub without a token, and no cache.
    fn default() -> Self {
        HubSettings::from_lookup(|_| None)
    }
}

impl HubSettings {
    /// Reads the variables through `lookup`. An empty variable counts as unset. Creates nothing and can't fail.
    ///
    /// Cache: `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, then `hub` below `HF_HOME`, `XDG_CACHE_HOME/huggingface`,
    /// `~/.cache/huggingface`. Token: `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, then the file `HF_TOKEN_PATH` or `token` in
    /// the folder above. `HF_ENDPOINT`; `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE`; `HTTPS_PROXY` and the other proxy variables; `REQUESTS_CA_BUNDLE`,
    /// `CURL_CA_BUNDLE`, `SSL_CERT_FILE`.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| lookup(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let home = get("HOME").or_else(|| get("USERPROFILE")).map(PathBuf::from);
        let folder = |name: &str| get(name).map(|value| below_home(&value, home.as_deref()));
        let hf_home = folder("HF_HOME")
            .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("huggingface")))
            .or_else(|| home.as_deref().map(|home| home.join(".cache").join("huggingface")));
        let cache_dir = folder("HF_HUB_CACHE")
            .or_else(|| folder("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| hf_home.as_deref().map(|dir| dir.join("hub")));
        let token_file = folder("HF_TOKEN_PATH").or_else(|| hf_home.map(|dir| dir.join("token")));
        let token = get("HF_TOKEN")
            .or_else(|| get("HUGGING_FACE_HUB_TOKEN"))
            .or_else(|| fs::read_to_string(token_file?).ok())
            .and_then(|text| Token::new(&text));
        let is_on = |name: &str| get(name).is_some_and(|value| is_true(&value));
        HubSettings {
            cache_dir,
            endpoint: get("HF_ENDPOINT")
                .map_or_else(|| PUBLIC_HUB.to_owned(), |url| url.trim_end_matches('/').to_owned()),
            token: token.filter(|_| !is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN")),
            offline: is_on("HF_HUB_OFFLINE") || is_on("TRANSFORMERS_OFFLINE"),
            proxies: Proxies::from_lookup(get),
            ca_bundle: ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"]
                .into_iter()
                .find_map(folder),
        }
    }
}

/// A token of the hub. Neither `Debug` nor any message shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// `None` if `text` is empty or can't be in an HTTP header.
    pub fn new(text: &str) -> Option<Self> {
        let token = text.trim();
        (!token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic())).then(|| Token(token.to_owned()))
    }

    /// The value of the `Authorization` header.
    #[cfg(feature = "hub")]
    pub(super) fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} characters)", self.0.len())
    }
}

/// What `huggingface_hub` reads as true.
fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"].contains(&value.to_lowercase().as_str())
}

/// A folder as a variable names it; a leading `~` is the home folder, if there is one.
fn below_home(value: &str, home: Option<&Path>) -> PathBuf {
    match (value.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_owned(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> HubSettings {
        HubSettings::from_lookup(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[track_caller]
    fn check_cache(variables: &[(&str, &str)], expected: Option<&str>) {
        assert_eq!(
            settings(variables).cache_dir.as_deref(),
            expected.map(Path::new),
            "{variables:?}"
        );
    }

    #[test]
    fn the_cache_is_where_hugging_face_keeps_it() {
        check_cache(&[("HOME", "/h")], Some("/h/.cache/huggingface/hub"));
        check_cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")], Some("/x/huggingface/hub"));
        check_cache(&[("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/f")], Some("/f/hub"));
        check_cache(&[("HF_HOME", "/f"), ("HUGGINGFACE_HUB_CACHE", "/c")], Some("/c"));
        check_cache(&[("HUGGINGFACE_HUB_CACHE", "/c"), ("HF_HUB_CACHE", "/d")], Some("/d"));
        check_cache(&[("HOME", "/h"), ("HF_HOME", "~/f")], Some("/h/f/hub"));
        check_cache(&[("HOME", "/h"), ("HF_HOME", " ")], Some("/h/.cache/huggingface/hub"));
    }

    #[test]
    fn without_any_home_there_is_no_cache_and_no_panic() {
        check_cache(&[], None);
        check_cache(&[("HOME", "")], None);
    }

    #[test]
    fn either_offline_flag_counts_and_zero_means_no() {
        assert!(settings(&[("HF_HUB_OFFLINE", "1")]).offline);
        assert!(settings(&[("TRANSFORMERS_OFFLINE", "True")]).offline);
        assert!(!settings(&[("HF_HUB_OFFLINE", "0")]).offline);
        assert!(!settings(&[]).offline);
    }

    #[test]
    fn a_token_comes_from_the_variable_then_from_the_file_and_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("token"), "hf_file\n").unwrap();
        let home = dir.path().to_str().unwrap();
        assert_eq!(settings(&[("HF_HOME", home)]).token, Token::new("hf_file"));
        let both = settings(&[("HF_HOME", home), ("HF_TOKEN", "hf_variable")]);
        assert_eq!(both.token, Token::new("hf_variable"));
        assert!(!format!("{both:?}").contains("hf_variable"));
        assert_eq!(
            settings(&[("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]).token,
            None
        );
        assert_eq!(Token::new("two\nlines"), None);
    }

    #[test]
    fn the_endpoint_loses_its_last_slash() {
        assert_eq!(settings(&[("HF_ENDPOINT", "http://mirror/")]).endpoint, "http://mirror");
        assert_eq!(settings(&[]).endpoint, "https://huggingface.co");
    }
}
