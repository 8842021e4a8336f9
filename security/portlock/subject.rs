// SPDX-License-Identifier: GPL-2.0

//! What a credential carries.

use crate::domain::Domain;
use kernel::{
    lsm::CredBlob,
    prelude::*,
    sync::Arc, //
};

/// Portlock's part of a credential.
#[derive(Zeroable)]
pub(crate) struct Subject {
    /// The domain that holds the task, if there is one.
    domain: Option<Arc<Domain>>,
}

impl Subject {
    /// The domain that holds the task, if there is one.
    #[inline]
    pub(crate) fn domain(&self) -> Option<&Domain> {
        self.domain.as_deref()
    }

    /// Puts the task under `domain`.
    pub(crate) fn enter(&mut self, domain: Arc<Domain>) {
        if let Some(old) = self.domain.replace(domain) {
            Domain::put(old);
        }
    }
}

impl CredBlob for Subject {
    fn inherit(&self) -> Self {
        Self {
            domain: self.domain.clone(),
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // Credentials are freed in an RCU callback, which must not sleep.
        if let Some(domain) = self.domain.take() {
            Domain::put(domain);
        }
    }
}
