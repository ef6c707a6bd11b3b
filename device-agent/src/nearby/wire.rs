//! Messages on a TCP connection: two bytes of length, then so many bytes.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Reads the next message; one that says that it is longer than `longest` is an error before any
/// room is made for it.
pub(super) async fn read_message<R>(reader: &mut R, longest: usize) -> io::Result<Bytes>
where
    R: AsyncRead + Unpin,
{
    let length = usize::from(reader.read_u16().await?);
    if length > longest {
        return Err(too_long());
    }
    let mut message = vec![0; length];
    reader.read_exact(&mut message).await?;
    Ok(message.into())
}

/// Writes a message.
pub(super) async fn write_message<W>(writer: &mut W, message: &[u8]) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    let length = u16::try_from(message.len()).map_err(|_| too_long())?;
    let framed = [&length.to_be_bytes(), message].concat();
    writer.write_all(&framed).await?;
    writer.flush().await
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a message above the limit")
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn messages_come_as_they_went_and_one_that_is_too_long_is_not_waited_for() {
        let (mut one, mut other) = duplex(1024);
        for message in [&b"four"[..], b"", b"longer"] {
            write_message(&mut one, message).await.expect("written");
        }
        assert_eq!(read_message(&mut other, 4).await.expect("read"), "four");
        assert_eq!(read_message(&mut other, 4).await.expect("read"), "");
        assert!(read_message(&mut other, 4).await.is_err());
        let (mut one, mut other) = duplex(1024);
        one.write_all(&[0, 5]).await.expect("written");
        assert!(read_message(&mut other, 4).await.is_err());
        assert!(write_message(&mut one, &[0; 65_536]).await.is_err());
    }
}
