// SPDX-License-Identifier: GPL-2.0

//! Which open sockets lead around rules. There is one test, since open files are those of the whole process.

use portlock::{Inherited, Machine, Opened, Policy};
use rustix::io::{fcntl_setfd, FdFlags};
use rustix::net::{netlink, socket, AddressFamily, SocketType};
use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;

/// Those with these numbers that the policy does not hold.
fn found(policy: &str, of: &[i32]) -> Vec<Inherited> {
    let rules = Policy::from_toml(policy, "test")
        .unwrap()
        .rules(&Machine::default());

    (rules.inherited().unwrap().into_iter())
        .filter(|one| of.contains(&one.fd))
        .collect()
}

/// Makes getsockopt(2) fail with EACCES for this thread, as a sandbox around it may.
fn refuse_getsockopt() {
    let line = |code: u32, jt, jf, k| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let answer = libc::BPF_RET | libc::BPF_K;
    let mut filter = [
        line(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        line(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            libc::SYS_getsockopt as u32,
        ),
        line(answer, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EACCES as u32),
        line(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };

    rustix::thread::set_no_new_privs(true).unwrap();
    // SAFETY: The program names the filter with its length. The kernel copies both.
    let ret = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };

    assert_eq!(ret, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn what_rules_do_not_hold_is_found() {
    let pass_on = |file: &dyn AsFd| {
        fcntl_setfd(file.as_fd(), FdFlags::empty()).unwrap();
        file.as_fd().as_raw_fd()
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let [server, client, closed] = [(); 3].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let audit = socket(
        AddressFamily::NETLINK,
        SocketType::RAW,
        Some(netlink::AUDIT),
    )
    .unwrap();
    let (pair, _other) = UnixStream::pair().unwrap();
    let port = server.local_addr().unwrap().port();

    client.connect(("127.0.0.1", port)).unwrap();
    closed.connect(("127.0.0.1", port)).unwrap();

    let [tcp, without_peer, udp] = [&listener as &dyn AsFd, &server, &client].map(pass_on);
    let (kind, unix) = (pass_on(&audit), pass_on(&pair));
    let all = [tcp, without_peer, udp, kind, unix, closed.as_raw_fd()];
    let is = |policy: &str, expected: &[(i32, bool)]| {
        let found: Vec<_> = (found(policy, &all).iter())
            .map(|one| (one.fd, one.is_refused))
            .collect();
        let mut expected = expected.to_vec();

        expected.sort_unstable();
        assert_eq!(found, expected, "{policy}");
    };

    is("", &[(udp, true), (kind, true), (unix, false)]);
    is(
        "connect = ['udp:127.0.0.2:*']",
        &[(udp, true), (kind, true), (unix, false)],
    );
    // What the program could do itself.
    is(
        "connect = ['udp:127.0.0.1:*']",
        &[(kind, true), (unix, false)],
    );
    is(
        "create = ['netlink:raw:audit']",
        &[(udp, true), (unix, false)],
    );
    is("unix = ['any']", &[(udp, true), (kind, true)]);
    is(
        "unix = ['/run']",
        &[(udp, true), (kind, true), (unix, false)],
    );
    // What is not restricted.
    is("restrict = ['send-udp']", &[(udp, true), (unix, false)]);
    is("restrict = ['create']", &[(kind, true), (unix, false)]);
    is("restrict = ['none']", &[(unix, false)]);
    is("restrict = ['none']\nunix = ['any']", &[]);
    // What is named.
    is(&format!("opened = [{udp}, {kind}, {unix}]"), &[]);

    let text = |fd| found("", &[fd])[0].text.clone();

    assert_eq!(
        text(udp),
        format!("the UDP socket {udp}, which can send to 127.0.0.1:{port}")
    );
    assert_eq!(
        text(kind),
        format!("the socket {kind} of the kind netlink:raw:audit, which no rule holds")
    );
    assert_eq!(
        text(unix),
        format!("the AF_UNIX socket {unix}, which reaches whoever has its other end")
    );

    // A socket of which the kernel does not tell may be one that no rule holds. Other files are known.
    let file = File::open("/dev/null").unwrap();
    let path = (File::options().read(true))
        .custom_flags(libc::O_PATH)
        .open("/dev/null")
        .unwrap();
    let [file, path] = [&file, &path].map(|file| pass_on(file));

    std::thread::spawn(move || {
        refuse_getsockopt();

        let found = |policy: &str| -> Vec<_> {
            (found(policy, &[udp, kind, file, path]).iter())
                .map(|one| (one.fd, one.is_refused, one.is_known))
                .collect()
        };
        let mut all = vec![(udp, true, false), (kind, true, false)];

        all.sort_unstable();
        assert_eq!(found(""), all);
        assert_eq!(found(&format!("opened = [{kind}]")), [(udp, true, false)]);
        assert_eq!(found("restrict = ['none']\nunix = ['any']"), []);

        for fd in [udp, kind] {
            for opened in [format!("{fd}"), format!("{fd}:receive-udp")] {
                let failure = opened.parse::<Opened>().unwrap().granted().unwrap_err();

                assert!(
                    failure
                        .to_string()
                        .contains("the kernel does not tell what this socket is"),
                    "{failure}"
                );
            }
        }
        for fd in [file, path] {
            let failure = (Opened { fd, rights: None }).granted().unwrap_err();

            assert!(failure.to_string().contains("no socket"), "{failure}");
        }
    })
    .join()
    .unwrap();
}
