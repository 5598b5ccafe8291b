//! Certificates made by the test, and clients that trust them.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

/// How long a client waits for anything before the test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Someone whom the clients of a test trust, and a folder for what it signs.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(crate) folder: PathBuf,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// A new one, with a folder of this name that is empty.
    pub(crate) fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Not the name that certificates have by default: one that names itself as its issuer counts as self-signed.
        let name = format!("authority of {name}");
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// Parameters of a certificate for this machine.
    pub(crate) fn params() -> CertificateParams {
        CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap()
    }

    /// Signs a certificate; it and its key become `NAME.pem` and `NAME.key`.
    pub(crate) fn sign(&self, name: &str, params: &CertificateParams) -> [String; 2] {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let [certificate_path, key_path] = [
            self.path(&format!("{name}.pem")),
            self.path(&format!("{name}.key")),
        ];
        fs::write(&certificate_path, certificate.pem()).unwrap();
        fs::write(&key_path, key.serialize_pem()).unwrap();
        [certificate_path, key_path]
    }

    /// A certificate for this machine, as flags of the server.
    pub(crate) fn flags(&self) -> [String; 4] {
        let [certificate, key] = self.sign("server", &Self::params());
        ["--tls-cert".into(), certificate, "--tls-key".into(), key]
    }

    /// The path of a file in the folder.
    pub(crate) fn path(&self, file: &str) -> String {
        self.folder.join(file).to_str().unwrap().into()
    }

    /// Clients that trust this authority and speak these versions.
    pub(crate) fn client_config(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.into()
    }

    /// Connects and agrees on encryption.
    pub(crate) fn connect(&self, addr: SocketAddr) -> TlsStream {
        connect(addr, &self.client_config(rustls::ALL_VERSIONS)).unwrap()
    }
}

/// A client's end of an encrypted connection.
pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// Connects and agrees on encryption.
pub(crate) fn connect(addr: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<TlsStream> {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, open(addr));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// Connects without a word.
pub(crate) fn open(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Everything up to the end of the stream, however that comes; fails if it does not.
pub(crate) fn read_to_end(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
            ) =>
        {
            panic!("no end behind {bytes:?}")
        }
        _ => bytes,
    }
}

/// Asks for `/healthz` on a connection of its own; the answer.
pub(crate) fn ask(stream: &mut (impl Read + Write)) -> String {
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    String::from_utf8(read_to_end(stream)).unwrap()
}
