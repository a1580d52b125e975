// How the tile engines write C, and the finish of a split reduction.
//
// Constants: K_SLICES; OUT_N4 (four neighbouring columns are one aligned vec4 of the output); BIAS_M / BIAS_N (a bias
// by row of each batch / by column of C); RESIDUAL (a tensor of the output's layout is added); ACTIVATED (then comes
// `activate`). The loader file gives out_index(batch, m, n).

#if ACTIVATED
#import activation
#end

#if OUT_N4
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> residual: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>;
#end
@group(0) @binding(4) var<storage, read> partial: array<f32>;

fn with_bias(batch: u32, m: u32, n: u32, value: vec4<f32>) -> vec4<f32> {
#if BIAS_M
    return value + bias[batch * M + m];
#elif BIAS_N
    // Columns beyond N repeat the last one; they are not stored.
    return value + vec4(bias[n], bias[min(n + 1u, N - 1u)], bias[min(n + 2u, N - 1u)], bias[min(n + 3u, N - 1u)]);
#else
    return value;
#end
}

// Columns n .. n + 3 of row m of the output, from the whole sums. `at` is where column n lies.
fn finished(batch: u32, m: u32, n: u32, at: u32, value: vec4<f32>) -> vec4<f32> {
    var result = with_bias(batch, m, n, value);
#if RESIDUAL
#if OUT_N4
    result += residual[at / 4u];
#else
    result += vec4(
        residual[at],
        residual[out_index(batch, m, min(n + 1u, N - 1u))],
        residual[out_index(batch, m, min(n + 2u, N - 1u))],
        residual[out_index(batch, m, min(n + 3u, N - 1u))],
    );
#end
#end
#if ACTIVATED
    result = activate(result);
#end
    return result;
}

// Columns n .. n + 3 of row m: to the output, or, where the reduction is split, to this slice's partial result.
fn store(slice: u32, batch: u32, m: u32, n: u32, value: vec4<f32>) {
    if m >= M || n >= N {
        return;
    }
#if SPLIT
    let at = ((slice * BATCH + batch) * M + m) * N + n;
    let result = value;
#else
    let at = out_index(batch, m, n);
    let result = finished(batch, m, n, at, value);
#end
#if OUT_N4
    y[at / 4u] = result;
#elif SPLIT
    y[at] = result.x;
    if n + 1u < N { y[at + 1u] = result.y; }
    if n + 2u < N { y[at + 2u] = result.z; }
    if n + 3u < N { y[at + 3u] = result.w; }
#else
    y[at] = result.x;
    if n + 1u < N { y[out_index(batch, m, n + 1u)] = result.y; }
    if n + 2u < N { y[out_index(batch, m, n + 2u)] = result.z; }
    if n + 3u < N { y[out_index(batch, m, n + 3u)] = result.w; }
#end
}

#if FINISH
// One invocation an output: adds the slices in order, so that the sum is the same in every run.
@compute @workgroup_size(64)
fn finish(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 64u + lane;
    if i >= BATCH * M * N {
        return;
    }
    var sum = 0.0;
    for (var slice = 0u; slice < K_SLICES; slice++) {
        sum += partial[slice * BATCH * M * N + i];
    }
    let n = i % N;
    let m = (i / N) % M;
    let batch = i / (M * N);
    let at = out_index(batch, m, n);
    y[at] = finished(batch, m, n, at, vec4(sum)).x;
}
#end
