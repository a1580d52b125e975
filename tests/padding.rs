//! Parameters lie in flat buffers, each at the start of a block, and kernels write whole vec4: what lies between two of
//! them may be anything in a gradient. None of it reaches weights or optimizer state, and parameters that take no
//! part in a loss, or not in a stage of it, see a gradient of zero.

mod common;

use bytemuck::pod_collect_to_vec;
use limbeck::gpu::{BufferSlice, Gpu};
use limbeck::nn::{DeviceParams, Forward, Init, ParamBuilder, Params};
use limbeck::ops::update::BLOCK;
use limbeck::optim::{Ema, EmaConfig, Group, Optimizer, OptimizerConfig};
use limbeck::rng::Stream;
use limbeck::tape::{Plan, Step, Tape};

const STEPS: u64 = 6;
const RATE: f64 = 0.05;
const STAGES: [&str; 2] = ["first", "second"];

/// Random parameters, each with a stage whose loss, the mean of its squares, it takes part in; or with none.
struct Network {
    params: Params,
    stages: Vec<Option<usize>>,
}

impl Network {
    fn new(seed: u64) -> Self {
        let mut random = Stream::new(seed, "padding");
        let (mut params, mut stages) = (Params::default(), Vec::new());
        for index in 0..2 + random.below(5) {
            // Hardly one in four is a multiple of 4.
            let shape = [1 + random.below(3), 1 + random.below(70)];
            let decays = random.below(2) == 0;
            ParamBuilder::new(&mut params).weight(&format!("p{index}"), shape, Init::Normal(1.0), decays);
            stages.push([None, Some(0), Some(1)][random.below(3)]);
        }
        stages[..2].copy_from_slice(&[Some(0), Some(1)]);
        params.initialise(seed);
        Self { params, stages }
    }

    /// Steps of which the first half have the first stage's loss and the others the second's: all weights, and all
    /// of the optimizer's state and of the average, what lies between parameters included.
    fn train(&self, gpu: &Gpu, config: OptimizerConfig) -> (Params, Vec<(String, Vec<f32>)>) {
        let device = DeviceParams::trainable(gpu, "network", &self.params).unwrap();
        let (tape, mut losses) = (Tape::new(), Vec::new());
        let own = Forward::train(&tape, &device);
        for (param, stage) in self.params.iter().zip(&self.stages) {
            // Parameters outside the loss are seen as well.
            let leaf = own.param(self.params.id(&param.name).unwrap()).unwrap();
            let Some(stage) = stage else { continue };
            let scalar = tape.scalar(STAGES[*stage]).unwrap();
            // The mean of equal rows: its gradient is a sum, which unlike that of a square writes no whole vec4.
            let rows = [&[3], leaf.dims()].concat();
            let rows = tape.constant(rows.clone(), &vec![0.0; rows.iter().product()]).unwrap();
            let squares = rows.add(&leaf).unwrap().square().unwrap();
            losses.push(squares.mean(&[0, 1, 2], false).unwrap().scale_by(scalar).unwrap());
        }
        let loss = losses.into_iter().reduce(|a, b| a.add(&b).unwrap()).unwrap();
        own.place_gradients(&loss.backward().unwrap()).unwrap();
        let group = Group::of(&device, &tape).unwrap();
        let elements = group.weights.meta().len();
        let optimizer = Optimizer::new(gpu, "optimizer", config, &[elements]).unwrap();
        let groups = [group];
        let update = optimizer.record(&tape, &groups, None).unwrap();
        let ema = Ema::new(gpu, "ema", EmaConfig { decay: 0.5, warmup: false }, &[elements]).unwrap();
        ema.reset(gpu, &[device.weights()]).unwrap();
        let average = ema.record(&tape, &groups).unwrap();
        let plan = Plan::new(gpu, &tape, &[&update.grad_norm]).unwrap();
        for number in 0..STEPS {
            let mut step = Step::new(number as u32, 0);
            update.set_step(&mut step, RATE, number);
            average.set_step(&mut step, number);
            for (stage, name) in STAGES.iter().enumerate() {
                let now = usize::from(number >= STEPS / 2) == stage;
                step.set(tape.scalar(name).unwrap(), f32::from(now));
            }
            plan.run(&step).unwrap();
            assert_eq!(plan.read_f32(&update.grad_norm).unwrap()[1], 0.0, "the norm is not finite");
        }
        let mut after = self.params.clone();
        device.download(&mut after).unwrap();
        let flat = [vec![("weights".to_string(), device.weights())], optimizer.state(), ema.state()].concat();
        (after, flat.into_iter().map(|(name, slice)| (name, read(gpu, &slice))).collect())
    }

    /// Whether each element of the flat buffers belongs to a parameter.
    fn cover(&self, elements: usize) -> Vec<bool> {
        let mut cover = Vec::with_capacity(elements);
        let alignment = |n: usize| n.next_multiple_of(BLOCK);
        for param in self.params.iter() {
            cover.resize(cover.len() + param.shape.len(), true);
            cover.resize(alignment(cover.len()), false);
        }
        assert_eq!(cover.len(), elements, "another layout than this test knows");
        cover
    }

    /// The same steps of SGD with momentum, in f64.
    fn expected(&self, momentum: f64, weight_decay: f64) -> Vec<Vec<f64>> {
        let each = |(param, stage): (&limbeck::nn::Param, &Option<usize>)| {
            let decays = param.kind == limbeck::nn::ParamKind::Weight { decay: true };
            let decay = if decays { weight_decay } else { 0.0 };
            let walk = |w: &f32| {
                let (mut w, mut velocity) = (f64::from(*w), 0.0);
                for number in 0..STEPS {
                    let now = *stage == Some(usize::from(number >= STEPS / 2));
                    let dw = if now { 2.0 * w / param.shape.len() as f64 } else { 0.0 };
                    velocity = momentum * velocity + dw + decay * w;
                    w -= RATE * velocity;
                }
                w
            };
            param.values.iter().map(walk).collect()
        };
        self.params.iter().zip(&self.stages).map(each).collect()
    }
}

fn read(gpu: &Gpu, slice: &BufferSlice) -> Vec<f32> {
    pod_collect_to_vec(&gpu.read(slice).unwrap().wait().unwrap())
}

#[test]
fn what_lies_between_parameters_stays_zero() {
    let gpu = common::gpu();
    let sgd = OptimizerConfig::Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.1 };
    for seed in 0..8 {
        let network = Network::new(seed);
        for config in [sgd, OptimizerConfig::adam(), OptimizerConfig::adamw()] {
            let (_, flat) = network.train(&gpu, config);
            for (name, values) in &flat {
                let cover = network.cover(values.len());
                for (i, (value, owned)) in values.iter().zip(cover).enumerate() {
                    let sound = if owned { value.is_finite() } else { *value == 0.0 };
                    assert!(
                        sound,
                        "seed {seed}, {config:?}: element {i} of {name} is {value} (owned: {owned})"
                    );
                }
            }
        }
    }
}

#[test]
fn what_takes_no_part_in_a_loss_sees_none_of_it() {
    let gpu = common::gpu();
    for seed in 0..8 {
        let network = Network::new(seed);
        for (momentum, weight_decay) in [(0.9, 0.1), (0.9, 0.0), (0.0, 0.1)] {
            let config = OptimizerConfig::Sgd { momentum, nesterov: false, weight_decay };
            let (after, _) = network.train(&gpu, config);
            for (param, want) in after.iter().zip(network.expected(momentum, weight_decay)) {
                for (got, want) in param.values.iter().zip(want) {
                    let apart = (f64::from(*got) - want).abs();
                    assert!(apart <= 1e-5 * want.abs().max(0.1), "seed {seed}: {} {got} {want}", param.name);
                }
            }
        }
    }
}
