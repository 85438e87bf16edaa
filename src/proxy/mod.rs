//! A call's way from its caller to a provider.

pub mod outbound;
