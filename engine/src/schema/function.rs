//! Functions of a schema: fields that the collection computes from others when rows are stored.

use serde::{Deserialize, Serialize};

use super::{DataType, Field};
use crate::error::{EngineError, Result};

/// A computed field. The one kind is BM25: from text to a sparse vector of its terms' frequencies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its own name.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Field that it reads: a VarChar with an analyzer.
    pub input: String,
    /// Field that it fills: a sparse vector.
    pub output: String,
}

impl Function {
    /// Checks it against the fields, and marks its output among them.
    pub(super) fn bind(&self, fields: &mut [Field]) -> Result<()> {
        let name = &self.name;
        let input = fields.iter().find(|f| f.name == self.input);
        let input = input.ok_or_else(|| {
            EngineError::invalid(format!("function input field not found: {} of function {name}", self.input))
        })?;
        if input.data_type != DataType::VarChar || !input.has_analyzer() {
            return Err(EngineError::invalid(format!(
                "BM25 function input field must be a VARCHAR/TEXT field, and set enable_analyzer to true: {}",
                self.input
            )));
        }
        if input.nullable {
            return Err(EngineError::invalid(format!(
                "function input field cannot be nullable: function {name}, field {}",
                self.input
            )));
        }
        let output = fields.iter_mut().find(|f| f.name == self.output).ok_or_else(|| {
            EngineError::invalid(format!(
                "function output field not found: {} of function {name}",
                self.output
            ))
        })?;
        if output.data_type != DataType::SparseFloatVector || output.function_output {
            return Err(EngineError::invalid(format!(
                "BM25 function output field must be a SparseFloatVector field that no other function fills: {}",
                self.output
            )));
        }
        output.function_output = true;
        Ok(())
    }
}
