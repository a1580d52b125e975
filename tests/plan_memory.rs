//! Random graphs: whatever shares a buffer, every tensor that is still to be read has its value.

mod common;

use limbeck::Result;
use limbeck::gpu::Gpu;
use limbeck::ops::conv2d::Conv2d;
use limbeck::rng::Stream;
use limbeck::tape::{Array, Meta, Plan, Step, Tape, Tensor};

/// Of every tensor: it can be seen as (IMAGES, CHANNELS, SIDE, SIDE).
const SHAPE: [usize; 4] = [2, 3, 4, 4];
const VECTORS: usize = 4;

struct Graph {
    tape: Tape,
    /// Leaves with their values.
    leaves: Vec<(Tensor, Array)>,
    made: Vec<Tensor>,
}

impl Graph {
    fn new(gpu: &Gpu, random: &mut Stream) -> Self {
        let mut graph = Self { tape: Tape::new(), leaves: Vec::new(), made: Vec::new() };
        for i in 0..3 {
            let input = graph.tape.input(&format!("x{i}"), SHAPE);
            let input = graph.leaf(input, random);
            graph.made.push(input);
        }
        for i in 0..VECTORS {
            let input = graph.tape.input(&format!("vector{i}"), [SHAPE[1]]);
            graph.leaf(input, random);
        }
        let weights = graph.tape.input("w", [SHAPE[1], SHAPE[1], 1, 1]);
        graph.leaf(weights, random);
        // What an op overwrites lives in a caller's buffer.
        let buffer = gpu.buffer("moved", Meta::f32(SHAPE).bytes()).unwrap();
        let moved = graph.tape.external("moved", Meta::f32(SHAPE), buffer.whole(), false).unwrap();
        graph.leaf(moved, random);
        graph
    }

    fn leaf(&mut self, tensor: Tensor, random: &mut Stream) -> Tensor {
        // Above zero, so that a vector may be a variance.
        let values = (0..tensor.meta().len()).map(|_| f64::from(random.uniform(0.2, 1.5) as f32)).collect();
        self.leaves.push((tensor.clone(), Array::new(tensor.shape().clone(), values)));
        tensor
    }

    fn any(&self, random: &mut Stream) -> Tensor {
        // Neighbours often, so that chains come about, and old ones sometimes, so that tensors live long.
        let n = self.made.len();
        let back = if random.below(3) == 0 { random.below(n) } else { random.below(n.min(3)) };
        let tensor = &self.made[n - 1 - back];
        if tensor.dims() == SHAPE { tensor.clone() } else { tensor.reshape(SHAPE).unwrap() }
    }

    /// A convolution with some of what a network has behind one.
    fn block(&self, a: &Tensor, b: &Tensor, random: &mut Stream) -> Result<Tensor> {
        let [gamma, beta, mean, var] = [3, 4, 5, 6].map(|i| &self.leaves[i].0);
        let bias = (random.below(2) == 0).then_some(beta);
        let mut y = a.conv2d(&self.leaves[7].0, bias, Conv2d::default())?;
        if random.below(3) > 0 {
            y = y.batch_norm_eval(gamma, beta, mean, var, 1e-3)?;
        }
        if random.below(2) == 0 {
            y = y.add(b)?;
        }
        if random.below(3) > 0 { y.relu() } else { Ok(y) }
    }

    fn grow(&mut self, random: &mut Stream) {
        let (a, b) = (self.any(random), self.any(random));
        let [gamma, beta, mean, var] = [3, 4, 5, 6].map(|i| &self.leaves[i].0);
        let (weights, moved) = (&self.leaves[7].0, &self.leaves[8].0);
        let next = match random.below(12) {
            0 => a.add(&b),
            1 => a.mul(&b).unwrap().tanh(),
            2 => a.relu(),
            3 | 4 => a.conv2d(weights, None, Conv2d::default()).unwrap().scale(0.5),
            5 | 6 => self.block(&a, &b, random),
            7 => a.batch_norm_eval(gamma, beta, mean, var, 1e-3),
            8 => a.reshape([SHAPE[0], 48]).unwrap().softmax(1),
            9 => a.sub(&b.mean(&[1, 2, 3], true).unwrap()),
            10 => {
                let share = self.tape.scalar("share").unwrap();
                moved.lerp_in_place(&a, share).unwrap();
                moved.sigmoid()
            }
            _ => a.reshape([6, 16]),
        };
        self.made.push(next.unwrap());
    }
}

fn check(gpu: &Gpu, seed: u64) -> usize {
    let mut random = Stream::new(seed, "graph");
    let mut graph = Graph::new(gpu, &mut random);
    for _ in 0..8 + random.below(40) {
        graph.grow(&mut random);
    }
    let kept: Vec<Tensor> = (0..1 + random.below(4)).map(|_| graph.any(&mut random)).collect();
    let kept: Vec<&Tensor> = kept.iter().collect();
    let plan = Plan::new(gpu, &graph.tape, &kept).unwrap();
    for (tensor, value) in graph.leaves.iter().filter(|(tensor, _)| plan.holds(tensor)) {
        plan.write(tensor, &value.data.iter().map(|&v| v as f32).collect::<Vec<_>>()).unwrap();
    }
    let mut step = Step::new(0, 1);
    step.set(graph.tape.scalar("share").unwrap(), 0.25);
    plan.run(&step).unwrap();
    let leaves: Vec<(&Tensor, Array)> = graph.leaves.iter().map(|(t, v)| (t, v.clone())).collect();
    let want = graph.tape.reference(&step, &leaves, &kept).unwrap();
    for (tensor, want) in kept.iter().zip(want) {
        let got = plan.read_f32(tensor).unwrap();
        let largest = want.data.iter().fold(1.0f64, |most, v| most.max(v.abs()));
        for (i, (got, want)) in got.iter().zip(&want.data).enumerate() {
            let near = (f64::from(*got) - want).abs() <= 1e-4 * largest;
            assert!(near, "graph {seed}, {tensor:?}[{i}]: {got}, expected {want}");
        }
    }
    let cost = plan.cost();
    assert!(cost.planned_bytes <= cost.unshared_bytes);
    cost.nodes.iter().filter(|node| node.name.contains('+')).count()
}

#[test]
fn no_live_tensor_is_overwritten() {
    // Its buffers are filled with NaN before each writer.
    let gpu = common::gpu();
    let fused: usize = (0..150).map(|seed| check(&gpu, seed)).sum();
    assert!(fused > 100, "only {fused} fused nodes");
}
