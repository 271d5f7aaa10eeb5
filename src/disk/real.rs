//! A directory of the file system.
