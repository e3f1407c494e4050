//! Vocabularies: the tags that images may get, with the keywords above them.
//!
//! A text file has one tag per line. A line that is indented is below the one before it, as in the keyword lists that
//! Lightroom exports: `{synonym}` is another text for the keyword above it, and `[category]` is not a tag itself. A keyword
//! with `(one of)` after it gives an image one of those below it at most. Label files (csv, tsv, json) are vocabularies too;
//! the group of a label is its parent, in the same syntax. The built-in lists are such tables, which
//! `docs/scripts/vocabularies.py` makes from WordNet.

use std::collections::HashMap;
use std::path::Path;

use super::files::{self, VocabularyFile};
use super::{Label, LabelList, Template};
use crate::error::{Error, Result};
use crate::named::{Named as _, named};
use crate::plain_text;

/// The vocabularies that are part of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltIn {
    /// Everyday nouns, with a parent each.
    Everyday,
    /// Scenes, weather, events, kinds of images and colours.
    Scenes,
}

named!(BuiltIn, "vocabulary": Everyday = "everyday", Scenes = "scenes");

impl BuiltIn {
    fn table(self) -> &'static str {
        match self {
            BuiltIn::Everyday => include_str!("data/everyday.tsv"),
            BuiltIn::Scenes => include_str!("data/scenes.tsv"),
        }
    }
}

/// Tags and the keywords above them. No name appears twice.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    keywords: Vec<Keyword>,
    indices: HashMap<String, usize>,
}

/// A tag, or what tags are below.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Keyword {
    name: String,
    parent: Option<usize>,
    role: Role,
    below: Below,
    /// What the model reads, as it is.
    prompts: Vec<String>,
    /// Other names, which are put into the templates.
    synonyms: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Images are compared with it.
    Tag,
    /// An image gets it with a tag below it, and not otherwise.
    Parent,
    /// No image gets it.
    Category,
}

/// How many of the keywords directly below one an image may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Below {
    Any,
    One,
}

const ONE_OF: &str = "(one of)";

/// What a line of a tree, or the group of a table, names.
struct Named<'a> {
    name: &'a str,
    is_category: bool,
    below: Below,
}

impl<'a> Named<'a> {
    fn of(text: &'a str) -> Self {
        let text = text.trim();
        let (text, below) = match text.strip_suffix(ONE_OF) {
            Some(name) => (name.trim_end(), Below::One),
            None => (text, Below::Any),
        };
        let category = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        Named {
            name: category.unwrap_or(text).trim(),
            is_category: category.is_some(),
            below,
        }
    }
}

impl Vocabulary {
    /// The tags of lists of the program and of files, by their names; all lists of the program if nothing is named.
    ///
    /// # Errors
    /// As [`Vocabulary::add_file`]; [`Error::Usage`] for a name that is neither a list nor a file.
    pub fn of_names(names: &[String]) -> Result<Vocabulary> {
        let mut vocabulary = Vocabulary::default();
        if names.is_empty() {
            for list in BuiltIn::ALL {
                vocabulary.add_built_in(*list)?;
            }
        }
        for name in names {
            match BuiltIn::from_name(name) {
                Ok(list) => vocabulary.add_built_in(list)?,
                Err(_) => vocabulary
                    .add_file(Path::new(name))
                    .map_err(|error| no_such_vocabulary(name, error))?,
            }
        }
        Ok(vocabulary)
    }

    /// Adds a list of the program.
    ///
    /// # Errors
    /// None, because a test reads them all.
    pub fn add_built_in(&mut self, list: BuiltIn) -> Result<()> {
        self.add_labels(files::parse_tsv(&list.to_string(), list.table())?)
    }

    /// Adds the tags of a file.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Usage`] if it is malformed, or has no tags.
    pub fn add_file(&mut self, path: &Path) -> Result<()> {
        match files::read_vocabulary(path)? {
            VocabularyFile::Labels(labels) => self.add_labels(labels)?,
            VocabularyFile::Lines(text) => self.add_tree(&path.display().to_string(), &text)?,
        }
        match self.tags().count() {
            1.. => Ok(()),
            0 => Err(Error::usage(
                format!("`{}` has no tags", path.display()),
                "write one per line, or give another file",
            )),
        }
    }

    fn add_labels(&mut self, labels: Vec<Label>) -> Result<()> {
        for label in &labels {
            let index = self.add(label.name.trim(), None, Role::Tag)?;
            let known = &mut self.keywords[index].prompts;
            known.extend(label.prompts.iter().map(|prompt| prompt.trim().to_owned()));
        }
        for label in &labels {
            let Some(group) = &label.group else { continue };
            let parent = self.add_named(&Named::of(group), None, Role::Parent)?;
            self.set_parent(self.indices[label.name.trim()], parent)?;
        }
        Ok(())
    }

    /// Adds lines, of which indented ones are below those before them.
    fn add_tree(&mut self, name: &str, text: &str) -> Result<()> {
        // The keywords above a line, each with its indent.
        let mut above: Vec<(usize, usize)> = Vec::new();
        for (number, line) in (1..).zip(plain_text::lines(text)) {
            let words = line.trim();
            if words.is_empty() || words.starts_with('#') {
                continue;
            }
            let indent = line.len() - line.trim_start().len();
            while above.last().is_some_and(|(of_last, _)| *of_last >= indent) {
                above.pop();
            }
            let parent = above.last().map(|(_, keyword)| *keyword);
            let synonym = words.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            if let Some(synonym) = synonym {
                let Some(parent) = parent else {
                    return Err(Error::usage(
                        format!("`{name}` line {number}: the synonym `{words}` is below no keyword"),
                        "indent it below the keyword that it is another name of",
                    ));
                };
                self.keywords[parent].synonyms.push(synonym.trim().to_owned());
                continue;
            }
            let named = Named::of(
                words
                    .strip_prefix('\\')
                    .filter(|rest| rest.starts_with('#'))
                    .unwrap_or(words),
            );
            if named.name.is_empty() {
                return Err(Error::usage(
                    format!("`{name}` line {number}: `{words}` has no name"),
                    "write the keyword's name, or leave the line out",
                ));
            }
            above.push((indent, self.add_named(&named, parent, Role::Tag)?));
        }
        Ok(())
    }

    /// As [`Vocabulary::add`], with `role` unless the name says that it is a category.
    fn add_named(&mut self, named: &Named<'_>, parent: Option<usize>, role: Role) -> Result<usize> {
        let role = if named.is_category { Role::Category } else { role };
        let index = self.add(named.name, parent, role)?;
        if named.below == Below::One {
            self.keywords[index].below = Below::One;
        }
        Ok(index)
    }

    /// The index of a keyword, which is added if it is new. One that is known stays where it is, and becomes a tag if it is
    /// one now.
    fn add(&mut self, name: &str, parent: Option<usize>, role: Role) -> Result<usize> {
        if let Some(&index) = self.indices.get(name) {
            let known = &mut self.keywords[index];
            if role == Role::Tag {
                known.role = Role::Tag;
            }
            if let (None, Some(parent)) = (known.parent, parent) {
                self.set_parent(index, parent)?;
            }
            return Ok(index);
        }
        self.indices.insert(name.to_owned(), self.keywords.len());
        self.keywords.push(Keyword {
            name: name.to_owned(),
            parent,
            role,
            below: Below::Any,
            prompts: Vec::new(),
            synonyms: Vec::new(),
        });
        Ok(self.keywords.len() - 1)
    }

    fn set_parent(&mut self, index: usize, parent: usize) -> Result<()> {
        if index == parent || self.keywords[index].parent == Some(parent) {
            return Ok(());
        }
        let name = &self.keywords[index].name;
        if self.line(parent).any(|above| above == index) {
            return Err(Error::usage(
                format!(
                    "the keyword `{name}` is above `{}` and below it",
                    self.keywords[parent].name
                ),
                "give the keywords of a vocabulary one order",
            ));
        }
        self.keywords[index].parent.get_or_insert(parent);
        Ok(())
    }

    /// A keyword and those above it, upwards.
    fn line(&self, index: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(index), |index| self.keywords[*index].parent)
    }

    fn tags(&self) -> impl Iterator<Item = &Keyword> {
        self.keywords.iter().filter(|keyword| keyword.role == Role::Tag)
    }

    /// Whether a keyword has no prompts of its own, so that the templates apply.
    pub fn needs_templates(&self) -> bool {
        self.tags().any(|tag| tag.prompts.is_empty() && tag.synonyms.is_empty())
    }

    /// The tags as labels. Synonyms are put into the templates, like names.
    ///
    /// # Errors
    /// As [`LabelList::extend`].
    pub fn labels(&self, templates: &[Template]) -> Result<LabelList> {
        let filled = |name: &String| -> Vec<String> {
            match templates.is_empty() {
                true => vec![name.clone()],
                false => templates.iter().map(|template| template.fill(name)).collect(),
            }
        };
        let label = |tag: &Keyword| Label {
            name: tag.name.clone(),
            prompts: match (tag.prompts.is_empty(), tag.synonyms.is_empty()) {
                (true, true) => Vec::new(),
                (false, true) => tag.prompts.clone(),
                (true, false) => std::iter::once(&tag.name)
                    .chain(&tag.synonyms)
                    .flat_map(filled)
                    .collect(),
                (false, false) => tag
                    .prompts
                    .iter()
                    .cloned()
                    .chain(tag.synonyms.iter().flat_map(filled))
                    .collect(),
            },
            group: None,
        };
        let mut list = LabelList::default();
        list.extend(self.tags().map(label))?;
        Ok(list)
    }

    /// All names that an image may get, parents too.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let written = self.keywords.iter().filter(|keyword| keyword.role != Role::Category);
        written.map(|keyword| keyword.name.as_str())
    }

    /// Whether an image may get this name.
    pub fn has(&self, name: &str) -> bool {
        let index = self.indices.get(name);
        index.is_some_and(|index| self.keywords[*index].role != Role::Category)
    }

    /// The names above a keyword, from the top, without categories.
    pub fn above(&self, name: &str) -> Vec<&str> {
        let Some(&index) = self.indices.get(name) else {
            return Vec::new();
        };
        let written = self
            .line(index)
            .skip(1)
            .filter(|above| self.keywords[*above].role != Role::Category);
        let mut names: Vec<&str> = written.map(|above| self.keywords[above].name.as_str()).collect();
        names.reverse();
        names
    }

    /// The choices that a keyword is part of: each keyword above it that gives one of those below it at most, and which one
    /// leads here.
    pub fn choices(&self, name: &str) -> Vec<(&str, &str)> {
        let Some(&index) = self.indices.get(name) else {
            return Vec::new();
        };
        let steps = self.line(index).zip(self.line(index).skip(1));
        let chooses = steps.filter(|(_, above)| self.keywords[*above].below == Below::One);
        let name_of = |index: usize| self.keywords[index].name.as_str();
        chooses.map(|(below, above)| (name_of(above), name_of(below))).collect()
    }
}

/// A name that is neither a file nor a list of the program is most likely a mistyped one.
fn no_such_vocabulary(name: &str, error: Error) -> Error {
    let lists: Vec<String> = BuiltIn::ALL.iter().map(|list| format!("`{list}`")).collect();
    match &error {
        Error::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Error::usage(
            format!("there is no vocabulary and no file `{name}`"),
            format!("the built-in ones are {}", lists.join(" and ")),
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Vocabulary {
        let mut vocabulary = Vocabulary::default();
        vocabulary.add_tree("tags.txt", text).unwrap();
        vocabulary
    }

    fn names(vocabulary: &Vocabulary) -> Vec<String> {
        let list = vocabulary.labels(&[]).unwrap();
        list.labels().iter().map(|label| label.name.clone()).collect()
    }

    #[test]
    fn the_built_in_lists_are_large_and_have_no_name_twice() {
        for (list, least) in [(BuiltIn::Everyday, 600), (BuiltIn::Scenes, 150)] {
            let mut vocabulary = Vocabulary::default();
            vocabulary.add_built_in(list).unwrap();
            let labels = vocabulary.labels(&[]).unwrap();
            assert!(labels.labels().len() >= least, "{list}: {}", labels.labels().len());
            assert!(labels.notices().is_empty() && !vocabulary.needs_templates());
            assert!(labels.labels().iter().all(|label| label.prompts.len() == 1));
        }
        let mut both = Vocabulary::default();
        both.add_built_in(BuiltIn::Everyday).unwrap();
        both.add_built_in(BuiltIn::Scenes).unwrap();
        assert_eq!(both.above("eagle"), ["animal", "bird"]);
        assert_eq!(both.choices("night"), [("light", "night")]);
        assert!(both.above("night").is_empty() && !both.has("light"));
    }

    #[test]
    fn a_list_of_lightroom_is_a_tree() {
        let vocabulary = tree(
            "animal\n\tcat\n\t\t{kitty}\n\t\tkitten\n\tbird\n[places]\n\tbeach\n# a comment\n\n[light] (one of)\n\tday\n\t\tnoon\n\tnight\n\\#1\n",
        );
        assert_eq!(
            names(&vocabulary),
            ["animal", "cat", "kitten", "bird", "beach", "day", "noon", "night", "#1"]
        );
        assert_eq!(vocabulary.above("kitten"), ["animal", "cat"]);
        assert!(vocabulary.above("beach").is_empty());
        assert_eq!(vocabulary.choices("noon"), [("light", "day")]);
        assert!(vocabulary.choices("kitten").is_empty());
        let templates = [Template::new("a photo of {}").unwrap()];
        let labels = vocabulary.labels(&templates).unwrap();
        assert_eq!(
            labels.find("cat").unwrap().prompts,
            ["a photo of cat", "a photo of kitty"]
        );
        assert!(labels.find("bird").unwrap().prompts.is_empty());
    }

    #[test]
    fn spaces_indent_too_and_a_name_counts_once() {
        let vocabulary = tree("food\n    orange\ncolour\n    orange\n        blood orange\n");
        assert_eq!(names(&vocabulary), ["food", "orange", "colour", "blood orange"]);
        assert_eq!(vocabulary.above("blood orange"), ["food", "orange"]);
    }

    #[test]
    fn mistakes_are_reported_with_their_line() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let error = Vocabulary::default().add_tree("t.txt", text).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        check(
            "{kitty}\ncat",
            "`t.txt` line 1: the synonym `{kitty}` is below no keyword",
        );
        check("cat\n[]\n", "`t.txt` line 2: `[]` has no name");
        check(
            "cat\n\tdog\ndog\n\tcat\n",
            "the keyword `cat` is above `dog` and below it",
        );
    }
}
