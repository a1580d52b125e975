//! Training steps of the models, alone and with a teacher's soft targets, and the step that engines are compared by.

use super::super::benchmark::{Benchmark, Suite};
use super::super::cnn_step;
use super::super::workload::Workload;
use crate::nn::Precision;

/// Group, model, teacher, images, batch sizes.
type Step = (&'static str, &'static str, Option<&'static str>, [usize; 3], &'static [usize]);

const STEPS: [Step; 6] = [
    ("cnn", "cnn:32,64", None, [1, 28, 28], &[1, 16, 64, 256]),
    ("cnn, kd", "cnn:8,16,32", Some("cnn:32,64,128"), [1, 28, 28], &[1, 64, 256]),
    ("resnet20", "resnet20", None, [3, 32, 32], &[1, 16, 64, 256]),
    ("resnet20, kd", "resnet20", Some("resnet56"), [3, 32, 32], &[16, 64]),
    ("mobilenetv2", "mobilenetv2", None, [3, 32, 32], &[16, 64]),
    ("vgg8", "vgg8", None, [3, 32, 32], &[16, 64]),
];

pub fn cases(quick: bool) -> Vec<Benchmark> {
    let mut all =
        vec![Benchmark::new(Suite::Train, "engines compare", "cnn 32-64-fc128, batch 64", cnn_step::prepare)];
    for (group, model, teacher, input, batches) in STEPS {
        for &batch_size in batches.iter().take(if quick { 1 } else { batches.len() }) {
            let workload = Workload {
                model: model.into(),
                teacher: teacher.map(String::from),
                input,
                batch_size,
                classes: 10,
                recompute: false,
                precision: Precision::F32,
            };
            let name = workload.describe();
            all.push(Benchmark::new(Suite::Train, group, name, move |target| workload.prepare(target)));
        }
    }
    all
}
