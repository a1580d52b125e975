// Copy bandwidth: each lane copies PER_LANE vectors, a workgroup's width apart, so that neighbours read neighbours.

@group(0) @binding(0) var<storage, read> copied: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> copy_of: array<vec4<u32>>;

@compute @workgroup_size(LANES)
fn copy(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = flat_workgroup(workgroup, grid) * LANES * PER_LANE + lane;
    if first + (PER_LANE - 1u) * LANES >= VEC4S {
        return;
    }
#repeat v PER_LANE
    copy_of[first + {v}u * LANES] = copied[first + {v}u * LANES];
#end
}
