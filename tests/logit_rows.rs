//! Methods on logits where rows have weights: rows of weight 0 are as good as left out, and any other weights are those of
//! the mean, against formulas in f64. What a task does not give is refused by name.

mod common;

use limbeck::distill::{
    self, LogitRows, METHODS, MethodConfig, MethodContext, Need, TaskRows, TeacherPass, Term,
};
use limbeck::gpu::Gpu;
use limbeck::models::Outputs;
use limbeck::nn::{DeviceParams, Forward, ParamBuilder, Params};
use limbeck::rng::Stream;
use limbeck::tape::{Plan, Step, Tape, Tensor};
use limbeck::tasks::Leaves;

const CLASSES: usize = 5;

/// Rows of logits with labels.
#[derive(Clone)]
struct Batch {
    student: Vec<f32>,
    teacher: Vec<f32>,
    labels: Vec<i32>,
    weights: Option<Vec<f32>>,
}

impl Batch {
    fn random(rows: usize) -> Self {
        let mut random = Stream::new(7, "rows");
        let mut logits = || (0..rows * CLASSES).map(|_| 2.0 * random.normal() as f32).collect::<Vec<f32>>();
        let (student, teacher) = (logits(), logits());
        let labels = (0..rows).map(|row| (row * 3 % CLASSES) as i32).collect();
        Self { student, teacher, labels, weights: None }
    }

    fn weighted(&self, weights: &[f32]) -> Self {
        Self { weights: Some(weights.to_vec()), ..self.clone() }
    }

    /// The rows for which `keep` holds, all alike.
    fn only(&self, keep: impl Fn(usize) -> bool) -> Self {
        let kept = |values: &[f32]| {
            let rows = values.chunks(CLASSES).enumerate().filter(|(row, _)| keep(*row));
            rows.flat_map(|(_, values)| values.to_vec()).collect()
        };
        let labels = self.labels.iter().enumerate().filter(|(row, _)| keep(*row)).map(|(_, l)| *l).collect();
        Self { student: kept(&self.student), teacher: kept(&self.teacher), labels, weights: None }
    }

    fn rows(values: &[f32]) -> Vec<Vec<f64>> {
        values.chunks(CLASSES).map(|row| row.iter().map(|v| f64::from(*v)).collect()).collect()
    }
}

fn term(method: &str) -> Term {
    distill::parse(method, &MethodConfig::default()).unwrap().terms.remove(0)
}

/// Records `method` on what `rows` says of the tape's tensors, and runs it on the batch: loss, and its gradient by the
/// student's logits.
fn run(method: &str, batch: &Batch) -> (f32, Vec<f32>) {
    let (gpu, tape, n) = (common::gpu(), Tape::new(), batch.labels.len());
    let (student, teacher) = (tape.variable("student", [n, CLASSES]), tape.input("teacher", [n, CLASSES]));
    let labels = tape.input_i32("labels", [n]);
    let weights = batch.weights.as_ref().map(|_| tape.input("weights", [n]));
    let rows = LogitRows {
        student: student.clone(),
        teacher: teacher.clone(),
        labels: Some(labels.clone()),
        weights: weights.clone(),
    };
    let (loss, _own) = record(&gpu, &tape, method, TaskRows::Logits(&rows)).unwrap();
    let gradients = loss.backward().unwrap();
    let gradient = gradients.get(&student).unwrap();
    let plan = Plan::new(&gpu, &tape, &[&loss, gradient]).unwrap();
    plan.write(&student, &batch.student).unwrap();
    if plan.holds(&teacher) {
        plan.write(&teacher, &batch.teacher).unwrap();
    }
    if plan.holds(&labels) {
        plan.write(&labels, &batch.labels).unwrap();
    }
    if let (Some(weights), Some(values)) = (&weights, &batch.weights) {
        plan.write(weights, values).unwrap();
    }
    plan.run(&Step::new(0, 0)).unwrap();
    (plan.read_f32(&loss).unwrap()[0], plan.read_f32(gradient).unwrap())
}

/// The loss, and the method's own parameters, whose buffers its plan reads.
fn record(
    gpu: &Gpu,
    tape: &Tape,
    method: &str,
    rows: TaskRows<'_>,
) -> limbeck::Result<(Tensor, DeviceParams)> {
    let none = Params::default();
    let nothing = DeviceParams::frozen(gpu, "nothing", &none)?;
    let leaves = Leaves::new(tape, 1, &[]);
    let pass = TeacherPass::Live { forward: Forward::eval(tape, &nothing), params: &none };
    let student = Forward::eval(tape, &nothing);
    let outputs = Outputs::one("boxes", tape.input("boxes", [1])).with("scores", tape.input("scores", [1]));
    let seen = MethodContext {
        student: &student,
        teacher: &pass,
        rows,
        student_outputs: &outputs,
        teacher_outputs: &outputs,
        leaves: &leaves,
        samples: 1,
        taps: &[],
    };
    let mut host = Params::default();
    let loss = term(method).method.prepare(&seen, ParamBuilder::new(&mut host))?;
    host.initialise(0);
    let device = DeviceParams::trainable(gpu, "own", &host)?;
    let loss = loss.record(&seen, &Forward::train(tape, &device))?;
    Ok((loss, device))
}

/// Every method that reads rows, and nothing of a network.
const BY_ROWS: &[&str] = &[
    "kd",
    "kd,reduction=legacy-mean",
    "kd,logits=standardised",
    "logit-std",
    "logit-mse",
    "dkd",
    "dist",
    "binary-kd,temperature=2",
    "jsd,beta=0",
    "jsd,beta=0.3",
    "jsd,beta=1",
    "ctkd",
    "mlkd,mask=code",
    "mlkd,mask=rows",
    "mlkd,mask=none",
    "ofa,eps=1.5",
    "tf-kd",
    "weights",
    "wsld",
];

#[test]
fn rows_of_weight_zero_are_as_good_as_left_out() {
    let batch = Batch::random(9);
    let keep = |row: usize| row % 4 != 1;
    let weights: Vec<f32> = (0..9).map(|row| f32::from(u8::from(keep(row)))).collect();
    for method in BY_ROWS {
        let (loss, gradient) = run(method, &batch.weighted(&weights));
        let (want, by_kept) = run(method, &batch.only(keep));
        assert!((loss - want).abs() <= 1e-5 * want.abs().max(1.0), "{method}: {loss}, without them {want}");
        let mut by_kept = by_kept.chunks(CLASSES);
        for (row, got) in gradient.chunks(CLASSES).enumerate() {
            let want = if keep(row) { by_kept.next().unwrap().to_vec() } else { vec![0.0; CLASSES] };
            let most = want.iter().fold(1e-2f32, |most, v| most.max(v.abs()));
            let off = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off <= 2e-5 * most, "{method}, row {row}: {got:?} for {want:?}");
        }
    }
}

/// Weights that are all equal change nothing, whatever they are; and where no row counts there is no loss.
#[test]
fn only_the_shares_of_weights_count() {
    let batch = Batch::random(6);
    for method in ["kd", "logit-mse", "dkd", "binary-kd", "dist", "jsd", "wsld", "tf-kd", "ctkd"] {
        let (want, _) = run(method, &batch);
        let (got, _) = run(method, &batch.weighted(&[0.25; 6]));
        assert!((got - want).abs() <= 1e-5 * want.abs().max(1.0), "{method}: {got} for {want}");
    }
    for method in ["kd", "logit-mse", "dkd", "binary-kd"] {
        let (loss, gradient) = run(method, &batch.weighted(&[0.0; 6]));
        assert!(loss == 0.0 && gradient.iter().all(|g| *g == 0.0), "{method}: {loss} {gradient:?}");
    }
}

fn softmax(z: &[f64], t: f64) -> Vec<f64> {
    let most = z.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
    let e: Vec<f64> = z.iter().map(|z| ((z - most) / t).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.into_iter().map(|e| e / sum).collect()
}

fn kl(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum()
}

/// Pearson's correlation under weights.
fn correlation(a: &[f64], b: &[f64], w: &[f64]) -> f64 {
    let total: f64 = w.iter().sum();
    let mean = |x: &[f64]| x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>() / total;
    let (m, n) = (mean(a), mean(b));
    let cov = |x: &[f64], m: f64, y: &[f64], n: f64| {
        x.iter().zip(y).zip(w).map(|((x, y), w)| w * (x - m) * (y - n)).sum::<f64>()
    };
    cov(a, m, b, n) / (cov(a, m, a, m) * cov(b, n, b, n)).sqrt()
}

/// The loss of one row, in f64.
fn of_row(method: &str, s: &[f64], t: &[f64], label: usize) -> f64 {
    match method {
        "kd" => 16.0 * kl(&softmax(t, 4.0), &softmax(s, 4.0)),
        "logit-mse" => s.iter().zip(t).map(|(s, t)| (s - t).powi(2)).sum::<f64>() / CLASSES as f64,
        "binary-kd" => {
            let bce = |(s, t): (&f64, &f64)| (1.0 + s.exp()).ln() - s / (1.0 + (-t).exp());
            s.iter().zip(t).map(bce).sum::<f64>() / CLASSES as f64
        }
        "dkd" => {
            let (p, q) = (softmax(t, 4.0), softmax(s, 4.0));
            let pair = |p: &[f64]| [p[label], 1.0 - p[label]];
            let others = |z: &[f64]| {
                let kept: Vec<f64> =
                    z.iter().enumerate().filter(|(c, _)| *c != label).map(|(_, z)| *z).collect();
                softmax(&kept, 4.0)
            };
            16.0 * (kl(&pair(&p), &pair(&q)) + 8.0 * kl(&others(t), &others(s)))
        }
        _ => panic!("no formula for {method}"),
    }
}

#[test]
fn any_weights_are_those_of_the_mean() {
    let weights = [0.5f32, 2.0, 0.0, 1.25, 0.1, 3.0];
    let w: Vec<f64> = weights.iter().map(|w| f64::from(*w)).collect();
    let total: f64 = w.iter().sum();
    let batch = Batch::random(6).weighted(&weights);
    let (s, t) = (Batch::rows(&batch.student), Batch::rows(&batch.teacher));
    let mean = |rows: Vec<f64>| rows.iter().zip(&w).map(|(l, w)| l * w).sum::<f64>() / total;
    let check = |method: &str, want: f64| {
        let got = f64::from(run(method, &batch).0);
        assert!((got - want).abs() <= 1e-5 * want.abs().max(1.0), "{method}: {got} for {want}");
    };
    for method in ["kd", "logit-mse", "binary-kd", "dkd"] {
        let rows = (0..6).map(|r| of_row(method, &s[r], &t[r], batch.labels[r] as usize)).collect();
        check(method, mean(rows));
    }
    let [p, q] = [&s, &t].map(|z| z.iter().map(|row| softmax(row, 4.0)).collect::<Vec<_>>());
    let between_classes = mean((0..6).map(|r| 1.0 - correlation(&p[r], &q[r], &[1.0; CLASSES])).collect());
    let column = |rows: &[Vec<f64>], c: usize| rows.iter().map(|row| row[c]).collect::<Vec<_>>();
    let columns = (0..CLASSES).map(|c| 1.0 - correlation(&column(&p, c), &column(&q, c), &w));
    let between_samples = columns.sum::<f64>() / CLASSES as f64;
    check("dist", 16.0 * 2.0 * (between_classes + between_samples));
}

/// A method is refused exactly where a task does not give what the list says it reads, with the task's outputs named.
#[test]
fn what_a_method_reads_is_what_the_list_says() {
    let gpu = common::gpu();
    let rows_only = [Need::Numbers, Need::Logits, Need::Labels];
    for spec in METHODS.iter().filter(|m| m.reads.iter().all(|need| rows_only.contains(need))) {
        let tape = Tape::new();
        let logits = [tape.variable("student", [4, CLASSES]), tape.input("teacher", [4, CLASSES])];
        let [student, teacher] = logits;
        let unlabelled = LogitRows::new(student, teacher);
        let labelled = LogitRows { labels: Some(tape.input_i32("labels", [4])), ..unlabelled.clone() };
        let read = |rows| record(&gpu, &tape, spec.name, rows);
        read(TaskRows::Logits(&labelled)).unwrap();
        let reads = |need| spec.reads.contains(&need);
        assert_eq!(read(TaskRows::Logits(&unlabelled)).is_err(), reads(Need::Labels), "{}", spec.name);
        assert_eq!(read(TaskRows::Values(&labelled)).is_err(), reads(Need::Logits), "{}", spec.name);
        let message = read(TaskRows::None).err().unwrap().to_string();
        assert!(message.contains("its outputs are boxes, scores"), "{}: {message}", spec.name);
    }
}

#[test]
fn rows_that_do_not_go_together_are_refused() {
    let gpu = common::gpu();
    let tape = Tape::new();
    let rows = LogitRows::new(tape.variable("student", [4, CLASSES]), tape.input("teacher", [4, CLASSES]));
    let uneven = LogitRows { weights: Some(tape.input("weights", [3])), ..rows };
    let message = record(&gpu, &tape, "kd", TaskRows::Logits(&uneven)).err().unwrap().to_string();
    assert!(message.contains("weights (R)") && message.contains("[3]"), "{message}");
}
