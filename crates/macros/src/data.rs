//! `mutable!` and `shard!`: data that tasks change in place.

use crate::call::{Named, captures, is_capture, options};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Error, Expr, Ident, Result};

/// A macro that takes an expression and options.
struct Kind {
    name: &'static str,
    example: &'static str,
    options: &'static [&'static str],
    /// Options of which at most one may be given.
    exclusive: &'static [&'static [&'static str]],
}

const MUTABLE: Kind = Kind {
    name: "mutable!",
    example: "`mutable!(vec![0; 10])`",
    options: &["worker", "processor", "scope"],
    exclusive: &[&["worker", "processor", "scope"]],
};

const SHARD: Kind = Kind {
    name: "shard!",
    example: "`shard!(vec![0; 10], per_thread = true)`",
    options: &["workers", "procs", "scope", "per_thread"],
    exclusive: &[&["workers", "procs"], &["procs", "per_thread"], &["procs", "scope"], &["workers", "scope"]],
};

pub(crate) fn mutable(input: TokenStream) -> Result<TokenStream> {
    let data = parse(input, &MUTABLE)?;
    if let Data { captures: None, value, options } = &data
        && options.is_empty()
    {
        return Ok(quote!(::poniard::Mutable::new(#value)));
    }
    Ok(made(&data, &quote!(::poniard::__private::MutableSpec), "mutable"))
}

pub(crate) fn shard(input: TokenStream) -> Result<TokenStream> {
    Ok(made(&parse(input, &SHARD)?, &quote!(::poniard::__private::ShardSpec), "shard"))
}

/// The value is made by a closure, in a task elsewhere.
fn made(Data { captures, value, options }: &Data, spec: &TokenStream, name: &str) -> TokenStream {
    let calls = calls(options);
    let make = match captures {
        None => quote!(make(move || #value)),
        Some(captures) => {
            let (names, values): (Vec<&Ident>, Vec<&Expr>) =
                captures.iter().map(|Named { name, value }| (name, value)).unzip();
            quote!(make_of((#(#values,)*), |(#(#names,)*)| #value))
        }
    };
    quote! {{
        static SITE: ::poniard::__private::Site = ::poniard::__private::Site::new(#name, file!(), line!());
        #spec::new(&SITE) #(#calls)*.#make
    }}
}

fn calls(options: &[Named]) -> Vec<TokenStream> {
    let call = |Named { name, value }: &Named| quote_spanned!(name.span() => .#name(#value));
    options.iter().map(call).collect()
}

/// The expression, what it uses that was declared before it, and what follows it.
struct Data {
    captures: Option<Vec<Named>>,
    value: Expr,
    options: Vec<Named>,
}

impl Parse for Data {
    fn parse(input: ParseStream<'_>) -> Result<Data> {
        let captures = if is_capture(input) { Some(captures(input, "expression")?) } else { None };
        Ok(Data { captures, value: input.parse()?, options: options(input, "the expression")? })
    }
}

fn parse(input: TokenStream, kind: &Kind) -> Result<Data> {
    if input.is_empty() {
        let text = format!("{} takes an expression: {}", kind.name, kind.example);
        return Err(Error::new(Span::call_site(), text));
    }
    let data = Data::parse.parse2(input)?;
    for option in &data.options {
        if !kind.options.iter().any(|known| option.name == known) {
            let known = listed(kind.options);
            let text = format!("{} has no option `{}`: it takes {known}", kind.name, option.name);
            return Err(Error::new(option.name.span(), text));
        }
    }
    for exclusive in kind.exclusive {
        let given: Vec<&Ident> = data
            .options
            .iter()
            .map(|option| &option.name)
            .filter(|name| exclusive.iter().any(|one| *name == one))
            .collect();
        if let [first, second, ..] = given.as_slice() {
            let text = format!("`{first}` and `{second}` both say where it lives: give one of them");
            return Err(Error::new(second.span(), text));
        }
    }
    Ok(data)
}

fn listed(options: &[&str]) -> String {
    options.iter().map(|option| format!("`{option}`")).collect::<Vec<_>>().join(", ")
}
