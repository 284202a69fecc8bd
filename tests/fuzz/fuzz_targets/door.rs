//! Any user name at the door: a verdict, never a panic; what is taken apart is all there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::id::TargetName;
use portcullis::proxy::entry::door::{Entry, parse};

fuzz_target!(|user: &str| {
    if let Ok(Entry::Name { login, target }) = parse(user) {
        assert_eq!(user.len(), login.as_str().len() + 1 + target.len());
        assert!(!target.contains('@'));
        // A name that is canonical stays as it is.
        if let Ok(name) = target.parse::<TargetName>() {
            assert_eq!(name.as_str().parse::<TargetName>().as_ref(), Ok(&name));
        }
    }
});
