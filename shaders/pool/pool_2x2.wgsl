// Max pooling by 2x2 windows with stride 2 and no padding, the one of every training step, where W_IN = 2 * W_OUT is a
// multiple of 4. A vec4 of a row of x then holds the upper or lower halves of two windows; each invocation handles two
// such pairs: four consecutive outputs.

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(0) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> index: array<vec4<i32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> index_out: array<vec4<i32>>;

const ROW: u32 = W_IN / 4u; // vec4 of a row of x, and pairs of windows of a row of y

struct Pair {
    best: vec2<f32>,
    at: vec2<i32>,
}

// vec4 of x that holds the upper halves of a pair of windows; the lower halves are ROW further.
fn upper(pair: u32) -> u32 {
    return pair / (ROW * H_OUT) * (ROW * H_IN) + pair / ROW % H_OUT * (2u * ROW) + pair % ROW;
}

// Place in its plane of the first element of a pair of windows, as an index into single elements.
fn corner(pair: u32) -> i32 {
    return i32(pair / ROW % H_OUT * (2u * W_IN) + pair % ROW * 4u);
}

fn is_nan(v: vec2<f32>) -> vec2<bool> {
    return (bitcast<vec2<u32>>(v) & vec2(0x7fffffffu)) > vec2(0x7f800000u);
}

// Strictly greater: the first of equal maxima wins. A NaN wins over everything.
fn challenge(held: Pair, v: vec2<f32>, at: vec2<i32>) -> Pair {
    let wins = (v > held.best) | is_nan(v);
    return Pair(select(held.best, v, wins), select(held.at, at, wins));
}

fn maxima(pair: u32) -> Pair {
    let a = x[upper(pair)];
    let b = x[upper(pair) + ROW];
    let first = vec2(corner(pair)) + vec2(0, 2);
    var held = Pair(a.xz, first);
    held = challenge(held, a.yw, first + 1);
    held = challenge(held, b.xz, first + i32(W_IN));
    held = challenge(held, b.yw, first + i32(W_IN) + 1);
#if RELU
    // No element gets a gradient where relu is flat. A NaN is not below zero, and stays.
    let flat = held.best <= vec2(0.0);
    held = Pair(select(held.best, vec2(0.0), flat), select(held.at, vec2(-1), flat));
#end
    return held;
}

@compute @workgroup_size(256)
fn max_forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= VEC4S {
        return;
    }
    let left = maxima(2u * i);
    let right = maxima(min(2u * i + 1u, PAIRS - 1u));
    y[i] = vec4(left.best, right.best);
#if INDEX
    index_out[i] = vec4(left.at, right.at);
#end
}

// Four elements of dx in a row that starts at `first`: dy where the maximum was.
fn spread(dy2: vec2<f32>, at: vec2<i32>, first: i32) -> vec4<f32> {
    return select(vec4(0.0), dy2.xxyy, at.xxyy == vec4(first) + vec4(0, 1, 2, 3));
}

fn write_pair(pair: u32, dy2: vec2<f32>, at: vec2<i32>) {
    let place = upper(pair);
    dx[place] = spread(dy2, at, corner(pair));
    dx[place + ROW] = spread(dy2, at, corner(pair) + i32(W_IN));
}

// Needs an even H_IN: every element of dx is in one window.
@compute @workgroup_size(256)
fn max_backward_x(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= VEC4S {
        return;
    }
    let dy4 = dy[i];
    let at4 = index[i];
    write_pair(2u * i, dy4.xy, at4.xy);
    if 2u * i + 1u < PAIRS {
        write_pair(2u * i + 1u, dy4.zw, at4.zw);
    }
}
