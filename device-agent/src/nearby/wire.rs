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
