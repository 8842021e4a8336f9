// SPDX-License-Identifier: GPL-2.0

use std::ffi::CString;

use proc_macro2::{
    Ident,
    TokenStream, //
};
use quote::quote;
use syn::{
    ext::IdentExt,
    parse::{
        Parse,
        ParseStream, //
    },
    Error,
    Expr,
    Result,
    Token,
    Type, //
};

use crate::helpers::AsciiLitStr;

/// What stands between the braces of `lsm!`.
pub(crate) struct LsmInfo {
    type_: Type,
    name: AsciiLitStr,
    id: Expr,
}

/// Parses `key: `, and refuses any other key.
fn key(input: ParseStream<'_>, expected: &str) -> Result<()> {
    let key = input.call(Ident::parse_any)?;

    if key != expected {
        return Err(Error::new_spanned(
            &key,
            format!("expected `{expected}`: the keys of `lsm!` are `type`, `name`, `id`, in order"),
        ));
    }

    input.parse::<Token![:]>()?;
    Ok(())
}

impl Parse for LsmInfo {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        key(input, "type")?;
        let type_ = input.parse()?;
        input.parse::<Token![,]>()?;

        key(input, "name")?;
        let name = input.parse()?;
        input.parse::<Token![,]>()?;

        key(input, "id")?;
        let id = input.parse()?;
        input.parse::<Option<Token![,]>>()?;

        Ok(Self { type_, name, id })
    }
}

pub(crate) fn lsm(info: LsmInfo) -> Result<TokenStream> {
    let LsmInfo { type_, name, id } = info;

    let name_cstr = match CString::new(name.value()) {
        Ok(name_cstr) if !name_cstr.is_empty() => name_cstr,
        _ => {
            return Err(Error::new_spanned(
                name,
                "the name of an LSM must not be empty or contain NUL",
            ))
        }
    };

    Ok(quote! {
        /// The name of the LSM, which the printing macros put before what they print.
        const __LOG_PREFIX: &[u8] = #name_cstr.to_bytes_with_nul();

        /// The owner of the crate's `#[vtable]` implementations.
        type LocalModule = #type_;

        impl ::kernel::ModuleMetadata for #type_ {
            const NAME: &'static ::kernel::str::CStr = #name_cstr;

            const THIS_MODULE: ::kernel::ThisModule = {
                // SAFETY: An LSM is built in, and a null pointer stands for what is built in.
                unsafe { ::kernel::ThisModule::from_ptr(::core::ptr::null_mut()) }
            };
        }

        const _: () = {
            #[link_section = ".data..ro_after_init"]
            static REGISTRATION: ::kernel::lsm::Registration<#type_> = {
                // SAFETY: This is the static that `Registered` asks for.
                unsafe { ::kernel::lsm::Registration::new(#name_cstr, (#id) as u64) }
            };

            #[link_section = ".lsm_info.init"]
            #[used(compiler)]
            static INFO: ::kernel::lsm::Info = {
                // SAFETY: This is the static that `Registered` asks for, and no other describes
                // `REGISTRATION`.
                unsafe { ::kernel::lsm::Info::new(&REGISTRATION) }
            };

            // SAFETY: It is always the same static, in the right section. `INFO`, which is in the
            // right section too, is the only one that describes it.
            unsafe impl ::kernel::lsm::Registered for #type_ {
                #[inline(always)]
                fn registration() -> &'static ::kernel::lsm::Registration<Self> {
                    &REGISTRATION
                }
            }
        };
    })
}
