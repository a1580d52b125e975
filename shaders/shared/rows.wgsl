// Reductions along the rows of a dense (ROWS, COLUMNS) tensor, shared by the ops that work by row.
//
// VECTOR: COLUMNS is a multiple of 4 and a row is read as vec4, ELEMS of them. SHARED: the WORKGROUP invocations share
// one row; else each has a row of its own and needs no barrier.

#if VECTOR
alias Elem = vec4<f32>;
const WIDTH: u32 = 4u;
fn first_element(v: Elem) -> f32 { return v.x; }
fn elem_sum(v: Elem) -> f32 { return (v.x + v.y) + (v.z + v.w); }
fn elem_max(v: Elem) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }
#else
alias Elem = f32;
const WIDTH: u32 = 1u;
fn first_element(v: Elem) -> f32 { return v; }
fn elem_sum(v: Elem) -> f32 { return v; }
fn elem_max(v: Elem) -> f32 { return v; }
#end

// Below every logit that matters; WGSL has no infinity.
const LOWEST: f32 = -3.0e38;

var<workgroup> group_values: array<vec4<f32>, WORKGROUP>;

// Sum of the workgroup's values in a fixed tree, the same for all invocations.
fn group_sum(value: vec4<f32>, lane: u32) -> vec4<f32> {
    group_values[lane] = value;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if lane < half {
            group_values[lane] += group_values[lane + half];
        }
        workgroupBarrier();
    }
    let total = group_values[0];
    workgroupBarrier();
    return total;
}

fn group_max(value: vec4<f32>, lane: u32) -> vec4<f32> {
    group_values[lane] = value;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if lane < half {
            group_values[lane] = max(group_values[lane], group_values[lane + half]);
        }
        workgroupBarrier();
    }
    let top = group_values[0];
    workgroupBarrier();
    return top;
}

fn row_sum(value: vec4<f32>, lane: u32) -> vec4<f32> {
#if SHARED
    return group_sum(value, lane);
#else
    return value;
#end
}

fn row_max(value: vec4<f32>, lane: u32) -> vec4<f32> {
#if SHARED
    return group_max(value, lane);
#else
    return value;
#end
}

// An invocation's row. Where SHARED it is uniform over the workgroup, so that barriers may follow a test of it.
fn row_of(group: u32, lane: u32) -> u32 {
#if SHARED
    return group;
#else
    return group * WORKGROUP + lane;
#end
}

// The first Elem of the row that the invocation handles; it goes on in steps of STEP.
fn first_of(lane: u32) -> u32 {
#if SHARED
    return lane;
#else
    return 0u;
#end
}

#if SHARED
const STEP: u32 = WORKGROUP;
#else
const STEP: u32 = 1u;
#end

// NaN: from a variable, because the compiler refuses it as a constant.
fn nan() -> f32 {
    var bits = 0x7fc00000u;
    return bitcast<f32>(bits);
}
