//! Descriptions of sessions from elsewhere: what is read of them, and what is not.

use str0m::Candidate;

use super::LinkError;
use crate::limits::{LINK_CANDIDATES_MAX, LINK_SDP_BYTES_MAX};

/// A description that is short enough, tells of a data channel and nothing else, and has only
/// candidates that can be used.
#[derive(Debug)]
pub(super) struct RemoteDescription {
    pub(super) text: String,
    pub(super) candidates: Vec<Candidate>,
}

impl RemoteDescription {
    pub(super) fn read(sdp: &str) -> Result<Self, LinkError> {
        if sdp.len() > LINK_SDP_BYTES_MAX {
            return Err(LinkError::Description("it is too long".to_owned()));
        }
        let mut text = String::with_capacity(sdp.len());
        let mut candidates = Vec::new();
        let mut media = 0;
        for line in sdp.lines() {
            if let Some(kind) = line.strip_prefix("m=") {
                media += 1;
                if media > 1 || !kind.starts_with("application ") {
                    let why = "it tells of more than a data channel";
                    return Err(LinkError::Description(why.to_owned()));
                }
            }
            if let Some(candidate) = line.strip_prefix("a=candidate:") {
                // Browsers hide their addresses behind names that end in `.local`: what they
                // send shows where they are.
                let Some(candidate) = usable(candidate) else {
                    continue;
                };
                if candidates.len() == LINK_CANDIDATES_MAX {
                    continue;
                }
                candidates.push(candidate);
            }
            text.push_str(line);
            text.push_str("\r\n");
        }
        Ok(Self { text, candidates })
    }
}

fn usable(candidate: &str) -> Option<Candidate> {
    let candidate = Candidate::from_sdp_string(&format!("candidate:{candidate}")).ok()?;
    (candidate.proto() == str0m::net::Protocol::Udp).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
    const DATA: &str = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";

    fn candidate(address: &str) -> String {
        format!("a=candidate:1 1 udp 2113937151 {address} 54321 typ host generation 0\r\n")
    }

    #[test]
    fn candidates_that_cannot_be_used_are_left_out() {
        let hidden = candidate("5c4f1f2e-0f0e-4b3c-9d38-3a2f3f1c0f0e.local");
        let tcp = "a=candidate:2 1 tcp 1518280447 10.0.0.7 9 typ host tcptype active\r\n";
        let nonsense = "a=candidate:what\r\n";
        let good = candidate("10.0.0.7");
        let sdp = format!("{HEAD}{DATA}{hidden}{tcp}{nonsense}{good}");
        let read = RemoteDescription::read(&sdp).expect("it can be read");
        assert_eq!(read.text, format!("{HEAD}{DATA}{good}"));
        assert_eq!(read.candidates.len(), 1);
        assert_eq!(read.candidates[0].addr().to_string(), "10.0.0.7:54321");
    }

    #[test]
    fn lines_may_end_as_they_like() {
        let sdp = format!("{HEAD}{DATA}{}", candidate("10.0.0.7"));
        let bare = RemoteDescription::read(&sdp.replace("\r\n", "\n")).expect("it can be read");
        assert_eq!(bare.text, sdp);
    }

    #[test]
    fn candidates_above_the_limit_are_left_out() {
        let many = |count: usize| (0..count).map(|at| candidate(&format!("10.0.0.{at}")));
        for (count, kept) in [
            (LINK_CANDIDATES_MAX, LINK_CANDIDATES_MAX),
            (LINK_CANDIDATES_MAX + 1, LINK_CANDIDATES_MAX),
        ] {
            let sdp = format!("{HEAD}{DATA}{}", many(count).collect::<String>());
            let read = RemoteDescription::read(&sdp).expect("it can be read");
            assert_eq!(read.candidates.len(), kept);
            assert_eq!(read.text.matches("a=candidate:").count(), kept);
        }
    }

    #[test]
    fn a_description_above_the_limit_is_refused() {
        let mut sdp = format!("{HEAD}{DATA}");
        sdp.push_str(&"x".repeat(LINK_SDP_BYTES_MAX - sdp.len()));
        assert!(RemoteDescription::read(&sdp).is_ok());
        sdp.push('x');
        assert!(RemoteDescription::read(&sdp).is_err());
    }

    #[test]
    fn sound_and_pictures_are_refused() {
        let audio = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n";
        for media in [audio.to_owned(), format!("{DATA}{audio}"), DATA.repeat(2)] {
            assert!(RemoteDescription::read(&format!("{HEAD}{media}")).is_err());
        }
    }
}
