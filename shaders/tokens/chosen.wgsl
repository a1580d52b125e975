// The places of a packed batch that have a label, in order, with their labels.
//
// One workgroup: each invocation counts the labels of a stretch of its own, and writes behind those of the stretches before it.

@group(0) @binding(0) var<storage, read> labels: array<i32>; // (TOKENS)
@group(0) @binding(1) var<storage, read_write> places: array<i32>; // (ROWS)
@group(0) @binding(2) var<storage, read_write> chosen: array<i32>; // (ROWS)

var<workgroup> counts: array<u32, 256>;

@compute @workgroup_size(256)
fn forward(@builtin(local_invocation_index) lane: u32) {
    let first = min(lane * STRETCH, TOKENS);
    let end = min(first + STRETCH, TOKENS);
    var count = 0u;
    for (var token = first; token < end; token++) {
        count += u32(labels[token] >= 0);
    }
    counts[lane] = count;
    workgroupBarrier();

    var row = 0u;
    var total = 0u;
    for (var other = 0u; other < 256u; other++) {
        row += select(0u, counts[other], other < lane);
        total += counts[other];
    }
    for (var token = first; token < end; token++) {
        let label = labels[token];
        if label >= 0 {
            if row < ROWS {
                places[row] = i32(token);
                chosen[row] = label;
            }
            row++;
        }
    }
    for (var filler = total + lane; filler < ROWS; filler += 256u) {
        places[filler] = -1;
        chosen[filler] = -1;
    }
}
