//! A network whose outputs are those of other classes: a teacher of COCO's 80 for a student that knows three of them.

use std::sync::Arc;

use super::{Head, LOGITS, Module, Network, Outputs, Values};
use crate::nn::{Forward, ParamId};
use crate::ops::boxes::YoloHead;
use crate::report;
use crate::tape::Tensor;
use crate::{Error, Result};

/// `network`, whose classes are called `own`, giving the classes called `wanted` in their order, and no others: of a
/// classifier these logits, of a detector its maps with these scores, objectness as it was.
///
/// Names are the same where they differ in case only, or in `_` and `-` for spaces. The network is for teaching and measuring:
/// its weights are those of all classes, so it is not to be saved.
///
/// # Errors
/// [`Error::Config`] for wanted names that the network does not have or has twice, listing them, for lists of other lengths
/// than the network's classes, and for a network that predicts numbers.
///
/// ```
/// use limbeck::models::{Head, build, native_config, reclassed};
///
/// let name = "yolo-fastest:width=0.5,classes=4,size=64";
/// let teacher = build(name, &native_config(name)?.expect("a detector"))?;
/// let own = ["person", "bicycle", "car", "traffic light"].map(String::from);
/// let wanted = ["Traffic_Light", "person"].map(String::from);
/// assert_eq!(reclassed(teacher, &own, &wanted)?.head(), Head::Boxes(2));
/// # Ok::<(), limbeck::Error>(())
/// ```
pub fn reclassed(network: Network, own: &[String], wanted: &[String]) -> Result<Network> {
    let classes = match network.head() {
        Head::Classes(n) | Head::Boxes(n) => n,
        Head::Numbers(_) | Head::Tokens(_) => {
            return Err(Error::config(
                "classes",
                format!("{} predicts {} and no classes", network.name, network.head().noun()),
            ));
        }
    };
    if own.len() != classes || wanted.is_empty() {
        let message = format!(
            "expected the names of the {classes} classes of {}, and some that are wanted; got {} and {}",
            network.name,
            own.len(),
            wanted.len()
        );
        return Err(Error::config("classes", message));
    }
    let places = places(&network.name, own, wanted)?;
    if places.iter().copied().eq(0..classes) {
        return Ok(network);
    }
    let head = match network.head() {
        Head::Boxes(_) => Head::Boxes(wanted.len()),
        _ => Head::Classes(wanted.len()),
    };
    let config = super::ModelConfig { head, ..network.config };
    let name = format!("{}+classes:{}", network.name, wanted.len());
    let module = Box::new(Reclassed { base: network.module, runs: runs(&places), classes: wanted.len() });
    Ok(Network { name, config, module, description: None, ..network })
}

/// The tap of an output that gives the chosen classes.
pub(crate) fn chosen_tap(output: &str) -> String {
    format!("{output}.classes")
}

/// Where each wanted class is among the network's own.
fn places(network: &str, own: &[String], wanted: &[String]) -> Result<Vec<usize>> {
    let found = report::places(wanted, own);
    let missing: Vec<&str> = wanted
        .iter()
        .zip(&found)
        .filter(|(_, place)| place.is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    if !missing.is_empty() {
        let message = format!(
            "{network} does not have the classes {}, or has them twice; its own are {}",
            listed(&missing),
            listed(&own.iter().map(String::as_str).collect::<Vec<_>>())
        );
        return Err(Error::config("classes", message));
    }
    Ok(found.into_iter().flatten().collect())
}

/// The first of many names.
fn listed(names: &[&str]) -> String {
    let first: Vec<String> =
        names.iter().take(100).map(|name| format!("\"{}\"", name.escape_debug())).collect();
    let more = if names.len() > 100 { format!(" and {} more", names.len() - 100) } else { String::new() };
    first.join(", ") + &more
}

/// Neighbours together: first place and how many.
fn runs(places: &[usize]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &place in places {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == place => *count += 1,
            _ => runs.push((place, 1)),
        }
    }
    runs
}

struct Reclassed {
    base: Box<dyn Module>,
    runs: Vec<(usize, usize)>,
    classes: usize,
}

impl Reclassed {
    /// The chosen classes on `axis`, on which what is `kept` comes before them all.
    fn chosen(&self, x: &Tensor, axis: usize, kept: usize) -> Result<Tensor> {
        let mut parts = Vec::new();
        if kept > 0 {
            parts.push(x.slice(axis, 0, kept)?);
        }
        for &(first, count) in &self.runs {
            parts.push(x.slice(axis, kept + first, count)?);
        }
        match &parts[..] {
            [one] => Ok(one.clone()),
            several => Tensor::concat(&several.iter().collect::<Vec<_>>(), axis),
        }
    }

    /// A head's map (N, A (5 + C), H, W).
    fn map(&self, map: &Tensor, head: &YoloHead) -> Result<Tensor> {
        let &[n, channels, h, w] = map.dims() else {
            return Err(Error::shape("classes of boxes", "(N, A (5 + C), H, W)", map.shape().to_string()));
        };
        let (anchors, each) = (head.anchors.len(), 5 + head.classes);
        if channels != anchors * each {
            let expected = format!("(N, {}, H, W)", anchors * each);
            return Err(Error::shape("classes of boxes", expected, map.shape().to_string()));
        }
        let chosen = self.chosen(&map.reshape([n * anchors, each, h, w])?, 1, 5)?;
        chosen.reshape([n, anchors * (5 + self.classes), h, w])
    }
}

impl Module for Reclassed {
    fn forward(&self, fx: &Forward<'_>, x: &Values) -> Result<Outputs> {
        let given = self.base.forward(fx, x)?;
        let mut outputs = Outputs::default();
        for (name, output) in given.iter() {
            outputs = match given.head_of(name) {
                Some(head) => {
                    let map = fx.layer(&chosen_tap(name), || self.map(output, head))?;
                    let head = YoloHead { classes: self.classes, ..YoloHead::clone(head) };
                    outputs.with_boxes(name, map, Arc::new(head))
                }
                None if name == LOGITS => {
                    let logits = fx.layer(&chosen_tap(LOGITS), || self.chosen(output, 1, 0))?;
                    outputs.with(name, logits)
                }
                None => outputs.with(name, output.clone()),
            };
        }
        Ok(outputs)
    }

    fn layer_of(&self, param: &str) -> Option<&str> {
        self.base.layer_of(param)
    }

    fn tables(&self) -> Vec<(ParamId, &'static str)> {
        self.base.tables()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{ModelConfig, build};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn names_find_their_places() {
        let own = names(&["person", "traffic light", "Car", "car"]);
        let places = |wanted: &[&str]| places("net", &own, &names(wanted));
        assert_eq!(places(&["car", "Car", "Traffic_light", " person"]).unwrap(), [3, 2, 1, 0]);
        let message = places(&["CAR", "dog", "person"]).unwrap_err().to_string();
        assert!(message.contains("net does not have the classes \"CAR\", \"dog\","), "{message}");
        assert!(message.contains("its own are \"person\", \"traffic light\""), "{message}");
        assert_eq!(runs(&[3, 4, 5, 1, 0, 7]), [(3, 3), (1, 1), (0, 1), (7, 1)]);
    }

    #[test]
    fn what_can_t_be_mapped_is_said() {
        let config = ModelConfig::classifier([1, 4, 4], 3);
        let network = || build("mlp:4", &config).unwrap();
        let fails = |own: &[&str], wanted: &[&str]| {
            reclassed(network(), &names(own), &names(wanted)).err().expect("an error").to_string()
        };
        assert!(fails(&["a", "b"], &["a"]).contains("the 3 classes of mlp:4"));
        assert!(fails(&["a", "b", "c"], &[]).contains("got 3 and 0"));
        assert!(fails(&["a", "b", "b"], &["b"]).contains("twice"));
        let same = reclassed(network(), &names(&["a", "b", "c"]), &names(&["A", "b", "c"])).unwrap();
        assert_eq!(same.name, "mlp:4");
        let other = reclassed(network(), &names(&["a", "b", "c"]), &names(&["c"])).unwrap();
        assert_eq!((other.name.as_str(), other.head()), ("mlp:4+classes:1", Head::Classes(1)));
        // What can't be built again is not opened as something else.
        assert!(build(&other.name, other.config()).is_err());
        let numbers = ModelConfig { head: Head::Numbers(2), ..config };
        let numbers = build("mlp:4", &numbers).unwrap();
        assert!(
            reclassed(numbers, &names(&["a", "b"]), &names(&["a"]))
                .err()
                .unwrap()
                .to_string()
                .contains("numbers")
        );
    }
}
