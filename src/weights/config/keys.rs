//! Every key of the config files that is known, and what is done with it. `docs/models.md` has the same tables, and a test
//! compares them.
//!
//! From open_clip 3.3 (`model.py`, `CLIPVisionCfg`, `CLIPTextCfg`, `CLIP`; `transform.py`, `PreprocessCfg`) and
//! transformers 5 (`configuration_clip.py`, `configuration_utils.py`, `image_processing_clip.py`), with the keys that
//! earlier versions wrote.

/// What is done with a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Treatment {
    /// Its value decides numbers and is carried out.
    CarriedOut,
    /// Compared with the shapes of the tensors.
    Compared,
    /// One of these values, as JSON, or left out; any other is refused as what it is.
    Fixed(&'static [&'static str], &'static str),
    /// It has no effect on numbers.
    NoEffect,
}

use Treatment::{CarriedOut, Compared, Fixed, NoEffect};

/// Keys of one object of a config file, each with what is done with it.
pub(super) struct Section {
    /// The file and the object in it, for the documentation.
    pub(super) title: &'static str,
    pub(super) keys: &'static [(&'static str, Treatment)],
    /// Keys without effect, which need no row of their own in the documentation.
    pub(super) without_effect: &'static [&'static str],
}

impl Section {
    /// What is done with a key, if it is known.
    pub(super) fn treatment(&self, key: &str) -> Option<Treatment> {
        let known = self.keys.iter().find(|(name, _)| *name == key);
        match known {
            Some((_, treatment)) => Some(*treatment),
            None => self.without_effect.contains(&key).then_some(NoEffect),
        }
    }
}

const OFF: &[&str] = &["false"];
const NEVER: &[&str] = &[];
const LAYER_SCALE: Treatment = Fixed(NEVER, "layer scale");
const QK_NORM: Treatment = Fixed(OFF, "a layer norm of queries and keys");
const SCALED_ATTENTION: Treatment = Fixed(OFF, "scaled attention");
const SCALED_MLP: Treatment = Fixed(OFF, "a layer norm in the MLPs");
const BLOCK_TYPE: Treatment = Fixed(&["\"default\"", "\"custom\""], "another kind of block");
const ROTARY: Treatment = Fixed(OFF, ROTARY_POSITIONS);
/// Settings of rotary positions, of any value.
const ROTARY_SETTING: Treatment = Fixed(NEVER, ROTARY_POSITIONS);
const ROTARY_POSITIONS: &str = "rotary positions (RoPE)";
const TOKENIZER: Treatment = Fixed(&["\"\""], "a tokenizer other than CLIP's");

/// `open_clip_config.json`.
pub(super) const OPENCLIP: Section = Section {
    title: "`open_clip_config.json`",
    keys: &[
        ("longclip", CarriedOut),
        ("model_cfg", CarriedOut),
        ("preprocess_cfg", CarriedOut),
    ],
    without_effect: &["architecture", "pretrained_cfg", "tags", "license"],
};

/// `model_cfg` of `open_clip_config.json`.
pub(super) const OPENCLIP_MODEL: Section = Section {
    title: "`open_clip_config.json`, `model_cfg`",
    keys: &[
        ("vision_cfg", CarriedOut),
        ("text_cfg", CarriedOut),
        ("quick_gelu", CarriedOut),
        ("embed_dim", Compared),
        ("multimodal_cfg", Fixed(NEVER, "CoCa, which also writes captions")),
        ("init_logit_bias", Fixed(&["0", "0.0"], "a bias of the logits (SigLIP)")),
    ],
    without_effect: &[
        "cast_dtype",
        "custom_text",
        "init_logit_scale",
        "nonscalar_logit_scale",
        "output_dict",
        "preprocess_cfg",
    ],
};

/// `vision_cfg` of `open_clip_config.json`.
pub(super) const OPENCLIP_VISION: Section = Section {
    title: "`open_clip_config.json`, `model_cfg.vision_cfg`",
    keys: &[
        ("act_kwargs", CarriedOut),
        ("final_ln_after_pool", CarriedOut),
        ("head_width", CarriedOut),
        ("image_size", CarriedOut),
        ("no_ln_pre", CarriedOut),
        ("norm_kwargs", CarriedOut),
        ("pool_type", CarriedOut),
        ("timm_model_name", CarriedOut),
        ("timm_pool", CarriedOut),
        ("timm_proj", CarriedOut),
        ("layers", Compared),
        ("mlp_ratio", Compared),
        ("patch_size", Compared),
        ("width", Compared),
        ("attentional_pool", Fixed(OFF, "attention pooling")),
        ("block_type", BLOCK_TYPE),
        ("eva_model_name", Fixed(&["\"\""], "an image tower of EVA-CLIP")),
        (
            "global_average_pool",
            Fixed(OFF, "the pooling of early versions of open_clip"),
        ),
        ("input_patchnorm", Fixed(OFF, "a layer norm of the patches' pixels")),
        ("ls_init_value", LAYER_SCALE),
        ("qk_norm", QK_NORM),
        ("rope", ROTARY),
        ("scale_attn", SCALED_ATTENTION),
        ("scale_attn_inner", SCALED_ATTENTION),
        ("scale_fc", SCALED_MLP),
        ("scale_heads", SCALED_ATTENTION),
        ("scaled_cosine_attn", SCALED_ATTENTION),
    ],
    without_effect: &[
        "attn_pooler_heads",
        "attn_pooler_queries",
        "n_queries",
        "output_tokens",
        "patch_dropout",
        "pos_embed_type",
        "timm_drop",
        "timm_drop_path",
        "timm_model_pretrained",
        // A bias is one of the tensors.
        "timm_proj_bias",
    ],
};

/// `text_cfg` of `open_clip_config.json`.
pub(super) const OPENCLIP_TEXT: Section = Section {
    title: "`open_clip_config.json`, `model_cfg.text_cfg`",
    keys: &[
        ("act_kwargs", CarriedOut),
        ("eos_id", CarriedOut),
        ("heads", CarriedOut),
        ("no_causal_mask", CarriedOut),
        ("norm_kwargs", CarriedOut),
        ("pool_type", CarriedOut),
        ("context_length", Compared),
        ("layers", Compared),
        ("mlp_ratio", Compared),
        ("vocab_size", Compared),
        ("width", Compared),
        ("block_type", BLOCK_TYPE),
        ("correct_cls_mask", Fixed(OFF, "a class embedding in the text tower")),
        ("embed_cls", Fixed(OFF, "a class embedding in the text tower")),
        ("hf_model_name", Fixed(&["\"\""], "a text tower of transformers")),
        ("hf_tokenizer_name", TOKENIZER),
        ("ls_init_value", LAYER_SCALE),
        ("proj_type", Fixed(&["\"linear\""], "another text projection")),
        ("qk_norm", QK_NORM),
        ("scale_attn", SCALED_ATTENTION),
        ("scale_attn_inner", SCALED_ATTENTION),
        ("scale_fc", SCALED_MLP),
        ("scale_heads", SCALED_ATTENTION),
        ("scaled_cosine_attn", SCALED_ATTENTION),
        (
            "tokenizer_kwargs",
            Fixed(&["{}", "{\"clean\":\"lower\"}"], "another cleaning of texts"),
        ),
        ("tokenizer_mode", TOKENIZER),
        ("use_pad_mask", Fixed(OFF, "a mask of the padding")),
    ],
    without_effect: &[
        "final_ln_after_pool",
        "hf_model_pretrained",
        "hf_pooler_type",
        "hf_proj_type",
        "output_tokens",
        "pad_id",
        // A bias is one of the tensors.
        "proj_bias",
    ],
};

/// `preprocess_cfg` of `open_clip_config.json`.
pub(super) const OPENCLIP_PREPROCESS: Section = Section {
    title: "`open_clip_config.json`, `preprocess_cfg`",
    keys: &[
        ("fill_color", CarriedOut),
        ("interpolation", CarriedOut),
        ("mean", CarriedOut),
        ("resize_mode", CarriedOut),
        ("std", CarriedOut),
        ("mode", Fixed(&["\"RGB\""], "images that are not RGB")),
    ],
    without_effect: &["size"],
};

/// What transformers writes into any config.
const OF_ANY_CONFIG: &[&str] = &[
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
    "add_cross_attention",
    "architectures",
    "attention_dropout",
    "auto_map",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dropout",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "id2label",
    "initializer_factor",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "length_penalty",
    "logit_scale_init_value",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "pruned_heads",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tie_word_embeddings",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "use_bfloat16",
    "use_return_dict",
];

const QUANTISED: Treatment = Fixed(NEVER, "quantised weights");

/// `config.json` of transformers.
pub(super) const TRANSFORMERS: Section = Section {
    title: "`config.json`",
    keys: &[
        ("longclip", CarriedOut),
        ("text_config", CarriedOut),
        ("text_config_dict", CarriedOut),
        ("vision_config", CarriedOut),
        ("vision_config_dict", CarriedOut),
        ("projection_dim", Compared),
        (
            "model_type",
            Fixed(
                &[
                    "\"clip\"",
                    "\"long_clip\"",
                    "\"longclip\"",
                    "\"clip_text_model\"",
                    "\"clip_vision_model\"",
                    "\"metaclip_2\"",
                    "\"metaclip_2_text_model\"",
                    "\"metaclip_2_vision_model\"",
                ],
                "another kind of model",
            ),
        ),
        ("quantization_config", QUANTISED),
        ("rope", ROTARY),
    ],
    without_effect: OF_ANY_CONFIG,
};

/// `vision_config` of `config.json`.
pub(super) const TRANSFORMERS_VISION: Section = Section {
    title: "`config.json`, `vision_config`",
    keys: &[
        ("hidden_act", CarriedOut),
        ("image_size", CarriedOut),
        ("layer_norm_eps", CarriedOut),
        ("num_attention_heads", CarriedOut),
        ("hidden_size", Compared),
        ("intermediate_size", Compared),
        ("num_hidden_layers", Compared),
        ("patch_size", Compared),
        ("projection_dim", NoEffect),
        (
            "model_type",
            Fixed(
                &["\"clip_vision_model\"", "\"clip\"", "\"metaclip_2_vision_model\""],
                "another image tower",
            ),
        ),
        ("num_channels", Fixed(&["3"], "images that are not RGB")),
        ("qk_norm", QK_NORM),
        ("quantization_config", QUANTISED),
        ("rope_parameters", ROTARY_SETTING),
        ("rope_scaling", ROTARY_SETTING),
        ("rope_theta", ROTARY_SETTING),
        ("use_rope", ROTARY),
    ],
    without_effect: OF_ANY_CONFIG,
};

/// `text_config` of `config.json`.
pub(super) const TRANSFORMERS_TEXT: Section = Section {
    title: "`config.json`, `text_config`",
    keys: &[
        ("eos_token_id", CarriedOut),
        ("hidden_act", CarriedOut),
        ("layer_norm_eps", CarriedOut),
        ("num_attention_heads", CarriedOut),
        ("hidden_size", Compared),
        ("intermediate_size", Compared),
        ("max_position_embeddings", Compared),
        ("num_hidden_layers", Compared),
        ("projection_dim", NoEffect),
        ("vocab_size", Compared),
        (
            "model_type",
            Fixed(
                &["\"clip_text_model\"", "\"clip\"", "\"metaclip_2_text_model\""],
                "another text tower",
            ),
        ),
        ("qk_norm", QK_NORM),
        ("quantization_config", QUANTISED),
        ("rope_parameters", ROTARY_SETTING),
        ("rope_scaling", ROTARY_SETTING),
        ("rope_theta", ROTARY_SETTING),
        ("use_rope", ROTARY),
    ],
    without_effect: OF_ANY_CONFIG,
};

const CLIP_PROCESSORS: &[&str] = &[
    "\"CLIPImageProcessor\"",
    "\"CLIPImageProcessorFast\"",
    "\"CLIPImageProcessorPil\"",
    "\"CLIPFeatureExtractor\"",
];
const OTHER_PROCESSOR: &str = "a processor of images other than CLIP's";

/// `preprocessor_config.json`, or `image_processor` of `processor_config.json`.
pub(super) const TRANSFORMERS_IMAGES: Section = Section {
    title: "`preprocessor_config.json`; `processor_config.json`, `image_processor`",
    keys: &[
        ("crop_size", CarriedOut),
        ("do_center_crop", CarriedOut),
        ("do_convert_rgb", CarriedOut),
        ("do_normalize", CarriedOut),
        ("do_rescale", CarriedOut),
        ("do_resize", CarriedOut),
        ("image_mean", CarriedOut),
        ("image_std", CarriedOut),
        ("resample", CarriedOut),
        ("rescale_factor", CarriedOut),
        ("size", CarriedOut),
        ("use_square_size", CarriedOut),
        ("crop_pct", Fixed(NEVER, OTHER_PROCESSOR)),
        ("default_to_square", Fixed(OFF, OTHER_PROCESSOR)),
        ("do_flip_channel_order", Fixed(OFF, "images that are not RGB")),
        ("do_pad", Fixed(OFF, "a padding of images")),
        ("feature_extractor_type", Fixed(CLIP_PROCESSORS, OTHER_PROCESSOR)),
        ("image_processor_type", Fixed(CLIP_PROCESSORS, OTHER_PROCESSOR)),
    ],
    without_effect: &[
        "_processor_class",
        "_valid_processor_keys",
        "data_format",
        "device",
        "disable_grouping",
        "image_seq_length",
        "input_data_format",
        "pad_size",
        "processor_class",
        "return_tensors",
    ],
};

/// `processor_config.json`.
pub(super) const TRANSFORMERS_PROCESSOR: Section = Section {
    title: "`processor_config.json`",
    keys: &[("image_processor", CarriedOut)],
    without_effect: &["chat_template", "feature_extractor", "processor_class", "tokenizer"],
};

/// All of them, for the documentation.
#[cfg(test)]
pub(super) const SECTIONS: [&Section; 10] = [
    &OPENCLIP,
    &OPENCLIP_MODEL,
    &OPENCLIP_VISION,
    &OPENCLIP_TEXT,
    &OPENCLIP_PREPROCESS,
    &TRANSFORMERS,
    &TRANSFORMERS_VISION,
    &TRANSFORMERS_TEXT,
    &TRANSFORMERS_IMAGES,
    &TRANSFORMERS_PROCESSOR,
];

/// Tokenizers of transformers that give CLIP's ids (`tokenizer_class` of `tokenizer_config.json`).
pub(super) const CLIP_TOKENIZERS: [&str; 3] = ["CLIPTokenizer", "CLIPTokenizerFast", "TokenizersBackend"];
