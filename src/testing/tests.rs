//! The oracle, judged by itself.

mod oracle;
