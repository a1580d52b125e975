//! What an encoder takes of a larger one, before it learns.
//!
//! - **Fewer positions**: the first ones.
//! - **Fewer layers**: the first ones, or those that are chosen.
//! - **Narrower**: the words' vectors as their principal components, not scaled: what two words have in common survives. All else that
//!   is of another width starts anew.

use super::folder::{POSITIONS, TABLE};
use super::keep::{layer_of, source};
use super::words::HEAD;
use crate::algebra::components::{Components, mean};
use crate::files::NamedTensor;
use crate::nn::Params;
use crate::{Error, Result};

/// A file's tensors as an encoder of these parameters can take them; `keep` are the file's layers that are its own, in this order.
///
/// # Errors
/// [`Error::Config`] for another number of layers than it has, and for one that the file does not have.
pub(super) fn fitted(
    params: &Params,
    mut tensors: Vec<NamedTensor>,
    keep: Option<&[usize]>,
) -> Result<Vec<NamedTensor>> {
    if params.iter().all(|param| !param.name.starts_with(HEAD)) {
        tensors.retain(|tensor| !tensor.name.starts_with(HEAD));
    }
    let shape = |name: &str| params.find(name).map(|param| param.shape.dims());
    for tensor in &mut tensors {
        let (Some(&[rows, width]), &[there, wide]) = (shape(&tensor.name), &tensor.shape[..]) else {
            continue;
        };
        match tensor.name.as_str() {
            POSITIONS if rows < there => {
                tensor.data.truncate(rows * wide);
                tensor.shape[0] = rows;
            }
            TABLE if rows == there && width < wide => {
                let components = Components::of(&tensor.data, mean(wide, &tensor.data), 0, width);
                tensor.data = components.project(&tensor.data, &vec![1.0; width]);
                tensor.shape[1] = width;
            }
            _ => {}
        }
    }
    match keep {
        None => Ok(tensors),
        Some(keep) => chosen(params, tensors, keep),
    }
}

/// The tensors of some layers under the names of an encoder that has only these; all others as they are.
fn chosen(params: &Params, tensors: Vec<NamedTensor>, keep: &[usize]) -> Result<Vec<NamedTensor>> {
    let layers = params.iter().filter_map(|param| layer_of(&param.name)).max().map_or(0, |last| last + 1);
    let fail = |message: String| Err(Error::config("layers", message));
    if keep.len() != layers {
        return fail(format!("expected as many as the {layers} of the student, got {keep:?}"));
    }
    let there = tensors.iter().filter_map(|tensor| layer_of(&tensor.name)).max().map_or(0, |last| last + 1);
    if let Some(layer) = keep.iter().find(|layer| **layer >= there) {
        return fail(format!("expected some of the {there} layers of the file, from 0, got {layer}"));
    }
    let mut taken: Vec<NamedTensor> = Vec::new();
    for param in params.iter() {
        let source = source(&param.name, keep);
        let found = tensors.iter().find(|tensor| tensor.name == source);
        taken.extend(found.map(|tensor| NamedTensor { name: param.name.clone(), ..tensor.clone() }));
    }
    let others = tensors.into_iter().filter(|tensor| layer_of(&tensor.name).is_none());
    let known: Vec<String> = taken.iter().map(|tensor| tensor.name.clone()).collect();
    taken.extend(others.filter(|tensor| !known.contains(&tensor.name)));
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Head, InputSpec, ModelConfig, Network, build};
    use crate::rng::Stream;

    const VOCABULARY: usize = 40;

    fn encoder(name: &str, width: usize, longest: usize) -> Network {
        let input = InputSpec::Tokens { vocabulary: VOCABULARY, longest };
        build(name, &ModelConfig { input, head: Head::Numbers(width) }).unwrap()
    }

    fn tensors(network: &Network) -> Vec<NamedTensor> {
        let named = |param: &crate::nn::Param| NamedTensor {
            name: param.name.clone(),
            shape: param.shape.dims().to_vec(),
            data: param.values.clone(),
        };
        network.params.iter().map(named).collect()
    }

    fn distance(table: &[f32], width: usize, a: usize, b: usize) -> f64 {
        let row = |n: usize| &table[n * width..][..width];
        row(a).iter().zip(row(b)).map(|(a, b)| f64::from(a - b).powi(2)).sum()
    }

    /// Words that lie in a space of four numbers keep all their distances in four.
    #[test]
    fn narrower_words_are_their_components() {
        let mut teacher = encoder("bert:1,8,2,16", 8, 6);
        let mut stream = Stream::new(5, "words");
        let inner: Vec<f64> = (0..VOCABULARY * 4).map(|_| stream.normal()).collect();
        let map: Vec<f64> = (0..4 * 8).map(|_| stream.normal()).collect();
        let words: Vec<f32> = (0..VOCABULARY * 8)
            .map(|i| (0..4).map(|k| inner[i / 8 * 4 + k] * map[k * 8 + i % 8]).sum::<f64>() as f32 + 3.0)
            .collect();
        teacher.params.iter_mut().find(|param| param.name == TABLE).unwrap().values = words.clone();
        let mut student = encoder("bert:1,4,2,16", 4, 5);
        let first =
            student.params.find("encoder.layer.0.attention.self.query.weight").unwrap().values.clone();
        let started = student.start_from(tensors(&teacher), None, "the teacher").unwrap();
        let narrow = &student.params.find(TABLE).unwrap().values;
        for (a, b) in [(0, 1), (3, 39), (12, 20)] {
            let (wide, narrow) = (distance(&words, 8, a, b), distance(narrow, 4, a, b));
            assert!((wide - narrow).abs() < 1e-4 * wide, "{wide} {narrow}");
        }
        // The words, and what has as many numbers whatever the width: biases of the inside.
        assert_eq!(started.taken, 2, "{started:?}");
        assert_eq!(student.params.find("encoder.layer.0.attention.self.query.weight").unwrap().values, first);
    }

    #[test]
    fn layers_are_chosen_and_positions_cut() {
        let teacher = encoder("bert:4,8,2,16", 8, 6);
        let mut student = encoder("bert:2,8,2,16", 8, 5);
        let started = student.start_from(tensors(&teacher), Some(&[3, 1]), "the teacher").unwrap();
        assert_eq!(started.summary(), None);
        let values = |network: &Network, name: &str| network.params.find(name).unwrap().values.clone();
        for (own, theirs) in [(0, 3), (1, 1)] {
            for rest in ["attention.self.query.weight", "output.dense.weight"] {
                let [own, theirs] = [own, theirs].map(|layer| format!("encoder.layer.{layer}.{rest}"));
                assert_eq!(values(&student, &own), values(&teacher, &theirs), "{own}");
            }
        }
        assert_eq!(values(&student, POSITIONS), values(&teacher, POSITIONS)[..5 * 8]);
        let mut first = encoder("bert:2,8,2,16", 8, 6);
        first.start_from(tensors(&teacher), None, "the teacher").unwrap();
        let last = "encoder.layer.1.output.dense.weight";
        assert_eq!(values(&first, last), values(&teacher, last));
    }

    #[test]
    fn layers_that_are_not_there_are_said() {
        let teacher = encoder("bert:4,8,2,16", 8, 6);
        let mut student = encoder("bert:2,8,2,16", 8, 6);
        let before = tensors(&student);
        let mut fails = |layers: &[usize]| {
            student.start_from(tensors(&teacher), Some(layers), "the teacher").unwrap_err().to_string()
        };
        assert!(fails(&[1]).contains("as many as the 2 of the student"));
        assert!(fails(&[0, 4]).contains("the 4 layers of the file, from 0, got 4"));
        let same = tensors(&student).iter().zip(&before).all(|(a, b)| a.data == b.data);
        assert!(same);
        let mut cnn = build("cnn:2", &ModelConfig::classifier([1, 8, 8], 2)).unwrap();
        let own = tensors(&cnn);
        let message = cnn.start_from(own, Some(&[0]), "a file").unwrap_err().to_string();
        assert!(message.contains("only encoders of texts"), "{message}");
    }
}
