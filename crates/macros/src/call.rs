//! What is written inside `spawn!(..)`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprCall, ExprClosure, Ident, Pat, Result, ReturnType, Token, parse_quote};

/// A spawn, parsed.
pub(crate) struct Spawn {
    pub(crate) work: Work,
    /// Whether an `Err` fails the task: the call was followed by `?`.
    pub(crate) tried: bool,
    /// Whether the work is a future.
    pub(crate) is_async: bool,
    /// Whether the body has real captures.
    pub(crate) captures: bool,
    pub(crate) options: Vec<Named>,
}

/// The function or body, and its arguments.
pub(crate) enum Work {
    /// `f(a, b, key = c, ..)`
    Call { function: Expr, arguments: Vec<Expr>, keywords: Option<Vec<Named>>, parenthesis: Span },
    /// `(|x, y| body)(a, b)`, `x = a, y = b => body`, `|| body`
    Body { parameters: Vec<Pat>, arguments: Vec<Expr>, body: Expr, is_closure: bool },
}

/// `name = value`.
pub(crate) struct Named {
    pub(crate) name: Ident,
    pub(crate) value: Expr,
}

impl Parse for Spawn {
    fn parse(input: ParseStream<'_>) -> Result<Spawn> {
        if input.is_empty() {
            return Err(Error::new(Span::call_site(), "spawn! takes a call: `spawn!(f(a, &b))`"));
        }
        let is_async =
            input.peek(Token![async]) && !input.peek2(Token![move]) && !input.peek2(syn::token::Brace);
        if is_async {
            input.parse::<Token![async]>()?;
        }
        let captures = input.peek(Token![move]);
        if captures && !input.peek2(Token![|]) && !input.peek2(Token![||]) {
            input.parse::<Token![move]>()?;
            return body_with_captures(input, is_async, true);
        }
        if is_capture(input) {
            return body_with_captures(input, is_async, false);
        }
        let expression: Expr = input.parse()?;
        let (expression, tried) = without_try(expression);
        let work = work_of(expression)?;
        Ok(Spawn { work, tried, is_async, captures, options: options(input, CALL)? })
    }
}

/// Whether `name = ..` or `=>` comes next.
pub(crate) fn is_capture(input: ParseStream<'_>) -> bool {
    input.peek(Token![=>]) || (input.peek(Ident) && input.peek2(Token![=]) && !input.peek2(Token![==]))
}

/// `x = &p, k = k => body`
fn body_with_captures(input: ParseStream<'_>, is_async: bool, has_more: bool) -> Result<Spawn> {
    let (mut parameters, mut arguments) = (Vec::new(), Vec::new());
    for Named { name, value } in captures(input, "body")? {
        parameters.push(syn::parse_quote!(#name));
        arguments.push(value);
    }
    let (body, tried) = without_try(input.parse()?);
    let work = Work::Body { parameters, arguments, body, is_closure: false };
    Ok(Spawn { work, tried, is_async, captures: has_more, options: options(input, CALL)? })
}

/// `x = &p, k = k =>`, before `what`.
pub(crate) fn captures(input: ParseStream<'_>, what: &str) -> Result<Vec<Named>> {
    let mut captures: Vec<Named> = Vec::new();
    while !input.peek(Token![=>]) {
        captures.push(input.parse().map_err(|error| {
            let hint = format!("captures are declared as `name = value, .. => {what}`");
            Error::new(error.span(), format!("{error}; {hint}"))
        })?);
        if !input.peek(Token![=>]) && input.parse::<Token![,]>().is_err() {
            return Err(input.error(format!(
                "expected `,` or `=>`: captures are declared as `name = value, .. => {what}`"
            )));
        }
    }
    input.parse::<Token![=>]>()?;
    Ok(captures)
}

impl Parse for Named {
    fn parse(input: ParseStream<'_>) -> Result<Named> {
        let name = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Named { name, value: input.parse()? })
    }
}

/// What comes before the options of `spawn!`.
const CALL: &str = "the call";

/// `, name = value` to the end, after `what`.
pub(crate) fn options(input: ParseStream<'_>, what: &str) -> Result<Vec<Named>> {
    let mut options: Vec<Named> = Vec::new();
    while !input.is_empty() {
        let comma: Result<Token![,]> = input.parse();
        if comma.is_err() {
            return Err(input.error(format!("expected `, option = value` after {what}")));
        }
        if input.is_empty() {
            break;
        }
        let option: Named = input.parse().map_err(|error| {
            let hint =
                if what == CALL { ": the call's own arguments stand inside its parentheses" } else { "" };
            Error::new(error.span(), format!("expected `option = value`{hint}"))
        })?;
        if options.iter().any(|known| known.name == option.name) {
            return Err(Error::new(option.name.span(), format!("option `{}` is given twice", option.name)));
        }
        options.push(option);
    }
    Ok(options)
}

fn without_try(expression: Expr) -> (Expr, bool) {
    match expression {
        Expr::Try(tried) => (*tried.expr, true),
        expression => (expression, false),
    }
}

fn work_of(expression: Expr) -> Result<Work> {
    match expression {
        Expr::Call(call) => work_of_call(call),
        Expr::Closure(closure) if closure.inputs.is_empty() => Ok(body_of(closure, Vec::new())),
        Expr::Closure(closure) => Err(Error::new(
            closure.inputs.span(),
            "this closure is not applied to arguments: write `spawn!((|x| ..)(a))`, or `spawn!(x = a => ..)`",
        )),
        Expr::MethodCall(call) => {
            let method = &call.method;
            let text = format!(
                "spawn! takes a function call, not a method call: write `Type::{method}(&receiver, ..)`"
            );
            Err(Error::new(call.span(), text))
        }
        Expr::Macro(call) => Err(Error::new(
            call.span(),
            "spawn! takes a function call, not a macro: wrap it in a body, `spawn!(x = a => macro!(x))`",
        )),
        Expr::Async(block) => Err(Error::new(
            block.span(),
            "spawn! takes an async call, not an async block: write `spawn!(async f(&a))` with an `async fn f`",
        )),
        Expr::Await(awaited) => Err(Error::new(
            awaited.span(),
            "the task awaits the future itself: write `spawn!(async f(&a))`, without `.await`",
        )),
        other => {
            let text = "spawn! takes a call, such as `spawn!(f(a, &b))`; for an expression declare what it uses, \
                        `spawn!(x = &a => x + 1)`";
            Err(Error::new(other.span(), text))
        }
    }
}

fn work_of_call(call: ExprCall) -> Result<Work> {
    let parenthesis = call.paren_token.span.join();
    let (arguments, keywords) = arguments_of(call.args)?;
    let closure = match &*call.func {
        Expr::Paren(inner) => Some(&*inner.expr),
        other => Some(other),
    };
    if let Some(Expr::Closure(closure)) = closure {
        if closure.inputs.len() != arguments.len() {
            let (takes, given) = (closure.inputs.len(), arguments.len());
            let text = format!("this closure takes {takes} arguments and is given {given}");
            return Err(Error::new(parenthesis, text));
        }
        if keywords.is_some() {
            return Err(Error::new(parenthesis, "a closure has no keyword arguments"));
        }
        return Ok(body_of(closure.clone(), arguments));
    }
    Ok(Work::Call { function: *call.func, arguments, keywords, parenthesis })
}

/// Positional arguments, then keyword arguments, if there are any or a `..`.
fn arguments_of(all: Punctuated<Expr, Token![,]>) -> Result<(Vec<Expr>, Option<Vec<Named>>)> {
    let mut positional = Vec::new();
    let mut keywords: Option<Vec<Named>> = None;
    for argument in all {
        match argument {
            Expr::Assign(assign) => {
                let name = name_of(&assign.left)?;
                keywords.get_or_insert_default().push(Named { name, value: *assign.right });
            }
            Expr::Range(range) if range.start.is_none() && range.end.is_none() => {
                keywords.get_or_insert_default();
            }
            other if keywords.is_some() => {
                return Err(Error::new(other.span(), "positional arguments come before keyword arguments"));
            }
            other => positional.push(other),
        }
    }
    Ok((positional, keywords))
}

fn name_of(left: &Expr) -> Result<Ident> {
    if let Expr::Path(path) = left
        && let Some(name) = path.path.get_ident()
    {
        return Ok(name.clone());
    }
    Err(Error::new(left.span(), "a keyword argument is `name = value`"))
}

fn body_of(closure: ExprClosure, arguments: Vec<Expr>) -> Work {
    let parameters = closure.inputs.into_iter().collect();
    let (body, output) = (*closure.body, closure.output);
    let body = match output {
        ReturnType::Default => body,
        // What the user wrote as the type still types the body, its `return`s and its `?`s.
        ReturnType::Type(..) => parse_quote!((|| #output #body)()),
    };
    Work::Body { parameters, arguments, body, is_closure: true }
}

/// The name of the task in errors and traces.
pub(crate) fn name(work: &Work) -> String {
    match work {
        Work::Call { function, .. } => {
            let text: String = quote!(#function).to_string();
            text.replace(" :: ", "::").replace(" < ", "<").replace(" >", ">").replace(":: <", "::<")
        }
        Work::Body { .. } => "closure".to_owned(),
    }
}

/// The place that errors about the whole call point at.
pub(crate) fn span(work: &Work) -> Span {
    match work {
        Work::Call { function, .. } => function.span(),
        Work::Body { body, .. } => body.span(),
    }
}

/// Nothing, or the tokens of an expression that is `?`-ed by hand.
pub(crate) fn tokens(expression: &Expr) -> TokenStream {
    quote!(#expression)
}
