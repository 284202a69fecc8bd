//! Full-screen programs: after the same keys the screen is, cell for cell and colour for colour, the
//! one that the target's own sshd gives without a bastion between.

use crate::tool::{self, done, tool};
use crate::wait;
use crate::world::World;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Three screens side by side in a tmux of the test: without the bastion, and through both doors.
const PANES: [&str; 3] = ["direct", "jump", "name"];

struct Screens {
    socket: PathBuf,
    dir: PathBuf,
}

impl Screens {
    /// Each runs `command` on a terminal of 100 x 30.
    fn open(world: &World, command: &str) -> Self {
        let screens = Self {
            socket: world.path("outer.sock"),
            dir: world.dir.path().to_owned(),
        };
        let user = tool::ME;
        let config = world.text_path(&format!("{user}/config"));
        let direct = world.text_path("direct_config");
        for (pane, start) in PANES.iter().zip([
            format!("ssh -F {direct} -tt direct"),
            format!("ssh -F {config} -tt db1"),
            format!("ssh -F {config} -tt {}%db1@bastion", world.login),
        ]) {
            let command = command.replace("PANE", pane);
            let tty = world.path(&format!("{pane}.tty"));
            let command = format!("tty > {}; export LC_ALL=C.UTF-8; {command}", tty.display());
            let script = world.path(&format!("{pane}.sh"));
            // What is said before the program begins is not its screen.
            fs::write(&script, format!("exec {start} '{command}' 2>/dev/null\n")).unwrap();
            let size = ["-x", "100", "-y", "30"];
            let mut new = screens.tmux(&["new-session", "-d", "-s", pane]);
            done(new.args(size).arg(format!("sh {}", script.display())));
        }
        screens
    }

    fn tmux(&self, words: &[&str]) -> Command {
        let mut tmux = tool("tmux", "tmux", 20);
        tmux.env_remove("TMUX").env("TERM", "xterm-256color");
        tmux.env("LC_ALL", "C.UTF-8");
        tmux.arg("-S").arg(&self.socket).args(["-f", "/dev/null"]);
        tmux.args(words);
        tmux
    }

    fn each(&self, words: &[&str]) {
        for pane in PANES {
            let words: Vec<String> = words
                .iter()
                .map(|word| word.replace("PANE", pane))
                .collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            done(&mut self.tmux(&words));
        }
    }

    /// The same keys to all three, as bytes.
    fn keys(&self, keys: &str) -> &Self {
        self.each(&["send-keys", "-t", "PANE", "-l", keys]);
        self
    }

    /// Until the target's terminal has the size: keys must not overtake it.
    fn resize(&self, columns: &str, rows: &str) -> &Self {
        self.each(&["resize-window", "-t", "PANE", "-x", columns, "-y", rows]);
        for pane in PANES {
            let tty = fs::read_to_string(self.dir.join(format!("{pane}.tty"))).unwrap();
            wait::until("the size at the target", || {
                let mut stty = tool("stty", "coreutils", 10);
                let size = done(stty.args(["-F", tty.trim(), "size"])).out();
                (size.trim() == format!("{rows} {columns}")).then_some(())
            });
        }
        self
    }

    /// Text, colours and cursor.
    fn shown(&self, pane: &str) -> String {
        let text = done(&mut self.tmux(&["capture-pane", "-e", "-p", "-t", pane])).out();
        let cursor = [
            "display-message",
            "-p",
            "-t",
            pane,
            "#{cursor_x},#{cursor_y} #{mouse_any_flag} #{alternate_on}",
        ];
        text + &done(&mut self.tmux(&cursor)).out()
    }

    /// Waits until the screen without the bastion shows `text`, and then the others the same screen.
    fn see(&self, text: &str) -> &Self {
        let mut screens = Vec::new();
        let same = std::panic::AssertUnwindSafe(|| {
            wait::until(text, || {
                screens = PANES.map(|pane| self.shown(pane)).to_vec();
                let alike = screens.iter().all(|screen| *screen == screens[0]);
                let plain = ["capture-pane", "-p", "-t", PANES[0]];
                let plain = done(&mut self.tmux(&plain)).out();
                (alike && plain.contains(text)).then_some(())
            });
        });
        if std::panic::catch_unwind(same).is_err() {
            for (pane, screen) in PANES.iter().zip(&screens) {
                eprintln!("---- {pane}\n{screen}");
            }
            panic!("`{text}` is not there, or not everywhere alike");
        }
        self
    }

    /// What was just seen has this colour (the rest of an SGR sequence).
    #[track_caller]
    fn in_colour(&self, colour: &str) -> &Self {
        assert!(self.shown(PANES[0]).contains(colour), "no {colour}");
        self
    }
}

impl Drop for Screens {
    fn drop(&mut self) {
        self.tmux(&["kill-server"])
            .stderr(Stdio::null())
            .status()
            .ok();
    }
}

/// A person who may go to the target without the bastion: what the screens are compared with.
fn start() -> World {
    let world = tool::start();
    let key = world.text_path("direct");
    world.keygen(&["-q", "-t", "ed25519", "-N", "", "-f", &key]);
    let (ca, public) = (
        world.text_path("bastion/keys/target_ca"),
        format!("{key}.pub"),
    );
    world.keygen(&[
        "-q",
        "-s",
        &ca,
        "-I",
        "direct",
        "-n",
        &world.login,
        "-V",
        "-1m:+1h",
        &public,
    ]);
    let text = format!(
        "Host direct\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {key}\n  IdentitiesOnly yes\n  \
         IdentityAgent none\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  BatchMode yes\n",
        world.target_port, world.login
    );
    fs::write(world.path("direct_config"), text).unwrap();
    world
}

/// A file of colours, and text to look for.
fn coloured(world: &World) -> String {
    let mut text = String::new();
    for number in 0..300_u32 {
        let (red, green) = (number * 7 % 256, number * 13 % 256);
        text += &format!(
            "\x1b[38;2;{red};{green};99mline {number}\x1b[0m \x1b[48;5;{}mwide 漢字 é\x1b[0m\n",
            number % 256
        );
    }
    fs::write(world.path("coloured"), text).unwrap();
    world.text_path("coloured")
}

/// What a mouse sends (SGR, 1006): pressed and released at a cell.
fn click(column: u32, row: u32) -> String {
    format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m")
}

#[test]
fn vim() {
    let world = start();
    done(tool("vim", "vim", 10).arg("--version"));
    let lines: String = (1..100)
        .map(|n| format!("fn f{n}() -> u32 {{ {n} }} // a comment\n"))
        .collect();
    fs::write(world.path("code.rs"), lines).unwrap();
    fs::write(
        world.path("vimrc"),
        "set nocompatible mouse=a ttymouse=sgr termguicolors noswapfile encoding=utf-8 number\n\
         let &t_8f=\"\\<Esc>[38;2;%lu;%lu;%lum\"\nlet &t_8b=\"\\<Esc>[48;2;%lu;%lu;%lum\"\n\
         syntax on\nhi Comment guifg=#12ab56 guibg=#301030\nset t_RV= t_u7= t_RF= t_RB=\n",
    )
    .unwrap();
    let file = world.text_path("code.rs");
    let screens = Screens::open(
        &world,
        &format!("vim -u {} {file}", world.text_path("vimrc")),
    );
    screens.see("fn f29()").in_colour("38;2;18;171;86");
    screens.keys("5Gofn new() {}\x1b").see("fn new()");
    screens
        .keys(&click(12, 20))
        .keys("iCLICKED\x1b")
        .see("CLICKED");
    // Drawn anew after each change of size: else what is left of the old drawing depends on the moment.
    screens.resize("70", "22").keys("G\x0c").see("fn f99()");
    screens
        .resize("132", "43")
        .keys(":vsplit\r\x0c")
        .see("fn f95()");
    screens.keys("/f7[0-9]()\rzt\x0c").see("f70");
    screens.keys(":qa!\r");
}

#[test]
fn less() {
    let world = start();
    let file = coloured(&world);
    done(tool("less", "less", 10).arg("--version"));
    let screens = Screens::open(
        &world,
        &format!("LESSUTFCHARDEF=e000-f8ff:p less -R --mouse {file}"),
    );
    screens.see("line 28").in_colour("38;2;7;13;99");
    screens.keys(" ").see("line 57");
    screens.keys("/line 200\r").see("line 200");
    screens.keys("\x1b[<65;5;5M").see("line 229");
    screens.resize("60", "15").keys("G").see("line 299");
    screens.keys("gh").see("SUMMARY OF LESS COMMANDS");
    screens.keys("qq");
}

#[test]
fn htop() {
    let world = start();
    done(tool("htop", "htop", 10).arg("--version"));
    // Nothing on it moves: no meters, one process that sleeps, and no account of its time.
    fs::write(
        world.path("htoprc"),
        "htop_version=3.2.2\nconfig_reader_min_version=3\nhide_function_bar=0\n\
         header_layout=one_100\ncolumn_meters_0=Hostname\ncolumn_meter_modes_0=2\n\
         enable_mouse=1\ncolor_scheme=0\nscreen:Main=PID USER STATE Command\n.sort_key=PID\n",
    )
    .unwrap();
    let mut sleeper = Command::new("sleep").arg("4711").spawn().unwrap();
    let rc = world.text_path("htoprc");
    // Each writes its settings at its end: a copy for each.
    let command = format!(
        "cp {rc} {rc}.PANE; HTOPRC={rc}.PANE htop -p {}",
        sleeper.id()
    );
    let screens = Screens::open(&world, &command);
    screens.see("sleep 4711");
    screens.resize("80", "20").see("F10");
    // The older way (X10), which is what `TERM=screen` promises: F1 at the foot.
    screens.keys("\x1b[M #4\x1b[M##4").see("Memory bar:");
    screens.keys("q").see("sleep 4711");
    screens.keys("\x1bOQ").see("Categories");
    screens.resize("120", "35").keys("\x1b").see("sleep 4711");
    screens.keys("q");
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}

#[test]
fn tmux_inside() {
    let world = start();
    let file = coloured(&world);
    fs::write(
        world.path("inner.conf"),
        "set -g mouse on\nset -g status-right \"\"\nset -g status-left \"[inside] \"\nset -g default-command \"exec env PS1=ready: sh\"\n\
         set -g allow-rename off\nset -ga terminal-overrides \",*:Tc\"\nset -g set-titles off\n",
    )
    .unwrap();
    let (config, socket) = (world.text_path("inner.conf"), world.text_path("inner"));
    let command = format!("tmux -u -S {socket}.PANE -f {config} new-session -n one");
    let screens = Screens::open(&world, &command);
    screens
        .see("[inside]")
        .see("ready:")
        .keys(&format!("head -20 {file}\r"))
        .see("line 19")
        .in_colour("38;2;7;13;99");
    // Two panes; a click makes the left one active, and what is typed lands there.
    screens.keys("\x02%").see("│ready:");
    screens.keys("echo right\r").see("right");
    screens.keys(&click(5, 5)).keys("echo le''ft\r").see("left");
    screens.resize("81", "24").see("[inside]");
    screens
        .keys("\x02z")
        .keys("clear; echo zoom''ed\r")
        .see("zoomed");
    for pane in PANES {
        done(tool("tmux", "tmux", 20).args(["-S", &format!("{socket}.{pane}"), "kill-server"]));
    }
}
