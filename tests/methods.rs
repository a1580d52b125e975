//! Every distillation loss against an independent implementation of its paper's formula in PyTorch, and the gradients by
//! logits, tapped features and the method's own parameters (tests/fixtures/methods_*.py).
//!
//! LIMBECK_CASES=dkd runs only the cases whose names start so.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::fixture::Fixture;
use limbeck::data::Field;
use limbeck::data::boxes::{BOX_CLASSES, BOXES};
use limbeck::distill::{self, LogitRows, MethodConfig, MethodContext, TaskRows, TeacherPass};
use limbeck::gpu::Gpu;
use limbeck::models::reuse::{self, Projector};
use limbeck::models::{self, ModelConfig, NUMBERS, Outputs, TOKENS};
use limbeck::nn::{DeviceParams, Forward, Init, ParamBuilder, Params, Tap};
use limbeck::ops::boxes::YoloHead;
use limbeck::ops::conv2d::Conv2d;
use limbeck::tape::{Plan, Step, Tape, Tensor};
use limbeck::tasks::Leaves;
use serde_json::Value;

/// Worst relative errors that the methods may have.
const FORWARD: f64 = 1e-4;
const GRADIENT: f64 = 1e-3;

#[test]
fn base() {
    check_group("methods_base");
}

#[test]
fn boxes() {
    check_group("methods_boxes");
}

#[test]
fn layers() {
    check_group("methods_layers");
}

/// Every network records the taps that it names as its defaults, in pairs with its stages; and where its
/// pre-activations come from a batch norm, that norm is found.
#[test]
fn default_taps_are_there() {
    let (gpu, config) = (common::gpu(), ModelConfig::classifier([3, 32, 32], 10));
    for name in ["cnn:3,4", "mlp:5", "mobilenetv2", "resnet8", "resnet20", "vgg8", "wrn:16,1"] {
        let network = models::build(name, &config).unwrap();
        let device = DeviceParams::frozen(&gpu, name, &network.params).unwrap();
        let tape = Tape::new();
        let forward = Forward::eval(&tape, &device);
        let logits = network.predict(&forward, &tape.input("images", [2, 3, 32, 32])).unwrap();
        let embedding = forward.tap(&network.embedding).unwrap();
        assert_eq!(embedding.dims()[0], logits.dims()[0], "{name}");
        assert_eq!(network.preactivations.len(), network.stages.len(), "{name}");
        let pass = TeacherPass::Live { forward, params: &network.params };
        for tap in &network.preactivations {
            let width = pass.tap(tap).unwrap().dims()[1];
            match pass.norm(tap) {
                Ok((scale, shift)) => assert_eq!((scale.len(), shift.len()), (width, width), "{name} {tap}"),
                Err(error) => assert!(name.starts_with("mlp"), "{name}: {error}"),
            }
        }
    }
}

#[test]
fn logits() {
    check_group("methods_logits");
}

#[test]
fn own() {
    check_group("methods_own");
}

#[test]
fn relations() {
    check_group("methods_relations");
}

#[test]
fn tokens() {
    check_group("methods_tokens");
}

/// On a single pixel, or one sample, these methods would be zero for every student.
#[test]
fn what_cannot_be_related_is_refused() {
    let gpu = common::gpu();
    let none = DeviceParams::trainable(&gpu, "student", &Params::default()).unwrap();
    let (pixel, one) = (vec![3, 4, 1, 1], vec![1, 4]);
    for (method, shape, part) in [
        ("at", &pixel, "more than one pixel"),
        ("nst", &pixel, "more than one pixel"),
        ("cwd", &pixel, "more than one pixel"),
        ("at", &one, "maps (N, C, H, W)"),
        ("sp", &one, "two samples"),
        ("rkd", &one, "two samples"),
        ("pkt", &one, "two samples"),
        ("cc", &one, "two samples"),
        ("cc,form=code", &one, "two samples"),
        ("relational", &one, "expected at least 2, got 1"),
        ("margin-mse", &one, "expected at least 3, got 1"),
        ("distilbert", &one, "it is for texts"),
        ("minilm", &one, "it is for texts"),
        ("minilmv2", &one, "it is for texts"),
        ("pkd-bert", &one, "it is for texts"),
        ("tinybert", &one, "it is for texts"),
    ] {
        let tape = Tape::new();
        let student = Forward::train(&tape, &none);
        student.layer("s", || Ok(tape.variable("s", shape.clone()))).unwrap();
        let tap = |name: &str| Tap {
            name: name.into(),
            alias: name.into(),
            tensor: tape.input(name, shape.clone()),
        };
        let logits = tape.input("logits", [shape[0], 10]);
        let leaves = Leaves::new(&tape, shape[0], &[]);
        let rows = LogitRows::new(logits.clone(), logits);
        let seen = MethodContext {
            student: &student,
            teacher: &TeacherPass::Stored { taps: vec![tap("t")], unrun: None },
            rows: TaskRows::Logits(&rows),
            student_outputs: &Outputs::default(),
            teacher_outputs: &Outputs::default(),
            leaves: &leaves,
            samples: 8,
            taps: &[("t".to_string(), "s".to_string())],
        };
        let refused = distill::parse(method, &MethodConfig::default()).and_then(|mut objective| {
            let term = objective.terms.remove(0);
            let loss = term.method.prepare(&seen, ParamBuilder::new(&mut Params::default()))?;
            loss.record(&seen, &student).map(drop)
        });
        let message = refused.expect_err(method).to_string();
        assert!(message.contains(part), "{method}: {message}");
    }
}

/// What a method can never learn by is refused as it is read.
#[test]
fn senseless_combinations_are_refused() {
    for (method, part) in [
        ("rkd,distance=0,angle=0", "both 0"),
        ("mlkd,lowest=5,highest=4", "at least lowest, 5"),
        ("tinybert,attention=0,hidden=0", "both 0"),
        ("distilbert,kl=0,cosine=0", "both 0"),
    ] {
        let message = distill::parse(method, &MethodConfig::default()).unwrap_err().to_string();
        assert!(message.contains(part), "{method}: {message}");
    }
}

fn check_group(group: &str) {
    let (gpu, fixture) = (common::gpu(), Fixture::load(group));
    let wanted = std::env::var("LIMBECK_CASES").unwrap_or_default();
    let mut wrong = Vec::new();
    for case in fixture.json["cases"].as_array().unwrap() {
        let name = text(&case["name"]);
        if name.starts_with(&wanted) {
            let found = Case { gpu: &gpu, fixture: &fixture, json: case, name }.run();
            wrong.extend(found.into_iter().map(|message| format!("{name}: {message}")));
        }
    }
    assert!(wrong.is_empty(), "{group}:\n{}", wrong.join("\n"));
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

struct Case<'a> {
    gpu: &'a Gpu,
    fixture: &'a Fixture,
    json: &'a Value,
    name: &'a str,
}

impl Case<'_> {
    /// What the student's tap is seen through, where the case says so.
    fn projector(&self, at: ParamBuilder<'_>) -> Option<Projector> {
        let numbers = self.json["projector"].as_array()?.iter().map(|n| n.as_u64().unwrap() as usize);
        let [c_s, inner, c_t, h, w] = numbers.collect::<Vec<_>>()[..] else { panic!("five numbers") };
        Some(Projector::new(at, [c_s, inner, c_t], [h, w]))
    }

    /// What differs, in words.
    fn run(&self) -> Vec<String> {
        let tape = Tape::new();
        let logits = self.variable(&tape, "student.logits");
        let labels = tape.input_i32("labels", self.fixture.shape(&self.key("labels")));
        let batch = Leaves::new(&tape, self.fixture.shape(&self.key("sample_ids"))[0], &self.fields());
        let none = DeviceParams::trainable(self.gpu, "student", &Params::default()).unwrap();
        let student = Forward::train(&tape, &none);
        let guided = self.taps(&student, "student.taps.", |key| self.variable(&tape, key));
        let (params, hints, pass);
        let frozen;
        {
            params = self.teacher_params();
            frozen = DeviceParams::frozen(self.gpu, "teacher", &params).unwrap();
            let forward = Forward::eval(&tape, &frozen);
            hints = self.taps(&forward, "teacher.taps.", |key| self.input(&tape, key));
            pass = TeacherPass::Live { forward, params: &params };
        }
        let teacher_logits = self.input(&tape, "teacher.logits");
        let (student_outputs, student_maps) =
            self.outputs("student", &|key| self.variable(&tape, key), &student, &Params::default());
        let TeacherPass::Live { forward, .. } = &pass else { panic!("a live teacher") };
        let (teacher_outputs, teacher_maps) =
            self.outputs("teacher", &|key| self.input(&tape, key), forward, &params);
        let pairs = self.json["taps"].as_array().unwrap();
        let taps: Vec<(String, String)> =
            pairs.iter().map(|p| (text(&p[0]).to_string(), text(&p[1]).to_string())).collect();
        let rows = LogitRows::new(logits.clone(), teacher_logits.clone());
        let rows = LogitRows { labels: Some(labels.clone()), ..rows };
        let seen = MethodContext {
            student: &student,
            teacher: &pass,
            rows: TaskRows::Logits(&rows),
            student_outputs: &student_outputs,
            teacher_outputs: &teacher_outputs,
            leaves: &batch,
            samples: self.json["samples"].as_u64().unwrap() as usize,
            taps: &taps,
        };

        let term =
            distill::parse(text(&self.json["method"]), &MethodConfig::default()).unwrap().terms.remove(0);
        let mut host = Params::default();
        let mut root = ParamBuilder::new(&mut host);
        let mut at = root.sub(term.name);
        let projector = self.projector(at.sub("projector"));
        let recorder = term.method.prepare(&seen, at).unwrap();
        self.fill_own(&mut host, term.name);
        let device = DeviceParams::trainable(self.gpu, "own", &host).unwrap();
        let own = Forward::train(&tape, &device);
        if let Some(projector) = projector {
            student.layer(reuse::PROJECTED, || projector.forward(&own, &guided[0].1)).unwrap();
        }
        let loss = recorder.record(&seen, &own).unwrap();
        let gradients = loss.scale(0.75).unwrap().backward().unwrap();

        let mut leaves: Vec<(String, Tensor)> = vec![("student.logits".into(), logits.clone())];
        leaves.extend(guided.iter().chain(&student_maps).map(|(key, tensor)| (key.clone(), tensor.clone())));
        for (id, leaf) in own.leaves() {
            let name = host.get(id).unwrap().name.strip_prefix(&format!("{}.", term.name)).unwrap();
            leaves.push((format!("own.{name}"), leaf));
        }
        let found: BTreeMap<&str, &Tensor> = leaves
            .iter()
            .filter_map(|(key, leaf)| Some((key.as_str(), gradients.find(leaf).unwrap()?)))
            .collect();
        let outputs: Vec<&Tensor> = std::iter::once(&loss).chain(found.values().copied()).collect();
        let plan = Plan::new(self.gpu, &tape, &outputs).unwrap();
        self.write(&plan, "labels", &labels);
        self.write(&plan, "sample_ids", batch.ids());
        self.write(&plan, "student.logits", &logits);
        self.write(&plan, "teacher.logits", &teacher_logits);
        let maps = student_maps.iter().chain(&teacher_maps);
        guided.iter().chain(&hints).chain(maps).for_each(|(key, tensor)| self.write(&plan, key, tensor));
        if self.has("truths.boxes") {
            self.write(&plan, "truths.boxes", batch.get(BOXES).unwrap());
            self.write(&plan, "truths.classes", batch.get(BOX_CLASSES).unwrap());
        }
        if self.has("tokens") {
            self.write(&plan, "tokens", batch.get(TOKENS).unwrap());
            self.write(&plan, "spans", batch.spans().unwrap());
        }
        if self.has("real") {
            self.write(&plan, "real", batch.mask());
        }
        let mut step = Step::new(0, 0);
        let share = self.json["share"].as_f64().unwrap();
        for (name, schedule) in term.method.scalars() {
            step.set(tape.scalar(name).unwrap(), schedule.at((share * 1e3) as u64, 1000) as f32);
        }
        plan.run(&step).unwrap();

        let mut wrong = Vec::new();
        let mut compare = |what: &str, key: &str, got: Vec<f32>, most: f64| {
            let worst = relative(&got, &self.fixture.f32s(&self.key(key)));
            // NaN counts as infinite in `relative`.
            if worst > most {
                wrong.push(format!("{what}: relative error {worst:.2e}, at most {most:.0e}"));
            }
        };
        compare("loss", "loss", plan.read_f32(&loss).unwrap(), FORWARD);
        for (key, _) in &leaves {
            let (gradient, expected) = (found.get(key.as_str()), format!("d.{key}"));
            match (gradient, self.has(&expected)) {
                (Some(gradient), true) => {
                    compare(&expected, &expected, plan.read_f32(gradient).unwrap(), GRADIENT)
                }
                (Some(gradient), false) => {
                    let got = plan.read_f32(gradient).unwrap();
                    assert!(got.iter().all(|v| *v == 0.0), "{}: {key} has a gradient", self.name);
                }
                (None, true) => panic!("{}: {key} has no gradient", self.name),
                (None, false) => {}
            }
        }
        device.download(&mut host).unwrap();
        for key in self.keys("after.") {
            let state = key.strip_prefix("after.").unwrap();
            let got = host.find(&format!("{}.{state}", term.name)).expect("the state").values.clone();
            compare(&key, &key, got, FORWARD);
        }
        wrong
    }

    fn key(&self, tensor: &str) -> String {
        format!("{}/{tensor}", self.name)
    }

    /// The case's tensors whose names start so.
    fn keys(&self, prefix: &str) -> Vec<String> {
        let all = self.json["tensors"].as_array().unwrap().iter().map(text);
        all.filter(|key| key.starts_with(prefix)).map(String::from).collect()
    }

    fn has(&self, tensor: &str) -> bool {
        self.keys(tensor).iter().any(|key| key == tensor)
    }

    fn variable(&self, tape: &Tape, key: &str) -> Tensor {
        tape.variable(key, self.fixture.shape(&self.key(key)))
    }

    fn input(&self, tape: &Tape, key: &str) -> Tensor {
        tape.input(key, self.fixture.shape(&self.key(key)))
    }

    fn write(&self, plan: &Plan, key: &str, tensor: &Tensor) {
        // What a method does not look at is not part of the plan, and takes no values.
        let _ = plan.write_bytes(tensor, self.fixture.bytes(&self.key(key)));
    }

    /// Makes the tensors of one side's taps and notes them under their layers' names.
    fn taps(&self, fx: &Forward<'_>, prefix: &str, make: impl Fn(&str) -> Tensor) -> Vec<(String, Tensor)> {
        let all = self.keys(prefix).into_iter().map(|key| {
            let tensor = make(&key);
            fx.layer(key.strip_prefix(prefix).unwrap(), || Ok(tensor.clone())).unwrap();
            (key, tensor)
        });
        all.collect()
    }

    /// The fields of boxes that are there, or of texts, where the case has some.
    fn fields(&self) -> Vec<Field> {
        if self.has("tokens") {
            let shape = self.fixture.shape(&self.key("tokens"));
            return vec![Field { shape: shape.to_vec(), ..Field::packed(TOKENS) }];
        }
        if !self.has("truths.boxes") {
            return Vec::new();
        }
        let places = self.fixture.shape(&self.key("truths.boxes"))[1];
        let classes = Field::classes(BOX_CLASSES, [places]);
        vec![Field::f32(BOXES, [places, 4]), classes]
    }

    /// One side's maps with their heads, or its numbers, and those that are leaves.
    fn outputs(
        &self,
        side: &str,
        make: &dyn Fn(&str) -> Tensor,
        fx: &Forward<'_>,
        params: &Params,
    ) -> (Outputs, Vec<(String, Tensor)>) {
        let (mut outputs, mut leaves) = (Outputs::default(), Vec::new());
        for json in self.json[format!("{side}_heads")].as_array().into_iter().flatten() {
            let name = text(&json["name"]);
            let map = match &json["conv"].as_array().unwrap()[..] {
                [tap, param] => {
                    let param = |end: &str| {
                        let id = params.id(&format!("{}.{end}", text(param))).unwrap();
                        fx.param(id).unwrap()
                    };
                    let tap = fx.tap(text(tap)).unwrap();
                    let map = tap.conv2d(&param("weight"), Some(&param("bias")), Conv2d::default()).unwrap();
                    if head(json).squared_sides { map.sigmoid().unwrap() } else { map }
                }
                _ => {
                    let key = format!("{side}.maps.{name}");
                    leaves.push((key.clone(), make(&key)));
                    leaves.last().unwrap().1.clone()
                }
            };
            outputs = outputs.with_boxes(name, map, Arc::new(head(json)));
        }
        let numbers = format!("{side}.{NUMBERS}");
        if self.has(&numbers) {
            leaves.push((numbers.clone(), make(&numbers)));
            outputs = outputs.with(NUMBERS, leaves.last().unwrap().1.clone());
        }
        (outputs, leaves)
    }

    fn teacher_params(&self) -> Params {
        let mut params = Params::default();
        let keys = self.keys("teacher.params.");
        for key in &keys {
            let name = key.strip_prefix("teacher.params.").unwrap();
            ParamBuilder::new(&mut params).weight(
                name,
                self.fixture.shape(&self.key(key)),
                Init::Constant(0.0),
                false,
            );
        }
        for (param, key) in params.iter_mut().zip(&keys) {
            param.values = self.fixture.f32s(&self.key(key));
        }
        params
    }

    /// Gives the method's own parameters the fixture's values; all of them must have one.
    fn fill_own(&self, host: &mut Params, method: &str) {
        host.initialise(0);
        for param in host.iter_mut() {
            let name =
                param.name.strip_prefix(&format!("{method}.")).expect("the method's prefix").to_string();
            let key = ["own.", "states."].iter().map(|p| format!("{p}{name}")).find(|key| self.has(key));
            let key = key.unwrap_or_else(|| panic!("{}: the fixture has no {}", self.name, param.name));
            let (shape, values) = (self.fixture.shape(&self.key(&key)), self.fixture.f32s(&self.key(&key)));
            assert_eq!(param.shape.dims(), shape, "{}: {}", self.name, param.name);
            param.values = values;
        }
    }
}

fn head(json: &Value) -> YoloHead {
    let number = |name: &str| json[name].as_f64().unwrap();
    let sizes = |name: &str| {
        let pairs = json[name].as_array().unwrap().iter();
        pairs.map(|pair| [0, 1].map(|i| pair[i].as_f64().unwrap() as f32)).collect()
    };
    YoloHead {
        anchors: sizes("anchors"),
        all_anchors: sizes("all_anchors"),
        mask: json["mask"].as_array().unwrap().iter().map(|place| place.as_u64().unwrap() as usize).collect(),
        classes: number("classes") as usize,
        stride: [number("stride") as usize; 2],
        scale_x_y: number("scale_x_y") as f32,
        squared_sides: json["squared_sides"].as_bool().unwrap(),
        ignore_threshold: number("ignore_threshold") as f32,
        assign_threshold: number("assign_threshold") as f32,
    }
}

/// The largest difference, as a share of the expected value or of the tensor's root mean square, whichever is larger.
fn relative(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len());
    let rms = (want.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / want.len() as f64).sqrt();
    let share = |(g, w): (&f32, &f32)| {
        let share = (f64::from(*g) - f64::from(*w)).abs() / f64::from(w.abs()).max(rms).max(1e-6);
        if share.is_nan() { f64::INFINITY } else { share }
    };
    got.iter().zip(want).map(share).fold(0.0, f64::max)
}
