// A batch's pixels as one word each: red in the lowest bits, then green, then blue. So a pixel between four takes four loads and
// not twelve. VECTOR: an invocation has four pixels; else one.

@group(0) @binding(0) var<storage, read> pixels: array<u32>; // four u8 a word, (N, 3, PLANE)
#if VECTOR
@group(0) @binding(1) var<storage, read_write> packed: array<vec4<u32>>;
#else
@group(0) @binding(1) var<storage, read_write> packed: array<u32>; // (N, PLANE)
#end

fn byte(at: u32) -> u32 {
    return (pixels[at / 4u] >> (at % 4u * 8u)) & 255u;
}

@compute @workgroup_size(256)
fn pack(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
#if VECTOR
    const WORDS = PLANE / 4u;
    let at = i / WORDS * 3u * WORDS + i % WORDS;
    let shifts = vec4(0u, 8u, 16u, 24u);
    let low = vec4(255u);
    let red = (vec4(pixels[at]) >> shifts) & low;
    let green = (vec4(pixels[at + WORDS]) >> shifts) & low;
    let blue = (vec4(pixels[at + 2u * WORDS]) >> shifts) & low;
    packed[i] = red | (green << vec4(8u)) | (blue << vec4(16u));
#else
    let at = i / PLANE * 3u * PLANE + i % PLANE;
    packed[i] = byte(at) | (byte(at + PLANE) << 8u) | (byte(at + 2u * PLANE) << 16u);
#end
}
