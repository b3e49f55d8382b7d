// Recovery, stage 2 of 5: u1 = -z/r and u2 = s/r modulo n, as digits.
//
// One invocation takes a chain of CHAIN_LEN items, a stride apart, and inverts their r together (Montgomery's trick). No
// denominator is 0: a signature that was rejected has 1 for r and s.
//
// The ladder starts at a secret point beta G, which its doublings turn into 2^d beta G; so u1 is handed on as
// u1 - 2^d beta.
//
// Cost an item: 5 scalar multiplications, 452 / CHAIN_LEN for the inverse, 2 and a half for the halves of u2.

#import lib/scalar_inverse
#import lib/words
#import lib/keccak_sponge

@group(0) @binding(0) var<storage, read> digests: array<u32>;
@group(0) @binding(1) var<storage, read> signatures: array<u32>;
@group(0) @binding(2) var<storage, read> status: array<u32>;
// beta G: x, y, eight words each; -2^d beta.
@group(0) @binding(3) var<storage, read> blinding: array<u32>;
// Words of digits: u2 (both halves), then u1; a last word says whether u1 is to be taken negative.
@group(0) @binding(4) var<storage, read_write> digits: array<u32>;
// Products of all r of the chain before this one.
@group(0) @binding(5) var<storage, read_write> scratch: array<u32>;

@compute @workgroup_size(WORKGROUP_LEN)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let n = arrayLength(&status);
    let stride = (n + CHAIN_LEN - 1u) / CHAIN_LEN;
    if id.x >= stride {
        return;
    }
    var product = sc_one();
    var up = 0u;
    loop {
        let item = id.x + up * stride;
        if item < n {
            store_scratch(item, sc_words_weak(product));
            product = sc_mul(product, signature_scalar(0u, item));
        }
        continuing {
            up++;
            break if up >= CHAIN_LEN;
        }
    }
    let blinded = sc_from_words(Words(
        vec4(blinding[16], blinding[17], blinding[18], blinding[19]),
        vec4(blinding[20], blinding[21], blinding[22], blinding[23]),
    ));
    var inverse = sc_inverse(product);
    var down = 0u;
    loop {
        let item = id.x + (CHAIN_LEN - 1u - down) * stride;
        if item < n {
            let inverse_r = sc_mul(inverse, load_scratch(item));
            inverse = sc_mul(inverse, signature_scalar(0u, item));
            var part = 0u;
            loop {
                var factor = signature_scalar(8u, item);
                if part == 0u {
                    factor = hash_scalar(item);
                }
                var u = sc_mul(factor, inverse_r);
                if part == 0u {
                    u = sc_sub(blinded, u);
                }
                let words = sc_words(u);
                if part == 0u {
                    store_comb_digits(item, sc_comb_digits(words), (words.lo.x & 1u) == 0u);
                } else {
                    store_half_digits(item, sc_split(words));
                }
                continuing {
                    part++;
                    break if part >= 2u;
                }
            }
        }
        continuing {
            down++;
            break if down >= CHAIN_LEN;
        }
    }
}

// r or s; 1 if the signature was rejected.
fn signature_scalar(start: u32, item: u32) -> Sc {
    let n = arrayLength(&status);
    let at = start * n + item;
    let a = Words(
        vec4(signatures[at], signatures[at + n], signatures[at + 2u * n], signatures[at + 3u * n]),
        vec4(signatures[at + 4u * n], signatures[at + 5u * n], signatures[at + 6u * n], signatures[at + 7u * n]),
    );
    let one = Words(vec4(1u, 0u, 0u, 0u), vec4(0u));
    return sc_from_words(words_select(one, a, status[item] == STATUS_PENDING));
}

// The hash, read as a big-endian number.
fn hash_scalar(item: u32) -> Sc {
    let n = arrayLength(&status);
    return sc_from_words(Words(
        vec4(
            swap_bytes(digests[7u * n + item]),
            swap_bytes(digests[6u * n + item]),
            swap_bytes(digests[5u * n + item]),
            swap_bytes(digests[4u * n + item]),
        ),
        vec4(
            swap_bytes(digests[3u * n + item]),
            swap_bytes(digests[2u * n + item]),
            swap_bytes(digests[n + item]),
            swap_bytes(digests[item]),
        ),
    ));
}

fn store_half_digits(item: u32, halves: Halves) {
    let n = arrayLength(&status);
    digits[item] = halves.k1_0;
    digits[n + item] = halves.k1_1;
    digits[2u * n + item] = halves.k1_2;
    digits[3u * n + item] = halves.k1_3;
    digits[4u * n + item] = halves.k1_4;
    let at = HALF_WORDS * n + item;
    digits[at] = halves.k2_0;
    digits[at + n] = halves.k2_1;
    digits[at + 2u * n] = halves.k2_2;
    digits[at + 3u * n] = halves.k2_3;
    digits[at + 4u * n] = halves.k2_4;
}

fn store_comb_digits(item: u32, comb: Words, is_negative: bool) {
    let n = arrayLength(&status);
    let at = 2u * HALF_WORDS * n + item;
    digits[at] = comb.lo.x;
    digits[at + n] = comb.lo.y;
    digits[at + 2u * n] = comb.lo.z;
    digits[at + 3u * n] = comb.lo.w;
    digits[at + 4u * n] = comb.hi.x;
    digits[at + 5u * n] = comb.hi.y;
    digits[at + 6u * n] = comb.hi.z;
    digits[at + 7u * n] = comb.hi.w;
    digits[at + COMB_WORDS * n] = u32(is_negative);
}

fn load_scratch(item: u32) -> Sc {
    let n = arrayLength(&status);
    return sc_from_words(Words(
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
