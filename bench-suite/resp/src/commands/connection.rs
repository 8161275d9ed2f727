//! Commands on the connection itself.

use super::string::integer;
use super::{Call, Outcome, Refusal, SYNTAX, is, quoted, unknown_subcommand, wrong_number};
use crate::reply::Protocol;
use crate::session::Client;

const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the \
                           default user. Are you sure your configuration is correct?";

pub(super) fn ping(call: &mut Call<'_>) -> Outcome {
    match call.args.len() {
        1 => call.replies.simple("PONG"),
        2 => call.replies.bulk(call.args.at(1)),
        _ => return Err(wrong_number("ping")),
    }
    Ok(())
}

pub(super) fn echo(call: &mut Call<'_>) -> Outcome {
    call.replies.bulk(call.args.at(1));
    Ok(())
}

pub(super) fn quit(call: &mut Call<'_>) -> Outcome {
    call.replies.simple("OK");
    call.session.closing = true;
    Ok(())
}

pub(super) fn auth(_: &mut Call<'_>) -> Outcome {
    Err(Refusal::from(NO_PASSWORD))
}

pub(super) fn select(call: &mut Call<'_>) -> Outcome {
    if integer(call.args.at(1))? != 0 {
        return Err(Refusal::from("ERR DB index is out of range"));
    }
    call.replies.simple("OK");
    Ok(())
}

pub(super) fn reset(call: &mut Call<'_>) -> Outcome {
    choose(call, Protocol::Resp2);
    call.shared.clients.change(call.session.id, |client| client.name.clear());
    call.replies.simple("RESET");
    Ok(())
}

fn choose(call: &mut Call<'_>, protocol: Protocol) {
    call.session.protocol = protocol;
    call.replies.protocol = protocol;
    call.shared.clients.change(call.session.id, |client| client.protocol = protocol);
}

pub(super) fn hello(call: &mut Call<'_>) -> Outcome {
    let mut args = call.args.from(1);
    let protocol = match args.next() {
        None => call.session.protocol,
        Some(version) => match integer(version) {
            Ok(2) => Protocol::Resp2,
            Ok(3) => Protocol::Resp3,
            Ok(_) => return Err(Refusal::from("NOPROTO unsupported protocol version")),
            Err(_) => {
                let text = "ERR Protocol version is not an integer or out of range";
                return Err(Refusal::from(text));
            }
        },
    };
    let mut name = None;
    while let Some(option) = args.next() {
        if is(option, "auth") {
            // The default user has no password, and then Redis takes any; there is no other user.
            let (user, _) = (args.next().ok_or(SYNTAX)?, args.next().ok_or(SYNTAX)?);
            if user != b"default" {
                let text = "WRONGPASS invalid username-password pair or user is disabled.";
                return Err(Refusal::from(text));
            }
        } else if is(option, "setname") {
            name = Some(printable(args.next().ok_or(SYNTAX)?, "Client names")?);
        } else {
            let text = format!("ERR Syntax error in HELLO option '{}'", quoted(option));
            return Err(Refusal::from(text));
        }
    }
    if let Some(name) = name {
        call.shared.clients.change(call.session.id, |client| client.name = name);
    }
    choose(call, protocol);
    let replies = &mut *call.replies;
    replies.map(7);
    for (key, value) in [("server", "nyala"), ("version", env!("CARGO_PKG_VERSION"))] {
        replies.bulk(key.as_bytes());
        replies.bulk(value.as_bytes());
    }
    replies.bulk(b"proto");
    replies.integer(if protocol == Protocol::Resp3 { 3 } else { 2 });
    replies.bulk(b"id");
    replies.count(call.session.id);
    for (key, value) in [("mode", "standalone"), ("role", "master")] {
        replies.bulk(key.as_bytes());
        replies.bulk(value.as_bytes());
    }
    replies.bulk(b"modules");
    replies.array(0);
    Ok(())
}

/// A text without spaces and control characters.
fn printable(text: &[u8], what: &str) -> Result<String, Refusal> {
    match str::from_utf8(text) {
        Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(text.to_owned()),
        _ => Err(Refusal::from(format!(
            "ERR {what} cannot contain spaces, newlines or special characters."
        ))),
    }
}

pub(super) fn client(call: &mut Call<'_>) -> Outcome {
    let (subcommand, args) = (call.args.at(1), call.args.len());
    let id = call.session.id;
    let clients = &call.shared.clients;
    if is(subcommand, "id") && args == 2 {
        call.replies.count(id);
    } else if is(subcommand, "getname") && args == 2 {
        match clients.get(id).filter(|client| !client.name.is_empty()) {
            Some(client) => call.replies.text(client.name),
            None => call.replies.null(),
        }
    } else if is(subcommand, "setname") && args == 3 {
        let name = printable(call.args.at(2), "Client names")?;
        clients.change(id, |client| client.name = name);
        call.replies.simple("OK");
    } else if is(subcommand, "setinfo") && args == 4 {
        set_library(call)?;
        call.replies.simple("OK");
    } else if is(subcommand, "info") && args == 2 {
        let line = clients.get(id).map(|client| line(id, &client)).unwrap_or_default();
        call.replies.verbatim(&line);
    } else if is(subcommand, "list") {
        let lines: String = clients.all().iter().map(|(id, client)| line(*id, client)).collect();
        call.replies.verbatim(&lines);
    } else {
        return Err(unknown_subcommand(call.args));
    }
    Ok(())
}

/// What a client library says of itself.
fn set_library(call: &Call<'_>) -> Outcome {
    let (attribute, value) = (call.args.at(2), call.args.at(3));
    if is(attribute, "lib-name") {
        let name = printable(value, "lib-name")?;
        call.shared.clients.change(call.session.id, |client| client.library = name);
    } else if is(attribute, "lib-ver") {
        let version = printable(value, "lib-ver")?;
        call.shared.clients.change(call.session.id, |client| client.library_version = version);
    } else {
        return Err(Refusal::from(format!("ERR Unrecognized option '{}'", quoted(attribute))));
    }
    Ok(())
}

fn line(id: u64, client: &Client) -> String {
    format!(
        "id={id} addr={} name={} age={} flags=N db=0 user=default lib-name={} lib-ver={} resp={}\n",
        client.address,
        client.name,
        client.since.elapsed().as_secs(),
        client.library,
        client.library_version,
        if client.protocol == Protocol::Resp3 { 3 } else { 2 },
    )
}
