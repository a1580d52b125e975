// The boxes of a batch where its views show them, (N, PIECES * PLACES, 4), and their classes; an invocation a box. Cut at the
// edges of its piece; none is left of one of which too little is left.

#import box_view

@group(0) @binding(0) var<storage, read> boxes: array<vec4<f32>>; // (N, PLACES), centre and sides
@group(0) @binding(1) var<storage, read> classes: array<i32>; // (N, PLACES)
@group(0) @binding(2) var<storage, read> views: array<vec4<i32>>;
@group(0) @binding(3) var<storage, read_write> moved: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> moved_classes: array<i32>;

@compute @workgroup_size(256)
fn move_boxes(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let n = i / (PIECES * PLACES);
    let q = i / PLACES % PIECES;
    let view = n * VIEW;
    let cut = views[view].xy;
    let piece = piece_of(views[view + PIECES_FROM + 2u * q], views[view + PIECES_FROM + 2u * q + 1u]);
    // What the output shows of the piece, in its pixels.
    let second = vec2((q & 1u) != 0u, (q & 2u) != 0u);
    let from_edge = vec2<f32>(max(select(vec2(0), cut, second), piece.at));
    let to_edge = vec2<f32>(min(select(cut, SIDES, second), piece.at + piece.size));

    let place = piece.source * PLACES + i % PLACES;
    let box = boxes[place];
    let size = vec2<f32>(piece.size);
    let centre = select(box.xy, vec2(1.0 - box.x, box.y), piece.flip);
    let whole = box.zw * size;
    let middle = vec2<f32>(piece.at) + centre * size;
    let low = max(middle - 0.5 * whole, from_edge);
    let high = min(middle + 0.5 * whole, to_edge);
    let sides = high - low;
    let enough = min(sides.x, sides.y) >= LEAST_SIDE
        && sides.x * sides.y >= LEAST_SHARE * (whole.x * whole.y)
        && max(sides.x, sides.y) <= MOST_ASPECT * min(sides.x, sides.y);
    let kept = enough && classes[place] >= 0;
    let all = vec2<f32>(SIDES);
    moved[i] = select(vec4(0.0), vec4(0.5 * (low + high) / all, sides / all), kept);
    moved_classes[i] = select(IGNORED, classes[place], kept);
}
