//! A call by the Model Context Protocol.
