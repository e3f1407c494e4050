//! `longclip tokens TEXT...`: what the text tower reads of a text. Needs no model: it is the tokenizer that
//! CLIPs share, except MetaCLIP 2.

use std::io::{self, BufWriter, Write};

use longclip::text::{ContextLength, Tokenizer, Tokens, printable, start_of};
use serde::Serialize;

use super::Outcome;
use super::print_format::PrintFormat;
use super::report::{Exit, Report};

const EXAMPLES: &str = "\
Examples:
  longclip tokens \"a photo of a cat\"
  longclip tokens --format json \"it's\" \"a cat\"
  longclip tokens \"$(cat caption.txt)\"";

/// Print the token ids of texts, and how many there are
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Texts to show as the model reads them
    ///
    /// Example: `longclip tokens "a photo of a cat"`
    #[arg(value_name = "TEXT", required = true)]
    texts: Vec<String>,
    /// table or json
    ///
    /// A line per token for reading, or one array of records. Example: `--format json`
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    format: PrintFormat,
    /// How many tokens the model reads
    ///
    /// The start and the end token are two of them. Example: `--context 77`
    #[arg(long, value_name = "N", default_value_t = ContextLength::LONG.get())]
    context: usize,
}

/// One text in the JSON array.
#[derive(Serialize)]
struct Row<'a> {
    text: &'a str,
    ids: &'a [u32],
    pieces: Vec<String>,
    count: usize,
    truncated: bool,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let context = ContextLength::new(args.context)?;
    let mut out = BufWriter::new(io::stdout().lock());
    print(args, context, &mut out)?;
    out.flush()?;
    for text in &args.texts {
        warn_if_cut(text, &Tokenizer::clip().encode(text, context), context, report);
    }
    Ok(Exit::Done)
}

fn print(args: &Args, context: ContextLength, out: &mut impl Write) -> io::Result<()> {
    for (n, text) in args.texts.iter().enumerate() {
        let tokens = Tokenizer::clip().encode(text, context);
        match args.format {
            PrintFormat::Table => write_table(out, text, &tokens, context)?,
            PrintFormat::Json => {
                out.write_all(if n == 0 { b"[\n" } else { b",\n" })?;
                serde_json::to_writer(&mut *out, &Row::new(text, &tokens))?;
            }
        }
    }
    match args.format {
        PrintFormat::Table => Ok(()),
        PrintFormat::Json => out.write_all(b"\n]\n"),
    }
}

impl<'a> Row<'a> {
    fn new(text: &'a str, tokens: &'a Tokens) -> Self {
        Self {
            text,
            ids: tokens.ids(),
            pieces: tokens.pieces(),
            count: tokens.count(),
            truncated: tokens.truncated(),
        }
    }
}

/// The text, one line per token, the count.
fn write_table(out: &mut impl Write, text: &str, tokens: &Tokens, context: ContextLength) -> io::Result<()> {
    writeln!(out, "{}", printable(&start_of(text)))?;
    for (id, piece) in tokens.ids().iter().zip(tokens.pieces()) {
        writeln!(out, "{id:>7}  {}", printable(&piece))?;
    }
    writeln!(out, "{:>7}  tokens of {}", tokens.count(), context.get())
}

fn warn_if_cut(text: &str, tokens: &Tokens, context: ContextLength, report: Report) {
    if tokens.truncated() {
        report.warning(format!(
            "the text `{}` has {} tokens; {} are read and {} lost, from `{}`",
            start_of(text),
            tokens.count(),
            context.get(),
            tokens.lost_count(),
            start_of(tokens.lost()),
        ));
    }
}
