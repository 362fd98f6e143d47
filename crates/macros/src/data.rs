//! `mutable!` and `shard!`: data that tasks change in place.

use crate::call::{Named, options};
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
    let Data { value, options } = parse(input, &MUTABLE)?;
    if options.is_empty() {
        return Ok(quote!(::poniard::Mutable::new(#value)));
    }
    let calls = calls(&options);
    Ok(made(&value, &quote!(::poniard::__private::MutableSpec), &calls, "mutable"))
}

pub(crate) fn shard(input: TokenStream) -> Result<TokenStream> {
    let Data { value, options } = parse(input, &SHARD)?;
    Ok(made(&value, &quote!(::poniard::__private::ShardSpec), &calls(&options), "shard"))
}

/// The value is made by a closure, in a task elsewhere.
fn made(value: &Expr, spec: &TokenStream, calls: &[TokenStream], name: &str) -> TokenStream {
    quote! {{
        static SITE: ::poniard::__private::Site = ::poniard::__private::Site::new(#name, file!(), line!());
        #spec::new(&SITE) #(#calls)*.make(move || #value)
    }}
}

fn calls(options: &[Named]) -> Vec<TokenStream> {
    let call = |Named { name, value }: &Named| quote_spanned!(name.span() => .#name(#value));
    options.iter().map(call).collect()
}

/// The expression and what follows it.
struct Data {
    value: Expr,
    options: Vec<Named>,
}

impl Parse for Data {
    fn parse(input: ParseStream<'_>) -> Result<Data> {
        Ok(Data { value: input.parse()?, options: options(input, "the expression")? })
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
