//! Hides passwords and signatures in URLs, because messages end up in logs.

use std::borrow::Cow;

/// What stands for a secret.
const HIDDEN: &str = "***";
/// Parameters whose names contain one of these are secret: signed addresses of S3, GCS, Azure and CloudFront, API keys.
const SECRETS: [&str; 9] = [
    "sig", "token", "key", "secret", "pass", "cred", "auth", "policy", "session",
];

/// The text with the passwords, and the secret parameters, of all URLs in it replaced.
///
/// ```
/// use longclip::error::masked;
///
/// assert_eq!(masked("see https://me:pw@x.org/a.jpg?w=1&X-Amz-Signature=ab"), "see https://me:***@x.org/a.jpg?w=1&X-Amz-Signature=***");
/// ```
pub fn masked(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        let ends = |c: char| c.is_whitespace() || matches!(c, '`' | '"' | '\'' | '<' | '>');
        let (url, following) = after.split_at(after.find(ends).unwrap_or(after.len()));
        out += before;
        mask_url(url, &mut out);
        rest = following;
    }
    out += rest;
    Cow::Owned(out)
}

/// Appends a URL without its scheme.
fn mask_url(url: &str, out: &mut String) {
    let host_end = url.find(['/', '?', '#']).unwrap_or(url.len());
    let (host, path) = url.split_at(host_end);
    match host.rsplit_once('@') {
        Some((user, host)) => {
            let user = user
                .split_once(':')
                .map_or(HIDDEN.to_owned(), |(user, _)| format!("{user}:{HIDDEN}"));
            *out += &format!("{user}@{host}");
        }
        None => *out += host,
    }
    let Some((path, query)) = path.split_once('?') else {
        *out += path;
        return;
    };
    *out += path;
    for (i, parameter) in query.split('&').enumerate() {
        out.push(if i == 0 { '?' } else { '&' });
        match parameter.split_once('=') {
            Some((name, _)) if is_secret(name) => *out += &format!("{name}={HIDDEN}"),
            _ => *out += parameter,
        }
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRETS.iter().any(|secret| name.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn passwords_and_signatures_are_hidden_and_the_rest_stays() {
        for (text, expected) in [
            ("no URL: a@b?key=1", "no URL: a@b?key=1"),
            ("`http://h/a.jpg?w=3`", "`http://h/a.jpg?w=3`"),
            (
                "`https://u:p@h:8/a` and `ftp://tok@h`",
                "`https://u:***@h:8/a` and `ftp://***@h`",
            ),
            ("http://h?sv=1&sig=a%2Fb=&x", "http://h?sv=1&sig=***&x"),
            (
                "http://h/a@b?X-Goog-Credential=c&access_token=d",
                "http://h/a@b?X-Goog-Credential=***&access_token=***",
            ),
        ] {
            assert_eq!(masked(text), expected);
        }
    }
}
