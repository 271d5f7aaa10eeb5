//! The examples, as tests.
#![allow(clippy::print_stdout)]

#[path = "../examples/donation.rs"]
mod donation;
#[path = "../examples/testing.rs"]
mod testing;

#[test]
fn a_donation_is_charged_once_and_repeats_no_step_that_was_done_whatever_crashes() {
    let (in_three, in_one) = donation::run();
    println!("counted: crash images in users' scenarios {}", in_three.images + in_one.images);
}

#[test]
fn a_program_tests_its_handlers_inline_drained_with_a_clock_and_with_every_crash() {
    println!("counted: crash images in users' scenarios {}", testing::run().images);
}
