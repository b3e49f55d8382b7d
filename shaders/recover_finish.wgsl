// Recovery, stage 5 of 5: from Q in Jacobian coordinates to the public key, the address and the status.
//
// One invocation takes a chain of CHAIN_LEN items, a stride apart, and inverts their Z together (Montgomery's trick). A Z
// of 0, from an exceptional addition or of a key at infinity, is replaced by 1 before it could spoil the others' inverse, and
// its item left to the CPU.
//
// Cost an item: 6M + 1S, (15M + 255S) / CHAIN_LEN for the inverse, one permutation of Keccak.

#import lib/field_power
#import lib/words
#import lib/keccak_sponge

// Q: X, Y, Z, eight words each.
@group(0) @binding(0) var<storage, read_write> points: array<u32>;
@group(0) @binding(1) var<storage, read_write> status: array<u32>;
// Products of all Z of the chain before this one.
@group(0) @binding(2) var<storage, read_write> scratch: array<u32>;
// Public key, 16 words, and address, 5 words: bytes in order, first byte lowest in its word.
@group(0) @binding(3) var<storage, read_write> signers: array<u32>;

@compute @workgroup_size(WORKGROUP_LEN)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let n = arrayLength(&status);
    let stride = (n + CHAIN_LEN - 1u) / CHAIN_LEN;
    if id.x >= stride {
        return;
    }
    var product = fe_one();
    var up = 0u;
    loop {
        let item = id.x + up * stride;
        if item < n {
            store_scratch(item, fe_words_weak(product));
            var z = load_point(16u, item);
            if words_are_zero(fe_words(z)) {
                z = fe_one();
                store_point(16u, item, fe_words_weak(z));
                if status[item] == STATUS_PENDING {
                    status[item] = STATUS_DEGENERATE;
                }
            }
            product = fe_mul(product, z);
        }
        continuing {
            up++;
            break if up >= CHAIN_LEN;
        }
    }
    var inverse = fe_inverse(product);
    var down = 0u;
    loop {
        let item = id.x + (CHAIN_LEN - 1u - down) * stride;
        if item < n {
            let inverse_z = fe_mul(inverse, load_scratch(item));
            inverse = fe_mul(inverse, load_point(16u, item));
            let square = fe_sqr(inverse_z);
            let x = big_endian(fe_words(fe_mul(load_point(0u, item), square)));
            let y = big_endian(fe_words(fe_mul(load_point(8u, item), fe_mul(square, inverse_z))));
            store_signer(item, x, y, keccak256_of_64_bytes(x, y));
            if status[item] == STATUS_PENDING {
                status[item] = STATUS_RECOVERED;
            }
        }
        continuing {
            down++;
            break if down >= CHAIN_LEN;
        }
    }
}

// The bytes of a number, highest first.
fn big_endian(a: Words) -> Digest {
    return Digest(
        vec4(swap_bytes(a.hi.w), swap_bytes(a.hi.z), swap_bytes(a.hi.y), swap_bytes(a.hi.x)),
        vec4(swap_bytes(a.lo.w), swap_bytes(a.lo.z), swap_bytes(a.lo.y), swap_bytes(a.lo.x)),
    );
}

fn store_signer(item: u32, x: Digest, y: Digest, hash: Digest) {
    let n = arrayLength(&status);
    store_signer_words(0u, item, x);
    store_signer_words(8u, item, y);
    signers[16u * n + item] = hash.lo.w;
    signers[17u * n + item] = hash.hi.x;
    signers[18u * n + item] = hash.hi.y;
    signers[19u * n + item] = hash.hi.z;
    signers[20u * n + item] = hash.hi.w;
}

fn store_signer_words(start: u32, item: u32, a: Digest) {
    let n = arrayLength(&status);
    let at = start * n + item;
    signers[at] = a.lo.x;
    signers[at + n] = a.lo.y;
    signers[at + 2u * n] = a.lo.z;
    signers[at + 3u * n] = a.lo.w;
    signers[at + 4u * n] = a.hi.x;
    signers[at + 5u * n] = a.hi.y;
    signers[at + 6u * n] = a.hi.z;
    signers[at + 7u * n] = a.hi.w;
}

fn load_point(start: u32, item: u32) -> Fe {
    let n = arrayLength(&status);
    let at = start * n + item;
    return fe_from_words(Words(
        vec4(points[at], points[at + n], points[at + 2u * n], points[at + 3u * n]),
        vec4(points[at + 4u * n], points[at + 5u * n], points[at + 6u * n], points[at + 7u * n]),
    ));
}

fn store_point(start: u32, item: u32, a: Words) {
    let n = arrayLength(&status);
    let at = start * n + item;
    points[at] = a.lo.x;
    points[at + n] = a.lo.y;
    points[at + 2u * n] = a.lo.z;
    points[at + 3u * n] = a.lo.w;
    points[at + 4u * n] = a.hi.x;
    points[at + 5u * n] = a.hi.y;
    points[at + 6u * n] = a.hi.z;
    points[at + 7u * n] = a.hi.w;
}

fn load_scratch(item: u32) -> Fe {
    let n = arrayLength(&status);
    return fe_from_words(Words(
        vec4(scratch[item], scratch[n + item], scratch[2u * n + item], scratch[3u * n + item]),
        vec4(scratch[4u * n + item], scratch[5u * n + item], scratch[6u * n + item], scratch[7u * n + item]),
    ));
}

fn store_scratch(item: u32, a: Words) {
    let n = arrayLength(&status);
    scratch[item] = a.lo.x;
    scratch[n + item] = a.lo.y;
    scratch[2u * n + item] = a.lo.z;
    scratch[3u * n + item] = a.lo.w;
    scratch[4u * n + item] = a.hi.x;
    scratch[5u * n + item] = a.hi.y;
    scratch[6u * n + item] = a.hi.z;
    scratch[7u * n + item] = a.hi.w;
}
