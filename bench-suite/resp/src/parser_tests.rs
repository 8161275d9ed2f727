//! The parser on requests, on their pieces, and on noise.

use super::*;

const LIMITS: RequestLimits = RequestLimits { args: 1024, arg_len: 1 << 20, request_len: 2 << 20 };

/// All requests of an input, and what comes behind the last whole one.
fn all(parser: &mut Parser, mut input: &[u8]) -> (Vec<Vec<Vec<u8>>>, Result<usize, ProtocolError>) {
    let mut requests = Vec::new();
    loop {
        let (len, line) = match parser.next(input) {
            Ok(Found::Partial) => return (requests, Ok(input.len())),
            Err(error) => return (requests, Err(error)),
            Ok(Found::Request(len)) => (len, false),
            Ok(Found::Line(len)) => (len, true),
        };
        let bytes = if line { parser.line() } else { &input[..len] };
        let args = parser.args().iter().map(|(begin, end)| bytes[*begin..*end].to_vec());
        requests.push(args.collect());
        assert!((1..=input.len()).contains(&len));
        input = &input[len..];
    }
}

fn parsed(input: &[u8]) -> (Vec<Vec<Vec<u8>>>, Result<usize, ProtocolError>) {
    all(&mut Parser::new(LIMITS), input)
}

fn words(request: &str) -> Vec<Vec<u8>> {
    request.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

#[test]
fn requests_one_after_another() {
    let input = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\nPING x\r\n*1\r\n$4\r\nQ";
    let (requests, rest) = parsed(input);
    let expected =
        [words("GET a"), vec![b"SET".into(), b"k".into(), b"\r\n".to_vec()], words("PING x")];
    assert_eq!(requests, expected);
    assert_eq!(rest, Ok(9));
}

#[test]
fn nothing_is_a_request_too() {
    let (requests, rest) = parsed(b"*0\r\n*-1\r\n\r\n   \n*1\r\n$0\r\n\r\n");
    assert_eq!(requests, vec![vec![], vec![], vec![], vec![], vec![Vec::<u8>::new()]]);
    assert_eq!(rest, Ok(0));
}

#[test]
fn what_redis_refuses() {
    use ProtocolError as E;
    let long = [b'a'; MAX_INLINE + 1];
    let cases: [(&[u8], E); 14] = [
        (b"*a\r\n", E::InvalidMultibulkLength),
        (b"*\r\n", E::InvalidMultibulkLength),
        (b"*02\r\n", E::InvalidMultibulkLength),
        (b"*1025\r\n", E::InvalidMultibulkLength),
        (b"*99999999999999999999\r\n", E::InvalidMultibulkLength),
        (b"*00000000000000000000000000000000000000", E::InvalidMultibulkLength),
        (b"*1\r\n$-1\r\n", E::InvalidBulkLength),
        (b"*1\r\n$x\r\n", E::InvalidBulkLength),
        (b"*1\r\n$1048577\r\n", E::InvalidBulkLength),
        (b"*1\r\n$9223372036854775807\r\n", E::InvalidBulkLength),
        (b"*1\r\n:1\r\n", E::ExpectedDollar(b':')),
        (b"*1\r\n\r\n", E::ExpectedDollar(b'\r')),
        (b"set \"a\r\n", E::UnbalancedQuotes),
        (&long, E::TooBigInline),
    ];
    for (input, error) in cases {
        assert_eq!(parsed(input).1, Err(error), "{}", String::from_utf8_lossy(input));
    }
    let mut big = b"*3\r\n".to_vec();
    for _ in 0..2 {
        big.extend_from_slice(b"$1048576\r\n");
        big.resize(big.len() + (1 << 20), b'x');
        big.extend_from_slice(b"\r\n");
    }
    assert_eq!(parsed(&big).1, Err(E::TooBigRequest));
}

/// A small generator with a fixed seed (SplitMix64), so that a failure comes again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) % bound as u64).expect("below a usize")
    }
}

fn request(random: &mut Random) -> Vec<u8> {
    let count = random.below(5);
    let mut bytes = format!("*{count}\r\n").into_bytes();
    for _ in 0..count {
        let len = random.below(40);
        bytes.extend_from_slice(format!("${len}\r\n").as_bytes());
        bytes.extend((0..len).map(|_| b"\r\n$*0a\xff\x00"[random.below(8)]));
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// However the input is cut, the requests are those of the whole.
#[test]
fn pieces_make_the_same_requests() {
    let mut random = Random(1);
    for _ in 0..2000 {
        let mut input = Vec::new();
        for _ in 0..1 + random.below(6) {
            match random.below(5) {
                0 => input.extend_from_slice(b"get 'a b'\r\n"),
                _ => input.extend(request(&mut random)),
            }
        }
        input.truncate(input.len() - random.below(input.len()));
        let (whole, rest) = parsed(&input);
        assert!(rest.is_ok());
        let mut parser = Parser::new(LIMITS);
        let (mut buffer, mut requests, mut at) = (Vec::new(), Vec::new(), 0);
        while at < input.len() {
            let end = (at + 1 + random.below(30)).min(input.len());
            buffer.extend_from_slice(&input[at..end]);
            at = end;
            let (more, left) = all(&mut parser, &buffer);
            requests.extend(more);
            let left = left.expect("the whole has no error");
            assert!(parser.awaited(left) <= 64);
            buffer.drain(..buffer.len() - left);
        }
        assert_eq!(requests, whole);
        assert_eq!(Ok(buffer.len()), rest);
    }
}

/// Noise out of the protocol's own characters: an answer of some kind, places inside the bytes, and no panic.
#[test]
fn noise_is_survived() {
    let mut random = Random(2);
    let alphabet = b"**$$\r\n\r\n\r\n0123456789-\"'\\x aGET\x00\xff";
    for _ in 0..50_000 {
        let mut input = if random.below(2) == 0 { request(&mut random) } else { Vec::new() };
        let noise = random.below(60);
        input.extend((0..noise).map(|_| alphabet[random.below(alphabet.len())]));
        for _ in 0..random.below(3) {
            let at = random.below(input.len().max(1));
            if let Some(byte) = input.get_mut(at) {
                *byte = alphabet[random.below(alphabet.len())];
            }
        }
        let (whole, rest) = parsed(&input);
        let mut parser = Parser::new(LIMITS);
        let (mut buffer, mut requests) = (Vec::new(), Vec::new());
        for byte in &input {
            buffer.push(*byte);
            let (more, left) = all(&mut parser, &buffer);
            requests.extend(more);
            match left {
                Ok(left) => drop(buffer.drain(..buffer.len() - left)),
                Err(error) => {
                    assert_eq!(rest, Err(error), "{input:?}");
                    break;
                }
            }
        }
        assert_eq!(requests, whole, "{input:?}");
    }
}
