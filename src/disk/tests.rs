//! Tests of the two twins.
