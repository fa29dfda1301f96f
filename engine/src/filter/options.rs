//! What a request gives along with its expression.

use super::template::Templates;
use crate::exec::Cancel;
use crate::row::moment::Zone;

/// What an expression is compiled with.
#[derive(Debug, Clone, Default)]
pub struct FilterOptions {
    /// Values of the `{name}`s.
    pub templates: Templates,
    /// Zone of dates and times that are written without an offset; UTC by default.
    pub timezone: Zone,
    /// Ends the evaluation of the filter, wherever it is used.
    pub cancel: Option<Cancel>,
}
