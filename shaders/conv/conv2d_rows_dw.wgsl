// Gradients of a convolution by weights and bias for subgroups of 8: the partner of conv2d_rows.wgsl, for a stride of 1
// and outputs as wide as x.
//   dw[g, m, c, kh, kw] = sum over (img, p) of dy[img, g * M + m, p] * x[img, g * C + c, p + (kh * D_H - P_H) * W + kw - P_W]
//   db[g * M + m]       = sum over (img, p) of dy[img, g * M + m, p]
// p counts the pixels of a plane; where row or column leave x, its value counts as zero.
//
// A lane owns PAIRS of (c, kh) with all kw, so that neighbouring pixels of x serve all of them; a subgroup computes 4 * LANES
// channels of dy. Lane l loads channels 4l .. 4l + 3 of dy, four pixels at a time, and the others get them by broadcast.
//
// Constants: as in conv2d_rows.wgsl; PAIRS, SLICES and SLICE (chunks of four pixels a slice adds up),
// DY_VEC4 (planes of dy are a multiple of 4), BIAS.

const ROWS: u32 = 4u * LANES;
const PIXELS: u32 = O_H * O_W;
const CHUNKS: u32 = (PIXELS + 3u) / 4u; // of a plane
const COLUMNS: u32 = C * K_H; // pairs in all
const TILES_M: u32 = (M + ROWS - 1u) / ROWS;
const TILES_Q: u32 = (COLUMNS + 8u * PAIRS - 1u) / (8u * PAIRS);
const WEIGHTS: u32 = GROUPS * M * COLUMNS * K_W;

#if DY_VEC4
@group(0) @binding(0) var<storage, read> dy: array<vec4<f32>>;
#else
@group(0) @binding(0) var<storage, read> dy: array<f32>;
#end
#if X_VEC4
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
#elif X_VEC2
@group(0) @binding(1) var<storage, read> x: array<vec2<f32>>;
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;
#end
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;
@group(0) @binding(3) var<storage, read_write> db: array<f32>;

@group(0) @binding(0) var<storage, read> partial_dw: array<f32>;
@group(0) @binding(1) var<storage, read> partial_db: array<f32>;

// Four pixels of channel m from pixel p.
fn dy4(group: u32, m: u32, img: u32, p: u32) -> vec4<f32> {
    let at = ((img * GROUPS + group) * M + min(m, M - 1u)) * PIXELS + p;
#if DY_VEC4
    return dy[at / 4u];
#else
    let left = vec4(PIXELS - p) > vec4(0u, 1u, 2u, 3u);
    let last = at + min(3u, PIXELS - p - 1u);
    let value = vec4(dy[at], dy[min(at + 1u, last)], dy[min(at + 2u, last)], dy[min(at + 3u, last)]);
    return select(vec4(0.0), value, left);
#end
}

@compute @workgroup_size(8)
fn rows_dw(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let flat = flat_workgroup(workgroup, grid);
    if flat >= TILES_M * TILES_Q * GROUPS * SLICES {
        return;
    }
    let m_base = (flat % TILES_M) * ROWS;
    let q_base = (flat / TILES_M) % TILES_Q * (8u * PAIRS);
    let group = flat / (TILES_M * TILES_Q) % GROUPS;
    let slice = flat / (TILES_M * TILES_Q * GROUPS);
#repeat s PAIRS
    let q{s} = q_base + {s}u * 8u + lane;
    // Pairs beyond the last repeat it; they are computed and not stored.
    let c{s} = min(q{s}, COLUMNS - 1u) / K_H;
    let h{s} = i32(min(q{s}, COLUMNS - 1u) % K_H * D_H) - P_H;
#end
    // Row 4l + j of the tile is lane l's j-th.
#repeat l LANES
#repeat j 4
#repeat s PAIRS
#repeat kw K_W
    var acc{l}_{j}_{s}_{kw} = 0.0;
#end
#end
#end
#end
    var sums = vec4<f32>();
    let end = min((slice + 1u) * SLICE, IMAGES * CHUNKS);
    for (var t = slice * SLICE; t < end; t++) {
        let img = t / CHUNKS;
        let p = t % CHUNKS * 4u;
#repeat j 4
        let dy{j} = dy4(group, m_base + 4u * lane + {j}u, img, p);
#end
#if BIAS
        sums += vec4(dot(dy0, vec4(1.0)), dot(dy1, vec4(1.0)), dot(dy2, vec4(1.0)), dot(dy3, vec4(1.0)));
#end
#repeat i 4
        let oh{i} = i32((p + {i}u) / O_W);
        let ow{i} = i32((p + {i}u) % O_W) - P_W;
#end
#repeat s PAIRS
        let plane{s} = ((img * GROUPS + group) * C + c{s}) * (H * W);
        let start{s} = i32(p) + h{s} * i32(W) - P_W - i32(SHIFT);
        var xs{s}: array<f32, X_VEC * LOADS_X>;
#repeat i LOADS_X
        // A negative place is a huge unsigned one; what does not belong to the pixel's window is masked below.
        let x{s}_{i} = x[(plane{s} + min(u32(start{s} + {i} * i32(X_VEC)), H * W - X_VEC)) / X_VEC];
#if X_VEC4
        xs{s}[{i}u * 4u] = x{s}_{i}.x;
        xs{s}[{i}u * 4u + 1u] = x{s}_{i}.y;
        xs{s}[{i}u * 4u + 2u] = x{s}_{i}.z;
        xs{s}[{i}u * 4u + 3u] = x{s}_{i}.w;
#elif X_VEC2
        xs{s}[{i}u * 2u] = x{s}_{i}.x;
        xs{s}[{i}u * 2u + 1u] = x{s}_{i}.y;
#else
        xs{s}[{i}] = x{s}_{i};
#end
#end
#repeat i 4
#if DY_VEC4
        let row{s}_{i} = u32(oh{i} + h{s}) < H;
#else
        let row{s}_{i} = u32(oh{i} + h{s}) < H && p + {i}u < PIXELS;
#end
#repeat kw K_W
        let x{s}_{i}_{kw} = select(0.0, xs{s}[SHIFT + {i}u + {kw}u], row{s}_{i} && u32(ow{i} + {kw}) < W);
#end
#end
#end
#repeat l LANES
#repeat j 4
#repeat i 4
        let dy{l}_{j}_{i} = subgroupBroadcast(dy{j}[{i}], {l}u);
#end
#repeat s PAIRS
#repeat kw K_W
#repeat i 4
        acc{l}_{j}_{s}_{kw} = fma(dy{l}_{j}_{i}, x{s}_{i}_{kw}, acc{l}_{j}_{s}_{kw});
#end
#end
#end
#end
#end
    }
#repeat s PAIRS
#repeat l LANES
#repeat j 4
    if m_base + 4u * {l}u + {j}u < M && q{s} < COLUMNS {
        let at = slice * WEIGHTS + ((group * M + m_base + 4u * {l}u + {j}u) * COLUMNS + q{s}) * K_W;
#repeat kw K_W
        dw[at + {kw}u] = acc{l}_{j}_{s}_{kw};
#end
    }
#end
#end
#end
#if BIAS
#repeat j 4
    if q_base == 0u && 4u * lane + {j}u < ROWS && m_base + 4u * lane + {j}u < M {
        db[(slice * GROUPS + group) * M + m_base + 4u * lane + {j}u] = sums[{j}];
    }
#end
#end
}

// One invocation a weight or bias: adds the slices in order, so that the sum is the same in every run.
@compute @workgroup_size(256)
fn finish(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    var sum = 0.0;
    if i < WEIGHTS {
        for (var slice = 0u; slice < SLICES; slice++) {
            sum += partial_dw[slice * WEIGHTS + i];
        }
        dw[i] = sum;
    }
#if BIAS
    if i >= WEIGHTS && i < LEN {
        for (var slice = 0u; slice < SLICES; slice++) {
            sum += partial_db[slice * GROUPS * M + i - WEIGHTS];
        }
        db[i - WEIGHTS] = sum;
    }
#end
}
