//! WebDataset tars: `KEY.jpg` (or another picture) with `KEY.txt`, the caption, or `KEY.json`, a record as in `records.rs`
//! without a path (img2dataset writes both).

use std::path::PathBuf;

use serde_json::{Map, Value};
use sha2::Sha256;

use super::{DataOptions, Sample, Source, Unusable, unusable};
use crate::error::Result;
use crate::input::shards::{self, Group, Range};
use crate::text::first_sentence;

pub(super) struct Shards {
    archives: shards::Shards,
    samples: Vec<Member>,
}

/// Where a sample lies.
struct Member {
    name: Box<str>,
    picture: Range,
    caption: Caption,
}

enum Caption {
    Text(Range),
    Record(Range),
}

pub(super) fn open(paths: &[PathBuf], options: &DataOptions, skipped: &mut Vec<Unusable>) -> Result<Shards> {
    let mut samples = Vec::new();
    let mut lonely = Vec::new();
    let mut damaged = Vec::new();
    let archives = shards::Shards::open(
        paths,
        &options.scratch,
        |group| match sample(group) {
            Ok(Some(member)) => samples.push(member),
            Ok(None) => {}
            Err(problem) => {
                let sample = group.name();
                let error = unusable(sample.clone(), problem);
                lonely.push(Unusable { sample, error });
            }
        },
        |path, error| {
            let sample = path.display().to_string();
            damaged.push(Unusable { sample, error });
        },
    )?;
    skipped.extend(lonely);
    skipped.extend(damaged);
    Ok(Shards { archives, samples })
}

/// The sample of a key's members; none where they are of no use, what is missing where one has no partner.
fn sample(group: &Group<'_>) -> std::result::Result<Option<Member>, &'static str> {
    let text = group.member("txt").map(Caption::Text);
    let caption = text.or_else(|| group.member("json").map(Caption::Record));
    match (group.picture(), caption) {
        (Some(picture), Some(caption)) => Ok(Some(Member {
            name: group.name().into(),
            picture,
            caption,
        })),
        (Some(_), None) => Err("it has no caption: a member `.txt` or `.json` beside the picture"),
        (None, Some(_)) => Err("it has no picture: a member `.jpg` or the like beside the caption"),
        (None, None) => Ok(None),
    }
}

impl Source for Shards {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn name(&self, i: usize) -> String {
        self.samples[i].name.to_string()
    }

    fn read(&self, i: usize, _draw: u64) -> Result<Sample> {
        let Member { picture, caption, .. } = &self.samples[i];
        let name = self.name(i);
        let (long, short, class) = match caption {
            Caption::Text(range) => (Some(text(self.archives.bytes(*range)?, &name)?), None, None),
            Caption::Record(range) => {
                let record: Map<String, Value> = serde_json::from_slice(&self.archives.bytes(*range)?)
                    .map_err(|error| unusable(name.clone(), format!("its `.json` is no JSON object: {error}")))?;
                let field = |key: &str| record.get(key).and_then(Value::as_str).map(str::to_owned);
                let long = field("long").or_else(|| field("text")).or_else(|| field("caption"));
                (long, field("short"), field("class"))
            }
        };
        let long = long.filter(|long| !long.trim().is_empty());
        let long = long.ok_or_else(|| unusable(name.clone(), "its caption is empty"))?;
        Ok(Sample {
            picture: self.archives.bytes(*picture)?,
            short: short.unwrap_or_else(|| first_sentence(&long).to_owned()),
            long,
            class,
            name,
        })
    }

    fn outline(&self, hash: &mut Sha256) {
        for Member { picture, caption, .. } in &self.samples {
            let (Caption::Text(caption) | Caption::Record(caption)) = caption;
            picture.outline(hash);
            caption.outline(hash);
        }
    }
}

fn text(bytes: Vec<u8>, name: &str) -> Result<String> {
    let text = String::from_utf8(bytes).map_err(|_| unusable(name, "its caption is no UTF-8"))?;
    Ok(text.trim_start_matches('\u{feff}').trim().to_owned())
}
