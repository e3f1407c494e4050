//! Weights: names, hub and cache, files and key layouts, to checked tensors under one naming.

pub mod hub;
pub mod names;
