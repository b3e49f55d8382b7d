// Segmented inclusive scan of the sums of BLOCK lanes, one lane an invocation of the workgroup.
//
// In: BLOCK, a power of two of LANE_STEPS bits. Cost: LANE_STEPS steps with two barriers each.
// Three passes (reduce, scan of the blocks, apply) need no progress of one workgroup while
// another waits, which WebGPU would not promise.
#import i160

// The sum over a run of events and of transfers.
struct Sum {
    // Of the events from the last segment head on, or of all if the run has none.
    amount: Amount,
    sends: u32,
    // 1 if the run has a segment head.
    has_head: u32,
    // Of the transfers, modulo 2^64, heads or not.
    gas_low: u32,
    gas_high: u32,
}

// `x` followed by `y`: associative, Sum() is its unit.
fn sum_then(x: Sum, y: Sum) -> Sum {
    var sum = y;
    if y.has_head == 0u {
        sum.amount = amount_add(x.amount, y.amount);
        sum.sends = x.sends + y.sends;
        sum.has_head = x.has_head;
    }
    let gas = u64_add(vec2(x.gas_low, x.gas_high), vec2(y.gas_low, y.gas_high));
    sum.gas_low = gas.x;
    sum.gas_high = gas.y;
    return sum;
}

var<workgroup> lanes: array<Sum, BLOCK>;

// Leaves the inclusive scan in `lanes`, for all lanes to read.
fn scan_lanes(lane: u32, mine: Sum) {
    var sum = mine;
    lanes[lane] = sum;
    workgroupBarrier();
    for (var step = 0u; step < LANE_STEPS; step++) {
        let distance = 1u << step;
        if lane >= distance {
            sum = sum_then(lanes[lane - distance], sum);
        }
        workgroupBarrier();
        lanes[lane] = sum;
        workgroupBarrier();
    }
}
