//! Methods on detectors: a student of two heads by a teacher of three, in the trainer; what cannot be compared, in words; and
//! what mgd puts out. Values and gradients are held against PyTorch in methods.rs.

mod common;

use std::sync::Arc;

use limbeck::data::boxes::{BOX_CLASSES, BOXES};
use limbeck::data::{Field, PIXELS, Row, Source, View};
use limbeck::distill::{self, MethodConfig, MethodContext, TaskRows, TeacherPass};
use limbeck::gpu::{Buffer, BufferSlice, Gpu};
use limbeck::models::darknet::Cfg;
use limbeck::models::{Head, ModelConfig, Network, Outputs, Values, reclassed};
use limbeck::nn::{DeviceParams, Forward, Mode, ParamBuilder, Params, Precision, Tap};
use limbeck::ops::boxes::YoloHead;
use limbeck::ops::conv2d::Conv2d;
use limbeck::tape::{Meta, Plan, Step, Tape, Tensor};
use limbeck::tasks::detect::{TruthLeaves, box_loss, mean_of_samples};
use limbeck::tasks::{
    ImageConfig, Images, Leaves, Meter, Metric, Need, Reads, Rows, Tally, Task, TaskSpec, TaskTerm, Views,
};
use limbeck::train::{Run, Teacher, TrainConfig, Trainer};

const SIDE: usize = 32;
const PLACES: usize = 3;

/// A bright or dark square on grey, its class.
struct Squares;

impl Source for Squares {
    fn name(&self) -> &str {
        "squares"
    }

    fn len(&self) -> usize {
        48
    }

    fn fields(&self) -> Vec<Field> {
        let classes = Field::classes(BOX_CLASSES, [PLACES]);
        vec![Field::u8(PIXELS, [3, SIDE, SIDE]), Field::f32(BOXES, [PLACES, 4]), classes]
    }

    fn fill(&self, id: usize, _: View, row: &mut Row<'_>) -> limbeck::Result<()> {
        let (side, left, top) = (6 + id % 9, id * 7 % 17, id * 5 % 17);
        let inside = |i: usize| {
            let (x, y) = (i % SIDE, i / SIDE % SIDE);
            (left..left + side).contains(&x) && (top..top + side).contains(&y)
        };
        let square = if id.is_multiple_of(2) { 255 } else { 0 };
        let pixels = row.u8(PIXELS)?.iter_mut().enumerate();
        pixels.for_each(|(i, pixel)| *pixel = if inside(i) { square } else { 100 + (i * 31 % 40) as u8 });
        let share = |pixels: f32| pixels / SIDE as f32;
        let [x, y, side] = [left as f32, top as f32, side as f32];
        let truth = [x + side / 2.0, y + side / 2.0, side, side].map(share);
        row.f32(BOXES)?[..4].copy_from_slice(&truth);
        row.i32(BOX_CLASSES)?.fill(-1);
        row.i32(BOX_CLASSES)?[0] = (id % 2) as i32;
        Ok(())
    }

    fn fingerprint(&self) -> String {
        "squares 1".into()
    }
}

static SQUARES: TaskSpec = TaskSpec {
    name: "squares",
    about: "where a square is",
    offers: &[Need::Boxes, Need::Truths, Need::Taps, Need::Weights],
};

/// Boxes, of which only the loss is measured.
struct Find(Images);

impl Find {
    fn new() -> Self {
        Self(Images::new(&Squares, &[0.0; 3], &[1.0; 3], ImageConfig::default()).unwrap())
    }
}

impl Task for Find {
    fn spec(&self) -> &'static TaskSpec {
        &SQUARES
    }

    fn model_config(&self) -> ModelConfig {
        ModelConfig { input: self.0.input(), head: Head::Boxes(2) }
    }

    fn check(&self, source: &dyn Source) -> limbeck::Result<()> {
        self.0.check(source)
    }

    fn inputs(&self, leaves: &mut Leaves, mode: Mode) -> limbeck::Result<Values> {
        self.0.record(leaves, mode)
    }

    fn loss(&self, outputs: &Outputs, leaves: &Leaves) -> limbeck::Result<Vec<TaskTerm>> {
        let truths =
            TruthLeaves { boxes: leaves.get(BOXES)?, classes: leaves.get(BOX_CLASSES)?, scores: None };
        let loss = box_loss(outputs, &truths)?;
        let sums = loss.boxes.add(&loss.objectness)?.add(&loss.classes)?;
        Ok(vec![TaskTerm { name: "truths", loss: mean_of_samples(&sums, leaves)?, weight: 1.0 }])
    }

    fn rows(&self, _: &Outputs, _: &Leaves) -> limbeck::Result<Option<Rows>> {
        Ok(None)
    }

    fn meter(&self, gpu: &Gpu) -> limbeck::Result<Box<dyn Meter>> {
        Ok(Box::new(Losses(gpu.buffer("losses", Meta::f32([3]).bytes())?)))
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        self.0.identity()
    }

    fn views(&self) -> Views {
        self.0.views()
    }
}

/// Losses, batches, samples.
struct Losses(Buffer);

impl Meter for Losses {
    fn record(&self, tape: &Tape, _: &Outputs, leaves: &Leaves, loss: &Tensor) -> limbeck::Result<()> {
        let totals = tape.external("losses", Meta::f32([3]), self.0.whole(), false)?;
        let samples = leaves.mask().sum(&[0], false)?;
        let parts = [&loss.reshape([1])?, &tape.constant([1], &[1.0])?, &samples];
        totals.add_in_place(&Tensor::concat(&parts, 0)?.detach()?)
    }

    fn counts(&self) -> Vec<(String, BufferSlice)> {
        vec![("losses".into(), self.0.whole())]
    }

    fn tally(&self, counts: &[Vec<u8>]) -> limbeck::Result<Tally> {
        let totals: Vec<f32> = bytemuck::pod_collect_to_vec(&counts[0]);
        let (loss, steps, samples) = (f64::from(totals[0]), totals[1] as u64, totals[2] as u64);
        let primary = Metric::error("loss", loss / steps.max(1) as f64);
        Ok(Tally { loss, steps, samples, primary, others: Vec::new() })
    }
}

/// A section of a `.cfg`.
fn conv(filters: usize, size: usize, stride: usize) -> String {
    let (norm, activation) = if filters == 14 { (0, "linear") } else { (1, "leaky") };
    format!(
        "[convolutional]\nbatch_normalize={norm}\nfilters={filters}\nsize={size}\nstride={stride}\npad=1\n\
         activation={activation}\n"
    )
}

fn yolo(mask: &str, anchors: &str) -> String {
    format!("[yolo]\nmask={mask}\nanchors={anchors}\nclasses=2\nscale_x_y=1.05\n")
}

/// A head of stride 8, whose stage is layer 2, before one of stride 4, whose stage is layer 6.
fn student() -> Network {
    let anchors = "5,6, 9,7, 11,11, 16,14";
    network(&[
        conv(8, 3, 2),
        conv(8, 3, 2),
        conv(16, 3, 2),
        conv(14, 1, 1),
        yolo("2,3", anchors),
        "[route]\nlayers=1\n".into(),
        conv(12, 3, 1),
        conv(14, 1, 1),
        yolo("0,1", anchors),
    ])
}

/// Heads of stride 4, 8 and 16.
fn teacher() -> Network {
    let anchors = "4,4, 7,8, 10,9, 13,12, 15,20, 20,18";
    network(&[
        conv(8, 3, 2),
        conv(12, 3, 2),
        conv(12, 3, 1),
        conv(14, 1, 1),
        yolo("0,1", anchors),
        "[route]\nlayers=1\n".into(),
        conv(16, 3, 2),
        conv(20, 3, 1),
        conv(14, 1, 1),
        yolo("2,3", anchors),
        "[route]\nlayers=7\n".into(),
        conv(24, 3, 2),
        conv(14, 1, 1),
        yolo("4,5", anchors),
    ])
}

fn network(layers: &[String]) -> Network {
    let text = format!("[net]\nwidth={SIDE}\nheight={SIDE}\n{}", layers.concat());
    let mut network = Cfg::parse("test.cfg", &text, None).unwrap().network().unwrap();
    network.params.initialise(5);
    network
}

/// Trains a student, and what came of it.
fn fit(gpu: &Gpu, method: &str, epochs: u64, precision: Precision) -> limbeck::Result<(Run, Network)> {
    taught(gpu, teacher(), method, epochs, precision)
}

fn taught(
    gpu: &Gpu,
    teacher: Network,
    method: &str,
    epochs: u64,
    precision: Precision,
) -> limbeck::Result<(Run, Network)> {
    let mut student = student();
    let params = DeviceParams::frozen(gpu, "teacher", &teacher.params)?;
    let objective = distill::parse(method, &MethodConfig::default())?;
    let config = TrainConfig {
        epochs,
        batch_size: 8,
        learning_rate: 1e-3,
        max_grad_norm: Some(5.0),
        precision,
        ..Default::default()
    };
    let data = Arc::new(Squares);
    let trainer = Trainer::new(gpu, Find::new(), &config, &data, &data);
    let run = trainer.teacher(Teacher::new(&teacher, &params, objective)).fit(&mut student)?;
    Ok((run, student))
}

/// Stages are found by themselves and paired by size: crosskd refuses any others.
#[test]
fn all_methods_together_train_to_the_same_bits() {
    let gpu = common::gpu();
    let all = "cwd:1+pkd:1+mgd+fgd+crosskd+obj-kd,fm-nms=on+pseudo,threshold=0.1+feature:1,mask=frs";
    let (run, first) = fit(&gpu, all, 1, Precision::F32).unwrap();
    assert!(run.epochs[0].loss.is_finite(), "{}", run.epochs[0].loss);
    let (_, second) = fit(&gpu, all, 1, Precision::F32).unwrap();
    for (a, b) in first.params.iter().zip(second.params.iter()) {
        assert!(a.values.iter().all(|v| v.is_finite()), "{}", a.name);
        assert_eq!(a.values, b.values, "{}", a.name);
    }
    // Features, and the weights of the teacher's heads, may be f16.
    let (mixed, _) = fit(&gpu, all, 1, Precision::Mixed).unwrap();
    let (full, mixed) = (run.epochs[0].loss, mixed.epochs[0].loss);
    assert!((full - mixed).abs() < 0.02 * full, "{full} in f32, {mixed} in mixed precision");
}

/// What comes before the activations that heads' last convolutions read.
#[test]
fn methods_on_pre_activations_find_them() {
    let (run, student) = fit(&common::gpu(), "ab+ofd+reviewkd", 1, Precision::F32).unwrap();
    assert!(run.epochs[0].loss.is_finite(), "{}", run.epochs[0].loss);
    assert!(student.params.iter().all(|param| param.values.iter().all(|v| v.is_finite())));
}

/// Its classes in the student's order, a teacher's map is no convolution's any more.
#[test]
fn crosskd_says_why_chosen_classes_are_too_few() {
    let (gpu, names) = (common::gpu(), |names: [&str; 2]| names.map(String::from));
    let chosen = reclassed(teacher(), &names(["dark", "bright"]), &names(["bright", "dark"])).unwrap();
    let message = taught(&gpu, chosen, "crosskd", 1, Precision::F32).err().unwrap().to_string();
    assert!(
        message.contains("classes were brought to the student's") && message.contains("\"layer4\""),
        "{message}"
    );
    let chosen = reclassed(teacher(), &names(["dark", "bright"]), &names(["bright", "dark"])).unwrap();
    taught(&gpu, chosen, "obj-kd+feature:1,mask=frs", 1, Precision::F32).unwrap();
}

/// Without a label: the student learns what the teacher says.
#[test]
fn a_student_learns_its_teachers_rows() {
    let gpu = common::gpu();
    let losses = |method: &str| {
        let (run, _) = fit(&gpu, method, 4, Precision::F32).unwrap();
        run.epochs.iter().map(|epoch| epoch.loss).collect::<Vec<_>>()
    };
    for method in ["obj-kd+ce:0", "pseudo,threshold=0.1+ce:0", "feature,mask=fine-grained+ce:0"] {
        let losses = losses(method);
        // Cross-entropies with shares do not fall to 0.
        assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{method}: {losses:?}");
    }
}

/// Heads of these strides and classes for an input of 64 pixels.
fn outputs(tape: &Tape, strides: &[usize], classes: usize) -> Outputs {
    strides.iter().fold(Outputs::default(), |outputs, &stride| {
        let head = YoloHead {
            anchors: vec![[10.0, 14.0]],
            all_anchors: vec![[10.0, 14.0]],
            mask: vec![0],
            classes,
            stride: [stride; 2],
            scale_x_y: 1.0,
            squared_sides: false,
            ignore_threshold: 0.5,
            assign_threshold: 1.0,
        };
        let map = tape.variable("map", [2, head.channels(), 64 / stride, 64 / stride]);
        outputs.with_boxes(format!("stride {stride}"), map, Arc::new(head))
    })
}

#[test]
fn what_cannot_be_compared_is_said() {
    let gpu = common::gpu();
    let none = DeviceParams::trainable(&gpu, "student", &Params::default()).unwrap();
    let tape = Tape::new();
    let (student, cells) = (Forward::train(&tape, &none), [2, 4, 8, 8]);
    student.layer("s", || Ok(tape.variable("s", cells))).unwrap();
    let tap = Tap { name: "t".into(), alias: "t".into(), tensor: tape.input("t", cells) };
    let stored = TeacherPass::Stored { taps: vec![tap], unrun: None };
    let live = TeacherPass::Live { forward: Forward::eval(&tape, &none), params: &Params::default() };
    if let TeacherPass::Live { forward, .. } = &live {
        forward.layer("t", || Ok(tape.input("t", cells))).unwrap();
    }
    let leaves = Leaves::new(&tape, 2, &[]);
    let taps = [("t".to_string(), "s".to_string())];
    let heads = |strides: &[usize], classes| outputs(&tape, strides, classes);
    // A head whose last convolution reads something else than the tap.
    let elsewhere = |outputs: Outputs| {
        let (map, head) =
            outputs.boxes().next().map(|(map, head)| (map.dims().to_vec(), head.clone())).unwrap();
        let (x, w) = (tape.input("x", cells), tape.input("w", [map[1], cells[1], 1, 1]));
        Outputs::default().with_boxes("elsewhere", x.conv2d(&w, None, Conv2d::default()).unwrap(), head)
    };
    let (ours, logits) = (heads(&[16, 32], 3), Outputs::one("logits", tape.input("logits", [2, 3])));
    for (method, teacher, theirs, part) in [
        ("obj-kd", &live, &logits, "teacher gives none; its outputs are logits"),
        ("obj-kd", &live, &heads(&[16], 80), "3 classes apart and the teacher 80"),
        ("obj-kd", &live, &heads(&[4, 8], 3), "strides 16, 32, the teacher's 4, 8"),
        ("pseudo", &live, &logits, "teacher gives none; its outputs are logits"),
        ("pseudo", &live, &heads(&[4], 2), "3 classes apart and the teacher 2"),
        ("fgd", &live, &heads(&[8], 3), "reads the boxes that are there, and the data has none"),
        (
            "feature,mask=fine-grained",
            &live,
            &heads(&[8], 3),
            "the boxes that are there, and the data has none",
        ),
        ("feature,mask=frs", &live, &heads(&[16], 3), "features of 8 x 8 cells"),
        ("feature,mask=frs", &live, &logits, "teacher gives none; its outputs are logits"),
        ("crosskd", &live, &elsewhere(heads(&[8], 3)), "no head of the teacher reads it"),
        (
            "crosskd",
            &live,
            &heads(&[8], 3),
            "what comes after its last convolution is more than an activation",
        ),
        ("crosskd", &stored, &heads(&[8], 3), "which outputs on disk do not hold"),
    ] {
        let seen =
            MethodContext { teacher_outputs: theirs, ..tapped(&student, teacher, (&ours, &leaves), &taps) };
        let term = distill::parse(method, &MethodConfig::default()).unwrap().terms.remove(0);
        let mut own = Params::default();
        let recorded = term.method.prepare(&seen, ParamBuilder::new(&mut own)).and_then(|loss| {
            own.initialise(0);
            let device = DeviceParams::trainable(&gpu, "own", &own)?;
            loss.record(&seen, &Forward::train(&tape, &device)).map(drop)
        });
        let message = recorded.expect_err(method).to_string();
        assert!(message.contains(part), "{method}: {message}");
    }
    for (method, part) in [
        ("feature,mask=frs,distance=cosine", "cosine and kl do not tell apart"),
        ("obj-kd,match=boxes,fm-nms=on", "leave out anchors, objectness, weights, fm-nms and temperature"),
        ("obj-kd,match=boxes,anchors=objectness", "leave out anchors"),
        ("pseudo,box-weight=0,objectness-weight=0,class-weight=0", "nothing is left to learn"),
    ] {
        let message = distill::parse(method, &MethodConfig::default()).unwrap_err().to_string();
        assert!(message.contains(part), "{method}: {message}");
    }
}

/// A method's context where only the taps `t` and `s` matter.
fn tapped<'a>(
    student: &'a Forward<'a>,
    teacher: &'a TeacherPass<'a>,
    (outputs, leaves): (&'a Outputs, &'a Leaves),
    taps: &'a [(String, String)],
) -> MethodContext<'a> {
    MethodContext {
        student,
        teacher,
        rows: TaskRows::None,
        student_outputs: outputs,
        teacher_outputs: outputs,
        leaves,
        samples: 8,
        taps,
    }
}

/// With a generator that gives what it gets, ones against zeros: the loss counts the cells that are kept, and the gradient
/// says which.
#[test]
fn mgd_puts_out_whole_cells() {
    const SHAPE: [usize; 4] = [2, 3, 32, 32];
    let (gpu, tape) = (common::gpu(), Tape::new());
    let none = DeviceParams::trainable(&gpu, "student", &Params::default()).unwrap();
    let student = Forward::train(&tape, &none);
    let ones = student.layer("s", || Ok(tape.variable("s", SHAPE))).unwrap();
    let tensor = tape.constant(SHAPE, &vec![0.0; SHAPE.iter().product()]).unwrap();
    let teacher =
        TeacherPass::Stored { taps: vec![Tap { name: "t".into(), alias: "t".into(), tensor }], unrun: None };
    let (outputs, leaves) = (Outputs::default(), Leaves::new(&tape, SHAPE[0], &[]));
    let taps = [("t".to_string(), "s".to_string())];
    let seen = tapped(&student, &teacher, (&outputs, &leaves), &taps);
    let term = distill::parse("mgd", &MethodConfig::default()).unwrap().terms.remove(0);
    let mut host = Params::default();
    let recorder = term.method.prepare(&seen, ParamBuilder::new(&mut host).sub("mgd")).unwrap();
    host.initialise(0);
    for param in host.iter_mut() {
        let identity = |i: usize| f32::from(i % 9 == 4 && (i / 9).is_multiple_of(4));
        let weight = param.shape.dims().len() == 4;
        param.values = (0..param.values.len()).map(|i| if weight { identity(i) } else { 0.0 }).collect();
    }
    let device = DeviceParams::trainable(&gpu, "own", &host).unwrap();
    let loss = recorder.record(&seen, &Forward::train(&tape, &device)).unwrap();
    let gradients = loss.backward().unwrap();
    let gradient = gradients.get(&ones).unwrap();
    let plan = Plan::new(&gpu, &tape, &[&loss, gradient]).unwrap();
    plan.write(&ones, &vec![1.0f32; SHAPE.iter().product()]).unwrap();
    let mut kept = Vec::new();
    for step in [Step::new(3, 1), Step::new(4, 1), Step::new(3, 1)] {
        plan.run(&step).unwrap();
        let (loss, mask) = (plan.read_f32(&loss).unwrap()[0], plan.read_f32(gradient).unwrap());
        // The derivative of a square of 1, by two samples.
        assert!(mask.iter().all(|m| *m == 0.0 || *m == 1.0));
        assert_eq!(loss, mask.iter().sum::<f32>() / 2.0);
        for sample in mask.chunks(3 * 1024) {
            assert!(sample[..1024] == sample[1024..2048] && sample[..1024] == sample[2048..]);
        }
        let share = mask.iter().sum::<f32>() / mask.len() as f32;
        assert!((share - 0.35).abs() < 0.04, "{share} kept");
        kept.push(mask);
    }
    assert!(kept[0] == kept[2] && kept[0] != kept[1], "masks are drawn for each step");
}
