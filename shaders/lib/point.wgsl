// Points of y^2 = x^3 + 7 in Jacobian coordinates: (X, Y, Z) is (X/Z^2, Y/Z^3).
//
// Neither formula looks for exceptions. Where an addition is exceptional (the two points are equal or opposite) Z
// becomes 0, and every later doubling and addition keeps it 0: one test at the end of a ladder finds it. Where
// nothing was exceptional, no point is infinity (the order of the group is odd).

#import field

struct Jacobian {
    x: Fe,
    y: Fe,
    z: Fe,
}

// 2P. 3M + 4S, with everything halved as in libsecp256k1's `secp256k1_gej_double`.
fn point_double(p: Jacobian) -> Jacobian {
    let l = fe_three_halves(fe_sqr(p.x));
    let s = fe_sqr(p.y);
    let t = fe_mul(p.x, s);
    let x = fe_sub_twice(fe_sqr(l), t);
    let y = fe_sub(fe_mul(l, fe_sub(t, x)), fe_sqr(s));
    return Jacobian(x, y, fe_mul(p.y, p.z));
}

// P + (x, y), the latter affine. 8M + 3S.
fn point_add_affine(p: Jacobian, x: Fe, y: Fe) -> Jacobian {
    let zz = fe_sqr(p.z);
    let h = fe_sub(fe_mul(x, zz), p.x);
    let r = fe_sub(fe_mul(fe_mul(y, p.z), zz), p.y);
    let hh = fe_sqr(h);
    let hhh = fe_mul(h, hh);
    let v = fe_mul(p.x, hh);
    let sum_x = fe_sub_and_twice(fe_sqr(r), hhh, v);
    let sum_y = fe_sub(fe_mul(r, fe_sub(v, sum_x)), fe_mul(p.y, hhh));
    return Jacobian(sum_x, sum_y, fe_mul(p.z, h));
}
