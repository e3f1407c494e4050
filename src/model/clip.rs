//! Long-CLIP: both towers, the temperature between them, and the ways in from pictures and texts.
//!
//! Towers are prepared on first use: encoding texts never reads the image tower's weights. Reference: upstream
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
use crate::text::{ContextLength, Tokenizer, Tokens};
use crate::weights::hub::HubSettings;
use crate::weights::names::{self, Places};
use crate::weights::{Activation, Checkpoint, LoadOptions, Sizes, identity};

/// How to prepare a model for computing.
#[derive(Debug, Clone, Default)]
pub struct LongClipOptions {
    /// Where to compute.
    pub device: DeviceChoice,
    /// The numbers to compute with.
    pub number_type: NumberType,
    /// Threads of the CPU; one for each physical core if `None`.
    pub threads: Option<usize>,
    /// The highest instruction set of the CPU to use; the best there is if `None`.
    pub cpu_level: Option<Level>,
    /// The activation, where the checkpoint's own word is not to be taken.
    pub activation: Option<Activation>,
}

/// Pictures at once in one pass on a GPU.
const GPU_PICTURES_A_PASS: usize = 32;
/// Token rows at once in one pass of the text tower.
const TOKENS_A_PASS: usize = 2048;

/// A whole Long-CLIP, ready to encode.
pub struct LongClip {
    sizes: Sizes,
    activation: Activation,
    logit_scale: LogitScale,
    context_length: ContextLength,
    preprocess: Preprocess,
    checkpoint: Arc<Checkpoint>,
    /// Device, number type and the like, as far as a number may depend on them.
    computed_with: String,
    towers: Towers,
    /// The image tower for gradients, prepared on first use.
    pub(super) differentiable: OnceLock<VisionTower<CandleEngine>>,
}

impl LongClip {
    /// Loads `nano`, a file, a folder, or a model that lies in `./checkpoints`, on the CPU in f32.
    ///
    /// Nothing is downloaded and no environment is read: [`names::resolve`] with settings of one's own does that, and
    /// [`LongClip::from_checkpoint`] takes options.
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
    /// [`Error::UnknownModel`] if nothing goes by that name here; else as [`Checkpoint::open`].
    pub fn load(name: &str) -> Result<Self> {
        let here = Places::from_lookup(|_| None, None);
        let found = names::locate(name, &here, &HubSettings::default()).ok_or_else(|| Error::UnknownModel {
            name: name.to_owned(),
            problem: "it is not built in, no file, and not in `./checkpoints`".into(),
            hint: Some("give a path, or resolve the name with `weights::names::resolve`, which can download".into()),
        })?;
        let checkpoint = Checkpoint::open_source(&found.source, &LoadOptions::default())?;
        LongClip::from_checkpoint(checkpoint, &LongClipOptions::default())
    }

    /// Prepares a checkpoint.
    ///
    /// # Errors
    /// [`Error::Usage`] if the device or number type is not there; [`Error::BadTensors`] for a weight that isn't finite.
    pub fn from_checkpoint(checkpoint: Checkpoint, options: &LongClipOptions) -> Result<Self> {
        let sizes = checkpoint.sizes().clone();
        let activation = options.activation.unwrap_or(checkpoint.activation());
        let logit_scale = LogitScale::from_ln(checkpoint.values("logit_scale")?[0]);
        let checkpoint = Arc::new(checkpoint);
        Ok(LongClip {
            context_length: ContextLength::new(sizes.context_length)?,
            preprocess: Preprocess::new(sizes.image_resolution_px),
            towers: Towers::new(Arc::clone(&checkpoint), options)?,
            checkpoint,
            computed_with: format!(
                "{} {:?} {:?} {:?} {activation:?}",
                env!("CARGO_PKG_VERSION"),
                options.device,
                options.number_type,
                options.cpu_level
            ),
            sizes,
            activation,
            logit_scale,
            differentiable: OnceLock::new(),
        })
    }

    /// Widths, depths and lengths of the towers.
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// The activation of the MLPs.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// The temperature between cosines and logits.
    pub fn logit_scale(&self) -> LogitScale {
        self.logit_scale
    }

    /// The preprocessing that this model's pictures need; change its limits or orientation on a clone.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// The weights.
    pub(super) fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Where candle's tensors of this model live.
    pub(super) fn candle_device(&self) -> Device {
        match &self.towers {
            Towers::Candle(towers) => towers.engine.device.clone(),
            Towers::Cpu(_) => Device::Cpu,
        }
    }

    /// What a kept text embedding is valid for, as 32 hexadecimal digits: these weights, read and computed like this, by
    /// this version of the crate.
    pub fn text_identity(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.checkpoint.fingerprint());
        hash.update(&self.computed_with);
        identity(hash)
    }

    /// What tells these weights from others, wherever they lie and whatever they are computed on, as 32 hexadecimal
    /// digits: the same for a copy of the file.
    pub fn weights_identity(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.checkpoint.content_digest());
        hash.update(format!("{:?}", self.activation));
        identity(hash)
    }

    /// A text's tokens, cut to this model's context.
    pub fn tokenize(&self, text: &str) -> Tokens {
        Tokenizer::clip().encode(text, self.context_length)
    }

    /// Bytes that one more picture of a batch takes, roughly: its pixels, of four batches waiting as bytes and of one at
    /// work as floats, and the rows of the image tower with what a block makes of them at once (queries, keys, values,
    /// attention, norms, the MLP's inside).
    pub fn picture_bytes(&self) -> usize {
        const FLOATS_OF_PIXEL: usize = 2;
        const FLOATS_OF_WIDTH: usize = 8;
        let sizes = &self.sizes;
        let pixels = FLOATS_OF_PIXEL * 3 * sizes.image_resolution_px * sizes.image_resolution_px;
        let rows = sizes.image_tokens() * (FLOATS_OF_WIDTH * sizes.vision_width + sizes.vision_mlp_dim);
        (pixels + rows) * size_of::<f32>()
    }

    /// Encodes a picture: `(1, embed_dim)`, not normalised.
    ///
    /// # Errors
    /// As [`LongClip::encode_images`].
    pub fn encode_image(&self, picture: &Pixels) -> Result<ImageEmbeddings> {
        self.encode_images(std::slice::from_ref(picture))
    }

    /// Encodes pictures: `(n, embed_dim)`, not normalised. A picture's row does not depend on its batch.
    ///
    /// # Errors
    /// [`Error::Usage`] if a picture is not of this model's resolution; [`Error::BadTensors`] if the image tower has
    /// a weight that isn't finite; [`Error::Compute`] if the device fails.
    pub fn encode_images(&self, pictures: &[Pixels]) -> Result<ImageEmbeddings> {
        let resolution_px = self.sizes.image_resolution_px;
        if let Some(other) = pictures.iter().find(|picture| picture.resolution_px() != resolution_px) {
            return Err(Error::usage(
                format!(
                    "a picture of {} px; this model reads {resolution_px} px",
                    other.resolution_px()
                ),
                "prepare pictures with the model's own `preprocess()`",
            ));
        }
        let mut embeddings = Embeddings::new(Vec::new(), self.sizes.embed_dim);
        for pass in pictures.chunks(self.pictures_a_pass()) {
            let pictures: Vec<&Pixels> = pass.iter().collect();
            let values = match &self.towers {
                Towers::Candle(towers) => towers.encode_images(&self.sizes, self.activation, &pictures)?,
                Towers::Cpu(towers) => towers.encode_images(&self.sizes, self.activation, &pictures)?,
            };
            embeddings.append(&Embeddings::new(values, self.sizes.embed_dim));
        }
        Ok(ImageEmbeddings(embeddings))
    }

    fn pictures_a_pass(&self) -> usize {
        match &self.towers {
            Towers::Cpu(towers) => (towers.engine.rows_a_pass() / self.sizes.image_tokens()).max(1),
            Towers::Candle(_) => GPU_PICTURES_A_PASS,
        }
    }

    /// Encodes a text: `(1, embed_dim)`, not normalised; cut at the context length.
    ///
    /// # Errors
    /// As [`LongClip::encode_texts`].
    pub fn encode_text(&self, text: &str) -> Result<TextEmbeddings> {
        self.encode_texts(&[text])
    }

    /// Encodes texts: `(n, embed_dim)`, not normalised; each is cut at the context length.
    ///
    /// # Errors
    /// [`Error::BadTensors`] if the text tower has a weight that isn't finite; [`Error::Compute`] if the device fails.
    pub fn encode_texts<S: AsRef<str>>(&self, texts: &[S]) -> Result<TextEmbeddings> {
        let tokens: Vec<Tokens> = texts.iter().map(|text| self.tokenize(text.as_ref())).collect();
        let ids: Vec<&[u32]> = tokens.iter().map(Tokens::ids).collect();
        self.encode_token_ids(&ids)
    }

    /// Encodes texts given as token ids, padded or not: `(n, embed_dim)`, not normalised. A text's row does not depend
    /// on its batch.
    ///
    /// # Errors
    /// [`Error::Usage`] if a text has no ids, more than the context length, or an id that the model doesn't know; else
    /// as [`LongClip::encode_texts`].
    pub fn encode_token_ids(&self, texts: &[&[u32]]) -> Result<TextEmbeddings> {
        let mut embeddings = Embeddings::new(Vec::new(), self.sizes.embed_dim);
        let mut rest = texts;
        while !rest.is_empty() {
            let mut n_tokens = 0;
            let fits = rest.iter().take_while(|ids| {
                n_tokens += ids.len();
                n_tokens <= TOKENS_A_PASS
            });
            let (pass, later) = rest.split_at(fits.count().max(1));
            let batch = TokenBatch::new(pass.iter().copied())?;
            let values = match &self.towers {
                Towers::Candle(towers) => towers.encode_texts(&self.sizes, self.activation, &batch)?,
                Towers::Cpu(towers) => towers.encode_texts(&self.sizes, self.activation, &batch)?,
            };
            embeddings.append(&Embeddings::new(values, self.sizes.embed_dim));
            rest = later;
        }
        Ok(TextEmbeddings(embeddings))
    }

    /// The hidden state of all positions of a text, `(context_length, text_width)`, behind the final norm and before
    /// any projection; what diffusion pipelines condition on. Positions behind the end token are computed as padding
    /// (id 0), as upstream's `encode_text_full` does.
    ///
    /// # Errors
    /// As [`LongClip::encode_texts`].
    pub fn encode_text_hidden(&self, text: &str) -> Result<Embeddings> {
        let mut ids = self.tokenize(text).ids().to_vec();
        ids.resize(self.sizes.context_length, 0);
        self.encode_token_ids_hidden(&ids)
    }

    /// As [`LongClip::encode_text_hidden`], of token ids: `(ids.len(), text_width)`.
    ///
    /// # Errors
    /// As [`LongClip::encode_token_ids`].
    pub fn encode_token_ids_hidden(&self, ids: &[u32]) -> Result<Embeddings> {
        let values = match &self.towers {
            Towers::Candle(towers) => towers.encode_text_hidden(&self.sizes, self.activation, ids)?,
            Towers::Cpu(towers) => towers.encode_text_hidden(&self.sizes, self.activation, ids)?,
        };
        Ok(Embeddings::new(values, self.sizes.text_width))
    }
}

/// The towers on the engine that the options chose.
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
                "f16 is computed on a GPU only",
                "use f32, bf16 or int8 on a CPU",
            )),
            (_, NumberType::F32) => on_device(DType::F32),
            (_, NumberType::Bf16) => on_device(DType::BF16),
            (_, NumberType::F16) => on_device(DType::F16),
            (_, NumberType::Int8) => Err(Error::usage(
                "int8 is computed on a CPU only",
                hint!("use {}, or f16 or bf16", Control::CpuDevice),
            )),
        }
    }
}

/// An engine and its towers, each prepared when it is first used.
struct LazyTowers<E: Engine> {
    engine: E,
    checkpoint: Arc<E::Source>,
    vision: OnceLock<VisionTower<E>>,
    text: OnceLock<TextTower<E>>,
    /// Held while a tower is prepared, so that two threads don't prepare it twice.
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

    fn prepared<'a, T>(&self, cell: &'a OnceLock<T>, prepare: impl FnOnce() -> Result<T>) -> Result<&'a T> {
        if let Some(ready) = cell.get() {
            return Ok(ready);
        }
        let _guard = self.preparing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match cell.get() {
            Some(ready) => Ok(ready),
            None => prepare().map(|tower| cell.get_or_init(|| tower)),
        }
    }

    fn encode_images(&self, sizes: &Sizes, activation: Activation, pictures: &[&Pixels]) -> Result<Vec<f32>> {
        let load = || VisionTower::load(&self.engine, &self.checkpoint, sizes, activation);
        let rows = self.prepared(&self.vision, load)?.forward(&self.engine, pictures)?;
        self.engine.values(rows)
    }

    fn text_tower(&self, sizes: &Sizes, activation: Activation) -> Result<&TextTower<E>> {
        self.prepared(&self.text, || {
            TextTower::load(&self.engine, &self.checkpoint, sizes, activation)
        })
    }

    fn encode_texts(&self, sizes: &Sizes, activation: Activation, batch: &TokenBatch) -> Result<Vec<f32>> {
        let rows = self.text_tower(sizes, activation)?.forward(&self.engine, batch)?;
        self.engine.values(rows)
    }

    fn encode_text_hidden(&self, sizes: &Sizes, activation: Activation, ids: &[u32]) -> Result<Vec<f32>> {
        let rows = self.text_tower(sizes, activation)?.forward_hidden(&self.engine, ids)?;
        self.engine.values(rows)
    }
}
