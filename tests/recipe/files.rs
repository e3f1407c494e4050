//! Writes a generated model in the usual file formats: safetensors, and that of `torch.save`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::{Config, Positions, Tensor, tensors};

/// The number type of a file. Generated values are exact in both, except for the temperature, which stays f32.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Stored {
    F32,
    F16,
    /// f32 values that are not exact in f16, for tests of upstream's rounding.
    F32Unrounded,
}

impl Stored {
    fn of(self, tensor: &Tensor) -> Self {
        if tensor.shape.is_empty() { Stored::F32 } else { self }
    }

    fn bytes_each(self) -> usize {
        match self {
            Stored::F32 | Stored::F32Unrounded => 4,
            Stored::F16 => 2,
        }
    }
}

/// Writes a `.safetensors` file: the length of the header, the header, and the contiguous values.
pub(crate) fn write_safetensors(path: &Path, config: &Config, positions: Positions, stored: Stored) -> io::Result<()> {
    let tensors = tensors(config, positions);
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for tensor in &tensors {
        let stored = stored.of(tensor);
        let start = end;
        end += tensor.shape.iter().product::<usize>() * stored.bytes_each();
        let dtype = if stored == Stored::F16 { "F16" } else { "F32" };
        let entry = serde_json::json!({"dtype": dtype, "shape": tensor.shape, "data_offsets": [start, end]});
        header.insert(tensor.name.clone(), entry);
    }
    let header = serde_json::to_vec(&header)?;
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for tensor in &tensors {
        write_values(&mut out, &tensor.values(stored), stored.of(tensor))?;
    }
    out.flush()
}

fn write_values(out: &mut impl Write, values: &[f32], stored: Stored) -> io::Result<()> {
    match stored {
        Stored::F32 | Stored::F32Unrounded => out.write_all(bytemuck::cast_slice(values)),
        Stored::F16 => {
            let mut halves = vec![f16::ZERO; values.len()];
            halves.convert_from_f32_slice(values);
            let bits: &[u16] = halves.reinterpret_cast();
            out.write_all(bytemuck::cast_slice(bits))
        }
    }
}

/// Writes a `.pt` file of f32 as `torch.save(state_dict)` does: a zip of a pickle and one record per tensor, uncompressed.
///
/// This does not use the library under test. It follows the zip format (APPNOTE 4.3) and Python's `pickletools`.
pub(crate) fn write_torch(path: &Path, config: &Config, positions: Positions) -> io::Result<()> {
    let tensors = tensors(config, positions);
    let mut zip = Zip {
        out: BufWriter::with_capacity(1 << 20, File::create(path)?),
        position: 0,
        directory: Vec::new(),
        n_records: 0,
    };
    zip.add("model/data.pkl", &pickle(&tensors))?;
    for (i, tensor) in tensors.iter().enumerate() {
        zip.add(
            &format!("model/data/{i}"),
            bytemuck::cast_slice(&tensor.values(Stored::F32)),
        )?;
    }
    zip.add("model/version", b"3\n")?;
    zip.finish()
}

/// An archive while it is written; the directory is written at the end.
struct Zip {
    out: BufWriter<File>,
    position: u32,
    directory: Vec<u8>,
    n_records: u16,
}

impl Zip {
    fn add(&mut self, name: &str, record: &[u8]) -> io::Result<()> {
        let mut checksum = flate2::Crc::new();
        checksum.update(record);
        let (len, name_len) = (record.len() as u32, name.len() as u16);
        // Version needed, flags, method (stored), time, date; then checksum, sizes, and lengths of name and extra field.
        let common = [
            &[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &checksum.sum().to_le_bytes(),
            &len.to_le_bytes(),
            &len.to_le_bytes(),
            &name_len.to_le_bytes(),
            &[0, 0],
        ]
        .concat();
        let start = self.position.to_le_bytes();
        let local = [b"PK\x03\x04", &common[..], name.as_bytes()].concat();
        self.out.write_all(&local)?;
        self.out.write_all(record)?;
        self.position += local.len() as u32 + len;
        // Version made by, the common part, then comment length, disk, attributes and offset.
        self.directory.extend_from_slice(b"PK\x01\x02\x14\0");
        self.directory.extend_from_slice(&common);
        self.directory.extend_from_slice(&[0; 10]);
        self.directory.extend_from_slice(&start);
        self.directory.extend_from_slice(name.as_bytes());
        self.n_records += 1;
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        let n_records = self.n_records.to_le_bytes();
        let end = [
            b"PK\x05\x06\0\0\0\0",
            &n_records[..],
            &n_records,
            &(self.directory.len() as u32).to_le_bytes(),
            &self.position.to_le_bytes(),
            &[0, 0],
        ]
        .concat();
        self.out.write_all(&self.directory)?;
        self.out.write_all(&end)?;
        self.out.flush()
    }
}

/// A dict of names to `torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`, protocol 2.
fn pickle(tensors: &[Tensor]) -> Vec<u8> {
    let mut pickle = b"\x80\x02}(".to_vec();
    for (i, tensor) in tensors.iter().enumerate() {
        let n_elements = tensor.shape.iter().product();
        let strides: Vec<usize> = (1..=tensor.shape.len())
            .map(|axis| tensor.shape[axis..].iter().product())
            .collect();
        string(&mut pickle, &tensor.name);
        pickle.extend_from_slice(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        string(&mut pickle, "storage");
        pickle.extend_from_slice(b"ctorch\nFloatStorage\n");
        string(&mut pickle, &i.to_string());
        string(&mut pickle, "cpu");
        integer(&mut pickle, n_elements);
        pickle.extend_from_slice(b"tQ"); // BINPERSID: replaces the persistent id by its storage
        integer(&mut pickle, 0);
        for axes in [&tensor.shape, &strides] {
            pickle.push(b'(');
            axes.iter().for_each(|axis| integer(&mut pickle, *axis));
            pickle.push(b't');
        }
        pickle.extend_from_slice(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend_from_slice(b"u.");
    pickle
}

fn string(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend_from_slice(&(text.len() as u32).to_le_bytes());
    pickle.extend_from_slice(text.as_bytes());
}

fn integer(pickle: &mut Vec<u8>, value: usize) {
    pickle.push(b'J');
    pickle.extend_from_slice(&(value as u32).to_le_bytes());
}
