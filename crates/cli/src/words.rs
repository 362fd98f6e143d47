//! What was asked for, read from the command line.

use crate::hosts;
use crate::look::{Look, Question};
use crate::order::{First, Other, Program, Size};
use lexopt::{Arg, Parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// More processes than one cluster has.
const WORKERS_MAX: usize = 4096;

pub(crate) const HELP: &str = "\
Starts a program that uses Poniard as a cluster, and asks one that runs what it does.

  poniard run [-n N] [OPTIONS] -- PROGRAM [ARGUMENTS]
      The program with N workers in all, itself among them: it is worker 1, and the
      others are more processes of it. The program's first spawn, or
      Cluster::from_env(), starts them.
  poniard scheduler start --file FILE --listen ADDRESS:PORT [OPTIONS] -- PROGRAM [ARGUMENTS]
      The program as worker 1, which other servers can join: it schedules its own
      tasks, so it is the scheduler too. FILE says how to join; nobody else may read it.
  poniard worker start --connect FILE [OPTIONS] -- PROGRAM
      A worker of that cluster on this server, by the same executable.
  poniard status [--pid N] [--output json]
      What a program that runs here does, worker by worker; which ones there are, if several.
  poniard task explain ID [--pid N] [--output json]
      Why a task of its worker 1 waits. ID is its number, as in `t42` of an error.

Options of run and scheduler start
  -n N              workers in all that are started, here or on the hosts        (1, or 1 more than hosts)
  --hosts A,B       start the others on these servers, in turn, by ssh
  --hostfile FILE   the same from a file: a host a line, and `slots=N` for several workers there
  --ssh COMMAND     what to use for that                                         (ssh -o BatchMode=yes)
  --listen ADDRESS:PORT   where other servers reach this one; the next port is used as well, and port 0
                    means any two. Beyond this host it is TLS, by certificates that are made anew
  --contact HOST    what others call this server, if they do not reach it by that address
  --file FILE       the connection file to write, for `poniard worker start`
  --wait N          begin when so many of these have joined                      (0: they may come at any time)
  --insecure        allow tcp://ADDRESS:PORT beyond this host, which others can read and change

Options of all three
  --threads K       tasks at a time in each process                              (the number of cores)
  --memory M        memory for large results in each process, such as 8GiB       (60 % of what is available)
  --labels A,B      words for Scope::label
  --patience S      seconds to wait for worker 1, or for those of --wait         (60)
";

/// What was asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    /// To print this.
    Tell(String),
    Look(Look),
    Run(Program),
}

/// Reads the words after `poniard`.
///
/// # Errors
/// When they make no sense.
pub(crate) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let mut words = words.into_iter().peekable();
    let mut command = Vec::new();
    while let Some(word) = words.next_if(|word| !word.to_string_lossy().starts_with('-')) {
        command.push(word.to_string_lossy().into_owned());
        let is_whole = matches!(command[0].as_str(), "run" | "status") || command.len() == 2;
        if is_whole {
            break;
        }
    }
    let parser = Parser::from_args(words);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    match command[..] {
        ["run"] => first(parser, "run"),
        ["scheduler", "start"] => first(parser, "scheduler start"),
        ["worker", "start"] => other(parser),
        ["status"] => status(parser),
        ["task", "explain"] => explain(parser),
        [] => no_command(parser),
        _ => {
            let said = command.join(" ");
            Err(format!(
                "unknown command `{said}`; there are run, scheduler start, worker start, status, and task explain; try --help"
            ))
        }
    }
}

fn no_command(mut parser: Parser) -> Result<Request, String> {
    match next(&mut parser)?.as_ref().map(Word::option) {
        Some("--help" | "-h") | None => Ok(Request::Tell(HELP.to_owned())),
        Some("--version" | "-V") => Ok(Request::Tell(format!("poniard {}\n", env!("CARGO_PKG_VERSION")))),
        Some(option) => Err(unknown(option)),
    }
}

fn status(parser: Parser) -> Result<Request, String> {
    let (look, values) = question(parser)?;
    match values.as_slice() {
        _ if look.is_none() => Ok(Request::Tell(HELP.to_owned())),
        [] => Ok(Request::Look(look.expect("just seen"))),
        [value, ..] => Err(format!("`status` takes options only, and not `{value}`; try --help")),
    }
}

fn explain(parser: Parser) -> Result<Request, String> {
    let (look, values) = question(parser)?;
    let Some(look) = look else { return Ok(Request::Tell(HELP.to_owned())) };
    let [task] = values.as_slice() else {
        return Err("`task explain` takes the number of one task, such as t42; try --help".to_owned());
    };
    let number = task.strip_prefix('t').unwrap_or(task).parse();
    let number = number.map_err(|_| format!("`task explain {task}`: a task is a number, such as t42"))?;
    Ok(Request::Look(Look { question: Question::Explain(number), ..look }))
}

/// The options of whoever asks, and the other words; no question when help is wanted.
fn question(mut parser: Parser) -> Result<(Option<Look>, Vec<String>), String> {
    let mut look = Look { question: Question::Status, pid: None, is_json: false };
    let mut values = Vec::new();
    while let Some(word) = next(&mut parser)? {
        match word {
            Word::Value(value) => values.push(value.to_string_lossy().into_owned()),
            Word::Option(option) => match option.as_str() {
                "--pid" => look.pid = Some(number(&mut parser, "--pid", 1, i32::MAX as usize)? as u32),
                "--output" => match text(&mut parser, "--output")?.as_str() {
                    "json" => look.is_json = true,
                    "text" => look.is_json = false,
                    other => return Err(format!("`--output {other}`: it is text or json")),
                },
                "--help" | "-h" => return Ok((None, values)),
                option => return Err(unknown(option)),
            },
        }
    }
    Ok((Some(look), values))
}

/// A word of the command line.
enum Word {
    /// With its dashes.
    Option(String),
    /// The program.
    Value(OsString),
}

impl Word {
    /// The option that it is; empty for a value.
    fn option(&self) -> &str {
        if let Word::Option(option) = self { option } else { "" }
    }
}

fn next(parser: &mut Parser) -> Result<Option<Word>, String> {
    let word = parser.next().map_err(|error| error.to_string())?;
    Ok(word.map(|word| match word {
        Arg::Long(name) => Word::Option(format!("--{name}")),
        Arg::Short(letter) => Word::Option(format!("-{letter}")),
        Arg::Value(value) => Word::Value(value),
    }))
}

fn unknown(option: &str) -> String {
    format!("unknown option `{option}`; try --help")
}

fn first(mut parser: Parser, command: &str) -> Result<Request, String> {
    let (mut first, mut words) = (First::default(), Vec::new());
    while let Some(word) = next(&mut parser)? {
        match word.option() {
            "-n" | "--workers" => first.workers = Some(number(&mut parser, "-n", 1, WORKERS_MAX)?),
            "--hosts" => {
                let list = text(&mut parser, "--hosts")?;
                first.hosts = list.split(',').map(|host| host.trim().to_owned()).collect();
                if first.hosts.iter().any(String::is_empty) {
                    return Err(format!("`--hosts {list}`: it takes names with commas between"));
                }
            }
            "--hostfile" => first.hosts = hostfile(text(&mut parser, "--hostfile")?.into())?,
            "--ssh" => first.ssh = Some(text(&mut parser, "--ssh")?),
            "--listen" => first.listen = Some(text(&mut parser, "--listen")?),
            "--contact" => first.contact = Some(text(&mut parser, "--contact")?),
            "--file" => first.file = Some(text(&mut parser, "--file")?.into()),
            "--wait" => first.joiners = Some(number(&mut parser, "--wait", 0, WORKERS_MAX)?),
            "--insecure" => first.is_insecure = true,
            _ => match common(word, &mut parser, &mut first.size, &mut first.patience)? {
                Some(Said::Help) => return Ok(Request::Tell(HELP.to_owned())),
                Some(Said::Program(program)) => words = program,
                None => {}
            },
        }
    }
    let is_met = command == "scheduler start";
    if is_met && (first.file.is_none() || first.listen.is_none()) {
        return Err("`scheduler start` needs --file FILE and --listen ADDRESS:PORT; try --help".to_owned());
    }
    if first.file.is_some() != first.listen.is_some() && first.hosts.is_empty() {
        return Err("--file and --listen go together: where workers come in, and the file that tells them; try --help".to_owned());
    }
    if first.contact.is_some() && first.listen.is_none() && first.hosts.is_empty() {
        return Err("--contact needs --listen or --hosts: nobody reaches this process otherwise; try --help"
            .to_owned());
    }
    if first.joiners.is_some() && first.file.is_none() {
        return Err("--wait needs --file and --listen: nobody can join otherwise; try --help".to_owned());
    }
    Ok(Request::Run(Program { words: named(words, command)?, environment: first.environment() }))
}

fn other(mut parser: Parser) -> Result<Request, String> {
    let (mut other, mut words, mut file) = (Other::default(), Vec::new(), None);
    while let Some(word) = next(&mut parser)? {
        match word.option() {
            "--connect" => file = Some(PathBuf::from(text(&mut parser, "--connect")?)),
            _ => match common(word, &mut parser, &mut other.size, &mut other.patience)? {
                Some(Said::Help) => return Ok(Request::Tell(HELP.to_owned())),
                Some(Said::Program(program)) => words = program,
                None => {}
            },
        }
    }
    other.file = file.ok_or(
        "`worker start` needs --connect FILE, which `scheduler start --file FILE` writes; try --help",
    )?;
    Ok(Request::Run(Program { words: named(words, "worker start")?, environment: other.environment() }))
}

/// What ends the reading of options.
enum Said {
    Help,
    Program(Vec<OsString>),
}

/// What all commands take.
fn common(
    word: Word,
    parser: &mut Parser,
    size: &mut Size,
    patience: &mut Option<u64>,
) -> Result<Option<Said>, String> {
    let option = match word {
        Word::Option(option) => option,
        Word::Value(program) => {
            let rest = parser.raw_args().map_err(|error| error.to_string())?;
            return Ok(Some(Said::Program(std::iter::once(program).chain(rest).collect())));
        }
    };
    match option.as_str() {
        "--help" | "-h" => return Ok(Some(Said::Help)),
        "--threads" => size.threads = Some(number(parser, "--threads", 1, 256)?.to_string()),
        "--memory" => size.memory = Some(text(parser, "--memory")?),
        "--labels" => size.labels = Some(text(parser, "--labels")?),
        "--patience" => *patience = Some(number(parser, "--patience", 1, 86_400)? as u64),
        option => return Err(unknown(option)),
    }
    Ok(None)
}

fn named(words: Vec<OsString>, command: &str) -> Result<Vec<OsString>, String> {
    if words.is_empty() {
        return Err(format!("`{command}` needs a program: poniard {command} .. -- ./program; try --help"));
    }
    Ok(words)
}

fn text(parser: &mut Parser, option: &str) -> Result<String, String> {
    let value = parser.value().map_err(|_| format!("`{option}` needs a value; try --help"))?;
    value.into_string().map_err(|value| format!("`{option} {}`: it takes text", value.display()))
}

fn number(parser: &mut Parser, option: &str, least: usize, most: usize) -> Result<usize, String> {
    let text = text(parser, option)?;
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("`{option} {text}`: it takes a number from {least} to {most}"))
}

fn hostfile(path: PathBuf) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(&path);
    let text = text.map_err(|error| format!("cannot read the hosts in {}: {error}", path.display()))?;
    hosts::parse(&text).map_err(|why| format!("cannot use the hosts in {}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Result<Request, String> {
        read(line.split(' ').filter(|word| !word.is_empty()).map(OsString::from))
    }

    /// The program, and its environment as text.
    fn program(line: &str) -> (Vec<OsString>, String) {
        let Ok(Request::Run(program)) = said(line) else { panic!("{:?}", said(line)) };
        let pairs = program.environment.iter().map(|(name, value)| format!("{name}={}", value.display()));
        (program.words, pairs.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn n_counts_all_workers_and_the_program_is_one() {
        let (words, environment) = program("run -n 4 --threads 2 -- ./app -n 7 --help");
        assert_eq!(words, ["./app", "-n", "7", "--help"]);
        assert_eq!(environment, "PONIARD_WORKERS=3 PONIARD_THREADS=2");
        assert_eq!(program("run ./app").1, "PONIARD_WORKERS=0");
        assert_eq!(program("run --hosts a,b -- ./app").1, "PONIARD_WORKERS=2 PONIARD_HOSTS=a,b");
    }

    #[test]
    fn a_cluster_by_hand_is_a_listening_program_and_workers_that_know_its_file() {
        let line = "scheduler start --file f --listen tls://10.0.0.1:7100 --contact gate --wait 2 --patience 9 -- ./app x";
        let wanted = "PONIARD_WORKERS=0 PONIARD_LISTEN=tls://10.0.0.1:7100 PONIARD_CONTACT=gate PONIARD_JOINERS=2 PONIARD_JOIN_TIMEOUT=9 PONIARD_CONNECTION=f";
        assert_eq!(program(line), (vec!["./app".into(), "x".into()], wanted.to_owned()));
        let (_, environment) = program("worker start --connect f --memory 1GiB --labels a,b -- ./app");
        assert_eq!(
            environment,
            "PONIARD_WORKER=join PONIARD_CONNECTION=f PONIARD_MEMORY=1GiB PONIARD_LABELS=a,b"
        );
    }

    #[test]
    fn what_makes_no_sense_is_said_in_one_line() {
        for (line, message) in [
            (
                "start",
                "unknown command `start`; there are run, scheduler start, worker start, status, and task explain; try --help",
            ),
            ("run -n 0 ./app", "`-n 0`: it takes a number from 1 to 4096"),
            ("run -n", "`-n` needs a value; try --help"),
            ("run -n 2", "`run` needs a program: poniard run .. -- ./program; try --help"),
            ("run --hots a ./app", "unknown option `--hots`; try --help"),
            ("run --hosts a,,b ./app", "`--hosts a,,b`: it takes names with commas between"),
            ("run --wait 2 ./app", "--wait needs --file and --listen: nobody can join otherwise; try --help"),
            (
                "run --contact gate ./app",
                "--contact needs --listen or --hosts: nobody reaches this process otherwise; try --help",
            ),
            (
                "scheduler start --file f ./app",
                "`scheduler start` needs --file FILE and --listen ADDRESS:PORT; try --help",
            ),
            (
                "worker start ./app",
                "`worker start` needs --connect FILE, which `scheduler start --file FILE` writes; try --help",
            ),
        ] {
            assert_eq!(said(line).unwrap_err(), message);
        }
        let error = said("run --hostfile /nowhere/hosts ./app").unwrap_err();
        assert!(error.starts_with("cannot read the hosts in /nowhere/hosts: No such file"), "{error}");
    }

    #[test]
    fn questions_name_a_task_and_a_program() {
        let look = |line: &str| match said(line) {
            Ok(Request::Look(look)) => look,
            other => panic!("{other:?}"),
        };
        assert_eq!(look("status"), Look { question: Question::Status, pid: None, is_json: false });
        let asked = Look { question: Question::Explain(42), pid: Some(7), is_json: true };
        assert_eq!(look("task explain t42 --pid 7 --output json"), asked);
        assert_eq!(look("task explain --output text 42").question, Question::Explain(42));
        for (line, message) in [
            ("status 7", "`status` takes options only, and not `7`; try --help"),
            ("status --pid x", "`--pid x`: it takes a number from 1 to 2147483647"),
            ("status --output xml", "`--output xml`: it is text or json"),
            ("task explain", "`task explain` takes the number of one task, such as t42; try --help"),
            ("task explain main", "`task explain main`: a task is a number, such as t42"),
        ] {
            assert_eq!(said(line).unwrap_err(), message);
        }
    }

    #[test]
    fn help_is_printed_and_nothing_started() {
        for line in ["", "--help", "run --help", "worker start -h"] {
            assert_eq!(said(line), Ok(Request::Tell(HELP.to_owned())), "{line}");
        }
        assert!(matches!(said("--version"), Ok(Request::Tell(text)) if text.starts_with("poniard 0.")));
    }
}
