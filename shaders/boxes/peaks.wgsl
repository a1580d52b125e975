// y = 1 where no other anchor of the cell and its eight neighbours with the same class has a higher score, else 0; of equal
// scores the first in memory has it. (N, ANCHORS, ROWS, COLUMNS).

@group(0) @binding(0) var<storage, read> scores: array<f32>;
@group(0) @binding(1) var<storage, read> classes: array<i32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

const CELLS: u32 = ROWS * COLUMNS;

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
    let score = scores[i];
    let class_here = classes[i];
    let column = i % COLUMNS;
    let row = i / COLUMNS % ROWS;
    let image = i / (CELLS * ANCHORS) * (CELLS * ANCHORS);
    var peak = 1.0;
    for (var a = 0u; a < ANCHORS; a++) {
        for (var r = max(row, 1u) - 1u; r < min(row + 2u, ROWS); r++) {
            for (var c = max(column, 1u) - 1u; c < min(column + 2u, COLUMNS); c++) {
                let other = image + a * CELLS + r * COLUMNS + c;
                let rival = scores[other];
                if classes[other] == class_here && (rival > score || (rival == score && other < i)) {
                    peak = 0.0;
                }
            }
        }
    }
    y[i] = peak;
}
