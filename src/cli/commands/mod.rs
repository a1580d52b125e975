//! The commands, one file each, but for `limbeck sweep`, which has a folder of its own.

pub mod adapters;
pub mod bench;
pub mod check;
pub mod data;
mod data_anchors;
mod data_check;
pub mod demo;
pub mod distill;
pub mod embed;
pub mod eval;
pub mod methods;
pub mod models;
pub mod predict;
pub mod profile;
pub mod statics;
pub mod teach;
pub mod train;
pub mod tune;
pub mod vectors;
mod workload;
