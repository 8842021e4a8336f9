// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: sockets that choose their own way, seen from the next host
 *
 * The sandbox is in a network namespace with a default route through a second
 * interface.  The next host, which is another namespace, sniffs what comes in
 * there.  A rule allows an address of this machine.  Without the sandbox, each
 * way here takes packets for this address to the next host.  With it, the call
 * is refused and the next host sees nothing.
 */

#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <poll.h>

#include "kselftest_harness.h"
#include "connections.h"
#include "races.h"

/* The interface here, and the one at the other end. */
#define NEAR "near"
#define FAR "far"

#define NEAR_ADDRESS "10.0.0.1"
#define FAR_ADDRESS "10.0.0.2"
#define NEAR_ADDRESS_6 "fd00::1"
#define FAR_ADDRESS_6 "fd00::2"

/* An address that nobody has. */
#define FOREIGN_ADDRESS "192.0.2.77"
#define FOREIGN_ADDRESS_6 "2001:db8::77"

/*
 * The port that everything here is sent to, that of a second peer, and the port
 * of the last packet.
 */
#define PORT 7000
#define OTHER_PORT 7001
#define LAST_PORT 9999

#ifndef IPV6_FLOWINFO_SEND
#define IPV6_FLOWINFO_SEND 33
#endif

/* Interfaces, by netlink: the guest has no program for this. */

struct request {
	struct nlmsghdr head;
	char body[512];
};

static void *add_room(struct request *request, size_t size)
{
	void *const room = (char *)request + NLMSG_ALIGN(request->head.nlmsg_len);

	request->head.nlmsg_len = NLMSG_ALIGN(request->head.nlmsg_len) + size;
	return room;
}

static struct rtattr *add_attr(struct request *request, int type,
			       const void *data, size_t size)
{
	struct rtattr *const attr = add_room(request, RTA_LENGTH(size));

	attr->rta_type = type;
	attr->rta_len = RTA_LENGTH(size);
	if (size)
		memcpy(RTA_DATA(attr), data, size);
	return attr;
}

/* Ends an attribute that contains what was added since. */
static void end_nest(struct request *request, struct rtattr *nest)
{
	nest->rta_len = (char *)request + request->head.nlmsg_len -
			(char *)nest;
}

static void *start_request(struct request *request, int type, size_t size)
{
	memset(request, 0, sizeof(*request));
	request->head.nlmsg_len = NLMSG_LENGTH(0);
	request->head.nlmsg_type = type;
	request->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE |
				    NLM_F_EXCL;
	return add_room(request, size);
}

static int do_request(const struct request *request)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char rest[1024];
	} answer;
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
			      NETLINK_ROUTE);
	int ret;

	if (fd < 0)
		return -errno;
	if (send(fd, request, request->head.nlmsg_len, 0) < 0 ||
	    recv(fd, &answer, sizeof(answer), 0) < 0)
		ret = -errno;
	else
		ret = answer.head.nlmsg_type == NLMSG_ERROR ?
			      answer.error.error : -EPROTO;
	close(fd);
	return ret;
}

/* Makes two interfaces, the far one in the namespace @netns. */
static int make_pair(int netns)
{
	struct rtattr *info, *data, *peer;
	struct request request;

	start_request(&request, RTM_NEWLINK, sizeof(struct ifinfomsg));
	add_attr(&request, IFLA_IFNAME, NEAR, sizeof(NEAR));
	info = add_attr(&request, IFLA_LINKINFO, NULL, 0);
	add_attr(&request, IFLA_INFO_KIND, "veth", 4);
	data = add_attr(&request, IFLA_INFO_DATA, NULL, 0);
	peer = add_attr(&request, VETH_INFO_PEER, NULL, 0);
	memset(add_room(&request, sizeof(struct ifinfomsg)), 0,
	       sizeof(struct ifinfomsg));
	add_attr(&request, IFLA_IFNAME, FAR, sizeof(FAR));
	add_attr(&request, IFLA_NET_NS_FD, &netns, sizeof(netns));
	end_nest(&request, peer);
	end_nest(&request, data);
	end_nest(&request, info);
	return do_request(&request);
}

static size_t read_bytes(const char *address, void *bytes)
{
	inet_pton(family_of(address), address, bytes);
	return family_of(address) == AF_INET ? 4 : 16;
}

static int add_address(const char *device, const char *address, int prefix_len)
{
	const __u32 flags = IFA_F_NODAD;
	struct request request;
	struct ifaddrmsg *message;
	unsigned char bytes[16];
	const size_t size = read_bytes(address, bytes);

	message = start_request(&request, RTM_NEWADDR, sizeof(*message));
	message->ifa_family = family_of(address);
	message->ifa_prefixlen = prefix_len;
	message->ifa_index = if_nametoindex(device);
	add_attr(&request, IFA_LOCAL, bytes, size);
	add_attr(&request, IFA_ADDRESS, bytes, size);
	add_attr(&request, IFA_FLAGS, &flags, sizeof(flags));
	return do_request(&request);
}

static int add_default_route(const char *device, const char *gateway)
{
	const int index = if_nametoindex(device);
	struct request request;
	struct rtmsg *message;
	unsigned char bytes[16];
	const size_t size = read_bytes(gateway, bytes);

	message = start_request(&request, RTM_NEWROUTE, sizeof(*message));
	message->rtm_family = family_of(gateway);
	message->rtm_table = RT_TABLE_MAIN;
	message->rtm_protocol = RTPROT_STATIC;
	message->rtm_scope = RT_SCOPE_UNIVERSE;
	message->rtm_type = RTN_UNICAST;
	add_attr(&request, RTA_GATEWAY, bytes, size);
	add_attr(&request, RTA_OIF, &index, sizeof(index));
	return do_request(&request);
}

static int turn_on(const char *device)
{
	struct ifreq ifr = {};
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret = 0;

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", device);
	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		ret = -errno;
	ifr.ifr_flags |= IFF_UP;
	if (!ret && ioctl(fd, SIOCSIFFLAGS, &ifr))
		ret = -errno;
	close(fd);
	return ret;
}

static int this_namespace(void)
{
	const int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The next host */

/* Takes what comes in from the wire, without its link-layer header. */
static int make_sniffer(void)
{
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(FAR),
	};
	const int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC,
			      htons(ETH_P_ALL));

	if (fd < 0)
		return -errno;
	return bind(fd, (const struct sockaddr *)&address, sizeof(address)) ?
		       -errno : fd;
}

enum packet {
	/* Of the network itself: neighbours, routers, groups, errors. */
	NOISE,
	/* What a socket sent. */
	DATA,
	/* What the test sends at the end. */
	LAST,
	NOTHING,
};

static unsigned char frame[2048];

static __u16 bytes_16(const unsigned char *bytes)
{
	return bytes[0] << 8 | bytes[1];
}

static enum packet kind_of(int protocol, const unsigned char *transport)
{
	switch (protocol) {
	case IPPROTO_UDP:
		return bytes_16(transport + 2) == LAST_PORT ? LAST : DATA;
	case IPPROTO_TCP:
	case IPPROTO_ROUTING:
		return DATA;
	default:
		return NOISE;
	}
}

/* Waits up to @ms for one packet, and keeps it in @frame. */
static enum packet next_packet(int sniffer, int ms)
{
	struct pollfd poller = {
		.fd = sniffer,
		.events = POLLIN,
	};
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);

	if (poll(&poller, 1, ms) != 1)
		return NOTHING;
	memset(frame, 0, sizeof(frame));
	if (recvfrom(sniffer, frame, sizeof(frame), 0, (struct sockaddr *)&from,
		     &len) < 0)
		return NOTHING;
	if (from.sll_pkttype == PACKET_OUTGOING)
		return NOISE;
	if (from.sll_protocol == htons(ETH_P_IP))
		return kind_of(frame[9], frame + (frame[0] & 15) * 4);
	if (from.sll_protocol == htons(ETH_P_IPV6))
		return kind_of(frame[6], frame + 40);
	return NOISE;
}

/* Longer than neighbours take to be found. */
#define WAIT_MS 5000

/* Whether a packet of a socket comes in, which is then in @frame. */
static bool is_seen(int sniffer)
{
	enum packet packet;

	do {
		packet = next_packet(sniffer, WAIT_MS);
	} while (packet == NOISE);
	return packet == DATA;
}

/* Ways */

enum way {
	NO_WAY,
	/* Options */
	TO_DEVICE,
	TO_INDEX,
	UNICAST,
	SOURCE_ROUTE,
	UNICAST_6,
	STICKY_INFO,
	STICKY_HEADER,
	LABEL,
	/* Control messages */
	INFO,
	OPTIONS,
	INFO_6,
	OLD_INFO_6,
	HEADER,
};

static bool is_message(enum way way)
{
	return way >= INFO;
}

/* A source route by the next host to @address. */
struct route {
	unsigned char bytes[12];
};

static struct route route_to(const char *address)
{
	/* Loose, with 11 bytes, at its first hop; a byte to fill up. */
	struct route route = { { 131, 11, 4, 10, 0, 0, 2 } };

	inet_pton(AF_INET, address, route.bytes + 7);
	return route;
}

/*
 * Routing headers by the next host: for segments, which an option may set, and
 * for mobile nodes, which control messages may contain.
 */

struct header {
	unsigned char next, len, type, left, last, flags, tag[2];
	struct in6_addr segments[2];
};

static struct header header_of_segments(void)
{
	struct header header = {
		.len = 4,
		.type = 4,
		.left = 1,
		.last = 1,
	};

	inet_pton(AF_INET6, FAR_ADDRESS_6, &header.segments[1]);
	return header;
}

struct short_header {
	unsigned char next, len, type, left, reserved[4];
	struct in6_addr address;
};

static struct short_header header_of_mobiles(void)
{
	struct short_header header = {
		.len = 2,
		.type = 2,
		.left = 1,
	};

	inet_pton(AF_INET6, FAR_ADDRESS_6, &header.address);
	return header;
}

static void write_control(struct cmsghdr *cmsg, int level, int type,
			  const void *data, size_t size)
{
	cmsg->cmsg_level = level;
	cmsg->cmsg_type = type;
	cmsg->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(cmsg), data, size);
}

/* A flow label that nobody else has. */
#define NUMBER 0x12345

/* Takes a flow label for which the kernel keeps a routing header. */
static int set_label(int fd, const char *address, __u32 number)
{
	const struct short_header header = header_of_mobiles();
	struct {
		struct in6_flowlabel_req request;
		union {
			struct cmsghdr cmsg;
			char space[CMSG_SPACE(sizeof(header))];
		} control;
	} label = {
		.request = {
			.flr_label = htonl(number),
			.flr_action = IPV6_FL_A_GET,
			.flr_share = IPV6_FL_S_EXCL,
			.flr_flags = IPV6_FL_F_CREATE,
		},
	};
	const int one = 1;
	int ret;

	inet_pton(AF_INET6, address, &label.request.flr_dst);
	write_control(&label.control.cmsg, SOL_IPV6, IPV6_RTHDR, &header,
		      sizeof(header));
	ret = set_option(fd, SOL_IPV6, IPV6_FLOWINFO_SEND, &one, sizeof(one));
	return ret ? ret : set_option(fd, SOL_IPV6, IPV6_FLOWLABEL_MGR, &label,
				      sizeof(label));
}

/* Sets the option of a way of packets to @address. */
static int set_way(int fd, enum way way, const char *address)
{
	const int index = if_nametoindex(NEAR);
	const int swapped = htonl(index);
	const struct route route = route_to(address);
	const struct header header = header_of_segments();
	const struct in6_pktinfo info = {
		.ipi6_ifindex = index,
	};

	switch (way) {
	case TO_DEVICE:
		return set_option(fd, SOL_SOCKET, SO_BINDTODEVICE, NEAR,
				  sizeof(NEAR));
	case TO_INDEX:
		return set_option(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index,
				  sizeof(index));
	case UNICAST:
		return set_option(fd, SOL_IP, IP_UNICAST_IF, &swapped,
				  sizeof(swapped));
	case SOURCE_ROUTE:
		return set_option(fd, SOL_IP, IP_OPTIONS, &route,
				  sizeof(route));
	case UNICAST_6:
		return set_option(fd, SOL_IPV6, IPV6_UNICAST_IF, &swapped,
				  sizeof(swapped));
	case STICKY_INFO:
		return set_option(fd, SOL_IPV6, IPV6_PKTINFO, &info,
				  sizeof(info));
	case STICKY_HEADER:
		return set_option(fd, SOL_IPV6, IPV6_RTHDR, &header,
				  sizeof(header));
	case LABEL:
		return set_label(fd, address, NUMBER);
	default:
		return 0;
	}
}

/* Sends a datagram with the control message of a way, if it has one. */
static int send_by(int fd, enum way way, const char *address, bool is_connected)
{
	const int index = if_nametoindex(NEAR);
	const struct in_pktinfo info = {
		.ipi_ifindex = index,
	};
	const struct in6_pktinfo info6 = {
		.ipi6_ifindex = index,
	};
	const struct route route = route_to(address);
	const struct short_header header = header_of_mobiles();
	union {
		struct cmsghdr cmsg;
		char space[CMSG_SPACE(sizeof(header))];
	} control = {};
	struct iovec iov = {
		.iov_base = "x",
		.iov_len = 1,
	};
	union addr addr;
	const socklen_t len = read_addr(&addr, address, PORT);
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_name = is_connected ? NULL : &addr,
		.msg_namelen = is_connected ? 0 : len,
	};

	switch (way) {
	case INFO:
		write_control(&control.cmsg, SOL_IP, IP_PKTINFO, &info,
			      sizeof(info));
		break;
	case OPTIONS:
		write_control(&control.cmsg, SOL_IP, IP_RETOPTS, &route,
			      sizeof(route));
		break;
	case INFO_6:
		write_control(&control.cmsg, SOL_IPV6, IPV6_PKTINFO, &info6,
			      sizeof(info6));
		break;
	case OLD_INFO_6:
		write_control(&control.cmsg, SOL_IPV6, IPV6_2292PKTINFO, &info6,
			      sizeof(info6));
		break;
	case HEADER:
		write_control(&control.cmsg, SOL_IPV6, IPV6_RTHDR, &header,
			      sizeof(header));
		break;
	case LABEL:
		addr.in6.sin6_flowinfo = htonl(NUMBER);
		break;
	default:
		break;
	}
	if (is_message(way)) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_ALIGN(control.cmsg.cmsg_len);
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

FIXTURE(ways)
{
	int near, far, sniffer, receiver, fd;
};

FIXTURE_VARIANT(ways)
{
	enum way way;
	int type, protocol;
	const char *address;
};

#define TCP_SOCKET .type = SOCK_STREAM
#define UDP_SOCKET .type = SOCK_DGRAM
#define MPTCP_SOCKET .type = SOCK_STREAM, .protocol = IPPROTO_MPTCP
#define LO .address = "127.0.0.1"
#define LO_6 .address = "::1"

FIXTURE_VARIANT_ADD(ways, tcp_to_device)
{
	.way = TO_DEVICE, TCP_SOCKET, LO,
};

FIXTURE_VARIANT_ADD(ways, tcp_to_device_6)
{
	.way = TO_DEVICE, TCP_SOCKET, LO_6,
};

FIXTURE_VARIANT_ADD(ways, tcp_to_index)
{
	.way = TO_INDEX, TCP_SOCKET, LO,
};

FIXTURE_VARIANT_ADD(ways, mptcp_to_device)
{
	.way = TO_DEVICE, MPTCP_SOCKET, LO,
};

FIXTURE_VARIANT_ADD(ways, udp_to_device)
{
	.way = TO_DEVICE, UDP_SOCKET, LO,
};

FIXTURE_VARIANT_ADD(ways, udp_to_device_6)
{
	.way = TO_DEVICE, UDP_SOCKET, LO_6,
};

FIXTURE_VARIANT_ADD(ways, udp_to_index)
{
	.way = TO_INDEX, UDP_SOCKET, LO,
};

FIXTURE_VARIANT_ADD(ways, udp_by_unicast)
{
	.way = UNICAST, UDP_SOCKET, LO,
};

FIXTURE_VARIANT_ADD(ways, udp_by_unicast_6)
{
	.way = UNICAST_6, UDP_SOCKET, LO_6,
};

FIXTURE_VARIANT_ADD(ways, tcp_by_source_route)
{
	.way = SOURCE_ROUTE, TCP_SOCKET, LO,
};

FIXTURE_VARIANT_ADD(ways, udp_by_source_route)
{
	.way = SOURCE_ROUTE, UDP_SOCKET, LO,
};

FIXTURE_VARIANT_ADD(ways, udp_by_sticky_info)
{
	.way = STICKY_INFO, UDP_SOCKET, LO_6,
};

FIXTURE_VARIANT_ADD(ways, tcp_by_sticky_header)
{
	.way = STICKY_HEADER, TCP_SOCKET, LO_6,
};

FIXTURE_VARIANT_ADD(ways, udp_by_sticky_header)
{
	.way = STICKY_HEADER, UDP_SOCKET, LO_6,
};

FIXTURE_VARIANT_ADD(ways, udp_by_label)
{
	.way = LABEL, UDP_SOCKET, LO_6,
};

FIXTURE_VARIANT_ADD(ways, udp_by_info)
{
	.way = INFO, UDP_SOCKET, LO,
};

FIXTURE_VARIANT_ADD(ways, udp_by_options)
{
	.way = OPTIONS, UDP_SOCKET, LO,
};

FIXTURE_VARIANT_ADD(ways, udp_by_info_6)
{
	.way = INFO_6, UDP_SOCKET, LO_6,
};

FIXTURE_VARIANT_ADD(ways, udp_by_old_info_6)
{
	.way = OLD_INFO_6, UDP_SOCKET, LO_6,
};

FIXTURE_VARIANT_ADD(ways, udp_by_header)
{
	.way = HEADER, UDP_SOCKET, LO_6,
};

/*
 * The next host has 127.0.0.1 too, and takes packets for it from the wire.
 * This setting is not one of an interface, so it reaches @FAR as well.
 */
#define ROUTE_LOCALNET "/proc/sys/net/ipv4/conf/all/route_localnet"

/*
 * Where a packet has a foreign source, this host asks for its neighbour from
 * its link-local address.  It gives up after three seconds, in which a busy
 * machine may not have checked that no other host has that address.
 */
#define ACCEPT_DAD "/proc/sys/net/ipv6/conf/default/accept_dad"

/* Makes both namespaces with the wire between them, and returns an errno. */
static int make_hosts(int *near, int *far, int *sniffer)
{
	int ret;

	ret = own_network();
	if (ret)
		return ret;
	*far = this_namespace();
	if (*far < 0)
		return *far;
	ret = own_network();
	if (ret)
		return ret;
	*near = this_namespace();
	if (*near < 0)
		return *near;
	ret = write_text(ACCEPT_DAD, "0");
	if (!ret)
		ret = make_pair(*far);
	if (!ret)
		ret = add_address(NEAR, NEAR_ADDRESS, 24);
	if (!ret)
		ret = add_address(NEAR, NEAR_ADDRESS_6, 64);
	if (ret)
		return ret;

	if (setns(*far, CLONE_NEWNET))
		return -errno;
	ret = write_text(ROUTE_LOCALNET, "1");
	if (!ret)
		ret = add_address(FAR, FAR_ADDRESS, 24);
	if (!ret)
		ret = add_address(FAR, FAR_ADDRESS_6, 64);
	if (!ret)
		ret = turn_on(FAR);
	*sniffer = make_sniffer();
	if (!ret && *sniffer < 0)
		ret = *sniffer;
	if (setns(*near, CLONE_NEWNET))
		return -errno;

	if (!ret)
		ret = turn_on(NEAR);
	if (!ret)
		ret = add_default_route(NEAR, FAR_ADDRESS);
	if (!ret)
		ret = add_default_route(NEAR, FAR_ADDRESS_6);
	return ret;
}

/* Returns a socket that takes datagrams to @address, so that no error comes. */
static int receive_on(const char *address)
{
	const int fd = make_socket(family_of(address), SOCK_DGRAM, 0);
	const int ret = fd < 0 ? fd : bind_to(fd, address, PORT);

	if (ret && fd >= 0)
		close(fd);
	return ret ? ret : fd;
}

static int send_last(void)
{
	const int fd = make_socket(AF_INET, SOCK_DGRAM, 0);
	const int ret = fd < 0 ? fd : send_to(fd, FAR_ADDRESS, LAST_PORT, 0);

	close(fd);
	return ret;
}

/* Whether no socket has sent anything to the next host up to now. */
static bool was_silent(int sniffer)
{
	enum packet packet;

	if (send_last())
		return false;
	do {
		packet = next_packet(sniffer, WAIT_MS);
	} while (packet == NOISE);
	return packet == LAST;
}

FIXTURE_SETUP(ways)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, make_hosts(&self->near, &self->far, &self->sniffer));
	self->fd = make_socket(family_of(variant->address),
			       variant->type | SOCK_NONBLOCK,
			       variant->protocol);
	ASSERT_LE(0, self->fd);
	self->receiver = receive_on(variant->address);
	ASSERT_LE(0, self->receiver);
	/* The next host is known from now on. */
	ASSERT_TRUE(was_silent(self->sniffer));
}

FIXTURE_TEARDOWN(ways)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, close(self->receiver));
	EXPECT_EQ(0, close(self->sniffer));
	EXPECT_EQ(0, close(self->near));
	EXPECT_EQ(0, close(self->far));
}

/* What a restricted task may reach: the address, and nothing else. */
static int restrict_to_address(const char *address)
{
	char prefix[64];

	snprintf(prefix, sizeof(prefix), "%s/%d", address,
		 family_of(address) == AF_INET ? 32 : 128);
	return restrict_to(CONNECT_TCP | SEND_UDP, CONNECT_TCP | SEND_UDP, PORT,
			   PORT, prefix);
}

/* Connects TCP, or sends a datagram, by a way. */
static int use(int fd, int type, enum way way, const char *address)
{
	int ret;

	if (type == SOCK_DGRAM)
		return send_by(fd, way, address, false);
	ret = connect_to(fd, address, PORT);
	/* On loopback there is nobody, and elsewhere nobody has answered yet. */
	return ret == -EINPROGRESS || ret == -ECONNREFUSED ? 0 : ret;
}

/* As use(), with a new socket that has no way of its own. */
static int use_new(int type, int protocol, const char *address)
{
	const int fd = make_socket(family_of(address), type, protocol);
	int ret;

	if (fd < 0)
		return fd;
	ret = use(fd, type, NO_WAY, address);
	close(fd);
	return ret;
}

/* Whether the kernel knows the only header that a control message may have. */
static bool needs_mobiles(enum way way)
{
	return way == HEADER || way == LABEL;
}

static bool knows_mobiles(int fd)
{
	return set_label(fd, "::1", NUMBER + 1) != -EINVAL;
}

#define NO_MOBILES "the kernel has no CONFIG_IPV6_MIP6"

TEST_F(ways, lead_elsewhere_without_a_sandbox)
{
	if (needs_mobiles(variant->way) && !knows_mobiles(self->receiver))
		SKIP(return, NO_MOBILES);
	ASSERT_EQ(0, use_new(variant->type, variant->protocol,
			     variant->address));
	EXPECT_TRUE(was_silent(self->sniffer));
	ASSERT_EQ(0, set_way(self->fd, variant->way, variant->address));
	ASSERT_EQ(0, use(self->fd, variant->type, variant->way,
			 variant->address));
	EXPECT_TRUE(is_seen(self->sniffer));
}

TEST_F(ways, are_refused_in_a_sandbox)
{
	const pid_t child = fork();

	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, restrict_to_address(variant->address));
		EXPECT_EQ(0, use_new(variant->type, variant->protocol,
				     variant->address));
		if (is_message(variant->way)) {
			EXPECT_EQ(-EACCES, use(self->fd, variant->type,
					       variant->way, variant->address));
		} else {
			EXPECT_EQ(-EACCES, set_way(self->fd, variant->way,
						   variant->address));
			/* A refused option changes nothing. */
			EXPECT_EQ(0, use(self->fd, variant->type, NO_WAY,
					 variant->address));
			EXPECT_EQ(-EACCES, set_way(self->fd, variant->way,
						   variant->address));
		}
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	EXPECT_TRUE(was_silent(self->sniffer));
}

TEST_F(ways, of_sockets_from_outside_match_no_address)
{
	pid_t child;

	if (variant->way == LABEL && !knows_mobiles(self->receiver))
		SKIP(return, NO_MOBILES);
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, set_way(self->fd, variant->way, variant->address));
		ASSERT_EQ(0, restrict_to_address(variant->address));
		EXPECT_EQ(-EACCES, use(self->fd, variant->type, variant->way,
				       variant->address));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	EXPECT_TRUE(was_silent(self->sniffer));
}

/* A rule for the port promises nothing about who answers. */
TEST_F(ways, match_a_port)
{
	if (needs_mobiles(variant->way) && !knows_mobiles(self->receiver))
		SKIP(return, NO_MOBILES);
	ASSERT_EQ(0, restrict_to(CONNECT_TCP | SEND_UDP, CONNECT_TCP | SEND_UDP,
				 PORT, PORT, NULL));
	ASSERT_EQ(0, set_way(self->fd, variant->way, variant->address));
	ASSERT_EQ(0, use(self->fd, variant->type, variant->way,
			 variant->address));
	EXPECT_TRUE(is_seen(self->sniffer));
}

/* Datagrams to a peer, which the socket has already */

FIXTURE(connected)
{
	int near, far, sniffer, receiver, fd;
};

FIXTURE_VARIANT(connected)
{
	enum way way;
	const char *address;
};

FIXTURE_VARIANT_ADD(connected, to_device)
{
	.way = TO_DEVICE, LO,
};

FIXTURE_VARIANT_ADD(connected, to_device_6)
{
	.way = TO_DEVICE, LO_6,
};

FIXTURE_VARIANT_ADD(connected, to_index)
{
	.way = TO_INDEX, LO,
};

FIXTURE_VARIANT_ADD(connected, by_info)
{
	.way = INFO, LO,
};

FIXTURE_VARIANT_ADD(connected, by_options)
{
	.way = OPTIONS, LO,
};

FIXTURE_VARIANT_ADD(connected, by_info_6)
{
	.way = INFO_6, LO_6,
};

FIXTURE_VARIANT_ADD(connected, by_old_info_6)
{
	.way = OLD_INFO_6, LO_6,
};

FIXTURE_VARIANT_ADD(connected, by_header)
{
	.way = HEADER, LO_6,
};

FIXTURE_SETUP(connected)
{
	const int family = family_of(variant->address);

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, make_hosts(&self->near, &self->far, &self->sniffer));
	self->receiver = receive_on(variant->address);
	ASSERT_LE(0, self->receiver);
	self->fd = make_socket(family, SOCK_DGRAM, 0);
	ASSERT_LE(0, self->fd);
	/* A source that may leave this machine. */
	ASSERT_EQ(0, bind_to(self->fd, family == AF_INET ? NEAR_ADDRESS :
							   NEAR_ADDRESS_6, 0));
	ASSERT_EQ(0, connect_to(self->fd, variant->address, PORT));
	ASSERT_EQ(0, send_by(self->fd, NO_WAY, variant->address, true));
	ASSERT_TRUE(was_silent(self->sniffer));
}

FIXTURE_TEARDOWN(connected)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, close(self->receiver));
	EXPECT_EQ(0, close(self->sniffer));
	EXPECT_EQ(0, close(self->near));
	EXPECT_EQ(0, close(self->far));
}

TEST_F(connected, sockets_send_elsewhere_without_a_sandbox)
{
	if (needs_mobiles(variant->way) && !knows_mobiles(self->receiver))
		SKIP(return, NO_MOBILES);
	ASSERT_EQ(0, set_way(self->fd, variant->way, variant->address));
	ASSERT_EQ(0, send_by(self->fd, variant->way, variant->address, true));
	EXPECT_TRUE(is_seen(self->sniffer));
}

TEST_F(connected, sockets_are_held_to_their_peer_in_a_sandbox)
{
	const pid_t child = fork();

	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, restrict_to_address(variant->address));
		if (is_message(variant->way)) {
			EXPECT_EQ(-EACCES, send_by(self->fd, variant->way,
						   variant->address, true));
			EXPECT_EQ(-EACCES, send_by(self->fd, variant->way,
						   variant->address, false));
		} else {
			EXPECT_EQ(-EACCES, set_way(self->fd, variant->way,
						   variant->address));
		}
		EXPECT_EQ(0, send_by(self->fd, NO_WAY, variant->address, true));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	EXPECT_TRUE(was_silent(self->sniffer));
}

/* Two hosts with one address */

FIXTURE(hosts)
{
	int near, far, sniffer;
	/* Receives on 127.0.0.1 of the next host. */
	int receiver;
};

FIXTURE_SETUP(hosts)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, make_hosts(&self->near, &self->far, &self->sniffer));
	ASSERT_EQ(0, setns(self->far, CLONE_NEWNET));
	self->receiver = make_socket(AF_INET, SOCK_DGRAM, 0);
	ASSERT_LE(0, self->receiver);
	ASSERT_EQ(0, bind_to(self->receiver, "127.0.0.1", PORT));
	ASSERT_EQ(0, setns(self->near, CLONE_NEWNET));
	ASSERT_TRUE(was_silent(self->sniffer));
}

FIXTURE_TEARDOWN(hosts)
{
	EXPECT_EQ(0, close(self->receiver));
	EXPECT_EQ(0, close(self->sniffer));
	EXPECT_EQ(0, close(self->near));
	EXPECT_EQ(0, close(self->far));
}

/* Whether the next host's 127.0.0.1 gets a datagram soon. */
static bool is_received(int receiver)
{
	struct pollfd poller = {
		.fd = receiver,
		.events = POLLIN,
	};
	char byte;

	return poll(&poller, 1, WAIT_MS) == 1 &&
	       recv(receiver, &byte, 1, MSG_DONTWAIT) == 1;
}

TEST_F(hosts, with_the_same_address_are_told_apart)
{
	const int outside = make_socket(AF_INET, SOCK_DGRAM, 0);
	const int inside = make_socket(AF_INET, SOCK_DGRAM, 0);
	pid_t child;

	ASSERT_LE(0, outside);
	ASSERT_LE(0, inside);
	ASSERT_EQ(0, set_way(outside, TO_DEVICE, "127.0.0.1"));
	ASSERT_EQ(0, send_by(outside, NO_WAY, "127.0.0.1", false));
	EXPECT_TRUE(is_received(self->receiver));
	EXPECT_TRUE(is_seen(self->sniffer));

	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, restrict_to_address("127.0.0.1"));
		EXPECT_EQ(-EACCES, send_by(outside, NO_WAY, "127.0.0.1",
					   false));
		EXPECT_EQ(-EACCES, set_way(inside, TO_DEVICE, "127.0.0.1"));
		EXPECT_EQ(0, send_by(inside, NO_WAY, "127.0.0.1", false));
		EXPECT_EQ(-EACCES, send_by(inside, INFO, "127.0.0.1", false));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	EXPECT_TRUE(was_silent(self->sniffer));
	EXPECT_EQ(0, close(outside));
	EXPECT_EQ(0, close(inside));
}

/* A scope belongs to addresses of a link.  On others, the kernel ignores it. */
TEST_F(hosts, are_not_chosen_by_the_scope_of_an_address)
{
	const int udp = make_socket(AF_INET6, SOCK_DGRAM, 0);
	const int connected = make_socket(AF_INET6, SOCK_DGRAM, 0);
	const int tcp = make_socket(AF_INET6, SOCK_STREAM, 0);
	const int own = receive_on("::1");
	char scoped[16];
	pid_t child;

	ASSERT_LE(0, udp);
	ASSERT_LE(0, connected);
	ASSERT_LE(0, tcp);
	ASSERT_LE(0, own);
	snprintf(scoped, sizeof(scoped), "::1%%%d", if_nametoindex(NEAR));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, restrict_to_address("::1"));
		EXPECT_EQ(0, send_to(udp, scoped, PORT, 0));
		EXPECT_EQ(0, connect_to(connected, scoped, PORT));
		EXPECT_EQ(1, send(connected, "x", 1, MSG_NOSIGNAL));
		EXPECT_EQ(-ECONNREFUSED, connect_to(tcp, scoped, PORT));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	EXPECT_TRUE(was_silent(self->sniffer));
	EXPECT_EQ(0, close(udp));
	EXPECT_EQ(0, close(connected));
	EXPECT_EQ(0, close(tcp));
	EXPECT_EQ(0, close(own));
}

/* The next host calls a listener, which names the device or does not. */
TEST_F(hosts, are_accepted_by_address_unless_by_a_device)
{
	int named;

	for (named = 0; named < 2; named++) {
		const int listener = make_socket(AF_INET, SOCK_STREAM, 0);
		int client, ret;
		pid_t child;

		ASSERT_LE(0, listener);
		if (named)
			ASSERT_EQ(0, set_way(listener, TO_DEVICE,
					     NEAR_ADDRESS));
		ASSERT_EQ(0, bind_to(listener, NEAR_ADDRESS, PORT));
		ASSERT_EQ(0, try_listen(listener));
		ASSERT_EQ(0, setns(self->far, CLONE_NEWNET));
		client = dial(0, FAR_ADDRESS, 0, NEAR_ADDRESS, PORT);
		ASSERT_EQ(0, setns(self->near, CLONE_NEWNET));
		ASSERT_LE(0, client);
		child = fork();
		ASSERT_LE(0, child);
		if (child == 0) {
			ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT,
						 PORT, FAR_ADDRESS "/32"));
			ret = try_accept(listener);
			EXPECT_EQ(named ? -ECONNABORTED : 0, ret < 0 ? ret : 0);
			_exit(_metadata->exit_code);
		}
		EXPECT_EQ(0, wait_child(child));
		EXPECT_EQ(0, close(client));
		EXPECT_EQ(0, close(listener));
	}
}

/*
 * A connection by a link-local address ties the socket to the device, and an
 * MPTCP socket's subflow, for ever.
 */
TEST_F(hosts, of_a_device_stay_those_of_what_was_accepted_there)
{
	static const int protocols[] = { 0, IPPROTO_MPTCP };
	char link[32];
	int i;

	ASSERT_EQ(0, add_address(NEAR, "fe80::1", 64));
	snprintf(link, sizeof(link), "fe80::1%%%d", if_nametoindex(NEAR));
	for (i = 0; i < ARRAY_SIZE(protocols); i++) {
		const int listener = listen_at(protocols[i], "::", PORT + i);
		const int client = dial(protocols[i], link, 0, link, PORT + i);
		const int fd = try_accept(listener);
		pid_t child;

		ASSERT_LE(0, client);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, fcntl(fd, F_SETFL, O_NONBLOCK));
		/* No address of the socket needs a device any more. */
		ASSERT_EQ(0, disconnect(fd));
		ASSERT_EQ(-EINPROGRESS, connect_to(fd, FAR_ADDRESS_6, PORT));
		ASSERT_TRUE(is_seen(self->sniffer));
		ASSERT_EQ(0, disconnect(fd));

		child = fork();
		ASSERT_LE(0, child);
		if (child == 0) {
			ASSERT_EQ(0, restrict_to_address("::1"));
			EXPECT_EQ(-EACCES, connect_to(fd, "::1", PORT));
			_exit(_metadata->exit_code);
		}
		EXPECT_EQ(0, wait_child(child));
		EXPECT_TRUE(was_silent(self->sniffer));
		EXPECT_EQ(-EINPROGRESS, connect_to(fd, "::1", PORT));
		EXPECT_TRUE(is_seen(self->sniffer));
		EXPECT_EQ(0, memcmp(frame + 24, &in6addr_loopback, 16));
		EXPECT_EQ(0, close(fd));
		EXPECT_EQ(0, close(client));
		EXPECT_EQ(0, close(listener));
	}
}

/* Where the peer knows no MPTCP, options are set on the subflow alone. */
TEST_F(hosts, are_not_chosen_by_options_of_a_subflow)
{
	static const int protocols[] = { 0, IPPROTO_MPTCP };
	const int listener = listen_at(0, "::1", PORT);
	const int on = 1;
	int fds[2], i;

	ASSERT_LE(0, listener);
	for (i = 0; i < ARRAY_SIZE(protocols); i++) {
		fds[i] = dial(protocols[i], "::1", 0, "::1", PORT);
		ASSERT_LE(0, fds[i]);
		ASSERT_EQ(0, set_option(fds[i], SOL_IPV6, IPV6_FREEBIND, &on,
					sizeof(on)));
	}
	ASSERT_EQ(0, restrict_to(SEND_TCP, SEND_TCP, PORT, PORT, "::1/128"));
	for (i = 0; i < ARRAY_SIZE(protocols); i++) {
		EXPECT_EQ(-EACCES, send_fd_to(fds[i], 0, 0));
		EXPECT_EQ(0, close(fds[i]));
	}
	EXPECT_EQ(0, close(listener));
}

/* The answer to a datagram goes to its source, so a foreign one is a target. */

FIXTURE(sources)
{
	int near, far, sniffer, fd;
};

FIXTURE_VARIANT(sources)
{
	const char *address, *source;
	int level, option;
	/* Where the source is in a packet. */
	int offset;
};

FIXTURE_VARIANT_ADD(sources, ipv4)
{
	.address = FAR_ADDRESS,
	.source = FOREIGN_ADDRESS,
	.level = SOL_IP,
	.option = IP_FREEBIND,
	.offset = 12,
};

FIXTURE_VARIANT_ADD(sources, ipv6)
{
	.address = FAR_ADDRESS_6,
	.source = FOREIGN_ADDRESS_6,
	.level = SOL_IPV6,
	.option = IPV6_FREEBIND,
	.offset = 8,
};

FIXTURE_SETUP(sources)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, make_hosts(&self->near, &self->far, &self->sniffer));
	self->fd = make_socket(family_of(variant->address), SOCK_DGRAM, 0);
	ASSERT_LE(0, self->fd);
	ASSERT_TRUE(was_silent(self->sniffer));
}

FIXTURE_TEARDOWN(sources)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, close(self->sniffer));
	EXPECT_EQ(0, close(self->near));
	EXPECT_EQ(0, close(self->far));
}

TEST_F(sources, of_others_are_sent_without_a_sandbox)
{
	const int one = 1;
	unsigned char source[16];
	const size_t size = read_bytes(variant->source, source);

	ASSERT_EQ(0, set_option(self->fd, variant->level, variant->option, &one,
				sizeof(one)));
	ASSERT_EQ(0, bind_to(self->fd, variant->source, 0));
	/* The routing of IPv4 wants a source of this machine. */
	if (family_of(variant->address) == AF_INET) {
		EXPECT_EQ(-ENETUNREACH, send_to(self->fd, variant->address,
						PORT, 0));
		return;
	}
	ASSERT_EQ(0, send_to(self->fd, variant->address, PORT, 0));
	ASSERT_TRUE(is_seen(self->sniffer));
	EXPECT_EQ(0, memcmp(frame + variant->offset, source, size));
}

TEST_F(sources, of_others_are_refused_in_a_sandbox)
{
	const int one = 1;
	const int bound = make_socket(family_of(variant->address), SOCK_DGRAM,
				      0);
	pid_t child;

	ASSERT_LE(0, bound);
	ASSERT_EQ(0, set_option(bound, variant->level, variant->option, &one,
				sizeof(one)));
	ASSERT_EQ(0, bind_to(bound, variant->source, 0));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, restrict_to_address(variant->address));
		EXPECT_EQ(-EACCES, set_option(self->fd, variant->level,
					      variant->option, &one,
					      sizeof(one)));
		EXPECT_EQ(-EADDRNOTAVAIL, bind_to(self->fd, variant->source,
						  0));
		EXPECT_EQ(-EACCES, send_to(bound, variant->address, PORT, 0));
		EXPECT_EQ(-EACCES, connect_to(bound, variant->address, PORT));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	EXPECT_TRUE(was_silent(self->sniffer));
	EXPECT_EQ(0, close(bound));
}

/* The address itself may be reached, through the same interface. */
TEST_F(sources, of_this_machine_are_sent_in_a_sandbox)
{
	ASSERT_EQ(0, restrict_to_address(variant->address));
	ASSERT_EQ(0, send_to(self->fd, variant->address, PORT, 0));
	EXPECT_TRUE(is_seen(self->sniffer));
}

/*
 * One thread connects a socket to two peers in turn, one of this host and one
 * behind the next.  Others send on it.  A datagram for one peer leaves neither
 * by the route of the other nor to its port.
 */

enum { PEER_CHANGE, PEER_NAMED, PEER_OWN };

/* What each thread does in a round. */
#define NUM_CALLS 256

/* Receives at the address of one peer and the port of the other. */
static int wrong_receiver;

static void prepare_peers(void)
{
	int near, far, ruleset;

	need(make_hosts(&near, &far, &race.other_fd), "hosts");
	need(receive_on("::1"), "receiver");
	wrong_receiver = make_socket(AF_INET6, SOCK_DGRAM, 0);
	need(wrong_receiver, "receiver");
	need(bind_to(wrong_receiver, "::1", OTHER_PORT), "bind");

	ruleset = extended(SEND_UDP, 0);
	need(ruleset, "ruleset");
	need(add_net(ruleset, SEND_UDP, PORT, PORT, "::1/128"), "rule");
	need(add_net(ruleset, SEND_UDP, OTHER_PORT, OTHER_PORT,
		     FOREIGN_ADDRESS_6 "/128"), "rule");
	need(restrict_self(ruleset, 0), "restrict_self");

	race.fd = make_socket(AF_INET6, SOCK_DGRAM, 0);
	need(race.fd, "socket");
	need(connect_to(race.fd, FOREIGN_ADDRESS_6, OTHER_PORT), "connect");
	need(send(race.fd, "x", 1, 0) == 1 ? 0 : -errno, "send");
	must(is_seen(race.other_fd), "the next host gets nothing", 0);
}

/* What the hosts have received so far. */
static void look_for_strays(void)
{
	struct in6_addr foreign;
	enum packet packet;
	char byte;

	inet_pton(AF_INET6, FOREIGN_ADDRESS_6, &foreign);
	while ((packet = next_packet(race.other_fd, 0)) != NOTHING) {
		if (packet == DATA)
			must(!memcmp(frame + 24, &foreign, sizeof(foreign)) &&
			     bytes_16(frame + 42) == OTHER_PORT,
			     "a datagram for this host left it", 0);
	}
	must(recv(wrong_receiver, &byte, 1, MSG_DONTWAIT) < 0,
	     "a datagram has the port of the other peer", 0);
}

static void change_peers(void)
{
	int i, j;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		for (j = 0; j < NUM_CALLS; j++)
			need(count(PEER_CHANGE, random_below(2) ?
				   connect_to(race.fd, "::1", PORT) :
				   connect_to(race.fd, FOREIGN_ADDRESS_6,
					      OTHER_PORT)),
			     "connect");
		meet();
		look_for_strays();
		meet();
	}
}

static void send_to_named(void)
{
	int i, j;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		for (j = 0; j < NUM_CALLS; j++)
			need(count(PEER_NAMED,
				   send_to(race.fd, "::1", PORT, 0)),
			     "sendto");
		meet();
		meet();
	}
}

static void send_to_own(void)
{
	int i, j;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		for (j = 0; j < NUM_CALLS; j++)
			need(count(PEER_OWN, send(race.fd, "x", 1, 0) == 1 ?
				   0 : -errno), "send");
		meet();
		meet();
	}
}

TEST_F_TIMEOUT(races, of_two_peers_of_a_socket_stay_apart, TIMEOUT)
{
	static const struct plan plan = {
		.prepare = prepare_peers,
		.racers = {
			change_peers,
			send_to_named,
			send_to_own,
		},
		.rounds = ROUNDS_WITHOUT,
		.operations = {
			"connect",
			"sendto the peer of this host",
			"send",
		},
	};

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	expect_order(_metadata, &plan);
}

TEST_HARNESS_MAIN
