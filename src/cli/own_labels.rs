//! Labels that a picture's record brings: encoded once, kept while there are not too many.

use std::collections::HashMap;

use longclip::Result;
use longclip::labels::LabelSet;
use longclip::model::LongClip;

/// Label sets that are kept. Records mostly share a few; where each has its own, keeping more would only cost memory.
const MOST_SETS: usize = 256;

pub(super) struct OwnLabels<'a> {
    model: &'a LongClip,
    sets: HashMap<Vec<String>, LabelSet>,
}

impl<'a> OwnLabels<'a> {
    pub(super) fn new(model: &'a LongClip) -> Self {
        OwnLabels {
            model,
            sets: HashMap::new(),
        }
    }

    /// The set of these labels.
    pub(super) fn set(&mut self, labels: &[String]) -> Result<LabelSet> {
        if let Some(set) = self.sets.get(labels) {
            return Ok(set.clone());
        }
        let set = LabelSet::new(self.model, labels.to_vec())?;
        if self.sets.len() >= MOST_SETS {
            self.sets.clear();
        }
        self.sets.insert(labels.to_vec(), set.clone());
        Ok(set)
    }
}
