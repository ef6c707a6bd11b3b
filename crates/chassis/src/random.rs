//! The only place that draws random bytes: nonces, tokens and ids come from here, keys do not.

/// Random bytes from a generator that the system seeds.
pub fn bytes<const N: usize>() -> [u8; N] {
    rand::random()
}

#[cfg(test)]
mod tests {
    #[test]
    fn draws_differ() {
        assert_ne!(super::bytes::<16>(), super::bytes::<16>());
    }
}
