//! The labels' vectors on disk, so that a second run needs no text tower: text + model + number type to a row.
//!
//! ```text
//! ROOT/<model>/<name>.vectors    a segment: magic, embed_dim, n; n entries of key and check; n rows of f32
//! ```
//!
//! A segment is written beside its name and renamed, and never changed after that: a run that is killed leaves no half of one,
//! and processes that run at once don't see each other's. `<model>` is [`LongClip::text_identity`], so that another
//! model's rows are never found. A row whose check doesn't agree counts as absent: damage costs time, never a wrong score.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::model::LongClip;
use crate::weights::hex;

const MAGIC: &[u8; 8] = b"LCVECS1\n";
const ENDING: &str = "vectors";
const FRESH_ENDING: &str = "new";
/// Magic, `embed_dim` and n.
const HEADER_BYTES: u64 = 16;
/// Key and check.
const ENTRY_BYTES: u64 = 24;
/// More small segments than this are joined into one, so that opening stays quick.
const SMALL_SEGMENTS_MAX: usize = 24;
/// Below this a segment is small.
const SMALL_BYTES: u64 = 4 << 20;
/// What is left of a run that was killed while it wrote goes after this time.
const LEFTOVER_AGE: Duration = Duration::from_secs(3600);
/// What one model's vectors may take; beyond it the oldest segments go. 80,000 prompts of a ViT-L are 246 MB.
const MODEL_BYTES_MAX: u64 = 1 << 30;

/// What a row is found by: the first half of a SHA-256 over what was encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key([u8; 16]);

impl Key {
    /// `kind` keeps a text apart from a list of one text.
    pub(super) fn of<'a>(kind: &'a str, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for text in std::iter::once(kind).chain(texts) {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        Key(first_bytes(&hash.finalize()))
    }
}

/// One model's vectors that are on disk.
pub struct VectorCache {
    folder: PathBuf,
    embed_dim: usize,
    segments: Vec<Segment>,
    places: HashMap<Key, Row>,
}

struct Segment {
    path: PathBuf,
    file: File,
    n_rows: u64,
    written: SystemTime,
}

struct Row {
    segment: usize,
    row: u64,
    check: [u8; 8],
}

impl VectorCache {
    /// Opens what is there for this model; a root that isn't there is made by the first `VectorCache::keep`.
    pub fn open(root: &Path, model: &LongClip) -> Self {
        Self::open_folder(root.join(model.text_identity()), model.sizes().embed_dim)
    }

    fn open_folder(folder: PathBuf, embed_dim: usize) -> Self {
        let mut cache = VectorCache {
            folder,
            embed_dim,
            segments: Vec::new(),
            places: HashMap::new(),
        };
        let entries = fs::read_dir(&cache.folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        for path in paths.filter(|path| path.extension().is_some_and(|ending| ending == ENDING)) {
            // Damaged, or removed since it was listed: what it held is computed again.
            let _ = cache.add_segment(path);
        }
        cache
    }

    fn add_segment(&mut self, path: PathBuf) -> io::Result<()> {
        let mut file = File::open(&path)?;
        let metadata = file.metadata()?;
        let mut header = [0; HEADER_BYTES as usize];
        file.read_exact(&mut header)?;
        let number = |at: usize| {
            u64::from(u32::from_le_bytes([
                header[at],
                header[at + 1],
                header[at + 2],
                header[at + 3],
            ]))
        };
        let (embed_dim, n_rows) = (number(8), number(12));
        let length = HEADER_BYTES + n_rows * (ENTRY_BYTES + 4 * embed_dim);
        if !header.starts_with(MAGIC) || embed_dim != self.embed_dim as u64 || length != metadata.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut entries = vec![0; (n_rows * ENTRY_BYTES) as usize];
        file.read_exact(&mut entries)?;
        let segment = self.segments.len();
        for (row, entry) in entries.chunks_exact(ENTRY_BYTES as usize).enumerate() {
            let place = Row {
                segment,
                row: row as u64,
                check: first_bytes(&entry[16..]),
            };
            self.places.insert(Key(first_bytes(entry)), place);
        }
        self.segments.push(Segment {
            path,
            file,
            n_rows,
            written: metadata.modified()?,
        });
        Ok(())
    }

    /// The row of this key, if it is there and whole.
    pub(super) fn get(&mut self, key: &Key) -> Option<Vec<f32>> {
        let place = self.places.get(key)?;
        let segment = &mut self.segments[place.segment];
        let row_bytes = 4 * self.embed_dim as u64;
        let start = HEADER_BYTES + segment.n_rows * ENTRY_BYTES + place.row * row_bytes;
        let mut bytes = vec![0; row_bytes as usize];
        segment.file.seek(SeekFrom::Start(start)).ok()?;
        segment.file.read_exact(&mut bytes).ok()?;
        if check_of(key, &bytes) != place.check {
            return None;
        }
        let (numbers, _) = bytes.as_chunks();
        Some(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
    }

    /// Writes new rows as a segment of their own.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn keep(&mut self, mut rows: Vec<(Key, Vec<f32>)>) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder)?;
        self.make_room()?;
        let row_bytes = ENTRY_BYTES + 4 * self.embed_dim as u64;
        let is_small = |segment: &Segment| segment.n_rows * row_bytes < SMALL_BYTES;
        let small: Vec<usize> = (0..self.segments.len())
            .filter(|i| is_small(&self.segments[*i]))
            .collect();
        if small.len() < SMALL_SEGMENTS_MAX {
            let path = write_segment(&self.folder, self.embed_dim, rows)?;
            return match self.add_segment(path) {
                // Another process has joined it with its own in the meantime, and what it held is there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    *self = Self::open_folder(self.folder.clone(), self.embed_dim);
                    Ok(())
                }
                added => added,
            };
        }
        rows.extend(self.rows_of(&small));
        let path = write_segment(&self.folder, self.embed_dim, rows)?;
        for old in small
            .iter()
            .map(|i| &self.segments[*i].path)
            .filter(|old| **old != path)
        {
            // Another process may have joined and removed it too.
            let _ = fs::remove_file(old);
        }
        remove_leftovers(&self.folder);
        *self = Self::open_folder(self.folder.clone(), self.embed_dim);
        Ok(())
    }

    /// All whole rows of these segments.
    fn rows_of(&mut self, segments: &[usize]) -> Vec<(Key, Vec<f32>)> {
        let places = self
            .places
            .iter()
            .filter(|(_, place)| segments.contains(&place.segment));
        let keys: Vec<Key> = places.map(|(key, _)| *key).collect();
        keys.iter().filter_map(|key| Some((*key, self.get(key)?))).collect()
    }

    /// Removes the oldest segments while there is more than one model may take.
    fn make_room(&mut self) -> io::Result<()> {
        let row_bytes = ENTRY_BYTES + 4 * self.embed_dim as u64;
        let mut bytes: u64 = self.segments.iter().map(|segment| segment.n_rows * row_bytes).sum();
        if bytes <= MODEL_BYTES_MAX {
            return Ok(());
        }
        let mut oldest: Vec<&Segment> = self.segments.iter().collect();
        oldest.sort_by_key(|segment| segment.written);
        for segment in oldest {
            if bytes <= MODEL_BYTES_MAX / 2 {
                break;
            }
            fs::remove_file(&segment.path)?;
            bytes -= segment.n_rows * row_bytes;
        }
        *self = Self::open_folder(self.folder.clone(), self.embed_dim);
        Ok(())
    }
}

/// Writes a segment under a name that its keys give it: the same rows make the same file, whoever writes it.
fn write_segment(folder: &Path, embed_dim: usize, mut rows: Vec<(Key, Vec<f32>)>) -> io::Result<PathBuf> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    rows.sort_by_key(|(key, _)| *key);
    rows.dedup_by_key(|(key, _)| *key);
    let too_large = |_| io::Error::from(io::ErrorKind::FileTooLarge);
    let mut bytes = MAGIC.to_vec();
    for number in [embed_dim, rows.len()] {
        bytes.extend(u32::try_from(number).map_err(too_large)?.to_le_bytes());
    }
    let mut values = Vec::with_capacity(rows.len() * embed_dim * 4);
    let mut name = Sha256::new();
    for (key, row) in &rows {
        assert_eq!(row.len(), embed_dim, "a row of this model");
        let start = values.len();
        values.extend(row.iter().flat_map(|number| number.to_le_bytes()));
        bytes.extend(key.0);
        bytes.extend(check_of(key, &values[start..]));
        name.update(key.0);
    }
    let name = hex(&first_bytes::<16>(&name.finalize()));
    let path = folder.join(format!("{name}.{ENDING}"));
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let fresh = folder.join(format!("{name}.{}-{count}.{FRESH_ENDING}", std::process::id()));
    let written = File::create(&fresh).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.write_all(&values)?;
        // Not waited for until it is on the disk: what a power cut leaves of it doesn't agree with its checks.
        fs::rename(&fresh, &path)
    });
    if written.is_err() {
        // Half a file is of no use to anybody.
        let _ = fs::remove_file(&fresh);
    }
    written.map(|()| path)
}

/// Removes what runs that were killed left half written; a run that writes just now is left alone.
fn remove_leftovers(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    for path in paths.filter(|path| path.extension().is_some_and(|ending| ending == FRESH_ENDING)) {
        let written = fs::metadata(&path).and_then(|metadata| metadata.modified());
        let age = written.ok().and_then(|written| written.elapsed().ok());
        if age.is_some_and(|age| age > LEFTOVER_AGE) {
            // Somebody else may have removed it.
            let _ = fs::remove_file(&path);
        }
    }
}

fn check_of(key: &Key, row: &[u8]) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update(key.0);
    hash.update(row);
    first_bytes(&hash.finalize())
}

fn first_bytes<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|i| bytes[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIM: usize = 3;

    fn row(seed: f32) -> Vec<f32> {
        vec![seed, seed + 0.5, -seed]
    }

    fn key(text: &str) -> Key {
        Key::of("text", [text])
    }

    fn open(dir: &tempfile::TempDir) -> VectorCache {
        VectorCache::open_folder(dir.path().join("model"), DIM)
    }

    #[test]
    fn what_is_kept_is_found_by_the_next_run_to_the_bit() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = open(&dir);
        first
            .keep(vec![(key("a"), row(1.0)), (key("b"), row(f32::MIN_POSITIVE))])
            .unwrap();
        assert_eq!(first.get(&key("a")), Some(row(1.0)));
        let mut second = open(&dir);
        assert_eq!(second.get(&key("b")), Some(row(f32::MIN_POSITIVE)));
        assert_eq!(second.get(&key("c")), None);
    }

    #[test]
    fn runs_at_the_same_time_lose_nothing_of_each_other() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for i in 0..8u8 {
                let dir = &dir;
                scope.spawn(move || {
                    let mut cache = open(dir);
                    for j in 0..4u8 {
                        let shared = (key(&format!("shared {j}")), row(f32::from(j)));
                        cache
                            .keep(vec![shared, (key(&format!("{i} {j}")), row(f32::from(i)))])
                            .unwrap();
                    }
                });
            }
        });
        let mut cache = open(&dir);
        for i in 0..8u8 {
            assert_eq!(cache.get(&key(&format!("{i} 3"))), Some(row(f32::from(i))));
        }
        assert_eq!(cache.get(&key("shared 2")), Some(row(2.0)));
    }

    #[test]
    fn many_small_runs_are_joined_into_few_files() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..2 * SMALL_SEGMENTS_MAX {
            open(&dir).keep(vec![(key(&i.to_string()), row(i as f32))]).unwrap();
        }
        assert!(fs::read_dir(dir.path().join("model")).unwrap().count() <= SMALL_SEGMENTS_MAX);
        let mut cache = open(&dir);
        for i in 0..2 * SMALL_SEGMENTS_MAX {
            assert_eq!(cache.get(&key(&i.to_string())), Some(row(i as f32)));
        }
    }

    #[test]
    fn damage_makes_a_row_absent_and_never_wrong() {
        let dir = tempfile::tempdir().unwrap();
        open(&dir)
            .keep(vec![(key("a"), row(1.0)), (key("b"), row(2.0))])
            .unwrap();
        let path = open(&dir).segments[0].path.clone();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            fs::write(&path, bytes).unwrap();
            let mut cache = open(&dir);
            for (text, seed) in [("a", 1.0), ("b", 2.0)] {
                let found = cache.get(&key(text));
                assert!(found.is_none() || found == Some(row(seed)), "byte {at}");
            }
        }
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(open(&dir).get(&key("a")), None, "{length} bytes");
        }
    }

    #[test]
    fn a_list_of_texts_has_another_key_than_the_texts_joined() {
        assert_ne!(Key::of("mean", ["ab", "c"]), Key::of("mean", ["a", "bc"]));
        assert_ne!(Key::of("mean", ["a"]), Key::of("text", ["a"]));
    }
}
