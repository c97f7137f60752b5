//! What no input may do: end in a panic, or take more memory than its length can account for.

use cap::Cap;
use std::alloc::System;
use std::panic;
use std::process::abort;
use std::thread;

/// What any input may take, at its peak, and what it may take besides for each of its bytes.
const MEMORY_BYTES: usize = 8 << 20;
const MEMORY_BYTES_EACH: usize = 4 << 10;

/// Of the thread of the parser of expressions, whose panics are caught and told as what they are.
const FORGIVEN: &str = "cel-parser";

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// A panic ends the fuzzer, which then keeps the input, unless it is one that the library catches.
pub fn end_at_panics() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if thread::current().name() != Some(FORGIVEN) {
            tell(panic);
            abort();
        }
    }));
}

/// Checks an input. When it takes too much, there is no more, which ends the fuzzer.
pub fn checked(check: fn(&[u8]), data: &[u8]) {
    let limit = MEMORY.allocated() + MEMORY_BYTES + MEMORY_BYTES_EACH * data.len();
    MEMORY.set_limit(limit).expect("more than is allocated");
    check(data);
    MEMORY.set_limit(usize::MAX).expect("no limit");
}
