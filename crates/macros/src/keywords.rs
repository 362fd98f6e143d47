//! `#[task]`: a function with keyword arguments.
//!
//! The function stays as it is. A type of the same name, which lives in the other namespace and comes along with the same
//! `use`, knows the keywords and their defaults.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Error, Expr, FnArg, Ident, ItemFn, Pat, PatType, Result, Type, parse2};

pub(crate) fn task(attribute: TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !attribute.is_empty() {
        return Err(Error::new_spanned(
            attribute,
            "#[task] takes nothing: defaults stand before the parameters",
        ));
    }
    let mut function: ItemFn = parse2(item)?;
    refuse(&function)?;
    let parameters = function.sig.inputs.iter_mut().map(parameter).collect::<Result<Vec<_>>>()?;
    let first_keyword = parameters.iter().position(|parameter| parameter.default.is_some());
    let (positional, keywords) = parameters.split_at(first_keyword.unwrap_or(parameters.len()));
    if let Some(late) = keywords.iter().find(|parameter| parameter.default.is_none()) {
        let advice = format!("move `{}` before them", late.name);
        let text = format!("parameters with a default are keyword arguments and come last: {advice}");
        return Err(Error::new_spanned(&late.name, text));
    }
    Ok(expand(&function, positional, keywords))
}

/// A parameter, and its default if it is a keyword.
struct Parameter {
    name: Ident,
    kind: Type,
    default: Option<Expr>,
}

fn refuse(function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(&signature.generics, "a #[task] function has no type parameters"));
    }
    if let Some(asyncness) = &signature.asyncness {
        return Err(Error::new_spanned(asyncness, "a #[task] function is not async"));
    }
    Ok(())
}

fn parameter(argument: &mut FnArg) -> Result<Parameter> {
    let FnArg::Typed(PatType { attrs, pat, ty, .. }) = argument else {
        return Err(Error::new_spanned(argument, "a #[task] function is not a method"));
    };
    let Pat::Ident(name) = &**pat else {
        return Err(Error::new_spanned(pat, "a parameter of a #[task] function is a plain name"));
    };
    let mut default = None;
    let mut wrong = None;
    attrs.retain(|attribute| {
        let ours = attribute.path().is_ident("default");
        if ours {
            match attribute.parse_args::<Expr>() {
                Ok(expression) => default = Some(expression),
                Err(error) => wrong = Some(error),
            }
        }
        !ours
    });
    match wrong {
        Some(error) => Err(error),
        None => Ok(Parameter { name: name.ident.clone(), kind: (**ty).clone(), default }),
    }
}

fn expand(function: &ItemFn, positional: &[Parameter], keywords: &[Parameter]) -> TokenStream {
    let (visibility, name, output) = (&function.vis, &function.sig.ident, &function.sig.output);
    let setter = format_ident!("__{}_keywords", name);
    let kinds: Vec<Ident> = (0..keywords.len()).map(|place| format_ident!("K{place}")).collect();
    let names: Vec<&Ident> = keywords.iter().map(|keyword| &keyword.name).collect();
    let types: Vec<&Type> = keywords.iter().map(|keyword| &keyword.kind).collect();
    let defaults = keywords.iter().map(|keyword| &keyword.default);
    let value = quote!(::poniard::__private::Value);
    let setters = (0..keywords.len()).map(|place| {
        let set = names[place];
        let returned =
            kinds.iter().enumerate().map(|(at, kind)| if at == place { quote!(New) } else { quote!(#kind) });
        let others = names.iter().enumerate().filter(|(at, _)| *at != place).map(|(_, name)| name);
        quote! {
            #visibility fn #set<New>(self, #set: New) -> #setter<#(#returned),*> {
                #setter { #set, #(#others: self.#others),* }
            }
        }
    });
    let given: Vec<&Ident> = positional.iter().map(|parameter| &parameter.name).collect();
    let given_types = positional.iter().map(|parameter| &parameter.kind);
    quote! {
        #function

        #[allow(non_camel_case_types, dead_code)]
        #[doc(hidden)]
        #visibility struct #name {}

        #[allow(non_camel_case_types, dead_code)]
        #[doc(hidden)]
        #visibility struct #setter<#(#kinds),*> { #(#names: #kinds),* }

        #[allow(dead_code, clippy::all)]
        #[doc(hidden)]
        impl #name {
            #visibility fn __keywords() -> #setter<#(#value<#types>),*> {
                #setter { #(#names: #value::new(#defaults)),* }
            }
            #visibility fn __call((#(#given,)*): (#(#given_types,)*), (#(#names,)*): (#(#types,)*)) #output {
                #name(#(#given,)* #(#names),*)
            }
        }

        #[allow(dead_code, clippy::all)]
        #[doc(hidden)]
        impl<#(#kinds),*> #setter<#(#kinds),*> {
            #(#setters)*
            #visibility fn __arguments(self) -> (#(#kinds,)*) {
                (#(self.#names,)*)
            }
        }
    }
}
