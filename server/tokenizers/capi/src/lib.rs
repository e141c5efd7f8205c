//! The Hugging Face tokenizers library behind a small C ABI, declared in attune_tokenizers.h.
//!
//! encoding.rs holds what it does, in safe Rust; this file only crosses the border: pointers to slices, panics and errors to a status and
//! a message.

mod encoding;

use encoding::{Failure, TextTokenizer, Tokens};
use std::ffi::{c_char, CString};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Once;

const OK: i32 = 0;
const INVALID_ARGUMENT: i32 = 1;
const INTERNAL: i32 = 2;

#[repr(C)]
pub struct AttuneTokens {
    ids: *mut i32,
    type_ids: *mut i32,
    length: usize,
    truncated: i32,
}

/// Runs `body`, and turns an error or a panic into a status and a message.
///
/// # Safety
/// `error` must be valid for a write.
unsafe fn guarded(error: *mut *mut c_char, body: impl FnOnce() -> Result<(), Failure>) -> i32 {
    let (status, message) = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return OK,
        Ok(Err(Failure(message))) => (INVALID_ARGUMENT, message),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("unknown panic");
            (INTERNAL, text.to_owned())
        }
    };
    let printable = CString::new(message.replace('\0', "\\0")).unwrap_or_default();
    *error = printable.into_raw();
    status
}

/// A slice of C memory; a null pointer with size 0 is an empty one.
unsafe fn bytes<'a>(data: *const u8, size: usize) -> &'a [u8] {
    if size == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, size)
    }
}

/// Panics are reported through the status; the default hook would also print them into the server's structured log.
fn silence_panic_messages() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
}

/// # Safety
/// `json` must be readable for `json_size` bytes; `out` and `error` must be valid for a write.
#[no_mangle]
pub unsafe extern "C" fn attune_tokenizer_create(
    json: *const u8,
    json_size: usize,
    out: *mut *mut TextTokenizer,
    error: *mut *mut c_char,
) -> i32 {
    silence_panic_messages();
    guarded(error, || {
        let tokenizer = TextTokenizer::from_json(bytes(json, json_size))?;
        *out = Box::into_raw(Box::new(tokenizer));
        Ok(())
    })
}

/// # Safety
/// `tokenizer` must come from attune_tokenizer_create and not be used again.
#[no_mangle]
pub unsafe extern "C" fn attune_tokenizer_free(tokenizer: *mut TextTokenizer) {
    if !tokenizer.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(tokenizer))));
    }
}

/// # Safety
/// `tokenizer` must come from attune_tokenizer_create.
#[no_mangle]
pub unsafe extern "C" fn attune_tokenizer_vocabulary_size(tokenizer: *const TextTokenizer) -> i32 {
    (*tokenizer).vocabulary_size()
}

/// # Safety
/// `tokenizer` must come from attune_tokenizer_create, and no other thread may use it during this call.
#[no_mangle]
pub unsafe extern "C" fn attune_tokenizer_set_truncate_left(tokenizer: *mut TextTokenizer, left: i32) {
    (*tokenizer).set_truncate_left(left != 0);
}

/// # Safety
/// `text` and, unless it is null, `pair` must be readable for their sizes; `out` and `error` must be valid for a write.
#[no_mangle]
pub unsafe extern "C" fn attune_tokenizer_encode(
    tokenizer: *const TextTokenizer,
    text: *const u8,
    text_size: usize,
    pair: *const u8,
    pair_size: usize,
    max_length: usize,
    out: *mut AttuneTokens,
    error: *mut *mut c_char,
) -> i32 {
    guarded(error, || {
        let pair = (!pair.is_null()).then(|| bytes(pair, pair_size));
        let Tokens { ids, type_ids, truncated } = (*tokenizer).encode(bytes(text, text_size), pair, max_length)?;
        let length = ids.len();
        *out = AttuneTokens {
            ids: Box::into_raw(ids) as *mut i32,
            type_ids: Box::into_raw(type_ids) as *mut i32,
            length,
            truncated: i32::from(truncated),
        };
        Ok(())
    })
}

/// # Safety
/// `tokens` must have been filled by attune_tokenizer_encode.
#[no_mangle]
pub unsafe extern "C" fn attune_tokens_free(tokens: *mut AttuneTokens) {
    let tokens = &mut *tokens;
    for data in [&mut tokens.ids, &mut tokens.type_ids] {
        if !data.is_null() {
            drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(*data, tokens.length)));
            *data = std::ptr::null_mut();
        }
    }
    tokens.length = 0;
}

/// # Safety
/// `string` must be a message of this library.
#[no_mangle]
pub unsafe extern "C" fn attune_tokenizers_string_free(string: *mut c_char) {
    if !string.is_null() {
        drop(CString::from_raw(string));
    }
}
