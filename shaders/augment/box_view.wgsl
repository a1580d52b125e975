// How one image of a batch is put together, as box_views.wgsl chooses it and View in src/ops/augment/view.rs describes it:
// VIEW vec4 for each image: where the four quadrants meet and two words unused; the shift of hue and the factors of
// saturation and value, as bits of f32; then two vec4 for each piece.

const VIEW: u32 = 10u;
const PIECES_FROM: u32 = 2u;

// Bits of a source pixel by which places between two are counted.
const FRACTION: u32 = 18u;

// A source, scaled to `size` pixels, its corner at `at` of the output; `step` of 2^-FRACTION source pixels to each of them.
struct Piece {
    source: u32,
    flip: bool,
    at: vec2<i32>,
    size: vec2<i32>,
    step: vec2<i32>,
}

fn piece_of(a: vec4<i32>, b: vec4<i32>) -> Piece {
    return Piece(u32(a.x), a.y != 0, a.zw, b.xy, b.zw);
}

const SIDES: vec2<i32> = vec2(i32(WIDTH), i32(HEIGHT));
