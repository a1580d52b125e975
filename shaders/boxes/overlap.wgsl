// How far boxes a and b overlap, row by row: IoU, GIoU or DIoU; and the gradient by a. All are symmetric.

#import boxes

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> da: array<vec4<f32>>;

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
    let p = a[i];
    let q = b[i];
    let edges = edges_of(p, q);
    let intersection = intersection_of(inner_sides(edges));
    let area = union_of(p, q, intersection);
    if area == 0.0 {
        y[i] = 0.0;
        return;
    }
    let outer = outer_sides(edges);
    var overlap = intersection / area;
#if GIOU
    overlap -= 1.0 - area / (outer.x * outer.y);
#elif DIOU
    let apart = p.xy - q.xy;
    overlap -= dot(apart, apart) / dot(outer, outer);
#end
    y[i] = overlap;
}

// The derivative of min(s, t) by s: of equals each has half.
fn share_of_min(s: vec2<f32>, t: vec2<f32>) -> vec2<f32> {
    return select(select(vec2(0.0), vec2(0.5), s == t), vec2(1.0), s < t);
}

fn gradient(p: vec4<f32>, q: vec4<f32>) -> vec4<f32> {
    let e = edges_of(p, q);
    let inner = inner_sides(e);
    let intersection = intersection_of(inner);
    let area = union_of(p, q, intersection);
    if area == 0.0 {
        return vec4(0.0);
    }
    let overlap = intersection / area;
    // By the intersection, by p's own area, by the sides of the box around both, by p's centre.
    var by_intersection = (1.0 + overlap) / area;
    var by_area = -overlap / area;
    var by_outer = vec2(0.0);
    var by_centre = vec2(0.0);
#if GIOU
    let outer = outer_sides(e);
    let around = outer.x * outer.y;
    by_intersection -= 1.0 / around;
    by_area += 1.0 / around;
    by_outer = -(area / around) / outer;
#elif DIOU
    let outer = outer_sides(e);
    let apart = p.xy - q.xy;
    let diagonal = dot(outer, outer);
    by_centre = -2.0 * apart / diagonal;
    by_outer = 2.0 * (dot(apart, apart) / diagonal) / diagonal * outer;
#end
    let open = select(vec2(0.0), vec2(1.0), inner > vec2(0.0));
    let by_inner = by_intersection * open * max(inner.yx, vec2(0.0));
    let high = by_inner * share_of_min(e.high_a, e.high_b) + by_outer * share_of_min(e.high_b, e.high_a);
    let low = -by_inner * share_of_min(e.low_b, e.low_a) - by_outer * share_of_min(e.low_a, e.low_b);
    return vec4(high + low + by_centre, 0.5 * (high - low) + by_area * p.wz);
}

@compute @workgroup_size(256)
fn backward_a(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < LEN {
        da[i] = dy[i] * gradient(a[i], b[i]);
    }
}
