// The built-in calls of tile_matrix.wgsl as plain arithmetic of one invocation: the same places in workgroup memory, the same
// products, so that tests on any adapter see whether tiles are staged, addressed and stored right. A matrix of A or B is the
// place where it would be loaded from, which nothing writes to before it is used; C is an array.

alias Start = u32;
alias Sums = array<f32, SIZE * SIZE>;

// SIZE, as no compiler knows: it would unroll these loops, in every one of many copies.
fn size() -> u32 {
    return SIZE * min(arrayLength(&b), 1u);
}

fn load_sums(at: u32, stride: u32) -> Sums {
    var sums: Sums;
    for (var i = 0u; i < size(); i++) {
        for (var j = 0u; j < size(); j++) {
            sums[i * SIZE + j] = strips[at + i * stride + j];
        }
    }
    return sums;
}

fn store_sums(sums: ptr<function, Sums>, at: u32, stride: u32) {
    for (var i = 0u; i < size(); i++) {
        for (var j = 0u; j < size(); j++) {
            strips[at + i * stride + j] = (*sums)[i * SIZE + j];
        }
    }
}

fn multiply_add(left: Start, stride_left: u32, right: Start, stride_right: u32, sums: ptr<function, Sums>) {
    for (var i = 0u; i < size(); i++) {
        for (var j = 0u; j < size(); j++) {
            var sum = (*sums)[i * SIZE + j];
            for (var k = 0u; k < size(); k++) {
                sum += f32(tile_a[left + i * stride_left + k]) * f32(tile_b[right + k * stride_right + j]);
            }
            (*sums)[i * SIZE + j] = sum;
        }
    }
}
