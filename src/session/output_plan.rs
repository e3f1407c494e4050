//! Where the records of a run go, and in which format: to a stream, into a file that may be continued, or into a shard's
//! file in a folder.

use super::resume::HeldRun;
use super::shards::ShardFile;
use super::{RecordWriter, Resuming};
use crate::error::Result;
use crate::files::{Destination, Target};
use crate::input::{Items, Skipped};
use crate::output::{FormatChoice, Layout, Settings, Terminal};

/// Where results go, and in which format, as checked.
pub struct OutputPlan {
    /// How records are written.
    pub format: FormatChoice,
    /// The layout of labels in formats with rows and columns.
    pub layout: Layout,
    /// Whether records carry fields of their input.
    pub carries_fields: bool,
    /// What a page puts before relative paths to link to files.
    pub links_from: String,
    /// The terminal that a table is printed on.
    pub terminal: Option<Terminal>,
    /// Where records go.
    pub place: OutputPlace,
}

/// Where records go.
pub enum OutputPlace {
    /// To what is open already.
    Stream(Destination),
    /// Into a file.
    File(Target, Resuming),
    /// Into a shard's file, which may not be silent about what of the input was skipped.
    Shard(ShardFile, Skipped),
}

impl OutputPlan {
    /// What formats note of a run with this output, besides what `settings` say.
    pub fn settings(&self, settings: Settings) -> Settings {
        Settings {
            layout: self.layout,
            carries_fields: self.carries_fields,
            terminal: self.terminal,
            links_from: self.links_from.clone(),
            ..settings
        }
    }

    /// Whether results that exist may be continued.
    pub fn resuming(&self) -> Resuming {
        match &self.place {
            OutputPlace::File(_, resuming) => *resuming,
            OutputPlace::Stream(_) | OutputPlace::Shard(..) => Resuming::Never,
        }
    }

    /// Whether a later run can continue what this one leaves.
    pub fn can_be_continued(&self) -> bool {
        let OutputPlace::File(target, resuming) = &self.place else {
            return false;
        };
        *resuming != Resuming::Never && target.is_file()
    }

    /// Opens the output, and takes from `items` what it holds already. Nothing is changed before [`RecordWriter::begin`].
    ///
    /// # Errors
    /// As [`FormatChoice::make`] and [`HeldRun::read`]; [`Error::Write`](crate::Error::Write).
    pub fn open(self, settings: &Settings, items: &mut Items) -> Result<(RecordWriter, HeldRun)> {
        let format = self.format.make(settings)?;
        let (mut held, mut shard) = (HeldRun::default(), None);
        let destination = match self.place {
            OutputPlace::Stream(destination) => destination,
            OutputPlace::File(target, Resuming::Never) => Destination::whole(&target)?,
            OutputPlace::File(target, resuming) => {
                if resuming == Resuming::Asked {
                    held = HeldRun::read(target.path(), &*format, items)?;
                }
                Destination::growing(&target)?
            }
            OutputPlace::Shard(file, skipped) => {
                let destination = file.create()?;
                shard = Some((file, skipped));
                destination
            }
        };
        let writer = RecordWriter {
            held: held.progress,
            shard,
            ..RecordWriter::new(format, destination)
        };
        Ok((writer, held))
    }
}
