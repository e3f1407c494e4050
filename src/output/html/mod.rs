//! HTML pages: the gallery of results, and the reports of evaluations and trainings.
//!
//! A page is one file that works from disk and uses no network: style, script and thumbnails are in it, and its policy
//! forbids everything else. All text is escaped. `style.css` is the beginning of every page's style.

mod gallery;
pub mod report;
mod thumbnail;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub(super) use self::gallery::FORMAT;
pub use self::gallery::{Html, links_from};
pub use self::thumbnail::{THUMBNAIL_PX, thumbnail, thumbnail_jpeg};

/// What a page may do. No page may use the network.
#[derive(Clone, Copy)]
enum Policy {
    /// Show the thumbnails that it contains.
    Still,
    /// Also run the script that it contains.
    Script,
    /// Also show images from disk.
    ScriptAndFiles,
}

impl Policy {
    fn directives(self) -> &'static str {
        match self {
            Policy::Still => "img-src data:",
            Policy::Script => "img-src data:; script-src 'unsafe-inline'",
            Policy::ScriptAndFiles => "img-src data: file:; script-src 'unsafe-inline'",
        }
    }
}

/// The beginning of every page, up to its body. `title` is plain text.
fn top(title: &str, style: &str, policy: Policy) -> String {
    format!(
        include_str!("top.html"),
        version = env!("CARGO_PKG_VERSION"),
        policy = policy.directives(),
        title = escaped(title),
        shared_style = include_str!("style.css"),
        style = style,
    )
}

/// Escapes text for an element or an attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
