//! Both ends of encrypted connections in one test, without anything between them.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::path::PathBuf;
use std::{env, fs};

use rcgen::generate_simple_self_signed;
use rustls::HandshakeKind::{self, Full, Resumed};

use super::{Acceptor, Connector, Layer, Trust};

/// What one end reads from and writes to.
#[derive(Default)]
struct Carrier {
    incoming: VecDeque<u8>,
    outgoing: VecDeque<u8>,
}

impl Carrier {
    /// The same, seen from the other end.
    fn turn(&mut self) -> &mut Self {
        std::mem::swap(&mut self.incoming, &mut self.outgoing);
        self
    }
}

impl Read for Carrier {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.incoming.is_empty() {
            true => Err(ErrorKind::WouldBlock.into()),
            false => self.incoming.read(buffer),
        }
    }
}

impl Write for Carrier {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Both ends agree, and each hears the other; how they came to agree.
fn talk(connector: &Connector, acceptor: &Acceptor) -> HandshakeKind {
    let (mut client, mut server) = (connector.connect(), acceptor.accept());
    let mut carrier = Carrier::default();
    let say = |layer: &mut Layer, carrier: &mut Carrier| {
        layer
            .write_vectored(carrier, &[IoSlice::new(b"hello")])
            .unwrap();
    };
    let hear = |layer: &mut Layer, carrier: &mut Carrier| {
        let mut buffer = [0; 100];
        match layer.read(carrier, &mut buffer, &mut []) {
            Ok(len) => assert_eq!(&buffer[..len], b"hello"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    };
    say(&mut client, &mut carrier);
    for _ in 0..3 {
        hear(&mut server, carrier.turn());
        hear(&mut client, carrier.turn());
    }
    say(&mut server, carrier.turn());
    hear(&mut client, carrier.turn());
    client.handshake_kind().unwrap()
}

/// A server, and whom its clients trust.
fn identity(name: &str) -> (Acceptor, PathBuf) {
    let certificate = generate_simple_self_signed(["localhost".into()]).unwrap();
    let chain = certificate.cert.pem();
    let key = certificate.signing_key.serialize_pem();
    let path = env::temp_dir().join(format!("{name}-{}.pem", std::process::id()));
    fs::write(&path, &chain).unwrap();
    let acceptor = Acceptor::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    (acceptor, path)
}

#[test]
fn ac_11_a_client_resumes_what_was_agreed_on_unless_it_is_to_be_new_each_time() {
    let (acceptor, path) = identity("resumes");
    let connector = Connector::new("localhost", &Trust::File(path.clone())).unwrap();
    // Whom to trust is known by now.
    fs::remove_file(path).unwrap();
    let kinds = [(); 3].map(|()| talk(&connector, &acceptor));
    assert_eq!(kinds, [Full, Resumed, Resumed]);
    let connector = connector.without_resumption();
    let kinds = [(); 3].map(|()| talk(&connector, &acceptor));
    assert_eq!(kinds, [Full; 3]);
}

#[test]
fn ac_11_a_ticket_of_another_acceptor_is_as_good_as_none() {
    let (acceptor, path) = identity("another");
    let connector = Connector::new("localhost", &Trust::Anyone).unwrap();
    fs::remove_file(path).unwrap();
    let (other, path) = identity("other");
    fs::remove_file(path).unwrap();
    let kinds = [&acceptor, &other, &other].map(|acceptor| talk(&connector, acceptor));
    assert_eq!(kinds, [Full, Full, Resumed]);
}
