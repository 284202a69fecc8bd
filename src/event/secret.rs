use bytes::Bytes;
use std::fmt;

/// Bytes a person typed or saw. `Debug` prints the length only, so they cannot reach a log line.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Bytes);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_only_the_length() {
        let secret = Secret(Bytes::from_static(b"hunter2"));
        assert_eq!(format!("{secret:?}"), "[7 bytes]");
    }
}
