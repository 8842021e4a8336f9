// SPDX-License-Identifier: GPL-2.0

#include <linux/sock_diag.h>
#include <net/sock.h>

#ifdef CONFIG_NET

__rust_helper bool rust_helper_lock_sock_fast(struct sock *sk)
{
	return lock_sock_fast(sk);
}

__rust_helper void rust_helper_unlock_sock_fast(struct sock *sk, bool slow)
{
	unlock_sock_fast(sk, slow);
}

/* Rust cannot read a bit-field. */
__rust_helper bool rust_helper_sk_is_kern(const struct sock *sk)
{
	return sk->sk_kern_sock;
}

__rust_helper u64 rust_helper_sk_cookie(const struct sock *sk)
{
	return atomic64_read(&sk->sk_cookie);
}

__rust_helper u64 rust_helper_sock_gen_cookie(struct sock *sk)
{
	return sock_gen_cookie(sk);
}

__rust_helper struct net *rust_helper_sock_net(const struct sock *sk)
{
	return sock_net(sk);
}

#endif
