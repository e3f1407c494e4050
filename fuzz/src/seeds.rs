//! Writes the seeds of all targets: small files of the tests, and files made here.

use std::error::Error;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::{SIZES, Saved, archive, header, state_dict, with_numbers};
use arrow_array::{ArrayRef, BinaryArray, DictionaryArray, RecordBatch, StringArray, types::Int32Type};
use image::{DynamicImage, ImageFormat};
use longclip::search::{IndexWriter, Origin, Picture};
use longclip::sidecar::{Photo, TagPath};
use longclip::weights::{Checkpoint, ExportLayout, LoadOptions, export};
use serde_json::Value;

type Outcome = Result<(), Box<dyn Error>>;

/// Larger files make executions slow.
const BYTES_MAX: usize = 64_000;

/// A folder with one folder of seeds per target.
struct Seeds(PathBuf);

impl Seeds {
    fn add(&self, target: &str, name: &str, bytes: &[u8]) -> Outcome {
        if bytes.len() <= BYTES_MAX {
            fs::create_dir_all(self.0.join(target))?;
            fs::write(self.0.join(target).join(name), bytes)?;
        }
        Ok(())
    }

    /// A seed whose first byte is a choice of the target.
    fn add_chosen(&self, target: &str, choice: u8, name: &str, bytes: &[u8]) -> Outcome {
        self.add(target, &format!("{choice}-{name}"), &[&[choice], bytes].concat())
    }
}

/// Writes them into one folder per target. `data` is the folder `tests/data` of the repository.
///
/// # Errors
/// The error of a file or of an encoder.
pub fn write(folder: &Path, data: &Path) -> Outcome {
    let seeds = Seeds(folder.to_owned());
    image_files(&seeds, &data.join("preprocess"))?;
    images(&seeds)?;
    weights(&seeds)?;
    configs(&seeds, &data.join("recipes/cases.json"))?;
    texts(&seeds, data)?;
    archives(&seeds, data)?;
    tables(&seeds)
}

/// All files of a folder and of those in it.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(files(&path)?),
            false => found.push(path),
        }
    }
    Ok(found)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn image_files(seeds: &Seeds, folder: &Path) -> Outcome {
    for path in files(folder)? {
        let target = match path.extension().and_then(|ending| ending.to_str()) {
            Some("jpg") => "jpeg",
            Some("tif") => "tiff",
            Some(same @ ("bmp" | "heic" | "ico" | "jxl" | "png" | "tiff" | "webp")) => same,
            _ => continue,
        };
        let bytes = fs::read(&path)?;
        seeds.add(target, &name_of(&path), &bytes)?;
        if bytes.len() < 2000 {
            if target == "jpeg" {
                seeds.add("raw", &name_of(&path), &raf(&bytes))?;
            }
            keywords(seeds, &name_of(&path), &bytes)?;
        }
    }
    Ok(())
}

/// A photo without keywords and one with some, if its format can have them.
fn keywords(seeds: &Seeds, name: &str, bytes: &[u8]) -> Outcome {
    let Ok(Some(photo)) = Photo::read(&crate::file("photo", bytes)) else {
        return Ok(());
    };
    seeds.add("keywords", name, bytes)?;
    match photo.tagged(&[TagPath(vec!["place".into(), "beach".into()])]) {
        Ok(Some(tagged)) => seeds.add("keywords", &format!("tagged-{name}"), &tagged),
        Ok(None) | Err(_) => Ok(()),
    }
}

/// A raw photo of Fuji with this preview.
fn raf(preview: &[u8]) -> Vec<u8> {
    let mut bytes = b"FUJIFILMCCD-RAW 0201FF389501X-T1".to_vec();
    bytes.resize(84, 0);
    bytes.extend(92u32.to_be_bytes());
    bytes.extend((preview.len() as u32).to_be_bytes());
    bytes.extend(preview);
    bytes
}

/// A small image in each format that can be written, and in each kind of colours.
fn images(seeds: &Seeds) -> Outcome {
    let wide = DynamicImage::ImageRgba16(image::ImageBuffer::from_fn(11, 7, |x, y| {
        image::Rgba([x * 5957, y * 9362, (x ^ y) * 4000, 40000 + x * y * 300].map(|value| value as u16))
    }));
    let colours = [
        ("l8", DynamicImage::from(wide.to_luma8())),
        ("la8", wide.to_luma_alpha8().into()),
        ("rgb8", wide.to_rgb8().into()),
        ("rgba8", wide.to_rgba8().into()),
        ("l16", wide.to_luma16().into()),
        ("rgb16", wide.to_rgb16().into()),
        ("rgb32f", wide.to_rgb32f().into()),
        ("rgba16", wide),
    ];
    let formats = [
        (ImageFormat::Png, "png"),
        (ImageFormat::Gif, "gif"),
        (ImageFormat::Bmp, "bmp"),
        (ImageFormat::Tiff, "tiff"),
        (ImageFormat::Ico, "ico"),
        (ImageFormat::WebP, "webp"),
        (ImageFormat::Pnm, "other_images"),
        (ImageFormat::Qoi, "other_images"),
        (ImageFormat::Tga, "other_images"),
        (ImageFormat::Hdr, "other_images"),
    ];
    for (format, target) in formats {
        for (name, image) in &colours {
            let mut bytes = Cursor::new(Vec::new());
            // Not every format has all colours.
            if image.write_to(&mut bytes, format).is_ok() {
                seeds.add(target, &format!("{format:?}-{name}"), &bytes.into_inner())?;
            }
        }
    }
    Ok(())
}

/// The smallest model in each layout, as headers and as pickles.
fn weights(seeds: &Seeds) -> Outcome {
    let own = header(&SIZES.tensors());
    let mut layouts = vec![("own", SIZES.tensors())];
    let checkpoint = Checkpoint::from_bytes("own", with_numbers(&own), &LoadOptions::default())?;
    let scratch = crate::folder().join("export");
    for (name, layout, file) in [
        ("transformers", ExportLayout::HuggingFace, "model.safetensors"),
        ("open_clip", ExportLayout::OpenClip, "open_clip_model.safetensors"),
    ] {
        let folder = scratch.join(name);
        export(&checkpoint, layout, &folder)?;
        layouts.push((name, tensors_of(&fs::read(folder.join(file))?)?));
        for path in files(&folder)?
            .into_iter()
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
        {
            let text = fs::read(&path)?;
            for choice in 0..5 {
                seeds.add_chosen("model_folder", choice, &format!("{name}-{}", name_of(&path)), &text)?;
            }
        }
    }
    fs::remove_dir_all(scratch)?;
    for (name, tensors) in layouts {
        let pickle = state_dict(&tensors);
        seeds.add("safetensors", name, &header(&tensors))?;
        seeds.add("pt", name, &archive(&pickle, Saved::Whole))?;
        seeds.add("pt", &format!("{name}-scripted"), &archive(&pickle, Saved::Scripted))?;
        for (choice, few) in [(0, 1), (1, 2), (0, tensors.len())] {
            seeds.add_chosen("pickle", choice, &format!("{name}-{few}"), &state_dict(&tensors[..few]))?;
        }
        let map: serde_json::Map<String, Value> = tensors
            .iter()
            .map(|(name, _)| (name.clone(), "model.safetensors".into()))
            .collect();
        let index = serde_json::json!({ "metadata": {}, "weight_map": map });
        seeds.add_chosen(
            "model_folder",
            5,
            &format!("{name}-index"),
            index.to_string().as_bytes(),
        )?;
    }
    seeds.add("safetensors", "file", &with_numbers(&header(&SIZES.tensors()[..3])))
}

/// The name and the shape of a tensor.
type Named = (String, Vec<usize>);

/// Names and shapes in a file of safetensors.
fn tensors_of(file: &[u8]) -> Result<Vec<Named>, Box<dyn Error>> {
    let n_bytes = u64::from_le_bytes(*file.first_chunk().ok_or("too short")?) as usize;
    let header: serde_json::Map<String, Value> = serde_json::from_slice(&file[8..8 + n_bytes])?;
    let tensors = header.into_iter().filter(|(name, _)| name != "__metadata__");
    Ok(tensors
        .map(|(name, tensor)| serde_json::from_value(tensor["shape"].clone()).map(|shape| (name, shape)))
        .collect::<Result<_, _>>()?)
}

/// The configs that the tests compare with the real libraries.
fn configs(seeds: &Seeds, cases: &Path) -> Outcome {
    let cases: Value = serde_json::from_slice(&fs::read(cases)?)?;
    for (i, case) in cases["cases"].as_array().into_iter().flatten().enumerate() {
        for (name, config) in case["files"].as_object().into_iter().flatten() {
            let text = config.to_string();
            seeds.add("config", &format!("{i}-{name}"), text.as_bytes())?;
            let names = [
                "config.json",
                "open_clip_config.json",
                "preprocessor_config.json",
                "processor_config.json",
            ];
            if let Some(choice) = names.iter().position(|known| known == name) {
                seeds.add_chosen("model_folder", choice as u8, &format!("{i}"), text.as_bytes())?;
            }
        }
    }
    seeds.add_chosen("model_folder", 4, "clip", br#"{"tokenizer_class": "CLIPTokenizer"}"#)
}

fn texts(seeds: &Seeds, data: &Path) -> Outcome {
    labels(seeds)?;
    records(seeds, data)?;
    for path in files(&data.join("xmp"))?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "xmp"))
    {
        seeds.add("xmp", &name_of(&path), &fs::read(&path)?)?;
    }
    for (i, line) in fs::read_to_string(data.join("text/ftfy-cases.json"))?
        .lines()
        .enumerate()
        .step_by(4)
    {
        seeds.add("text", &format!("{i}"), line.as_bytes())?;
    }
    results(seeds)?;
    tokenizers(seeds)
}

/// Lists of labels, each with the format that it is read as.
fn labels(seeds: &Seeds) -> Outcome {
    let labels: [(u8, &str, &str); 6] = [
        (
            0,
            "lines",
            "# a comment\ncat\n  bird {fowl}\n\n[animal]\n\tdog (one of)\nname: a photo of a {}.\n\\# no comment\n",
        ),
        (
            1,
            "list",
            r#"["cat", {"name": "dog", "prompts": ["a dog", "a puppy"], "group": "pets"}]"#,
        ),
        (1, "object", r#"{"cat": ["a cat", "a kitten"], "dog": "a dog"}"#),
        (2, "lines", "{\"label\": \"cat\", \"prompt\": \"a cat\"}\n\"dog\"\n"),
        (
            3,
            "table",
            "label,prompt,group\ncat,\"a cat, lying\",pets\ndog,a dog,pets\n",
        ),
        (4, "table", "name\tprompt\ncat\ta cat\n"),
    ];
    for (choice, name, text) in labels {
        seeds.add_chosen("labels", choice, name, text.as_bytes())?;
    }
    let utf16: Vec<u8> = "\u{feff}cat\r\nd\u{f6}g\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    seeds.add_chosen("labels", 0, "utf16", &utf16)?;
    Ok(())
}

/// Data sets of images and their texts, each with the format that it is read as.
fn records(seeds: &Seeds, data: &Path) -> Outcome {
    let records = [
        (
            0,
            "named",
            "{\"path\": \"a.jpg\", \"labels\": [\"a\", \"b\"], \"text\": \"A cat.\", \"n\": 1.10}\n",
        ),
        (
            0,
            "encoded",
            "{\"id\": 7, \"image_b64\": \"data:image/png;base64,iVBORw0KGgo=\"}\n{\"path\": {\"bytes\": \"/w==\"}}\n",
        ),
        (1, "classes", "path,label\na.jpg,cat\n\"b, c.jpg\",dog\n"),
        (1, "captions", "filepath,title,split\na.jpg,A cat.,test\n"),
        (2, "tabs", "filepath\tcaption\na.jpg\tA cat.\n"),
        (
            3,
            "list",
            r#"[{"path": "a.jpg", "caption": ["A cat.", "Lying."], "class": 3}]"#,
        ),
    ];
    for (choice, name, text) in records {
        seeds.add_chosen("records", choice, name, text.as_bytes())?;
    }
    for (choice, name) in [
        (0, "pairs.ndjson"),
        (3, "share-captioner.json"),
        (3, "flickr30k/dataset_flickr30k.json"),
        (4, "flickr30k/results_20130124.token"),
        (5, "flickr30k/results.csv"),
        (6, "coco/annotations/captions_val2017.json"),
    ] {
        let path = data.join("pairs").join(name);
        seeds.add_chosen("records", choice, &name_of(&path), &fs::read(&path)?)?;
    }
    Ok(())
}

/// Results of runs that can be resumed.
fn results(seeds: &Seeds) -> Outcome {
    let results = [
        (
            "ndjson",
            "{\"path\":\"a.jpg\",\"labels\":[{\"label\":\"cat\",\"probability\":0.5}]}\n{\"path\":\"b.jpg\",\"error\":\"gone\"}\n",
        ),
        (
            "csv",
            "path,rank,label,probability,logit,cosine,error\na.jpg,1,\"a \"\"cat\"\", lying\",0.75,20.5,0.25,\nb.jpg,,,,,,gone\n",
        ),
        ("tsv", "path\trank\tlabel\tprobability\na.jpg\t1\tcat\t0.75\n"),
        (
            "log",
            "{\"from\":\"a.jpg\",\"to\":\"cat/a.jpg\",\"placed\":\"new\",\"sorted\":\"copy\"}\n",
        ),
    ];
    for (name, text) in results {
        seeds.add("results", name, text.as_bytes())?;
    }
    Ok(())
}

/// A tokenizer of each kind that the crate `tokenizers` has.
fn tokenizers(seeds: &Seeds) -> Outcome {
    let models = [
        r#"{"type":"Unigram","unk_id":0,"vocab":[["<unk>",-1.0],["a",-1.5],["▁c",-2.0]]}"#,
        r#"{"type":"BPE","dropout":null,"unk_token":"u","vocab":{"u":0,"a":1,"c":2,"ca":3},"merges":["c a"]}"#,
        r###"{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{"[UNK]":0,"a":1}}"###,
        r#"{"type":"WordLevel","unk_token":"u","vocab":{"u":0,"cat":1}}"#,
    ];
    let around = [
        ("null", "null", "null"),
        (
            r#"{"type":"NFKC"}"#,
            r#"{"type":"Whitespace"}"#,
            r#"{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[0],"tokens":["<s>"]}}}"#,
        ),
        (
            r#"{"type":"Sequence","normalizers":[{"type":"Lowercase"},{"type":"Replace","pattern":{"Regex":"\\s+"},"content":" "}]}"#,
            r#"{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}"#,
            r#"{"type":"RobertaProcessing","sep":["u",0],"cls":["u",0],"trim_offsets":true,"add_prefix_space":false}"#,
        ),
        (
            r#"{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true}"#,
            r#"{"type":"Split","pattern":{"Regex":"\\w+|."},"behavior":"Removed","invert":true}"#,
            r#"{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}"#,
        ),
    ];
    for (i, model) in models.iter().enumerate() {
        for (j, (normalizer, pre, post)) in around.iter().enumerate() {
            let text = format!(
                "{{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{{\"id\":0,\"content\":\"<s>\",\
                 \"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}}],\
                 \"normalizer\":{normalizer},\"pre_tokenizer\":{pre},\"post_processor\":{post},\"decoder\":null,\"model\":{model}}}"
            );
            seeds.add("tokenizer", &format!("{i}-{j}"), text.as_bytes())?;
        }
    }
    Ok(())
}

fn archives(seeds: &Seeds, data: &Path) -> Outcome {
    for path in files(&data.join("archives"))? {
        let packed = fs::read(&path)?;
        seeds.add("tar", &name_of(&path), &packed)?;
        let mut plain = Vec::new();
        std::io::copy(&mut flate2::read::GzDecoder::new(&packed[..]), &mut plain)?;
        seeds.add("tar", &name_of(&path).replace(".gz", ""), &plain)?;
    }
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in [
        ("1.jpg", &b"\xff\xd8\xff\xe0"[..]),
        ("1.txt", b"A cat."),
        ("1.json", b"{\"caption\": \"A cat.\"}"),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, name, content)?;
    }
    seeds.add("tar", "sample.tar", &builder.into_inner()?)?;
    for path in files(&data.join("eval"))? {
        if !name_of(&path).ends_with(".py") {
            let choice = if path.to_string_lossy().contains("cifar100") {
                2
            } else {
                0
            };
            seeds.add_chosen(
                "cifar",
                choice,
                &path.parent().map(name_of).unwrap_or_default(),
                &fs::read(&path)?,
            )?;
        }
    }
    seeds.add_chosen("cifar", 1, "binary", &[0; 3073])
}

/// Tables as Arrow and Parquet write them, and an index.
fn tables(seeds: &Seeds) -> Outcome {
    let keys: DictionaryArray<Int32Type> = ["cat", "dog", "cat"].into_iter().collect();
    let columns: [(&str, ArrayRef); 4] = [
        (
            "path",
            Arc::new(StringArray::from(vec![Some("a.jpg"), None, Some("c.jpg")])),
        ),
        (
            "image",
            Arc::new(BinaryArray::from(vec![&b"\xff\xd8\xff"[..], b"", b"GIF89a"])),
        ),
        ("text", Arc::new(StringArray::from(vec!["A cat.", "A dog.", ""]))),
        ("label", Arc::new(keys)),
    ];
    for n in 2..=columns.len() {
        let batch = RecordBatch::try_from_iter(columns[..n].iter().cloned())?;
        let mut stream = arrow_ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema())?;
        stream.write(&batch)?;
        stream.write(&batch)?;
        seeds.add("arrow", &format!("stream-{n}"), &stream.into_inner()?)?;
        let mut file = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema())?;
        file.write(&batch)?;
        seeds.add("arrow", &format!("file-{n}"), &file.into_inner()?)?;
        let mut table = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None)?;
        table.write(&batch)?;
        seeds.add("parquet", &format!("table-{n}"), &table.into_inner()?)?;
    }
    let origin = Origin {
        model: "small".into(),
        weights: "0123456789abcdef".into(),
        dtype: "f32".into(),
        orientation: "upright".into(),
        embed_dim: 3,
        folder: "/photos".into(),
        version: "1.2.3".into(),
    };
    let mut index = IndexWriter::new(Vec::new(), &origin)?;
    for path in ["a.jpg", "b.jpg"] {
        let picture = Picture {
            path: path.into(),
            size: Some(7),
            mtime_us: Some(1_700_000_000_123_456),
            sha256: None,
        };
        index.push(picture, &[0.6, 0.8, 0.0])?;
    }
    let mut bytes = index.finish()?;
    bytes.flush()?;
    seeds.add("parquet", "index", &bytes)
}
