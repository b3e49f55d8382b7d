// Transfer scan, pass 4 of 4: the accounts as they stand after all transfers before the first failure.
//
// One invocation: the event at its place. It writes its account if it stands and no later event of
// the account does, so each account has at most one writer. Cost: a few reads.
#import transfer

struct Summary {
    first: u32,
    blocks_applied: u32,
    blocks_settled: atomic<u32>,
}

@group(0) @binding(0) var<storage, read> params: Params;
@group(0) @binding(1) var<storage, read> events: array<Event>;
@group(0) @binding(2) var<storage, read> after: array<Running>;
@group(0) @binding(3) var<storage, read_write> accounts: array<Account>;
@group(0) @binding(4) var<storage, read_write> summary: Summary;

// Whether the event is of a transfer before the first failure.
fn stands(event: Event) -> bool {
    return event.key / 3u < summary.first / 8u || summary.first == NO_FAILURE;
}

@compute @workgroup_size(BLOCK)
fn main(@builtin(workgroup_id) block: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let position = block.x * BLOCK + lane;
    if lane == 0u {
        atomicAdd(&summary.blocks_settled, 1u);
    }
    if position >= params.events_len {
        return;
    }
    let event = events[position];
    var last = true;
    if position + 1u < params.events_len {
        let next = events[position + 1u];
        last = next.account != event.account || !stands(next);
    }
    if stands(event) && last {
        let had = after[position];
        let start = accounts[event.account];
        // Not below zero: the transfers before the failure were all covered.
        let sum = amount_add(amount_from(vec4(start.balance[0], start.balance[1])), had.amount);
        let nonce = u64_add(start.nonce, vec2(had.sends, 0u));
        let balance = array(vec2(sum.a, sum.b), vec2(sum.c, sum.d), vec2(sum.e, 0u), vec2(0u));
        accounts[event.account] = Account(balance, nonce);
    }
}
