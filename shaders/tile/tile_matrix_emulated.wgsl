// The built-in calls of tile_matrix.wgsl as plain arithmetic: the same places in workgroup memory, the same
// products, so that tests on any adapter see whether tiles are staged, addressed and stored right. SIZE
// invocations take the place of a subgroup, each with one row of C. A matrix of A or B is the place where it
// would be loaded from, which nothing writes to before it is used.
//
// Constants: SIZE; QUADS = SIZE / 4.

alias Row = array<vec4<f32>, QUADS>;

fn load_row(row: u32, at: u32, stride: u32) -> Row {
    var sums: Row;
#repeat q QUADS
    sums[{q}] = strip_quad(at + row * stride + 4u * {q}u);
#end
    return sums;
}

fn strip_quad(at: u32) -> vec4<f32> {
    return vec4(strips[at], strips[at + 1u], strips[at + 2u], strips[at + 3u]);
}

fn store_row(row: u32, sums: Row, at: u32, stride: u32) {
#repeat q QUADS
#repeat c 4
    strips[at + row * stride + 4u * {q}u + {c}u] = sums[{q}][{c}];
#end
#end
}

fn multiply_add(row: u32, left: u32, stride_a: u32, right: u32, stride_b: u32, sums: ptr<function, Row>) {
    for (var k = 0u; k < SIZE; k++) {
        let a = f32(tile_a[left + row * stride_a + k]);
        let at = right + k * stride_b;
#repeat q QUADS
        (*sums)[{q}] += a * vec4(
            f32(tile_b[at + 4u * {q}u]),
            f32(tile_b[at + 4u * {q}u + 1u]),
            f32(tile_b[at + 4u * {q}u + 2u]),
            f32(tile_b[at + 4u * {q}u + 3u]),
        );
#end
    }
}
