//! The verb that serves the console, until the process ends.

use super::args::{Args, Serve};
use super::reach;
use super::show::{Screen, aside};
use super::trouble::{Ended, Trouble};
use crate::Console;

pub(super) fn console(args: &Args, screen: &mut Screen, what: &Serve) -> Ended {
    let dir = match &what.at {
        Some(dir) => dir,
        None => reach::dir(args)?,
    };
    reach::there(dir)?;
    let mut console = Console::of_dir(dir).prefix(&what.prefix).read_only(what.read_only);
    console = what.host.iter().fold(console, Console::allow_host);
    if let Some(file) = &what.password_file {
        let password = std::fs::read_to_string(file)
            .map_err(|e| Trouble::failed(format!("cannot read the password in {}: {e}", file.display())))?;
        console = console.password(password.trim_end_matches(['\r', '\n']));
    }
    if what.hide_args {
        console = console.redact_args(|_, _| "(hidden)".to_owned());
    }
    let listening = console.listen(&*what.listen)?;
    // Whoever reads this may come in: it goes to whoever started it, and nowhere else.
    let shown = serde_json::json!({ "listen": listening.local_addr().to_string(), "url": listening.url() });
    screen.value("console", &shown)?;
    screen.line(&listening.url())?;
    aside("open this address in a browser; Ctrl-C ends the console");
    listening.wait();
    Ok(())
}
