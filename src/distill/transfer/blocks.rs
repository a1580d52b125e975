//! Which block of the teacher a block of the student takes, where they have different numbers of them.
//!
//! Blocks are what the names number: `layer1.0`, `layer1.1`, .. or `fc1`, `fc2`, ... Only those of one sequence and one
//! kind (the first tensor's name and rank) are matched with each other. Of n teacher blocks a student of k takes
//! round(i (n - 1) / (k - 1)): 0, 2, 4, 7, 9, 11 of 12, as DistilBERT does (Sanh et al. 1910.01108).

use super::{Layers, mismatch};
use crate::nn::{Param, Params};
use crate::{Error, Result};

/// Where a tensor of the student comes from.
pub(super) enum Origin<'a> {
    /// The teacher's tensor.
    Teacher(&'a Param),
    /// Nowhere: it is of a block that the teacher does not have.
    Inserted {
        /// The block's path, `layer1.3`.
        block: String,
    },
}

/// One block of a numbered sequence.
struct Block<'a> {
    number: usize,
    first: &'a Param,
    /// The first tensor's name within the block.
    rest: &'a str,
}

/// The origin of every tensor of `student`, in order.
pub(super) fn origins<'a>(student: &Params, teacher: &'a Params, layers: &Layers) -> Result<Vec<Origin<'a>>> {
    let origin = |param: &Param| {
        let name = match counterpart(&param.name, student, teacher, layers)? {
            Counterpart::Named(name) => name,
            Counterpart::Inserted(block) => return Ok(Origin::Inserted { block }),
        };
        let found = teacher.find(&name).ok_or_else(|| {
            mismatch(param, &format!("{name}, which the teacher does not have"), &layers.to_string())
        })?;
        Ok(Origin::Teacher(found))
    };
    student.iter().map(origin).collect()
}

enum Counterpart {
    /// The name in the teacher.
    Named(String),
    /// The block in the student.
    Inserted(String),
}

/// What the student's tensor `name` is in the teacher.
fn counterpart(name: &str, student: &Params, teacher: &Params, layers: &Layers) -> Result<Counterpart> {
    let (mut ours, mut theirs) = (String::new(), String::new());
    for part in name.split('.') {
        let stem = part.trim_end_matches(|c: char| c.is_ascii_digit());
        let separator = if ours.is_empty() { "" } else { "." };
        ours += &format!("{separator}{stem}");
        theirs += &format!("{separator}{stem}");
        if let Ok(number) = part[stem.len()..].parse() {
            match matched(number, &blocks(student, &ours), &blocks(teacher, &theirs), layers, &ours)? {
                None => return Ok(Counterpart::Inserted(format!("{ours}{number}"))),
                Some(found) => theirs += &found.to_string(),
            }
            ours += &number.to_string();
        }
    }
    Ok(Counterpart::Named(theirs))
}

/// The blocks whose names are `stem` and a number.
fn blocks<'a>(params: &'a Params, stem: &str) -> Vec<Block<'a>> {
    let mut all: Vec<Block<'_>> = Vec::new();
    for param in params.iter() {
        let Some(tail) = param.name.strip_prefix(stem) else { continue };
        let Some((number, rest)) = tail.split_once('.') else { continue };
        let Ok(number) = number.parse() else { continue };
        if all.iter().all(|b| b.number != number) {
            all.push(Block { number, first: param, rest });
        }
    }
    all
}

impl Block<'_> {
    fn is_like(&self, other: &Block<'_>) -> bool {
        self.rest == other.rest && self.first.shape.rank() == other.first.shape.rank()
    }

    /// Whether it can be an identity: as many channels out as in.
    fn is_square(&self) -> bool {
        let dims = self.first.shape.dims();
        dims.len() < 2 || dims[0] == dims[1]
    }
}

/// The number in the teacher of the student's block `number`.
fn matched(
    number: usize,
    ours: &[Block<'_>],
    theirs: &[Block<'_>],
    layers: &Layers,
    stem: &str,
) -> Result<Option<usize>> {
    if ours.len() == theirs.len() || *layers == Layers::Same {
        return Ok(Some(number));
    }
    if let Layers::Listed(listed) = layers {
        let place = ours.iter().position(|b| b.number == number).unwrap_or(0);
        let fits = listed.len() == ours.len();
        let found = listed.get(place).filter(|n| fits && theirs.iter().any(|t| t.number == **n));
        return found.map(|n| Some(*n)).ok_or_else(|| refuse(layers, stem, ours.len(), theirs));
    }
    let Some(kind) = ours.iter().find(|b| b.number == number) else { return Ok(Some(number)) };
    let ours: Vec<_> = ours.iter().filter(|b| b.is_like(kind)).collect();
    let alike: Vec<_> = theirs.iter().filter(|b| b.is_like(kind)).collect();
    let place = ours.iter().position(|b| b.number == number).unwrap_or(0);
    if *layers == Layers::Deeper {
        return Ok(deeper(&ours, &alike)[place].map(|t| alike[t].number));
    }
    if ours.len() > alike.len() {
        return Err(refuse(layers, stem, ours.len(), theirs));
    }
    Ok(Some(alike[evenly(place, ours.len(), alike.len())].number))
}

/// Place `i` of `k` among `n`, the first and the last included.
fn evenly(i: usize, k: usize, n: usize) -> usize {
    if k < 2 { 0 } else { (2 * i * (n - 1) + (k - 1)) / (2 * (k - 1)) }
}

/// For each block of the student the teacher's, in order. A block that widens or narrows takes one that does too.
fn deeper(ours: &[&Block<'_>], theirs: &[&Block<'_>]) -> Vec<Option<usize>> {
    let mut next = 0;
    ours.iter()
        .map(|block| {
            let fits = theirs.get(next).is_some_and(|t| t.is_square() == block.is_square());
            next += usize::from(fits);
            fits.then(|| next - 1)
        })
        .collect()
}

fn refuse(layers: &Layers, stem: &str, ours: usize, theirs: &[Block<'_>]) -> Error {
    let names: Vec<String> = theirs.iter().map(|b| format!("{stem}{}", b.number)).collect();
    let names = if names.is_empty() { "none".to_string() } else { names.join(", ") };
    let expected = match layers {
        Layers::Listed(_) => "as many of the teacher's blocks as the student has",
        _ => "no more than the teacher has (layers=deeper inserts others)",
    };
    let message =
        format!("{layers}: {stem}: expected {expected}; the student has {ours}, the teacher {names}");
    Error::config("layers", message)
}

#[cfg(test)]
mod tests {
    use super::evenly;

    /// The places that DistilBERT's authors list for 6 of 12 layers.
    #[test]
    fn as_distilbert() {
        let places: Vec<usize> = (0..6).map(|i| evenly(i, 6, 12)).collect();
        assert_eq!(places, [0, 2, 4, 7, 9, 11]);
        assert_eq!((evenly(0, 1, 9), evenly(2, 3, 9)), (0, 8));
    }
}
