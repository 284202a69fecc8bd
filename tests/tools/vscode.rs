//! What VS Code's Remote-SSH does: `ssh -T -D PORT HOST sh` with a script on standard input that starts a
//! server on the target's loopback, HTTP through the dynamic forward, and, as its exec server does, a
//! unix socket of the target's through `-L`. Then the laptop sleeps, and it comes again.

use crate::tool::{self, DOORS, Door, done, size, tool};
use crate::wait;
use crate::world::{Client, World, free_port};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

/// The server that stays on the target, on a port and on a unix socket.
const SERVER: &str = "\
import http.server, socketserver, sys, threading
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'hello from the server' * 1000
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def address_string(self):
        return 'somebody'
class Unix(socketserver.ThreadingUnixStreamServer):
    pass
threading.Thread(target=Unix(sys.argv[2], Hello).serve_forever, daemon=True).start()
http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Hello).serve_forever()
";

struct Server {
    child: Child,
    port: u16,
    socket: String,
}

impl Server {
    fn start(world: &World) -> Self {
        let (port, socket) = (free_port(), world.text_path("server.sock"));
        let words = ["-c", SERVER, &port.to_string(), &socket];
        let child = Command::new("/usr/bin/python3")
            .args(words)
            .stderr(Stdio::null())
            .spawn();
        let server = Self {
            child: child.unwrap(),
            port,
            socket,
        };
        wait::until("the server", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One connection as VS Code makes it; ends when the test says so.
fn connect(world: &World, server: &Server, door: Door, number: usize) {
    let (dynamic, local) = (
        free_port().to_string(),
        world.text_path(&format!("exec-{}-{number}", door.word())),
    );
    let unix = format!("{local}:{}", server.socket);
    let mut client = Client(
        Command::new("ssh")
            .args(world.words(
                tool::ME,
                &[
                    "-T",
                    "-D",
                    &dynamic,
                    "-L",
                    &unix,
                    "-o",
                    "ExitOnForwardFailure=yes",
                ],
            ))
            .args([&door.db1(world), "sh"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut stdin = client.stdin();
    let script = format!("echo listeningOn=={}==\nuname -s\n", server.port);
    stdin.write_all(script.as_bytes()).unwrap();
    let mut lines = BufReader::new(client.stdout()).lines();
    assert_eq!(
        lines.next().unwrap().unwrap(),
        format!("listeningOn=={}==", server.port)
    );
    assert_eq!(lines.next().unwrap().unwrap(), "Linux");

    let through = format!("127.0.0.1:{dynamic}");
    let page = format!("http://127.0.0.1:{}/", server.port);
    let body = "hello from the server".repeat(1000);
    for words in [
        &["--socks5", &through, &page][..],
        &["--socks5-hostname", &through, &page],
        &["--unix-socket", &local, "http://exec-server/"],
    ] {
        let mut curl = tool("curl", "curl", 60);
        let run = done(curl.args(["-sSf", "--noproxy", ""]).args(words));
        assert_eq!(run.out(), body, "{words:?}");
    }
    drop(stdin);
    assert_eq!(client.end(), Some(0), "{door:?} {number}");
    fs::remove_file(local).ok();
}

#[test]
fn vs_code_connects_and_comes_again() {
    let world = tool::start();
    let server = Server::start(&world);
    let times = size(5, 50);
    for number in 0..times {
        for door in DOORS {
            connect(&world, &server, door, number);
        }
    }
    drop(server);
    let sessions = world.ended_sessions(2 * times);
    assert_eq!(sessions.len(), 2 * times);
    for session in sessions {
        let events = world.events(session["id"].as_str().unwrap());
        let opened = events
            .iter()
            .filter(|event| event["kind"] == "forward.open")
            .count();
        assert_eq!(opened, 3, "{events:?}");
    }
}
