// The mean of the rows of a segment, or its first row, and the gradients. A row is WIDTH items.

// Four numbers at once where a row has a multiple of four.
#if FOUR
alias Item = vec4<f32>;
#else
alias Item = f32;
#end

@group(0) @binding(0) var<storage, read> x: array<Item>; // (TOKENS, D)
@group(0) @binding(0) var<storage, read> dy: array<Item>; // (TEXTS, D)
@group(0) @binding(1) var<storage, read> spans: array<vec2<i32>>; // (TEXTS, 2)
@group(0) @binding(2) var<storage, read_write> y: array<Item>; // (TEXTS, D)
@group(0) @binding(2) var<storage, read_write> owners: array<i32>; // (TOKENS)
@group(0) @binding(2) var<storage, read> owner_of: array<i32>; // (TOKENS)
@group(0) @binding(3) var<storage, read_write> dx: array<Item>; // (TOKENS, D)

// [first, end) of a text, within the tokens there are.
fn segment(text: u32) -> vec2<i32> {
    return clamp(spans[text], vec2(0), vec2(i32(TOKENS)));
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
    let span = segment(i / WIDTH);
    var sum = Item();
#if FIRST
    if span.x < span.y {
        sum = x[u32(span.x) * WIDTH + i % WIDTH];
    }
    y[i] = sum;
#else
    for (var n = span.x; n < span.y; n++) {
        sum += x[u32(n) * WIDTH + i % WIDTH];
    }
    y[i] = sum / f32(max(span.y - span.x, 1));
#end
}

// The text that each token has a share in, or -1.
@compute @workgroup_size(256)
fn own(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = flat_workgroup(workgroup, grid) * 256u + lane;
    if n >= LEN {
        return;
    }
    var owner = -1;
    for (var text = 0u; text < TEXTS; text++) {
        let span = segment(text);
#if FIRST
        let owned = span.x == i32(n) && span.x < span.y;
#else
        let owned = span.x <= i32(n) && i32(n) < span.y;
#end
        owner = select(owner, i32(text), owned);
    }
    owners[n] = owner;
}

@compute @workgroup_size(256)
fn backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let owner = owner_of[i / WIDTH];
    var d = Item();
    if owner >= 0 {
        d = dy[u32(owner) * WIDTH + i % WIDTH];
#if FIRST
#else
        let span = segment(u32(owner));
        d /= f32(span.y - span.x);
#end
    }
    dx[i] = d;
}
