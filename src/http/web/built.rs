//! The table of files that `build.rs` has written.

use super::File;

include!(concat!(env!("OUT_DIR"), "/pages.rs"));
