//! A real ssh-agent that holds somebody's key, behind a door that counts how often it signs.

use crate::wait;
use crate::world::World;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// draft-miller-ssh-agent: SSH_AGENTC_SIGN_REQUEST.
const SIGN_REQUEST: u8 = 13;

pub(crate) struct Agent {
    child: Child,
    signatures: Arc<AtomicUsize>,
}

impl Agent {
    /// Makes the home `name`: that of `user`, with the private key in the agent and nowhere else.
    pub(crate) fn of(world: &World, user: &str, name: &str) -> Self {
        let (socket, front) = (world.path("agent.sock"), world.path("agent-front.sock"));
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("no ssh-agent: apt-get install openssh-client");
        wait::until("ssh-agent", || UnixStream::connect(&socket).ok());
        let key = world.path(user).join("id");
        let added = Command::new("ssh-add")
            .arg("-q")
            .arg(&key)
            .env("SSH_AUTH_SOCK", &socket)
            .status();
        assert!(added.unwrap().success());

        let home = world.path(name);
        fs::create_dir_all(&home).unwrap();
        for file in ["id.pub", "id-cert.pub", "known_hosts"] {
            fs::copy(world.path(user).join(file), home.join(file)).unwrap();
        }
        let config = fs::read_to_string(world.path(user).join("config")).unwrap();
        let config = config
            .replace(
                "IdentityAgent none",
                &format!("IdentityAgent {}", front.display()),
            )
            .replace(
                &key.display().to_string(),
                &home.join("id").display().to_string(),
            );
        fs::write(home.join("config"), config).unwrap();

        let signatures = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&signatures);
        let listener = UnixListener::bind(&front).unwrap();
        std::thread::spawn(move || {
            for came in listener.incoming() {
                let count = Arc::clone(&count);
                let socket = socket.clone();
                std::thread::spawn(move || pass_on(came.unwrap(), &socket, &count));
            }
        });
        Self { child, signatures }
    }

    pub(crate) fn signatures(&self) -> usize {
        self.signatures.load(Ordering::SeqCst)
    }
}

/// One request, one answer, until somebody leaves.
fn pass_on(mut user: UnixStream, socket: &Path, count: &AtomicUsize) {
    let Ok(mut agent) = UnixStream::connect(socket) else {
        return;
    };
    while let Some(request) = message(&mut user) {
        if request.get(4) == Some(&SIGN_REQUEST) {
            count.fetch_add(1, Ordering::SeqCst);
        }
        agent.write_all(&request).unwrap();
        let Some(answer) = message(&mut agent) else {
            return;
        };
        user.write_all(&answer).unwrap();
    }
}

fn message(from: &mut UnixStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let mut message = length.to_vec();
    message.resize(4 + usize::try_from(u32::from_be_bytes(length)).unwrap(), 0);
    from.read_exact(message.get_mut(4..).unwrap()).ok()?;
    Some(message)
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
