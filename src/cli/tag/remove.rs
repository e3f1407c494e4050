//! `longclip tag --remove`: takes our tags out of the files next to images.

use longclip::Error;
use longclip::error::counted;
use longclip::input::Content;

use super::Args;
use crate::cli::Outcome;
use crate::cli::report::{Failures, Report};

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    if args.input.is_empty() {
        let hint = "name some: `longclip tag photos/ --write xmp --remove`";
        return Err(Error::usage("no images given", hint).into());
    }
    let vocabulary = args.vocabulary.vocabulary()?;
    let inputs = args.input.plan(args.vocabulary.reads_stdin())?;
    let (mut n_images, mut failures) = (0, Failures::new(report));
    let words = args.with_files(&inputs, &vocabulary, report, |files| {
        for item in inputs.items() {
            let Content::File(photo) = &item.content else { continue };
            n_images += 1;
            if let Err(error) = files.remove(photo) {
                failures.add(&item.name.to_string(), &error);
            }
        }
        Ok(files.in_words())
    })?;
    let images = counted(n_images, "image");
    let failed = match failures.n {
        0 => String::new(),
        n => format!(", {n} failed"),
    };
    report.note(format!("{images}{failed}; {words}"));
    Ok(failures.exit(n_images))
}
