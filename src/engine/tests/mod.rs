//! Promises of the engine, kept on the simulated disk with the shipped code and no threads.

mod crash;
mod program;
mod promises;
mod rules;
mod world;
