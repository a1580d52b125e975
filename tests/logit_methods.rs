//! Known mistakes of distillation losses on logits, each against a closed form: the reduction and the T^2, probabilities
//! where logarithms belong, and CTKD's temperature, which must rise where a plain one would fall.

mod common;

use limbeck::data::IGNORE_LABEL;
use limbeck::distill::{self, LogitRows, MethodConfig, MethodContext, TaskRows, TeacherPass};
use limbeck::models::Outputs;
use limbeck::nn::{DeviceParams, Forward, ParamBuilder, Params};
use limbeck::tape::{Plan, Step, Tape, Tensor};
use limbeck::tasks::Leaves;

const SHAPE: [usize; 2] = [3, 4];
const STUDENT: [f32; 12] = [1.0, -2.0, 0.5, 3.0, 0.0, 0.25, -1.0, 2.0, -3.0, 1.5, 1.0, 0.0];
const TEACHER: [f32; 12] = [4.0, -1.0, 0.0, 1.0, -2.0, 0.5, 3.0, 1.0, 0.0, 2.0, -1.0, 0.5];

/// Loss, gradient by the student's logits, and by the method's own first parameter.
struct Run {
    loss: f32,
    by_logits: Vec<f32>,
    by_own: Option<Vec<f32>>,
}

/// `held` is the value of CTKD's scalar.
fn run(method: &str, student: &[f32], teacher: &[f32], held: f32) -> Run {
    let gpu = common::gpu();
    let tape = Tape::new();
    let (z_s, z_t) = (tape.variable("student", SHAPE), tape.input("teacher", SHAPE));
    let (labels, leaves) = (tape.input_i32("labels", [3]), Leaves::new(&tape, 3, &[]));
    let none = Params::default();
    let (no_student, no_teacher) = (
        DeviceParams::trainable(&gpu, "student", &none).unwrap(),
        DeviceParams::frozen(&gpu, "teacher", &none).unwrap(),
    );
    let pass = TeacherPass::Live { forward: Forward::eval(&tape, &no_teacher), params: &none };
    let rows = LogitRows { labels: Some(labels.clone()), ..LogitRows::new(z_s.clone(), z_t.clone()) };
    let seen = MethodContext {
        student: &Forward::train(&tape, &no_student),
        teacher: &pass,
        rows: TaskRows::Logits(&rows),
        student_outputs: &Outputs::default(),
        teacher_outputs: &Outputs::default(),
        leaves: &leaves,
        samples: 3,
        taps: &[],
    };
    let term = distill::parse(method, &MethodConfig::default()).unwrap().terms.remove(0);
    let mut host = Params::default();
    let recorder = term.method.prepare(&seen, ParamBuilder::new(&mut host)).unwrap();
    host.initialise(0);
    let device = DeviceParams::trainable(&gpu, "own", &host).unwrap();
    let own = Forward::train(&tape, &device);
    let loss = recorder.record(&seen, &own).unwrap();
    let gradients = loss.backward().unwrap();
    let by_logits = gradients.get(&z_s).unwrap();
    let by_own = own.leaves().first().map(|(_, leaf)| gradients.get(leaf).unwrap().clone());
    let outputs: Vec<&Tensor> = [&loss, by_logits].into_iter().chain(&by_own).collect();
    let plan = Plan::new(&gpu, &tape, &outputs).unwrap();
    plan.write(&z_s, student).unwrap();
    plan.write(&z_t, teacher).unwrap();
    // Methods that look at no label have no such input.
    let _ = plan.write(&labels, &[0, IGNORE_LABEL, 2]);
    let mut step = Step::new(0, 0);
    step.set(tape.scalar("ctkd.held").unwrap(), held);
    plan.run(&step).unwrap();
    Run {
        loss: plan.read_f32(&loss).unwrap()[0],
        by_logits: plan.read_f32(by_logits).unwrap(),
        by_own: by_own.map(|own| plan.read_f32(&own).unwrap()),
    }
}

fn softmax(z: &[f32], temperature: f64) -> Vec<f64> {
    let row = |z: &[f32]| {
        let exps: Vec<f64> = z.iter().map(|z| (f64::from(*z) / temperature).exp()).collect();
        let sum: f64 = exps.iter().sum();
        exps.into_iter().map(move |e| e / sum).collect::<Vec<_>>()
    };
    z.chunks(SHAPE[1]).flat_map(row).collect()
}

/// d loss / d z_s = T (p_s - p_t) / N, which neither a forgotten T^2 nor another divisor gives; the legacy mean's is that
/// divided by the classes.
#[test]
fn the_gradient_of_soft_targets_has_t_and_the_batch_in_it() {
    for (text, divisor) in [("batch-mean", 3.0), ("legacy-mean", 12.0)] {
        for temperature in [1.0, 4.0] {
            let method = format!("kd,temperature={temperature},reduction={text}");
            let got = run(&method, &STUDENT, &TEACHER, 0.0).by_logits;
            let (p_s, p_t) = (softmax(&STUDENT, temperature), softmax(&TEACHER, temperature));
            for (got, (s, t)) in got.iter().zip(p_s.iter().zip(&p_t)) {
                let want = temperature * (s - t) / divisor;
                assert!((f64::from(*got) - want).abs() < 1e-6, "{method}: {got} for {want}");
            }
        }
    }
}

/// Where the student has its teacher's logits a distance is 0 and so is its gradient. With probabilities in the place of
/// logarithms, or the reverse, neither is.
#[test]
fn a_student_like_its_teacher_has_no_loss() {
    let methods =
        "kd logit-std logit-mse dkd dist mlkd jsd,beta=0 jsd,beta=0.3 jsd,beta=1 dkd,logits=standardised";
    for method in methods.split(' ') {
        let same = run(method, &TEACHER, &TEACHER, 0.0);
        assert!(same.loss.abs() < 1e-5, "{method}: loss {}", same.loss);
        assert!(same.by_logits.iter().all(|g| g.abs() < 1e-5), "{method}: {:?}", same.by_logits);
        assert!(run(method, &STUDENT, &TEACHER, 0.0).loss > 1e-3, "{method}");
    }
}

/// Logits that are all equal, as of a layer that starts at zero: standardised they are 0, so the student's softmax is
/// uniform, and since the deviation has no slope there d loss / d z = T (p_s - p_t) / N / 1e-7.
#[test]
fn equal_logits_can_be_standardised() {
    let flat = run("logit-std", &[0.5; 12], &TEACHER, 0.0);
    let (temperature, uniform) = (2.0, 0.25);
    let standardised = |row: &[f32]| {
        let mean = row.iter().sum::<f32>() / 4.0;
        let deviation = (row.iter().map(|z| (z - mean).powi(2)).sum::<f32>() / 3.0).sqrt();
        row.iter().map(|z| (z - mean) / deviation).collect::<Vec<f32>>()
    };
    let teacher: Vec<f32> = TEACHER.chunks(SHAPE[1]).flat_map(standardised).collect();
    let p_t = softmax(&teacher, temperature);
    let loss = temperature.powi(2) * p_t.iter().map(|p| p * (p / uniform).ln()).sum::<f64>() / 3.0;
    assert!((f64::from(flat.loss) - loss).abs() < 1e-5 * loss, "{} for {loss}", flat.loss);
    for (got, p_t) in flat.by_logits.iter().zip(p_t) {
        let want = temperature * (uniform - p_t) / 3.0 / 1e-7;
        assert!((f64::from(*got) - want).abs() < 1e-3 * want.abs().max(1e4), "{got} for {want}");
    }
}

/// lambda = 1 - held: none of the gradient at the start, all of it reversed after the ramp, and linear between.
#[test]
fn the_temperatures_gradient_is_reversed_by_its_strength() {
    let at = |held| run("ctkd", &STUDENT, &TEACHER, held);
    let [start, half, full] = [1.0, 0.5, 0.0].map(|held| at(held).by_own.unwrap()[0]);
    assert!(start.abs() < 1e-7, "{start}");
    assert!((half - full / 2.0).abs() < 1e-3 * full.abs(), "{half} is not half of {full}");
    // The slope of the loss itself, by two fixed temperatures around T(1) = 1 + 20 sigmoid(1).
    let sigmoid = 1.0 / (1.0 + f64::exp(-1.0));
    let (temperature, by_a) = (1.0 + 20.0 * sigmoid, 20.0 * sigmoid * (1.0 - sigmoid));
    let loss = |t: f64| {
        let (p_s, p_t) = (softmax(&STUDENT, t), softmax(&TEACHER, t));
        t * t * p_s.iter().zip(&p_t).map(|(s, t)| t * (t / s).ln()).sum::<f64>() / 3.0
    };
    let slope = (loss(temperature + 1e-3) - loss(temperature - 1e-3)) / 2e-3 * by_a;
    assert!((f64::from(full) + slope).abs() < 0.02 * slope.abs(), "{full} is not -{slope}");
}

/// Samples that only fill a batch change nothing.
#[test]
fn ignored_labels_have_no_gradient() {
    for method in ["dkd", "wsld", "ofa"] {
        let got = run(method, &STUDENT, &TEACHER, 0.0);
        assert!(got.by_logits[4..8].iter().all(|g| *g == 0.0), "{method}: {:?}", got.by_logits);
        let mut other = STUDENT;
        other[4..8].fill(-7.0);
        assert_eq!(run(method, &other, &TEACHER, 0.0).loss, got.loss, "{method}");
    }
}
