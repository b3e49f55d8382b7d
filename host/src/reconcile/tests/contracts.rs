//! Contracts that make the transactions of a block depend on each other in every way there is.
//!
//! All of them run under Frontier's rules too (a later opcode is then an invalid one). Words of
//! calldata are written c0, c1 and so on.

use alloy_primitives::Address;
use revm::bytecode::opcode::*;

/// A contract at an address of its own.
pub(super) struct Contract {
    pub(super) id: u8,
    pub(super) code: &'static [u8],
}

impl Contract {
    pub(super) const fn address(&self) -> Address {
        Address::repeat_byte(self.id)
    }
}

/// `storage[c0] += 1`.
pub(super) const COUNTER: Contract = Contract {
    id: 0xa0,
    code: &[PUSH1, 0, CALLDATALOAD, SLOAD, PUSH1, 1, ADD, PUSH1, 0, CALLDATALOAD, SSTORE, STOP],
};

/// `storage[c0] = storage[c1] + balance(c2)`, and a log of it.
pub(super) const MIXER: Contract = Contract {
    id: 0xa1,
    #[rustfmt::skip]
    code: &[
        PUSH1, 64, CALLDATALOAD, BALANCE, PUSH1, 32, CALLDATALOAD, SLOAD, ADD,
        DUP1, PUSH1, 0, CALLDATALOAD, SSTORE, PUSH1, 0, PUSH1, 0, LOG1, STOP,
    ],
};

/// `storage[c0] = balance(coinbase)`.
pub(super) const FEE_WATCHER: Contract =
    Contract { id: 0xa2, code: &[COINBASE, BALANCE, PUSH1, 0, CALLDATALOAD, SSTORE, STOP] };

/// Passes the value on to c0, and notes whether that worked.
pub(super) const PAYER: Contract = Contract {
    id: 0xa3,
    #[rustfmt::skip]
    code: &[
        PUSH1, 0, PUSH1, 0, PUSH1, 0, PUSH1, 0, CALLVALUE, PUSH1, 0, CALLDATALOAD, PUSH2, 0x75, 0x30, CALL,
        PUSH1, 1, SSTORE, STOP,
    ],
};

/// Passes the value on to the fee recipient.
pub(super) const TIPPER: Contract = Contract {
    id: 0xa4,
    code: &[PUSH1, 0, PUSH1, 0, PUSH1, 0, PUSH1, 0, CALLVALUE, COINBASE, PUSH2, 0x75, 0x30, CALL, STOP],
};

/// `CREATE`s from calldata and notes the address.
pub(super) const FACTORY: Contract = Contract {
    id: 0xa5,
    #[rustfmt::skip]
    code: &[
        CALLDATASIZE, PUSH1, 0, PUSH1, 0, CALLDATACOPY,
        CALLDATASIZE, PUSH1, 0, CALLVALUE, CREATE, PUSH1, 0, SSTORE, STOP,
    ],
};

/// `CREATE2`s with the salt c0 from the calldata behind it, and notes the address.
pub(super) const FACTORY2: Contract = Contract {
    id: 0xa6,
    #[rustfmt::skip]
    code: &[
        PUSH1, 32, CALLDATASIZE, SUB, PUSH1, 32, PUSH1, 0, CALLDATACOPY,
        PUSH1, 0, CALLDATALOAD, PUSH1, 32, CALLDATASIZE, SUB, PUSH1, 0, CALLVALUE, CREATE2,
        PUSH1, 0, SSTORE, STOP,
    ],
};

/// Writes a slot and fails: `REVERT`, or an invalid opcode before Byzantium.
pub(super) const REVERTER: Contract =
    Contract { id: 0xa7, code: &[PUSH1, 1, PUSH1, 0, SSTORE, PUSH1, 0, PUSH1, 0, REVERT] };

/// Runs out of gas.
pub(super) const BURNER: Contract = Contract { id: 0xa8, code: &[JUMPDEST, PUSH1, 0, JUMP] };

/// Calls c0 with the calldata behind it, whatever comes of it.
pub(super) const RELAY: Contract = Contract {
    id: 0xa9,
    #[rustfmt::skip]
    code: &[
        PUSH1, 32, CALLDATASIZE, SUB, PUSH1, 32, PUSH1, 0, CALLDATACOPY,
        PUSH1, 0, PUSH1, 0, PUSH1, 32, CALLDATASIZE, SUB, PUSH1, 0, CALLVALUE,
        PUSH1, 0, CALLDATALOAD, PUSH3, 0x01, 0x00, 0x00, CALL,
        PUSH1, 0, SSTORE, STOP,
    ],
};

/// `storage[c0] = extcodesize(c0)`, and a log of the first word of its code.
pub(super) const INSPECTOR: Contract = Contract {
    id: 0xaa,
    #[rustfmt::skip]
    code: &[
        PUSH1, 0, CALLDATALOAD, EXTCODESIZE, PUSH1, 0, CALLDATALOAD, SSTORE,
        PUSH1, 32, PUSH1, 0, PUSH1, 0, PUSH1, 0, CALLDATALOAD, EXTCODECOPY,
        PUSH1, 32, PUSH1, 0, LOG0, STOP,
    ],
};

/// `storage[0] = gas`: what it costs depends on what was there.
pub(super) const GAUGE: Contract =
    Contract { id: 0xab, code: &[GAS, PUSH1, 0, SSTORE, GAS, PUSH1, 1, SSTORE, STOP] };

/// Without calldata `storage[5] += 1`; with it, destroys itself in favour of c0.
pub(super) const MORTAL: Contract = Contract {
    id: 0xac,
    #[rustfmt::skip]
    code: &[
        CALLDATASIZE, PUSH1, 14, JUMPI,
        PUSH1, 5, SLOAD, PUSH1, 1, ADD, PUSH1, 5, SSTORE, STOP,
        JUMPDEST, PUSH1, 0, CALLDATALOAD, SELFDESTRUCT,
    ],
};

/// All of them.
pub(super) const CONTRACTS: [Contract; 13] = [
    COUNTER,
    MIXER,
    FEE_WATCHER,
    PAYER,
    TIPPER,
    FACTORY,
    FACTORY2,
    REVERTER,
    BURNER,
    RELAY,
    INSPECTOR,
    GAUGE,
    MORTAL,
];

/// `storage[7] += 1`, and the code of [`MORTAL`]: what an earlier life stored must be gone.
#[rustfmt::skip]
const MORTAL_INIT_CODE: &[u8] = &[
    PUSH1, 7, SLOAD, PUSH1, 1, ADD, PUSH1, 7, SSTORE,
    PUSH1, 19, PUSH1, 21, PUSH1, 0, CODECOPY, PUSH1, 19, PUSH1, 0, RETURN,
    CALLDATASIZE, PUSH1, 14, JUMPI,
    PUSH1, 5, SLOAD, PUSH1, 1, ADD, PUSH1, 5, SSTORE, STOP,
    JUMPDEST, PUSH1, 0, CALLDATALOAD, SELFDESTRUCT,
];

/// Codes that run once: one that makes a [`MORTAL`], one that dies while it is made, one that makes
/// an account without code, and one that fails.
pub(super) const INIT_CODES: [&[u8]; 4] = [
    MORTAL_INIT_CODE,
    &[PUSH1, 1, PUSH1, 7, SSTORE, CALLER, SELFDESTRUCT],
    &[STOP],
    &[PUSH1, 0, PUSH1, 0, REVERT],
];
