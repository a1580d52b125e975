// For each token of a packed batch: the tokens that it may see, and its place in its text.

@group(0) @binding(0) var<storage, read> spans: array<vec2<i32>>; // (TEXTS, 2)
@group(0) @binding(1) var<storage, read_write> ranges: array<vec2<i32>>; // (LEN, 2)
@group(0) @binding(2) var<storage, read_write> positions: array<i32>; // (LEN)

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = flat_workgroup(workgroup, grid) * 256u + lane;
    if n >= LEN {
        return;
    }
    let token = i32(n);
    var span = vec2(0);
    for (var text = 0u; text < TEXTS; text++) {
        let other = spans[text];
        span = select(span, other, other.x <= token && token < other.y);
    }
    // A text that goes on behind the last token ends with it.
    let within = clamp(span, vec2(0), vec2(i32(LEN)));
    let is_text = within.x < within.y;
#if CAUSAL
    let end = token + 1;
#else
    let end = within.y;
#end
    ranges[n] = select(vec2(0), vec2(within.x, end), is_text);
    positions[n] = select(-1, token - within.x, is_text);
}
