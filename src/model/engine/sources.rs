//! Where the candle engine's parameters come from: a checkpoint, or the variables of a training.

use candle_core::{DType, Device, Tensor};

use crate::error::{Error, Result};
use crate::weights::Checkpoint;

/// A source of parameters as candle tensors, by upstream's names: a checkpoint, or the variables of a training run.
pub trait TensorSource: Send + Sync {
    /// Reads one tensor.
    ///
    /// # Errors
    /// If it cannot be read.
    fn tensor(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor>;
    /// Reads the position table of the text tower.
    ///
    /// # Errors
    /// If it cannot be read.
    fn text_positions(&self, dtype: DType, device: &Device) -> Result<Table>;
}

impl TensorSource for Checkpoint {
    fn tensor(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        Checkpoint::tensor(self, name, dtype, device)
    }

    fn text_positions(&self, dtype: DType, device: &Device) -> Result<Table> {
        let shape = (self.sizes().context_length, self.sizes().text_width);
        let table = Tensor::from_vec(Checkpoint::text_positions(self)?, shape, device)
            .and_then(|table| table.to_dtype(dtype))
            .map_err(Error::compute("moving the text positions to the device"))?;
        Ok(Table::Whole(table))
    }
}

/// A table of rows, `(n, width)`.
pub enum Table {
    /// One tensor.
    Whole(Tensor),
    /// The first `keep` rows of one table and the remaining rows of a second one (Long-CLIP's `positional_embedding`
    /// and `positional_embedding_res`). They are joined at each use, so that training updates take effect.
    Merged {
        /// Provides rows `0..keep`.
        fixed: Tensor,
        /// Provides rows `keep..`.
        trained: Tensor,
        /// The number of rows taken from `fixed`.
        keep: usize,
    },
}

impl Table {
    /// All rows.
    pub(super) fn tensor(&self) -> candle_core::Result<Tensor> {
        match self {
            Table::Whole(tensor) => Ok(tensor.clone()),
            Table::Merged { fixed, trained, keep } => {
                let rest = trained.dim(0)? - keep;
                Tensor::cat(&[&fixed.narrow(0, 0, *keep)?, &trained.narrow(0, *keep, rest)?], 0)
            }
        }
    }
}
