//! What a panic said. A value that is dropped while its thread panics knows that it does, but not
//! why; the panic hook does, and runs first.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::Once;

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes panics leave their message and place behind for the obituary of whoever died of them. May
/// be called any number of times.
pub fn remember_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            LAST.with_borrow_mut(|last| *last = Some(describe(info)));
            previous(info);
        }));
    });
}

/// The message of this thread's last panic.
pub(crate) fn last_panic() -> String {
    LAST.with_borrow(Clone::clone)
        .unwrap_or_else(|| "it panicked".into())
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("a panic without a message");
    match info.location() {
        Some(place) => format!("{message} ({}:{})", place.file(), place.line()),
        None => message.to_owned(),
    }
}
