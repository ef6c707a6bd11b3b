//! Whatever happens on the way, in the end all replicas hold the same.

use std::panic::AssertUnwindSafe;

use crate::case::{Case, Tally};

/// Cases of each of the parts, which run side by side.
const CASES: u64 = 1_250;

fn converge(part: u64) {
    let mut tally = Tally::default();
    for seed in part * CASES..(part + 1) * CASES {
        let passed = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let mut case = Case::new(seed);
            case.disturb();
            case.go_on_without_the_service();
            case.clean_up();
            case.check(&mut tally);
        }));
        assert!(passed.is_ok(), "the case with seed {seed} failed");
    }
    tally.check(CASES);
}

#[test]
fn replicas_converge_part_1() {
    converge(0);
}

#[test]
fn replicas_converge_part_2() {
    converge(1);
}

#[test]
fn replicas_converge_part_3() {
    converge(2);
}

#[test]
fn replicas_converge_part_4() {
    converge(3);
}

#[test]
fn replicas_converge_part_5() {
    converge(4);
}

#[test]
fn replicas_converge_part_6() {
    converge(5);
}

#[test]
fn replicas_converge_part_7() {
    converge(6);
}

#[test]
fn replicas_converge_part_8() {
    converge(7);
}
