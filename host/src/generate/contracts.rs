//! The contracts of a mixed chain, assembled by hand: each stands for a way in which real
//! contracts make transactions depend on each other.
//!
//! The listings are laid out by statement, which rustfmt would undo; the stack after a line stands
//! behind it, top last.

use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, U256, b256, keccak256};
use revm::bytecode::opcode::*;
use std::collections::BTreeMap;

/// A contract that a chain has from genesis on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contract {
    name: &'static str,
    code: &'static [u8],
}

impl Contract {
    /// Its address, which follows from its name.
    pub(super) fn address(&self) -> Address {
        Address::from_word(keccak256(self.name))
    }

    /// Its account at genesis.
    pub(super) fn account(&self) -> GenesisAccount {
        GenesisAccount::default().with_nonce(Some(1)).with_code(Some(Bytes::from_static(self.code)))
    }
}

/// All of them.
pub(super) const CONTRACTS: [Contract; 7] = [TOKEN, COUNTER, REVERTER, BURNER, DEPLOYER, SPLITTER, PROBE];

/// Topic of `Transfer(address,address,uint256)`.
const TRANSFER_TOPIC: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// Position of the JUMPDEST of [`TOKEN`]'s failure path.
const TOKEN_FAIL: u8 = 90;

/// Position of the JUMPDEST of [`DEPLOYER`]'s CREATE2 path.
const DEPLOYER_CREATE2: u8 = 30;

/// ERC-20's `transfer(address to, uint256 amount)` alone: balances in the mapping at slot 0, a
/// revert where the balance is too small, and the Transfer event.
#[rustfmt::skip]
pub(super) const TOKEN: Contract = Contract {
    name: "token",
    code: &{
        let head = [
            // Slot of the caller's balance: keccak256(caller . 0).
            CALLER, PUSH0, MSTORE, PUSH1, 64, PUSH0, KECCAK256,         // slot
            DUP1, SLOAD, PUSH1, 36, CALLDATALOAD,                       // slot balance amount
            // Fail if balance < amount.
            DUP1, DUP3, LT, PUSH1, TOKEN_FAIL, JUMPI,                   // slot balance amount
            // balance -= amount
            DUP1, SWAP2, SUB, SWAP1, SWAP2, SSTORE,                     // amount
            // The same slot of the recipient; balance += amount.
            PUSH1, 4, CALLDATALOAD, PUSH0, MSTORE, PUSH1, 64, PUSH0, KECCAK256, // amount slot
            DUP1, SLOAD, DUP3, ADD, SWAP1, SSTORE,                      // amount
            // Transfer(caller, to, amount)
            PUSH0, MSTORE, PUSH1, 4, CALLDATALOAD, CALLER, PUSH32,      // to caller topic
        ];
        let tail = [
            PUSH1, 32, PUSH0, LOG3,
            // return true
            PUSH1, 1, PUSH0, MSTORE, PUSH1, 32, PUSH0, RETURN,
            // fail:
            JUMPDEST, PUSH0, PUSH0, REVERT,
        ];
        join::<46, 32, 16, 94>(head, TRANSFER_TOPIC.0, tail)
    },
};

/// Adds one to slot 0: every call depends on the one before.
pub(super) const COUNTER: Contract =
    Contract { name: "counter", code: &[PUSH0, SLOAD, PUSH1, 1, ADD, PUSH0, SSTORE, STOP] };

/// Writes a slot, then reverts.
pub(super) const REVERTER: Contract =
    Contract { name: "reverter", code: &[PUSH1, 1, PUSH0, SSTORE, PUSH0, PUSH0, REVERT] };

/// Runs until its gas is used up.
pub(super) const BURNER: Contract = Contract { name: "burner", code: &[JUMPDEST, PUSH0, JUMP] };

/// Deploys [`CHILD_INIT`] with the call's value and, by the parity of the first calldata word,
/// CREATE2 with that word as salt (a second time for the same salt fails) or CREATE. Keeps the
/// child's address in slot 0.
#[rustfmt::skip]
pub(super) const DEPLOYER: Contract = Contract {
    name: "deployer",
    code: &{
        let head = [PUSH10];
        let tail = [
            // The child's init code ends memory's first word.
            PUSH0, MSTORE,
            PUSH0, CALLDATALOAD, PUSH1, 1, AND, PUSH1, DEPLOYER_CREATE2, JUMPI,
            PUSH1, 10, PUSH1, 22, CALLVALUE, CREATE, PUSH0, SSTORE, STOP,
            // with CREATE2:
            JUMPDEST,
            PUSH0, CALLDATALOAD, PUSH1, 10, PUSH1, 22, CALLVALUE, CREATE2, PUSH0, SSTORE, STOP,
        ];
        join::<1, 10, 31, 42>(head, CHILD_INIT, tail)
    },
};

/// Init code whose contract sends its balance to whoever calls it (`CALLER SELFDESTRUCT`).
pub(super) const CHILD_INIT: [u8; 10] =
    [PUSH2, CALLER, SELFDESTRUCT, PUSH0, MSTORE, PUSH1, 2, PUSH1, 30, RETURN];

/// Sends half of the call's value to the address in the first calldata word, and records that
/// account's balance in the slot named by the caller: code that moves and reads balances.
#[rustfmt::skip]
pub(super) const SPLITTER: Contract = Contract {
    name: "splitter",
    code: &[
        // No input, no output.
        PUSH0, PUSH0, PUSH0, PUSH0,
        PUSH1, 2, CALLVALUE, DIV, PUSH0, CALLDATALOAD, GAS, CALL, POP,
        PUSH0, CALLDATALOAD, BALANCE, CALLER, SSTORE, STOP,
    ],
};

/// Records what it sees of the block: the fee recipient's balance, the parent's hash, base fee
/// and randomness; and uses transient storage.
#[rustfmt::skip]
pub(super) const PROBE: Contract = Contract {
    name: "probe",
    code: &[
        COINBASE, BALANCE, PUSH0, SSTORE,
        PUSH1, 1, NUMBER, SUB, BLOCKHASH, PUSH1, 1, SSTORE,
        BASEFEE, PUSH1, 2, SSTORE,
        DIFFICULTY, PUSH1, 3, SSTORE,
        CALLER, PUSH0, TSTORE, PUSH0, TLOAD, PUSH1, 4, SSTORE, STOP,
    ],
};

/// Storage of [`TOKEN`] in which each holder has `balance`.
pub(super) fn token_balances(
    holders: impl IntoIterator<Item = Address>,
    balance: U256,
) -> BTreeMap<B256, B256> {
    let slot = |holder: Address| {
        let mut preimage = [0; 64];
        preimage[12..32].copy_from_slice(holder.as_slice());
        keccak256(preimage)
    };
    holders.into_iter().map(|holder| (slot(holder), balance.into())).collect()
}

/// Calldata of `transfer(to, amount)`.
pub(super) fn token_transfer(to: Address, amount: U256) -> Vec<u8> {
    let selector = [0xa9, 0x05, 0x9c, 0xbb];
    [&selector[..], to.into_word().as_slice(), &amount.to_be_bytes::<32>()].concat()
}

/// Three pieces of code, one after the other.
const fn join<const A: usize, const B: usize, const C: usize, const N: usize>(
    a: [u8; A],
    b: [u8; B],
    c: [u8; C],
) -> [u8; N] {
    assert!(A + B + C == N, "lengths of the pieces");
    let mut joined = [0; N];
    let mut at = 0;
    while at < N {
        joined[at] = if at < A {
            a[at]
        } else if at < A + B {
            b[at - A]
        } else {
            c[at - A - B]
        };
        at += 1;
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_land_on_their_destinations() {
        assert_eq!(TOKEN.code[usize::from(TOKEN_FAIL)], JUMPDEST);
        assert_eq!(DEPLOYER.code[usize::from(DEPLOYER_CREATE2)], JUMPDEST);
        assert_eq!(TRANSFER_TOPIC, keccak256("Transfer(address,address,uint256)"));
    }

    #[test]
    fn contracts_live_apart() {
        let mut addresses = CONTRACTS.map(|contract| contract.address());
        addresses.sort_unstable();
        assert!(addresses.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
