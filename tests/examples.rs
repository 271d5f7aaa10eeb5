//! The examples, as tests.
#![allow(clippy::print_stdout)]

#[path = "../examples/donation.rs"]
mod donation;
#[path = "../examples/nightly.rs"]
mod nightly;

#[test]
fn a_donation_is_charged_once_and_repeats_no_step_that_was_done_whatever_crashes() {
    let (in_three, in_one) = donation::run();
    println!("counted: crash images in users' scenarios {}", in_three.images + in_one.images);
}

#[test]
fn every_night_has_its_job_whatever_the_clocks_do_and_whatever_crashes() {
    let [spring, autumn] = nightly::run();
    println!("counted: crash images in users' scenarios {}", spring.images + autumn.images);
}
