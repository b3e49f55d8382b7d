// Transfer scan, pass 1 of 4: the sum of each block of events.
//
// One invocation: the event at its place in the order of accounts, and the gas of the transfer of
// that index. One workgroup: a block. Cost: one scan of a workgroup; transfers are gathered.
#import transfer_lane

@group(0) @binding(0) var<storage, read> params: Params;
@group(0) @binding(1) var<storage, read> transfers: array<Transfer>;
@group(0) @binding(2) var<storage, read> events: array<Event>;
@group(0) @binding(3) var<storage, read_write> blocks: array<Sum>;

@compute @workgroup_size(BLOCK)
fn main(@builtin(workgroup_id) block: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    scan_lanes(lane, lane_sum(block.x * BLOCK + lane));
    if lane == BLOCK - 1u && block.x < params.blocks_len {
        blocks[block.x] = lanes[lane];
    }
}
