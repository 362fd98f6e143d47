//! The file that lists servers, one a line, as `mpirun` takes it: `node1 slots=2  # two workers there`.

/// Workers on one server that a file may ask for.
const SLOTS_MAX: usize = 256;

/// The name of a server for each worker there.
///
/// # Errors
/// When a line makes no sense, or there is none.
pub(crate) fn parse(text: &str) -> Result<Vec<String>, String> {
    let mut hosts = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(host) = words.next() else { continue };
        let mut slots = 1;
        for word in words {
            let wanted = word.strip_prefix("slots=").and_then(|count| count.parse().ok());
            slots = wanted.filter(|slots| (1..=SLOTS_MAX).contains(slots)).ok_or_else(|| {
                format!(
                    "line {number}: `{word}`; after a host there may be `slots=N`, N from 1 to {SLOTS_MAX}"
                )
            })?;
        }
        hosts.extend(std::iter::repeat_n(host.to_owned(), slots));
    }
    if hosts.is_empty() { Err("no line names a host".to_owned()) } else { Ok(hosts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_once_for_each_of_its_slots() {
        let text = "# our cluster\nnode1\n\n  me@node2   slots=2 # larger\n";
        assert_eq!(parse(text).unwrap(), ["node1", "me@node2", "me@node2"]);
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_line() {
        assert_eq!(parse("# none").unwrap_err(), "no line names a host");
        for line in ["node2 slots=0", "node2 slots", "node2 x"] {
            let error = parse(&format!("node1\n{line}")).unwrap_err();
            assert!(error.starts_with("line 2: `"), "{error}");
        }
    }
}
