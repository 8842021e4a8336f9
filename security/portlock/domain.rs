// SPDX-License-Identifier: GPL-2.0

//! The network domain of a task: frozen, shared, and read without a lock.

use crate::{
    abi::MAX_LAYERS,
    access::{
        Access,
        AccessSet,
        Permission,
        PermissionSet, //
    },
    endpoint::Address,
    frozen::{
        Frozen,
        Handled, //
    },
    index::Index,
    landlock::LayerRights,
    observer::Reporter,
    opened::Cookies,
    ports::Rule,
    prefixes::Prefixes, //
};
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    impl_has_work,
    new_work,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        UniqueArc, //
    },
    workqueue::{
        self,
        Work,
        WorkItem, //
    }, //
};

/// One enforced ruleset.
#[derive(Clone)]
pub(crate) struct Layer {
    /// The position of the layer in C Landlock's domain of the same credentials, from 1.
    pub(crate) level: u8,
    /// Whether what the layer refuses is only told, and allowed.
    pub(crate) is_permissive: bool,
    /// The cookie of the network namespace in which the ruleset was enforced. Elsewhere its rules
    /// about addresses match nothing.
    pub(crate) net: u64,
    /// The ruleset, shared with its file and with the domains made of this one.
    pub(crate) frozen: Arc<Frozen>,
}

/// What a hook asks about an endpoint.
#[derive(Clone, Copy)]
pub(crate) struct Question {
    pub(crate) access: Access,
    /// The port, in host byte order, or `None` if no rule can allow it.
    pub(crate) port: Option<u16>,
    /// The address, or `None` if only rules without one match.
    pub(crate) address: Option<Address>,
    /// The cookie of the socket's network namespace.
    pub(crate) net: u64,
    /// Whether the socket is one of MPTCP, which plain rulesets are not about.
    pub(crate) is_mptcp: bool,
    /// By which rules about single sockets match.
    pub(crate) cookies: Cookies,
}

impl Question {
    /// Asks about `port` alone: what else is known of the socket can be added.
    pub(crate) fn new(access: Access, port: Option<u16>, is_mptcp: bool) -> Self {
        Self {
            access,
            port,
            address: None,
            net: 0,
            is_mptcp,
            cookies: Cookies::default(),
        }
    }
}

/// A layer that refuses.
#[derive(Clone, Copy)]
pub(crate) struct Refusing<'a> {
    pub(crate) level: u8,
    /// Whether a rule for the endpoint keeps the refusal out of the logs.
    pub(crate) quiet: bool,
    /// Whether the layer lets it pass.
    pub(crate) is_permissive: bool,
    /// Who is told.
    pub(crate) reporter: Option<&'a Reporter>,
}

/// What the layers say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Whether all layers grant what is asked.
    pub(crate) is_granted: bool,
    /// Whether a layer refuses it that is not permissive.
    pub(crate) is_refused: bool,
    /// Whether a layer grants it by the address, and not otherwise.
    pub(crate) is_by_address: bool,
}

impl Layer {
    fn handled(&self) -> &Handled {
        &self.frozen.handled
    }

    /// Whether the layer is about what is asked at all.
    fn handles(&self, question: &Question) -> bool {
        self.handled().access.contains(question.access)
            && (self.handled().is_extended || !question.is_mptcp)
    }

    /// The rules about addresses with the port and the address to ask them about, if they are for
    /// what is asked at all.
    #[inline(always)]
    fn by_address<'a>(
        &'a self,
        question: &'a Question,
    ) -> Option<(&'a Prefixes, u16, &'a Address)> {
        match (&self.frozen.prefixes, question.port, &question.address) {
            (Some(prefixes), Some(port), Some(address)) if self.net == question.net => {
                Some((prefixes, port, address))
            }
            _ => None,
        }
    }

    /// What the rules say of the port, whatever the address.
    fn by_port(&self, question: &Question) -> Rule {
        question
            .port
            .and_then(|port| self.frozen.rules.ports.get(port))
            .unwrap_or_default()
    }

    /// Whether a rule for the endpoint keeps a refusal out of the logs.
    fn is_quiet(&self, question: &Question) -> bool {
        self.handled().quiet.contains(question.access)
            && (self.by_port(question).quiet
                || self
                    .by_address(question)
                    .is_some_and(|(prefixes, port, address)| prefixes.is_quiet(port, address)))
    }

    /// Whether a rule about addresses grants what is asked.
    #[inline(always)]
    fn grants_by_address(&self, question: &Question) -> bool {
        match self.by_address(question) {
            Some((prefixes, port, address)) => prefixes.grants(port, address, question.access),
            None => false,
        }
    }

    /// Whether a rule about the port grants what is asked, or the layer does not handle it.
    #[inline(never)]
    fn grants_by_port(&self, question: &Question) -> bool {
        !self.handles(question) || self.by_port(question).access.contains(question.access)
    }

    /// Whether a rule about the socket grants what is asked.
    #[inline]
    fn grants_by_cookie(&self, question: &Question) -> bool {
        (self.frozen.rules.opened).grants(question.cookies, question.access)
    }

    /// Whether a rule grants what is asked, or the layer does not handle it.
    #[inline(never)]
    fn grants(&self, question: &Question) -> bool {
        self.grants_at_address(question) || self.grants_by_cookie(question)
    }

    /// Whether a rule about ports or addresses grants what is asked, or the layer does not handle it.
    #[inline(always)]
    fn grants_at_address(&self, question: &Question) -> bool {
        self.grants_by_address(question) || self.grants_by_port(question)
    }

    /// Whether a rule grants to accept connections on the port from some address, or the layer does not
    /// handle it.
    fn accepts_somewhere(&self, question: &Question) -> bool {
        self.grants_by_port(question)
            || self.grants_by_cookie(question)
            || self.net == question.net
                && question.port.is_some_and(|port| {
                    let prefixes = self.frozen.prefixes.as_ref();

                    prefixes.is_some_and(|prefixes| prefixes.accepts_somewhere(port))
                })
    }

    /// Whether `other` says the same, since it is of the same ruleset.
    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.frozen, &other.frozen) && self.net == other.net
    }

    /// Whether a rule is about addresses, for one of the rights in `access`.
    fn is_about_addresses(&self, access: AccessSet) -> bool {
        !(self.frozen.by_address & access).is_empty()
    }

    fn refusing(&self, quiet: bool) -> Refusing<'_> {
        Refusing {
            level: self.level,
            quiet,
            is_permissive: self.is_permissive,
            reporter: self.frozen.reporter.as_deref(),
        }
    }
}

/// The layers that hold a task.
///
/// A ruleset that handles nothing of Portlock's makes no layer here, though it makes one in C
/// Landlock: a task whose sandbox is not about the network has no domain, and pays nothing.
///
/// The memory is charged to the task that enforces the ruleset.
///
/// # Invariants
///
/// - There are at most [`MAX_LAYERS`] layers, with ascending levels.
/// - No other domain has or ever had the same `id`, which is not 0.
/// - `is_uniform` is whether all layers say the same, since they are of one ruleset, and no rule is
///   about a socket.
/// - `access` and `permissions` are what the layers together handle. `by_address` is the rights for
///   which one of them has a rule about addresses, and `by_cookie` those for which one has a rule about
///   a socket.
/// - `index` is what all layers allow whatever the address. `mptcp` is what those layers handle and so
///   allow that are extended.
#[pin_data]
pub(crate) struct Domain {
    id: u64,
    access: AccessSet,
    permissions: PermissionSet,
    by_address: AccessSet,
    by_cookie: AccessSet,
    index: Arc<Index>,
    mptcp: Mptcp,
    /// All layers but the youngest, the oldest first: most domains have only one layer.
    outer: KVec<Layer>,
    youngest: Layer,
    is_uniform: bool,
    #[pin]
    free: Work<Domain>,
}

/// What holds MPTCP sockets, which plain layers are not about.
#[derive(Clone)]
enum Mptcp {
    /// All layers are plain.
    Nothing,
    /// All layers are extended: what holds TCP sockets.
    AsTcp,
    /// The layers that are extended, of a domain which has others too.
    Extended(Arc<Extended>),
}

/// What the extended layers of a domain together handle and allow.
struct Extended {
    access: AccessSet,
    index: Arc<Index>,
}

impl_has_work! {
    impl HasWork<Self> for Domain { self.free }
}

impl WorkItem for Domain {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        drop(this);
    }
}

/// The id of the domain that was made last.
static LAST_ID: Atomic<u64> = Atomic::new(0);

impl Domain {
    /// Stacks the layer `youngest` on `parent`, which stays as it is.
    ///
    /// The level of the layer is greater than those of `parent`. `index` is what its ruleset allows on
    /// each port. Returns `E2BIG` if there are [`MAX_LAYERS`] layers already, or `ENOMEM` if there is no
    /// memory.
    pub(crate) fn new(
        parent: Option<&Self>,
        youngest: Layer,
        index: Arc<Index>,
    ) -> Result<Arc<Self>> {
        // `Arc::pin_init` is out of line: it would move what is made here twice.
        let place = UniqueArc::new_uninit(GFP_KERNEL_ACCOUNT)?;
        let handled = *youngest.handled();
        let by_address = youngest.frozen.by_address;
        let by_cookie = youngest.frozen.rules.opened.granted();
        let is_uniform = by_cookie.is_empty()
            && parent.is_none_or(|parent| parent.is_uniform && parent.youngest.is_same(&youngest));

        // INVARIANT: The layers are counted in `to_outer`. The sets are the unions of those of the
        // layers, and the indexes are the intersections of theirs. The domain is uniform if the parent
        // is, and the new layer says what the parent's youngest says.
        let this = match parent {
            None => Made {
                outer: KVec::new(),
                access: handled.access,
                permissions: handled.permissions,
                by_address,
                by_cookie,
                mptcp: if handled.is_extended {
                    Mptcp::AsTcp
                } else {
                    Mptcp::Nothing
                },
                index,
            },
            Some(parent) => Made {
                outer: parent.to_outer()?,
                access: parent.access | handled.access,
                permissions: parent.permissions | handled.permissions,
                by_address: parent.by_address | by_address,
                by_cookie: parent.by_cookie | by_cookie,
                mptcp: parent.mptcp_with(handled, &index)?,
                index: Index::both(&parent.index, &index)?,
            },
        };

        // INVARIANT: With 64 bits this does not come back to an earlier number.
        let id = LAST_ID.fetch_add(1, Relaxed).wrapping_add(1);

        let domain = place.pin_init_with(pin_init!(Self {
            id,
            access: this.access,
            permissions: this.permissions,
            by_address: this.by_address,
            by_cookie: this.by_cookie,
            index: this.index,
            mptcp: this.mptcp,
            outer: this.outer,
            youngest,
            is_uniform,
            free <- new_work!("Domain::free"),
        }))?;

        Ok(domain.into())
    }

    /// What holds MPTCP sockets, when a layer is stacked on `self` that handles `handled` and allows
    /// `index`.
    fn mptcp_with(&self, handled: Handled, index: &Arc<Index>) -> Result<Mptcp> {
        let extended = match (&self.mptcp, handled.is_extended) {
            (Mptcp::Nothing, false) => return Ok(Mptcp::Nothing),
            (Mptcp::AsTcp, true) => return Ok(Mptcp::AsTcp),
            (Mptcp::Extended(outer), false) => return Ok(Mptcp::Extended(outer.clone())),
            (Mptcp::Nothing, true) => Extended {
                access: handled.access,
                index: index.clone(),
            },
            (Mptcp::AsTcp, false) => Extended {
                access: self.access,
                index: self.index.clone(),
            },
            (Mptcp::Extended(outer), true) => Extended {
                access: outer.access | handled.access,
                index: Index::both(&outer.index, index)?,
            },
        };

        Ok(Mptcp::Extended(Arc::new(extended, GFP_KERNEL_ACCOUNT)?))
    }

    /// Copies the layers, to be the outer ones of a domain.
    ///
    /// The memory is charged to the current task. Returns `ENOMEM` if there is none, `E2BIG` if
    /// there are [`MAX_LAYERS`] layers already.
    fn to_outer(&self) -> Result<KVec<Layer>> {
        let len = self.outer.len() + 1;

        if len >= MAX_LAYERS {
            return Err(E2BIG);
        }

        let mut outer = KVec::with_capacity(len, GFP_KERNEL_ACCOUNT)?;

        outer.extend_from_slice(&self.outer, GFP_KERNEL_ACCOUNT)?;
        outer.push(self.youngest.clone(), GFP_KERNEL_ACCOUNT)?;
        Ok(outer)
    }

    /// Drops a reference in a context that must not sleep.
    ///
    /// The last one leaves the work to a kernel thread: a domain may hold many rules.
    pub(crate) fn put(this: Arc<Self>) {
        if let Some(last) = Arc::into_unique_or_drop(this) {
            // The work item is not queued, as that takes a reference of its own.
            let _ = workqueue::system_long().enqueue(Arc::<Self>::from(last));
        }
    }

    /// A number that no other domain has or ever had. It is not 0.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Whether a layer handles one of the rights in `access`.
    #[inline]
    pub(crate) fn handles_any(&self, access: AccessSet) -> bool {
        !(self.access & access).is_empty()
    }

    /// Whether a layer handles `access`, on sockets of MPTCP or on others.
    #[inline]
    pub(crate) fn handles(&self, access: Access, is_mptcp: bool) -> bool {
        match &self.mptcp {
            Mptcp::Nothing if is_mptcp => false,
            Mptcp::Extended(extended) if is_mptcp => extended.access.contains(access),
            _ => self.access.contains(access),
        }
    }

    /// Whether a plain layer handles `access`.
    pub(crate) fn handles_plainly(&self, access: Access) -> bool {
        self.layers()
            .any(|layer| !layer.handled().is_extended && layer.handled().access.contains(access))
    }

    /// The layers that are extended and handle `access`.
    pub(crate) fn handling(&self, access: Access) -> impl Iterator<Item = Refusing<'_>> {
        self.those(
            move |layer| layer.handled().is_extended && layer.handled().access.contains(access),
            |_| false,
        )
    }

    /// The layers that grant to accept connections on the port from no address.
    pub(crate) fn refusing_listener<'a>(
        &'a self,
        question: &'a Question,
    ) -> impl Iterator<Item = Refusing<'a>> {
        self.those(
            |layer| !layer.accepts_somewhere(question),
            |layer| layer.is_quiet(question),
        )
    }

    /// The layers that have a rule about addresses for one of the rights in `protocol`.
    pub(crate) fn watching(&self, protocol: AccessSet) -> impl Iterator<Item = Refusing<'_>> {
        self.those(move |layer| layer.is_about_addresses(protocol), |_| false)
    }

    /// The layers that have rules about addresses for UDP, and do not grant what is asked whatever the
    /// address.
    pub(crate) fn refusing_way<'a>(
        &'a self,
        question: &'a Question,
    ) -> impl Iterator<Item = Refusing<'a>> {
        self.those(
            |layer| layer.is_about_addresses(AccessSet::UDP) && !layer.grants(question),
            |layer| layer.is_quiet(question),
        )
    }

    /// Whether a layer handles `permission`.
    pub(crate) fn handles_permission(&self, permission: Permission) -> bool {
        self.permissions.contains(permission)
    }

    /// Whether a layer has a rule about addresses for one of the rights in `access`.
    #[inline]
    pub(crate) fn is_about_addresses(&self, access: AccessSet) -> bool {
        !(self.by_address & access).is_empty()
    }

    /// Whether a layer has a rule about a single socket for `access`.
    #[inline]
    pub(crate) fn is_about_sockets(&self, access: Access) -> bool {
        self.by_cookie.contains(access)
    }

    /// Whether the port alone never tells that one of the rights in `access` is refused.
    #[inline]
    pub(crate) fn is_about_more_than_ports(&self, access: AccessSet) -> bool {
        !((self.by_address | self.by_cookie) & access).is_empty()
    }

    /// Whether every layer that handles `access` has a rule that grants it on `port`, whatever the
    /// address.
    #[inline]
    pub(crate) fn allows(&self, port: u16, access: Access) -> bool {
        self.index.allows(port, access)
    }

    /// Whether each layer grants what is asked whatever the address, or does not handle it.
    pub(crate) fn allows_by_port(&self, question: &Question) -> bool {
        let index = match &self.mptcp {
            Mptcp::Nothing if question.is_mptcp => return true,
            Mptcp::Extended(extended) if question.is_mptcp => &extended.index,
            _ => &self.index,
        };

        match question.port {
            Some(port) => index.allows(port, question.access),
            None => !self.layers().any(|layer| layer.handles(question)),
        }
    }

    /// Whether rules about addresses, and none about single sockets, are for `access`.
    #[inline]
    pub(crate) fn is_about_addresses_alone(&self, access: Access) -> bool {
        (self.by_address & !self.by_cookie).contains(access)
    }

    /// Whether all layers are of one ruleset, enforced in one network namespace, which is not about
    /// single sockets.
    #[inline]
    pub(crate) fn is_uniform(&self) -> bool {
        self.is_uniform
    }

    /// [`Domain::grants_at_address`], of a uniform domain.
    ///
    /// The port alone does not decide: its layers grant what is asked by the address or not at all.
    #[inline(always)]
    pub(crate) fn grants_uniformly(&self, question: &Question) -> bool {
        self.youngest.grants_by_address(question)
    }

    /// Whether rules about ports and addresses grant what is asked in each layer that handles it. Not
    /// all layers grant it by the port alone, cf. [`Domain::allows_by_port`].
    #[inline(always)]
    pub(crate) fn grants_at_address(&self, question: &Question) -> bool {
        let mut younger = &self.youngest;

        if question.address.is_none() || !younger.grants_at_address(question) {
            return false;
        }
        for layer in self.outer.iter().rev() {
            if !layer.is_same(younger) && !layer.grants_at_address(question) {
                return false;
            }
            younger = layer;
        }
        true
    }

    /// What the layers say together of what is asked. Not all layers grant it by the port alone, cf.
    /// [`Domain::allows_by_port`].
    #[inline]
    pub(crate) fn answer(&self, question: &Question) -> Answer {
        if self.is_about_addresses_alone(question.access) && self.grants_at_address(question) {
            // One layer does not grant it by the port, and none by the socket.
            return Answer {
                is_granted: true,
                is_refused: false,
                is_by_address: true,
            };
        }
        if self.outer.is_empty() && !self.is_about_sockets(question.access) {
            return Answer {
                is_granted: false,
                is_refused: !self.youngest.is_permissive,
                is_by_address: false,
            };
        }
        self.answer_of_each(question)
    }

    /// [`Domain::answer`], layer by layer.
    #[inline(never)]
    fn answer_of_each(&self, question: &Question) -> Answer {
        let mut answer = Answer {
            is_granted: true,
            is_refused: false,
            is_by_address: false,
        };

        // Then this one does not.
        let is_sole = self.outer.is_empty();
        let mut younger: Option<&Layer> = None;

        for layer in self.layers() {
            let is_known = younger.is_some_and(|younger| {
                layer.is_same(younger) && layer.is_permissive == younger.is_permissive
            });

            younger = Some(layer);
            if is_known
                || !is_sole && layer.grants_by_port(question)
                || layer.grants_by_cookie(question)
            {
                continue;
            }
            if layer.grants_by_address(question) {
                answer.is_by_address = true;
            } else {
                answer.is_granted = false;
                if !layer.is_permissive {
                    // What others say changes nothing.
                    answer.is_refused = true;
                    return answer;
                }
            }
        }
        answer
    }

    /// Whether the domain allows what is asked.
    #[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
    pub(crate) fn grants(&self, question: &Question) -> bool {
        self.allows_by_port(question) || self.answer(question).is_granted
    }

    /// The layers that refuse the creation of a socket.
    pub(crate) fn refusing_creation(
        &self,
        family: i32,
        type_: i32,
        protocol: i32,
    ) -> impl Iterator<Item = Refusing<'_>> {
        self.those(
            move |layer| {
                let handled = layer.handled().permissions;

                handled.contains(Permission::SocketCreate)
                    && !layer.frozen.rules.kinds.allows(family, type_, protocol)
            },
            |_| false,
        )
    }

    /// The layers that refuse what is asked. At least one does.
    pub(crate) fn refusing<'a>(
        &'a self,
        question: &'a Question,
    ) -> impl Iterator<Item = Refusing<'a>> {
        // It is the only layer, and none of its rules is quiet.
        let is_sole = self.outer.is_empty() && !self.youngest.frozen.rules.has_quiet();

        self.those(
            move |layer| is_sole || !layer.grants(question),
            move |layer| !is_sole && layer.is_quiet(question),
        )
    }

    /// What each layer with a rule for `port` grants: the rights of the rule, and those that the
    /// layer does not handle.
    pub(crate) fn granted(&self, port: u16) -> LayerRights {
        let mut granted = LayerRights::new();

        for layer in Iterator::chain(self.outer.iter(), [&self.youngest]) {
            if let Some(rule) = layer.frozen.rules.ports.get(port) {
                let access = rule.access | !layer.handled().access;

                granted.push(layer.level, access, rule.quiet);
            }
        }
        granted
    }

    /// Those layers of which `refuses` is true, the youngest first, each with whether it `is_quiet`.
    ///
    /// Once a layer refuses that is not permissive, others are left out that nobody wants to hear of.
    fn those<'a>(
        &'a self,
        refuses: impl Fn(&Layer) -> bool + 'a,
        is_quiet: impl Fn(&Layer) -> bool + 'a,
    ) -> impl Iterator<Item = Refusing<'a>> {
        let mut is_refused = false;

        self.layers().filter_map(move |layer| {
            let matters = !is_refused || layer.is_permissive || layer.frozen.reporter.is_some();

            if !matters || !refuses(layer) {
                return None;
            }
            is_refused |= !layer.is_permissive;
            Some(layer.refusing(is_quiet(layer)))
        })
    }

    /// The layers, the youngest first.
    fn layers(&self) -> impl Iterator<Item = &Layer> {
        Iterator::chain([&self.youngest].into_iter(), self.outer.iter().rev())
    }
}

/// What a domain is made of, but for its youngest layer.
struct Made {
    access: AccessSet,
    permissions: PermissionSet,
    by_address: AccessSet,
    by_cookie: AccessSet,
    index: Arc<Index>,
    mptcp: Mptcp,
    outer: KVec<Layer>,
}

#[cfg(CONFIG_SECURITY_PORTLOCK_KUNIT_TEST)]
#[kernel::macros::kunit_tests(portlock_domain)]
mod tests {
    use super::*;
    use crate::frozen::Draft;

    const NET: u64 = 1;

    fn frozen(access: AccessSet, ports: &[(u16, AccessSet)]) -> Result<(Arc<Frozen>, Arc<Index>)> {
        let mut draft = Draft::default();

        for (port, access) in ports {
            let rule = Rule {
                access: *access,
                quiet: false,
            };
            draft.open()?.ports.add(*port..=*port, rule)?;
        }
        let handled = Handled {
            access,
            ..Handled::default()
        };

        draft.freeze(handled, None)
    }

    fn domain(
        parent: Option<&Domain>,
        level: u8,
        (frozen, index): &(Arc<Frozen>, Arc<Index>),
    ) -> Result<Arc<Domain>> {
        let layer = Layer {
            level,
            is_permissive: false,
            net: NET,
            frozen: frozen.clone(),
        };

        Domain::new(parent, layer, index.clone())
    }

    #[test]
    fn a_layer_only_takes_away() -> Result {
        let tcp = Access::BindTcp | Access::ConnectTcp;
        let connect = AccessSet::from(Access::ConnectTcp);
        let outer = frozen(tcp, &[(80, tcp), (443, connect)])?;
        let outer = domain(None, 1, &outer)?;
        let inner = frozen(connect, &[(443, connect), (1, connect)])?;
        let inner = domain(Some(&outer), 2, &inner)?;

        assert!(outer.allows(80, Access::ConnectTcp));
        assert!(inner.allows(80, Access::BindTcp));
        assert!(!inner.allows(80, Access::ConnectTcp));
        assert!(inner.allows(443, Access::ConnectTcp));
        assert!(!inner.allows(1, Access::ConnectTcp));
        assert!(!inner.handles(Access::BindUdp, false));
        assert!(inner.allows(1, Access::BindUdp));
        Ok(())
    }

    #[test]
    fn a_layer_that_adds_nothing_shares_the_index() -> Result {
        let tcp = Access::BindTcp | Access::ConnectTcp;
        let one = frozen(tcp, &[(80, tcp)])?;
        let two = frozen(tcp, &[(80, tcp), (81, tcp)])?;
        let outer = domain(None, 1, &one)?;
        let inner = domain(Some(&outer), 2, &two)?;

        assert!(Arc::ptr_eq(&inner.index, &one.1));

        // A layer that says all that is left needs no other index.
        let outer = domain(None, 1, &two)?;
        let inner = domain(Some(&outer), 2, &one)?;

        assert!(Arc::ptr_eq(&inner.index, &one.1));
        Ok(())
    }

    #[test]
    fn no_two_domains_have_one_id() -> Result {
        let none = frozen(Access::BindTcp.into(), &[])?;
        let one = domain(None, 1, &none)?;
        let other = domain(None, 1, &none)?;
        let inner = domain(Some(&one), 2, &none)?;
        let (id, other_id) = (one.id(), other.id());

        assert!(id != 0 && id != other_id && id != inner.id() && other_id != inner.id());
        // It is not used again.
        drop(other);
        assert_ne!(domain(None, 1, &none)?.id(), other_id);
        Ok(())
    }

    #[test]
    fn there_are_at_most_sixteen_layers() -> Result {
        let none = frozen(Access::BindTcp.into(), &[])?;
        let mut stack = domain(None, 1, &none)?;

        for level in 2..=16 {
            stack = domain(Some(&stack), level, &none)?;
        }
        assert_eq!(domain(Some(&stack), 17, &none).err(), Some(E2BIG));
        Ok(())
    }
}
