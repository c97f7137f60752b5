//! Fuzzes jobs: see `onyx_fuzz::jobs`.
#![no_main]

mod guard;

libfuzzer_sys::fuzz_target!(init: guard::end_at_panics(), |data: &[u8]| {
    guard::checked(onyx_fuzz::jobs::check, data);
});
