//! The commands of a device, by noun.

mod backup;
mod calendar;
mod devices;
mod enrol;
mod history;
mod link;
mod open;
mod posting;
mod qr;
mod state;
mod watch;

use crate::args::{DeviceCommand as Command, Global};
use crate::explain::Failure;
use crate::output::Output;

pub(crate) async fn run(command: Command, global: &Global, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Init(options) => enrol::init(options, global, output).await,
        Command::Join(options) => enrol::join(options, global, output).await,
        Command::Link(options) => link::run(options, global, output).await,
        Command::Devices { act } => devices::run(act, global, output).await,
        Command::Backup { act } => backup::run(act, global, output).await,
        Command::Earn(options) => posting::earn(options, global, output).await,
        Command::Spend(options) => posting::spend(options, global, output).await,
        Command::Refund(options) => posting::refund(options, global, output).await,
        Command::Balance => state::balance(global, output).await,
        Command::Status => state::status(global, output).await,
        Command::History(options) => history::run(options, global, output).await,
        Command::Watch => watch::run(global, output).await,
    }
}
