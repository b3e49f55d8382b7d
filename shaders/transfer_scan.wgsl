// Transfer scan, pass 2 of 4: the exclusive scan of the blocks' sums, in place.
//
// One workgroup in all. One invocation: BLOCKS_PER_LANE consecutive blocks, which bounds a batch
// to BLOCK * BLOCKS_PER_LANE blocks. Cost: twice BLOCKS_PER_LANE steps and one scan of the workgroup.
#import transfer
#import scan

@group(0) @binding(0) var<storage, read> params: Params;
@group(0) @binding(1) var<storage, read_write> blocks: array<Sum>;

@compute @workgroup_size(BLOCK)
fn main(@builtin(local_invocation_index) lane: u32) {
    let start = lane * BLOCKS_PER_LANE;
    var total = Sum();
    for (var step = 0u; step < BLOCKS_PER_LANE; step++) {
        if start + step < params.blocks_len {
            total = sum_then(total, blocks[start + step]);
        }
    }
    scan_lanes(lane, total);
    var before = Sum();
    if lane > 0u {
        before = lanes[lane - 1u];
    }
    for (var step = 0u; step < BLOCKS_PER_LANE; step++) {
        if start + step < params.blocks_len {
            let block = blocks[start + step];
            blocks[start + step] = before;
            before = sum_then(before, block);
        }
    }
}
