//! Masking, which hides what a client sends from caches that would mistake it for HTTP.

/// Masks or unmasks `payload` in place: both are the same exclusive or with `key` (RFC 6455 5.3).
///
/// `offset` is the position of `payload[0]` in the payload of its frame, so that a frame can be
/// unmasked in pieces.
#[inline]
pub fn apply_mask(payload: &mut [u8], key: [u8; 4], offset: usize) {
    let [a, b, c, d] = rotate(key, offset);
    let key = [a, b, c, d, a, b, c, d];
    let word_key = u64::from_ne_bytes(key);

    // Whole words: short messages are done in two or three steps, and long ones the compiler does
    // in vectors.
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ word_key).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// The key as it applies from octet `offset` on.
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "four is the length of a key"
)]
fn rotate(key: [u8; 4], offset: usize) -> [u8; 4] {
    std::array::from_fn(|index| key[(index + offset % 4) % 4])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The formula of RFC 6455 5.3, octet by octet.
    fn apply_mask_naive(payload: &mut [u8], key: [u8; 4], offset: usize) {
        for (index, octet) in payload.iter_mut().enumerate() {
            *octet ^= key[(index + offset) % 4];
        }
    }

    #[test]
    fn fr_11_the_masked_hello_of_the_rfc_is_unmasked() {
        let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        apply_mask(&mut payload, [0x37, 0xfa, 0x21, 0x3d], 0);
        assert_eq!(&payload, b"Hello");
    }

    #[test]
    fn fr_11_every_offset_alignment_and_short_length_agrees_with_the_formula() {
        let source: Vec<u8> = (0..80).collect();
        for offset in 0..9 {
            for start in 0..9 {
                for end in start..source.len() {
                    let (mut fast, mut naive) = (source.clone(), source.clone());
                    apply_mask(&mut fast[start..end], [1, 20, 77, 255], offset);
                    apply_mask_naive(&mut naive[start..end], [1, 20, 77, 255], offset);
                    assert_eq!(fast, naive, "offset {offset}, {start}..{end}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn fr_11_pieces_agree_with_the_whole(
            source: Vec<u8>,
            key: [u8; 4],
            offset in 0..usize::MAX / 2,
            cut: prop::sample::Index,
        ) {
            let cut = cut.index(source.len() + 1);
            let (mut pieces, mut naive) = (source.clone(), source);
            let (front, back) = pieces.split_at_mut(cut);
            apply_mask(front, key, offset);
            apply_mask(back, key, offset + cut);
            apply_mask_naive(&mut naive, key, offset);
            prop_assert_eq!(pieces, naive);
        }
    }
}
