//! The manifests of `deploy/kubernetes` as they are rendered, and the services with what is in them.
//! Nothing here needs a cluster: what only a cluster can tell is not tested.

mod cluster;
mod config;
mod edge;
mod images;
mod object;
mod pair;
mod pods;
mod reach;
mod redis;
mod rendered;
mod secrets;
mod stop;
mod volumes;
