//! How an image of a batch is put together: four quadrants that meet at a point, each with a piece of a source.
//!
//! An image that is no mosaic has its quadrants meet in the lower right corner, so that the first is all of it. Sides and places
//! are whole pixels and what lies between source pixels is counted in 2^-18 of one, so that kernels and references on all
//! adapters agree on which pixel shows what, and boxes are cut exactly where pixels are.

use super::settings::BoxAugment;
use crate::rng;
use crate::tape::Step;

/// As in the shader.
const DOMAIN: u32 = 0x626f_7865;
const FIRST_PIECE: u32 = 7;
const EACH_PIECE: u32 = 5;
const DRAWS: u32 = 27;
const FRACTION: u32 = 18;

/// Vec4 that a view takes.
pub const VIEW_VEC4S: usize = 10;
/// What lies beside a source.
const GREY: f64 = 114.0 / 255.0;
/// What must be left of a box: pixels of either side,
pub const LEAST_SIDE: f32 = 2.0;
/// a share of its area,
pub const LEAST_SHARE: f32 = 0.1;
/// and its longer side may be this much longer than the other.
pub const MOST_ASPECT: f32 = 100.0;
/// Scales are counted in this part.
const GAINS: f32 = 4096.0;

/// What the choice of views depends on, beside the key of each.
#[derive(Debug, Clone, Copy)]
pub struct Choices {
    /// Width and height.
    sides: [i32; 2],
    settings: BoxAugment,
    /// How many epochs have mosaics; all of them where absent.
    mosaic_epochs: Option<u32>,
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
    pub fn new(sides: [usize; 2], settings: BoxAugment, mosaic_epochs: Option<u32>) -> Self {
        Self { sides: sides.map(|side| side as i32), settings, mosaic_epochs }
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
        let over = self.mosaic_epochs.is_some_and(|epochs| step.epoch >= epochs);
        let mosaic = !over && unit(0) < self.settings.mosaic;
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
    /// Red, green and blue, 0 to 1, of a pixel, before other colours. `bytes` are the batch's, (N, 3, height, width).
    pub fn pixel(&self, bytes: &[u8], [x, y]: [i32; 2], [width, height]: [usize; 2]) -> [f64; 3] {
        let piece = &self.pieces[self.quadrant(x, y)];
        let places = (piece.between(0, x, width as i32), piece.between(1, y, height as i32));
        let (Some((columns, right)), Some((rows, down))) = places else { return [GREY; 3] };
        [0, 1, 2].map(|c| {
            let at = |row: usize, column: usize| {
                let plane = 3 * piece.source + c;
                f64::from(bytes[(plane * height + rows[row]) * width + columns[column]]) / 255.0
            };
            let [top, bottom] = [0, 1].map(|row| at(row, 0) * (1.0 - right) + at(row, 1) * right);
            top * (1.0 - down) + bottom * down
        })
    }

    /// A box of quadrant `q`'s source where the image shows it, if enough of it is left.
    pub fn moved(&self, q: usize, found: &[f64], sides: [usize; 2]) -> Option<[f64; 4]> {
        let Piece { flip, at, size, .. } = self.pieces[q];
        let (mut out, mut left, mut whole) = ([0.0; 4], [0.0; 2], 1.0);
        for d in 0..2 {
            let centre = if flip && d == 0 { 1.0 - found[d] } else { found[d] };
            let middle = f64::from(at[d]) + centre * f64::from(size[d]);
            let side = found[2 + d] * f64::from(size[d]);
            let [from, to] = self.shown(q, d, sides[d] as i32).map(f64::from);
            let (low, high) = ((middle - side / 2.0).max(from), (middle + side / 2.0).min(to));
            out[d] = (low + high) / 2.0 / sides[d] as f64;
            out[2 + d] = (high - low) / sides[d] as f64;
            left[d] = high - low;
            whole *= side;
        }
        let (short, long) = (left[0].min(left[1]), left[0].max(left[1]));
        let kept = short >= f64::from(LEAST_SIDE)
            && short * long >= f64::from(LEAST_SHARE) * whole
            && long <= f64::from(MOST_ASPECT) * short;
        kept.then_some(out)
    }

    /// The quadrant of a pixel.
    fn quadrant(&self, x: i32, y: i32) -> usize {
        usize::from(x >= self.cut[0]) + 2 * usize::from(y >= self.cut[1])
    }

    /// What of a dimension quadrant `q` shows of its piece: from and to, of an output with this side.
    fn shown(&self, q: usize, d: usize, side: i32) -> [i32; 2] {
        let piece = &self.pieces[q];
        let (from, to) = if (q >> d) & 1 == 0 { (0, self.cut[d]) } else { (self.cut[d], side) };
        [from.max(piece.at[d]), to.min(piece.at[d] + piece.size[d])]
    }
}

impl Piece {
    /// The pixels of the source that an output pixel lies between, and at what share between them, in dimension `d`;
    /// `None` beside it.
    fn between(&self, d: usize, at: i32, side: i32) -> Option<([usize; 2], f64)> {
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
