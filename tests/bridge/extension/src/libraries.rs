//! What async-std, smol and tokio offer, whichever of them the futures run on.

use std::io;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rsloop::rust_async;

/// Sleeps by smol's clock, and in a task of smol's.
#[pyfunction]
fn sleep_by_smol(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    rust_async::future_into_py(py, async {
        smol::Timer::after(Duration::from_millis(1)).await;
        smol::spawn(smol::Timer::after(Duration::from_millis(1))).await;
        Ok("slept")
    })
}

/// Sends `text` through a pair of connected sockets of `library`, one end of which is in another
/// task of that library's, and returns what comes back.
#[pyfunction]
fn echo(py: Python<'_>, library: String, text: String) -> PyResult<Bound<'_, PyAny>> {
    rust_async::future_into_py(py, async move {
        let echoed = match library.as_str() {
            "async-std" => echo_by_async_std(text.into_bytes()).await?,
            "smol" => echo_by_smol(text.into_bytes()).await?,
            #[cfg(feature = "tokio")]
            "tokio" => echo_by_tokio(text.into_bytes()).await?,
            other => return Err(PyValueError::new_err(format!("no such library: {other}"))),
        };
        Ok(String::from_utf8(echoed)?)
    })
}

async fn echo_by_async_std(mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    use async_std::io::{ReadExt, WriteExt};
    use async_std::net::{TcpListener, TcpStream};

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let here = listener.local_addr()?;
    let echoing = async_std::task::spawn(async move {
        let (stream, _) = listener.accept().await?;
        async_std::io::copy(&mut &stream, &mut &stream).await
    });
    let mut stream = TcpStream::connect(here).await?;
    stream.write_all(&bytes).await?;
    stream.read_exact(&mut bytes).await?;
    drop(stream);
    echoing.await?;
    Ok(bytes)
}

async fn echo_by_smol(mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    use smol::io::{AsyncReadExt, AsyncWriteExt};
    use smol::net::{TcpListener, TcpStream};

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let here = listener.local_addr()?;
    let echoing = smol::spawn(async move {
        let (stream, _) = listener.accept().await?;
        // A second handle of the same socket.
        smol::io::copy(stream.clone(), stream).await
    });
    let mut stream = TcpStream::connect(here).await?;
    stream.write_all(&bytes).await?;
    stream.read_exact(&mut bytes).await?;
    drop(stream);
    echoing.await?;
    Ok(bytes)
}

#[cfg(feature = "tokio")]
async fn echo_by_tokio(mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let here = listener.local_addr()?;
    let echoing = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let (mut reader, mut writer) = stream.split();
        tokio::io::copy(&mut reader, &mut writer).await
    });
    let mut stream = TcpStream::connect(here).await?;
    stream.write_all(&bytes).await?;
    stream.read_exact(&mut bytes).await?;
    drop(stream);
    echoing.await??;
    Ok(bytes)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(sleep_by_smol, module)?)?;
    module.add_function(wrap_pyfunction!(echo, module)?)
}
