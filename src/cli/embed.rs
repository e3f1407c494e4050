//! `longclip embed IMAGE... | --text T`: vectors of the joint space.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use longclip::model::{Embeddings, LongClip};
use longclip::output::{EmbeddingRecord, Input, Outcome as RecordOutcome};
use longclip::{ErrorKind, Result};

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
        // Any text can be encoded; where one can't, it is the model that reads no texts.
        let embedding = model.encode_text(text)?.0;
        write(&mut out, Input::Text(text.clone()), vector(&embedding, args))?;
    }
    for image in &args.images {
        let name = image.display().to_string();
        let outcome = match embed_picture(&model, args, image) {
            Ok(embeddings) => vector(&embeddings, args),
            Err(error) if error.kind() == ErrorKind::Model => return Err(error.into()),
            Err(error) => {
                n_failed += 1;
                report.failed_input(&name, &error);
                RecordOutcome::Failed(reason(&error))
            }
        };
        write(&mut out, Input::Path(name), outcome)?;
    }
    out.flush()?;
    Ok(if n_failed > 0 { Exit::SomeFailed } else { Exit::Done })
}

fn embed_picture(model: &LongClip, args: &Args, image: &std::path::Path) -> Result<Embeddings> {
    let preprocess = args.pictures.apply(model.preprocess());
    let pixels = preprocess.run(&image.display().to_string(), &read_picture(image)?)?;
    model.encode_image(&pixels).map(|embeddings| embeddings.0)
}

fn vector(embeddings: &Embeddings, args: &Args) -> RecordOutcome {
    RecordOutcome::Embedding(if args.normalize {
        embeddings.normalized().row(0).to_vec()
    } else {
        embeddings.row(0).to_vec()
    })
}

fn write(out: &mut dyn Write, input: Input, outcome: RecordOutcome) -> io::Result<()> {
    let mut line = serde_json::to_vec(&EmbeddingRecord { input, outcome })?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}
