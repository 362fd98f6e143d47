//! The command `poniard`: starts a program as a cluster, here and on other servers, and asks one that runs what it does.
//!
//! It says to the program's library by the environment what was asked for, and then becomes the program: signals, exit status,
//! standard streams and process number are the program's own. There is no process of Poniard beside those that work.
//!
//! * `words`: what was asked for, read from the command line.
//! * `hosts`: the file that lists servers.
//! * `order`: that as the environment of a program.
//! * `look`: programs that run, and what they say of themselves.
#![forbid(unsafe_code)]

mod hosts;
mod look;
mod order;
mod words;

use crate::order::Program;
use crate::words::Request;
use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// What a shell says of a program that is not there, and of one that cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUNNABLE: u8 = 126;
/// The command line makes no sense.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let program = match words::read(std::env::args_os().skip(1)) {
        Ok(Request::Tell(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Ok(Request::Look(question)) => return answer(look::look(&question)),
        Ok(Request::Run(program)) => program,
        Err(why) => {
            eprintln!("poniard: {why}");
            return ExitCode::from(MISUSED);
        }
    };
    become_program(&program)
}

/// Prints what was found out, or why nothing was.
fn answer(said: Result<String, (String, u8)>) -> ExitCode {
    match said {
        Ok(text) => {
            // Whoever reads it may have enough.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err((why, status)) => {
            eprintln!("poniard: {}", why.trim_end());
            ExitCode::from(status)
        }
    }
}

/// Does not return when it succeeds.
fn become_program(program: &Program) -> ExitCode {
    let (name, words) = program.words.split_first().expect("a program has a name");
    let mut command = Command::new(name);
    for name in order::NAMES {
        command.env_remove(name);
    }
    let error =
        command.args(words).envs(program.environment.iter().map(|(name, value)| (name, value))).exec();
    eprintln!("poniard: cannot start {}: {error}", name.display());
    ExitCode::from(if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE })
}
