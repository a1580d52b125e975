//! Which heads of two detectors see the same cells, and which of their anchors are alike.
//!
//! Heads go together by stride, not by their place: yolov4 has 8, 16, 32 and yolov4-tiny 32, 16. Within a cell each anchor of
//! the student has the teacher's anchor whose shape overlaps it best, the first one of equals; several may have the same one.
//! A row of the student's head then stands beside a row of the teacher's that was trained for the same place and a like shape.

use crate::models::Outputs;
use crate::ops::boxes::{YoloHead, nearest_shape};
use crate::tape::Tensor;
use crate::{Error, Result};

/// Two heads that see the same cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadPair {
    /// The head's place among the student's.
    pub student: usize,
    /// The head's place among the teacher's.
    pub teacher: usize,
    /// For each anchor of the student's head the place of the teacher's anchor of the best shape.
    pub anchors: Vec<usize>,
}

/// What of a teacher's heads teaches what of a student's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// Heads of one stride, in the student's order; at least one.
    pub pairs: Vec<HeadPair>,
    /// In words, heads of either network without one of their stride in the other.
    pub unmatched: Vec<String>,
}

/// Pairs the heads of two detectors' outputs by stride, and to each anchor of the student gives the teacher's anchor whose shape
/// overlaps it best.
///
/// # Errors
/// [`Error::Config`] for outputs off which no boxes are read, other numbers of classes, heads of one stride with other
/// numbers of cells, and where no stride is common.
pub fn pairing(student: &Outputs, teacher: &Outputs) -> Result<Pairing> {
    let (ours, theirs) = (heads("student", student)?, heads("teacher", teacher)?);
    same_classes(&ours, &theirs)?;
    let (mut pairs, mut unmatched) = (Vec::new(), Vec::new());
    for (place, (map, head)) in ours.iter().enumerate() {
        let free = |at: usize| pairs.iter().all(|pair: &HeadPair| pair.teacher != at);
        let mut of_stride =
            theirs.iter().enumerate().filter(|(at, (_, other))| other.stride == head.stride && free(*at));
        let Some((at, (their_map, other))) = of_stride.next() else {
            let stride = stride(head);
            unmatched.push(format!(
                "the student's head of stride {stride} learns nothing from the teacher, which has no other of that stride"
            ));
            continue;
        };
        same_cells(head, map, their_map)?;
        let [own, shapes] = [head, other].map(|head| exact(&head.anchors));
        let anchors = own.iter().map(|shape| nearest_shape(*shape, &shapes).0).collect();
        pairs.push(HeadPair { student: place, teacher: at, anchors });
    }
    for (at, (_, head)) in theirs.iter().enumerate() {
        if pairs.iter().all(|pair| pair.teacher != at) {
            let stride = stride(head);
            unmatched.push(format!(
                "the teacher's head of stride {stride} teaches nothing: the student has no other of that stride"
            ));
        }
    }
    if pairs.is_empty() {
        let message = format!(
            "the student's heads have the strides {}, the teacher's {}, and none is common; `pseudo` teaches by the \
             teacher's boxes, whatever the strides",
            strides(&ours),
            strides(&theirs)
        );
        return Err(Error::config("match", message));
    }
    Ok(Pairing { pairs, unmatched })
}

type Heads<'a> = Vec<(&'a Tensor, &'a YoloHead)>;

/// The maps with their heads; there must be one.
pub(in crate::distill) fn heads<'a>(owner: &str, outputs: &'a Outputs) -> Result<Heads<'a>> {
    let all: Heads<'a> = outputs.boxes().map(|(map, head)| (map, &**head)).collect();
    if !all.is_empty() {
        return Ok(all);
    }
    let names: Vec<&str> = outputs.iter().map(|(name, _)| name).collect();
    let there = if names.is_empty() { "nothing".to_string() } else { names.join(", ") };
    let disk =
        if owner == "teacher" { "; outputs on disk have no heads, give the teacher itself" } else { "" };
    let message = format!(
        "this method reads boxes off both networks' maps, and the {owner} gives none; its outputs are {there}{disk}"
    );
    Err(Error::config("method", message))
}

/// Fails for heads that tell other numbers of classes apart.
pub(in crate::distill) fn same_classes(ours: &Heads<'_>, theirs: &Heads<'_>) -> Result<()> {
    let all = ours.iter().flat_map(|(_, head)| theirs.iter().map(|(_, other)| (head.classes, other.classes)));
    match all.into_iter().find(|(ours, theirs)| ours != theirs) {
        None => Ok(()),
        Some((ours, theirs)) => {
            let message = format!(
                "the student tells {ours} classes apart and the teacher {theirs}; they are compared one by one, so both \
                 need the same ones in the same order"
            );
            Err(Error::config("method", message))
        }
    }
}

fn same_cells(head: &YoloHead, ours: &Tensor, theirs: &Tensor) -> Result<()> {
    let cells = |map: &Tensor| map.dims().get(2..).map(<[usize]>::to_vec);
    if cells(ours) == cells(theirs) {
        return Ok(());
    }
    let message = format!(
        "the heads of stride {} have the maps {} and {} (student, teacher): they read inputs of other sizes; give both \
         networks the same",
        stride(head),
        ours.shape(),
        theirs.shape()
    );
    Err(Error::config("match", message))
}

fn exact(anchors: &[[f32; 2]]) -> Vec<[f64; 2]> {
    anchors.iter().map(|sides| sides.map(f64::from)).collect()
}

fn strides(heads: &Heads<'_>) -> String {
    heads.iter().map(|(_, head)| stride(head)).collect::<Vec<_>>().join(", ")
}

fn stride(head: &YoloHead) -> String {
    match head.stride {
        [rows, columns] if rows == columns => rows.to_string(),
        [rows, columns] => format!("{rows}x{columns}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tape::Tape;

    /// Heads of these strides for an input of 96 pixels, each with these anchors.
    fn outputs(tape: &Tape, heads: &[(usize, &[[f32; 2]])], classes: usize, input: usize) -> Outputs {
        let mut outputs = Outputs::default();
        for (index, (stride, anchors)) in heads.iter().enumerate() {
            let head = YoloHead {
                anchors: anchors.to_vec(),
                all_anchors: anchors.to_vec(),
                mask: (0..anchors.len()).collect(),
                classes,
                stride: [*stride; 2],
                scale_x_y: 1.0,
                squared_sides: false,
                ignore_threshold: 0.5,
                assign_threshold: 1.0,
            };
            let cells = input / stride;
            let map = tape.input("map", [1, head.channels(), cells, cells]);
            outputs = outputs.with_boxes(format!("head{index}"), map, Arc::new(head));
        }
        outputs
    }

    const SMALL: &[[f32; 2]] = &[[10.0, 14.0], [23.0, 27.0]];
    const LARGE: &[[f32; 2]] = &[[12.0, 16.0], [19.0, 36.0], [40.0, 28.0]];

    #[test]
    fn heads_go_together_by_stride_and_anchors_by_shape() {
        let tape = Tape::new();
        let student = outputs(&tape, &[(32, LARGE), (16, SMALL)], 3, 96);
        let teacher = outputs(&tape, &[(8, SMALL), (16, LARGE), (32, LARGE)], 3, 96);
        let found = pairing(&student, &teacher).unwrap();
        // 10x14 overlaps 12x16 by 140/192; 23x27 overlaps 19x36 by 513/792 and 40x28 by 621/1120.
        let pairs = vec![
            HeadPair { student: 0, teacher: 2, anchors: vec![0, 1, 2] },
            HeadPair { student: 1, teacher: 1, anchors: vec![0, 1] },
        ];
        assert_eq!(found.pairs, pairs);
        assert_eq!(found.unmatched.len(), 1);
        assert!(found.unmatched[0].contains("stride 8 teaches nothing"), "{:?}", found.unmatched);
        let found = pairing(&teacher, &student).unwrap();
        assert_eq!(found.pairs[0], HeadPair { student: 1, teacher: 1, anchors: vec![0, 1, 1] });
        assert!(found.unmatched[0].contains("stride 8 learns nothing"), "{:?}", found.unmatched);
    }

    #[test]
    fn what_cannot_be_paired_is_said() {
        let tape = Tape::new();
        let student = outputs(&tape, &[(32, LARGE), (16, SMALL)], 3, 96);
        let refused = [
            (outputs(&tape, &[(16, LARGE)], 80, 96), "3 classes apart and the teacher 80"),
            (outputs(&tape, &[(8, LARGE), (64, SMALL)], 3, 192), "strides 32, 16, the teacher's 8, 64"),
            (outputs(&tape, &[(16, LARGE)], 3, 64), "inputs of other sizes"),
            (
                Outputs::one("logits", tape.input("logits", [1, 3])),
                "teacher gives none; its outputs are logits",
            ),
        ];
        for (teacher, part) in refused {
            let message = pairing(&student, &teacher).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
