use crate::tape::Tensor;
use crate::Result;
pub trait Stub {
    fn token_places(&self, tokens: usize, causal: bool) -> Result<[Tensor; 2]>;
    fn attention(&self, k: &Tensor, v: &Tensor, ranges: &Tensor, heads: usize, scale: f32) -> Result<Tensor>;
    fn segment_mean(&self, spans: &Tensor) -> Result<Tensor>;
    fn segment_first(&self, spans: &Tensor) -> Result<Tensor>;
}
impl Stub for Tensor {
    fn token_places(&self, _: usize, _: bool) -> Result<[Tensor; 2]> { Ok([self.clone(), self.clone()]) }
    fn attention(&self, _: &Tensor, _: &Tensor, _: &Tensor, _: usize, _: f32) -> Result<Tensor> { Ok(self.clone()) }
    fn segment_mean(&self, _: &Tensor) -> Result<Tensor> { Ok(self.clone()) }
    fn segment_first(&self, _: &Tensor) -> Result<Tensor> { Ok(self.clone()) }
}
