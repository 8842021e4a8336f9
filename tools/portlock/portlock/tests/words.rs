// SPDX-License-Identifier: GPL-2.0

//! What each word allows and does not, and what a person is told of it: as the page on the command says.

use portlock::*;
use std::net::IpAddr;
use Right::*;

fn machine() -> Machine {
    Machine {
        resolvers: vec!["192.0.2.53".parse().unwrap()],
        ..Machine::default()
    }
}

fn rules(text: &str) -> Rules {
    Policy::from_toml(text, "test").unwrap().rules(&machine())
}

/// The policy, what is asked (no address is none that is known), and whether it is allowed.
type Case = (&'static str, Right, u16, &'static str, bool);

const CASES: &[Case] = &[
    // Nothing is allowed by nothing.
    ("", ConnectTcp, 443, "192.0.2.1", false),
    ("connect = []", ConnectTcp, 443, "192.0.2.1", false),
    ("", SetsockoptTcp, 0, "", false),
    ("", BindUdp, 0, "0.0.0.0", false),
    // A client of TCP.
    ("connect = ['tcp:443']", ConnectTcp, 443, "192.0.2.1", true),
    (
        "connect = ['tcp:443']",
        ConnectTcp,
        443,
        "2001:db8::1",
        true,
    ),
    ("connect = ['tcp:443']", ConnectTcp, 443, "0.0.0.0", true),
    ("connect = ['tcp:443']", ConnectTcp, 444, "192.0.2.1", false),
    ("connect = ['tcp:443']", SendTcp, 443, "192.0.2.1", true),
    (
        "connect = ['tcp:443']",
        GetsockoptTcp,
        443,
        "192.0.2.1",
        true,
    ),
    ("connect = ['tcp:443']", SetsockoptTcp, 0, "", true),
    ("connect = ['tcp:443']", BindTcp, 0, "10.0.0.1", true),
    ("connect = ['tcp:443']", BindTcp, 443, "0.0.0.0", false),
    ("connect = ['tcp:443']", ListenTcp, 443, "0.0.0.0", false),
    ("connect = ['tcp:443']", ListenTcp, 0, "0.0.0.0", false),
    ("connect = ['tcp:443']", AcceptTcp, 443, "192.0.2.1", false),
    (
        "connect = ['tcp:443']",
        ConnectSendUdp,
        443,
        "192.0.2.1",
        false,
    ),
    ("connect = ['tcp:443']", SetsockoptUdp, 0, "", false),
    // With addresses.
    (
        "connect = ['tcp:10.0.0.0/8:443']",
        ConnectTcp,
        443,
        "10.255.0.1",
        true,
    ),
    (
        "connect = ['tcp:10.0.0.0/8:443']",
        ConnectTcp,
        443,
        "::ffff:10.0.0.1",
        true,
    ),
    (
        "connect = ['tcp:10.0.0.0/8:443']",
        ConnectTcp,
        443,
        "11.0.0.1",
        false,
    ),
    (
        "connect = ['tcp:10.0.0.0/8:443']",
        SendTcp,
        443,
        "11.0.0.1",
        false,
    ),
    ("connect = ['tcp:10.0.0.0/8:443']", SendTcp, 443, "", false),
    ("connect = ['tcp:10.0.0.0/8:443']", BindTcp, 0, "::1", true),
    (
        "connect = ['tcp:10.0.0.0/8:443']",
        BindTcp,
        0,
        "10.0.0.1",
        false,
    ),
    (
        "connect = ['tcp:localhost:*']",
        ConnectTcp,
        1,
        "127.9.9.9",
        true,
    ),
    (
        "connect = ['tcp:localhost:*']",
        ConnectTcp,
        1,
        "0.0.0.0",
        false,
    ),
    (
        "connect = ['tcp:any,!private:443']",
        ConnectTcp,
        443,
        "8.8.8.8",
        true,
    ),
    (
        "connect = ['tcp:any,!private:443']",
        ConnectTcp,
        443,
        "10.0.0.1",
        false,
    ),
    (
        "connect = ['tcp:any,!private:443']",
        ConnectTcp,
        443,
        "64:ff9b::a00:1",
        false,
    ),
    (
        "connect = ['tcp:any,!private:443']",
        ConnectTcp,
        443,
        "",
        false,
    ),
    // A client of UDP.
    (
        "connect = ['udp:123']",
        ConnectSendUdp,
        123,
        "192.0.2.1",
        true,
    ),
    ("connect = ['udp:123']", BindUdp, 0, "0.0.0.0", true),
    ("connect = ['udp:123']", ReceiveUdp, 0, "", true),
    ("connect = ['udp:123']", SetsockoptUdp, 0, "", true),
    ("connect = ['udp:123']", SetsockoptUdp, 40000, "", true),
    ("connect = ['udp:123']", BindUdp, 123, "0.0.0.0", false),
    ("connect = ['udp:123']", ReceiveUdp, 123, "", false),
    (
        "connect = ['udp:123']",
        ConnectSendUdp,
        53,
        "192.0.2.1",
        false,
    ),
    // Look-ups.
    ("dns = true", ConnectSendUdp, 53, "192.0.2.53", true),
    ("dns = true", ConnectTcp, 53, "192.0.2.53", true),
    ("dns = true", BindTcp, 0, "0.0.0.0", true),
    ("dns = true", ReceiveUdp, 0, "", true),
    ("dns = true", ConnectSendUdp, 53, "192.0.2.1", false),
    ("dns = true", ConnectSendUdp, 443, "192.0.2.53", false),
    ("dns = false", ConnectSendUdp, 53, "192.0.2.53", false),
    // A server of TCP.
    ("serve = ['tcp:8080']", BindTcp, 8080, "0.0.0.0", true),
    ("serve = ['tcp:8080']", ListenTcp, 8080, "::", true),
    ("serve = ['tcp:8080']", AcceptTcp, 8080, "192.0.2.1", true),
    ("serve = ['tcp:8080']", SendTcp, 8080, "192.0.2.1", true),
    ("serve = ['tcp:8080']", SetsockoptTcp, 8080, "", true),
    ("serve = ['tcp:8080']", SetsockoptTcp, 0, "", true),
    ("serve = ['tcp:8080']", ConnectTcp, 8080, "192.0.2.1", false),
    ("serve = ['tcp:8080']", ListenTcp, 40000, "0.0.0.0", false),
    (
        "serve = ['tcp:127.0.0.1:8080']",
        BindTcp,
        8080,
        "127.0.0.1",
        true,
    ),
    (
        "serve = ['tcp:127.0.0.1:8080']",
        BindTcp,
        8080,
        "0.0.0.0",
        false,
    ),
    (
        "serve = ['tcp:127.0.0.1:8080']",
        SetsockoptTcp,
        8080,
        "",
        true,
    ),
    ("serve = ['tcp:0']", BindTcp, 0, "0.0.0.0", true),
    ("serve = ['tcp:0']", ListenTcp, 40000, "0.0.0.0", true),
    ("serve = ['tcp:0']", AcceptTcp, 40000, "192.0.2.1", true),
    ("serve = ['tcp:0']", ListenTcp, 8080, "0.0.0.0", false),
    // A server of UDP answers to whatever port.
    ("serve = ['udp:53']", BindUdp, 53, "0.0.0.0", true),
    ("serve = ['udp:53']", ReceiveUdp, 53, "", true),
    (
        "serve = ['udp:53']",
        ConnectSendUdp,
        45678,
        "192.0.2.1",
        true,
    ),
    ("serve = ['udp:53']", BindUdp, 54, "0.0.0.0", false),
    ("serve = ['udp:53']", BindUdp, 0, "::", true),
    ("serve = ['udp:53']", ReceiveUdp, 0, "", false),
    (
        "serve = ['udp:127.0.0.1:53']",
        ConnectSendUdp,
        45678,
        "127.0.0.1",
        true,
    ),
    (
        "serve = ['udp:127.0.0.1:53']",
        ConnectSendUdp,
        45678,
        "192.0.2.1",
        false,
    ),
    // One right each.
    ("bind = ['tcp:80']", BindTcp, 80, "0.0.0.0", true),
    ("bind = ['tcp:80']", ListenTcp, 80, "0.0.0.0", false),
    ("send = ['udp:123']", ConnectSendUdp, 123, "192.0.2.1", true),
    ("send = ['udp:123']", BindUdp, 0, "0.0.0.0", false),
    (
        "accept = ['tcp:10.0.0.0/8:80']",
        AcceptTcp,
        80,
        "10.0.0.1",
        true,
    ),
    (
        "accept = ['tcp:10.0.0.0/8:80']",
        AcceptTcp,
        80,
        "192.0.2.1",
        false,
    ),
    // What is not restricted.
    ("restrict = ['connect-tcp']", BindTcp, 80, "0.0.0.0", true),
    (
        "restrict = ['connect-tcp']",
        ConnectTcp,
        80,
        "192.0.2.1",
        false,
    ),
    ("restrict = ['none']", ConnectTcp, 80, "192.0.2.1", true),
];

#[test]
fn words_allow_what_they_imply_and_no_more() {
    for &(policy, right, port, address, is_allowed) in CASES {
        let known: Option<IpAddr> = (!address.is_empty()).then(|| address.parse().unwrap());

        assert_eq!(
            rules(policy).allows(right, port, known),
            is_allowed,
            "{policy}: {right} {address} {port}"
        );
    }
}

#[test]
fn words_imply_kinds_of_sockets() {
    for (policy, kind, is_made) in [
        ("", "unix:stream:0", true),
        ("", "unix:dgram:0", true),
        ("", "inet:stream:0", false),
        ("", "netlink:raw:route", false),
        ("connect = ['tcp:443']", "inet:stream:0", true),
        ("connect = ['tcp:443']", "inet6:stream:tcp", true),
        ("connect = ['tcp:443']", "inet6:dgram:0", true),
        ("connect = ['tcp:443']", "inet:stream:mptcp", false),
        ("connect = ['tcp:443']", "inet:stream:sctp", false),
        ("connect = ['tcp:443']", "inet:dgram:icmp", false),
        ("connect = ['tcp:443']", "inet:raw:tcp", false),
        ("connect = ['tcp:443']", "netlink:raw:route", true),
        ("connect = ['tcp:443']", "netlink:raw:audit", false),
        ("connect = ['tcp:443']", "packet:raw:0", false),
        ("serve = ['tcp:443']", "inet:stream:mptcp", true),
        ("serve = ['udp:53']", "inet:stream:mptcp", false),
        ("dns = true", "inet:dgram:udp", true),
        ("send = ['tcp:443']", "inet:stream:0", false),
        ("opened = [3]", "inet:stream:0", false),
        ("create = ['inet:dgram:icmp']", "inet:dgram:icmp", true),
        ("restrict = ['connect-tcp']", "packet:raw:0", true),
    ] {
        assert_eq!(
            rules(policy).makes(kind.parse().unwrap()),
            is_made,
            "{policy}: {kind}"
        );
    }
}

#[test]
fn a_person_is_told_what_is_wide_and_what_is_of_no_use() {
    for (policy, part, is_mistake) in [
        (
            "bind = ['udp:53']",
            "cannot answer, and most programs say nothing then: add --send udp:any:*",
            true,
        ),
        (
            "bind = ['udp:53']\nsend = ['udp:*']",
            "cannot receive: add --receive udp:53",
            true,
        ),
        ("bind = ['tcp:80']", "write --serve tcp:80", true),
        ("listen = ['tcp:80']", "add --accept tcp:80", true),
        (
            "accept = ['tcp:80']",
            "neither send nor receive: write --serve tcp:80",
            true,
        ),
        (
            "serve = ['udp:53']",
            "send UDP to every port of every address",
            false,
        ),
        (
            "serve = ['tcp:0.0.0.0:80']",
            "libc may name [::] first",
            false,
        ),
        (
            "connect = ['udp:53']",
            "add --connect tcp:53, or write --dns",
            false,
        ),
        (
            "connect = ['tcp:any,!private:443']",
            "write internet",
            false,
        ),
        ("dns = true", "data can leave in look-ups", false),
        ("create = ['inet:stream:any']", "SCTP too", false),
        (
            "restrict = ['connect-tcp', 'create']",
            "Not restricted: bind-tcp",
            false,
        ),
        ("restrict = ['connect-tcp']", "create (raw sockets", false),
    ] {
        let notes = rules(policy).notes;

        assert!(
            notes
                .iter()
                .any(|note| note.text.contains(part) && note.is_mistake == is_mistake),
            "{policy}: {notes:?}"
        );
    }
    for policy in [
        "",
        "connect = ['tcp:443', 'tcp:internet:443']",
        "serve = ['tcp:80', 'udp:localhost:53']",
        "connect = ['tcp:any,!private,!localhost,!link-local:443']",
        "bind = ['udp:53']\nsend = ['udp:*']\nreceive = ['udp:53']",
    ] {
        assert_eq!(rules(policy).notes, [], "{policy}");
    }
}

#[test]
fn a_comparison_sees_what_is_not_a_port() {
    let more = |new: &str, old: &str| -> Vec<String> {
        rules(new)
            .beyond(&rules(old))
            .iter()
            .map(ToString::to_string)
            .collect()
    };

    assert_eq!(
        more("create = ['inet:raw:icmp']", ""),
        ["create inet:raw:icmp"]
    );
    assert_eq!(
        more(
            "create = ['netlink:any:any']",
            "create = ['netlink:raw:any']"
        ),
        ["create netlink:0:route"]
    );
    assert_eq!(
        more("keyrings = true", ""),
        ["request_key(2) and add_key(2)"]
    );
    // Without a restriction of the network, keys are left alone.
    assert_eq!(
        more(
            "restrict = ['none']",
            "restrict = ['send-udp']\nsend = ['udp:*']"
        ),
        ["request_key(2) and add_key(2)"]
    );
    assert_eq!(more("keyrings = true", "restrict = ['none']"), [""; 0]);
    // What a layer refuses whatever its rules.
    assert_eq!(
        more(
            "restrict = ['setsockopt-udp']\nsetsockopt = ['udp:*']",
            "restrict = ['setsockopt-udp', 'receive-udp']\nsetsockopt = ['udp:*']\nreceive = ['udp:*']"
        ),
        ["attach a filter to a udp socket"]
    );
    assert_eq!(
        more(
            "restrict = ['receive-udp']",
            "restrict = ['bind-tcp']\nbind = ['tcp:*']"
        ),
        ["use a socket of SMC"]
    );
    assert_eq!(
        more(
            "restrict = ['connect-tcp']",
            "restrict = ['bind-tcp', 'connect-tcp']\nbind = ['tcp:*']"
        ),
        ["use a socket of SMC"]
    );
    assert_eq!(
        more("opened = ['3:send-tcp']", "opened = ['3:accept-tcp']"),
        ["use the open socket 3: send-tcp"]
    );
    assert_eq!(more("opened = [3]", "opened = [3]"), [""; 0]);
    assert_eq!(
        more("read = ['/usr/lib', '/etc']", "read = ['/usr']"),
        ["read /etc"]
    );
    assert_eq!(more("read = ['/usrx']", "read = ['/usr']"), ["read /usrx"]);
    assert_eq!(more("", "read = ['/usr']"), ["write /"]);
    assert_eq!(
        more("write = ['/tmp/a']", "read = ['/tmp']"),
        ["write /tmp/a"]
    );
    assert_eq!(
        more("unix = ['any']", "unix = ['/run']"),
        ["reach the AF_UNIX socket /"]
    );
    // A right on every port, for any address, is one on the open socket too.
    assert_eq!(more("opened = ['3:send-tcp']", "send = ['tcp:*']"), [""; 0]);
    assert_eq!(
        more("opened = ['3:send-tcp']", "send = ['tcp:1-65535']"),
        ["use the open socket 3: send-tcp"]
    );
    // What suits a socket is at least to use it, and at most to accept, or to send UDP.
    assert_eq!(more("opened = ['3:send-tcp']", "opened = [3]"), [""; 0]);
    assert_eq!(
        more("opened = ['3:accept-tcp']", "opened = [3]"),
        ["use the open socket 3: accept-tcp"]
    );
    assert_eq!(
        more("opened = [3]", "opened = ['3:send-tcp,receive-tcp,shutdown-tcp,getsockopt-tcp,setsockopt-tcp']"),
        ["use the open socket 3: accept-tcp, send-udp, receive-udp, shutdown-udp, getsockopt-udp, setsockopt-udp"]
    );
    // A socket that no rule holds is only inherited if it is named, with rights that suit it.
    let every = "connect = ['tcp:*', 'udp:*']\nserve = ['tcp:*', 'udp:*']";
    let inherits = |old: &str, opened: &str| more(&format!("{old}\nopened = [{opened}]"), old);
    let other = ["inherit the open socket 5, of a kind that no rule holds"];
    let udp = ["inherit the open socket 5, connected over UDP to any peer"];

    assert_eq!(inherits(every, "5"), other);
    assert_eq!(inherits(every, "'5:send-udp'"), [""; 0]);
    assert_eq!(
        inherits("restrict = ['create']\nunix = ['any']", "5"),
        other
    );
    assert_eq!(inherits("restrict = ['create']", "'5:send-tcp'"), [""; 0]);
    assert_eq!(inherits("restrict = ['send-udp']", "'5:receive-udp'"), udp);
    assert_eq!(
        inherits("restrict = ['send-udp']", "'5:receive-tcp'"),
        [""; 0]
    );
    assert_eq!(
        inherits(
            "restrict = ['send-udp']\nsend = ['udp:2-65535']",
            "'5:receive-udp'"
        ),
        udp
    );
    // No peer has the port 0.
    assert_eq!(
        inherits(
            "restrict = ['send-udp']\nsend = ['udp:1-65535']",
            "'5:receive-udp'"
        ),
        [""; 0]
    );
    assert_eq!(
        inherits("restrict = ['bind-tcp']\nbind = ['tcp:*']", "5"),
        [""; 0]
    );
    assert_eq!(
        more("opened = [5]", "opened = ['5:receive-udp']")[1..],
        [""; 0]
    );
    assert_eq!(
        more(
            "restrict = ['create']\nopened = [5]",
            "restrict = ['create']\nopened = ['5:receive-udp']"
        ),
        other
    );
    // Rules without addresses free the options by which a socket chooses its way.
    let ways = more(
        "connect = ['tcp:443']",
        "connect = ['tcp:0.0.0.0/0,[::]/0:443']",
    );

    assert!(
        ways.contains(
            &"set an option by which a tcp socket chooses its way, such as SO_BINDTODEVICE".into()
        ),
        "{ways:?}"
    );
    // Beside all addresses, a rule for any address is for sockets without one.
    assert!(
        ways.contains(&"connect tcp *:443 (test:1: connect tcp:443)".into()),
        "{ways:?}"
    );
}

#[test]
fn a_path_that_goes_up_is_below_nothing_else() {
    let below = |path: &str| {
        let mut policy = Policy::default();

        policy.add_path("read", path.into());
        policy.rules(&machine())
    };

    assert_eq!(below("/usr/../etc").beyond(&below("/usr")).len(), 1);
    assert_eq!(below("/usr/../etc").beyond(&below("/usr/../etc")), []);
    assert_eq!(below("/usr/lib").beyond(&below("/usr")), []);
}

// Who binds a wildcard is reached at the addresses that were taken away.
#[test]
fn exceptions_take_the_wildcards_away_from_servers() {
    for wildcard in ["0.0.0.0", "::"] {
        let address = wildcard.parse().ok();
        let allows = |text: &str| rules(text).allows(BindTcp, 80, address);

        assert!(!allows("serve = ['tcp:any,!private:80']"), "{wildcard}");
        assert!(!allows("bind = ['tcp:any,!10.0.0.0/8:80']"), "{wildcard}");
        assert!(
            allows("bind = ['tcp:any,0.0.0.0,[::],!10.0.0.0/8:80']"),
            "{wildcard}"
        );
        assert!(allows("bind = ['tcp:0.0.0.0/0,[::]/0:80']"), "{wildcard}");
    }
    assert!(rules("serve = ['tcp:any,!private:80']").allows(BindTcp, 80, "192.0.2.1".parse().ok()));
}

#[test]
fn a_client_can_listen_nowhere_or_gets_no_port_for_it() {
    let bind = |text: &str| {
        rules(text)
            .granting(BindTcp, 0, "0.0.0.0".parse().ok())
            .is_some()
    };

    assert!(bind("connect = ['tcp:443']"));
    assert!(!bind(
        "connect = ['tcp:443']\nrestrict = ['connect-tcp', 'bind-tcp']"
    ));
}

#[test]
fn the_explanation_says_whether_keys_are_refused() {
    let says = |text: &str, part: &str| assert!(rules(text).explain().contains(part), "{text}");

    says("", "add_key(2) are refused");
    says("restrict = ['none']", "add_key(2) are left alone");
    says("keyrings = true", "may look up any name");
    says("restrict = ['none']", "TIOCSTI and TIOCLINUX are refused");
}

// libc connects to what is written (seen with strace), and the kernel takes a mapped address for one of IPv4.
#[test]
fn look_ups_are_allowed_to_resolvers_as_the_kernel_sees_them() {
    let machine = Machine {
        resolvers: resolvers("nameserver ::ffff:192.0.2.53\n"),
        ..Machine::default()
    };
    let rules = Policy::from_toml("dns = true", "test")
        .unwrap()
        .rules(&machine);

    for address in ["192.0.2.53", "::ffff:192.0.2.53"] {
        assert!(rules.allows(ConnectSendUdp, 53, address.parse().ok()));
    }
}

// As glibc and musl have it.
#[test]
fn a_resolver_is_named_at_the_beginning_of_a_line() {
    let text = " nameserver 192.0.2.1\n\tnameserver 192.0.2.2\nnameserver\t 192.0.2.3\nnameserver192.0.2.4\n\
                nameservers 192.0.2.5\n#nameserver 192.0.2.6\nnameserver\n";

    assert_eq!(
        resolvers(text),
        ["192.0.2.3".parse::<std::net::IpAddr>().unwrap()]
    );
}

#[test]
fn a_resolver_that_no_rule_can_be_about_is_told() {
    for (wildcard, meant) in [("0.0.0.0", "write 127.0.0.1"), ("::", "write ::1")] {
        let address = wildcard.parse().ok();
        let machine = Machine {
            resolvers: Vec::new(),
            wildcard: address,
            ..Machine::default()
        };
        let rules = |text| Policy::from_toml(text, "test").unwrap().rules(&machine);
        let with = rules("dns = true");

        assert!(
            with.notes
                .iter()
                .any(|note| note.is_mistake && note.text.contains(meant)),
            "{:?}",
            with.notes
        );
        assert!(rules("").notes.is_empty());
        // Without a resolver, nothing is allowed, and not everything.
        assert!(!with.allows(ConnectSendUdp, 53, address));
        assert!(!with.allows(ConnectSendUdp, 53, "192.0.2.1".parse().ok()));
    }
}

// Landlock alone does not restrict listening.
#[test]
fn a_client_binds_no_port_under_landlock_alone() {
    let support = Support {
        portlock: 0,
        ..Support::read()
    };
    let binds = |text: &'static str| {
        let held = std::thread::spawn(move || {
            let options = Options::default().best_effort(true);

            (rules(text).sandbox(support, options).unwrap())
                .enforce()
                .unwrap();
            std::net::TcpListener::bind("127.0.0.1:0").is_ok()
        });

        held.join().unwrap()
    };

    if support.landlock < 4 {
        println!("SKIP: this kernel's Landlock has no rules about ports");
        return;
    }
    assert!(!binds("connect = ['tcp:443']"));
    assert!(!binds("serve = ['tcp:443']"));
    assert!(binds("serve = ['tcp:0']"));
}

#[test]
fn the_number_of_an_open_socket_may_be_written_as_toml_has_numbers() {
    for (text, fd) in [
        ("3", 3),
        ("1_0", 10),
        ("+3", 3),
        ("0x10", 16),
        ("0o17", 15),
        ("0b11", 3),
    ] {
        let policy = Policy::from_toml(&format!("opened = [{text}]"), "test").unwrap();

        assert_eq!(policy.opened, [Opened { fd, rights: None }], "{text}");
    }
    for text in ["-3", "0xffffffff", "0x10000000000000003"] {
        let error = Policy::from_toml(&format!("opened = [{text}]"), "test").unwrap_err();

        assert!(
            error.sentence.contains("is no file descriptor"),
            "{text}: {error}"
        );
    }
}

#[test]
fn an_open_socket_gets_rights_of_its_own_protocol() {
    use std::os::fd::AsRawFd;

    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let granted = |fd: i32, rights: &str| {
        let opened: Opened = format!("{fd}{rights}").parse().unwrap();

        opened.granted().map_err(|failure| failure.to_string())
    };

    assert_eq!(
        granted(tcp.as_raw_fd(), ":accept-tcp"),
        Ok(AcceptTcp.into())
    );
    assert!(granted(tcp.as_raw_fd(), "").unwrap().has(AcceptTcp));
    assert!(granted(udp.as_raw_fd(), "").unwrap().has(ReceiveUdp));
    for (fd, rights, fix) in [
        (
            tcp.as_raw_fd(),
            ":accept-tcp,bind-udp",
            "has no bind-udp: leave that out",
        ),
        (
            udp.as_raw_fd(),
            ":accept-tcp",
            "has no accept-tcp: leave that out",
        ),
    ] {
        let wrong = granted(fd, rights).unwrap_err();

        assert!(wrong.contains(fix), "{wrong}");
    }
}
