//! A box that was found, and one that is there.

/// A box that a detector found in an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Left, top, width and height, in pixels of the image.
    pub bounds: [f32; 4],
    /// Its class.
    pub class: usize,
    /// Objectness times the class's probability.
    pub score: f32,
}

/// A box that is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    /// Left, top, width and height, in pixels of the image.
    pub bounds: [f32; 4],
    /// Its class.
    pub class: usize,
    /// Pixels that it covers: COCO gives those of the mask, others have width times height.
    pub area: f32,
    /// Many things that nobody separated: it is neither missed nor found, and what lies in it is no mistake (COCO).
    pub crowd: bool,
    /// Not counted, nor what finds it (Pascal VOC).
    pub difficult: bool,
}
