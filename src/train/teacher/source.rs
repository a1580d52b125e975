//! Who teaches: a frozen network, or what one wrote to disk before.

use super::pairs::{offered, pairs};
use super::stored::{StoredTeacher, stored_leaves};
use crate::Result;
use crate::distill::{Objective, TapNeed, TeacherPass, Term};
use crate::models::{Network, Outputs, Values};
use crate::nn::{DeviceParams, Forward, Mode, Params, Precision};
use crate::tape::Tape;
use crate::tasks::Leaves;

/// A frozen teacher, and what is learned from it.
pub struct Teacher<'a> {
    /// The architecture, with its weights on the host.
    pub network: &'a Network,
    /// Its weights on the device.
    pub params: &'a DeviceParams,
    /// The methods, and the weight of the task's own loss beside them, which counts in place of the config's.
    pub objective: Objective,
    /// (hint, guided) taps: the teacher's layer, the student's layer. Empty for those that each method uses by default.
    pub taps: Vec<(String, String)>,
}

impl<'a> Teacher<'a> {
    /// A teacher whose `params` are `network`'s weights on the device, with the taps that each method uses by default.
    pub fn new(network: &'a Network, params: &'a DeviceParams, objective: Objective) -> Self {
        Self { network, params, objective, taps: Vec::new() }
    }

    /// The teacher with these tap pairs for every method.
    pub fn with_taps(self, taps: Vec<(String, String)>) -> Self {
        Self { taps, ..self }
    }
}

/// Who teaches: a network in the step, or what one wrote to disk before.
pub enum TeacherSource<'a> {
    /// A frozen network.
    Live(Teacher<'a>),
    /// Its outputs.
    Stored(StoredTeacher<'a>),
}

impl<'a> From<Teacher<'a>> for TeacherSource<'a> {
    fn from(teacher: Teacher<'a>) -> Self {
        Self::Live(teacher)
    }
}

impl<'a> From<StoredTeacher<'a>> for TeacherSource<'a> {
    fn from(teacher: StoredTeacher<'a>) -> Self {
        Self::Stored(teacher)
    }
}

impl<'a> TeacherSource<'a> {
    /// What is learned.
    pub fn objective(&self) -> &Objective {
        match self {
            Self::Live(teacher) => &teacher.objective,
            Self::Stored(teacher) => &teacher.objective,
        }
    }

    /// The methods.
    pub fn terms(&self) -> &[Term] {
        &self.objective().terms
    }

    /// The tap pairs that the user named.
    pub fn taps(&self) -> &[(String, String)] {
        match self {
            Self::Live(teacher) => &teacher.taps,
            Self::Stored(teacher) => &teacher.taps,
        }
    }

    /// The teacher on the host, where it is there.
    pub(in crate::train) fn network(&self) -> Option<&'a Network> {
        match self {
            Self::Live(teacher) => Some(teacher.network),
            Self::Stored(teacher) => teacher.network,
        }
    }

    /// The teacher's weights on the host, where they are there.
    pub fn params(&self) -> Option<&'a Params> {
        self.network().map(|network| &network.params)
    }

    /// The teacher's side of a batch, and its outputs.
    pub(in crate::train) fn pass(&self, batch: &Shared<'_>) -> Result<(TeacherPass<'a>, Outputs)> {
        let recorded = self.record(batch, Mode::Eval, Precision::F32)?;
        Ok((recorded.pass, recorded.outputs))
    }

    /// The tap pairs of a method that needs `need`, with both networks' passes recorded.
    pub(in crate::train) fn taps_for(
        &self,
        need: TapNeed,
        pass: &TeacherPass<'_>,
        student: (&Network, &Forward<'_>),
    ) -> Vec<(String, String)> {
        if !self.taps().is_empty() {
            return self.taps().to_vec();
        }
        if need == TapNeed::None {
            return Vec::new();
        }
        let hints = match self {
            Self::Live(teacher) => offered(teacher.network, need),
            Self::Stored(teacher) => teacher.outputs.info().taps.clone(),
        };
        pairs(need, (&hints, pass), student)
    }

    /// Records the teacher's side of a step. Outputs on disk are of no mode.
    pub(super) fn record(
        &self,
        batch: &Shared<'_>,
        mode: Mode,
        precision: Precision,
    ) -> Result<RecordedTeacher<'a>> {
        match self {
            Self::Live(teacher) => {
                let fx = Forward::new(batch.tape, teacher.params, mode, false).storing(precision);
                let outputs = teacher.network.forward(&fx, batch.inputs)?;
                let pass = TeacherPass::Live { forward: fx, params: &teacher.network.params };
                Ok(RecordedTeacher { pass, outputs })
            }
            Self::Stored(teacher) => {
                let (outputs, taps) = stored_leaves(&teacher.outputs, batch.leaves, batch.output)?;
                Ok(RecordedTeacher { pass: TeacherPass::Stored { taps, unrun: None }, outputs })
            }
        }
    }
}

/// What teacher and student read alike.
pub(in crate::train) struct Shared<'a> {
    pub tape: &'a Tape,
    pub inputs: &'a Values,
    pub leaves: &'a Leaves,
    /// The name of the student's output.
    pub output: &'a str,
}

/// A teacher's side of a batch, recorded.
pub(super) struct RecordedTeacher<'a> {
    pub pass: TeacherPass<'a>,
    pub outputs: Outputs,
}
