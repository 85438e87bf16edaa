//! Z85, in which ZeroMQ writes keys (<https://rfc.zeromq.org/spec/32/>): five characters for four bytes.

const DIGITS: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// The bytes that a text stands for; `None` where it is none.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let (fives, rest) = text.as_bytes().as_chunks::<5>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |found: &u8| DIGITS.iter().position(|digit| digit == found).map(|at| at as u64);
    let mut bytes = Vec::with_capacity(fives.len() * 4);
    for five in fives {
        let number = five.iter().try_fold(0, |number, found| Some(number * 85 + digit(found)?))?;
        bytes.extend(u32::try_from(number).ok()?.to_be_bytes());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_example_reads_back() {
        assert_eq!(decode("HelloWorld"), Some(vec![0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b]));
        assert_eq!(decode(""), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_z85_is_nothing() {
        for text in ["Hello1", "Hell,", "#####", "üü1"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
