//! One run: images through decoding, model and scorer, to whatever the caller does with each result.
//!
//! The commands and the Python package are thin edges around this. [`Run`] takes items through the pipeline and the model
//! and gives each to a [`Sink`]: [`RecordWriter`] writes a record for each, [`Sorter`] puts photos into folders,
//! [`evaluation`] keeps embeddings, and the update of a search index is a sink too. A [`Classifier`] scores what the
//! model saw; [`stream`] does the same for the batches of an Arrow stream; [`resume`] continues the file of an interrupted
//! run. A [`Loaded`] model and an [`OutputPlan`] say with what, and where to. Nothing here knows a terminal or a flag:
//! progress is reported to a [`Watch`], and warnings are values.

mod answers;
pub mod evaluation;
mod explainer;
mod fitting;
#[cfg(feature = "parquet")]
mod indexing;
mod labelling;
mod loaded;
mod model_plan;
mod output_plan;
mod pair_scorer;
mod reading;
mod record_writer;
mod records;
mod remembering;
pub mod resume;
mod run;
mod score_plan;
mod scorer;
pub mod shards;
mod sorter;
#[cfg(feature = "arrow")]
pub mod stream;
mod tag_files;
mod tagger;
mod writing;

pub use self::answers::{Grouping, NONE_OF_THESE, classify, grouped, in_order, labelled};
pub use self::explainer::{Explainer, PaintTo, painted_thumbnail};
pub use self::fitting::Fitting;
#[cfg(feature = "parquet")]
pub use self::indexing::{Indexing, index_origin};
pub use self::labelling::Labelling;
pub use self::loaded::Loaded;
pub use self::model_plan::ModelPlan;
pub use self::output_plan::{OutputPlace, OutputPlan};
pub use self::pair_scorer::{PairScorer, TextsAhead};
pub use self::reading::ImageReading;
pub use self::record_writer::{Closed, Judge, Judgement, RecordWriter, judged};
pub use self::records::{RecordOptions, record};
pub use self::remembering::Remembering;
pub use self::run::{
    Counts, Encoder, Ended, Kept, OnError, Run, Seen, Sink, Source, TILES_EACH, Times, Verdict, Watch, decoded,
};
pub use self::score_plan::ScorePlan;
pub use self::scorer::{Answer, Classifier, Columns, Scorer};
pub use self::sorter::{SortPlan, Sorted, Sorter};
pub use self::tag_files::{TagFileKind, TagFiles, TagFilesPlan};
pub use self::tagger::{Calibration, TagThresholds, Tagger};
pub use self::writing::{Resuming, Writing};
