// Answers HTTP as Rust's standard library does it: server ADDRESS
use std::io::{Read, Write};
use std::net::TcpListener;

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).expect("an address");
    for connection in TcpListener::bind(address)?.incoming() {
        let mut connection = connection?;
        std::thread::spawn(move || {
            let mut request = [0; 4096];
            if connection.read(&mut request).is_ok() {
                let _ = connection.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello");
            }
        });
    }
    Ok(())
}
