//! A task that is no classification: the lower half of a handwritten digit from its upper half, 32 numbers from 32, by the
//! mean squared error, learned alone and from a teacher.
//!
//!     cargo run --example regress
//!
//! The data is made of the digits that limbeck carries: a source of fields of one's own. Expect a teacher near a root mean
//! squared error of 0.20, where the mean image of the training set is 0.30 off, a small student that learns from 150
//! digits alone at about 0.28, and one that also learns from the teacher below that.

use std::sync::Arc;

use limbeck::data::{Dataset, InMemory, digits};
use limbeck::distill::{self, MethodConfig};
use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions};
use limbeck::models::build;
use limbeck::nn::DeviceParams;
use limbeck::tasks::{Regress, Task};
use limbeck::train::{Teacher, TrainConfig, Trainer};

/// Upper halves as `features`, lower halves as `targets`, both (32), from 0 to 1.
fn halves(digits: &Dataset) -> limbeck::Result<Arc<InMemory>> {
    let pixels = |half: usize| {
        let images = (0..digits.len()).filter_map(|i| digits.image(i));
        images.flat_map(|image| &image[32 * half..32 * (half + 1)]).map(|&p| f32::from(p) / 255.0).collect()
    };
    let set = InMemory::new("halves of digits").with_f32("features", [32], pixels(0))?;
    Ok(Arc::new(set.with_f32("targets", [32], pixels(1))?))
}

fn main() -> limbeck::Result<()> {
    let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
    let (training, test) = digits::load(0.2, 0)?;
    let (few, training, test) = (halves(&training.range(0..150)?)?, halves(&training)?, halves(&test)?);
    let task = Regress::from_features(training.as_ref())?;

    let mut teacher = build("mlp:256,128", &task.model_config())?;
    teacher.params.initialise(1);
    let config = TrainConfig { epochs: 60, batch_size: 32, ..Default::default() };
    let run = Trainer::new(&gpu, task.clone(), &config, &training, &test).fit(&mut teacher)?;
    println!("teacher    rmse {:.4}", run.value());

    let config = TrainConfig { epochs: 60, batch_size: 25, ..Default::default() };
    let frozen = DeviceParams::frozen(&gpu, "teacher", &teacher.params)?;
    for methods in ["", "logit-mse:1", "feature:1", "logit-mse:1+feature:1"] {
        let mut student = build("mlp:32,32", &task.model_config())?;
        student.params.initialise(2);
        let mut teaching = None;
        if !methods.is_empty() {
            let objective = distill::parse(methods, &MethodConfig::default())?;
            teaching = Some(Teacher::new(&teacher, &frozen, objective.with_ce_weight(1.0)));
        }
        let trainer = Trainer::new(&gpu, task.clone(), &config, &few, &test);
        let run = trainer.teacher(teaching).fit(&mut student)?;
        let label = if methods.is_empty() { "student alone" } else { methods };
        println!("{label:<22} rmse {:.4}", run.value());
    }
    Ok(())
}
