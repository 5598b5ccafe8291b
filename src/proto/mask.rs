//! Masking, which hides what a client sends from caches that would mistake it for HTTP.

/// Masks or unmasks `payload` in place: both are the same exclusive or with `key` (RFC 6455 5.3).
///
/// `offset` is the position of `payload[0]` in the payload of its frame, so that a frame can be
/// unmasked in pieces.
#[inline]
pub fn apply_mask(payload: &mut [u8], key: [u8; 4], offset: usize) {
    let _is_ascii = unmask(payload, key, offset);
}

/// Unmasks `payload` in place, like [`apply_mask`]; returns whether it is ASCII then, which costs next to nothing on the way.
#[inline(always)]
pub(super) fn unmask(payload: &mut [u8], key: [u8; 4], offset: usize) -> bool {
    const NOT_ASCII: u64 = 0x8080_8080_8080_8080;
    let key = rotate(key, offset);
    let word_key = u64::from(key) << 32 | u64::from(key);
    let mut bits = 0;

    // Whole words: short messages are done in two or three steps, and long ones the compiler does
    // in vectors.
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        let unmasked = u64::from_le_bytes(*word) ^ word_key;
        bits |= unmasked;
        *word = unmasked.to_le_bytes();
    }
    let (half, rest) = rest.as_chunks_mut::<4>();
    for half in half {
        let unmasked = u32::from_le_bytes(*half) ^ key;
        bits |= u64::from(unmasked);
        *half = unmasked.to_le_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.to_le_bytes()) {
        *byte ^= key;
        bits |= u64::from(*byte);
    }
    bits & NOT_ASCII == 0
}

/// The key as it applies from octet `offset` on, the first octet in the lowest bits.
#[inline]
fn rotate(key: [u8; 4], offset: usize) -> u32 {
    let key = u32::from_le_bytes(key);
    (0..offset % 4).fold(key, |key, _| key.rotate_right(u8::BITS))
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

    #[test]
    fn ms_01_what_is_ascii_is_seen_at_every_length_and_the_place_of_every_other_byte() {
        for len in 0..40 {
            for other in 0..=len {
                let mut payload = vec![b'a'; len];
                if let Some(byte) = payload.get_mut(other) {
                    *byte |= 0x80;
                }
                for offset in 0..4 {
                    let (key, is_ascii) = ([1, 20, 177, 255], payload.is_ascii());
                    assert_eq!(is_ascii, other == len);
                    apply_mask(&mut payload, key, offset);
                    assert_eq!(unmask(&mut payload, key, offset), is_ascii);
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
