//! Survey and repair.

use super::*;
