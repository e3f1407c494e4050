//! Words a hint of the library for the command line: says which flag sets what the hint names.

use longclip::Error;
use longclip::error::{Control, Hint, without_number};

/// The advice in flags.
pub(super) fn in_flags(hint: &Hint) -> Option<String> {
    hint.worded(|control| Some(flag(control)))
}

/// An error as one line for a record: what happened, and what to do.
pub(super) fn reason(error: &Error) -> String {
    without_number(&error.reason(|control| Some(flag(control))))
}

fn flag(control: &Control) -> String {
    match control {
        Control::CpuDevice => "`--device cpu`".into(),
        Control::BuildFeature(feature) => format!("`--features {feature}`"),
        Control::Nano => "`--model nano`".into(),
        Control::ListModels => "`longclip model list`".into(),
        Control::PullModel(name) => format!("`longclip model pull {name}`"),
        Control::IgnoreSurplus => "`--ignore-surplus`".into(),
        Control::Activation => "`--activation`".into(),
        Control::TextPositions(name) => format!("`--positions {name}`"),
        Control::TruncateLongText => "`--long-text truncate`".into(),
        Control::ChunkLongText => "`--long-text chunk`".into(),
        Control::Labels => "`--labels \"a cat\" \"a dog\"`, or `--labels-file FILE`".into(),
        Control::Reject => "`--reject`".into(),
        Control::IndependentScore => "`--score independent`".into(),
        Control::TextField => "`--text-field`".into(),
        Control::MaxPixels => "`--max-pixels`".into(),
        Control::UrlTimeout => "`--url-timeout`".into(),
        Control::ArrowInput => "`--in arrow`".into(),
        Control::BuildIndex(name) => format!("`longclip search build photos/ -o {name}`"),
        Control::Resume => "`--resume`".into(),
        Control::ReplaceFiles => "`--force`".into(),
    }
}
