//! One batch, and one teacher's logits, from the disk to the weights that change.
//!
//! 1. [`Loader`] threads let a [`Source`] fill [`Batch`]es of one size with the [`Field`]s of its samples: pixels and labels, targets.
//!    The order depends on nothing but seed and epoch.
//! 2. A step is recorded once, by [`TrainStep::new`], on a [`Tape`]. [`Leaves`] are where the fields will lie; [`Task::inputs`] records
//!    how they become what the model reads. For images that is [`Tensor::image_batch`], which decodes, normalises, crops and flips on
//!    the GPU, keyed by (seed, epoch, sample id). Teacher and student read the same tensor: they see the same view.
//! 3. [`Network::forward`] records the student with [`Forward::train`], on leaves that require a gradient, and the teacher with
//!    [`Forward::eval`], on leaves that do not. Nothing marks those as a teacher's: the backward sweep never visits them, and the
//!    memory plan frees each activation after its last reader. A teacher that is [`StoredTeacher`] is more fields of each sample
//!    instead.
//! 4. [`Task::loss`] gives the terms of the task's own loss, [`Task::rows`] the rows of numbers that methods on logits compare. Each
//!    [`Term`]'s [`Method::prepare`] makes a [`Loss`], which gets both passes as a [`MethodContext`] and records a scalar tensor
//!    ([`Loss::record`]). [`Tensor::cross_entropy`] and [`Tensor::kl_div`] are single fused kernels that never store probabilities. A term's weight is a [`Scalar`] of the step, so
//!    that a schedule makes no new plan.
//! 5. [`Tensor::backward`] appends gradient nodes of the same kind. [`Forward::place_gradients`] puts each in its slice of the
//!    flat gradient buffer of [`DeviceParams`], so that the gradient norm takes two dispatches over
//!    all parameters, and the [`Optimizer`] one a group.
//! 6. [`Plan::new`] drops dead nodes, takes the fused forms, lowers each node to dispatches ([`Op::lower`]), gives intermediates
//!    buffers by their lifetimes, makes pipelines and bind groups, and says what the step costs ([`Plan::cost`]).
//! 7. Each step, [`Plan::write`] uploads the batch and [`Plan::run`] the [`Step`]'s uniform, in one encoder, one pass and one submit.
//!    What a [`Meter`] counts stays on the GPU until it is asked for.
//! 8. After an epoch an [`Evaluator`] measures the held-out samples; checkpoint and log are written ([`Checkpoints`]), and
//!    [`Trainer::fit`] returns a [`Run`]. [`saved::save`] writes the student alone.
//!
//! [`Batch`]: crate::data::Batch
//! [`Checkpoints`]: crate::train::Checkpoints
//! [`DeviceParams`]: crate::nn::DeviceParams
//! [`Evaluator`]: crate::train::Evaluator
//! [`Field`]: crate::data::Field
//! [`Forward::eval`]: crate::nn::Forward::eval
//! [`Forward::place_gradients`]: crate::nn::Forward::place_gradients
//! [`Forward::train`]: crate::nn::Forward::train
//! [`Leaves`]: crate::tasks::Leaves
//! [`Loader`]: crate::data::Loader
//! [`Loss`]: crate::distill::Loss
//! [`Loss::record`]: crate::distill::Loss::record
//! [`Meter`]: crate::tasks::Meter
//! [`Method::prepare`]: crate::distill::Method::prepare
//! [`MethodContext`]: crate::distill::MethodContext
//! [`Network::forward`]: crate::models::Network::forward
//! [`Op::lower`]: crate::tape::Op::lower
//! [`Optimizer`]: crate::optim::Optimizer
//! [`Plan::cost`]: crate::tape::Plan::cost
//! [`Plan::new`]: crate::tape::Plan::new
//! [`Plan::run`]: crate::tape::Plan::run
//! [`Plan::write`]: crate::tape::Plan::write
//! [`Run`]: crate::train::Run
//! [`Scalar`]: crate::tape::Scalar
//! [`Source`]: crate::data::Source
//! [`Step`]: crate::tape::Step
//! [`StoredTeacher`]: crate::train::StoredTeacher
//! [`Tape`]: crate::tape::Tape
//! [`Task::inputs`]: crate::tasks::Task::inputs
//! [`Task::loss`]: crate::tasks::Task::loss
//! [`Task::rows`]: crate::tasks::Task::rows
//! [`Tensor::backward`]: crate::tape::Tensor::backward
//! [`Tensor::cross_entropy`]: crate::tape::Tensor::cross_entropy
//! [`Tensor::image_batch`]: crate::tape::Tensor::image_batch
//! [`Tensor::kl_div`]: crate::tape::Tensor::kl_div
//! [`Term`]: crate::distill::Term
//! [`TrainStep::new`]: crate::train::TrainStep::new
//! [`Trainer::fit`]: crate::train::Trainer::fit
//! [`saved::save`]: crate::models::saved::save
