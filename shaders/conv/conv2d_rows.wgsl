// Convolution for subgroups of 8 that walks along rows: what a lane loads of a row of x serves all taps of a kernel row.
//   y[img, g * M + m, oh, ow] = bias[g * M + m] + sum over (c, kh, kw) of
//       w[g, c, kh, kw, m] * x[img, g * C + c, oh * S_H - P_H + kh * D_H, ow * S_W - P_W + kw * D_W]
// and then perhaps RESIDUAL (plus a tensor like y) and ACTIVATED (`activate`).
// The forward pass, and the gradient by x: that is a convolution of dy by the flipped kernel, and with a stride one such
// convolution for every residue of row and column, by the taps that meet it. So y may be every Y_STEP-th pixel of a
// plane from Y_FIRST on, and the kernel every T_STEP-th tap of the weights from T_FIRST on.
//
// A lane owns a span of PIXELS neighbours in one output row; a subgroup computes ROWS channels of its 8 spans. Lane l
// loads the weights of channels 4l .. 4l + 3, which the others get by broadcast; where there are fewer channels than the
// lanes could load, the others load those of the next taps.
//
// Constants: IMAGES, GROUPS, C and M (channels of x and y within a group), H, W, O_H, O_W, K_*, stride S_*, padding P_*
// (i32), dilation D_*, Y_FIRST_*, Y_STEP_* and the plane's size Y_ALL_*,
// T_FIRST_*, T_STEP_* and T_ALL_* likewise, ROWS (a multiple of 4, at most 32), PIXELS, FLIP, BIAS; TAPS_AT_ONCE (that 8 lanes
// load) and LOADS_W (loads for a row of taps); X_VEC (values of x to a load: X_VEC4, X_VEC2 or single ones), SHIFT (values before
// those that a span needs), LOADS_X (loads for a row); Y_VEC (values of y to a store) and STORES (stores of a span's row).

#if ACTIVATED
#import activation
#end
#if FOLD
#import norm_fold
#end

const M4: u32 = (M + 3u) / 4u; // vec4 of packed weights for one tap of one input channel
const SPANS_W: u32 = (O_W + PIXELS - 1u) / PIXELS;
const SPANS: u32 = IMAGES * O_H * SPANS_W;
const TILES_M: u32 = (M + ROWS - 1u) / ROWS;
const TILES_N: u32 = (SPANS + 7u) / 8u;
const TAPS: u32 = K_H * K_W;

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read_write> packed: array<f32>;

@group(0) @binding(0) var<storage, read> w: array<vec4<f32>>;
#if X_VEC4
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
#elif X_VEC2
@group(0) @binding(1) var<storage, read> x: array<vec2<f32>>;
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;
#end
@group(0) @binding(2) var<storage, read> bias: array<f32>;
#if Y_VEC4
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<vec4<f32>>;
#elif Y_VEC2
@group(0) @binding(3) var<storage, read_write> y: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<vec2<f32>>;
#else
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
#end

// (group, c, kh, kw, m) from (c_out, c_in / groups, k_h, k_w), with m filled up by zeros. FOLD: with the batch norm behind the
// convolution, as norm_fold.wgsl has it. An invocation does all taps of a channel of x and m.
@compute @workgroup_size(256)
fn pack(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= GROUPS * C * M4 * 4u {
        return;
    }
    let m = i % (M4 * 4u);
    let c = i / (M4 * 4u) % C;
    let group = i / (M4 * 4u * C);
#if FOLD
    let channel = group * M + min(m, M - 1u);
    let scale = norm_scale(channel);
    if c == 0u && m < M {
#if BIAS
        folded_bias[channel] = norm_bias(channel, bias[channel]);
#else
        folded_bias[channel] = norm_bias(channel, 0.0);
#end
    }
#end
    for (var tap = 0u; tap < TAPS; tap++) {
#if FLIP
        let turned = TAPS - 1u - tap;
        let plane = (group * C + c) * M + m;
#else
        let turned = tap;
        let plane = (group * M + m) * C + c;
#end
        let kh = T_FIRST_H + turned / K_W * T_STEP_H;
        let kw = T_FIRST_W + turned % K_W * T_STEP_W;
        let at = (plane * T_ALL_H + kh) * T_ALL_W + kw;
        let weight = select(0.0, weights[select(0u, at, m < M)], m < M);
        let to = ((group * C + c) * TAPS + tap) * (M4 * 4u) + m;
#if FOLD
        packed[to] = weight * scale;
#else
        packed[to] = weight;
#end
    }
}

// Place in x of X_VEC neighbours, which lie in one row or beyond it; whether they do is in `inside`.
fn x_place(plane: u32, h: i32, column: i32, inside: bool) -> u32 {
    return select(0u, (plane + u32(h) * W + u32(column)) / X_VEC, inside);
}

fn inside(h: i32, column: i32) -> bool {
    // A negative coordinate is a huge unsigned one.
    return u32(h) < H && u32(column) < W;
}

// Y_VEC neighbours of y from ow on, of which `value` has the first ones.
fn store(row: u32, ow: u32, value: vec4<f32>) {
    if ow < O_W {
        let at = (row + ow * Y_STEP_W) / Y_VEC;
        var result = value;
#if RESIDUAL
#if Y_VEC2
        result += residual[at].xyxy;
#else
        result += vec4(residual[at]);
#end
#end
#if ACTIVATED
        result = activate(result);
#end
#if Y_VEC4
        y[at] = result;
#elif Y_VEC2
        y[at] = result.xy;
#else
        y[at] = result.x;
#end
    }
}

@compute @workgroup_size(8)
fn rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let flat = flat_workgroup(workgroup, grid);
    if flat >= TILES_M * TILES_N * GROUPS {
        return;
    }
    let m_base = (flat % TILES_M) * ROWS;
    let group = flat / (TILES_M * TILES_N);
    let span = (flat / TILES_M) % TILES_N * 8u + lane;
    // Spans beyond the last repeat it; they are computed and not stored.
    let held = min(span, SPANS - 1u);
    let ow = (held % SPANS_W) * PIXELS;
    let oh = held / SPANS_W % O_H;
    let img = held / (SPANS_W * O_H);
    let h0 = i32(oh * S_H) - P_H;
    let w0 = i32(ow * S_W) - P_W;
#if BIAS
    // As for the weights, a lane loads four and gets the others by broadcast.
    let m4 = m_base + 4u * lane;
#repeat j 4
    let b{j} = bias[group * M + min(m4 + {j}u, M - 1u)];
#end
    let b = vec4(b0, b1, b2, b3);
#else
    let b = vec4<f32>();
#end
#repeat r ROWS
    let b_{r} = subgroupBroadcast(b[{r}u % 4u], {r}u / 4u);
    var acc{r}: array<f32, PIXELS>;
#repeat p PIXELS
    acc{r}[{p}] = b_{r};
#end
#end
    let w_row = group * C * K_H * K_W * M4 + min(m_base / 4u + lane % (ROWS / 4u), M4 - 1u);
    let w_tap = min(lane / (ROWS / 4u), TAPS_AT_ONCE - 1u);
#repeat i LOADS_W
    let w_at{i} = w_row + min({i}u * TAPS_AT_ONCE + w_tap, K_W - 1u) * M4;
#end
    // One loop, not two: accumulators that two nested loops carry are copied at every turn of the outer one.
    for (var row = 0u; row < C * K_H; row++) {
        let h = h0 + i32(row % K_H * D_H);
        let plane = ((img * GROUPS + group) * C + row / K_H) * (H * W);
        var xs: array<f32, X_VEC * LOADS_X>;
#repeat i LOADS_X
        let column{i} = w0 + {i} * i32(X_VEC) - i32(SHIFT);
        let inside{i} = inside(h, column{i});
        let x{i} = x[x_place(plane, h, column{i}, inside{i})];
#if X_VEC4
        xs[{i}u * 4u] = select(0.0, x{i}.x, inside{i});
        xs[{i}u * 4u + 1u] = select(0.0, x{i}.y, inside{i});
        xs[{i}u * 4u + 2u] = select(0.0, x{i}.z, inside{i});
        xs[{i}u * 4u + 3u] = select(0.0, x{i}.w, inside{i});
#elif X_VEC2
        xs[{i}u * 2u] = select(0.0, x{i}.x, inside{i});
        xs[{i}u * 2u + 1u] = select(0.0, x{i}.y, inside{i});
#else
        xs[{i}] = select(0.0, x{i}, inside{i});
#end
#end
        var ws: array<vec4<f32>, LOADS_W>;
#repeat i LOADS_W
        ws[{i}] = w[w_at{i} + row * (K_W * M4)];
#end
#repeat r ROWS
#repeat kw K_W
        let w{kw}_{r} = subgroupBroadcast(
            ws[{kw}u / TAPS_AT_ONCE][{r}u % 4u],
            {kw}u % TAPS_AT_ONCE * (ROWS / 4u) + {r}u / 4u,
        );
#repeat p PIXELS
        acc{r}[{p}] = fma(w{kw}_{r}, xs[SHIFT + {p}u * S_W + {kw}u * D_W], acc{r}[{p}]);
#end
#end
#end
    }
    if span >= SPANS {
        return;
    }
#repeat r ROWS
    if m_base + {r}u < M {
        let channel = group * M + m_base + {r}u;
        let row = ((img * GROUPS * M + channel) * Y_ALL_H + oh * Y_STEP_H + Y_FIRST_H) * Y_ALL_W + Y_FIRST_W;
#repeat q STORES
#if Y_VEC4
        let four{r}_{q} = vec4(
            acc{r}[{q}u * 4u], acc{r}[{q}u * 4u + 1u], acc{r}[{q}u * 4u + 2u], acc{r}[{q}u * 4u + 3u],
        );
        store(row, ow + {q}u * 4u, four{r}_{q});
#elif Y_VEC2
        store(row, ow + {q}u * 2u, vec2(acc{r}[{q}u * 2u], acc{r}[{q}u * 2u + 1u]).xyxy);
#else
        store(row, ow + {q}u, vec4(acc{r}[{q}]));
#end
#end
    }
#end
}
