//! Somebody at a terminal.

use crate::wait::PATIENCE;
use pty_process::blocking::{Command, Pty, open};
use std::io::{Read, Write};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, mpsc};

pub(crate) struct Terminal {
    pty: Arc<Pty>,
    child: Child,
    shown: mpsc::Receiver<Vec<u8>>,
    pub(crate) screen: String,
    seen: usize,
}

impl Terminal {
    /// Runs `program words...` on a terminal of 80 x 24.
    pub(crate) fn new(program: &str, words: &[String]) -> Self {
        let (pty, side) = open().unwrap();
        pty.resize(pty_process::Size::new(24, 80)).unwrap();
        let mut command = Command::new(program).args(words);
        command = command.env("TERM", "xterm");
        let child = command.spawn(side).unwrap();
        let pty = Arc::new(pty);
        let reader = Arc::clone(&pty);
        let (show, shown) = mpsc::sync_channel(1024);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Linux says EIO when the last process has closed the terminal.
            while let Ok(n @ 1..) = (&*reader).read(&mut buffer) {
                if show.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            pty,
            child,
            shown,
            screen: String::new(),
            seen: 0,
        }
    }

    /// Waits until `text` is shown, after what was seen before.
    pub(crate) fn see(&mut self, text: &str) -> &mut Self {
        loop {
            if let Some(at) = self.screen[self.seen..].find(text) {
                self.seen += at + text.len();
                return self;
            }
            let Ok(more) = self.shown.recv_timeout(PATIENCE) else {
                panic!("`{text}` was not shown; the screen was:\n{}", self.screen);
            };
            // Tests look for ASCII; a character cut in two does not matter to them.
            self.screen.push_str(&String::from_utf8_lossy(&more));
        }
    }

    pub(crate) fn type_in(&mut self, text: &str) -> &mut Self {
        (&*self.pty).write_all(text.as_bytes()).unwrap();
        self
    }

    pub(crate) fn resize(&mut self, columns: u16, rows: u16) -> &mut Self {
        self.pty
            .resize(pty_process::Size::new(rows, columns))
            .unwrap();
        self
    }

    /// Waits for the end, and keeps all that was shown.
    pub(crate) fn end(&mut self) -> ExitStatus {
        while let Ok(more) = self.shown.recv_timeout(PATIENCE) {
            self.screen.push_str(&String::from_utf8_lossy(&more));
        }
        let child = &mut self.child;
        crate::wait::until("the end of the terminal's program", || {
            child.try_wait().unwrap()
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
