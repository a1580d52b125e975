//! A program's own op, network, source, task and method, trained together by limbeck's trainer: what `examples/` shows one
//! by one, from outside of the crate.

mod common;

use std::sync::Arc;

use limbeck::Result;
use limbeck::data::{Field, LABELS, Row, Source, View};
use limbeck::distill::{Loss, Method, MethodConfig, MethodContext, Objective, TapNeed, Term, loss, parse};
use limbeck::gpu::{Gpu, Grid, Kernel};
use limbeck::models::saved::{self, Overrides};
use limbeck::models::{
    Arguments, Built, ModelConfig, ModelSpec, Network, Outputs, SingleModule, Values, build, register,
};
use limbeck::nn::{DeviceParams, Forward, Linear, Mode, ParamBuilder, Params};
use limbeck::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};
use limbeck::tasks::{Classify, ClassifyConfig, Leaves, Meter, Need, Rows, Task, TaskSpec, TaskTerm, Views};
use limbeck::train::{Teacher, TrainConfig, Trainer};

/// y = x^3, and its gradient dx = 3 x^2 dy.
const CUBE_WGSL: &str = "
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(256)
fn forward(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
           @builtin(local_invocation_index) lane: u32) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < VEC4S {
        y[i] = x[i] * x[i] * x[i];
    }
}";

#[derive(Debug, Clone, Copy)]
struct Cube;

impl Op for Cube {
    fn name(&self) -> &'static str {
        "cube"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(vec![inputs[0].clone()])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let vec4s = to.input(0).iter().product::<usize>().div_ceil(4);
        let kernel = Kernel::new("cube", "forward", CUBE_WGSL).define("VEC4S", vec4s);
        to.dispatch(kernel, &[Slot::Input(0), Slot::Output(0)], Grid::linear(vec4s.div_ceil(256)));
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        vec![Array::new(inputs[0].shape.clone(), inputs[0].data.iter().map(|x| x.powi(3)).collect())]
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(at.inputs[0].square()?.scale(3.0)?.mul(at.dy()?)?)])
    }
}

/// Linear, cube, linear: its family is known by name once it is registered.
struct Cubic {
    hidden: Linear,
    head: Linear,
}

static CUBIC: ModelSpec = ModelSpec::new("cubic", "cubic:8 hidden size", cubic);

fn cubic(config: &ModelConfig, arguments: &Arguments) -> Result<Built> {
    let width = arguments.numbers().first().copied().unwrap_or(8);
    let mut params = Params::outline();
    let mut root = ParamBuilder::new(&mut params);
    let module = config.single(Cubic {
        hidden: Linear::new(root.sub("hidden"), config.input.len(), width, true),
        head: Linear::new(root.sub("head"), width, config.head.row()?, true),
    });
    let stages = vec!["cube".to_string()];
    Ok(Built { params, module, preactivations: vec!["hidden".into()], embedding: "cube".into(), stages })
}

impl SingleModule for Cubic {
    fn forward(&self, fx: &Forward<'_>, x: &Tensor) -> Result<Tensor> {
        let x = self.hidden.forward(fx, &x.flatten()?)?;
        let cubed = fx.layer("cube", || x.tape().record1(Cube, &[&x]))?;
        self.head.forward(fx, &cubed)
    }
}

/// Points of two classes, the sides of the curve y = x^3, as images of two channels and one pixel.
struct Sides;

impl Source for Sides {
    fn name(&self) -> &str {
        "sides"
    }

    fn len(&self) -> usize {
        400
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::f32("pixels", [2, 1, 1]), Field::label(LABELS)]
    }

    fn fill(&self, id: usize, _: View, row: &mut Row<'_>) -> Result<()> {
        let (x, y) = ((id % 20) as f32 / 10.0 - 0.95, (id / 20) as f32 / 10.0 - 0.95);
        row.f32("pixels")?.copy_from_slice(&[x, y]);
        row.i32(LABELS)?[0] = i32::from(y > x.powi(3));
        Ok(())
    }

    fn fingerprint(&self) -> String {
        "sides 1".into()
    }
}

/// Classification by the hinge of the right logit's lead over the other.
struct Hinge {
    images: Classify,
    has_rows: bool,
}

static HINGE: TaskSpec =
    TaskSpec { name: "hinge", about: "two classes by a hinge", offers: &[Need::Logits, Need::Taps] };

impl Task for Hinge {
    fn spec(&self) -> &'static TaskSpec {
        &HINGE
    }

    fn loss(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Vec<TaskTerm>> {
        // +1 for the right class and -1 for the other.
        let signs = leaves.get(LABELS)?.one_hot(2)?.scale(2.0)?.add_scalar(-1.0)?;
        let lead = outputs.logits()?.mul(&signs)?.sum(&[1], false)?;
        let loss = lead.scale(-1.0)?.add_scalar(1.0)?.relu()?.mean(&[0], false)?;
        Ok(vec![TaskTerm { name: "hinge", loss, weight: 1.0 }])
    }

    fn model_config(&self) -> ModelConfig {
        self.images.model_config()
    }

    fn check(&self, source: &dyn Source) -> Result<()> {
        self.images.check(source)
    }

    fn inputs(&self, leaves: &mut Leaves, mode: Mode) -> Result<Values> {
        self.images.inputs(leaves, mode)
    }

    fn rows(&self, outputs: &Outputs, leaves: &Leaves) -> Result<Option<Rows>> {
        if self.has_rows { self.images.rows(outputs, leaves) } else { Ok(None) }
    }

    fn meter(&self, gpu: &Gpu) -> Result<Box<dyn Meter>> {
        self.images.meter(gpu)
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        self.images.identity()
    }

    fn views(&self) -> Views {
        self.images.views()
    }
}

fn task() -> Arc<Hinge> {
    Arc::new(hinge(true))
}

fn hinge(has_rows: bool) -> Hinge {
    let statistics: [&[f32]; 2] = [&[0.0; 2], &[1.0; 2]];
    Hinge { images: Classify::of(&Sides, 2, statistics, ClassifyConfig::default()).unwrap(), has_rows }
}

fn network(name: &str, seed: u64) -> Network {
    let _ = register(&CUBIC);
    let mut network = build(name, &task().model_config()).unwrap();
    network.params.initialise(seed);
    network
}

fn config() -> TrainConfig {
    TrainConfig { epochs: 40, batch_size: 50, learning_rate: 0.05, ..Default::default() }
}

#[test]
fn everything_of_ones_own_is_trained_and_opened_again() {
    let (gpu, sides) = (common::gpu(), Arc::new(Sides));
    let mut cubic = network("cubic:8", 1);
    let run = Trainer::new(&gpu, task(), &config(), &sides, &sides).fit(&mut cubic).unwrap();
    assert!(run.value() > 0.95, "{}", run.value());
    let terms: Vec<f64> = run.epochs.iter().map(|epoch| epoch.loss).collect();
    assert!(terms[39] < 0.5 * terms[0], "{terms:?}");
    let metadata = saved::ModelMetadata {
        classes: vec!["below".into(), "above".into()],
        mean: vec![0.0; 2],
        std: vec![1.0; 2],
        ..Default::default()
    };
    let bytes = saved::to_bytes(&cubic, &metadata).unwrap();
    let nothing = Overrides::default();
    let beside = |name: &str| Err(limbeck::Error::file(name, "there is none"));
    let opened = saved::from_bytes("cubic.safetensors", &bytes, &nothing, &nothing, &beside).unwrap();
    assert_eq!(opened.network.name, "cubic:8");
    assert!(common::bits(&opened.network) == common::bits(&cubic));
    assert!(register(&CUBIC).unwrap_err().to_string().contains("already"));
}

/// The mean absolute distance of logits, and how far one of the method's own layers is from the teacher's features.
#[derive(Debug, Clone)]
struct Near;

impl Method for Near {
    fn prepare(&self, seen: &MethodContext<'_>, at: ParamBuilder<'_>) -> Result<Box<dyn Loss>> {
        let (teacher, student) = &seen.tapped()?[0];
        let own = Linear::new(at, student.dims()[1], teacher.dims()[1], true);
        loss(move |seen, fx| {
            let (teacher, student) = &seen.tapped()?[0];
            let rows = seen.rows()?;
            let logits = rows.mean(&rows.student.sub(&rows.teacher)?.abs()?.mean(&[1], false)?)?;
            logits.add(&own.forward(fx, student)?.mse_loss(teacher)?)
        })
    }
}

/// With the task's own loss switched off, what is learned is learned by the method.
#[test]
fn a_method_of_ones_own_teaches() {
    let (gpu, sides) = (common::gpu(), Arc::new(Sides));
    let mut teacher = network("cubic:8", 1);
    Trainer::new(&gpu, task(), &config(), &sides, &sides).fit(&mut teacher).unwrap();
    let params = DeviceParams::frozen(&gpu, "teacher", &teacher.params).unwrap();
    let near = Term::new("near", 1.0, Near).with_taps(TapNeed::Last);
    let objective = Objective::new(vec![near]).with_ce_weight(0.0);
    let mut student = network("cubic:4", 7);
    let taught = Teacher::new(&teacher, &params, objective);
    let run =
        Trainer::new(&gpu, task(), &config(), &sides, &sides).teacher(taught).fit(&mut student).unwrap();
    assert!(run.value() > 0.9, "{}", run.value());
}

/// A task without rows of logits, as a detector's may be, learns from taps, and is examined like any other.
#[test]
fn a_task_without_rows_is_distilled_by_features() {
    let (gpu, sides) = (common::gpu(), Arc::new(Sides));
    let teacher = network("cubic:8", 1);
    let params = DeviceParams::frozen(&gpu, "teacher", &teacher.params).unwrap();
    let fit = |objective: Objective| {
        let taught = Teacher::new(&teacher, &params, objective);
        let config = TrainConfig { epochs: 2, ..config() };
        let mut student = network("cubic:4", 7);
        let trainer = Trainer::new(&gpu, Arc::new(hinge(false)), &config, &sides, &sides).teacher(taught);
        let mut prepared = trainer.examined(&[]).prepare(&mut student)?;
        let figures = prepared.figures()?;
        assert_eq!((figures.len(), figures[0].samples, figures[0].terms.len()), (1, 0, 2));
        prepared.fit()
    };
    let hinge_twice = Objective::new(vec![Term::new("hinge", 1.0, Near).with_taps(TapNeed::Last)]);
    let message = fit(hinge_twice).unwrap_err().to_string();
    assert!(message.contains("\"hinge\" already"), "{message}");
    let parsed = |method: &str| parse(method, &MethodConfig::default()).unwrap();
    assert_eq!(fit(parsed("feature:0.1")).unwrap().epochs.len(), 2);
    let message = fit(parsed("kd:1")).unwrap_err().to_string();
    assert!(message.contains("rows of logits"), "{message}");
}
