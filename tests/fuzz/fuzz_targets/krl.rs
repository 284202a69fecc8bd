//! Any bytes as a revocation list: read or refused, never a panic; what is read can be written
//! again and then says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::identity::{Revocations, krl_write};
use std::time::UNIX_EPOCH;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = Revocations::load(bytes, "fuzz") else {
        return;
    };
    if let Ok(written) = krl_write(Some(&file), &[], UNIX_EPOCH) {
        let again = Revocations::load(&written, "fuzz").expect("we read what we write");
        assert_eq!(file.lines(), again.lines());
        assert!(again.number() > file.number());
    }
});
