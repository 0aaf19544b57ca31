use clap::{CommandFactory as _, Parser as _};
use insta::assert_snapshot;

use super::Cli;

fn help(words: &[&str]) -> String {
    let mut args = vec!["heyun"];
    args.extend(words);
    args.push("--help");
    // Not that of the terminal the test runs in.
    let command = Cli::command().term_width(100);
    command.try_get_matches_from(args).unwrap_err().to_string()
}

#[test]
fn the_commands_are_sound() {
    Cli::command().debug_assert();
}

#[test]
fn help_of_the_whole() {
    assert_snapshot!(help(&[]));
}

#[test]
fn help_of_deploy() {
    assert_snapshot!(help(&["deploy"]));
}

#[test]
fn help_of_why() {
    assert_snapshot!(help(&["why"]));
}

#[test]
fn help_of_request_create() {
    assert_snapshot!(help(&["request", "create"]));
}

#[test]
fn help_of_exit_codes() {
    assert_snapshot!(help(&["exit-codes"]));
}

#[test]
fn as_a_plugin_it_calls_itself_as_people_call_it() {
    let name = |path: &str| {
        let mut command = crate::run::command(Some(&path.into()));
        command.render_usage().to_string()
    };
    assert!(
        name("/usr/bin/kubectl-heyun").contains("kubectl heyun"),
        "{}",
        name("kubectl-heyun")
    );
    assert!(name("/usr/bin/heyun").starts_with("Usage: heyun"));
}

#[test]
fn kubectls_habits_are_understood() {
    for line in [
        "heyun -n gz where -o wide",
        "heyun where -n gz -l app=web -w --context hub --kubeconfig f",
        "heyun where -A -o json --no-headers",
        "heyun why workload/booking -n gz -o yaml",
        "heyun deploy -f a.yaml -f dir --dry-run=server -o name",
        "heyun deploy -f - --name x --wait --timeout 90s",
        "heyun cluster ls -o name",
        "heyun clusters describe a",
        "heyun simulate -f a --against b --at 2026-11-23T09:00:00Z",
        "heyun request create flood -n gz --resource general-amd64/cpu=40 --until 2027-10-01T00:00:00+08:00 --reason flood --wait=Approved",
        "heyun request create -f - --dry-run=server -o json",
        "heyun rr ls -A -o wide",
        "heyun request approve flood --stage city --comment ok -o name",
        "heyun request release flood",
        "heyun completion fish",
        "heyun sandbox up --members 5 --dir d --hub-bin h",
    ] {
        let parsed = Cli::try_parse_from(line.split(' '));
        assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
    }
}

#[test]
fn what_is_not_understood_is_refused_with_the_value() {
    for (line, wanted) in [
        ("heyun where -o tabel", "'tabel'"),
        ("heyun deploy", "--filename"),
        ("heyun deploy -f a --dry-run=maybe", "'maybe'"),
        ("heyun deploy -f a --timeout soon", "`soon` is no duration"),
        ("heyun cluster join a", "--member-kubeconfig"),
        ("heyun sandbox up --members 400", "400"),
        ("heyun whi booking", "'whi'"),
        ("heyun request create", "--resource"),
        (
            "heyun request create -r amd=4 --until x --reason r",
            "`amd=4` is not FLAVOR/RESOURCE=AMOUNT",
        ),
        ("heyun request create -r amd/cpu=4 --reason r", "--until"),
        (
            "heyun request create -f a -r amd/cpu=4 --until x --reason r",
            "cannot be used with",
        ),
        ("heyun request create -f a --wait=Soon", "'Soon'"),
        ("heyun where booking -l a=b", "cannot be used with"),
        ("heyun tree a --member-kubeconfig x", "`x` is not NAME=FILE"),
    ] {
        let error = Cli::try_parse_from(line.split(' '))
            .unwrap_err()
            .to_string();
        assert!(error.contains(wanted), "{line}: {error}");
    }
}
