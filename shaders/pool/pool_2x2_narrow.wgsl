// Max pooling by 2x2 windows with stride 2 and no padding where rows of x are no multiple of 4: W_IN = 2 * W_OUT. The rows of a
// window are two vec2 of x; each invocation handles four consecutive windows of all LEN.

@group(0) @binding(0) var<storage, read> x: array<vec2<f32>>;
@group(0) @binding(0) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> index: array<vec4<i32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> index_out: array<vec4<i32>>;

fn is_nan(v: f32) -> bool {
    return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u;
}

// The upper half of a window, as an index of vec2; the lower half is W_OUT further.
fn upper(window: u32) -> u32 {
    return window / (W_OUT * H_OUT) * (W_OUT * H_IN) + window / W_OUT % H_OUT * (2u * W_OUT) + window % W_OUT;
}

// Place in its plane of a window's first element.
fn corner(window: u32) -> i32 {
    return i32(window / W_OUT % H_OUT * (2u * W_IN) + window % W_OUT * 2u);
}

struct Held {
    best: f32,
    at: i32,
}

// Strictly greater: the first of equal maxima wins. A NaN wins over everything.
fn challenge(held: Held, v: f32, at: i32) -> Held {
    let wins = v > held.best || is_nan(v);
    return Held(select(held.best, v, wins), select(held.at, at, wins));
}

fn maximum(window: u32) -> Held {
    let a = x[upper(window)];
    let b = x[upper(window) + W_OUT];
    let first = corner(window);
    var held = challenge(Held(a.x, first), a.y, first + 1);
    held = challenge(held, b.x, first + i32(W_IN));
    held = challenge(held, b.y, first + i32(W_IN) + 1);
#if RELU
    // No element gets a gradient where relu is flat. A NaN is not below zero, and stays.
    let flat = held.best <= 0.0;
    held = Held(select(held.best, 0.0, flat), select(held.at, -1, flat));
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
    // Windows beyond the last repeat it, into the padding.
#repeat k 4
    let held{k} = maximum(min(4u * i + {k}u, LEN - 1u));
#end
    y[i] = vec4(held0.best, held1.best, held2.best, held3.best);
#if INDEX
    index_out[i] = vec4(held0.at, held1.at, held2.at, held3.at);
#end
}

fn spread(window: u32, gradient: f32, at: i32) {
    let place = vec2(at - corner(window));
    let d = vec2(gradient);
    let lower = i32(W_IN);
    dx[upper(window)] = select(vec2(0.0), d, place == vec2(0, 1));
    dx[upper(window) + W_OUT] = select(vec2(0.0), d, place == vec2(lower, lower + 1));
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
    let gradients = dy[i];
    let places = index[i];
#repeat k 4
    if 4u * i + {k}u < LEN {
        spread(4u * i + {k}u, gradients[{k}], places[{k}]);
    }
#end
}
