//! What is done to all parameters of a network, whichever it is: averaging, counting, naming, gradients' norm.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};

/// A parameter by its path in the network, such as `middle.0.weight`.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Its path, parts joined by points.
    pub name: String,
    /// Its sides.
    pub shape: Vec<usize>,
    /// Its values in row-major order.
    pub values: Vec<f32>,
}

/// Moves every parameter of `average` toward that of `other`, a network of the same form:
/// `average·decay + other·(1 − decay)` (the exponential moving average).
pub fn average<B: Backend, M: Module<B>>(average: M, other: &M, decay: f32) -> M {
    let mut flat = Flat { values: Vec::new() };
    other.visit(&mut flat);
    average.map(&mut Blend { from: flat.values.into_iter(), decay })
}

/// All parameters with their names, in the network's order.
pub fn named<B: Backend, M: Module<B>>(module: &M) -> Vec<Named> {
    let mut names = Names { path: Vec::new(), found: Vec::new() };
    module.visit(&mut names);
    names.found
}

/// Puts `values` in the place of the parameters of `module`.
///
/// # Errors
/// When one is missing, has another shape, or holds what is not finite; the text names it.
pub fn with_named<B: Backend, M: Module<B>>(module: M, values: Vec<Named>) -> Result<M> {
    let values = values.into_iter().map(|named| (named.name.clone(), named)).collect();
    let mut place = Place { path: Vec::new(), values, fault: None };
    let module = module.map(&mut place);
    match place.fault {
        Some(fault) => bail!("{fault}"),
        None => Ok(module),
    }
}

/// The norm of all gradients of `module` together: `[1]`.
pub fn gradient_norm<B: AutodiffBackend, M: Module<B>>(
    gradients: &GradientsParams,
    module: &M,
    device: &B::Device,
) -> Tensor<B::InnerBackend, 1> {
    let mut norm = Norm { gradients, squares: Tensor::zeros([1], device) };
    module.visit(&mut norm);
    norm.squares.sqrt()
}

struct Flat<B: Backend> {
    values: Vec<Tensor<B, 1>>,
}

impl<B: Backend> ModuleVisitor<B> for Flat<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.values.push(param.val().flatten(0, D - 1));
    }
}

struct Blend<B: Backend> {
    from: std::vec::IntoIter<Tensor<B, 1>>,
    decay: f32,
}

impl<B: Backend> ModuleMapper<B> for Blend<B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let (id, value, mapper) = param.consume();
        let value = match self.from.next() {
            Some(from) => {
                let from = from.reshape(value.dims());
                value.mul_scalar(self.decay) + from.mul_scalar(1.0 - self.decay)
            }
            None => value,
        };
        Param::from_mapped_value(id, value.set_require_grad(false), mapper)
    }
}

struct Names {
    path: Vec<String>,
    found: Vec<Named>,
}

impl<B: Backend> ModuleVisitor<B> for Names {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let value = param.val();
        self.found.push(Named {
            name: self.path.join("."),
            shape: value.dims().to_vec(),
            values: value.to_data().iter().collect(),
        });
    }
}

struct Place {
    path: Vec<String>,
    values: BTreeMap<String, Named>,
    fault: Option<String>,
}

impl<B: Backend> ModuleMapper<B> for Place {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let name = self.path.join(".");
        let (id, value, mapper) = param.consume();
        let shape = value.dims();
        let value = match self.values.remove(&name) {
            Some(named) if named.shape == shape && named.values.iter().all(|v| v.is_finite()) => {
                let required = value.is_require_grad();
                Tensor::from_data(TensorData::new(named.values, shape), &value.device()).set_require_grad(required)
            }
            found => {
                self.fault.get_or_insert_with(|| match found {
                    Some(_) => format!("'{name}' is not finite or not of the shape {shape:?}"),
                    None => format!("'{name}' is missing"),
                });
                value
            }
        };
        Param::from_mapped_value(id, value, mapper)
    }
}

struct Norm<'g, B: AutodiffBackend> {
    gradients: &'g GradientsParams,
    squares: Tensor<B::InnerBackend, 1>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Norm<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.get::<B::InnerBackend, D>(param.id) {
            self.squares = self.squares.clone() + (gradient.clone() * gradient).sum();
        }
    }
}
