//! The fused generator as an operator of tract, for graphs that are only partly ours.

use std::sync::{Arc, Mutex};

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::{not_out_of_plan, op_as_typed_op};
use tract_onnx::tract_hir::internal::*;

use super::Generator;
use super::contract::IMAGE_SCALE;
use super::fused::FusedGenerator;
use crate::frame::Size;

/// From an image, f32 `[1, 3, height, width]` of 0 to 1, to a picture of the same form.
#[derive(Clone)]
pub(super) struct FusedOp {
    /// Its buffers serve one picture at a time.
    generator: Arc<Mutex<FusedGenerator>>,
}

impl FusedOp {
    pub(super) fn new(generator: FusedGenerator) -> Self {
        Self { generator: Arc::new(Mutex::new(generator)) }
    }

    fn draw(&self, image: &Tensor) -> TractResult<Tensor> {
        let &[1, 3, height, width] = image.shape() else {
            bail!("a picture of the shape {:?} where [1, 3, height, width] is needed", image.shape());
        };
        let size = Size::new(u32::try_from(width)?, u32::try_from(height)?);
        let view = image.try_as_plain_ram()?;
        let planes = view.as_slice::<f32>()?;
        let mut pixels = vec![0; size.rgb_len()];
        for (plane, values) in planes.chunks_exact(size.area()).enumerate() {
            for (pixel, value) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(values) {
                pixel[plane] = (value / IMAGE_SCALE).round_ties_even().clamp(0.0, 255.0) as u8;
            }
        }
        let mut picture = vec![0; size.rgb_len()];
        // A picture that was left half drawn is drawn anew: a poisoned lock does no harm.
        let mut generator = self.generator.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        generator.run(&pixels, size, &mut picture).map_err(|error| TractError::msg(error.to_string()))?;
        let mut output = Tensor::zero::<f32>(image.shape())?;
        let mut view = output.try_as_plain_ram_mut()?;
        for (plane, values) in view.as_slice_mut::<f32>()?.chunks_exact_mut(size.area()).enumerate() {
            for (value, pixel) in values.iter_mut().zip(picture.as_chunks::<3>().0) {
                *value = f32::from(pixel[plane]) * IMAGE_SCALE;
            }
        }
        Ok(output)
    }
}

impl std::fmt::Debug for FusedOp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FusedOp")
    }
}

impl PartialEq for FusedOp {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.generator, &other.generator)
    }
}

impl Eq for FusedOp {}

impl Expansion for FusedOp {
    fn name(&self) -> StaticName {
        "FusedGenerator".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        solver.equals(&inputs[0].datum_type, f32::datum_type())?;
        solver.equals(&outputs[0].datum_type, f32::datum_type())?;
        solver.equals(&inputs[0].rank, 4)?;
        solver.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }

    fn runs_out_of_plan(&self) -> bool {
        false
    }
}

impl Op for FusedOp {
    fn name(&self) -> StaticName {
        "FusedGenerator".into()
    }

    op_as_typed_op!();
}

impl EvalOp for FusedOp {
    not_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let image = args_1!(inputs);
        Ok(tvec!(self.draw(&image)?.into_tvalue()))
    }
}

impl TypedOp for FusedOp {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::datum_type().fact(inputs[0].shape.clone())))
    }

    fn cost(&self, inputs: &[&TypedFact]) -> TractResult<TVec<(Cost, TDim)>> {
        let [_, _, height, width] = inputs[0].shape.as_concrete().unwrap_or(&[]) else { return Ok(tvec!()) };
        let generator = self.generator.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let macs = generator.macs(Size::new(u32::try_from(*width)?, u32::try_from(*height)?));
        Ok(tvec!((Cost::FMA(f32::datum_type()), i64::try_from(macs)?.to_dim())))
    }

    as_op!();
}
