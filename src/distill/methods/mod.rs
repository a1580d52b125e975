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
mod dkd;
mod feature;
mod fgd;
mod fitnet;
mod fsp;
mod ft;
mod jsd;
mod kd;
mod logit_mse;
mod logit_std;
mod mgd;
mod mlkd;
mod nst;
mod obj_kd;
mod ofa;
mod ofd;
mod pkd;
mod pkt;
mod pseudo;
mod reviewkd;
mod rkd;
mod simkd;
mod sp;
mod tf_kd;
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
    dkd::SPEC,
    feature::SPEC,
    fgd::SPEC,
    fitnet::SPEC,
    fsp::SPEC,
    ft::SPEC,
    jsd::SPEC,
    kd::SPEC,
    logit_mse::SPEC,
    logit_std::SPEC,
    mgd::SPEC,
    mlkd::SPEC,
    nst::SPEC,
    obj_kd::SPEC,
    ofa::SPEC,
    ofd::SPEC,
    pkd::SPEC,
    pkt::SPEC,
    pseudo::SPEC,
    reviewkd::SPEC,
    rkd::SPEC,
    simkd::SPEC,
    sp::SPEC,
    tf_kd::SPEC,
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
