// A loss that sums over rows: calls row_loss(row, lane), which gives (loss, 1 where the row counts).
// loss = FACTOR * sum; where COUNTED also divided by the number of rows that count, whose inverse is kept.
// SINGLE: one workgroup does it all in one dispatch; else `forward` writes row by row, `finish` sums.

#import rows

@group(0) @binding(5) var<storage, read_write> row_losses: array<vec2<f32>>; // (N)
@group(0) @binding(5) var<storage, read> finished_rows: array<vec2<f32>>; // (N)
@group(0) @binding(6) var<storage, read_write> loss: array<f32>; // (1)
@group(0) @binding(7) var<storage, read_write> inverse_count: array<f32>; // (1)

fn write_loss(total: vec4<f32>, lane: u32) {
    if lane == 0u {
#if COUNTED
        var inverse = 0.0;
        if total.y > 0.0 {
            inverse = 1.0 / total.y;
        }
        inverse_count[0] = inverse;
        loss[0] = total.x * inverse * FACTOR;
#else
        loss[0] = total.x * FACTOR;
#end
    }
}

@compute @workgroup_size(WORKGROUP)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
#if SINGLE
    var sum = vec2(0.0);
    for (var row = lane; row < ROWS; row += WORKGROUP) {
        sum += row_loss(row, lane);
    }
    write_loss(group_sum(vec4(sum, 0.0, 0.0), lane), lane);
#else
    let row = row_of(flat_workgroup(workgroup, grid), lane);
    if row >= ROWS {
        return;
    }
    let value = row_loss(row, lane);
    if first_of(lane) == 0u {
        row_losses[row] = value;
    }
#end
}

@compute @workgroup_size(WORKGROUP)
fn finish(@builtin(local_invocation_index) lane: u32) {
    var sum = vec2(0.0);
    for (var row = lane; row < ROWS; row += WORKGROUP) {
        sum += finished_rows[row];
    }
    write_loss(group_sum(vec4(sum, 0.0, 0.0), lane), lane);
}
