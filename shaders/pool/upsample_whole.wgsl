// Nearest resizing of (N, C, H, W) planes to F_H x F_W times as many elements: each becomes a block. By
// Elems, as rows.wgsl has them: ELEMS of a row of x; VECTOR where x's rows are whole vec4, so that y's are
// too.

#if VECTOR
alias Elem = vec4<f32>;
const WIDTH: u32 = 4u;
#else
alias Elem = f32;
const WIDTH: u32 = 1u;
#end

@group(0) @binding(0) var<storage, read> x: array<Elem>;
@group(0) @binding(0) var<storage, read> dy: array<Elem>;
@group(0) @binding(1) var<storage, read_write> y: array<Elem>;
@group(0) @binding(1) var<storage, read_write> dx: array<Elem>;

// The first Elem of y that Elem i of x becomes.
fn block_of(i: u32) -> u32 {
    return (i / ELEMS * F_H * ELEMS + i % ELEMS) * F_W;
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
    let value = x[i];
    let block = block_of(i);
    for (var row = 0u; row < F_H; row++) {
        let to = block + row * F_W * ELEMS;
#repeat k F_W
#if VECTOR
        const FIRST{k} = {k}u * 4u;
        let low{k} = vec2(value[FIRST{k} / F_W], value[(FIRST{k} + 1u) / F_W]);
        let high{k} = vec2(value[(FIRST{k} + 2u) / F_W], value[(FIRST{k} + 3u) / F_W]);
        y[to + {k}u] = vec4(low{k}, high{k});
#else
        y[to + {k}u] = value;
#end
#end
    }
}

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
    let block = block_of(i);
    var sum = Elem();
    for (var row = 0u; row < F_H; row++) {
        let at = block + row * F_W * ELEMS;
#repeat k F_W
        let value{k} = dy[at + {k}u];
#if VECTOR
#repeat j 4
        sum[({k}u * 4u + {j}u) / F_W] += value{k}[{j}];
#end
#else
        sum += value{k};
#end
#end
    }
    dx[i] = sum;
}
