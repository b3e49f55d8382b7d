// Rows of a batch of transfers, laid out by kernels/src/transfer.
#import i160

struct Params {
    transfers_len: u32,
    events_len: u32,
    blocks_len: u32,
    padding: u32,
    gas_available: vec2<u32>,
}

// Amounts are 256 or 128 bits, least significant limb first; a batch on a device has high limbs of
// zero. A number of 64 bits is (low, high).
struct Transfer {
    value: vec4<u32>,
    value_high: vec4<u32>,
    fee_max: vec4<u32>,
    charge: vec4<u32>,
    tip: vec4<u32>,
    nonce: vec2<u32>,
    gas_limit: vec2<u32>,
    gas_used: vec2<u32>,
    sender: u32,
    recipient: u32,
}

struct Account {
    balance: array<vec2<u32>, 4>,
    nonce: vec2<u32>,
}

struct Event {
    account: u32,
    // 3 * index of the transfer + role: 0 sender, 1 recipient, 2 fee recipient.
    key: u32,
}

// What events have added to an account.
struct Running {
    amount: Amount,
    sends: u32,
}
