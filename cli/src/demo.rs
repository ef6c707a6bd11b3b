//! `demo`: both services and two devices, in a folder that is gone afterwards.
//!
//! Nothing here is staged: the services listen on ports of loopback, the store is a file, and the
//! devices are agents that know nothing but the addresses.

mod devices;
mod propagation;
mod script;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use edge_ledger_chassis::KeysFolder;
use edge_ledger_chassis::keys::Choices;
use edge_ledger_store::Embedded;
use identity_service::Registration;

use crate::explain::{Exit, Failure};
use crate::output::Output;
use crate::pair::{Pair, Site};
use crate::signals::Interrupts;
use devices::Devices;
use script::{Cut, Script};

/// Entries that are timed one after another.
const TIMED_ENTRIES: usize = 200;
/// Time that a service has to end.
const GRACE: Duration = Duration::from_secs(2);

pub(crate) async fn run(output: &Output) -> Result<(), Failure> {
    let mut interrupts = Interrupts::listen()?;
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::refused("NO_FOLDER", format!("no temporary folder: {error}")))?;
    let mut script = Script::new(output.clone());
    let played = tokio::select! {
        played = play(&mut script, folder.path()) => played,
        () = interrupts.next() => return Err(Failure::interrupted()),
    };
    match played {
        Ok(()) => script.end(true).await.map_err(not_shown),
        Err(Cut::Step) => {
            script.end(false).await.map_err(not_shown)?;
            Err(Failure::said(Exit::Refused))
        }
        Err(Cut::Output(failure)) => Err(not_shown(failure)),
    }
}

/// The demo shows that all holds: unread, it has not.
fn not_shown(mut failure: Failure) -> Failure {
    failure.exit = Exit::Refused;
    failure
}

/// The scenes, in order. The first that does not hold ends it.
async fn play(script: &mut Script, folder: &Path) -> Result<(), Cut> {
    let mut pair = script.step("start both services", start(folder)).await?;
    let devices = meet(script, folder, &pair.identity_url()).await?;
    go_through_the_service(script, &devices).await?;
    script
        .step("stop the ledger service", stop(&mut pair, &devices))
        .await?;
    go_on_without_it(script, &devices).await?;
    script
        .step("start the ledger service again", pair.start_ledger())
        .await?;
    script.step("catch up", devices.catch_up()).await?;
    script.look("the service is back", &devices);
    let balance = script
        .step("agree on balance and heads", devices.agree(255))
        .await?;
    script.agreed(balance);
    Box::pin(script.step("stop everything", leave(pair, devices))).await
}

/// Two devices of one identity, linked directly too.
async fn meet(script: &mut Script, folder: &Path, url: &str) -> Result<Devices, Cut> {
    let first = script
        .step(
            "make an identity on the first device",
            Box::pin(devices::first(folder, url)),
        )
        .await?;
    let second = script
        .step(
            "link the second device",
            Box::pin(devices::second(folder, url, &first)),
        )
        .await?;
    let devices = Devices { first, second };
    script.look("both devices are linked", &devices);
    script
        .step("link both directly", devices.link_directly())
        .await?;
    Ok(devices)
}

async fn go_through_the_service(script: &mut Script, devices: &Devices) -> Result<(), Cut> {
    script
        .carried(
            "earn 100 on the first, see it on the second",
            devices,
            devices.earn_and_see(100),
        )
        .await?;
    script.look("the first has earned 100", devices);
    let timed = script
        .long_step(
            "earn 1 on the first, 200 times",
            propagation::measure(devices, TIMED_ENTRIES),
        )
        .await?;
    script.timed(timed).await?;
    script.look("the first has earned 200 more", devices);
    script
        .step("spend 30 on both at once", devices.spend_at_once(30, 240))
        .await?;
    script.look("both have spent 30", devices);
    Ok(())
}

async fn go_on_without_it(script: &mut Script, devices: &Devices) -> Result<(), Cut> {
    script
        .carried(
            "earn 25 on the first, see it on the second",
            devices,
            devices.earn_and_see(25),
        )
        .await?;
    script
        .carried(
            "spend 10 on the second, see it on the first",
            devices,
            devices.spend_alone(10),
        )
        .await?;
    script.look("the service is down", devices);
    Ok(())
}

async fn start(folder: &Path) -> Result<Pair, Failure> {
    let store = Embedded::open(&folder.join("server/store.redb"))?;
    let keys = KeysFolder::open_or_init(&folder.join("server-keys"), &Choices::default())?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let site = Site {
        identity_listen: any,
        ledger_listen: any,
        hosts: Vec::new(),
        tls: None,
        registration: Registration::Open,
    };
    Pair::start(store, keys, site).await
}

async fn stop(pair: &mut Pair, devices: &Devices) -> Result<(), Failure> {
    pair.stop_ledger(GRACE).await;
    devices.are_offline().await;
    Ok(())
}

async fn leave(pair: Pair, devices: Devices) -> Result<(), Failure> {
    tokio::join!(devices.first.stop(), devices.second.stop());
    pair.shutdown(GRACE).await;
    Ok(())
}
