//! `weights,rank=..`: a teacher in low-rank factors, trained on and saved.

mod common;

use common::digits::Digits;
use common::network::network;
use limbeck::data::{Loader, LoaderConfig};
use limbeck::distill::{self, MethodConfig};
use limbeck::models::Network;
use limbeck::models::saved::{self, ModelMetadata, Overrides};
use limbeck::nn::DeviceParams;
use limbeck::train::{Evaluator, Teacher, TrainConfig, Trainer};

const MODEL: &str = "resnet_b:8,8,8,16,16";

impl Digits {
    fn learn(&self, model: &str, teacher: &Network, methods: &str, rate: f64) -> limbeck::Result<Network> {
        let params = DeviceParams::frozen(&self.gpu, "teacher", &teacher.params)?;
        let objective = distill::parse(methods, &MethodConfig::default())?;
        let teaching = Teacher::new(teacher, &params, objective);
        let config = TrainConfig { epochs: 2, batch_size: 32, learning_rate: rate, ..Default::default() };
        let mut student = network(model);
        Trainer::new(&self.gpu, common::classify(&self.training), &config, &self.training, &self.held_out)
            .teacher(teaching)
            .fit(&mut student)?;
        Ok(student)
    }

    fn logits(&self, network: &Network) -> Vec<f32> {
        let params = DeviceParams::frozen(&self.gpu, "network", &network.params).unwrap();
        let evaluator = Evaluator::new(
            &self.gpu,
            &common::classify(&self.held_out),
            network,
            &params,
            64,
            self.held_out.as_ref(),
        )
        .unwrap();
        let config = LoaderConfig { batch_size: 64, shuffle: false, ..Default::default() };
        let loader = Loader::new(self.held_out.clone(), config).unwrap();
        loader.epoch(0).flat_map(|batch| evaluator.outputs(&batch.unwrap()).unwrap()).collect()
    }
}

/// At a rate of 0 the student is the factorised teacher: one of whole matrices, each the product of its
/// factors, answers alike.
#[test]
fn two_layers_are_the_product_of_their_weights() {
    let setting = Digits::new(320, 64);
    let teacher = network(MODEL);
    let student = setting.learn(MODEL, &teacher, "weights,rank=0.5", 0.0).unwrap();
    assert_eq!(student.name, format!("{MODEL}+lowrank:0.5"));
    let mut whole = network(MODEL);
    let mut products = 0;
    for param in whole.params.iter_mut() {
        if let Some(same) = student.params.find(&param.name) {
            param.values.clone_from(&same.values);
            continue;
        }
        let part = |name: &str| student.params.find(&param.name.replace(".weight", name)).unwrap();
        let (inner, outer) = (part(".inner.weight"), part(".outer.weight"));
        let (rank, n) = (inner.shape[0], inner.shape.len() / inner.shape[0]);
        for (row, values) in param.values.chunks_mut(n).enumerate() {
            for (j, value) in values.iter_mut().enumerate() {
                *value = (0..rank).map(|k| outer.values[row * rank + k] * inner.values[k * n + j]).sum();
            }
        }
        products += 1;
    }
    assert!(products > 5, "{products} matrices");
    let (got, want) = (setting.logits(&student), setting.logits(&whole));
    let scale = want.iter().fold(0.0f32, |most, z| most.max(z.abs()));
    let worst = got.iter().zip(&want).fold(0.0f32, |most, (g, w)| most.max((g - w).abs())) / scale;
    assert!(worst < 1e-5, "{worst:e}");
    // Half of the rank is not all of it.
    assert_ne!(want, setting.logits(&teacher));
}

#[test]
fn what_is_saved_opens_again() {
    let setting = Digits::new(320, 64);
    let teacher = network(MODEL);
    let start = setting.learn(MODEL, &teacher, "weights,rank=0.5", 0.0).unwrap();
    let student = setting.learn(MODEL, &teacher, "weights,rank=0.5", 0.05).unwrap();
    assert_ne!(setting.logits(&start), setting.logits(&student), "the factors were not trained");
    let (ours, theirs) = (student.params.trainable_elements(), teacher.params.trainable_elements());
    assert!(ours < theirs * 7 / 10, "{ours} parameters of {theirs}");
    let folder = common::folder();
    let path = folder.path().join("student.safetensors");
    let data = &setting.held_out;
    let metadata = ModelMetadata {
        classes: data.class_names.clone(),
        mean: data.mean.clone(),
        std: data.std.clone(),
        ..Default::default()
    };
    saved::save(&path, &student, &metadata).unwrap();
    let opened = saved::open(&path, &Overrides::default()).unwrap().network;
    assert_eq!((opened.name.as_str(), setting.logits(&opened)), (&*student.name, setting.logits(&student)));
    // It learns on by any other method, as it is.
    let again = setting.learn(&student.name, &teacher, "kd", 0.05).unwrap();
    assert_eq!(again.name, student.name);
}

#[test]
fn what_cannot_be_factorised_is_refused() {
    let setting = Digits::new(320, 64);
    let refused = |model: &str, methods: &str| {
        setting.learn(model, &network(MODEL), methods, 0.0).err().expect("an error").to_string()
    };
    let message = refused("resnet_b:8,8,8,16,24", "weights,rank=0.5");
    for part in ["layer3.0.conv1.weight", "student of the teacher's architecture", "[16, 16, 3, 3]"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let message = refused(MODEL, "weights,rank=0.5,pull=0.1");
    assert!(message.contains("leave out transfer"), "{message}");
}
