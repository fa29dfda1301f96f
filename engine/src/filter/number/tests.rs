use super::*;

const BIG: i128 = 9_007_199_254_740_993; // 2^53 + 1: no float has this value

#[test]
fn integers_and_floats_compare_exactly() {
    let float = BIG as f64; // rounds to 2^53
    assert!(Number::Int(BIG).compare(Number::Float(float)).is_gt());
    assert!(Number::Int(BIG - 1).compare(Number::Float(float)).is_eq());
    assert!(Number::Int(i64::MAX.into()).compare(Number::Float(9_223_372_036_854_775_808.0)).is_lt());
    assert!(Number::Int(-3).compare(Number::Float(-2.5)).is_lt());
    assert!(Number::Int(-2).compare(Number::Float(-2.5)).is_gt());
    assert!(Number::Int(0).compare(Number::Float(-0.0)).is_eq());
    assert!(Number::Int(i128::MAX).compare(Number::Float(1e300)).is_lt());
    assert!(Number::Int(i128::MIN).compare(Number::Float(f64::NEG_INFINITY)).is_gt());
}

#[test]
fn native_bounds_hold_exactly_what_the_range_holds() {
    let ops = [
        CompareOp::Less,
        CompareOp::LessEqual,
        CompareOp::Equal,
        CompareOp::Greater,
        CompareOp::GreaterEqual,
    ];
    let near = [0, 1, -1, 5, BIG - 1, BIG, BIG + 1, i64::MAX.into(), i64::MIN.into()];
    let mut numbers: Vec<Number> = near.iter().map(|&i| Number::Int(i)).collect();
    numbers.extend(near.iter().map(|&i| Number::Float(i as f64)));
    numbers.extend([0.5, -0.5, -0.0, 4.999, 1e300, -1e300].map(Number::Float));
    for op in ops {
        for &constant in &numbers {
            let range = NumberRange::of(op, constant);
            for &value in &numbers {
                let expected = op.holds(value.compare(constant));
                assert_eq!(range.contains(value), expected, "{value:?} {op:?} {constant:?}");
                let native = match value {
                    Number::Int(i) => {
                        range.integers().is_some_and(|(l, h)| i128::from(l) <= i && i <= h.into())
                    }
                    Number::Float(f) => (range.doubles().0..=range.doubles().1).contains(&f),
                };
                assert_eq!(native, expected, "{value:?} {op:?} {constant:?}");
            }
        }
    }
}

#[test]
fn arithmetic_has_no_value_rather_than_a_wrong_one() {
    use ArithmeticOp as A;
    let int = Number::Int;
    let max = int(i64::MAX.into());
    assert_eq!(max.apply(A::Add, int(1), false), Some(int(i128::from(i64::MAX) + 1)));
    assert_eq!(int(-7).apply(A::Divide, int(2), false), Some(int(-3)));
    assert_eq!(int(-7).apply(A::Divide, int(2), true), Some(Number::Float(-3.5)));
    assert_eq!(int(-7).apply(A::Modulo, int(3), false), Some(int(-1)));
    assert_eq!(int(-7).apply(A::Modulo, int(-3), false), Some(int(-1)));
    assert_eq!(int(i64::MIN.into()).apply(A::Divide, int(-1), false), Some(int(1 << 63)));
    for op in [A::Divide, A::Modulo] {
        assert_eq!(int(1).apply(op, int(0), false), None);
    }
    assert_eq!(int(1).apply(A::Divide, int(0), true), None);
    assert_eq!(Number::Float(1.0).apply(A::Divide, int(0), true), None);
    assert_eq!(Number::Float(1.0).apply(A::Modulo, int(2), false), None);
    assert_eq!(int(1).apply(A::ShiftLeft, int(64), false), None);
    assert_eq!(int(i128::MAX).apply(A::Multiply, int(2), false), None);
    assert_eq!(int(2).apply(A::Power, int(-1), false), Some(Number::Float(0.5)));
    assert_eq!(int(2).apply(A::Power, int(62), false), Some(int(1 << 62)));
    assert_eq!(Number::Float(1e300).apply(A::Multiply, Number::Float(1e300), false), None);
}
