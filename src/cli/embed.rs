//! `longclip embed IMAGE... | --text T`: vectors of the joint space.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use longclip::model::{Embeddings, LongClip};
use longclip::output::{EmbeddingRecord, Input, Outcome as RecordOutcome};
use longclip::{Error, Result};

use super::Outcome;
use super::classify::{PictureFlags, read_picture};
use super::model_flags::{ModelFlags, reason, warn_of_cut_texts};
use super::report::{Exit, Report};

const EXAMPLES: &str = "\
Examples:
  longclip embed img/cat.jpg
  longclip embed --text \"a cat\" --text \"a dog\" --normalize
  longclip embed *.jpg --normalize > photos.ndjson";

/// Print the vectors of pictures or texts
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Pictures
    #[arg(value_name = "IMAGE", required_unless_present = "text")]
    images: Vec<PathBuf>,
    /// A text; may be repeated
    #[arg(short, long, value_name = "TEXT")]
    text: Vec<String>,
    /// Make vectors unit length
    #[arg(long)]
    normalize: bool,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "ndjson")]
    format: FormatName,
    #[command(flatten)]
    pictures: PictureFlags,
    #[command(flatten)]
    model: ModelFlags,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatName {
    Ndjson,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let model = args.model.load(report)?;
    let FormatName::Ndjson = args.format;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut n_failed = 0;
    warn_of_cut_texts(&model, args.text.iter().map(String::as_str), "text", report);
    for text in &args.text {
        let outcome = outcome(model.encode_text(text).map(|embeddings| embeddings.0), args);
        write(&mut out, Input::Text(text.clone()), outcome)?;
    }
    for image in &args.images {
        let name = image.display().to_string();
        let embedded = embed_picture(&model, args, image);
        if let Err(error) = &embedded {
            n_failed += 1;
            report.failed_input(&name, error);
        }
        write(&mut out, Input::Path(name), outcome(embedded, args))?;
    }
    out.flush()?;
    Ok(if n_failed > 0 { Exit::SomeFailed } else { Exit::Done })
}

fn embed_picture(model: &LongClip, args: &Args, image: &std::path::Path) -> Result<Embeddings> {
    let preprocess = args.pictures.apply(model.preprocess());
    let pixels = preprocess.run(&image.display().to_string(), &read_picture(image)?)?;
    model.encode_image(&pixels).map(|embeddings| embeddings.0)
}

fn outcome(embedded: Result<Embeddings, Error>, args: &Args) -> RecordOutcome {
    match embedded {
        Ok(embeddings) if args.normalize => RecordOutcome::Embedding(embeddings.normalized().row(0).to_vec()),
        Ok(embeddings) => RecordOutcome::Embedding(embeddings.row(0).to_vec()),
        Err(error) => RecordOutcome::Failed(reason(&error)),
    }
}

fn write(out: &mut dyn Write, input: Input, outcome: RecordOutcome) -> io::Result<()> {
    let mut line = serde_json::to_vec(&EmbeddingRecord { input, outcome })?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}
