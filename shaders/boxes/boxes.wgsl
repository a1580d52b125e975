// Overlaps of boxes (centre x, centre y, width, height). A box without an area overlaps nothing.

// Below it an area is none: no quotient may become 0 / 0 where small numbers are flushed to zero.
const LEAST_AREA: f32 = 1e-30;

// Lower and upper edges of two boxes, counted from the centre of the first: the difference of two numbers near each other
// is exact, where their edges in the image would have lost what a small box is measured by.
struct Edges {
    low_a: vec2<f32>,
    high_a: vec2<f32>,
    low_b: vec2<f32>,
    high_b: vec2<f32>,
}

fn edges_of(a: vec4<f32>, b: vec4<f32>) -> Edges {
    let apart = b.xy - a.xy;
    return Edges(-0.5 * a.zw, 0.5 * a.zw, apart - 0.5 * b.zw, apart + 0.5 * b.zw);
}

// Sides of the intersection, negative where there is a gap.
fn inner_sides(e: Edges) -> vec2<f32> {
    return min(e.high_a, e.high_b) - max(e.low_a, e.low_b);
}

// Sides of the smallest box around both.
fn outer_sides(e: Edges) -> vec2<f32> {
    return max(e.high_a, e.high_b) - min(e.low_a, e.low_b);
}

fn intersection_of(inner: vec2<f32>) -> f32 {
    let sides = max(inner, vec2(0.0));
    return sides.x * sides.y;
}

// The area of both together; 0 where either has none.
fn union_of(a: vec4<f32>, b: vec4<f32>, intersection: f32) -> f32 {
    let area = a.z * a.w + b.z * b.w - intersection;
    let empty = min(min(a.z, a.w), min(b.z, b.w)) <= 0.0;
    return select(area, 0.0, empty || area < LEAST_AREA);
}

fn iou(a: vec4<f32>, b: vec4<f32>) -> f32 {
    let intersection = intersection_of(inner_sides(edges_of(a, b)));
    let area = union_of(a, b, intersection);
    if area == 0.0 {
        return 0.0;
    }
    return intersection / area;
}
