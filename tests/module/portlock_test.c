// SPDX-License-Identifier: GPL-2.0
/*
 * Test module: lets a task make the kernel use a kernel socket
 *
 * Filesystems and other parts of the kernel use sockets while a task waits for
 * them.  This module does the same when a task writes a line to
 * /proc/portlock_test, in the context of this task:
 *
 *	<protocol> <operation> <port>
 *
 * The protocol is tcp, tcp6, udp or udp6.  The operation is bind, connect,
 * send, fastopen or send-bound (bind a port, then send from it).  The address
 * is the loopback address.  Each line uses a new kernel socket in the network
 * namespace of the task.  write(2) returns the result of the operation, or
 * EBADMSG for a wrong line.
 */

#include <linux/errno.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/nsproxy.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/socket.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#define FILE_NAME "portlock_test"

struct endpoint {
	int family;
	int type;
	int protocol;
	struct sockaddr_storage address;
	int len;
};

static int parse_protocol(const char *const name, struct endpoint *const end)
{
	static const struct {
		const char *name;
		int family;
		int type;
		int protocol;
	} known[] = {
		{ "tcp", AF_INET, SOCK_STREAM, IPPROTO_TCP },
		{ "tcp6", AF_INET6, SOCK_STREAM, IPPROTO_TCP },
		{ "udp", AF_INET, SOCK_DGRAM, IPPROTO_UDP },
		{ "udp6", AF_INET6, SOCK_DGRAM, IPPROTO_UDP },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(name, known[i].name))
			continue;
		end->family = known[i].family;
		end->type = known[i].type;
		end->protocol = known[i].protocol;
		return 0;
	}
	return -EBADMSG;
}

static void set_port(struct endpoint *const end, const u16 port)
{
	memset(&end->address, 0, sizeof(end->address));
	if (end->family == AF_INET6) {
		struct sockaddr_in6 *const in6 = (void *)&end->address;

		in6->sin6_family = AF_INET6;
		in6->sin6_addr = in6addr_loopback;
		in6->sin6_port = htons(port);
		end->len = sizeof(*in6);
	} else {
		struct sockaddr_in *const in = (void *)&end->address;

		in->sin_family = AF_INET;
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		in->sin_port = htons(port);
		end->len = sizeof(*in);
	}
}

static int bind_to(struct socket *const sock, const struct endpoint *const end)
{
	return kernel_bind(sock, (struct sockaddr_unsized *)&end->address,
			   end->len);
}

static int send_to(struct socket *const sock, struct endpoint *const end,
		   const unsigned int flags)
{
	char byte = 'x';
	struct kvec vec = {
		.iov_base = &byte,
		.iov_len = sizeof(byte),
	};
	struct msghdr msg = {
		.msg_name = &end->address,
		.msg_namelen = end->len,
		.msg_flags = flags | MSG_NOSIGNAL,
	};
	const int ret = kernel_sendmsg(sock, &msg, &vec, 1, sizeof(byte));

	return ret < 0 ? ret : 0;
}

static int operate(struct socket *const sock, struct endpoint *const end,
		   const char *const operation, const u16 port)
{
	int err;

	set_port(end, port);
	if (!strcmp(operation, "bind"))
		return bind_to(sock, end);
	if (!strcmp(operation, "connect"))
		return kernel_connect(sock,
				      (struct sockaddr_unsized *)&end->address,
				      end->len, 0);
	if (!strcmp(operation, "send"))
		return send_to(sock, end, 0);
	if (!strcmp(operation, "fastopen"))
		return send_to(sock, end, MSG_FASTOPEN);
	if (!strcmp(operation, "send-bound")) {
		set_port(end, 0);
		err = bind_to(sock, end);
		if (err)
			return err;
		set_port(end, port);
		return send_to(sock, end, 0);
	}
	return -EBADMSG;
}

static ssize_t run_line(struct file *const file, const char __user *const buf,
			const size_t size, loff_t *const pos)
{
	char line[64], protocol[8], operation[16];
	struct endpoint end = {};
	struct socket *sock;
	u16 port;
	int err;

	if (size >= sizeof(line))
		return -EBADMSG;
	if (copy_from_user(line, buf, size))
		return -EFAULT;
	line[size] = '\0';
	if (sscanf(line, "%7s %15s %hu", protocol, operation, &port) != 3)
		return -EBADMSG;
	err = parse_protocol(protocol, &end);
	if (err)
		return err;

	err = sock_create_kern(current->nsproxy->net_ns, end.family, end.type,
			       end.protocol, &sock);
	if (err)
		return err;
	err = operate(sock, &end, operation, port);
	sock_release(sock);
	return err ? err : size;
}

static const struct proc_ops file_ops = {
	.proc_write = run_line,
	.proc_lseek = noop_llseek,
};

static int __init portlock_test_init(void)
{
	if (!proc_create(FILE_NAME, 0200, NULL, &file_ops))
		return -ENOMEM;
	return 0;
}

static void __exit portlock_test_exit(void)
{
	remove_proc_entry(FILE_NAME, NULL);
}

module_init(portlock_test_init);
module_exit(portlock_test_exit);
MODULE_DESCRIPTION("Uses kernel sockets on behalf of a task, for the tests of Portlock");
MODULE_LICENSE("GPL");
