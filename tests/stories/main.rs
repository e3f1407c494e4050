//! Tests of the program as users run it, one file per task, and of the numbers that it promises.

#![allow(clippy::unwrap_used, reason = "a panic fails the test and says where")]
#![allow(
    clippy::print_stdout,
    reason = "the largest differences from the reference are printed"
)]

#[path = "../recipe/mod.rs"]
mod recipe;
#[path = "../short_clip/mod.rs"]
#[cfg(feature = "train")]
mod short_clip;

#[cfg(feature = "arrow")]
mod arrow;
mod bad_weights;
mod candle_oracle;
mod classify;
mod compare;
mod completions;
mod destinations;
mod documents;
mod duplicates;
mod embed;
mod exiftool;
mod explain;
mod fast_decode;
mod fixture;
mod flags;
mod goldens;
mod keywords;
mod labels;
mod licenses;
mod long_runs;
mod many;
mod messages;
mod model_names;
mod multilingual;
mod overwriting;
mod overwriting_models;
mod photo_folder;
mod pipes;
mod positions;
mod predictions;
mod prompts;
mod properties;
mod real_sizes;
mod recipes;
mod reference;
mod resume;
mod retrieval;
mod score;
mod score_tables;
mod scores;
#[cfg(feature = "parquet")]
mod search;
#[cfg(feature = "parquet")]
mod search_places;
mod search_updates;
mod shard_jobs;
mod shards;
mod sort;
mod tag;
mod terminal;
mod tiles;
mod tokens;
mod train;
mod train_data;
mod train_models;
#[cfg(feature = "hub")]
mod urls;
mod videos;
mod zeroshot;
