//! Who a client is by the certificate that it shows: an X.509 one (RFC 5280), checked by TLS before it comes here.
//!
//! The authority's word counts for all of it: the subject is the name, its organizational units (OU) are the roles, and
//! a URI `urn:uuid:...` among the alternative names is the node that the client is bound to.

use super::principal::{Principal, Proof};
use crate::model::{NodeId, Time, check_principal};
use x509_cert::Certificate;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::db::rfc4519::ORGANIZATIONAL_UNIT_NAME;
use x509_cert::der::{self, Any, Decode, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// How a URI begins that names a node's id (RFC 9562).
const NODE_URI: &str = "urn:uuid:";

/// Reads a certificate in DER. What was checked can be read, but for what its authority wrote beside the standard.
pub fn principal(certificate: &[u8]) -> Result<Principal, der::Error> {
    let certificate = Certificate::from_der(certificate)?;
    let certificate = certificate.tbs_certificate();
    let units = certificate.subject().iter().filter(|attribute| attribute.oid == ORGANIZATIONAL_UNIT_NAME);
    let mut roles: Vec<String> = units.filter_map(|unit| text(&unit.value)).map(str::to_owned).collect();
    roles.retain(|role| check_principal(role).is_ok());
    roles.sort();
    roles.dedup();
    let names = certificate.get_extension::<SubjectAltName>()?.map(|(_, names)| names.0).unwrap_or_default();
    let nodes = names.iter().filter_map(|name| match name {
        GeneralName::UniformResourceIdentifier(uri) => uri.as_str().strip_prefix(NODE_URI)?.parse().ok(),
        _ => None,
    });
    Ok(Principal {
        name: format!("cert:{}", certificate.subject()),
        roles,
        node: nodes.map(NodeId).next(),
        proof: Proof::Certificate,
        until: Some(Time::from_micros(certificate.validity().not_after.to_unix_duration().as_micros() as i64)),
    })
}

fn text(value: &Any) -> Option<&str> {
    match value.tag() {
        der::Tag::Utf8String => Utf8StringRef::try_from(value).ok().map(|text| text.as_str()),
        der::Tag::PrintableString => PrintableStringRef::try_from(value).ok().map(|text| text.as_str()),
        _ => None,
    }
}
