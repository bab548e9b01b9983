//! The structures of Video4Linux2 as `v4l` 0.14 uses them, generated from `linux/videodev2.h` by `./generate`.
//!
//! Committed so that no build needs libclang. The header is licensed GPL-2.0+ WITH Linux-syscall-note OR
//! BSD-3-Clause; this package uses it under the latter (see `LICENSE`).

#![allow(clippy::all)]
#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals)]

include!("videodev2.rs");
