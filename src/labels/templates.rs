//! Templates, which turn a bare name into a caption such as `a photo of a cat.`, and two published sets of them.
//!
//! The published sets are OpenAI's for ImageNet (Radford et al. 2021, section 3.1.4, and the notebook
//! `Prompt_Engineering_for_ImageNet.ipynb` of github.com/openai/CLIP). The lists are in `data/`, in the original order.

use std::path::Path;

use super::files;
use crate::error::{Error, Result};
use crate::named::{Named, named};

/// The placeholder for the name.
const PLACEHOLDER: &str = "{}";

/// A sentence with at least one placeholder for a label's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    /// A template in which `{}` stands for the name.
    ///
    /// ```
    /// use longclip::labels::Template;
    ///
    /// assert_eq!(Template::new("a photo of a {}.")?.fill("cat"), "a photo of a cat.");
    /// # Ok::<(), longclip::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Usage`] if it has no `{}`: all labels would become the same text.
    pub fn new(text: &str) -> Result<Self> {
        if text.contains(PLACEHOLDER) {
            return Ok(Template(text.trim().to_owned()));
        }
        Err(Error::usage(
            format!("the template `{text}` has no `{PLACEHOLDER}` for the label"),
            format!("write `{PLACEHOLDER}` where the label goes: `a photo of a {PLACEHOLDER}.`"),
        ))
    }

    /// The prompt for this name.
    pub fn fill(&self, name: &str) -> String {
        self.0.replace(PLACEHOLDER, name)
    }
}

/// A published set of templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishedTemplates {
    /// OpenAI's 80 for ImageNet.
    ImageNet80,
    /// The 7 of them that OpenAI's notebook selects.
    ImageNet7,
}

named!(PublishedTemplates, "set of templates": ImageNet80 = "imagenet80", ImageNet7 = "imagenet7");

impl PublishedTemplates {
    /// The templates, in the original order.
    pub fn templates(self) -> Vec<Template> {
        let text = match self {
            PublishedTemplates::ImageNet80 => include_str!("data/imagenet80.txt"),
            PublishedTemplates::ImageNet7 => include_str!("data/imagenet7.txt"),
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| Template(line.to_owned())).collect()
    }
}

/// The templates of a published set, or else those in a file.
///
/// # Errors
/// [`Error::Usage`] if there is neither, or the file has none; those of [`read_templates`].
pub fn named_templates(name: &str) -> Result<Vec<Template>> {
    if let Ok(set) = PublishedTemplates::from_name(name) {
        return Ok(set.templates());
    }
    let path = Path::new(name);
    if !path.exists() {
        return Err(Error::usage(
            format!("`{name}` is neither a set of templates nor a file"),
            "the sets are `imagenet80` and `imagenet7`; a file has one template per line",
        ));
    }
    let templates = read_templates(path)?;
    match templates.is_empty() {
        false => Ok(templates),
        true => Err(Error::usage(
            format!("`{name}` has no template"),
            "write one per line: `a photo of a {}.`",
        )),
    }
}

/// Reads a file of templates, one per line. Comments and blank lines are allowed as in a file of labels.
///
/// # Errors
/// As [`files::read_lines`]; [`Error::Usage`] with file and line for a template without `{}`.
pub fn read_templates(path: &Path) -> Result<Vec<Template>> {
    let lines = files::read_lines(path)?;
    lines
        .iter()
        .map(|line| {
            Template::new(&line.text).map_err(|_| {
                Error::usage(
                    format!(
                        "`{}` line {}: the template `{}` has no `{PLACEHOLDER}` for the label",
                        path.display(),
                        line.number,
                        line.text
                    ),
                    format!("write `{PLACEHOLDER}` where the label goes: `a photo of a {PLACEHOLDER}.`"),
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sets_are_complete_and_without_duplicates() {
        for (set, n) in [(PublishedTemplates::ImageNet80, 80), (PublishedTemplates::ImageNet7, 7)] {
            let templates = set.templates();
            assert_eq!(templates.len(), n);
            let mut filled: Vec<String> = templates.iter().map(|template| template.fill("cat")).collect();
            assert!(
                filled
                    .iter()
                    .all(|text| text.contains("cat") && !text.contains(PLACEHOLDER))
            );
            filled.sort();
            filled.dedup();
            assert_eq!(filled.len(), n);
        }
    }

    #[test]
    fn the_seven_templates_are_among_the_eighty() {
        let eighty = PublishedTemplates::ImageNet80.templates();
        let seven = PublishedTemplates::ImageNet7.templates();
        assert!(seven.iter().all(|template| eighty.contains(template)));
    }

    #[test]
    fn rejects_a_template_without_a_placeholder() {
        let error = Template::new("a photo of a cat").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the template `a photo of a cat` has no `{}` for the label"
        );
    }

    #[test]
    fn reports_the_line_of_an_invalid_template() {
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
