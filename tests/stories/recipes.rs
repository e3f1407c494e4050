//! Models whose configs differ from CLIP's: the numbers of open_clip and transformers, or a refusal that names the key.
//!
//! `tests/oracle/recipes.py` recorded the numbers. The weights follow from the tensors' names, as in `tests/recipe`.

use std::fs;
use std::path::Path;

use longclip::model::LongClipOptions;
use longclip::weights::{Checkpoint, ExportLayout, LoadOptions, Stretching, export};
use longclip::{Error, LongClip};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fixture::Desk;
use crate::recipe;

#[derive(Deserialize)]
struct Recorded {
    images: Vec<String>,
    texts: Vec<Vec<u32>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    sizes: Sizes,
    files: serde_json::Map<String, Value>,
    images: Vec<Vec<f32>>,
    texts: Vec<Vec<f32>>,
}

#[derive(Clone, Deserialize)]
struct Sizes {
    image: usize,
    patch: usize,
    vision_width: usize,
    vision_layers: usize,
    vision_mlp: usize,
    text_width: usize,
    text_layers: usize,
    text_mlp: usize,
    embed: usize,
    context: usize,
}

const VOCABULARY: usize = 1000;

impl Recorded {
    fn read() -> Self {
        let text = fs::read("tests/data/recipes/cases.json").unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn case(&self, name: &str) -> &Case {
        self.cases.iter().find(|case| case.name == name).unwrap()
    }

    /// The largest difference of an element of a unit vector.
    fn worst(&self, case: &Case, model: &LongClip) -> f32 {
        let images = self.images.iter().map(|name| {
            let bytes = fs::read(Path::new("tests/data/preprocess").join(name)).unwrap();
            model.preprocess().run(name, &bytes).unwrap()
        });
        let images = model.encode_images(&images.collect::<Vec<_>>()).unwrap().0.normalized();
        let ids: Vec<&[u32]> = self.texts.iter().map(Vec::as_slice).collect();
        let texts = model.encode_token_ids(&ids).unwrap().0.normalized();
        let found = images.rows().chain(texts.rows()).flatten();
        let expected = case.images.iter().chain(&case.texts).flatten();
        found.zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }
}

impl Case {
    fn write(&self, folder: &Path) {
        write_weights(&folder.join("weights.safetensors"), &tensors(&self.sizes));
        for (name, config) in &self.files {
            fs::write(folder.join(name), config.to_string()).unwrap();
        }
    }
}

/// Names and shapes in open_clip's layout.
fn tensors(sizes: &Sizes) -> Vec<(String, Vec<usize>)> {
    let (vision, text, embed) = (sizes.vision_width, sizes.text_width, sizes.embed);
    let n_positions = (sizes.image / sizes.patch).pow(2) + 1;
    let mut list: Vec<(String, Vec<usize>)> = [
        ("positional_embedding", vec![sizes.context, text]),
        ("text_projection", vec![text, embed]),
        ("logit_scale", vec![]),
        ("visual.class_embedding", vec![vision]),
        ("visual.positional_embedding", vec![n_positions, vision]),
        ("visual.proj", vec![vision, embed]),
        ("visual.conv1.weight", vec![vision, 3, sizes.patch, sizes.patch]),
        ("visual.ln_pre.weight", vec![vision]),
        ("visual.ln_pre.bias", vec![vision]),
        ("visual.ln_post.weight", vec![vision]),
        ("visual.ln_post.bias", vec![vision]),
        ("token_embedding.weight", vec![VOCABULARY, text]),
        ("ln_final.weight", vec![text]),
        ("ln_final.bias", vec![text]),
    ]
    .map(|(name, shape)| (name.to_owned(), shape))
    .into();
    for (prefix, width, mlp, layers) in [
        ("visual.transformer", vision, sizes.vision_mlp, sizes.vision_layers),
        ("transformer", text, sizes.text_mlp, sizes.text_layers),
    ] {
        for layer in 0..layers {
            let block = [
                ("attn.in_proj_weight", vec![3 * width, width]),
                ("attn.in_proj_bias", vec![3 * width]),
                ("attn.out_proj.weight", vec![width, width]),
                ("attn.out_proj.bias", vec![width]),
                ("ln_1.weight", vec![width]),
                ("ln_1.bias", vec![width]),
                ("ln_2.weight", vec![width]),
                ("ln_2.bias", vec![width]),
                ("mlp.c_fc.weight", vec![mlp, width]),
                ("mlp.c_fc.bias", vec![mlp]),
                ("mlp.c_proj.weight", vec![width, mlp]),
                ("mlp.c_proj.bias", vec![width]),
            ];
            list.extend(block.map(|(name, shape)| (format!("{prefix}.resblocks.{layer}.{name}"), shape)));
        }
    }
    list
}

/// As `generated` in `tests/oracle/recipes.py`.
fn values(name: &str, shape: &[usize]) -> Vec<f32> {
    let is_norm = name.split('.').any(|word| word.starts_with("ln_")) && name.ends_with("weight");
    let (offset, scale) = match shape {
        [] => (4.6052, 0.0),
        _ if is_norm => (1.0, 0.25),
        [_] => (0.0, 0.1),
        [_, inner @ .., last] => {
            let fan_in: usize = inner.iter().product::<usize>() * last;
            (0.0, 1.7 * (fan_in as f64).powf(-0.5))
        }
    };
    recipe::recipe(name, shape.iter().product(), offset, scale)
}

fn write_weights(path: &Path, tensors: &[(String, Vec<usize>)]) {
    write_weights_with(path, tensors, &json!({}));
}

fn write_weights_with(path: &Path, tensors: &[(String, Vec<usize>)], metadata: &Value) {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), metadata.clone());
    let (mut bytes, mut end) = (Vec::new(), 0);
    for (name, shape) in tensors {
        let values = values(name, shape);
        let start = end;
        end += 4 * values.len();
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let entry = json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] });
        header.insert(name.clone(), entry);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let file = [&(header.len() as u64).to_le_bytes()[..], &header, &bytes].concat();
    fs::write(path, file).unwrap();
}

fn load(folder: &Path) -> longclip::Result<LongClip> {
    let checkpoint = Checkpoint::open(folder, &LoadOptions::default())?;
    LongClip::from_checkpoint(checkpoint, &LongClipOptions::default())
}

/// Both libraries computed in f64, and the embeddings have length 1.
const BOUND: f32 = 3e-6;

#[test]
fn configs_give_the_numbers_of_open_clip_and_transformers() {
    let recorded = Recorded::read();
    assert!(recorded.cases.len() > 50);
    let mut wrong = Vec::new();
    for case in &recorded.cases {
        let folder = tempfile::tempdir().unwrap();
        case.write(folder.path());
        match load(folder.path()) {
            Ok(model) => {
                let worst = recorded.worst(case, &model);
                if worst > BOUND || worst.is_nan() {
                    wrong.push(format!("{}: {worst} off", case.name));
                }
            }
            Err(error) => wrong.push(format!("{}: {error}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_converted_model_keeps_its_recipe_in_every_layout_that_can_say_it() {
    let recorded = Recorded::read();
    let mut n_written = [0; 3];
    for case in recorded.cases.iter().step_by(3) {
        let folder = tempfile::tempdir().unwrap();
        case.write(folder.path());
        let original = Checkpoint::open(folder.path(), &LoadOptions::default()).unwrap();
        for (i, layout) in [
            ExportLayout::LongClip,
            ExportLayout::HuggingFace,
            ExportLayout::OpenClip,
        ]
        .into_iter()
        .enumerate()
        {
            let target = tempfile::tempdir().unwrap();
            let path = target.path().join("converted");
            match export(&original, layout, &path) {
                Ok(_) => {}
                Err(Error::Usage { .. }) if layout != ExportLayout::LongClip => continue,
                Err(other) => panic!("{}: {other}", case.name),
            }
            n_written[i] += 1;
            let again = Checkpoint::open(&path, &LoadOptions::default()).unwrap();
            assert_eq!(again.recipe(), original.recipe(), "{} {layout:?}", case.name);
            assert_eq!(again.sizes(), original.sizes(), "{} {layout:?}", case.name);
        }
    }
    assert!(n_written.iter().all(|n| *n > 5), "{n_written:?}");
}

/// A weights file without a config, but with what `model info` says in its metadata, gives the same numbers; so `info` says all
/// that is computed.
#[test]
fn info_and_verify_agree_with_what_is_computed() {
    let recorded = Recorded::read();
    for case in recorded.cases.iter().step_by(7) {
        let desk = Desk::new();
        let folder = desk.path("model");
        fs::create_dir(&folder).unwrap();
        case.write(&folder);
        let shown = desk.output(&["model", "info", "model", "--format", "json"]);
        let info: Value = serde_json::from_slice(&shown.stdout).unwrap();
        let told = json!({
            "image_resolution_px": info["image_resolution_px"],
            "vision_heads": info["vision_heads"],
            "text_heads": info["text_heads"],
            "recipe": info["recipe"],
        });
        let bare = desk.path("bare.safetensors");
        write_weights_with(
            &bare,
            &tensors(&case.sizes),
            &json!({ "longclip.recipe": told.to_string() }),
        );
        let worst = recorded.worst(case, &load(&bare).unwrap());
        assert!(worst <= BOUND, "{}: {worst} off, with {told}", case.name);
        assert!(
            desk.output(&["model", "verify", "model"]).status.success(),
            "{}",
            case.name
        );
    }
}

/// A model of open_clip with one change in its config.
fn refused(pointer: &str, value: Value) -> String {
    let recorded = Recorded::read();
    let case = recorded.case("open_clip: quick gelu");
    let folder = tempfile::tempdir().unwrap();
    case.write(folder.path());
    let mut config = case.files["open_clip_config.json"].clone();
    let (object, key) = pointer.rsplit_once('/').unwrap();
    config.pointer_mut(object).unwrap()[key] = value;
    fs::write(folder.path().join("open_clip_config.json"), config.to_string()).unwrap();
    match load(folder.path()) {
        Ok(model) => format!(
            "notices: {:?}",
            model.notices().iter().map(ToString::to_string).collect::<Vec<_>>()
        ),
        Err(error) => error.to_string().replace(folder.path().to_str().unwrap(), "DIR"),
    }
}

#[test]
fn what_is_not_computed_is_refused_by_name() {
    let cases = [
        ("/model_cfg/vision_cfg/ls_init_value", json!(1e-4)),
        ("/model_cfg/vision_cfg/qk_norm", json!(true)),
        ("/model_cfg/text_cfg/scaled_cosine_attn", json!(true)),
        ("/model_cfg/vision_cfg/attentional_pool", json!(true)),
        ("/model_cfg/text_cfg/embed_cls", json!(true)),
        ("/model_cfg/multimodal_cfg", json!({})),
        ("/model_cfg/vision_cfg/timm_model_name", json!("convnext_base")),
        ("/model_cfg/vision_cfg/layers", json!([3, 4, 6, 3])),
        ("/model_cfg/text_cfg/hf_model_name", json!("roberta-base")),
        ("/model_cfg/text_cfg/hf_tokenizer_name", json!("bert-base-uncased")),
        ("/model_cfg/init_logit_bias", json!(-10)),
        ("/model_cfg/vision_cfg/act_kwargs", json!({ "approximate": "tanh" })),
        ("/model_cfg/vision_cfg/width", json!(128)),
        ("/model_cfg/vision_cfg/image_size", json!([32, 64])),
        ("/model_cfg/vision_cfg/image_size", json!(64)),
        ("/model_cfg/text_cfg/heads", json!(5)),
        ("/model_cfg/text_cfg/context_length", json!(77)),
        ("/model_cfg/text_cfg/something_new", json!(1)),
        ("/preprocess_cfg/interpolation", json!("lanczos")),
    ];
    let said: Vec<String> = cases.map(|(pointer, value)| refused(pointer, value)).into();
    insta::assert_snapshot!(said.join("\n"), @r#"
    cannot use `DIR/open_clip_config.json`: `vision_cfg.ls_init_value` is 0.0001: layer scale, which longclip does not compute
    cannot use `DIR/open_clip_config.json`: `vision_cfg.qk_norm` is true: a layer norm of queries and keys, which longclip does not compute
    cannot use `DIR/open_clip_config.json`: `text_cfg.scaled_cosine_attn` is true: scaled attention, which longclip does not compute
    cannot use `DIR/open_clip_config.json`: `vision_cfg.attentional_pool` is true: attention pooling, which longclip does not compute
    cannot use `DIR/open_clip_config.json`: `text_cfg.embed_cls` is true: a class embedding in the text tower, which longclip does not compute
    cannot use `DIR/open_clip_config.json`: `multimodal_cfg` is {}: CoCa, which also writes captions, which longclip does not compute
    cannot use `DIR/open_clip_config.json`: `vision_cfg.timm_model_name` is "convnext_base": an image tower of timm that is not a plain ViT (`vit_*_clip_*`), which longclip does not compute
    cannot use `DIR/open_clip_config.json`: `vision_cfg.layers` is [3,4,6,3]: a convolutional image tower (ResNet), which longclip does not compute
    cannot use `DIR/open_clip_config.json`: `text_cfg.hf_model_name` is "roberta-base": a text tower of transformers, which longclip does not compute
    cannot use `DIR/open_clip_config.json`: `text_cfg.hf_tokenizer_name` is "bert-base-uncased": a tokenizer other than CLIP's, which longclip does not compute
    cannot use `DIR/open_clip_config.json`: `init_logit_bias` is -10: a bias of the logits (SigLIP), which longclip does not compute
    cannot use `DIR/open_clip_config.json`: `vision_cfg.act_kwargs` is {"approximate":"tanh"}: only `{"approximate": "tanh"}` or `"none"` is carried out, and not with `quick_gelu`
    cannot use `DIR/open_clip_config.json`: `vision_cfg.width` is 128, but the weights next to it have 64
    cannot use `DIR/open_clip_config.json`: `vision_cfg.image_size` is [32,64]: one size for both sides is expected
    cannot use `DIR/open_clip_config.json`: `vision_cfg.image_size` is 64, but the weights next to it have 32
    cannot use `DIR/open_clip_config.json`: `text_cfg.heads` is 5, but the tower is 48 wide, which is not a multiple of it
    notices: ["`open_clip_config.json` says `text_cfg.context_length`: 77, but the weights have 12 text positions, which are used"]
    notices: ["`open_clip_config.json` has a key that is not known, so it is not carried out: `text_cfg.something_new`"]
    cannot use `DIR/open_clip_config.json`: `preprocess_cfg.interpolation` is "lanczos": `bicubic` and `bilinear` are carried out
    "#);
}

#[test]
fn a_bare_file_says_what_is_assumed() {
    let recorded = Recorded::read();
    let case = recorded.case("open_clip: quick gelu");
    let folder = tempfile::tempdir().unwrap();
    case.write(folder.path());
    fs::remove_file(folder.path().join("open_clip_config.json")).unwrap();
    let options = LoadOptions {
        stretching: Some(Stretching::default()),
        ..LoadOptions::default()
    };
    // A text tower of 48 columns has no heads of 64.
    let error = Checkpoint::open(folder.path(), &options).err().unwrap().to_string();
    assert!(error.contains("48 wide"), "{error}");
    let wider = Sizes {
        text_width: 64,
        ..case.sizes.clone()
    };
    write_weights(&folder.path().join("weights.safetensors"), &tensors(&wider));
    let checkpoint = Checkpoint::open(folder.path(), &options).unwrap();
    let said: Vec<String> = checkpoint.notices().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"), @"no config next to `weights.safetensors` says how the model is computed: quick-gelu, 1 head for images and 1 head for texts are assumed; `Control::Activation` sets another activation");
}
