//! Machines that join without a person, and devices that leave by themselves.

use std::time::Duration;

use device_agent::{
    AddedBy, Agent, AgentError, Details, DeviceState, Enrolled, Enrolment, EnrolmentToken, Level,
    NewDevice, Options, RevokeReason, TokenError, join_by_token, within,
};
use edge_ledger_chassis::Clock;
use edge_ledger_core::limits::DEVICES_ACTIVE_MAX;
use edge_ledger_tests::{Deployment, Pair};
use futures::future::join_all;

const PATIENCE: Duration = Duration::from_secs(20);

fn kiosks(uses: u32) -> Enrolment {
    Enrolment {
        name: "kiosks".to_owned(),
        uses,
        life: Duration::from_secs(3_600),
    }
}

async fn token(phone: &Agent, uses: u32) -> anyhow::Result<EnrolmentToken> {
    let token = phone.enrolment_token();
    let opened = phone.open_enrolment(&token, &kiosks(uses)).await?;
    assert_eq!((opened.id, opened.used, opened.uses), (token.id(), 0, uses));
    assert!(opened.is_open(phone.now_ms()));
    Ok(token)
}

/// The reason of a refusal.
fn reason(refused: Result<Enrolled, AgentError>) -> String {
    match refused {
        Err(AgentError::Refused(refusal)) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

async fn synced(agent: &Agent) -> anyhow::Result<()> {
    Ok(within(PATIENCE, agent.sync()).await?)
}

#[tokio::test]
async fn a_machine_joins_with_a_token_alone_and_is_a_plain_device() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    let token = token(&phone, 1).await?;
    let read = EnrolmentToken::from_text(&token.to_text())?;
    let joined = join_by_token(&pair.new_device("kiosk"), &read).await?;
    assert_eq!(
        (joined.identity, joined.name.as_str()),
        (token.identity(), "kiosk")
    );
    let kiosk = pair.open("kiosk").await?;
    kiosk.earn(5, Details::default()).await?;
    synced(&kiosk).await?;
    synced(&phone).await?;
    assert_eq!(phone.balance().balance, 5);
    let devices = phone.devices();
    assert_eq!(devices[0].added_by, AddedBy::Root);
    let by = AddedBy::Enrolment {
        id: token.id(),
        name: "kiosks".to_owned(),
    };
    let added = &devices[1];
    assert_eq!((&added.added_by, added.admin), (&by, false));
    assert!(added.last_entry_ms.is_some() && added.last_statement_ms.is_none());
    assert!(devices[0].last_statement_ms.is_some() && devices[0].last_entry_ms.is_none());
    assert!(devices[0].added_ms <= added.added_ms);
    let used = &phone.enrolments()[0];
    assert_eq!((used.used, used.is_open(phone.now_ms())), (1, false));
    // What it was let in by gives it no rights.
    let own = kiosk.enrolment_token();
    let refused = kiosk.open_enrolment(&own, &kiosks(1)).await;
    assert!(matches!(refused, Err(AgentError::Refused(r)) if r.reason == "FORBIDDEN"));
    Ok(())
}

/// Whatever the clock of a machine says, which here is decades behind or ahead.
#[tokio::test]
async fn a_token_lasts_until_it_expires_by_the_time_of_the_log() -> anyhow::Result<()> {
    for now_ms in [1_000_000_000_000, 4_000_000_000_000] {
        let (clock, hands) = Clock::manual(now_ms);
        let mut deployment = Deployment::new()?;
        deployment.clock = clock;
        let pair = Pair::over(deployment).await?;
        let phone = pair.first_device("phone").await?;
        let token = phone.enrolment_token();
        let opened = phone.open_enrolment(&token, &kiosks(5)).await?;
        assert_eq!(opened.expires_ms, now_ms + 3_600_000);
        join_by_token(&pair.new_device("early"), &token).await?;
        hands.advance_ms(3_600_000);
        join_by_token(&pair.new_device("just so"), &token).await?;
        hands.advance_ms(1);
        let late = pair.new_device("late");
        assert_eq!(
            reason(join_by_token(&late, &token).await),
            "ENROLMENT_ENDED"
        );
        assert!(Agent::open(&late.home, Options::default()).await.is_err());
        synced(&phone).await?;
        assert_eq!(phone.devices().len(), 3);
        let over = &phone.enrolments()[0];
        assert_eq!((over.used, over.is_open(opened.expires_ms + 1)), (2, false));
    }
    Ok(())
}

#[tokio::test]
async fn of_eight_machines_that_join_at_once_with_five_uses_five_join() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    let token = token(&phone, 5).await?;
    let new: Vec<NewDevice> = (0..8)
        .map(|n| pair.new_device(&format!("kiosk-{n}")))
        .collect();
    let joined = join_all(new.iter().map(|new| join_by_token(new, &token))).await;
    let (joined, refused): (Vec<_>, Vec<_>) = joined.into_iter().partition(Result::is_ok);
    assert_eq!((joined.len(), refused.len()), (5, 3));
    for refused in refused {
        assert_eq!(reason(refused), "ENROLMENT_ENDED");
    }
    let mut opened = 0;
    for new in &new {
        opened += usize::from(Agent::open(&new.home, Options::default()).await.is_ok());
    }
    assert_eq!(opened, 5);
    synced(&phone).await?;
    assert_eq!(phone.devices().len(), 6);
    assert_eq!(phone.enrolments()[0].used, 5);
    Ok(())
}

/// S-14, before anybody has gone to the new device.
#[tokio::test]
async fn s14_no_code_is_shown_for_one_device_more_than_the_limit() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    let others = DEVICES_ACTIVE_MAX - 1;
    let token = token(&phone, u32::try_from(others)?).await?;
    for n in 0..others {
        join_by_token(&pair.new_device(&format!("kiosk-{n}")), &token).await?;
    }
    synced(&phone).await?;
    let refused = phone.link().await.err();
    assert!(matches!(refused, Some(AgentError::Refused(r)) if r.reason == "DEVICE_LIMIT"));
    let kiosk = phone.devices()[1].device;
    phone.revoke(kiosk, RevokeReason::Retired).await?;
    phone.link().await?;
    Ok(())
}

/// The log has the device, but the machine does not know: as after a crash.
#[tokio::test]
async fn a_lost_answer_costs_neither_a_use_nor_a_key() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    for uses in [1, 2] {
        let token = token(&phone, uses).await?;
        let new = pair.new_device(&format!("kiosk-{uses}"));
        let first = join_by_token(&new, &token).await?;
        for file in ["home.json", "ledger.redb"] {
            std::fs::remove_file(new.home.join(file))?;
        }
        let renamed = NewDevice {
            name: "another".to_owned(),
            ..new
        };
        let again = join_by_token(&renamed, &token).await?;
        assert_eq!(again, first);
        let used = phone.enrolments();
        synced(&phone).await?;
        assert_eq!(
            phone.enrolments().last().map(|e| e.used),
            Some(1),
            "{used:?}"
        );
        let occupied = join_by_token(&renamed, &token).await;
        assert!(matches!(occupied, Err(AgentError::Home(_))));
    }
    assert_eq!(phone.devices().len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_token_that_was_ended_or_never_opened_lets_nobody_in() -> anyhow::Result<()> {
    let pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    let ended = token(&phone, 2).await?;
    phone.revoke_enrolment(ended.id()).await?;
    let new = pair.new_device("kiosk");
    assert_eq!(reason(join_by_token(&new, &ended).await), "ENROLMENT_ENDED");
    let again = phone.revoke_enrolment(ended.id()).await;
    assert!(matches!(again, Err(AgentError::Refused(r)) if r.reason == "ENROLMENT_ENDED"));
    let unknown = phone.enrolment_token();
    let refused = join_by_token(&new, &unknown).await;
    assert!(matches!(refused, Err(AgentError::UnknownEnrolment)));
    let refused = phone.revoke_enrolment(unknown.id()).await;
    assert!(matches!(refused, Err(AgentError::UnknownEnrolment)));
    // It ends with the device that made it.
    let tablet = pair.link(&phone, "tablet", true).await?;
    let of_tablet = token(&tablet, 2).await?;
    phone
        .revoke(tablet.status().device, RevokeReason::Lost)
        .await?;
    assert_eq!(
        reason(join_by_token(&new, &of_tablet).await),
        "ENROLMENT_ENDED"
    );
    assert_eq!(phone.devices().len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_token_trusts_only_the_ledger_that_it_names() -> anyhow::Result<()> {
    let (pair, other) = (Pair::start().await?, Pair::start().await?);
    let phone = pair.first_device("phone").await?;
    let token = token(&phone, 1).await?;
    let refused = join_by_token(&other.new_device("kiosk"), &token).await;
    assert!(matches!(refused, Err(AgentError::Untrusted(_))));
    // No key was made for it there.
    assert!(!other.home("kiosk").join("device.key").exists());
    let file = pair.home("file");
    token.write(&file)?;
    assert!(matches!(token.write(&file), Err(TokenError::Exists(_))));
    join_by_token(&pair.new_device("kiosk"), &EnrolmentToken::read(&file)?).await?;
    Ok(())
}

#[tokio::test]
async fn a_device_that_left_knows_it_without_a_service_and_what_it_told_stays() -> anyhow::Result<()>
{
    let mut pair = Pair::start().await?;
    let phone = pair.first_device("phone").await?;
    let laptop = pair.link(&phone, "laptop", false).await?;
    laptop.earn(7, Details::default()).await?;
    synced(&laptop).await?;
    within(PATIENCE, laptop.wait_acked(Level::Volatile)).await?;
    assert!(!laptop.is_last_admin() && phone.is_last_admin());
    assert!(phone.holds_root_key().is_ok() && laptop.holds_root_key().is_err());
    let refused = phone.leave().await;
    assert!(matches!(refused, Err(AgentError::Refused(r)) if r.reason == "LAST_ADMIN"));
    laptop.leave().await?;
    assert!(laptop.status().left);
    let refused = within(PATIENCE, laptop.sync()).await;
    assert!(matches!(refused, Err(AgentError::Refused(r)) if r.reason == "DEVICE_REVOKED"));
    laptop.stop().await;
    synced(&phone).await?;
    assert_eq!(phone.devices()[1].state, DeviceState::Revoked);
    assert_eq!(phone.balance().balance, 7);
    assert!(!phone.status().left);
    pair.stop_ledger().await?;
    pair.stop_identity().await?;
    let laptop = pair.open("laptop").await?;
    let status = laptop.status();
    assert!(status.left && status.revoked.is_some(), "{status:?}");
    Ok(())
}
