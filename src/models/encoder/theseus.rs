//! An encoder whose layers take the place of another one's by chance while it trains (BERT-of-Theseus, Xu et al. 2002.02925).
//!
//! `bert:2,128+theseus:6,0.3` is a `bert:2,128` beside six layers of a teacher of its width, heads and settings. Layers i L_t / L_s to
//! (i + 1) L_t / L_s - 1 of the teacher and the student's layer i are a module. In training a module is the student's layer with the chance
//! p = 0.3 + 0.7 r, and else the teacher's layers; r is the scalar [`RISE`] of the step. It is drawn for each module and step, the same
//! for all tokens. Both are computed, and one is chosen by a factor of 0 or 1: so one plan serves all draws, for the price of both. In
//! inference it is the student alone.
//!
//! Only the student's own layers are trained: the teacher's ones, the embeddings and the head count as states. `successor` is what is
//! left after the training, a `bert:2,128`.
//!
//! Parameters besides the encoder's own: `theseus.encoder.layer.{i}.*`. Taps: [`REPLACED`] (L_s), 1 where the student's layer is in
//! place, and `theseus.{i}` (T, D), what a module gives.

use super::module::{Bert, Layer, layer_name, through};
use super::{FAMILY, Shape};
use crate::models::{
    Built, InputSpec, ModelConfig, Module, Network, Outputs, Values, find, outline as named,
};
use crate::nn::{Forward, Mode, ParamBuilder, ParamId, Params};
use crate::tape::Tensor;
use crate::{Error, Result};

/// What stands between the two names.
const MARK: &str = "+theseus:";
/// Below which its parameters and taps are.
pub const ROOT: &str = "theseus";
/// The scalar of the step by which the chance rises from its first value, at 0, to 1, at 1.
pub const RISE: &str = "theseus.rise";
/// The tap of what was drawn.
pub const REPLACED: &str = "theseus.replaced";

/// The name of the encoder `base` with the layers of a teacher that has so many; `first` is the chance at first.
pub fn name(base: &str, layers: usize, first: f32) -> String {
    format!("{base}{MARK}{layers},{first}")
}

/// The encoder's name and the rest, where `name` has such layers.
pub(in crate::models) fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once(MARK)
}

/// The network of this name, without initial values.
pub(in crate::models) fn outline(
    name: &str,
    base: &str,
    rest: &str,
    config: &ModelConfig,
) -> Result<Network> {
    let fail = |message: String| Err(Error::config("model", format!("\"{name}\": {message}")));
    let numbers = rest.split_once(',').and_then(|(layers, first)| {
        let first = first.parse().ok().filter(|first| (0.0..=1.0).contains(first))?;
        Some((layers.parse().ok().filter(|n| (1..=1024).contains(n))?, first))
    });
    let Some((teacher, first)) = numbers else {
        return fail(format!("expected layers and a chance after {MARK}, as in bert:2{MARK}6,0.3"));
    };
    let member = find(base)?;
    let InputSpec::Tokens { vocabulary, .. } = config.input else {
        return fail(format!("it takes texts, not {}", config.input));
    };
    if member.spec.name != FAMILY {
        return fail(format!("{base} is no encoder of texts, as bert:2,128 is"));
    }
    let shape = Shape::of(config, &member.arguments)?;
    if !usize::is_multiple_of(teacher, shape.layers) {
        let student = shape.layers;
        return fail(format!(
            "{student} layers do not divide the {teacher} of the teacher; choose as many as do"
        ));
    }
    let mut params = Params::outline();
    let student = Bert::new(ParamBuilder::new(&mut params), &shape, vocabulary, config.head);
    let mut root = ParamBuilder::new(&mut params);
    let mut at = root.sub(ROOT);
    let teacher = (0..teacher).map(|i| Layer::new(at.sub(layer_name(i)), &shape)).collect();
    params.hold(|name| !name.starts_with("encoder.layer."));
    let stages = (0..shape.layers).map(layer_name).collect();
    let embedding = shape.head.tap().unwrap_or(super::module::POOLED).to_string();
    let module = Box::new(Theseus { student, teacher, first });
    Network::new(name, config, Built { params, module, stages, preactivations: Vec::new(), embedding })
}

/// The student alone, of a network that has a teacher's layers beside it; `None` for any other one.
///
/// # Errors
/// Those of building it.
pub(in crate::models) fn successor(network: &Network) -> Result<Option<Network>> {
    let Some((base, _)) = split(&network.name) else { return Ok(None) };
    let mut student = named(base, network.config(), None)?;
    for param in student.params.iter_mut() {
        let found = network.params.find(&param.name);
        let found = found.ok_or_else(|| Error::config("model", format!("{} is missing", param.name)))?;
        param.values.clone_from(&found.values);
    }
    Ok(Some(student))
}

struct Theseus {
    student: Bert,
    teacher: Vec<Layer>,
    first: f32,
}

impl Theseus {
    /// x (T, D) through the modules, each of them the student's layer or the teacher's layers.
    fn modules(&self, fx: &Forward<'_>, x: Tensor, ranges: &Tensor) -> Result<Tensor> {
        let layers = self.student.layers();
        let tape = fx.tape();
        let rise = tape.constant([1], &[1.0])?.scale_by(tape.scalar(RISE)?)?;
        let chance = rise.scale(1.0 - self.first)?.add_scalar(self.first)?;
        let replaced = fx.layer(REPLACED, || chance.chances(layers.len()))?;
        let parts = layers.chunks(1).zip(self.teacher.chunks(self.teacher.len() / layers.len()));
        parts.enumerate().try_fold(x, |x, (module, (own, theirs))| {
            let new = through(own, fx, x.clone(), ranges)?;
            let old = through(theirs, fx, x, ranges)?;
            fx.layer(&format!("{ROOT}.{module}"), || {
                let new_one = replaced.slice(0, module, 1)?.reshape([1, 1])?;
                let old_one = new_one.scale(-1.0)?.add_scalar(1.0)?;
                new.mul(&new_one)?.add(&old.mul(&old_one)?)
            })
        })
    }
}

impl Module for Theseus {
    fn forward(&self, fx: &Forward<'_>, x: &Values) -> Result<Outputs> {
        match fx.mode() {
            Mode::Train => self.student.pass(fx, x, |x, ranges| self.modules(fx, x, ranges)),
            Mode::Eval => self.student.forward(fx, x),
        }
    }

    fn layer_of(&self, param: &str) -> Option<&str> {
        self.student.layer_of(param)
    }

    fn tables(&self) -> Vec<(ParamId, &'static str)> {
        self.student.tables()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Head, build};

    #[test]
    fn what_it_can_t_be_is_said() {
        let input = InputSpec::Tokens { vocabulary: 30, longest: 8 };
        let config = ModelConfig { input, head: Head::Classes(2) };
        let fails = |name: &str| build(name, &config).err().expect("an error").to_string();
        for (name, expected) in [
            ("bert:2,8,2,16+theseus:", "expected layers and a chance"),
            ("bert:2,8,2,16+theseus:4,2", "expected layers and a chance"),
            ("bert:2,8,2,16+theseus:5,0.3", "2 layers do not divide the 5 of the teacher"),
            ("mlp:8+theseus:4,0.3", "is no encoder of texts"),
        ] {
            assert!(fails(name).contains(expected), "{name}: {}", fails(name));
        }
        let network = build(&name("bert:2,8,2,16", 4, 0.3), &config).unwrap();
        assert_eq!(network.name, "bert:2,8,2,16+theseus:4,0.3");
        // Two layers of 4 (8 * 8 + 8) + (8 * 16 + 16) + (16 * 8 + 8) + 4 * 8 numbers.
        assert_eq!(network.params.trainable_elements(), 2 * 600);
        let left = successor(&network).unwrap().unwrap();
        assert_eq!(left.name, "bert:2,8,2,16");
        assert!(successor(&left).unwrap().is_none());
    }
}
