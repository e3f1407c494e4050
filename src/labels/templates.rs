//! Templates: how a bare name becomes what a caption would say, `a photo of a {}.`, and the sets that were published.
//!
//! The published sets are OpenAI's for ImageNet (Radford et al. 2021, section 3.1.4, and the notebook
//! `Prompt_Engineering_for_ImageNet.ipynb` of github.com/openai/CLIP); the lists lie in `data/`, in their order.

use std::path::Path;

use super::files;
use crate::error::{Error, Result};

/// Where the name goes.
const SLOT: &str = "{}";

/// A sentence with at least one place for a label's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    /// A template; `{}` stands for the name.
    ///
    /// ```
    /// use longclip::labels::Template;
    ///
    /// assert_eq!(Template::new("a photo of a {}.")?.fill("cat"), "a photo of a cat.");
    /// # Ok::<(), longclip::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Usage`] where it has no `{}`: every label would be the same text.
    pub fn new(text: &str) -> Result<Self> {
        if text.contains(SLOT) {
            return Ok(Template(text.trim().to_owned()));
        }
        Err(Error::usage(
            format!("the template `{text}` has no `{SLOT}` for the label"),
            format!("write `{SLOT}` where the label goes: `a photo of a {SLOT}.`"),
        ))
    }

    /// The prompt of this name.
    pub fn fill(&self, name: &str) -> String {
        self.0.replace(SLOT, name)
    }
}

/// A set of templates that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishedTemplates {
    /// OpenAI's 80 for ImageNet.
    ImageNet80,
    /// The 7 of them that OpenAI's notebook selected.
    ImageNet7,
}

impl PublishedTemplates {
    /// The templates, in the source's order.
    pub fn templates(self) -> Vec<Template> {
        let text = match self {
            PublishedTemplates::ImageNet80 => include_str!("data/imagenet80.txt"),
            PublishedTemplates::ImageNet7 => include_str!("data/imagenet7.txt"),
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| Template(line.to_owned())).collect()
    }
}

/// Reads a file of templates, one a line, with comments and blank lines as in a file of labels.
///
/// # Errors
/// As [`files::read_lines`]; [`Error::Usage`] with file and line for one without `{}`.
pub fn read_templates(path: &Path) -> Result<Vec<Template>> {
    let lines = files::read_lines(path)?;
    lines
        .iter()
        .map(|line| {
            Template::new(&line.text).map_err(|_| {
                Error::usage(
                    format!(
                        "`{}` line {}: the template `{}` has no `{SLOT}` for the label",
                        path.display(),
                        line.number,
                        line.text
                    ),
                    format!("write `{SLOT}` where the label goes: `a photo of a {SLOT}.`"),
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sets_are_whole_and_have_no_template_twice() {
        for (set, n) in [(PublishedTemplates::ImageNet80, 80), (PublishedTemplates::ImageNet7, 7)] {
            let templates = set.templates();
            assert_eq!(templates.len(), n);
            let mut filled: Vec<String> = templates.iter().map(|template| template.fill("cat")).collect();
            assert!(filled.iter().all(|text| text.contains("cat") && !text.contains(SLOT)));
            filled.sort();
            filled.dedup();
            assert_eq!(filled.len(), n);
        }
    }

    #[test]
    fn the_seven_are_among_the_eighty() {
        let eighty = PublishedTemplates::ImageNet80.templates();
        let seven = PublishedTemplates::ImageNet7.templates();
        assert!(seven.iter().all(|template| eighty.contains(template)));
    }

    #[test]
    fn a_template_without_a_place_for_the_name_is_refused() {
        let error = Template::new("a photo of a cat").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the template `a photo of a cat` has no `{}` for the label"
        );
    }

    #[test]
    fn a_file_of_templates_names_the_line_that_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.txt");
        std::fs::write(&path, "\u{feff}# mine\r\na {}\r\n\r\nno place\r\n").unwrap();
        let error = read_templates(&path).unwrap_err().to_string();
        assert!(
            error.ends_with("t.txt` line 4: the template `no place` has no `{}` for the label"),
            "{error}"
        );
    }
}
