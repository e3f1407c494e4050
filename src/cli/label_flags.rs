//! The flags that say what pictures may show, and the checked list of labels that they come to.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use longclip::input::Inputs;
use longclip::labels::{
    Combine, Label, LabelList, LabelSet, LongText, PublishedTemplates, Template, files, read_templates,
};
use longclip::session::Labelling;
use longclip::{Error, Grouping, Result};
use serde_json::json;

use super::input_flags::InputFlags;
use super::label_cache;
use super::report::Report;
use super::shards::Facts;

/// What pictures may show.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Labels")]
pub(super) struct LabelFlags {
    /// Labels, up to 248 tokens each; takes all arguments up to the next flag
    #[arg(short, long, value_name = "LABEL", num_args = 1..)]
    labels: Vec<String>,
    /// One label; may be repeated
    #[arg(long = "label", value_name = "LABEL")]
    label: Vec<String>,
    /// A file of labels: one a line, or `.json`, `.csv`, `.tsv` with prompts and groups; may be repeated; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    labels_file: Vec<PathBuf>,
    /// What is read for a label without prompts of its own, as "a photo of a {}."; may be repeated, and is averaged then
    #[arg(long, value_name = "TEXT")]
    template: Vec<String>,
    /// A set of templates: `imagenet80`, `imagenet7`, `none`, or a file with one a line [default: none]
    #[arg(long, value_name = "SET")]
    templates: Option<String>,
    /// What becomes of a label's prompts: `mean`, their average, or `max`, the nearest one counts
    #[arg(long, value_name = "HOW", default_value = "mean", hide_short_help = true)]
    combine: CombineName,
    /// What becomes of a text of more than 248 tokens: `truncate` cuts it, `chunk` reads it in parts, whose embeddings
    /// are averaged, `error` refuses it
    #[arg(long, value_name = "HOW", default_value = "truncate", hide_short_help = true)]
    long_text: LongTextName,
    /// Sum up probabilities by the groups of the label files; COLUMN is the table's column that names them [default: group]
    #[arg(long, value_name = "COLUMN", num_args = 0..=1, default_missing_value = files::GROUP, hide_short_help = true)]
    group_by: Option<String>,
    /// Neither use nor keep the labels' vectors of earlier runs ($XDG_CACHE_HOME/longclip, else ~/.cache/longclip)
    #[arg(long, hide_short_help = true)]
    no_cache: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CombineName {
    Mean,
    Max,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LongTextName {
    Truncate,
    Error,
    Chunk,
}

impl LabelFlags {
    /// Checks what was asked for: the sources, and the run's labels, which may be none where records bring their own.
    pub(super) fn plan(&self, input: &InputFlags, report: Report) -> Result<(Inputs, Labelling)> {
        if input.is_empty() {
            return Err(self.no_pictures());
        }
        if let Some(swallowed) = self.labels.iter().find(|label| is_picture(label)) {
            report.warning(format!(
                "the label `{swallowed}` looks like a picture: put pictures before `--labels`, which takes everything behind it"
            ));
        }
        let inputs = input.inputs(self.reads_stdin())?;
        let labelling = self.labelling()?;
        if labelling.list.is_empty() && !input.may_bring_labels() {
            return Err(LabelSet::none_given());
        }
        Ok((inputs, labelling))
    }

    /// The files that labels and templates are read from.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let labels = self.labels_file.iter().map(|file| ("the label file", file.as_path()));
        let templates = self.templates.iter().map(|file| ("the template file", Path::new(file)));
        labels.chain(templates)
    }

    /// Whether the person said what labels are asked by.
    pub(super) fn name_templates(&self) -> bool {
        !self.template.is_empty() || self.templates.is_some()
    }

    /// Whether probabilities are summed up by group.
    #[cfg(feature = "arrow")]
    pub(super) fn are_grouped(&self) -> bool {
        self.group_by.is_some()
    }

    /// The flag that reads stdin, where one does.
    pub(super) fn reads_stdin(&self) -> Option<&'static str> {
        let from_stdin = self.labels_file.iter().any(|file| file == Path::new("-"));
        from_stdin.then_some("--labels-file -")
    }

    /// Checks the labels alone, of which there may be none.
    pub(super) fn labelling(&self) -> Result<Labelling> {
        Ok(Labelling {
            list: self.list()?,
            templates: self.templates()?,
            combine: match self.combine {
                CombineName::Mean => Combine::Mean,
                CombineName::Max => Combine::Max,
            },
            long_text: match self.long_text {
                LongTextName::Truncate => LongText::Truncate,
                LongTextName::Error => LongText::Refuse,
                LongTextName::Chunk => LongText::Chunk,
            },
            cache_root: if self.no_cache { None } else { label_cache::root() },
            grouping: if self.group_by.is_some() {
                Grouping::ByGroup
            } else {
                Grouping::None
            },
        })
    }

    /// All flags' labels, in the order `--labels`, `--label`, `--labels-file`.
    fn list(&self) -> Result<LabelList> {
        let group_column = self.group_by.as_deref().unwrap_or(files::GROUP);
        if ["label", "prompt"].contains(&group_column) {
            return Err(Error::usage(
                format!("`--group-by {group_column}` names the column of the {group_column}s"),
                "name a column of groups, or leave the name out for `group`",
            ));
        }
        let mut list = LabelList::default();
        list.extend(self.labels.iter().chain(&self.label).map(Label::plain))?;
        for file in &self.labels_file {
            list.extend(files::read_labels(file, group_column)?)?;
        }
        if self.group_by.is_some() && list.labels().iter().all(|label| label.group.is_none()) {
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
            Some("imagenet80") => templates.extend(PublishedTemplates::ImageNet80.templates()),
            Some("imagenet7") => templates.extend(PublishedTemplates::ImageNet7.templates()),
            Some(file) if Path::new(file).exists() => templates.extend(read_templates(Path::new(file))?),
            Some(other) => {
                return Err(Error::usage(
                    format!("`--templates {other}` is neither a set of templates nor a file"),
                    "the sets are `imagenet80`, `imagenet7` and `none`; a file has a template a line",
                ));
            }
        }
        Ok(templates)
    }

    /// Why there is no picture: often `--labels` took it.
    fn no_pictures(&self) -> Error {
        if let Some(swallowed) = self.group_by.as_deref().filter(|column| is_picture(column)) {
            return Error::usage(
                format!("no pictures given; `--group-by` took `{swallowed}` as the name of a column"),
                format!("put pictures first: `longclip classify {swallowed} --group-by ...`"),
            );
        }
        match self.labels.iter().find(|label| is_picture(label)) {
            Some(swallowed) => Error::usage(
                format!(
                    "no pictures given; `--labels` took `{swallowed}` as a label, as it takes everything behind it"
                ),
                format!(
                    "put pictures first: `longclip classify {swallowed} --labels ...`, or name each label with `--label`"
                ),
            ),
            None => Error::usage(
                "no pictures given",
                "name them first: `longclip classify photo.jpg --labels \"a cat\" \"a dog\"`",
            ),
        }
    }
}

/// What records depend on, by name.
pub(super) fn facts(labelling: &Labelling) -> Facts {
    let label = |label: &Label| {
        if label.prompts.is_empty() && label.group.is_none() {
            return json!(label.name);
        }
        json!({"label": label.name, "prompts": label.prompts, "group": label.group})
    };
    let templates = labelling.templates.iter().map(|template| template.fill("{}"));
    let combine = match labelling.combine {
        Combine::Mean => "mean",
        Combine::Max => "max",
    };
    let long_text = match labelling.long_text {
        LongText::Truncate => "truncate",
        LongText::Refuse => "error",
        LongText::Chunk => "chunk",
    };
    Facts::from_iter([
        ("labels".into(), labelling.list.labels().iter().map(label).collect()),
        ("templates".into(), templates.collect()),
        ("combine".into(), combine.into()),
        ("long_text".into(), long_text.into()),
        ("group_by".into(), (labelling.grouping == Grouping::ByGroup).into()),
    ])
}

/// Whether a label is more likely a picture: it exists, or is named like one.
fn is_picture(label: &str) -> bool {
    const ENDINGS: [&str; 8] = [".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"];
    let lower = label.to_lowercase();
    Path::new(label).is_file() || (!label.contains(' ') && ENDINGS.iter().any(|ending| lower.ends_with(ending)))
}
