//! TLS for `tls=on`: what is trusted, and who we are. The provider is ring's, for our connections alone, although the
//! driver compiles another one: what builds without naming one would panic.

use std::sync::Arc;

use stickystore_core::{Error, ErrorKind, Result};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::config::Config;

/// The settings of all TLS connections of a store.
pub(crate) fn client_config(config: &Config) -> Result<Arc<ClientConfig>> {
    let roots = match &config.ca {
        Some(pem) => own_roots(pem)?,
        None => platform_roots()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS cannot be set up").with_source(error))?
        .with_root_certificates(roots);
    let Some(identity) = &config.identity else { return Ok(Arc::new(builder.with_no_client_auth())) };
    let chain = certificates(&identity.certificate, "the client's certificate is not PEM")?;
    let key = PrivateKeyDer::from_pem_slice(&identity.key)
        .map_err(|error| wrong("the client's key is not PEM").with_source(error))?;
    let tls = builder.with_client_auth_cert(chain, key);
    tls.map(Arc::new)
        .map_err(|error| wrong("the client's certificate and key do not match").with_source(error))
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

fn wrong(context: &'static str) -> Error {
    Error::new(ErrorKind::Config, context)
}
