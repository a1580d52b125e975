// Boxes off a map (N, ANCHORS * CHANNELS, ROWS, COLUMNS): y is (N, ANCHORS * ROWS * COLUMNS, 4). SIDE_W and SIDE_H are the
// anchors' in shares of the network's input.

@group(0) @binding(0) var<storage, read> raw: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

const CELLS: u32 = ROWS * COLUMNS;

fn anchor_sides(anchor: u32) -> vec2<f32> {
    var sides = vec2(0.0);
#repeat a ANCHORS
    if anchor == {a}u {
        sides = vec2(SIDE_W{a}, SIDE_H{a});
    }
#end
    return sides;
}

fn sigmoid(t: vec2<f32>) -> vec2<f32> {
    // exp of a non-positive number only: never overflows.
    let e = exp(-abs(t));
    return select(e, vec2(1.0), t >= vec2(0.0)) / (1.0 + e);
}

// Where in its cell a centre lies, before it is stretched.
fn place(t: vec2<f32>) -> vec2<f32> {
#if SQUARED
    return t;
#else
    return sigmoid(t);
#end
}

fn place_slope(t: f32) -> f32 {
#if SQUARED
    return 1.0;
#else
    let e = exp(-abs(t));
    return e / ((1.0 + e) * (1.0 + e));
#end
}

// Sides by the anchor's. A NaN stays one.
fn growth(t: vec2<f32>) -> vec2<f32> {
#if SQUARED
    return 4.0 * t * t;
#else
    return exp(select(t, vec2(MOST), t > vec2(MOST)));
#end
}

fn growth_slope(t: f32) -> f32 {
#if SQUARED
    return 8.0 * t;
#else
    if t > MOST {
        return 0.0;
    }
    return exp(t);
#end
}

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let cell = i % CELLS;
    let at = i / CELLS * (CHANNELS * CELLS) + cell;
    let corner = vec2(f32(cell % COLUMNS), f32(cell / COLUMNS));
    let t = vec4(raw[at], raw[at + CELLS], raw[at + 2u * CELLS], raw[at + 3u * CELLS]);
    let centre = (corner + (SCALE * place(t.xy) - REACH)) / vec2(f32(COLUMNS), f32(ROWS));
    y[i] = vec4(centre, growth(t.zw) * anchor_sides(i / CELLS % ANCHORS));
}

// All of dx, one channel of a cell an invocation.
@compute @workgroup_size(256)
fn backward_x(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let channel = i / CELLS % CHANNELS;
    if channel >= 4u {
        dx[i] = 0.0;
        return;
    }
    let map = i / (CELLS * CHANNELS);
    var slope = 0.0;
    if channel < 2u {
        slope = SCALE * place_slope(raw[i]) / select(f32(ROWS), f32(COLUMNS), channel == 0u);
    } else {
        let sides = anchor_sides(map % ANCHORS);
        slope = growth_slope(raw[i]) * select(sides.y, sides.x, channel == 2u);
    }
    dx[i] = slope * dy[4u * (map * CELLS + i % CELLS) + channel];
}
