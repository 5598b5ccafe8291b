//! The files that say who the server is: read at the start, and again when somebody says that they have changed.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::event_loop::EventLoop;
use super::socket::Socket;
use crate::config::TlsFiles;
use crate::handler::Handler;
use crate::tls::{Acceptor, CertificateError};

/// Why a certificate, or the key to it, cannot be used; the text fits on one line.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsFilesError {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// What is in the file cannot be used.
    Unusable(PathBuf, CertificateError),
}

/// Reads certificate and key.
pub(super) fn load(files: &TlsFiles) -> Result<Acceptor, TlsFilesError> {
    let read = |path: &Path| {
        fs::read(path).map_err(|error| TlsFilesError::Unreadable(path.to_owned(), error))
    };
    let (certificate, key) = (read(&files.certificate)?, read(&files.key)?);
    Acceptor::from_pem(&certificate, &key).map_err(|error| {
        let path = if error.is_of_key() {
            &files.key
        } else {
            &files.certificate
        };
        TlsFilesError::Unusable(path.clone(), error)
    })
}

impl<H: Handler, S: Socket> EventLoop<H, S> {
    /// Reads certificate and key again, for connections to come; if they cannot be used, the old ones stay.
    pub(super) fn reload_certificate(&mut self) {
        let (Some(files), Some(listener)) = (&self.now.config.tls, &mut self.listener) else {
            return;
        };
        match load(files) {
            Ok(acceptor) => {
                listener.encrypt(acceptor);
                log::info!("new connections get the certificate of now");
            }
            Err(error) => log::error!("the old certificate stays: {error}"),
        }
    }
}

impl fmt::Display for TlsFilesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Unusable(path, error) => write!(f, "cannot use {}: {error}", path.display()),
        }
    }
}

impl Error for TlsFilesError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreadable(_, error) => Some(error),
            Self::Unusable(_, error) => Some(error),
        }
    }
}
