//! WebDataset tars: `KEY.jpg` (or another picture) with `KEY.txt`, the caption, or `KEY.json`, a record as in `records.rs`
//! without a path (img2dataset writes both).

use std::io;
use std::path::{Path, PathBuf};

use sha2::Sha256;

use super::records::{Captions, short_of};
use super::{DataOptions, Sample, Source, Unusable, unusable};
use crate::error::{Error, Result, counted};
use crate::input::records::Record;
use crate::input::shards::{self, Group, Met, Range};

pub(super) struct Shards {
    archives: shards::Shards,
    n_archives: usize,
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
    let mut n_before = 0;
    let mut last_lonely = None;
    let archives = shards::Shards::open(paths, &options.scratch, |met| match met {
        Met::Key(group) => {
            skipped.extend(last_lonely.take());
            match sample(&group) {
                Ok(member) => samples.extend(member),
                Err(problem) => last_lonely = Some(Unusable::new(group.name(), problem)),
            }
        }
        Met::End(path, damage) => {
            // What a key lacks right before the damage is what is damaged.
            skipped.extend(last_lonely.take().filter(|_| damage.is_none()));
            skipped.extend(end(path, samples.len() - n_before, damage));
            n_before = samples.len();
        }
    })?;
    Ok(Shards {
        archives,
        n_archives: paths.len(),
        samples,
    })
}

/// What is to be said at the end of an archive that gave so many samples.
fn end(path: &Path, n_samples: usize, damage: Option<io::Error>) -> Option<Unusable> {
    let name = path.display().to_string();
    let used = match n_samples {
        0 => "no sample stands before that".to_owned(),
        1 => "the 1 sample before that is used".to_owned(),
        n => format!("the {n} samples before that are used"),
    };
    match damage {
        Some(source) => Some(Unusable {
            sample: name,
            error: Error::read(path)(io::Error::new(source.kind(), format!("{source}; {used}"))),
        }),
        None if n_samples == 0 => Some(Unusable::new(
            name,
            "it holds no sample: a picture `KEY.jpg` and a caption `KEY.txt` or `KEY.json`",
        )),
        None => None,
    }
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

    fn about(&self) -> String {
        let samples = counted(self.samples.len(), "sample");
        format!("{samples} of {}", counted(self.n_archives, "tar"))
    }

    fn read(&self, i: usize, _draw: u64) -> Result<Sample> {
        let Member { picture, caption, .. } = &self.samples[i];
        let name = self.name(i);
        let Captions { long, short, class } = match caption {
            Caption::Text(range) => {
                let long = text(self.archives.bytes(*range)?, &name)?;
                let short = short_of(&name, &long)?;
                Captions {
                    long,
                    short,
                    class: None,
                }
            }
            Caption::Record(range) => {
                let record: Record = serde_json::from_slice(&self.archives.bytes(*range)?)
                    .map_err(|error| unusable(name.clone(), format!("its `.json` is no JSON object: {error}")))?;
                Captions::of(&name, &record)?
            }
        };
        Ok(Sample {
            picture: self.archives.bytes(*picture)?,
            name,
            long,
            short,
            class,
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
    match text.trim_start_matches('\u{feff}').trim() {
        "" => Err(unusable(name, "its caption is empty")),
        caption => Ok(caption.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Dataset;
    use super::super::tests::{options, refused, said};
    use crate::input::testing::archive_of;

    /// Two samples, in blocks of 512 bytes: `1.jpg`'s header and bytes, `1.txt`'s, `2.jpg`'s, `2.txt`'s, and the marker.
    fn two() -> Vec<u8> {
        archive_of(&[
            ("1.jpg", b"one"),
            ("1.txt", b"A cat."),
            ("2.jpg", b"two"),
            ("2.txt", b"A dog."),
        ])
    }

    /// The samples of a tar of these bytes, and what is said of it.
    fn look(bytes: &[u8]) -> (usize, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar");
        fs::write(&path, bytes).unwrap();
        let data = Dataset::open(&[path], &options(dir.path())).unwrap();
        for i in 0..data.len() {
            data.read(i, 0).unwrap();
        }
        (data.len(), said(&data))
    }

    #[track_caller]
    fn check_damage(bytes: &[u8], n_samples: usize, expected: &[&str]) {
        let (n, said) = look(bytes);
        assert_eq!((n, said.len()), (n_samples, 1), "{said:?}");
        for expected in expected {
            assert!(said[0].contains(expected), "{said:?}");
        }
    }

    #[test]
    fn damage_is_listed_with_what_stands_before_it() {
        let whole = two();
        assert_eq!(look(&whole), (2, vec![]));
        let one = "the 1 sample before that is used";
        // In the bytes of `2.txt`, in its header, and behind its header.
        for (cut, said) in [
            (7 * 512 + 3, "it is cut in the middle of a member;"),
            (6 * 512 + 100, "it is cut in the middle of a member's header;"),
            (7 * 512, "it is cut in the middle of a member;"),
        ] {
            check_damage(&whole[..cut], 1, &["a.tar", said, one]);
        }
        let mut bad_header = whole.clone();
        bad_header[4 * 512] ^= 1;
        check_damage(&bad_header, 1, &["a.tar", "damaged: a member's header", one]);
        // Where nothing is missing but the marker, and where another archive follows.
        let two = "the 2 samples before that are used";
        check_damage(&whole[..8 * 512], 2, &["without the end-of-archive marker", two]);
        check_damage(
            &[whole.as_slice(), &whole].concat(),
            2,
            &["behind its end stands more", two],
        );
        // The zeros that fill the last record are no damage, and one zero block is an end.
        assert_eq!(look(&[whole.as_slice(), &[0; 9000]].concat()), (2, vec![]));
        assert_eq!(look(&whole[..9 * 512]), (2, vec![]));
    }

    #[test]
    fn a_packed_archive_that_is_cut_is_listed_too() {
        let packed = zstd::encode_all(&two()[..8 * 512], 1).unwrap();
        check_damage(&packed, 2, &["without the end-of-archive marker"]);
        check_damage(&zstd::encode_all(&two()[..7 * 512], 1).unwrap(), 1, &["it is cut"]);
    }

    #[test]
    fn an_archive_without_samples_is_listed_beside_others_and_refused_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.tar"), two()).unwrap();
        fs::write(dir.path().join("b.tar"), archive_of(&[("README", b"x")])).unwrap();
        fs::write(dir.path().join("c.tar"), "").unwrap();
        let data = Dataset::open(&[dir.path().to_owned()], &options(dir.path())).unwrap();
        assert_eq!(data.about(), "2 samples of 3 tars");
        let said = said(&data);
        assert!(
            said.len() == 2
                && said[0].contains("b.tar`: it holds no sample")
                && said[1].contains("c.tar`: it is empty"),
            "{said:?}"
        );
        let (problem, _) = refused(&dir.path().join("b.tar"));
        assert!(
            problem.contains("there is no sample in") && problem.contains("it holds no sample"),
            "{problem}"
        );
    }

    #[test]
    fn a_json_member_is_read_as_a_record() {
        let members: [(&str, &str); 6] = [
            ("1", r#"{"text": null, "caption": "A cat. It sleeps.", "class": "cat"}"#),
            ("2", r#"{"caption": "A dog.", "short": ""}"#),
            ("3", r#"{"caption": 5}"#),
            (
                "4",
                r#"{"conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "A bird.\nIt flies."}]}"#,
            ),
            ("5", r#"["A cat."]"#),
            ("6", r#"{"caption": ". A cat."}"#),
        ];
        let files: Vec<(String, &[u8])> = members
            .iter()
            .flat_map(|(key, json)| {
                [
                    (format!("{key}.jpg"), &b"x"[..]),
                    (format!("{key}.json"), json.as_bytes()),
                ]
            })
            .collect();
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar");
        fs::write(&path, archive_of(&files)).unwrap();
        let data = Dataset::open(&[path], &options(dir.path())).unwrap();
        let captions = |i| {
            let sample = data.read(i, 0).unwrap();
            (sample.long, sample.short, sample.class)
        };
        let expected =
            |long: &str, short: &str, class: Option<&str>| (long.into(), short.into(), class.map(str::to_owned));
        assert_eq!(captions(0), expected("A cat. It sleeps.", "A cat", Some("cat")));
        assert_eq!(captions(3), expected("A bird. It flies.", "A bird", None));
        for (i, said) in [
            (1, "its `short` is empty"),
            (2, "its `caption` is no text"),
            (4, "no JSON object"),
            (5, "begins with no word"),
        ] {
            let problem = data.read(i, 0).unwrap_err().to_string();
            assert!(problem.contains(said), "{problem}");
        }
    }
}
