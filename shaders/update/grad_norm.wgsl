// L2 norm of flat tensors: `partial` leaves one sum of squares a workgroup, for up to three of them, from place FROM on;
// `finish` adds all PARTIALS in a fixed order.
// Of each BLOCK elements the first `extents` count.

#repeat k CHUNKS
@group(0) @binding({k}) var<storage, read> dw{k}: array<vec4<f32>>;
@group(0) @binding(1{k}) var<storage, read> extents{k}: array<u32>;
#end
@group(0) @binding(20) var<storage, read_write> partials: array<f32>;
@group(0) @binding(0) var<storage, read> sums: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

var<workgroup> few: array<f32, 64>;
var<workgroup> many: array<f32, 256>;

// Sum of squares of the first `left` components.
fn squares(v: vec4<f32>, left: u32) -> f32 {
    let kept = select(vec4(0.0), v, vec4(0u, 1u, 2u, 3u) < vec4(left));
    return dot(kept, kept);
}

@compute @workgroup_size(64)
fn partial(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = flat_workgroup(workgroup, grid);
    let first = group * 64u + lane;
    var sum = 0.0;
#repeat k CHUNKS
    for (var i = first; i < (LEN{k} + 3u) / 4u; i += 64u * WORKGROUPS) {
        let place = 4u * (i % (BLOCK / 4u));
        let extent = min(extents{k}[i / (BLOCK / 4u)], LEN{k} - (4u * i - place));
        // What does not count is not read either.
        if extent > place {
            sum += squares(dw{k}[i], extent - place);
        }
    }
#end
    few[lane] = sum;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if lane < half {
            few[lane] += few[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        partials[FROM + group] = few[0];
    }
}

@compute @workgroup_size(256)
fn finish(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < PARTIALS; i += 256u) {
        sum += sums[i];
    }
    many[lane] = sum;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if lane < half {
            many[lane] += many[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        let total = many[0];
        y[0] = sqrt(total);
        y[1] = select(1.0, 0.0, is_finite(total));
    }
}
