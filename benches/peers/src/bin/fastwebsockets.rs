//! An echo server of `fastwebsockets` behind `hyper`, on one thread.

use std::convert::Infallible;
use std::io;

use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{Frame, OpCode, WebSocketError};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

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
            tokio::spawn(serve(socket));
        }
    })
}

async fn serve(socket: TcpStream) -> hyper::Result<()> {
    let connection =
        http1::Builder::new().serve_connection(TokioIo::new(socket), service_fn(answer));
    connection.with_upgrades().await
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    Ok(match upgrade(&mut request) {
        Ok((response, future)) => {
            tokio::spawn(echo(future));
            response
        }
        Err(_) => {
            let mut response = Response::new(Empty::new());
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
    })
}

async fn echo(future: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = future.await?;
    socket.set_auto_close(true);
    socket.set_auto_pong(true);
    // Without its vectored writes large messages are copied.
    socket.set_writev(true);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => {
                // As it came it still has its mask.
                let answer = Frame::new(true, frame.opcode, None, frame.payload);
                socket.write_frame(answer).await?;
            }
            _ => {}
        }
    }
}
