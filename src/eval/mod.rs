//! Evaluations: the tables that the papers on CLIP compare models by, on anyone's data.
//!
//! [`retrieval`] measures how captions and pictures find each other. [`interval`] says how sure a share is, and [`bootstrap`]
//! which differences between two models are real. All are functions on what was encoded: encoding is the caller's.

pub mod bootstrap;
pub mod interval;
pub mod retrieval;
