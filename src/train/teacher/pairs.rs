//! Which taps of two networks go together where the user names none.
//!
//! A classifier's stages are paired from the deepest backward. A detector's are what its heads read, one for each, in any
//! order: those go together whose maps have one size, from the largest to the smallest, and a stage without its like is left
//! out. Where no two have one size, as of networks that were cut otherwise, they are paired from the smallest map backward.

use crate::distill::{TapNeed, TeacherPass};
use crate::models::{Head, Network};
use crate::nn::Forward;
use crate::tape::Tensor;

type Pairs = Vec<(String, String)>;

/// The taps that a network offers to a method that needs `need`.
pub(super) fn offered(network: &Network, need: TapNeed) -> Vec<String> {
    match need {
        TapNeed::None => Vec::new(),
        TapNeed::Last | TapNeed::Middle | TapNeed::Stages | TapNeed::StagesButLast => network.stages.clone(),
        TapNeed::Layers | TapNeed::LayersButLast => network.stages.clone(),
        TapNeed::PreActivations => network.preactivations.clone(),
        TapNeed::Embedding | TapNeed::Vectors => vec![network.embedding.clone()],
        // A detector has no classifier whose input would be a level of its own.
        TapNeed::Review if matches!(network.head(), Head::Boxes(_)) => network.preactivations.clone(),
        TapNeed::Review => [&network.preactivations[..], std::slice::from_ref(&network.embedding)].concat(),
    }
}

/// The pairs (teacher's, student's) for a method that needs `need`, in order.
pub(super) fn pairs(
    need: TapNeed,
    (hints, teacher): (&[String], &TeacherPass<'_>),
    (network, student): (&Network, &Forward<'_>),
) -> Pairs {
    let guided = offered(network, need);
    if need == TapNeed::Vectors && matches!(network.head(), Head::Numbers(_)) {
        return Pairs::new();
    }
    let heads = matches!(network.head(), Head::Boxes(_));
    let sizes = |names: &[String], tensor: &dyn Fn(&str) -> Option<Tensor>| {
        names.iter().map(|name| Some((name.clone(), size(&tensor(name)?)?))).collect::<Option<Vec<_>>>()
    };
    let theirs = sizes(hints, &|name| teacher.tap(name).ok());
    let ours = sizes(&guided, &|name| student.tap(name).ok());
    let pairs = match theirs.zip(ours).filter(|_| heads) {
        Some((theirs, ours)) => by_size(theirs, ours),
        None => from_the_deepest(hints, &guided),
    };
    match need {
        // Every head of a detector has a last stage.
        TapNeed::Last if !heads => pairs.into_iter().last().into_iter().collect(),
        TapNeed::Middle => {
            let middle = pairs.len().saturating_sub(1) / 2;
            pairs.into_iter().nth(middle).into_iter().collect()
        }
        TapNeed::Layers => as_far_along(hints, &guided),
        TapNeed::LayersButLast => but_last(as_far_along(hints, &guided)),
        TapNeed::StagesButLast => but_last(pairs),
        _ => pairs,
    }
}

/// Every tap of the student with that of the teacher which is as far along.
fn as_far_along(teacher: &[String], student: &[String]) -> Pairs {
    let hint = |i: usize| teacher.get((((i + 1) * teacher.len()) / student.len()).max(1) - 1);
    let pairs = student.iter().enumerate();
    pairs.filter_map(|(i, guided)| Some((hint(i)?.clone(), guided.clone()))).collect()
}

fn but_last(mut pairs: Pairs) -> Pairs {
    pairs.pop();
    pairs
}

/// Height and width of a map.
fn size(tensor: &Tensor) -> Option<[usize; 2]> {
    match *tensor.dims() {
        [_, _, h, w] => Some([h, w]),
        _ => None,
    }
}

/// The taps of both networks, paired from the deepest backward, in the networks' order.
fn from_the_deepest(teacher: &[String], student: &[String]) -> Pairs {
    let pairs = teacher.iter().rev().cloned().zip(student.iter().rev().cloned());
    let mut pairs: Pairs = pairs.collect();
    pairs.reverse();
    pairs
}

type Sized = Vec<(String, [usize; 2])>;

/// Taps of one size, from the largest map to the smallest; where there are none, from the smallest backward.
fn by_size(mut teacher: Sized, mut student: Sized) -> Pairs {
    let sort = |taps: &mut Sized| taps.sort_by_key(|(_, [h, w])| std::cmp::Reverse(h * w));
    sort(&mut teacher);
    sort(&mut student);
    let mut free: Vec<Option<&(String, [usize; 2])>> = teacher.iter().map(Some).collect();
    let mut pairs = Pairs::new();
    for (guided, size) in &student {
        let like = free.iter_mut().find(|hint| hint.is_some_and(|(_, other)| other == size));
        pairs.extend(like.and_then(Option::take).map(|(hint, _)| (hint.clone(), guided.clone())));
    }
    if !pairs.is_empty() {
        return pairs;
    }
    let names = |taps: Sized| taps.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    from_the_deepest(&names(teacher), &names(student))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taps(all: &[(&str, usize)]) -> Sized {
        all.iter().map(|(name, side)| (name.to_string(), [*side; 2])).collect()
    }

    fn owned(all: &[(&str, &str)]) -> Pairs {
        all.iter().map(|(hint, guided)| (hint.to_string(), guided.to_string())).collect()
    }

    /// yolov4 has heads of stride 8, 16 and 32, yolov4-tiny of 32 and 16.
    #[test]
    fn stages_of_heads_go_together_by_size() {
        let teacher = taps(&[("t8", 20), ("t16", 10), ("t32", 5)]);
        let student = taps(&[("s32", 5), ("s16", 10)]);
        assert_eq!(by_size(teacher.clone(), student), owned(&[("t16", "s16"), ("t32", "s32")]));
        // Two of one size are taken in order, each once.
        let twice = taps(&[("a", 10), ("b", 10), ("c", 10)]);
        assert_eq!(by_size(taps(&[("t", 10), ("u", 10)]), twice), owned(&[("t", "a"), ("u", "b")]));
        // No size in common: the smallest go together.
        let other = taps(&[("s32", 6), ("s16", 12)]);
        assert_eq!(by_size(teacher, other), owned(&[("t16", "s16"), ("t32", "s32")]));
    }

    #[test]
    fn stages_of_classifiers_are_paired_from_the_deepest() {
        let names = |all: &[&str]| all.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        let pairs = from_the_deepest(&names(&["a", "b", "c"]), &names(&["x", "y"]));
        assert_eq!(pairs, owned(&[("b", "x"), ("c", "y")]));
    }

    /// 12 layers to 4 is every third; a teacher of fewer layers than the student teaches several by one.
    #[test]
    fn layers_go_with_those_as_far_along() {
        let names = |side: &str, n: usize| (0..n).map(|i| format!("{side}{i}")).collect::<Vec<_>>();
        let pairs = |t, s| as_far_along(&names("t", t), &names("s", s));
        assert_eq!(pairs(12, 4), owned(&[("t2", "s0"), ("t5", "s1"), ("t8", "s2"), ("t11", "s3")]));
        assert_eq!(pairs(6, 4), owned(&[("t0", "s0"), ("t2", "s1"), ("t3", "s2"), ("t5", "s3")]));
        assert_eq!(pairs(2, 3), owned(&[("t0", "s0"), ("t0", "s1"), ("t1", "s2")]));
        assert_eq!(pairs(0, 2), Pairs::new());
        assert_eq!(but_last(pairs(6, 2)), owned(&[("t2", "s0")]));
        assert_eq!(
            but_last(from_the_deepest(&names("t", 6), &names("s", 3))),
            owned(&[("t3", "s0"), ("t4", "s1")])
        );
    }
}
