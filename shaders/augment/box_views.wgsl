// Chooses how each image of a batch is put together; an invocation an image. All of it is in integers but for the colours,
// so that every adapter makes the same choices. They depend on seed, epoch and sample id, and the sources of a mosaic on the
// places of the batch.

#import box_view

@group(0) @binding(0) var<storage, read> ids: array<i32>;
@group(0) @binding(1) var<storage, read_write> views: array<vec4<i32>>;
@group(0) @binding(2) var<uniform> step: Step;

// Keeps these draws apart from other uses of the same seed: "boxe".
const DOMAIN: u32 = 0x626f7865u;
// Numbers drawn for an image: FIRST_PIECE for the whole of it, then EACH_PIECE for each of four.
const FIRST_PIECE: u32 = 7u;
const EACH_PIECE: u32 = 5u;
const DRAWS: u32 = 27u;

fn draw(id: u32, n: u32) -> u32 {
    return random_bits(step.seed_lo, step.seed_hi ^ DOMAIN, id, DRAWS * step.epoch + n);
}

// Uniform in 0..n, for n up to 65,536.
fn below(bits: u32, n: i32) -> i32 {
    return i32(((bits >> 16u) * u32(n)) >> 16u);
}

fn unit(bits: u32) -> f32 {
    return f32(bits >> 8u) * (1.0 / 16777216.0);
}

fn scaled(side: i32, gain: i32) -> i32 {
    return max((side * gain + 2048) >> 12u, 1);
}

// Where a side of the piece begins. In a mosaic it covers the edge that it shares with its neighbour, by `shift` or as much as
// that is above 0; else it lies around the middle.
fn begin(side: i32, size: i32, cut: i32, second: bool, mosaic: bool, bits: u32, shift: i32) -> i32 {
    if !mosaic {
        return ((side - size) >> 1u) + below(bits, 2 * shift + 1) - shift;
    }
    let over = below(bits, shift + 1);
    return select(cut + over - size, cut - over, second);
}

@compute @workgroup_size(64)
fn choose(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = flat_workgroup(workgroup, grid) * 64u + lane;
    if n >= BATCH {
        return;
    }
    let id = bitcast<u32>(ids[n]);
    let mosaic = (step.epoch < MOSAIC_EPOCHS) && (unit(draw(id, 0u)) < MOSAIC);
    let low = SIDES / 5;
    let range = SIDES - 2 * low + 1;
    let middle = low + vec2(below(draw(id, 1u), range.x), below(draw(id, 2u), range.y));
    let cut = select(SIDES, middle, mosaic);
    let turn = draw(id, 3u) >> 30u;
    let wide = 2.0 * vec3(unit(draw(id, 4u)), unit(draw(id, 5u)), unit(draw(id, 6u))) - 1.0;
    let colour = vec3(0.0, 1.0, 1.0) + wide * vec3(HUE, SATURATION, VALUE);
    let view = n * VIEW;
    views[view] = vec4(cut, 0, 0);
    views[view + 1u] = vec4(bitcast<vec3<i32>>(colour), 0);
    for (var q = 0u; q < 4u; q++) {
        let first = FIRST_PIECE + q * EACH_PIECE;
        var source = n;
        if mosaic && ((q + turn) & 3u) != 0u {
            source = (n + 1u + u32(below(draw(id, first), i32(BATCH) - 1))) % BATCH;
        }
        let gain = i32(GAIN_LOW) + below(draw(id, first + 1u), i32(GAIN_RANGE));
        let size = vec2(scaled(SIDES.x, gain), scaled(SIDES.y, gain));
        let at = vec2(
            begin(SIDES.x, size.x, cut.x, (q & 1u) != 0u, mosaic, draw(id, first + 2u), i32(SHIFT_X)),
            begin(SIDES.y, size.y, cut.y, (q & 2u) != 0u, mosaic, draw(id, first + 3u), i32(SHIFT_Y)),
        );
        let flip = unit(draw(id, first + 4u)) < FLIP;
        views[view + PIECES_FROM + 2u * q] = vec4(i32(source), i32(flip), at);
        views[view + PIECES_FROM + 2u * q + 1u] = vec4(size, ((SIDES << vec2(FRACTION)) + size / 2) / size);
    }
}
