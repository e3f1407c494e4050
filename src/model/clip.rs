//! Long-CLIP: both towers, the logit scale, and functions that encode images and texts.
//!
//! A tower is prepared on first use, so encoding texts never reads the weights of the image tower. Reference: upstream
//! `model_longclip.py`, class `CLIP`.

use std::sync::{Arc, Mutex, OnceLock};

use candle_core::{DType, Device};
use sha2::{Digest, Sha256};

use super::device::{DeviceChoice, NumberType};
use super::embeddings::{Embeddings, ImageEmbeddings, LogitScale, TextEmbeddings};
use super::engine::{CandleEngine, CpuEngine, Engine, TensorSource};
use super::text::TextTower;
use super::tokens::TokenBatch;
use super::vision::VisionTower;
use crate::error::{Control, Error, Result, hint};
use crate::kernels::{Precision, cpu::Level};
use crate::preprocess::{Pixels, Preprocess};
use crate::recipe::{Activation, Recipe, VisionPooling};
use crate::text::{ContextLength, Tokenizer, Tokens};
use crate::weights::hub::HubSettings;
use crate::weights::names::{self, Places};
use crate::weights::{Checkpoint, LoadOptions, Notice, Sizes, TextPositions, Tower, identity};

/// How to compute a model.
#[derive(Debug, Clone, Default)]
pub struct LongClipOptions {
    /// The device to compute on.
    pub device: DeviceChoice,
    /// The number type to compute with.
    pub number_type: NumberType,
    /// The number of CPU threads; `None` for one per physical core.
    pub threads: Option<usize>,
    /// The highest CPU instruction set to use; `None` for the best available.
    pub cpu_level: Option<Level>,
    /// The activation; `None` for the one that the checkpoint states.
    pub activation: Option<Activation>,
}

/// Images per forward pass on a GPU.
const GPU_IMAGES_PER_PASS: usize = 32;
/// Token rows per forward pass of the text tower.
const TOKENS_PER_PASS: usize = 2048;

/// A whole Long-CLIP, ready to encode.
pub struct LongClip {
    sizes: Sizes,
    recipe: Recipe,
    logit_scale: LogitScale,
    context_length: ContextLength,
    preprocess: Preprocess,
    checkpoint: Arc<Checkpoint>,
    /// `None` for CLIP's.
    own_tokenizer: Option<Tokenizer>,
    /// Version, device, number type and all else that embeddings depend on apart from the weights.
    computed_with: String,
    towers: Towers,
    /// The image tower for gradients, prepared on first use.
    pub(super) differentiable: OnceLock<VisionTower<CandleEngine>>,
}

impl LongClip {
    /// Loads `nano`, a file, a folder, or a model in `./checkpoints`, on the CPU in f32.
    ///
    /// Nothing is downloaded and no environment variable is read. For downloads use [`names::resolve`] with your own
    /// settings; for other options use [`LongClip::from_checkpoint`].
    ///
    /// ```
    /// use longclip::LongClip;
    ///
    /// let model = LongClip::load("nano")?;
    /// let text = model.encode_text("A cat sleeping.")?;
    /// assert_eq!(text.0.embed_dim(), model.sizes().embed_dim);
    /// # Ok::<(), longclip::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownModel`] if no model has this name; otherwise as [`Checkpoint::open`].
    pub fn load(name: &str) -> Result<Self> {
        let here = Places::from_lookup(|_| None, None);
        let found = names::locate(name, &here, &HubSettings::default()).ok_or_else(|| Error::UnknownModel {
            name: name.to_owned(),
            problem: "it is neither built in nor a file nor in `./checkpoints`".into(),
            hint: Some("give a path, or resolve the name with `weights::names::resolve`, which can download".into()),
        })?;
        let checkpoint = Checkpoint::open_source(&found.source, &LoadOptions::default())?;
        LongClip::from_checkpoint(checkpoint, &LongClipOptions::default())
    }

    /// Prepares a checkpoint for computing. One with a single tower encodes only what that tower reads.
    ///
    /// # Errors
    /// [`Error::Usage`] if the device or the number type is not available; [`Error::BadTensors`] if a weight isn't
    /// finite; as [`Tokenizer::from_file`] if the model has a tokenizer of its own.
    pub fn from_checkpoint(checkpoint: Checkpoint, options: &LongClipOptions) -> Result<Self> {
        let sizes = checkpoint.sizes().clone();
        let recipe = match options.activation {
            Some(activation) => checkpoint.recipe().clone().with_activation(activation),
            None => checkpoint.recipe().clone(),
        };
        let activation = recipe.text.activation;
        let logit_scale = match checkpoint.towers() == Tower::BOTH {
            true => LogitScale::from_ln(checkpoint.values("logit_scale")?[0]),
            false => LogitScale::from_ln(0.0), // nothing is scored with one tower
        };
        let checkpoint = Arc::new(checkpoint);
        Ok(LongClip {
            own_tokenizer: checkpoint.tokenizer().map(Tokenizer::from_file).transpose()?,
            context_length: match checkpoint.towers() {
                [Tower::Image] => ContextLength::LONG,
                _ => ContextLength::new(sizes.context_length)?,
            },
            preprocess: Preprocess::with_recipe(sizes.image_resolution_px.max(1), recipe.pixels.clone()),
            towers: Towers::new(Arc::clone(&checkpoint), options)?,
            checkpoint,
            computed_with: format!(
                "{} {:?} {:?} {:?} {activation:?}",
                env!("CARGO_PKG_VERSION"),
                options.device,
                options.number_type,
                options.cpu_level.unwrap_or_else(Level::best).min(Level::best())
            ),
            sizes,
            recipe,
            logit_scale,
            differentiable: OnceLock::new(),
        })
    }

    /// The sizes of the towers: widths, depths and lengths.
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// What decides this model's numbers besides its tensors.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// What was decided for the caller when the weights were opened, as [`Checkpoint::notices`].
    pub fn notices(&self) -> &[Notice] {
        self.checkpoint.notices()
    }

    /// Which of the file's text positions are used.
    pub fn text_positions(&self) -> TextPositions {
        self.checkpoint.positions()
    }

    /// Whether an image is read at its class token, which [`LongClip::attention`] explains.
    pub fn reads_class_token(&self) -> bool {
        self.recipe.vision.pooling == VisionPooling::ClassToken
    }

    /// The learned temperature, which turns cosines into logits.
    pub fn logit_scale(&self) -> LogitScale {
        self.logit_scale
    }

    /// The preprocessing for this model's images. To change its limits or orientation, clone it.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// The weights.
    pub(super) fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The device of this model's candle tensors.
    pub(super) fn candle_device(&self) -> Device {
        match &self.towers {
            Towers::Candle(towers) => towers.engine.device.clone(),
            Towers::Cpu(_) => Device::Cpu,
        }
    }

    /// Identifies text embeddings of this model, as 32 hexadecimal digits. It depends on the weights and where they are
    /// stored, on the options, the CPU's instruction set and the version of the crate. A cached embedding is valid as long as
    /// this is the same.
    pub fn text_identity(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.checkpoint.fingerprint());
        hash.update(&self.computed_with);
        identity(hash)
    }

    /// Identifies these weights by their content, as 32 hexadecimal digits. Copies of a file have the same identity,
    /// wherever they are stored and whatever they are computed with.
    pub fn weights_identity(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.checkpoint.content_digest());
        // Both towers have the same activation in nearly all models, whose identity is as it was before they could differ.
        hash.update(format!("{:?}", self.recipe.text.activation));
        if self.recipe.vision.activation != self.recipe.text.activation {
            hash.update(format!("{:?}", self.recipe.vision.activation));
        }
        identity(hash)
    }

    /// Tokenizes a text, truncated to this model's context length.
    pub fn tokenize(&self, text: &str) -> Tokens {
        self.tokenizer().encode(text, self.context_length)
    }

    /// Whether texts are not tokenized as CLIP's: ids of [`Tokenizer::clip`] are ids of other words.
    pub fn has_own_tokenizer(&self) -> bool {
        self.own_tokenizer.is_some()
    }

    /// CLIP's tokenizer, or the one that this model brings along.
    pub fn tokenizer(&self) -> &Tokenizer {
        self.own_tokenizer.as_ref().unwrap_or_else(|| Tokenizer::clip())
    }

    /// The approximate memory in bytes that one more image in a batch takes. Counts its pixels (as bytes in four
    /// waiting batches, as floats in one being computed) and its rows in the image tower with what a block keeps at
    /// once: queries, keys, values, attention, norms and the hidden layer of the MLP.
    pub fn picture_bytes(&self) -> usize {
        const FLOATS_OF_PIXEL: usize = 2;
        const FLOATS_OF_WIDTH: usize = 8;
        let sizes = &self.sizes;
        let pixels = FLOATS_OF_PIXEL * 3 * sizes.image_resolution_px * sizes.image_resolution_px;
        let rows = sizes.image_tokens() * (FLOATS_OF_WIDTH * sizes.vision_width + sizes.vision_mlp_dim);
        (pixels + rows) * size_of::<f32>()
    }

    /// Encodes an image: `(1, embed_dim)`, not normalised.
    ///
    /// # Errors
    /// As [`LongClip::encode_images`].
    pub fn encode_image(&self, picture: &Pixels) -> Result<ImageEmbeddings> {
        self.encode_images(std::slice::from_ref(picture))
    }

    /// Encodes images: `(n, embed_dim)`, not normalised. The row of an image does not depend on its batch.
    ///
    /// # Errors
    /// [`Error::Usage`] if an image does not have this model's resolution; [`Error::BadTensors`] if the image tower has
    /// a weight that isn't finite; [`Error::Compute`] if the device fails.
    pub fn encode_images(&self, pictures: &[Pixels]) -> Result<ImageEmbeddings> {
        self.check_has(Tower::Image)?;
        let resolution_px = self.sizes.image_resolution_px;
        if let Some(other) = pictures.iter().find(|picture| picture.resolution_px() != resolution_px) {
            return Err(Error::usage(
                format!(
                    "an image of {} px; this model reads {resolution_px} px",
                    other.resolution_px()
                ),
                "prepare images with the model's own `preprocess()`",
            ));
        }
        let mut embeddings = Embeddings::new(Vec::new(), self.sizes.embed_dim);
        for pass in pictures.chunks(self.images_per_pass()) {
            let pictures: Vec<&Pixels> = pass.iter().collect();
            let values = match &self.towers {
                Towers::Candle(towers) => towers.encode_images(&self.sizes, &self.recipe, &pictures)?,
                Towers::Cpu(towers) => towers.encode_images(&self.sizes, &self.recipe, &pictures)?,
            };
            embeddings.append(&Embeddings::new(values, self.sizes.embed_dim));
        }
        Ok(ImageEmbeddings(embeddings))
    }

    /// Refuses what a tower would read that the weights don't hold.
    fn check_has(&self, tower: Tower) -> Result<()> {
        match self.checkpoint.towers().contains(&tower) {
            true => Ok(()),
            false => Err(self.checkpoint.without(tower)),
        }
    }

    fn images_per_pass(&self) -> usize {
        match &self.towers {
            Towers::Cpu(towers) => (towers.engine.rows_per_pass() / self.sizes.image_tokens()).max(1),
            Towers::Candle(_) => GPU_IMAGES_PER_PASS,
        }
    }

    /// Encodes a text: `(1, embed_dim)`, not normalised. A long text is truncated to the context length.
    ///
    /// # Errors
    /// As [`LongClip::encode_texts`].
    pub fn encode_text(&self, text: &str) -> Result<TextEmbeddings> {
        self.encode_texts(&[text])
    }

    /// Encodes texts: `(n, embed_dim)`, not normalised. Long texts are truncated to the context length.
    ///
    /// # Errors
    /// [`Error::BadTensors`] if the text tower has a weight that isn't finite; [`Error::Compute`] if the device fails.
    pub fn encode_texts<S: AsRef<str>>(&self, texts: &[S]) -> Result<TextEmbeddings> {
        let tokens: Vec<Tokens> = texts.iter().map(|text| self.tokenize(text.as_ref())).collect();
        let ids: Vec<&[u32]> = tokens.iter().map(Tokens::ids).collect();
        self.encode_token_ids(&ids)
    }

    /// Encodes texts given as token ids, with or without padding: `(n, embed_dim)`, not normalised. The row of a text
    /// does not depend on its batch.
    ///
    /// # Errors
    /// [`Error::Usage`] if a text has no ids, more than the context length, or an id outside the vocabulary; otherwise
    /// as [`LongClip::encode_texts`].
    pub fn encode_token_ids(&self, texts: &[&[u32]]) -> Result<TextEmbeddings> {
        self.check_has(Tower::Text)?;
        let mut embeddings = Embeddings::new(Vec::new(), self.sizes.embed_dim);
        let mut rest = texts;
        while !rest.is_empty() {
            let mut n_tokens = 0;
            let fits = rest.iter().take_while(|ids| {
                n_tokens += match self.recipe.text.ignores_padding() {
                    true => ids.len(),
                    false => self.sizes.context_length,
                };
                n_tokens <= TOKENS_PER_PASS
            });
            let (pass, later) = rest.split_at(fits.count().max(1));
            let batch = TokenBatch::for_recipe(pass.iter().copied(), &self.recipe.text, self.sizes.context_length)?;
            let values = match &self.towers {
                Towers::Candle(towers) => towers.encode_texts(&self.sizes, &self.recipe, &batch)?,
                Towers::Cpu(towers) => towers.encode_texts(&self.sizes, &self.recipe, &batch)?,
            };
            embeddings.append(&Embeddings::new(values, self.sizes.embed_dim));
            rest = later;
        }
        Ok(TextEmbeddings(embeddings))
    }

    /// The hidden states of all positions of a text, `(context_length, text_width)`, after the final norm and before
    /// any projection. Diffusion pipelines are conditioned on these. Positions after the end token are computed as
    /// padding (id 0), as in upstream's `encode_text_full`.
    ///
    /// # Errors
    /// As [`LongClip::encode_texts`].
    pub fn encode_text_hidden(&self, text: &str) -> Result<Embeddings> {
        let mut ids = self.tokenize(text).ids().to_vec();
        ids.resize(self.sizes.context_length, 0);
        self.encode_token_ids_hidden(&ids)
    }

    /// Like [`LongClip::encode_text_hidden`], for token ids: `(ids.len(), text_width)`.
    ///
    /// # Errors
    /// As [`LongClip::encode_token_ids`].
    pub fn encode_token_ids_hidden(&self, ids: &[u32]) -> Result<Embeddings> {
        self.check_has(Tower::Text)?;
        let values = match &self.towers {
            Towers::Candle(towers) => towers.encode_text_hidden(&self.sizes, &self.recipe, ids)?,
            Towers::Cpu(towers) => towers.encode_text_hidden(&self.sizes, &self.recipe, ids)?,
        };
        Ok(Embeddings::new(values, self.sizes.text_width))
    }
}

/// The towers, on the engine that the options choose.
enum Towers {
    Candle(Box<LazyTowers<CandleEngine>>),
    Cpu(Box<LazyTowers<CpuEngine>>),
}

impl Towers {
    fn new(checkpoint: Arc<Checkpoint>, options: &LongClipOptions) -> Result<Self> {
        let on_cpu = |precision| {
            let engine = CpuEngine::new(Arc::clone(&checkpoint), precision, options.threads, options.cpu_level);
            Ok(Towers::Cpu(Box::new(LazyTowers::new(engine, Arc::clone(&checkpoint)))))
        };
        let on_device = |dtype| {
            let engine = CandleEngine::new(options.device.open()?, dtype);
            let source: Arc<dyn TensorSource> = checkpoint.clone();
            Ok(Towers::Candle(Box::new(LazyTowers::new(engine, source))))
        };
        match (options.device, options.number_type) {
            (DeviceChoice::Cpu, NumberType::F32) => on_cpu(Precision::F32),
            (DeviceChoice::Cpu, NumberType::Bf16) => on_cpu(Precision::Bf16),
            (DeviceChoice::Cpu, NumberType::Int8) => on_cpu(Precision::Int8),
            (DeviceChoice::Cpu, NumberType::F16) => Err(Error::usage(
                "f16 works only on a GPU",
                "use f32, bf16 or int8 on a CPU",
            )),
            (_, NumberType::F32) => on_device(DType::F32),
            (_, NumberType::Bf16) => on_device(DType::BF16),
            (_, NumberType::F16) => on_device(DType::F16),
            (_, NumberType::Int8) => Err(Error::usage(
                "int8 works only on a CPU",
                hint!("use {}, or f16 or bf16", Control::CpuDevice),
            )),
        }
    }
}

/// An engine and its towers, each prepared on first use.
struct LazyTowers<E: Engine> {
    engine: E,
    checkpoint: Arc<E::Source>,
    vision: OnceLock<VisionTower<E>>,
    text: OnceLock<TextTower<E>>,
    /// Held while a tower is prepared, so that two threads don't prepare the same one.
    preparing: Mutex<()>,
}

impl<E: Engine> LazyTowers<E> {
    fn new(engine: E, checkpoint: Arc<E::Source>) -> Self {
        LazyTowers {
            engine,
            checkpoint,
            vision: OnceLock::new(),
            text: OnceLock::new(),
            preparing: Mutex::new(()),
        }
    }

    fn get_or_prepare<'a, T>(&self, cell: &'a OnceLock<T>, prepare: impl FnOnce() -> Result<T>) -> Result<&'a T> {
        if let Some(ready) = cell.get() {
            return Ok(ready);
        }
        let _guard = self.preparing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match cell.get() {
            Some(ready) => Ok(ready),
            None => prepare().map(|tower| cell.get_or_init(|| tower)),
        }
    }

    fn encode_images(&self, sizes: &Sizes, recipe: &Recipe, pictures: &[&Pixels]) -> Result<Vec<f32>> {
        let load = || VisionTower::load(&self.engine, &self.checkpoint, sizes, &recipe.vision);
        let rows = self
            .get_or_prepare(&self.vision, load)?
            .forward(&self.engine, pictures)?;
        self.engine.values(rows)
    }

    fn text_tower(&self, sizes: &Sizes, recipe: &Recipe) -> Result<&TextTower<E>> {
        self.get_or_prepare(&self.text, || {
            TextTower::load(&self.engine, &self.checkpoint, sizes, &recipe.text)
        })
    }

    fn encode_texts(&self, sizes: &Sizes, recipe: &Recipe, batch: &TokenBatch) -> Result<Vec<f32>> {
        let rows = self.text_tower(sizes, recipe)?.forward(&self.engine, batch)?;
        self.engine.values(rows)
    }

    fn encode_text_hidden(&self, sizes: &Sizes, recipe: &Recipe, ids: &[u32]) -> Result<Vec<f32>> {
        let rows = self.text_tower(sizes, recipe)?.forward_hidden(&self.engine, ids)?;
        self.engine.values(rows)
    }
}
