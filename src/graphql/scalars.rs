//! Scalars of our own.

use super::render::{Leaf, Render, put};
use crate::model;
use async_graphql::{InputValueError, InputValueResult, Number, Scalar, ScalarType, Value};
use std::io::Write;

/// An instant.
#[derive(Clone, Copy)]
pub struct DateTime(pub model::Time);

/// RFC 3339 instant; answered in UTC, taken with any offset, e.g. 2026-11-22T12:00:00Z.
#[Scalar(name = "DateTime")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => Ok(DateTime(text.parse()?)),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

impl Render for DateTime {
    type Plan<'a> = Leaf;

    fn render(&self, _: &Leaf, out: &mut Vec<u8>) -> Option<()> {
        write!(out, "\"{}\"", self.0).ok()
    }
}

/// A place in the log.
#[derive(Clone, Copy)]
pub struct Sequence(pub model::Sequence);

/// Place in the registry's log: a whole number below 2^53; later entries are larger, 0 is before the first.
#[Scalar(name = "Sequence")]
impl ScalarType for Sequence {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) => match number.as_u64() {
                Some(place) if place <= model::Sequence::MAX.0 => Ok(Sequence(model::Sequence(place))),
                _ => Err(InputValueError::custom("is no whole number from 0 to 2^53 - 1")),
            },
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::Number(Number::from(self.0.0))
    }
}

impl Render for Sequence {
    type Plan<'a> = Leaf;

    fn render(&self, _: &Leaf, out: &mut Vec<u8>) -> Option<()> {
        put(out, self.0.0)
    }
}
