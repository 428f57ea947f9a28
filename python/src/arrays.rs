//! Vectors as numpy arrays, without copying.

use numpy::{Element, IntoPyArray as _, PyArrayMethods as _};
use pyo3::prelude::*;

/// A flat vector as an array of the given shape, in C order.
pub(crate) fn shaped<T: Element>(
    py: Python<'_>,
    values: Vec<T>,
    shape: &[usize],
) -> PyResult<Py<PyAny>> {
    let array = values.into_pyarray(py).reshape(shape)?;
    Ok(array.into_any().unbind())
}

/// A vector as an array of one dimension.
pub(crate) fn flat<T: Element>(py: Python<'_>, values: Vec<T>) -> Py<PyAny> {
    values.into_pyarray(py).into_any().unbind()
}
