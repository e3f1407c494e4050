//! Writes a checkpoint as safetensors under the names that other programs expect.
//!
//! Called by `longclip model convert`. Writing is the reverse of reading a key layout: it transposes what reading
//! transposes, and splits what reading joins. Tensors are written one at a time, so a model larger than memory can be
//! converted. f16 and bf16 stay; every other number type becomes f32. transformers requires `format: pt` in a file's
//! metadata.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use serde_json::{Value, json};

use super::config::{METADATA_KEY, Written};
use super::files::{IMAGE_CONFIG, OPENCLIP_CONFIG, TRANSFORMERS_CONFIG};
use super::layouts::{self, Assembly, Layout};
use super::stored::TensorFile;
use super::{Checkpoint, FileFormat, TextPositions, assemble, export_config};
use crate::error::{Error, Result};
use crate::files;
use crate::named::named;

/// The key layout and files of a written model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportLayout {
    /// Upstream's, with both position tables, in one file.
    LongClip,
    /// Hugging Face transformers' `CLIPModel`: a folder with `model.safetensors`, `config.json` and
    /// `preprocessor_config.json`.
    HuggingFace,
    /// open_clip's: a folder with `open_clip_model.safetensors` and `open_clip_config.json`.
    OpenClip,
}

named!(ExportLayout, "layout of a written model": LongClip = "safetensors", HuggingFace = "hf", OpenClip = "openclip");

impl ExportLayout {
    /// Whether it is a folder of several files.
    pub fn is_folder(self) -> bool {
        match self {
            ExportLayout::LongClip => false,
            ExportLayout::HuggingFace | ExportLayout::OpenClip => true,
        }
    }

    /// The files that [`export`] may write: weights first.
    pub fn files(self, target: &Path) -> Vec<PathBuf> {
        let names: &[&str] = match self {
            ExportLayout::LongClip => return vec![target.to_owned()],
            ExportLayout::HuggingFace => &["model.safetensors", TRANSFORMERS_CONFIG, IMAGE_CONFIG],
            ExportLayout::OpenClip => &["open_clip_model.safetensors", OPENCLIP_CONFIG],
        };
        names.iter().map(|name| target.join(name)).collect()
    }
}

/// Writes `checkpoint` to `target`, a file or a folder, and returns the files. Files of these names are replaced.
///
/// # Errors
/// [`Error::Usage`] if the other library does not compute such a model; [`Error::Write`] if it can't be written;
/// [`Error::BadTensors`] if a number isn't finite.
pub fn export(checkpoint: &Checkpoint, layout: ExportLayout, target: &Path) -> Result<Vec<PathBuf>> {
    let (sizes, recipe) = (checkpoint.sizes(), checkpoint.recipe());
    refuse_own_tokenizer(checkpoint)?;
    let configs = match layout {
        ExportLayout::LongClip => Vec::new(),
        ExportLayout::HuggingFace => export_config::transformers(sizes, recipe)?,
        ExportLayout::OpenClip => export_config::openclip(sizes, recipe)?,
    };
    let weights = layout.files(target).swap_remove(0);
    let mut paths = vec![weights];
    if !configs.is_empty() {
        fs::create_dir_all(target).map_err(Error::write(target))?;
    }
    for (name, config) in configs {
        let path = target.join(name);
        let text = format!("{config:#}\n");
        files::replace(&path, |new| fs::write(new, text).map_err(Error::write(&path)))?;
        paths.push(path);
    }
    let path = &paths[0];
    files::replace(path, |new| {
        let file = File::create(new).map_err(Error::write(path))?;
        write_weights(checkpoint, layout, file, path)
    })?;
    Ok(paths)
}

/// Writes `checkpoint` to a stream, in [`ExportLayout::LongClip`]. Messages call the stream `name`.
///
/// # Errors
/// Those of [`export`].
pub fn export_to_stream(checkpoint: &Checkpoint, out: impl Write, name: &Path) -> Result<()> {
    refuse_own_tokenizer(checkpoint)?;
    write_weights(checkpoint, ExportLayout::LongClip, out, name)
}

fn refuse_own_tokenizer(checkpoint: &Checkpoint) -> Result<()> {
    match checkpoint.tokenizer() {
        None => Ok(()),
        Some(_) => Err(Error::usage(
            "a model with a tokenizer of its own can't be converted",
            "use its folder unchanged: `transformers` reads it",
        )),
    }
}

/// A tensor to be written, under upstream's name.
struct Outgoing<'a> {
    name: String,
    shape: Vec<usize>,
    number_type: NumberType,
    assembly: Assembly,
    checkpoint: &'a Checkpoint,
}

#[derive(Clone, Copy)]
enum NumberType {
    F32,
    F16,
    Bf16,
}

impl NumberType {
    fn of(stored: Option<String>) -> Self {
        match stored.as_deref() {
            Some("f16") => NumberType::F16,
            Some("bf16") => NumberType::Bf16,
            _ => NumberType::F32,
        }
    }

    fn size_bytes(self) -> usize {
        match self {
            NumberType::F32 => 4,
            NumberType::F16 | NumberType::Bf16 => 2,
        }
    }

    /// Its name in a safetensors header.
    fn name(self) -> &'static str {
        match self {
            NumberType::F32 => "F32",
            NumberType::F16 => "F16",
            NumberType::Bf16 => "BF16",
        }
    }

    fn write(self, value: f32, out: &mut impl Write) -> io::Result<()> {
        match self {
            NumberType::F32 => out.write_all(&value.to_le_bytes()),
            NumberType::F16 => out.write_all(&f16::from_f32(value).to_le_bytes()),
            NumberType::Bf16 => out.write_all(&bf16::from_f32(value).to_le_bytes()),
        }
    }
}

impl Outgoing<'_> {
    /// Names and shapes in the file.
    fn parts(&self) -> Vec<(&str, Vec<usize>)> {
        self.assembly.stored_shapes(&self.shape, &no_tensors())
    }

    /// The values, row-major, in upstream's shape.
    fn values(&self) -> Result<Cow<'_, [f32]>> {
        match self.are_positions_as_used() {
            true => self.checkpoint.text_positions().map(Cow::Owned),
            false => self.checkpoint.values(&self.name),
        }
    }

    /// Whether to write the table of positions that the model uses, instead of one that is stored in the file. If one of
    /// several tables was chosen, only that one is written, so that other programs use it too.
    fn are_positions_as_used(&self) -> bool {
        let is_chosen = self.checkpoint.positions() != TextPositions::Joined;
        match self.name.as_str() {
            MERGED_POSITIONS => true,
            POSITIONS => is_chosen || matches!(self.shape.first(), Some(rows) if *rows != self.stored_rows()),
            RESIDUAL_POSITIONS => is_chosen || !self.checkpoint.has_residual_positions(),
            _ => false,
        }
    }

    fn stored_rows(&self) -> usize {
        self.checkpoint.sizes().stored_context_length
    }

    /// Writes the parts in their order in the file; joined ones are already adjacent in memory.
    fn write(&self, values: &[f32], out: &mut impl Write) -> io::Result<()> {
        let values = match (&self.assembly, self.shape.as_slice()) {
            (Assembly::Transposed(_), [rows, columns]) => Cow::Owned(assemble::transposed(values, *rows, *columns)),
            _ => Cow::Borrowed(values),
        };
        values.iter().try_for_each(|value| self.number_type.write(*value, out))
    }
}

const POSITIONS: &str = "positional_embedding";
const RESIDUAL_POSITIONS: &str = "positional_embedding_res";
/// Not one of upstream's names: both tables merged, for programs that know only one table.
const MERGED_POSITIONS: &str = "positional_embedding (merged)";

/// All tensors to write, in the order of the file.
fn outgoing(checkpoint: &Checkpoint, layout: ExportLayout) -> Vec<Outgoing<'_>> {
    let names: &Layout = match layout {
        ExportLayout::HuggingFace => &layouts::HUGGING_FACE,
        ExportLayout::LongClip | ExportLayout::OpenClip => &layouts::OPENAI,
    };
    // A layout may look at the file to see which spelling of a name it has. For an empty file, it gives the usual one.
    let empty = no_tensors();
    let positions = vec![checkpoint.sizes().context_length, checkpoint.sizes().text_width];
    let mut tensors: Vec<_> = checkpoint
        .tensors()
        .into_iter()
        .filter(|(name, _)| name != POSITIONS && name != RESIDUAL_POSITIONS)
        .collect();
    match layout {
        ExportLayout::LongClip => {
            tensors.push((POSITIONS.into(), positions.clone()));
            tensors.push((RESIDUAL_POSITIONS.into(), positions));
        }
        ExportLayout::HuggingFace | ExportLayout::OpenClip => tensors.push((MERGED_POSITIONS.into(), positions)),
    }
    let outgoing = |(name, shape): (String, Vec<usize>)| {
        let target = if name == MERGED_POSITIONS { POSITIONS } else { &name };
        let is_table = [POSITIONS, RESIDUAL_POSITIONS, MERGED_POSITIONS].contains(&name.as_str());
        Outgoing {
            number_type: match is_table {
                true => positions_type(checkpoint),
                false => NumberType::of(checkpoint.stored_type(&name)),
            },
            assembly: (names.assembly)(&empty, target),
            name,
            shape,
            checkpoint,
        }
    };
    tensors.into_iter().map(outgoing).collect()
}

fn no_tensors() -> TensorFile {
    TensorFile {
        path: PathBuf::new(),
        format: FileFormat::Safetensors,
        blobs: Vec::new(),
        tensors: BTreeMap::new(),
    }
}

/// One type for both tables; rows that are computed here are not rounded.
fn positions_type(checkpoint: &Checkpoint) -> NumberType {
    let stored = checkpoint.stored_type(POSITIONS);
    let stretched = checkpoint.sizes().context_length != checkpoint.sizes().stored_context_length;
    let mixed = checkpoint.has_residual_positions() && checkpoint.stored_type(RESIDUAL_POSITIONS) != stored;
    if stretched || mixed {
        NumberType::F32
    } else {
        NumberType::of(stored)
    }
}

/// Writes the bytes of a safetensors file. Messages call it `path`.
fn write_weights(checkpoint: &Checkpoint, layout: ExportLayout, out: impl Write, path: &Path) -> Result<()> {
    let tensors = outgoing(checkpoint, layout);
    let own = match layout {
        ExportLayout::LongClip => export_config::of_bare_file(checkpoint.sizes(), checkpoint.recipe()),
        ExportLayout::HuggingFace | ExportLayout::OpenClip => None,
    };
    let header = header(&tensors, own);
    let mut out = BufWriter::with_capacity(1 << 20, out);
    let header_len = header.len() as u64;
    out.write_all(&header_len.to_le_bytes()).map_err(Error::write(path))?;
    out.write_all(header.as_bytes()).map_err(Error::write(path))?;
    for tensor in tensors {
        let values = tensor.values()?;
        assert_eq!(
            values.len(),
            tensor.shape.iter().product::<usize>(),
            "the size of `{}`",
            tensor.name
        );
        tensor.write(&values, &mut out).map_err(Error::write(path))?;
    }
    out.flush().map_err(Error::write(path))
}

/// The JSON at the start of a safetensors file, padded so that the numbers after it are aligned.
fn header(tensors: &[Outgoing<'_>], own: Option<Written>) -> String {
    let mut entries = serde_json::Map::new();
    let mut metadata = json!({ "format": "pt" });
    if let Some(own) = own {
        metadata[METADATA_KEY] = Value::String(own.json().to_string());
    }
    entries.insert("__metadata__".into(), metadata);
    let mut begin = 0;
    for tensor in tensors {
        for (name, shape) in tensor.parts() {
            let end = begin + shape.iter().product::<usize>() * tensor.number_type.size_bytes();
            let entry = json!({ "dtype": tensor.number_type.name(), "shape": shape, "data_offsets": [begin, end] });
            entries.insert(name.to_owned(), entry);
            begin = end;
        }
    }
    let text = Value::Object(entries).to_string();
    let padded = text.len().next_multiple_of(8);
    format!("{text:padded$}")
}

#[cfg(test)]
#[path = "../../tests/short_clip/mod.rs"]
mod short_clip;

#[cfg(test)]
mod tests {
    use super::super::LoadOptions;
    use super::short_clip::short_clip;
    use super::*;

    fn nano() -> Checkpoint {
        Checkpoint::from_bytes("nano", crate::nano::safetensors(), &LoadOptions::default()).unwrap()
    }

    /// A CLIP of 77 positions, stretched as it is read.
    fn base() -> Checkpoint {
        let weights = short_clip(crate::nano::safetensors());
        Checkpoint::from_bytes("base", weights, &LoadOptions::default()).unwrap()
    }

    /// Writes `checkpoint`, reads it again and compares every number.
    #[track_caller]
    fn check_round_trip(checkpoint: &Checkpoint, layout: ExportLayout, expected_layout: &str) {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("written");
        export(checkpoint, layout, &target).unwrap();
        let again = Checkpoint::open(&target, &LoadOptions::default()).unwrap();
        assert_eq!(again.layout(), expected_layout);
        assert_eq!(again.recipe(), checkpoint.recipe());
        assert_eq!(again.sizes().text_heads, checkpoint.sizes().text_heads);
        assert_eq!(again.sizes().context_length, checkpoint.sizes().context_length);
        assert_eq!(again.text_positions().unwrap(), checkpoint.text_positions().unwrap());
        let names = checkpoint.tensors().into_iter().map(|(name, _)| name);
        for name in names.filter(|name| name != POSITIONS && name != RESIDUAL_POSITIONS) {
            assert!(
                again.values(&name).unwrap() == checkpoint.values(&name).unwrap(),
                "{name}"
            );
        }
    }

    #[test]
    fn every_number_comes_back_from_every_layout() {
        let upstream = layouts::OPENAI.name;
        for model in [nano(), base()] {
            check_round_trip(&model, ExportLayout::LongClip, upstream);
            check_round_trip(&model, ExportLayout::OpenClip, upstream);
            check_round_trip(&model, ExportLayout::HuggingFace, layouts::HUGGING_FACE.name);
        }
    }

    #[test]
    fn both_position_tables_of_a_long_clip_survive_or_are_merged() {
        let path = Path::new("../shared/reference/model-tiny/longclip.safetensors");
        if !path.exists() {
            return;
        }
        let tiny = Checkpoint::open(path, &LoadOptions::default()).unwrap();
        assert!(tiny.has_residual_positions());
        check_round_trip(&tiny, ExportLayout::LongClip, layouts::OPENAI.name);
        check_round_trip(&tiny, ExportLayout::OpenClip, layouts::OPENAI.name);
        check_round_trip(&tiny, ExportLayout::HuggingFace, layouts::HUGGING_FACE.name);
    }

    #[test]
    fn upstreams_file_has_both_tables_and_the_types_of_its_source() {
        let dir = tempfile::tempdir().unwrap();
        // Rows that stretching computed are not rounded.
        let f16 = safetensors::Dtype::F16;
        for (model, positions) in [(nano(), f16), (base(), safetensors::Dtype::F32)] {
            let target = dir.path().join(format!("{positions:?}.safetensors"));
            export(&model, ExportLayout::LongClip, &target).unwrap();
            let bytes = fs::read(&target).unwrap();
            let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            assert_eq!(
                file.tensor(POSITIONS).unwrap().shape(),
                file.tensor(RESIDUAL_POSITIONS).unwrap().shape()
            );
            assert_eq!(file.tensor("visual.proj").unwrap().dtype(), f16);
            assert_eq!(file.tensor(POSITIONS).unwrap().dtype(), positions);
        }
    }
}
