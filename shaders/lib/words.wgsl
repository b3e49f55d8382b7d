// 256-bit numbers as words: comparisons.

#import words

fn words_are_equal(a: Words, b: Words) -> bool {
    return all(a.lo == b.lo) && all(a.hi == b.hi);
}

fn words_are_zero(a: Words) -> bool {
    return all((a.lo | a.hi) == vec4(0u));
}

// a < b: the highest words that differ decide.
fn words_are_less(a: Words, b: Words) -> bool {
    var is_less = a.lo.x < b.lo.x;
    is_less = a.lo.y < b.lo.y || (a.lo.y == b.lo.y && is_less);
    is_less = a.lo.z < b.lo.z || (a.lo.z == b.lo.z && is_less);
    is_less = a.lo.w < b.lo.w || (a.lo.w == b.lo.w && is_less);
    is_less = a.hi.x < b.hi.x || (a.hi.x == b.hi.x && is_less);
    is_less = a.hi.y < b.hi.y || (a.hi.y == b.hi.y && is_less);
    is_less = a.hi.z < b.hi.z || (a.hi.z == b.hi.z && is_less);
    return a.hi.w < b.hi.w || (a.hi.w == b.hi.w && is_less);
}

// One of two, without a branch.
fn words_select(no: Words, yes: Words, condition: bool) -> Words {
    return Words(select(no.lo, yes.lo, condition), select(no.hi, yes.hi, condition));
}
