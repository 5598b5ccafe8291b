//! An echo server of `tokio-tungstenite`, on one thread.

use std::io;

use futures_util::StreamExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Error;

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            tokio::spawn(echo(socket));
        }
    })
}

/// Sends back what comes, and flushes when nothing more has come with it.
async fn echo(socket: TcpStream) -> Result<(), Error> {
    let (sink, stream) = accept_async(socket).await?.split();
    let messages = stream.filter(|message| {
        std::future::ready(
            message
                .as_ref()
                .map_or(true, |message| message.is_text() || message.is_binary()),
        )
    });
    messages.forward(sink).await
}
