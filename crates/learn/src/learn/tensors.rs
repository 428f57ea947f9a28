//! Tensor files (safetensors) of checkpoints and incidents. A tensor is refused unless it has the
//! expected type and shape.

use std::path::PathBuf;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tch::Tensor;

use super::checkpoint::MAX_COUNT;
use super::{ReturnMoments, ReturnRange, ReturnScaling, RunningMoments, SavedStateError};
use crate::nn::entries;
use evenkeel_sim::env::EnvState;

/// Collects the tensors of a file.
#[derive(Default)]
pub(super) struct TensorWriter {
    tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
}

impl TensorWriter {
    pub(super) fn f32(&mut self, name: &str, shape: Vec<usize>, entries: &[f32]) {
        let bytes = entries
            .iter()
            .flat_map(|entry| entry.to_le_bytes())
            .collect();
        self.tensors.push((name.into(), Dtype::F32, shape, bytes));
    }

    pub(super) fn f64(&mut self, name: &str, entries: &[f64]) {
        let bytes = entries
            .iter()
            .flat_map(|entry| entry.to_le_bytes())
            .collect();
        self.tensors
            .push((name.into(), Dtype::F64, vec![entries.len()], bytes));
    }

    pub(super) fn u64(&mut self, name: &str, entries: &[u64]) {
        let bytes = entries
            .iter()
            .flat_map(|entry| entry.to_le_bytes())
            .collect();
        self.tensors
            .push((name.into(), Dtype::U64, vec![entries.len()], bytes));
    }

    /// A flat tensor.
    pub(super) fn vector(&mut self, name: &str, tensor: &Tensor) {
        let entries = entries(tensor);
        self.f32(name, vec![entries.len()], &entries);
    }

    /// A tensor of rows and columns.
    pub(super) fn matrix(&mut self, name: &str, tensor: &Tensor) {
        let shape = tensor.size().iter().map(|&side| side as usize).collect();
        self.f32(name, shape, &entries(&tensor.reshape([-1])));
    }

    /// The states of environments.
    pub(super) fn environments(&mut self, name: &str, states: &[EnvState]) {
        let episodes: Vec<u64> = states.iter().map(|env| env.episode).collect();
        let lengths: Vec<u64> = states.iter().map(|env| env.actions.len() as u64).collect();
        let actions: Vec<f32> = states
            .iter()
            .flat_map(|env| env.actions.iter().copied())
            .collect();
        self.u64(&format!("{name}.episode"), &episodes);
        self.u64(&format!("{name}.action_count"), &lengths);
        self.f32(&format!("{name}.actions"), vec![actions.len()], &actions);
    }

    /// Size of all tensors, bytes.
    pub(super) fn size(&self) -> u64 {
        let sizes = self
            .tensors
            .iter()
            .map(|(_, _, _, bytes)| bytes.len() as u64);
        sizes.sum()
    }

    pub(super) fn moments(&mut self, name: &str, moments: &RunningMoments) {
        self.f64(&format!("{name}.count"), &[moments.count]);
        self.f64(&format!("{name}.mean"), &moments.mean);
        self.f64(&format!("{name}.squares"), &moments.squares);
    }

    /// Statistics of returns.
    pub(super) fn return_moments(&mut self, name: &str, returns: &ReturnMoments) {
        self.moments(name, &returns.moments);
        if let Some(ReturnRange { count, low, high }) = returns.range {
            self.f64(&format!("{name}.range"), &[count, low, high]);
        }
    }

    pub(super) fn bytes(&self) -> std::io::Result<Vec<u8>> {
        let views = self.tensors.iter().map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name, view))
        });
        views
            .collect::<Result<Vec<_>, _>>()
            .and_then(|views| safetensors::serialize(views, None))
            .map_err(std::io::Error::other)
    }
}

/// Reads the tensors of a file.
pub(super) struct TensorReader<'a> {
    path: PathBuf,
    tensors: SafeTensors<'a>,
}

impl<'a> TensorReader<'a> {
    pub(super) fn open(path: PathBuf, bytes: &'a [u8]) -> Result<Self, SavedStateError> {
        match SafeTensors::deserialize(bytes) {
            Ok(tensors) => Ok(Self { path, tensors }),
            Err(error) => Err(SavedStateError::Tensors {
                path,
                reason: error.to_string(),
            }),
        }
    }

    /// The error of an invalid file.
    pub(super) fn broken(&self, reason: String) -> SavedStateError {
        SavedStateError::Tensors {
            path: self.path.clone(),
            reason,
        }
    }

    /// The states of environments.
    pub(super) fn environments(&self, name: &str) -> Result<Vec<EnvState>, SavedStateError> {
        let counts = format!("{name}.action_count");
        let lengths = self.u64(&counts)?;
        let episodes = self.u64(&format!("{name}.episode"))?;
        let total = lengths
            .iter()
            .try_fold(0usize, |sum, &length| {
                sum.checked_add(usize::try_from(length).ok()?)
            })
            .ok_or_else(|| self.broken(format!("the counts of `{counts}` are too large")))?;
        if let Some(episode) = episodes.iter().find(|&&episode| episode > MAX_COUNT) {
            let reason = format!("`{name}.episode` holds {episode}, more than a run can count");
            return Err(self.broken(reason));
        }
        let actions = self.f32(&format!("{name}.actions"), &[total])?;
        if episodes.len() != lengths.len() {
            return Err(self.broken(format!(
                "{} episodes of {} environments",
                episodes.len(),
                lengths.len()
            )));
        }
        let mut rest = actions.as_slice();
        let states = episodes.iter().zip(&lengths).map(|(&episode, &length)| {
            let (actions, following) = rest.split_at(length as usize);
            rest = following;
            EnvState {
                episode,
                actions: actions.to_vec(),
            }
        });
        Ok(states.collect())
    }

    fn tensor(&self, name: &str, dtype: Dtype) -> Result<TensorView<'a>, SavedStateError> {
        let tensor = self
            .tensors
            .tensor(name)
            .map_err(|_| self.broken(format!("there is no `{name}` in it")))?;
        if tensor.dtype() != dtype {
            return Err(self.broken(format!(
                "`{name}` holds {:?}, not {dtype:?}",
                tensor.dtype()
            )));
        }
        Ok(tensor)
    }

    fn shaped(
        &self,
        name: &str,
        dtype: Dtype,
        expected: &[usize],
    ) -> Result<TensorView<'a>, SavedStateError> {
        let tensor = self.tensor(name, dtype)?;
        if tensor.shape() != expected {
            return Err(SavedStateError::Shape {
                path: self.path.clone(),
                tensor: name.into(),
                found: tensor.shape().to_vec(),
                expected: expected.to_vec(),
            });
        }
        Ok(tensor)
    }

    pub(super) fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, SavedStateError> {
        let tensor = self.shaped(name, Dtype::F32, shape)?;
        Ok(words(tensor.data()).map(f32::from_le_bytes).collect())
    }

    pub(super) fn f64(&self, name: &str, length: usize) -> Result<Vec<f64>, SavedStateError> {
        let tensor = self.shaped(name, Dtype::F64, &[length])?;
        Ok(words(tensor.data()).map(f64::from_le_bytes).collect())
    }

    pub(super) fn u64(&self, name: &str) -> Result<Vec<u64>, SavedStateError> {
        let tensor = self.tensor(name, Dtype::U64)?;
        Ok(words(tensor.data()).map(u64::from_le_bytes).collect())
    }

    pub(super) fn moments(
        &self,
        name: &str,
        dim: usize,
    ) -> Result<RunningMoments, SavedStateError> {
        Ok(RunningMoments {
            count: self.f64(&format!("{name}.count"), 1)?[0],
            mean: self.f64(&format!("{name}.mean"), dim)?,
            squares: self.f64(&format!("{name}.squares"), dim)?,
        })
    }

    /// The statistics of returns that this kind of normalisation needs.
    pub(super) fn return_moments(
        &self,
        name: &str,
        kind: ReturnScaling,
    ) -> Result<ReturnMoments, SavedStateError> {
        let range = kind.uses_range().then(|| {
            let range = self.f64(&format!("{name}.range"), 3)?;
            let (count, low, high) = (range[0], range[1], range[2]);
            Ok(ReturnRange { count, low, high })
        });
        Ok(ReturnMoments {
            moments: self.moments(name, 1)?,
            range: range.transpose()?,
        })
    }
}

/// Cuts bytes into words of `W` bytes.
fn words<const W: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; W]> {
    bytes.as_chunks::<W>().0.iter().copied()
}
