// Transfer scan, pass 3 of 4: checks every transfer against what was there just before it.
//
// One invocation: the event at its place (what its account had, what it has then, and, if it is the
// sender's, whether that suffices), and the gas pool for the transfer of that index. Failures meet in
// one atomic minimum of 8 * transfer + reason. Values behind the first failure are bounded, but
// mean nothing: only the least failure counts. Nothing overflows 256 bits in a batch of 128-bit
// amounts, so recipients cannot fail here. Cost: one scan of a workgroup; transfers are gathered.
#import transfer_lane

struct Summary {
    first: atomic<u32>,
    blocks_applied: atomic<u32>,
    blocks_settled: u32,
}

@group(0) @binding(0) var<storage, read> params: Params;
@group(0) @binding(1) var<storage, read> transfers: array<Transfer>;
@group(0) @binding(2) var<storage, read> events: array<Event>;
@group(0) @binding(3) var<storage, read> accounts: array<Account>;
@group(0) @binding(4) var<storage, read> blocks: array<Sum>;
@group(0) @binding(5) var<storage, read_write> after: array<Running>;
@group(0) @binding(6) var<storage, read_write> summary: Summary;

// The code of what a sender fails on, or NO_FAILURE.
fn sender_failure(account: u32, transfer: Transfer, had_amount: Amount, had_sends: u32) -> u32 {
    let start = accounts[account];
    let nonce = u64_add(start.nonce, vec2(had_sends, 0u));
    if u64_less(transfer.nonce, nonce) {
        return NONCE_TOO_LOW;
    }
    if u64_less(nonce, transfer.nonce) {
        return NONCE_TOO_HIGH;
    }
    let owned = amount_from(vec4(start.balance[0], start.balance[1]));
    let need = amount_add(amount_from(transfer.value), amount_from(transfer.fee_max));
    if amount_less(amount_add(owned, had_amount), need) {
        return INSUFFICIENT_FUNDS;
    }
    return NO_FAILURE;
}

@compute @workgroup_size(BLOCK)
fn main(@builtin(workgroup_id) block: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let position = block.x * BLOCK + lane;
    scan_lanes(lane, lane_sum(position));
    if block.x >= params.blocks_len {
        return;
    }
    var before = blocks[block.x];
    let inclusive = sum_then(before, lanes[lane]);
    if lane > 0u {
        before = sum_then(before, lanes[lane - 1u]);
    }

    if position < params.transfers_len {
        let left = u64_saturating_sub(params.gas_available, vec2(before.gas_low, before.gas_high));
        if u64_less(left, transfers[position].gas_limit) {
            atomicMin(&summary.first, 8u * position + GAS_POOL);
        }
    }
    if position < params.events_len {
        let event = events[position];
        if is_head(position) {
            before = Sum();
        }
        if event.key % 3u == 0u {
            let index = event.key / 3u;
            let reason = sender_failure(event.account, transfers[index], before.amount, before.sends);
            if reason != NO_FAILURE {
                atomicMin(&summary.first, 8u * index + reason);
            }
        }
        after[position] = Running(inclusive.amount, inclusive.sends);
    }
    if lane == 0u {
        atomicAdd(&summary.blocks_applied, 1u);
    }
}
