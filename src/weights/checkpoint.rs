//! One CLIP's tensors, checked and under upstream's names, from any file format and layout.
//!
//! Opening maps the file, checks every name, shape and type, and checks that vectors are finite. Matrices are read and
//! checked when they are used, so that an unused tower costs nothing. Called by `model` and by `longclip model`.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use half::f16;

use super::config::{Found, RecipeSource};
use super::layouts::{self, Assembly, Layout};
use super::names::ModelSource;
use super::notice::Notice;
use super::options::{LoadOptions, TextPositions};
use super::sizes::{Shapes, Sizes, TOKENIZER_IDS};
use super::stored::{FileFormat, TensorFile};
use super::towers::Tower;
use super::{assemble, config, families, open, problems, tables, wrappers};
use crate::error::{Error, Result};
use crate::kernels::all_finite;
use crate::nano;
use crate::recipe::Recipe;

/// Checked tensors of one CLIP under upstream's names.
pub struct Checkpoint {
    file: TensorFile,
    layout: &'static Layout,
    towers: Vec<Tower>,
    sizes: Sizes,
    found: Found,
    positions: TextPositions,
    /// `None` for CLIP's.
    tokenizer: Option<PathBuf>,
    options: LoadOptions,
}

impl Checkpoint {
    /// Opens a file (`.safetensors`, `.pt`, the index of shards) or a folder with one of these.
    ///
    /// # Errors
    /// [`Error::Read`] if it can't be read, [`Error::NotWeights`] or [`Error::ForeignPickle`] if it is something else,
    /// [`Error::BadTensors`] if its tensors are not those of a whole CLIP.
    pub fn open(path: &Path, options: &LoadOptions) -> Result<Self> {
        Self::open_for(&Tower::BOTH, path, options)
    }

    fn open_for(needed: &[Tower], path: &Path, options: &LoadOptions) -> Result<Self> {
        let file = open::tensors(path)?;
        let folder = if path.is_dir() { Some(path) } else { path.parent() };
        Self::check(file, folder, needed, options)
    }

    /// Opens a file (`.safetensors`, `.pt`) that is in memory already; `name` is for messages.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_bytes(name: &str, bytes: impl Into<Cow<'static, [u8]>>, options: &LoadOptions) -> Result<Self> {
        Self::check(open::from_bytes(name, bytes.into())?, None, &Tower::BOTH, options)
    }

    /// Opens the model that a name was resolved to.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_source(source: &ModelSource, options: &LoadOptions) -> Result<Self> {
        Self::open_source_for(&Tower::BOTH, source, options)
    }

    /// As [`Checkpoint::open_source`], for a caller that uses only some towers: a file without others is opened too. Their
    /// sizes are 0, and their tensors must not be asked for.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_source_for(needed: &[Tower], source: &ModelSource, options: &LoadOptions) -> Result<Self> {
        match source {
            ModelSource::Nano => Self::from_bytes(nano::FILE_NAME, nano::safetensors(), options),
            ModelSource::Path(path) => Self::open_for(needed, path, options),
        }
    }

    fn check(file: TensorFile, folder: Option<&Path>, needed: &[Tower], options: &LoadOptions) -> Result<Self> {
        let file = wrappers::look_through(file);
        let recognised = recognised(&file, folder, needed, options).map_err(|error| {
            let model_type = folder.and_then(config::model_type);
            families::refusal(&file, model_type.as_deref()).unwrap_or(error)
        })?;
        let checkpoint = Checkpoint {
            layout: recognised.layout,
            towers: recognised.towers,
            sizes: recognised.sizes,
            found: recognised.found,
            positions: recognised.positions,
            tokenizer: recognised.tokenizer,
            file,
            options: *options,
        };
        checkpoint.check_vectors()?;
        Ok(checkpoint)
    }

    /// The towers that the file holds.
    pub fn towers(&self) -> &[Tower] {
        &self.towers
    }

    /// The error for a caller that needs a tower which the file doesn't hold.
    pub(crate) fn without(&self, tower: Tower) -> Error {
        problems::without(&self.shapes(), tower)
    }

    /// Widths, depths and lengths.
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// What decides the model's numbers besides its tensors.
    pub fn recipe(&self) -> &Recipe {
        &self.found.recipe
    }

    /// Where activations, heads and all else of the towers come from.
    pub fn towers_from(&self) -> &RecipeSource {
        &self.found.towers_from
    }

    /// Where the preparation of images comes from.
    pub fn pixels_from(&self) -> &RecipeSource {
        &self.found.pixels_from
    }

    /// What was decided for the caller, to be shown to a person.
    pub fn notices(&self) -> &[Notice] {
        &self.found.notices
    }

    pub(super) fn file(&self) -> &TensorFile {
        &self.file
    }

    pub(super) fn options(&self) -> &LoadOptions {
        &self.options
    }

    /// The file or folder that was opened.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// The file's format.
    pub fn format(&self) -> FileFormat {
        self.file.format
    }

    /// The name of the key layout.
    pub fn layout(&self) -> &'static str {
        self.layout.name
    }

    /// Whether the text positions come from two tables, a fixed and a trained one.
    pub fn has_residual_positions(&self) -> bool {
        self.shapes().has_residual_positions()
    }

    /// Which text positions are used, if there are several tables.
    pub fn positions(&self) -> TextPositions {
        self.positions
    }

    /// The file of the tokenizer, if it is not CLIP's.
    pub fn tokenizer(&self) -> Option<&Path> {
        self.tokenizer.as_deref()
    }

    /// Upstream's names of all tensors, with their shapes.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        problems::expected(&self.shapes(), &self.sizes, self.recipe(), &self.towers)
    }

    /// The number types that a tensor is stored in, in words.
    pub fn stored_type(&self, name: &str) -> Option<String> {
        let assembly = self.assembly(name);
        let types = assembly
            .parts()
            .into_iter()
            .map(|part| self.file.tensors.get(part).map(|t| t.stored_type().to_string()));
        types.collect::<Option<Vec<_>>>().map(|mut types| {
            types.dedup();
            types.join(" and ")
        })
    }

    /// A tensor's values, row-major f32; borrowed from the mapped file if it stores them this way.
    ///
    /// # Errors
    /// [`Error::BadTensors`] if a value isn't finite, [`Error::UnreadableTensor`] if weights don't have this number type.
    ///
    /// # Panics
    /// If a CLIP of these sizes has no tensor of this name.
    pub fn values(&self, name: &str) -> Result<Cow<'_, [f32]>> {
        let values = self.unchecked(name)?;
        self.check_finite(name, &values)?;
        Ok(values)
    }

    /// As [`Checkpoint::values`], finite or not: for callers that look at every value anyway, and call
    /// [`Checkpoint::values`] for the error if one isn't finite.
    ///
    /// # Errors
    /// [`Error::UnreadableTensor`] if weights don't have this number type.
    ///
    /// # Panics
    /// As [`Checkpoint::values`].
    pub(crate) fn unchecked(&self, name: &str) -> Result<Cow<'_, [f32]>> {
        let values = assemble::values(&self.file, &self.assembly(name))?;
        let rounds = self.options.rounds_as_upstream && upstream_rounds(name);
        Ok(if rounds {
            values.iter().map(|v| f16::from_f32(*v).to_f32()).collect()
        } else {
            values
        })
    }

    /// Some rows of a table, `(rows.len(), width)`, without reading the others.
    ///
    /// # Errors
    /// As [`Checkpoint::values`].
    ///
    /// # Panics
    /// If there is no such table or row.
    pub fn rows(&self, name: &str, rows: &[u32]) -> Result<Vec<f32>> {
        let values = assemble::rows(&self.file, &self.assembly(name), rows)?;
        self.check_finite(name, &values)?;
        Ok(values)
    }

    /// A tensor on a device.
    ///
    /// # Errors
    /// As [`Checkpoint::values`]; [`Error::Compute`] if the device fails.
    pub fn tensor(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        let shape = self.shape(name);
        let values = self.values(name)?;
        Tensor::from_slice(&values, shape, device)
            .and_then(|tensor| tensor.to_dtype(dtype))
            .map_err(Error::compute(format!("moving `{name}` to the device")))
    }

    /// The text tower's positions `(context_length, text_width)`: the first rows from the fixed table and the others from
    /// the trained one; the first table alone; or the only table, stretched if it is CLIP's.
    ///
    /// # Errors
    /// As [`Checkpoint::values`].
    pub fn text_positions(&self) -> Result<Vec<f32>> {
        let width = self.sizes.text_width;
        let table = self.values("positional_embedding")?;
        if self.positions != TextPositions::First && self.has_residual_positions() {
            let fixed = FIXED_ROWS.min(self.sizes.stored_context_length) * width;
            let trained = self.values("positional_embedding_res")?;
            return Ok([&table[..fixed], &trained[fixed..]].concat());
        }
        match self.options.stretching {
            Some(stretching) if self.sizes.context_length != self.sizes.stored_context_length => {
                Ok(stretching.stretch(&table, width))
            }
            _ => Ok(table.into_owned()),
        }
    }

    /// Lets the system drop a tensor's mapped pages after it has been copied. It can still be read again.
    pub fn release(&self, name: &str) {
        for part in self.assembly(name).parts() {
            if let Some(tensor) = self.file.tensors.get(part) {
                self.file.blobs[tensor.blob].release(tensor.byte_range());
            }
        }
    }

    fn shapes(&self) -> Shapes<'_> {
        Shapes {
            file: &self.file,
            layout: self.layout,
        }
    }

    /// The names in the file of the parts of one of upstream's tensors.
    #[cfg(test)]
    pub(super) fn stored_names(&self, name: &str) -> Vec<String> {
        let assembly = self.assembly(name);
        assembly.parts().into_iter().map(str::to_owned).collect()
    }

    fn assembly(&self, name: &str) -> Assembly {
        (self.layout.assembly)(&self.file, name)
    }

    /// The shape of a tensor in upstream's layout.
    ///
    /// # Panics
    /// If a CLIP of these sizes has no tensor of this name.
    pub fn shape(&self, name: &str) -> Vec<usize> {
        self.assembly(name)
            .shape(&self.file)
            .unwrap_or_else(|| panic!("a checked CLIP has `{name}`"))
    }

    /// Biases and norms are checked when the file is opened: together they are smaller than one matrix, and a failed
    /// training affects most of them.
    fn check_vectors(&self) -> Result<()> {
        let mut problems = Vec::new();
        for (name, shape) in self.tensors() {
            if shape.len() < 2 {
                let values = assemble::values(&self.file, &self.assembly(&name))?;
                problems.extend(not_finite(&name, &values));
                if name == "logit_scale" {
                    problems.extend(problems::no_logit_scale(&values));
                }
            }
        }
        self.refuse_any(problems)
    }

    fn check_finite(&self, name: &str, values: &[f32]) -> Result<()> {
        self.refuse_any(not_finite(name, values).into_iter().collect())
    }

    fn refuse_any(&self, problems: Vec<String>) -> Result<()> {
        match problems.is_empty() {
            true => Ok(()),
            false => Err(Error::BadTensors {
                path: self.file.path.clone(),
                layout: self.layout.name.into(),
                problems: problems::listed(problems),
                hint: Some("the file is damaged, or its training failed: fetch or save it again".into()),
            }),
        }
    }
}

/// What a file holds: a CLIP, or the needed part of one.
struct Recognised {
    layout: &'static Layout,
    towers: Vec<Tower>,
    sizes: Sizes,
    found: Found,
    positions: TextPositions,
    tokenizer: Option<PathBuf>,
}

fn recognised(file: &TensorFile, folder: Option<&Path>, needed: &[Tower], options: &LoadOptions) -> Result<Recognised> {
    let layout =
        layouts::recognise(file.tensors.keys().map(String::as_str)).ok_or_else(|| problems::not_a_clip(file))?;
    let tables = tables::choose(file, layout, options.positions)?;
    let layout = tables.layout;
    let shapes = Shapes { file, layout };
    let towers = problems::towers(&shapes, needed)?;
    // A table of short texts is complete.
    let is_complete = tables.positions == TextPositions::Short;
    let mut sizes = shapes.sizes(options.stretching.filter(|_| !is_complete));
    let (mut found, config) = config::find(file, layout, folder, &mut sizes)?;
    let has = |bias| shapes.of(bias).is_some();
    found.recipe.vision.biased_projection = has(problems::PROJECTION_BIASES[0]);
    found.recipe.text.biased_projection = has(problems::PROJECTION_BIASES[1]);
    problems::check(&shapes, &sizes, &found.recipe, &towers, options)?;
    if let Some(mut config) = config {
        config.compare(&sizes)?;
        found.notices.append(&mut config.notices);
    }
    if layouts::is_fgclip(layout) {
        tables::complete_fgclip(&mut found);
    }
    found.notices.extend(tables.notice);
    let tokenizer = match found.brings_tokenizer && towers.contains(&Tower::Text) {
        true => Some(config::tokenizer(folder, &file.path)?),
        false => None,
    };
    if tokenizer.is_none() {
        check_vocabulary(file, &sizes)?;
    }
    Ok(Recognised {
        layout,
        towers,
        sizes,
        found,
        positions: tables.positions,
        tokenizer,
    })
}

/// Refuses a vocabulary with more ids than CLIP's tokenizer has, which would give such a model ids of other words. A smaller
/// one is for tests with ids of their own: the first text's end token is refused.
fn check_vocabulary(file: &TensorFile, sizes: &Sizes) -> Result<()> {
    match sizes.vocab_size > TOKENIZER_IDS {
        true => Err(Error::Unsupported {
            path: file.path.clone(),
            problem: format!(
                "its vocabulary has {} ids: a tokenizer other than CLIP's, which has {TOKENIZER_IDS}",
                sizes.vocab_size
            ),
            hint: Some(
                "of the models with another tokenizer, MetaCLIP 2 can be used: its `config.json` and `tokenizer.json` \
                 belong next to the weights"
                    .into(),
            ),
        }),
        false => Ok(()),
    }
}

/// What is wrong with values, unless all are finite.
fn not_finite(name: &str, values: &[f32]) -> Option<String> {
    if all_finite(values) {
        return None;
    }
    let place = values.iter().position(|value| !value.is_finite())?;
    let value = values[place];
    Some(format!(
        "`{name}` has {value} at element {place}; a finite number is expected"
    ))
}

/// Rows of the fixed table that Long-CLIP keeps (upstream `model_longclip.py`, `mask1` and `mask2`).
pub const FIXED_ROWS: usize = 20;

/// Whether upstream's loader rounds a tensor to f16 (`model_longclip.py`, `convert_weights`).
fn upstream_rounds(name: &str) -> bool {
    const ENDINGS: [&str; 5] = [
        "conv1.weight",
        "in_proj_weight",
        "in_proj_bias",
        "proj.weight",
        "proj.bias",
    ];
    ENDINGS.iter().any(|ending| name.ends_with(ending))
        || name.contains(".mlp.c_fc.")
        || name == "text_projection"
        || name == "visual.proj"
}
