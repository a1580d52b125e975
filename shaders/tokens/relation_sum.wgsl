// The loss of all rows: the sum of their losses by that of their weights, whose inverse is kept.

#import rows

@group(0) @binding(0) var<storage, read> losses: array<vec2<f32>>; // (ROWS, 2)
@group(0) @binding(1) var<storage, read_write> loss: array<f32>; // (1)
@group(0) @binding(2) var<storage, read_write> inverse_weight: array<f32>; // (1)

@compute @workgroup_size(WORKGROUP)
fn sum_rows(@builtin(local_invocation_index) lane: u32) {
    var sum = vec2(0.0);
    for (var row = lane; row < ROWS; row += WORKGROUP) {
        sum += losses[row];
    }
    let total = group_sum(vec4(sum, 0.0, 0.0), lane);
    if lane == 0u {
        var inverse = 0.0;
        if total.y > 0.0 {
            inverse = 1.0 / total.y;
        }
        inverse_weight[0] = inverse;
        loss[0] = total.x * inverse;
    }
}
