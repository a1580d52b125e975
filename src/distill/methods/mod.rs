//! One file a method. A method of yours is another one here, with its line in [`METHODS`].

mod ab;
mod activation;
mod at;
mod binary_kd;
mod byot;
mod cc;
mod connector;
mod crd;
mod crosskd;
mod ctkd;
mod cwd;
mod dist;
mod distilbert;
mod dkd;
mod embed_cosine;
mod embed_mse;
mod feature;
mod fgd;
mod fitnet;
mod fsp;
mod ft;
mod jsd;
mod kd;
mod logit_mse;
mod logit_std;
mod margin_mse;
mod mgd;
mod minilm;
mod minilmv2;
mod mlkd;
mod nst;
mod obj_kd;
mod ofa;
mod ofd;
mod pkd;
mod pkd_bert;
mod pkt;
mod pseudo;
mod relational;
mod reviewkd;
mod rkd;
mod simkd;
mod sp;
mod tf_kd;
mod theseus;
mod tinybert;
mod vid;
mod weights;
mod wsld;

use super::MethodSpec;
use crate::{Error, Result};

/// Every method.
#[rustfmt::skip]
pub static METHODS: &[MethodSpec] = &[
    ab::SPEC,
    activation::SPEC,
    at::SPEC,
    binary_kd::SPEC,
    byot::SPEC,
    cc::SPEC,
    crd::SPEC,
    crosskd::SPEC,
    ctkd::SPEC,
    cwd::SPEC,
    dist::SPEC,
    distilbert::SPEC,
    dkd::SPEC,
    embed_cosine::SPEC,
    embed_mse::SPEC,
    feature::SPEC,
    fgd::SPEC,
    fitnet::SPEC,
    fsp::SPEC,
    ft::SPEC,
    jsd::SPEC,
    kd::SPEC,
    logit_mse::SPEC,
    logit_std::SPEC,
    margin_mse::SPEC,
    mgd::SPEC,
    minilm::SPEC,
    minilmv2::SPEC,
    mlkd::SPEC,
    nst::SPEC,
    obj_kd::SPEC,
    ofa::SPEC,
    ofd::SPEC,
    pkd::SPEC,
    pkd_bert::SPEC,
    pkt::SPEC,
    pseudo::SPEC,
    relational::SPEC,
    reviewkd::SPEC,
    rkd::SPEC,
    simkd::SPEC,
    sp::SPEC,
    tf_kd::SPEC,
    theseus::SPEC,
    tinybert::SPEC,
    vid::SPEC,
    weights::SPEC,
    wsld::SPEC,
];

/// The entry for `name`, or an error that lists the names there are.
pub fn find(name: &str) -> Result<&'static MethodSpec> {
    METHODS.iter().find(|m| m.name == name).ok_or_else(|| {
        let known: Vec<&str> = METHODS.iter().map(|m| m.name).collect();
        Error::config("method", format!("no method \"{name}\"; there are {}", known.join(", ")))
    })
}
