//! How boxes are read off a map of a YOLO network.

/// A head of a YOLO network (Redmon and Farhadi 1804.02767, Bochkovskiy et al. 2004.10934). The layer before it gives
/// (N, A (5 + C), H, W): for each of the A anchors x, y, w, h, objectness and a score for each class, before any sigmoid.
#[derive(Debug, Clone, PartialEq)]
pub struct YoloHead {
    /// Width and height of this head's anchors, in pixels of the network's input.
    pub anchors: Vec<[f32; 2]>,
    /// Width and height of all anchors of the network, from which each truth chooses.
    pub all_anchors: Vec<[f32; 2]>,
    /// The places of this head's anchors among all.
    pub mask: Vec<usize>,
    /// Classes.
    pub classes: usize,
    /// Pixels of the input between cells, (vertical, horizontal).
    pub stride: [usize; 2],
    /// How far centres reach beyond their cell: x = s sigmoid(t) - (s - 1) / 2.
    pub scale_x_y: f32,
    /// Sides by (2 t)^2 of a sigmoid that the layer before has applied, in place of exp(t).
    pub squared_sides: bool,
    /// A box that overlaps a truth by more than this is no background.
    pub ignore_threshold: f32,
    /// Anchors that overlap a truth's shape by more than this learn it besides the best one; 1 is none.
    pub assign_threshold: f32,
}

impl YoloHead {
    /// Channels of the map that it is read off, A (5 + C).
    pub fn channels(&self) -> usize {
        self.anchors.len() * (5 + self.classes)
    }

    /// Height and width of the network's input, for a map of `h` by `w` cells.
    pub fn input(&self, [h, w]: [usize; 2]) -> [usize; 2] {
        [h * self.stride[0], w * self.stride[1]]
    }
}
