//! The flags that say what images may show, and the checked list of labels that results from them.

use std::path::{Path, PathBuf};

use longclip::input::{Inputs, is_named_like_a_picture};
use longclip::labels::{
    Combine, Label, LabelList, LabelSet, LongText, PublishedTemplates, SameTokens, Template, files, named_templates,
};
use longclip::named::Named;
use longclip::session::Labelling;
use longclip::{Error, Grouping, Result};
use serde::Serialize;

use super::input_flags::InputFlags;
use super::named::{TextOr, named};
use super::report::Report;
use super::targets::cache_of;

/// What images may show.
#[derive(Debug, Clone, clap::Args, Serialize)]
#[command(next_help_heading = "Labels")]
pub(super) struct LabelFlags {
    /// Labels, up to the next flag: put images before it
    ///
    /// Each is a word, a sentence or a paragraph of up to 248 tokens. The likeliest one is the answer. Example:
    /// `--labels "a cat" "a dog" "a landscape without animals"`
    #[arg(long, value_name = "LABEL", num_args = 1..)]
    labels: Vec<String>,
    /// One label; may be repeated
    ///
    /// As `--labels`, but takes one label only, so that images may follow. Example: `-l "a cat" -l "a dog"`
    // Among `labels`, as read.
    #[serde(skip)]
    #[arg(short, long = "label", value_name = "LABEL")]
    label: Vec<String>,
    /// Read labels from a file; `-` is stdin
    ///
    /// A text file has one label per line. `.json`, `.csv` and `.tsv` may also have prompts, which are read in place of
    /// the label's name, and groups. May be repeated. Example: `--labels-file labels.txt`
    // Among `labels`, as read.
    #[serde(skip)]
    #[arg(long, value_name = "FILE")]
    labels_file: Vec<PathBuf>,
    /// The text around a label: "a photo of a {}."
    ///
    /// `{}` stands for the label. If repeated, the texts of a label are averaged. Labels with prompts of their own
    /// don't use it. Example: `--template "a photo of a {}." --template "a drawing of a {}."`
    // Among `templates`, as read.
    #[serde(skip)]
    #[arg(long, value_name = "TEXT")]
    template: Vec<String>,
    /// A set of templates: imagenet7, imagenet80 or a file
    ///
    /// The sets of OpenAI's CLIP for ImageNet, or a file with one template per line [default: none]. Example:
    /// `--templates imagenet7`
    #[arg(long, value_name = "SET", value_parser = TextOr(template_sets), hide_possible_values = true, hide_short_help = true)]
    templates: Option<String>,
    /// How several texts of a label count
    ///
    /// `mean` averages their embeddings, `max` takes the nearest text. Example: `--combine max`
    #[arg(long, value_name = "HOW", default_value_t, value_parser = named::<Combine>(), hide_short_help = true)]
    combine: Combine,
    /// What to do with texts that are too long
    ///
    /// Of a text with more than 248 tokens, `truncate` reads the first 248 and warns, `chunk` reads all in parts and
    /// averages their embeddings, `error` refuses it. Example: `--long-text chunk`
    #[arg(long, value_name = "HOW", default_value_t, value_parser = named::<LongText>(), hide_short_help = true)]
    long_text: LongText,
    /// Do not keep label embeddings for later runs
    ///
    /// They are in $XDG_CACHE_HOME/longclip, else in ~/.cache/longclip, so that a second run with the same labels
    /// starts sooner. With this flag they are neither read nor written.
    // Embeddings are the same.
    #[serde(skip)]
    #[arg(long, hide_short_help = true)]
    no_cache: bool,
}

/// For commands that can sum up probabilities by groups of labels.
#[derive(Debug, Clone, clap::Args, Serialize)]
#[command(next_help_heading = "Labels")]
pub(super) struct GroupFlag {
    /// Sum up probabilities by the groups of labels
    ///
    /// Groups are in the label file: in a column of csv or tsv, or as `group` in json. COLUMN names another column than
    /// `group`. Put images before it. Example: `--labels-file animals.csv --group-by family`
    #[arg(long, value_name = "COLUMN", num_args = 0..=1, default_missing_value = files::GROUP)]
    pub(super) group_by: Option<String>,
}

/// Names of sets of templates.
pub(super) fn template_sets() -> Vec<&'static str> {
    let published = PublishedTemplates::ALL.iter().map(|set| set.name());
    published.chain(["none"]).collect()
}

impl LabelFlags {
    /// Checks what was asked for: the sources, and the run's labels, which may be none if records bring their own. `command`
    /// is what a message writes before images.
    pub(super) fn plan(
        &self,
        input: &InputFlags,
        group: &GroupFlag,
        command: &str,
        report: Report,
    ) -> Result<(Inputs, Labelling)> {
        if input.is_empty() {
            return Err(self.no_images(group, command));
        }
        if let Some(swallowed) = self.labels.iter().find(|label| is_image(label)) {
            report.warning(format!(
                "the label `{swallowed}` looks like an image: put images before `--labels`, which takes everything after it"
            ));
        }
        let inputs = input.plan(self.reads_stdin())?;
        let labelling = self.labelling(Some(group))?;
        if labelling.list.is_empty() && !inputs.may_bring_labels() {
            return Err(LabelSet::none_given());
        }
        if let [only] = labelling.list.labels()
            && let Some(several) = several_in(only)
        {
            report.hint(format!(
                "`{}` is one label; several are written as `--labels {several}`, or one per line of a file",
                only.name
            ));
        }
        Ok((inputs, labelling))
    }

    /// The files that labels and templates are read from.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let labels = self.labels_file.iter().map(|file| ("the label file", file.as_path()));
        let templates = self.templates.iter().map(|file| ("the template file", Path::new(file)));
        labels.chain(templates)
    }

    /// Whether templates were named.
    pub(super) fn name_templates(&self) -> bool {
        !self.template.is_empty() || self.templates.is_some()
    }

    /// The flag that reads stdin, if one does.
    pub(super) fn reads_stdin(&self) -> Option<&'static str> {
        let from_stdin = self.labels_file.iter().any(|file| file == Path::new("-"));
        from_stdin.then_some("--labels-file -")
    }

    /// Checks the labels alone, of which there may be none.
    pub(super) fn labelling(&self, group: Option<&GroupFlag>) -> Result<Labelling> {
        let group_by = group.and_then(|group| group.group_by.as_deref());
        Ok(Labelling {
            list: self.list(group_by)?,
            templates: self.templates()?,
            combine: self.combine,
            same_tokens: SameTokens::Merge,
            long_text: self.long_text,
            cache_root: match self.no_cache {
                true => None,
                false => cache_of("labels"),
            },
            grouping: if group_by.is_some() {
                Grouping::ByGroup
            } else {
                Grouping::None
            },
        })
    }

    /// All flags' labels, in the order `--labels`, `--label`, `--labels-file`.
    fn list(&self, group_by: Option<&str>) -> Result<LabelList> {
        let group_column = group_by.unwrap_or(files::GROUP);
        if ["label", "prompt"].contains(&group_column) {
            return Err(Error::usage(
                format!("`--group-by {group_column}` names the column of the {group_column}s"),
                "name a column of groups, or leave the name out for `group`",
            ));
        }
        let mut list = LabelList::default();
        list.extend(self.labels.iter().chain(&self.label).map(Label::plain))?;
        for file in &self.labels_file {
            list.extend_lines(files::read_label_lines(file, group_column)?)?;
        }
        if group_by.is_some() && list.labels().iter().all(|label| label.group.is_none()) {
            return Err(Error::usage(
                "`--group-by` changes nothing: no label has a group",
                "give them in a label file: a column `group` in csv or tsv, or `{\"cat\": {\"group\": \"animal\"}}` in json",
            ));
        }
        Ok(list)
    }

    fn templates(&self) -> Result<Vec<Template>> {
        let mut templates: Vec<Template> = self
            .template
            .iter()
            .map(|text| Template::new(text))
            .collect::<Result<_>>()?;
        match self.templates.as_deref() {
            None => {}
            Some("none") if templates.is_empty() => {}
            Some("none") => {
                return Err(Error::usage(
                    "`--templates none` and `--template` exclude each other",
                    "leave out one of them",
                ));
            }
            Some(named) => templates.extend(named_templates(named)?),
        }
        Ok(templates)
    }

    /// Why no images were given: often `--labels` took them.
    fn no_images(&self, group: &GroupFlag, command: &str) -> Error {
        if let Some(swallowed) = group.group_by.as_deref().filter(|column| is_image(column)) {
            return Error::usage(
                format!("no images given; `--group-by` took `{swallowed}` as the name of a column"),
                format!("put images first: `{command} {swallowed} --group-by ...`"),
            );
        }
        match self.labels.iter().find(|label| is_image(label)) {
            Some(swallowed) => Error::usage(
                format!(
                    "no images given; `--labels` took `{swallowed}` as a label, since it takes everything after it"
                ),
                format!("put images first: `{command} {swallowed} --labels ...`, or name each label with `--label`"),
            ),
            None => Error::usage(
                "no images given",
                format!("name them first: `{command} photo.jpg --labels \"a cat\" \"a dog\"`"),
            ),
        }
    }
}

/// Several labels, in quotes, if one label with commas probably means them.
fn several_in(label: &Label) -> Option<String> {
    let parts: Vec<&str> = label
        .name
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    if !label.prompts.is_empty() || parts.len() < 2 {
        return None;
    }
    let quoted: Vec<String> = parts.iter().map(|part| format!("\"{part}\"")).collect();
    Some(quoted.join(" "))
}

/// Whether a label is more likely an image: it exists, or is named like one.
fn is_image(label: &str) -> bool {
    let path = Path::new(label);
    path.is_file() || (!label.contains(' ') && is_named_like_a_picture(path))
}
