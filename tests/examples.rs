//! The examples, as tests.
#![allow(clippy::print_stdout)]

#[path = "../examples/donation.rs"]
mod donation;
#[path = "../examples/graceful.rs"]
mod graceful;
#[path = "../examples/month_close.rs"]
mod month_close;
#[path = "../examples/nightly.rs"]
mod nightly;
#[path = "../examples/testing.rs"]
mod testing;

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

#[test]
fn a_program_tests_its_handlers_inline_drained_with_a_clock_and_with_every_crash() {
    println!("counted: crash images in users' scenarios {}", testing::run().images);
}

#[cfg(target_os = "linux")]
#[test]
fn a_hundred_running_jobs_finish_or_are_released_at_sigterm_and_none_spends_an_attempt() {
    let mut worker = std::process::Command::new(std::env::current_exe().expect("a test knows its own file"));
    worker.args(["--exact", "the_worker_of_graceful", "--ignored", "--nocapture"]);
    assert_eq!(graceful::run(worker), graceful::Report { finished: 60, released: 40 });
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "the test above runs it, in a process of its own"]
fn the_worker_of_graceful() {
    graceful::child();
}

#[test]
fn a_month_is_closed_once_and_every_user_is_charged_once_or_told() {
    let closed = month_close::run(600);
    assert_eq!((closed.invoiced, closed.invoiced_again), (600, 0));
}
