//! What becomes of a spawn.

use crate::call::{self, Named, Spawn, Work};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Error, Expr, Ident, Pat, Result, Stmt, parse_quote, parse2};

/// The two macros that take a call.
#[derive(Clone, Copy, PartialEq)]
enum Verb {
    Spawn,
    Lazy,
}

pub(crate) fn spawn(input: TokenStream) -> Result<TokenStream> {
    expand(parse2(input)?, Verb::Spawn)
}

pub(crate) fn lazy(input: TokenStream) -> Result<TokenStream> {
    let statements = Block::parse_within.parse2(input.clone()).unwrap_or_default();
    if matches!(statements.first(), Some(Stmt::Local(_))) {
        return lazy_block(statements);
    }
    if let [Stmt::Expr(Expr::Block(block), None)] = statements.as_slice() {
        return lazy_block(block.block.stmts.clone());
    }
    expand(parse2(input)?, Verb::Lazy)
}

/// A block of `let name = call;` with a call at its end, each of them a lazy task.
fn lazy_block(statements: Vec<Stmt>) -> Result<TokenStream> {
    let count = statements.len();
    let mut out = Vec::new();
    for (place, statement) in statements.into_iter().enumerate() {
        match statement {
            Stmt::Local(mut local) => {
                let span = local.span();
                let Some(init) = &mut local.init else {
                    return Err(Error::new(span, "in lazy! each `let` has a call: `let name = f(a);`"));
                };
                if let Expr::Call(_) | Expr::Try(_) = &*init.expr {
                    let call = &init.expr;
                    init.expr = parse_quote!(::poniard::lazy!(#call));
                }
                out.push(quote!(#local));
            }
            Stmt::Expr(call, None) if place + 1 == count => out.push(quote!(::poniard::lazy!(#call))),
            other => {
                let text = "a lazy! block holds `let name = call;` statements and a call at its end";
                return Err(Error::new(other.span(), text));
            }
        }
    }
    Ok(quote!({ #(#out)* }))
}

fn expand(spawn: Spawn, verb: Verb) -> Result<TokenStream> {
    if spawn.is_async && !cfg!(feature = "async") {
        return Err(Error::new(call::span(&spawn.work), "async tasks need the feature `async` of poniard"));
    }
    let meta = meta_of(&spawn.options)?;
    let name = call::name(&spawn.work);
    let (arguments, parameters, result) = parts(&spawn, verb, meta)?;
    let keywords = import_of_keywords(&spawn.work)?;
    let checkpoint = checkpoint_of(&spawn)?;
    let options = options(&spawn.options);
    let method = format_ident!(
        "{}{}",
        if verb == Verb::Lazy { "lazy" } else { "spawn" },
        if spawn.is_async {
            "_async"
        } else if spawn.captures {
            "_local"
        } else if checkpoint.is_some() {
            "_checkpointed"
        } else {
            ""
        }
    );
    let work = if spawn.is_async {
        quote! {
            |mut opened| async move {
                let #parameters = opened.open();
                #result
            }
        }
    } else {
        let capture = spawn.captures.then(|| quote!(move));
        quote!(#capture |#parameters| #result)
    };
    Ok(quote! {{
        #[allow(unused_imports)]
        use ::poniard::__private::{BorrowedKind as _, HandleKind as _, PlainKind as _};
        #keywords
        static SITE: ::poniard::__private::Site = ::poniard::__private::Site::new(#name, file!(), line!());
        ::poniard::__private::Call::new(#arguments) #options.#method(&SITE, #work)
    }})
}

/// Whether handles are handed over instead of values: `meta = true`, which must be written out.
fn meta_of(options: &[Named]) -> Result<bool> {
    let Some(meta) = options.iter().find(|option| option.name == "meta") else { return Ok(false) };
    if let Expr::Lit(literal) = &meta.value
        && let syn::Lit::Bool(meta) = &literal.lit
    {
        return Ok(meta.value);
    }
    Err(Error::new(
        meta.value.span(),
        "`meta` changes what the function receives, so it is `true` or `false` as written",
    ))
}

/// The option that keeps the result for the next run: for tasks whose arguments are all declared.
fn checkpoint_of(spawn: &Spawn) -> Result<Option<&Named>> {
    let checkpoint = |option: &&Named| option.name == "checkpoint" || option.name == "checkpoint_with";
    let Some(option) = spawn.options.iter().find(checkpoint) else { return Ok(None) };
    let why = match (spawn.is_async, spawn.captures) {
        (false, false) => return Ok(Some(option)),
        (true, _) => "async tasks have no checkpoints",
        (_, true) => {
            "a task with real captures cannot be known again: declare them, `spawn!(x = x.clone() => f(&x))`"
        }
    };
    Err(Error::new(option.name.span(), why))
}

fn options(options: &[Named]) -> Option<TokenStream> {
    let calls: Vec<TokenStream> = options
        .iter()
        .filter(|option| option.name != "meta")
        .map(|Named { name, value }| quote_spanned!(name.span() => .#name(#value)))
        .collect();
    (!calls.is_empty()).then(|| quote!(.options(::poniard::Options::new() #(#calls)*)))
}

/// The tuple of arguments, the pattern that receives them opened, and the expression of the result.
fn parts(spawn: &Spawn, verb: Verb, meta: bool) -> Result<(TokenStream, TokenStream, TokenStream)> {
    match &spawn.work {
        Work::Call { function, arguments, keywords, parenthesis } => {
            let names = parameter_names(arguments);
            let converted = arguments.iter().map(|argument| convert(argument, verb, meta));
            let keyword_name = keywords.as_ref().map(|keywords| keyword_name(keywords, *parenthesis));
            let (extra, call) = match keywords {
                None => {
                    let arguments = quote_spanned!(mixed(*parenthesis) => (#(#names),*));
                    (None, quote!(#function #arguments))
                }
                Some(keywords) => {
                    let of = keywords_of(function);
                    let set = keywords.iter().map(|Named { name, value }| {
                        let value = convert(value, verb, meta);
                        quote_spanned!(name.span() => .#name(#value))
                    });
                    (
                        Some(quote!(#of::__keywords() #(#set)*.__arguments(),)),
                        quote!(#of::__call((#(#names,)*), #keyword_name)),
                    )
                }
            };
            let result = finished(call, spawn);
            let last = keyword_name.iter();
            Ok((quote!((#(#converted,)* #extra)), quote!((#(#names,)* #(#last,)*)), result))
        }
        Work::Body { parameters, arguments, body, is_closure } => {
            let converted = arguments.iter().map(|argument| convert(argument, verb, meta));
            let (patterns, lets) = split_types(parameters, arguments);
            let body = body_call(body, *is_closure)?;
            let result = finished(body, spawn);
            Ok((quote!((#(#converted,)*)), quote!((#(#patterns,)*)), quote!({ #(#lets)* #result })))
        }
    }
}

/// Brings the type that `#[task]` makes of a function into scope, for a call with keywords. Of a function without `#[task]`
/// the first import brings the function alone, and the second one a type that tells what is missing.
fn import_of_keywords(work: &Work) -> Result<Option<TokenStream>> {
    let Work::Call { function, keywords: Some(_), .. } = work else { return Ok(None) };
    if !is_plain_path(function) {
        let text = "keyword arguments need a #[poniard::task] function, by its name";
        return Err(Error::new(function.span(), text));
    }
    let name = name_of_keywords(function);
    Ok(Some(quote! {
        #[allow(unused_imports)]
        use #function as #name;
        #[allow(unused_imports)]
        use ::poniard::__private::plain_function::*;
    }))
}

/// Whether an import could name it.
fn is_plain_path(function: &Expr) -> bool {
    let Expr::Path(function) = function else { return false };
    function.qself.is_none() && function.path.segments.iter().all(|segment| segment.arguments.is_none())
}

/// The type that has the keywords of `function`, placed there.
fn keywords_of(function: &Expr) -> TokenStream {
    let name = name_of_keywords(function);
    quote_spanned!(name.span() => <#name>)
}

fn name_of_keywords(function: &Expr) -> Ident {
    Ident::new("__Keywords", mixed(function.span()))
}

/// The result of the work as the engine wants it.
fn finished(work: TokenStream, spawn: &Spawn) -> TokenStream {
    let awaited = spawn.is_async.then(|| quote!(.await));
    let span = mixed(call::span(&spawn.work));
    if spawn.tried {
        quote_spanned!(span => ::poniard::__private::tried(#work #awaited))
    } else {
        quote_spanned!(span => ::core::result::Result::Ok::<_, ::poniard::__private::Cause>(#work #awaited))
    }
}

/// Typed parameters are bound by a `let`, so that the others can be inferred from the arguments.
fn split_types(parameters: &[Pat], arguments: &[Expr]) -> (Vec<TokenStream>, Vec<TokenStream>) {
    let names = parameter_names(arguments);
    let mut lets = Vec::new();
    let patterns = parameters.iter().zip(&names).map(|(parameter, name)| match parameter {
        Pat::Type(typed) => {
            lets.push(quote!(let #typed = #name;));
            quote!(#name)
        }
        other => quote!(#other),
    });
    let patterns = patterns.collect();
    (patterns, lets)
}

/// A body stands where it was written, except that `return` and `?` in a closure leave that closure.
fn body_call(body: &Expr, is_closure: bool) -> Result<TokenStream> {
    let mut leaves = Leaves::default();
    leaves.visit_expr_mut(&mut body.clone());
    let tokens = call::tokens(body);
    match (is_closure, leaves.by_return, leaves.by_try) {
        (false, Some(span), _) => {
            Err(Error::new(span, "the body of a task does not `return`: make it a function"))
        }
        (true, Some(_), _) | (true, _, true) => Ok(quote!((|| #tokens)())),
        _ => Ok(quote!((#tokens))),
    }
}

/// How control leaves an expression.
#[derive(Default)]
struct Leaves {
    by_return: Option<Span>,
    by_try: bool,
}

impl VisitMut for Leaves {
    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        match expression {
            Expr::Closure(_) | Expr::Async(_) => return,
            Expr::Return(returned) => self.by_return = Some(returned.span()),
            Expr::Try(_) => self.by_try = true,
            _ => {}
        }
        visit_mut::visit_expr_mut(self, expression);
    }

    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}

/// `x0`, `x1`, .. placed at the arguments, so that type errors point at them.
fn parameter_names(arguments: &[Expr]) -> Vec<Ident> {
    let name = |(place, argument): (usize, &Expr)| format_ident!("x{}", place, span = mixed(argument.span()));
    arguments.iter().enumerate().map(name).collect()
}

/// The tuple of keyword arguments, placed at the only one, so that a type error points at it.
fn keyword_name(keywords: &[Named], parenthesis: Span) -> Ident {
    let place = match keywords {
        [only] => only.value.span(),
        _ => parenthesis,
    };
    Ident::new("keywords", mixed(place))
}

/// An argument as the pool takes it: by its type.
fn convert(argument: &Expr, verb: Verb, meta: bool) -> TokenStream {
    let span = mixed(argument.span());
    let method = Ident::new(
        match (verb, meta) {
            (_, true) => "hold",
            (Verb::Spawn, _) => "argument",
            (Verb::Lazy, _) => "lazy_argument",
        },
        span,
    );
    quote_spanned! { span =>
        match (#argument) { argument => (&&::poniard::__private::Wrap::of(&argument)).kind().#method(argument) }
    }
}

/// Names of ours, placed where the user's code stands.
fn mixed(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}
