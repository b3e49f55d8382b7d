// What a lane contributes to the scan of transfers.
// The importing shader declares `params`, `transfers` and `events`.
#import transfer
#import scan

// Bounds: |amount| < 2^129.
fn contribution(role: u32, transfer: Transfer) -> Amount {
    let value = amount_from(transfer.value);
    if role == 0u {
        return amount_sub(amount_sub(Amount(), value), amount_from(transfer.charge));
    }
    if role == 1u {
        return value;
    }
    return amount_from(transfer.tip);
}

// The event at `position`, and the gas of the transfer of that index.
fn lane_sum(position: u32) -> Sum {
    var sum = Sum();
    if position < params.events_len {
        let event = events[position];
        let role = event.key % 3u;
        sum.amount = contribution(role, transfers[event.key / 3u]);
        sum.sends = u32(role == 0u);
        sum.has_head = u32(is_head(position));
    }
    if position < params.transfers_len {
        let gas = transfers[position].gas_used;
        sum.gas_low = gas.x;
        sum.gas_high = gas.y;
    }
    return sum;
}

// Whether the event at `position` is its account's first.
fn is_head(position: u32) -> bool {
    return position == 0u || events[position - 1u].account != events[position].account;
}
