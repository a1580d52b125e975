//! A training run as settings describe it: data, model, teachers and scheme, from flags to the report.

pub mod box_flags;
pub mod cost;
pub mod detection;
pub mod doctor;
pub mod embedder;
pub mod job;
pub mod model_file;
pub mod quality;
pub mod recipe;
pub mod scheme_runs;
pub mod schemes;
pub mod subject;
pub mod teachers;
