//! NPY: embeddings as a NumPy array, `(n_inputs, embed_dim)` f32, one row per input, in order.
//!
//! The header has the number of rows, so rows are kept in a temporary file until the end, and memory doesn't grow. An
//! input that failed is a row of NaN, so that row i belongs to input i. Format: NEP 1, version 1.0.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};

use super::{Format, FormatInfo, Holds, Record};
use crate::error::{Error, Result};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "npy",
    about: "a NumPy array of embeddings; an input that failed is a row of NaN",
    holds: &[Holds::Vectors, Holds::Binary],
    make: |settings| Ok(Box::new(Npy::new(settings.task.embed_dim().unwrap_or_default())?)),
    wrote: |file| {
        file.start.starts_with(MAGIC) && file.start_has("{'descr': '<f4', 'fortran_order': False, 'shape': (")
    },
};

/// The magic bytes, and version 1.0.
const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";

struct Npy {
    rows: BufWriter<File>,
    n_rows: u64,
    embed_dim: usize,
}

impl Npy {
    fn new(embed_dim: usize) -> Result<Self> {
        let rows = tempfile::tempfile().map_err(Error::system("create a temporary file"))?;
        Ok(Npy {
            rows: BufWriter::new(rows),
            n_rows: 0,
            embed_dim,
        })
    }

    fn header(&self) -> Vec<u8> {
        let (n, dim) = (self.n_rows, self.embed_dim);
        let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({n}, {dim}), }}");
        // Magic, version and length take ten bytes. The header ends with a line break, at a multiple of 64 bytes.
        let padding = 63 - (10 + text.len()) % 64;
        text += &" ".repeat(padding);
        text.push('\n');
        let mut header = MAGIC.to_vec();
        header.extend((text.len() as u16).to_le_bytes());
        header.extend(text.as_bytes());
        header
    }
}

impl Format for Npy {
    fn record(&mut self, record: &Record, _out: &mut dyn Write) -> io::Result<()> {
        self.n_rows += 1;
        match record.outcome.embedding() {
            Some(values) => values
                .iter()
                .try_for_each(|value| self.rows.write_all(&value.to_le_bytes())),
            None => (0..self.embed_dim).try_for_each(|_| self.rows.write_all(&f32::NAN.to_le_bytes())),
        }
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.header())?;
        self.rows.flush()?;
        let rows = self.rows.get_mut();
        rows.rewind()?;
        io::copy(rows, out)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::json_fields::JsonFields;

    use super::super::specimen::bytes;
    use super::super::{Outcome, Subject};
    use super::*;

    #[test]
    fn rows_follow_an_aligned_header_and_a_failure_is_nan() {
        let record = |outcome| Record {
            subject: Subject::Path("a".into()),
            fields: JsonFields::default(),
            outcome,
            thumbnail: None,
            file: None,
        };
        let records = [
            record(Outcome::Embedding(vec![1.0, -2.0])),
            record(Outcome::Failed("no".into())),
        ];
        let file = bytes(&mut Npy::new(2).unwrap(), &records);
        assert_eq!(&file[..8], b"\x93NUMPY\x01\x00");
        let header_bytes = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
        assert_eq!((header_bytes % 64, file[header_bytes - 1]), (0, b'\n'));
        assert!(String::from_utf8_lossy(&file[10..header_bytes]).contains("'shape': (2, 2)"));
        let values: Vec<f32> = file[header_bytes..]
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        assert_eq!(values[..2], [1.0, -2.0]);
        assert!(values[2].is_nan() && values[3].is_nan());
    }
}
