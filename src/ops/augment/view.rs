//! How an image of a batch is put together: four quadrants that meet at a point, each with a piece of a source.
//!
//! An image that is no mosaic has its quadrants meet in the lower right corner, so that the first is all of it. Sides and places
//! are whole pixels and what lies between source pixels is counted in 2^-18 of one, so that kernels and references on all
//! adapters agree on which pixel shows what, and boxes are cut exactly where pixels are.

use super::settings::BoxAugment;
use crate::rng;
use crate::tape::{Scalar, Step};

/// As in the shader.
const DOMAIN: u32 = 0x626f_7865;
const FIRST_PIECE: u32 = 7;
const EACH_PIECE: u32 = 5;
const DRAWS: u32 = 27;
const FRACTION: u32 = 18;

/// Vec4 that a view takes.
pub const VIEW_VEC4S: usize = 10;
/// Scales are counted in this part.
const GAINS: f32 = 4096.0;

/// What the choice of views depends on, beside the key of each.
#[derive(Debug, Clone, Copy)]
pub struct Choices {
    /// Width and height.
    sides: [i32; 2],
    settings: BoxAugment,
    /// What the chance of a mosaic is multiplied by.
    mosaic_share: Option<Scalar>,
}

/// An image of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Column and row where the quadrants meet.
    pub cut: [i32; 2],
    /// Turn of the hue, factors of saturation and value.
    pub colour: [f32; 3],
    /// Upper left, upper right, lower left, lower right.
    pub pieces: [Piece; 4],
}

/// A source as a quadrant shows it; grey where it ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Piece {
    /// Its place in the batch.
    pub source: usize,
    /// Whether it is mirrored.
    pub flip: bool,
    /// Column and row of the output that it begins at.
    pub at: [i32; 2],
    /// Its width and height in the output.
    pub size: [i32; 2],
    /// 2^-18 of a source pixel for each pixel of the output, in either direction.
    pub step: [i32; 2],
}

/// Uniform in 0..n, for n up to 65,536.
fn below(bits: u32, n: i32) -> i32 {
    (((bits >> 16) * n as u32) >> 16) as i32
}

impl Choices {
    /// For images of this width and height.
    pub fn new(sides: [usize; 2], settings: BoxAugment, mosaic_share: Option<Scalar>) -> Self {
        Self { sides: sides.map(|side| side as i32), settings, mosaic_share }
    }

    /// The least scale, and how many there are from there on.
    pub fn gains(&self) -> [i32; 2] {
        let most = (self.settings.scale * GAINS).round() as i32;
        [GAINS as i32 - most, 2 * most + 1]
    }

    /// The largest shift to the side and down.
    pub fn shifts(&self) -> [i32; 2] {
        self.sides.map(|side| (self.settings.translate * side as f32).round() as i32)
    }

    /// Image `n` of `batch`, whose sample is `id`.
    pub fn view(&self, step: &Step, n: usize, id: i32, batch: usize) -> View {
        let [lo, hi] = step.seed_words();
        let draw = |i: u32| {
            let counter = DRAWS.wrapping_mul(step.epoch).wrapping_add(i);
            rng::random_bits([lo, hi ^ DOMAIN, id as u32], counter)
        };
        let unit = |i: u32| rng::unit(draw(i));
        let share = self.mosaic_share.map_or(1.0, |share| step.get(share));
        let mosaic = unit(0) < self.settings.mosaic * share;
        let middle = |d: usize| {
            let low = self.sides[d] / 5;
            low + below(draw(1 + d as u32), self.sides[d] - 2 * low + 1)
        };
        let cut = if mosaic { [middle(0), middle(1)] } else { self.sides };
        let turn = draw(3) >> 30;
        let [hue, saturation, value] = self.settings.hsv;
        let wide = |i: u32| 2.0 * unit(i) - 1.0;
        let colour = [wide(4) * hue, 1.0 + wide(5) * saturation, 1.0 + wide(6) * value];
        let pieces = [0, 1, 2, 3].map(|q: u32| {
            let first = FIRST_PIECE + q * EACH_PIECE;
            let own = !mosaic || (q + turn) & 3 == 0;
            let other = (n + 1 + below(draw(first), batch as i32 - 1) as usize) % batch;
            let [least, gains] = self.gains();
            let gain = least + below(draw(first + 1), gains);
            let size = self.sides.map(|side| ((side * gain + 2048) >> 12).max(1));
            let at = [0, 1].map(|d| {
                let (bits, shift) = (draw(first + 2 + d as u32), self.shifts()[d]);
                match (mosaic, (q >> d) & 1) {
                    (false, _) => ((self.sides[d] - size[d]) >> 1) + below(bits, 2 * shift + 1) - shift,
                    (true, 0) => cut[d] + below(bits, shift + 1) - size[d],
                    (true, _) => cut[d] - below(bits, shift + 1),
                }
            });
            let step = [0, 1].map(|d| ((self.sides[d] << FRACTION) + size[d] / 2) / size[d]);
            let source = if own { n } else { other };
            Piece { source, flip: unit(first + 4) < self.settings.flip, at, size, step }
        });
        View { cut, colour, pieces }
    }
}

impl View {
    /// The quadrant of a pixel.
    pub fn quadrant(&self, x: i32, y: i32) -> usize {
        usize::from(x >= self.cut[0]) + 2 * usize::from(y >= self.cut[1])
    }

    /// What of a dimension quadrant `q` shows of its piece: from and to, of an output with this side.
    pub fn shown(&self, q: usize, d: usize, side: i32) -> [i32; 2] {
        let piece = &self.pieces[q];
        let (from, to) = if (q >> d) & 1 == 0 { (0, self.cut[d]) } else { (self.cut[d], side) };
        [from.max(piece.at[d]), to.min(piece.at[d] + piece.size[d])]
    }
}

impl Piece {
    /// The pixels of the source that an output pixel lies between, and at what share between them, in dimension `d`;
    /// `None` beside it.
    pub fn between(&self, d: usize, at: i32, side: i32) -> Option<([usize; 2], f64)> {
        let inner = at - self.at[d];
        if inner < 0 || inner >= self.size[d] {
            return None;
        }
        let (last, whole) = ((side - 1) << FRACTION, 1 << FRACTION);
        let place = (inner * self.step[d] + (self.step[d] >> 1) - whole / 2).clamp(0, last);
        let place = if self.flip && d == 0 { last - place } else { place };
        let first = place >> FRACTION;
        let second = (first + 1).min(side - 1);
        Some(([first as usize, second as usize], f64::from(place & (whole - 1)) / f64::from(whole)))
    }
}
