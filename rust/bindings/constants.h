/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Constants that bindgen cannot compute, or gets wrong.  Rust sees them by their
 * names without RUST_CONST_HELPER_.
 *
 * bindgen computes layouts by itself, and gets that of struct sock wrong when
 * lockdep adds to it.  So C computes the offsets of fields, to read fields by
 * them or to check bindgen's layout at build time.
 */

#ifndef _RUST_BINDINGS_CONSTANTS_H
#define _RUST_BINDINGS_CONSTANTS_H

#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/net.h>
#include <linux/sched.h>
#include <linux/socket.h>
#include <linux/stddef.h>
#include <net/inet_sock.h>
#include <net/sock.h>

const size_t RUST_CONST_HELPER_CRED_SECURITY_OFFSET = offsetof(struct cred, security);
const size_t RUST_CONST_HELPER_TASK_CRED_OFFSET = offsetof(struct task_struct, cred);

const size_t RUST_CONST_HELPER_SOCKET_SK_OFFSET = offsetof(struct socket, sk);
const size_t RUST_CONST_HELPER_SOCKET_STATE_OFFSET = offsetof(struct socket, state);

const size_t RUST_CONST_HELPER_SOCK_FAMILY_OFFSET = offsetof(struct sock, sk_family);
const size_t RUST_CONST_HELPER_SOCK_STATE_OFFSET = offsetof(struct sock, sk_state);
const size_t RUST_CONST_HELPER_SOCK_SOCKET_OFFSET = offsetof(struct sock, sk_socket);
const size_t RUST_CONST_HELPER_SOCK_DADDR_OFFSET = offsetof(struct sock, sk_daddr);
const size_t RUST_CONST_HELPER_SOCK_RCV_SADDR_OFFSET = offsetof(struct sock, sk_rcv_saddr);
#if IS_ENABLED(CONFIG_IPV6)
const size_t RUST_CONST_HELPER_SOCK_V6_DADDR_OFFSET = offsetof(struct sock, sk_v6_daddr);
const size_t RUST_CONST_HELPER_SOCK_V6_RCV_SADDR_OFFSET = offsetof(struct sock, sk_v6_rcv_saddr);
#endif
const size_t RUST_CONST_HELPER_SOCK_DPORT_OFFSET = offsetof(struct sock, sk_dport);
const size_t RUST_CONST_HELPER_SOCK_NUM_OFFSET = offsetof(struct sock, sk_num);
const size_t RUST_CONST_HELPER_SOCK_PROTOCOL_OFFSET = offsetof(struct sock, sk_protocol);
const size_t RUST_CONST_HELPER_SOCK_TYPE_OFFSET = offsetof(struct sock, sk_type);
const size_t RUST_CONST_HELPER_SOCK_USERLOCKS_OFFSET = offsetof(struct sock, sk_userlocks);
#ifdef CONFIG_SECURITY
const size_t RUST_CONST_HELPER_SOCK_SECURITY_OFFSET = offsetof(struct sock, sk_security);
#endif
const size_t RUST_CONST_HELPER_INET_SPORT_OFFSET = offsetof(struct inet_sock, inet_sport);

const size_t RUST_CONST_HELPER_MSGHDR_FLAGS_OFFSET = offsetof(struct msghdr, msg_flags);

const fmode_t RUST_CONST_HELPER_FMODE_CAN_READ = FMODE_CAN_READ;
const fmode_t RUST_CONST_HELPER_FMODE_CAN_WRITE = FMODE_CAN_WRITE;
const int RUST_CONST_HELPER_IOCB_NOWAIT = IOCB_NOWAIT;

#endif /* _RUST_BINDINGS_CONSTANTS_H */
