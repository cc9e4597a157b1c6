//! TLS: what is trusted, and who we are. The provider is ring's, for our connections alone.

use std::fmt;
use std::sync::Arc;

use stickystore_core::options::Options;
use stickystore_core::{Error, ErrorKind, Result};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// What the TLS connections of a store trust, and who they are. By default the platform's authorities, and nobody.
///
/// ```
/// use stickystore_transport::TlsSettings;
///
/// let settings = TlsSettings::default().with_identity("certificate", "s3cret");
/// assert!(!format!("{settings:?}").contains("s3cret"));
/// assert!(settings.client_config().is_err());       // neither is PEM
/// ```
#[derive(Clone, Default)]
pub struct TlsSettings {
    ca: Option<Vec<u8>>,
    identity: Option<Identity>,
}

/// A client certificate with its key, both in PEM.
#[derive(Clone)]
struct Identity {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl TlsSettings {
    /// Reads the files that these options of a URL name, each in PEM: `ca`, the only authorities to trust; `cert` and `key`,
    /// the client's certificate and its key.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a file that cannot be read, or a certificate without its key.
    pub fn from_options(options: &mut Options) -> Result<Self> {
        let ca = file("ca", options)?;
        let identity = match (file("cert", options)?, file("key", options)?) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
            _ => return Err(wrong("a client certificate needs both options, cert and key")),
        };
        Ok(Self { ca, identity })
    }

    /// The only certificate authorities to trust, in PEM.
    #[must_use]
    pub fn with_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca = Some(pem.into());
        self
    }

    /// The client's certificate and its key, both in PEM.
    #[must_use]
    pub fn with_identity(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some(Identity { certificate: certificate.into(), key: key.into() });
        self
    }

    /// The settings as rustls takes them, with ring as their own provider.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what is not PEM, a key of another certificate, or a machine without authorities.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>> {
        let roots = match &self.ca {
            Some(pem) => own_roots(pem)?,
            None => platform_roots()?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("TLS cannot be set up").with_source(error))?
            .with_root_certificates(roots);
        let Some(identity) = &self.identity else { return Ok(Arc::new(builder.with_no_client_auth())) };
        let chain = certificates(&identity.certificate, "the client's certificate is not PEM")?;
        let key = PrivateKeyDer::from_pem_slice(&identity.key)
            .map_err(|error| wrong("the client's key is not PEM").with_source(error))?;
        let tls = builder.with_client_auth_cert(chain, key);
        tls.map(Arc::new)
            .map_err(|error| wrong("the client's certificate and key do not match").with_source(error))
    }
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("ca", &self.ca.is_some())
            .field("identity", &self.identity)
            .finish()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

fn own_roots(pem: &[u8]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem, "the authority's certificate is not PEM")? {
        roots
            .add(certificate)
            .map_err(|error| wrong("the authority's certificate is none").with_source(error))?;
    }
    Ok(roots)
}

fn platform_roots() -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // A platform has some that cannot be read; those that can are enough.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(wrong("this machine has no certificate authorities; name one with the option ca"));
    }
    Ok(roots)
}

fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| wrong(what).with_source(error))?;
    if certificates.is_empty() { Err(wrong(what)) } else { Ok(certificates) }
}

fn file(name: &'static str, options: &mut Options) -> Result<Option<Vec<u8>>> {
    let read = |path: String| {
        std::fs::read(path)
            .map_err(|error| wrong(format!("the file of the option \"{name}\" cannot be read: {error}")))
    };
    options.text(name).map(read).transpose()
}

fn wrong(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem() -> (String, String) {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    fn says(settings: &TlsSettings) -> String {
        let error = settings.client_config().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.context().to_owned()
    }

    #[test]
    fn a_certificate_with_its_key_is_taken_without_any_provider_of_the_process() {
        let (certificate, key) = pem();
        let settings = TlsSettings::default().with_ca(certificate.clone()).with_identity(certificate, key);
        settings.client_config().unwrap();
        let provider = tokio_rustls::rustls::crypto::CryptoProvider::get_default();
        assert!(provider.is_none(), "the process has no provider of ours");
    }

    #[test]
    fn each_thing_that_is_wrong_is_named() {
        let ((certificate, key), (_, other)) = (pem(), pem());
        let trusting = TlsSettings::default().with_ca(certificate.clone());
        assert!(says(&TlsSettings::default().with_ca("x")).contains("authority's certificate is not PEM"));
        assert!(says(&trusting.clone().with_identity("x", key)).contains("client's certificate is not PEM"));
        let identity = |key: &str| trusting.clone().with_identity(certificate.clone(), key);
        assert!(says(&identity("x")).contains("client's key is not PEM"));
        assert!(says(&identity(&other)).contains("do not match"));
    }

    #[test]
    fn a_certificate_needs_its_key_and_files_that_are_there() {
        let read = |given: &[(&str, &str)]| {
            let given = given.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
            let mut options = Options::new("test", given).unwrap();
            TlsSettings::from_options(&mut options).unwrap_err().context().to_owned()
        };
        assert!(read(&[("ca", "/nowhere/ca.pem")]).contains("the option \"ca\" cannot be read"));
        assert!(read(&[("cert", "Cargo.toml")]).contains("needs both options, cert and key"));
    }
}
