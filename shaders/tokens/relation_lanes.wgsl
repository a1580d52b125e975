// relation.wgsl for subgroups of 8, as attention_lanes.wgsl.

#import heads

@group(0) @binding(0) var<storage, read> student_a: array<Item>; // (TOKENS, HEADS, ITEMS0)
@group(0) @binding(1) var<storage, read> student_b: array<Item>;
@group(0) @binding(2) var<storage, read> teacher_a: array<Item>; // (TOKENS, HEADS, ITEMS1)
@group(0) @binding(3) var<storage, read> teacher_b: array<Item>;
@group(0) @binding(4) var<storage, read> ranges: array<vec2<i32>>; // (TOKENS, 2)
@group(0) @binding(5) var<storage, read_write> stats: array<vec4<f32>>; // (TOKENS, HEADS, 4)
@group(0) @binding(5) var<storage, read> saved_stats: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> losses: array<vec2<f32>>; // (TOKENS, HEADS, 2): loss, weight
@group(0) @binding(6) var<storage, read> factor: array<f32>; // (1)
@group(0) @binding(7) var<storage, read_write> gradient: array<Item>; // (TOKENS, HEADS, ITEMS0)

@compute @workgroup_size(8)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = flat_workgroup(workgroup, grid);
    let first = at % EIGHTS * 8u;
    let head = at / EIGHTS;
    let row = token(first + lane) * HEADS + head;
    let range = range_of(token(first + lane));
    let all = range_of_eight(first);
#repeat i ITEMS0
    let own_s{i} = student_a[row * ITEMS0 + {i}u];
#end
#repeat i ITEMS1
    let own_t{i} = teacher_a[row * ITEMS1 + {i}u];
#end
    var top = vec2(LOWEST);
    var sum = vec2(0.0);
    var difference = 0.0;
    for (var key = all.x; key < all.y; key += 8u) {
        let other = token(key + lane) * HEADS + head;
#repeat t 8
        var s{t} = 0.0;
        var t{t} = 0.0;
#end
#repeat i ITEMS0
        let row_s{i} = student_b[other * ITEMS0 + {i}u];
#repeat t 8
        s{t} += item_sum(own_s{i} * subgroupBroadcast(row_s{i}, {t}u));
#end
#end
#repeat i ITEMS1
        let row_t{i} = teacher_b[other * ITEMS1 + {i}u];
#repeat t 8
        t{t} += item_sum(own_t{i} * subgroupBroadcast(row_t{i}, {t}u));
#end
#end
#if KL
        var new_top = top;
#repeat t 8
        let score{t} = vec2(s{t} * SCALE0, t{t} * SCALE1);
        new_top = max(new_top, select(vec2(LOWEST), score{t}, sees(range, key + {t}u)));
#end
        let kept = exp(top - new_top);
        top = new_top;
        sum *= kept;
        difference *= kept.y;
#repeat t 8
        let e{t} = select(vec2(0.0), exp(score{t} - top), sees(range, key + {t}u));
        sum += e{t};
        difference += e{t}.y * (score{t}.y - score{t}.x);
#end
#else
#repeat t 8
        let apart{t} = select(0.0, t{t} * SCALE1 - s{t} * SCALE0, sees(range, key + {t}u));
        difference += apart{t} * apart{t};
#end
#end
    }
    if first + lane >= TOKENS {
        return;
    }
#if KL
    if range.x < range.y {
        let weight = 1.0 / text_length(token(first + lane));
        let kl = difference / sum.y - (top.y - top.x) - (log(sum.y) - log(sum.x));
        stats[row] = vec4(top.x, weight / sum.x, top.y, weight / sum.y);
        losses[row] = vec2(kl * weight, weight);
    } else {
        stats[row] = vec4(0.0);
        losses[row] = vec2(0.0);
    }
#else
    losses[row] = vec2(difference, f32(max(range.y, range.x) - range.x));
#end
}

@compute @workgroup_size(8)
fn backward_queries(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = flat_workgroup(workgroup, grid);
    let first = at % EIGHTS * 8u;
    let head = at / EIGHTS;
    let row = token(first + lane) * HEADS + head;
    let range = range_of(token(first + lane));
    let all = range_of_eight(first);
#if KL
    let saved = saved_stats[row];
#end
#repeat i ITEMS0
    let own_s{i} = student_a[row * ITEMS0 + {i}u];
    var d_own{i} = Item();
#end
#repeat i ITEMS1
    let own_t{i} = teacher_a[row * ITEMS1 + {i}u];
#end
    for (var key = all.x; key < all.y; key += 8u) {
        let other = token(key + lane) * HEADS + head;
#repeat t 8
        var s{t} = 0.0;
        var t{t} = 0.0;
#end
#repeat i ITEMS0
        let row_s{i} = student_b[other * ITEMS0 + {i}u];
#repeat t 8
        s{t} += item_sum(own_s{i} * subgroupBroadcast(row_s{i}, {t}u));
#end
#end
#repeat i ITEMS1
        let row_t{i} = teacher_b[other * ITEMS1 + {i}u];
#repeat t 8
        t{t} += item_sum(own_t{i} * subgroupBroadcast(row_t{i}, {t}u));
#end
#end
#repeat t 8
#if KL
        let d{t} = select(0.0, exp(s{t} * SCALE0 - saved.x) * saved.y - exp(t{t} * SCALE1 - saved.z) * saved.w,
            sees(range, key + {t}u));
#else
        let d{t} = select(0.0, 2.0 * (s{t} * SCALE0 - t{t} * SCALE1), sees(range, key + {t}u));
#end
#end
#repeat i ITEMS0
#repeat t 8
        d_own{i} += d{t} * subgroupBroadcast(row_s{i}, {t}u);
#end
#end
    }
    if first + lane < TOKENS {
        let scale = SCALE0 * factor[0];
#repeat i ITEMS0
        gradient[row * ITEMS0 + {i}u] = d_own{i} * scale;
#end
    }
}

@compute @workgroup_size(8)
fn backward_keys(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = flat_workgroup(workgroup, grid);
    let first = at % EIGHTS * 8u;
    let head = at / EIGHTS;
    let key = token(first + lane);
    let row = key * HEADS + head;
#repeat i ITEMS0
    let own_s{i} = student_b[row * ITEMS0 + {i}u];
    var d_own{i} = Item();
#end
#repeat i ITEMS1
    let own_t{i} = teacher_b[row * ITEMS1 + {i}u];
#end
    for (var n = first_readers(first); n < TOKENS; n += 8u) {
        if is_past(range_of(n), token(first + 7u)) {
            break;
        }
        let other = token(n + lane) * HEADS + head;
        // Behind the last token none that sees anything.
        let range = select(vec2(0u), range_of(token(n + lane)), n + lane < TOKENS);
#if KL
        let saved = saved_stats[other];
#end
#repeat t 8
        var s{t} = 0.0;
        var t{t} = 0.0;
#end
#repeat i ITEMS0
        let row_s{i} = student_a[other * ITEMS0 + {i}u];
#repeat t 8
        s{t} += item_sum(own_s{i} * subgroupBroadcast(row_s{i}, {t}u));
#end
#end
#repeat i ITEMS1
        let row_t{i} = teacher_a[other * ITEMS1 + {i}u];
#repeat t 8
        t{t} += item_sum(own_t{i} * subgroupBroadcast(row_t{i}, {t}u));
#end
#end
#repeat t 8
        let sees{t} = sees(subgroupBroadcast(range, {t}u), key);
#if KL
        let saved{t} = subgroupBroadcast(saved, {t}u);
        let d{t} = select(0.0, exp(s{t} * SCALE0 - saved{t}.x) * saved{t}.y
            - exp(t{t} * SCALE1 - saved{t}.z) * saved{t}.w, sees{t});
#else
        let d{t} = select(0.0, 2.0 * (s{t} * SCALE0 - t{t} * SCALE1), sees{t});
#end
#end
#repeat i ITEMS0
#repeat t 8
        d_own{i} += d{t} * subgroupBroadcast(row_s{i}, {t}u);
#end
#end
    }
    if first + lane < TOKENS {
        let scale = SCALE0 * factor[0];
#repeat i ITEMS0
        gradient[row * ITEMS0 + {i}u] = d_own{i} * scale;
#end
    }
}
