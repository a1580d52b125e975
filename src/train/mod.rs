//! Training: what a run measures and what it tells the user.
