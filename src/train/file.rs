//! Safetensors files with metadata: what a training writes and a resumed one reads.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::{Dtype, SafeTensors, View};

use crate::error::{Error, Result};
use crate::files;

/// Writes tensors as f32, with metadata.
pub(super) fn write<'a>(
    path: &Path,
    tensors: impl Iterator<Item = (String, &'a Tensor)>,
    metadata: HashMap<String, String>,
) -> Result<()> {
    let tensors = tensors.map(|(name, tensor)| (name, AsF32(tensor)));
    files::remove_leftovers(path);
    files::replace(path, |new| {
        let written = safetensors::serialize_to_file(tensors, Some(metadata), new);
        written.map_err(|error| Error::write(path)(io::Error::other(error)))
    })
}

/// Writes a file, completely or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    files::replace(path, |new| fs::write(new, bytes).map_err(Error::write(path)))
}

/// Reads what [`write`] wrote.
pub(super) fn read(path: &Path) -> Result<(HashMap<String, Tensor>, HashMap<String, String>)> {
    let bytes = fs::read(path).map_err(Error::read(path))?;
    let damaged = |found: String| {
        Error::usage(
            format!(
                "`{}` is not the state of a training, or is damaged: {found}",
                path.display()
            ),
            "start a new training in another folder; its base can be the `last.safetensors` of this one",
        )
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    let mut tensors = HashMap::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(damaged(format!("`{name}` has the type {:?}", view.dtype())));
        }
        let numbers: Vec<f32> = view
            .data()
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        let tensor = Tensor::from_vec(numbers, view.shape(), &Device::Cpu);
        tensors.insert(name.to_owned(), tensor.map_err(|error| damaged(error.to_string()))?);
    }
    Ok((tensors, header.metadata().clone().unwrap_or_default()))
}

struct AsF32<'a>(&'a Tensor);

impl View for AsF32<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.0.dims()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let numbers = || self.0.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
        let numbers = numbers().expect("a tensor of this run can be read");
        let bytes: Vec<_> = numbers.into_iter().map(f32::to_le_bytes).collect();
        Cow::Owned(bytes.into_flattened())
    }

    fn data_len(&self) -> usize {
        4 * self.0.elem_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_written_and_leaves_no_other_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.safetensors");
        let x = Tensor::new(&[[1.5f32, -2.0, f32::MIN_POSITIVE]], &Device::Cpu).unwrap();
        let scalar = Tensor::new(4.6f32, &Device::Cpu).unwrap();
        let tensors = [("x".to_owned(), &x), ("logit_scale".to_owned(), &scalar)];
        write(&path, tensors.into_iter(), HashMap::from([("step".into(), "3".into())])).unwrap();
        let (tensors, about) = read(&path).unwrap();
        assert_eq!(tensors["x"].to_vec2::<f32>().unwrap(), x.to_vec2::<f32>().unwrap());
        assert_eq!(tensors["logit_scale"].to_scalar::<f32>().unwrap(), 4.6);
        assert_eq!(about["step"], "3");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.safetensors");
        for bytes in [&b""[..], b"not a tensor file", &[255; 40]] {
            fs::write(&path, bytes).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("state.safetensors"), "{error}");
        }
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let error = write(
            Path::new("/nothing/here/x.safetensors"),
            std::iter::empty(),
            HashMap::new(),
        )
        .unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{error}");
    }
}
