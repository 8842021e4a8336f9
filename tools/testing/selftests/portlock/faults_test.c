// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: allocations that fail
 *
 * A test repeats a call.  The first allocation fails in the first round, the
 * second in the second round, and so on, until the call makes fewer
 * allocations.  Each time the call either succeeds, or it returns an error and
 * changes nothing: the ruleset has the same rules, the thread and its siblings
 * may do the same as before, and there is no new file descriptor.  The same
 * call then succeeds.
 *
 * The test needs a kernel that injects faults, see
 * Documentation/fault-injection/fault-injection.rst.
 */

#include <linux/audit.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "observers.h"

/* A fault can be injected in the caller or in one of its siblings. */
#define NUM_SIBLINGS 2

/* One bit for each port shows what a thread may do. */
#define MAX_PORTS 256

/*
 * What the kernel makes of this many rules about addresses when it enforces them
 * needs more than a page.
 */
#define MANY_RULES 130

/*
 * When a rule is added to frozen rules, each of them is copied into memory of
 * its own.  This many copies need a new page for their slab.
 */
#define COPIED_RULES 40

/* The outermost layers allow all ports except this one. */
#define SHUT_PORT 2
#define OPEN_PORT 1

/*
 * This many rounds in a row must succeed without a fault.  The number of
 * allocations of a call depends a little on caches.
 */
#define SPARE_ROUNDS 3

/* No call makes this many allocations. */
#define MAX_FAULTS 20000

/* The call killed the process.  Only execve(2) may do this. */
#define KILLED (-ECHILD)

/* What a thread may do, or could do if it enforced a ruleset. */
struct sight {
	int error;
	int no_new_privs;
	bool opens_root;
	bool opens_tmp;
	bool creates_unix;
	bool binds_opened;
	__u64 bind[MAX_PORTS / 64];
	__u64 connect[MAX_PORTS / 64];
};

/* All that a call may change. */
struct view {
	struct sight caller;
	struct sight siblings[NUM_SIBLINGS];
	struct sight ruleset;
	struct sight child;
	__u64 fds;
	/*
	 * What the observer told of, before the caller looked around and since
	 * then.
	 */
	long heard;
	long heard_looking;
	/* Without a ruleset, one that comes and goes is the end. */
	bool ends;
};

/* The results of a round, in memory that it shares with the test. */
struct report {
	/* The step of the test that failed, and its error. */
	const char *trouble;
	int trouble_error;
	/* What the call returned with the fault, and then without one. */
	int ret;
	int again;
	/* A fault was injected. */
	bool injected;
	/* After the first call, and after the second one if there was one. */
	struct view after;
	struct view after_again;
	/* What a child or another program sees. */
	struct sight child;
};

struct sibling {
	pthread_t thread;
	pid_t tid;
	bool other_user;
	int command[2];
	int answer[2];
	int fail_nth;
	struct sight sight;
	int error;
};

/* Each round runs in its own process.  This is its state. */
static struct {
	struct report *report;
	int report_fd;
	int num_ports;
	int fail_nth;
	int ruleset;
	int tmp;
	int program;
	int socket;
	int observer;
	int opened;
	int audit;
	unsigned int nth;
	struct sibling siblings[NUM_SIBLINGS];
} scene;

FIXTURE(faults)
{
};

/* The table of calls starts here.  The cases are at the end of the file. */
FIXTURE_VARIANT(faults)
{
	/* Makes the call once.  Returns a negative errno if it fails. */
	int (*call)(const FIXTURE_VARIANT(faults) *variant);

	/* The ruleset: what it handles, its rules, and whether it is frozen. */
	__u64 net;
	__u64 fs;
	int num_rules;
	bool was_enforced;
	/*
	 * It is extended, and its rules are about addresses.  With this, the
	 * outer layers are so, too.
	 */
	bool is_extended;
	__u64 permissions;
	/* An observer hears of all of them. */
	bool observed;
	/* The ruleset has a rule about a socket. */
	bool has_opened;
	/* The outer layers are permissive. */
	bool permissive;

	/* Layers of the caller, from before and after it made its siblings. */
	int outer;
	int own;
	/* What they handle.  The default is to bind and connect TCP sockets. */
	__u64 outer_net;
	/* They allow port 0, which means any free port. */
	bool allows_autobind;

	bool siblings;
	/* The call must fail in the sibling with other credentials. */
	bool in_sibling;

	/* For restrict_self(). */
	__u32 flags;
	bool no_ruleset;

	/* For add_rule(), and for sockets. */
	int port;
	int type;
	bool is_bound;

	/* With audit and trace events on. */
	bool logged;

	/* The errors that it may return, and the result if it succeeds. */
	int errors[4];
	int clean;

	/* The maximum of failures, if not every allocation makes it fail. */
	int max_failures;

	/* It has no visible effect. */
	bool no_trace;
	/* It may succeed without memory. */
	bool maybe_no_memory;
};

/* Looking around */

/*
 * An address that is not of this machine.  A socket cannot be bound or
 * connected to it, so the same socket can try every port.
 */
static socklen_t elsewhere(union addr *addr, __u16 port)
{
	const socklen_t len = loopback(addr, AF_INET, port);

	/* TEST-NET-1 of RFC 5737. */
	addr->in.sin_addr.s_addr = htonl(0xc0000201);
	return len;
}

static void look_at_ports(struct sight *sight)
{
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);
	union addr addr;
	socklen_t len;
	int port;

	if (fd < 0) {
		sight->error = fd;
		return;
	}
	for (port = 0; port < scene.num_ports; port++) {
		len = elsewhere(&addr, port);
		if (bind(fd, &addr.sa, len) == 0)
			sight->error = -EPROTO;
		else if (errno == EADDRNOTAVAIL)
			sight->bind[port / 64] |= 1ULL << port % 64;
		else if (errno != EACCES)
			sight->error = -errno;
		if (connect(fd, &addr.sa, len) == 0)
			sight->error = -EPROTO;
		else if (errno == ENETUNREACH)
			sight->connect[port / 64] |= 1ULL << port % 64;
		else if (errno != EACCES)
			sight->error = -errno;
	}
	close(fd);
}

static bool opens(const char *path, int *error)
{
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return true;
	}
	if (errno != EACCES)
		*error = -errno;
	return false;
}

/* Whether the socket that a rule may be about can be bound to a shut port. */
static bool binds_opened(void)
{
	union addr addr;
	const socklen_t len = elsewhere(&addr, MAX_PORTS);

	return scene.opened >= 0 && bind(scene.opened, &addr.sa, len) &&
	       errno != EACCES;
}

static void look(struct sight *sight)
{
	memset(sight, 0, sizeof(*sight));
	look_at_ports(sight);
	sight->binds_opened = binds_opened();
	sight->opens_root = opens("/", &sight->error);
	sight->opens_tmp = opens("/tmp", &sight->error);
	sight->creates_unix = new_socket(AF_UNIX, SOCK_DGRAM, 0) == 0;
	sight->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
}

/* Freezes the rules: a task enforces them, and ends. */
static int freeze_ruleset(void)
{
	const pid_t child = vfork();

	if (child == 0)
		_exit(-restrict_self(scene.ruleset, 0));
	return child < 0 ? -errno : -abs(wait_child(child));
}

/* What a task could do in a domain of the ruleset.  This freezes the rules. */
static int look_at_ruleset(struct sight *sight)
{
	pid_t child;

	if (scene.ruleset < 0)
		return 0;
	child = vfork();
	if (child == 0) {
		const int ret = restrict_self(scene.ruleset, 0);

		look(sight);
		/* There may be too many layers. */
		if (ret)
			sight->error = ret;
		_exit(0);
	}
	return child < 0 ? -errno : wait_child(child);
}

static void *work(void *data)
{
	struct sibling *const sibling = data;
	char byte;

	sibling->tid = gettid();
	/* The raw call changes only this thread. */
	if (sibling->other_user && syscall(__NR_setresuid, -1, 1000, -1))
		sibling->error = -errno;
	while (read(sibling->command[0], &byte, 1) == 1) {
		look(&sibling->sight);
		if (write(sibling->answer[1], &byte, 1) != 1)
			break;
	}
	return NULL;
}

static int look_at_sibling(struct sibling *sibling, struct sight *sight)
{
	char byte = 'l';

	if (write(sibling->command[1], &byte, 1) != 1)
		return -errno;
	if (read(sibling->answer[0], &byte, 1) != 1)
		return -errno;
	*sight = sibling->sight;
	return sibling->error;
}

/* Reads all that the observer tells of. */
static long told(void)
{
	struct portlock_event event;
	long sum = 0;

	while (scene.observer >= 0 && next_event(scene.observer, &event) == 1)
		sum += event.lost + (event.access_net || event.permissions);
	return sum;
}

/* Whether there is no writer but one that comes and goes here. */
static bool ends(void)
{
	const int fd = observed(scene.observer, BIND_TCP);

	return fd >= 0 && !close(fd) && ready(scene.observer) == POLLHUP;
}

static int take_view(struct view *view, bool siblings)
{
	int i, ret;

	memset(view, 0, sizeof(*view));
	view->heard = told();
	if (scene.observer >= 0 && scene.ruleset < 0)
		view->ends = ends();
	for (i = 0; i < 64; i++) {
		if (fcntl(i, F_GETFD) >= 0)
			view->fds |= 1ULL << i;
	}
	view->child = scene.report->child;
	look(&view->caller);
	view->heard_looking = told();
	for (i = 0; siblings && i < NUM_SIBLINGS; i++) {
		ret = look_at_sibling(&scene.siblings[i], &view->siblings[i]);
		if (ret)
			return ret;
	}
	ret = look_at_ruleset(&view->ruleset);
	told();
	return ret;
}

/* Faults */

static int arm(int fd, unsigned int nth)
{
	char text[16];
	const int len = snprintf(text, sizeof(text), "%u", nth);

	return write(fd, text, len) == len ? 0 : -errno;
}

/* Returns how many allocations are left until the one that would fail. */
static int disarm(int fd)
{
	char text[16] = {};
	int ret;

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return -errno;
	ret = arm(fd, 0);
	return ret ? ret : atoi(text);
}

static int open_fail_nth(pid_t tid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/fail-nth", tid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * The settings of the two kinds of faults.  By default, no allocation fails
 * that may wait for memory, and all of ours may wait.  By default, the kernel
 * logs each fault.  The pages of a process never fail: the kernel kills a
 * process that touches a page without memory.
 */
static const struct knob {
	const char *name;
	const char *value;
} knobs[] = {
	{ "failslab/ignore-gfp-wait", "N" },
	{ "failslab/cache-filter", "N" },
	{ "failslab/verbose", "0" },
	{ "fail_page_alloc/ignore-gfp-wait", "N" },
	{ "fail_page_alloc/ignore-gfp-highmem", "Y" },
	{ "fail_page_alloc/min-order", "0" },
	{ "fail_page_alloc/verbose", "0" },
};

/* Their values before the test. */
static char saved_knobs[ARRAY_SIZE(knobs)][16];

#define DEBUGFS "/tmp/portlock-faults"

static int turn_knob(int i, bool back)
{
	char path[128];
	int ret;

	snprintf(path, sizeof(path), DEBUGFS "/%s", knobs[i].name);
	if (back)
		return write_text(path, saved_knobs[i]);
	ret = read_text(path, saved_knobs[i], sizeof(saved_knobs[i]));
	if (!ret && !*saved_knobs[i])
		ret = -EIO;
	return ret ? ret : write_text(path, knobs[i].value);
}

/* Mounts debugfs, which has the settings, only for this process. */
static int mount_debugfs(void)
{
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	if (mkdir(DEBUGFS, 0700) && errno != EEXIST)
		return -errno;
	return mount("debugfs", DEBUGFS, "debugfs", 0, NULL) ? -errno : 0;
}

/* Logging */

#define EVENTS "/sys/kernel/tracing/events/landlock/enable"

static int set_audit(bool on)
{
	struct {
		struct nlmsghdr head;
		struct audit_status status;
	} message = {
		.head = {
			.nlmsg_len = sizeof(message),
			.nlmsg_type = AUDIT_SET,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		},
		.status = {
			.mask = AUDIT_STATUS_ENABLED,
			.enabled = on,
		},
	};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
	} answer;

	if (send(scene.audit, &message, sizeof(message), 0) < 0 ||
	    recv(scene.audit, &answer, sizeof(answer), 0) < 0)
		return -errno;
	return answer.head.nlmsg_type == NLMSG_ERROR ? answer.error.error : 0;
}

static int start_logging(void)
{
	scene.audit = make_socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
	if (scene.audit < 0)
		return scene.audit;
	return write_text(EVENTS, "1");
}

static int stop_logging(void)
{
	const int ret = set_audit(false);

	close(scene.audit);
	return ret ? ret : write_text(EVENTS, "0");
}

/* Preparing a round */

static __u64 outer_net(const FIXTURE_VARIANT(faults) *variant)
{
	return variant->outer_net ? variant->outer_net :
				    BIND_TCP | CONNECT_TCP;
}

/* Adds a rule as those of the test are: with an address if it is extended. */
static int add_one(const FIXTURE_VARIANT(faults) *variant, int fd, int port,
		   __u64 access)
{
	int ret;

	if (!variant->is_extended)
		return add_port(fd, port, access);
	/* Where look_at_ports() looks, and where calls go. */
	ret = add_net(fd, access, port, port, "192.0.2.1/32");
	return ret ? ret : add_net(fd, access, port, port, "127.0.0.1/32");
}

static int new_ruleset(const FIXTURE_VARIANT(faults) *variant, __u64 net,
		       __u64 fs)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_net = net,
		.handled_access_fs = fs,
	};
	int fd, ret;

	if (!variant->is_extended)
		return create_ruleset(&attr, sizeof(attr), 0);
	fd = variant->observed ?
		     observed_with(scene.observer, COOKIE, net, 0,
				   variant->permissions) :
		     extended(net, variant->permissions);
	if (fd < 0 || !variant->permissions)
		return fd;
	/* To look around takes such sockets. */
	ret = add_socket(fd, AF_INET, -1, 0);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

static int add_layers(const FIXTURE_VARIANT(faults) *variant, int num)
{
	const int fd = new_ruleset(variant, outer_net(variant), 0);
	int port, i, ret = 0;

	if (fd < 0)
		return fd;
	for (port = 0; !ret && port < scene.num_ports; port++) {
		if (port == SHUT_PORT ||
		    (port == 0 && !variant->allows_autobind))
			continue;
		ret = add_one(variant, fd, port, outer_net(variant));
	}
	for (i = 0; !ret && i < num; i++)
		ret = restrict_self(fd, variant->permissive ?
				    PORTLOCK_RESTRICT_SELF_PERMISSIVE : 0);
	close(fd);
	return ret;
}

/* Adds rules that are different for each port and right. */
static int fill_ruleset(const FIXTURE_VARIANT(faults) *variant)
{
	int port, ret = 0;

	for (port = 1; !ret && port <= variant->num_rules; port++)
		ret = add_one(variant, scene.ruleset, port,
			      port % 2 ? variant->net :
					 variant->net & BIND_TCP);
	if (!ret && variant->has_opened)
		ret = add_opened(scene.ruleset, CONNECT_TCP, scene.opened);
	return ret;
}

static int start_siblings(void)
{
	struct sight sight;
	int i, ret;

	for (i = 0; i < NUM_SIBLINGS; i++) {
		struct sibling *const sibling = &scene.siblings[i];

		sibling->other_user = i == NUM_SIBLINGS - 1;
		if (pipe2(sibling->command, O_CLOEXEC) ||
		    pipe2(sibling->answer, O_CLOEXEC))
			return -errno;
		ret = pthread_create(&sibling->thread, NULL, work, sibling);
		if (ret)
			return -ret;
		/* When the sibling answers, it has changed its credentials. */
		ret = look_at_sibling(sibling, &sight);
		if (ret)
			return ret;
		sibling->fail_nth = open_fail_nth(sibling->tid);
		if (sibling->fail_nth < 0)
			return sibling->fail_nth;
	}
	return 0;
}

static int make_test_socket(const FIXTURE_VARIANT(faults) *variant)
{
	int ret = 0;

	scene.socket = make_socket(AF_INET, variant->type, 0);
	if (scene.socket < 0)
		return scene.socket;
	/* UDP sends to the port of the variant, and TCP listens on it. */
	if (variant->is_bound)
		ret = bind_fd(scene.socket, AF_INET,
			      variant->type == SOCK_DGRAM ? OPEN_PORT :
							    variant->port);
	return ret;
}

/* If @ret is an error, writes it and @what to the report. */
static bool is_fine(const char *what, int ret)
{
	if (ret >= 0)
		return true;
	scene.report->trouble = what;
	scene.report->trouble_error = ret;
	return false;
}

static bool prepare(const FIXTURE_VARIANT(faults) *variant)
{
	scene.ruleset = -1;
	scene.observer = -1;
	scene.opened = -1;
	/* Opens all files of the round before it restricts itself. */
	scene.fail_nth = open_fail_nth(gettid());
	if (!is_fine("fail-nth", scene.fail_nth))
		return false;
	scene.tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!is_fine("/tmp", scene.tmp))
		return false;
	/* procfs returns ENOENT if there is no memory. */
	scene.program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	if (!is_fine("program", scene.program))
		return false;
	if (variant->type && !is_fine("socket", make_test_socket(variant)))
		return false;
	if (variant->observed) {
		scene.observer = new_nonblocking_observer();
		if (!is_fine("observer", scene.observer))
			return false;
	}
	if (variant->is_extended) {
		scene.opened = make_socket(AF_INET, SOCK_STREAM, 0);
		if (!is_fine("socket", scene.opened))
			return false;
	}
	if (variant->net || variant->fs || variant->permissions) {
		scene.ruleset = new_ruleset(variant, variant->net,
					    variant->fs);
		if (!is_fine("ruleset", scene.ruleset) ||
		    !is_fine("rules", fill_ruleset(variant)))
			return false;
	}
	if (variant->was_enforced && !is_fine("freezing", freeze_ruleset()))
		return false;
	if (variant->outer &&
	    !is_fine("outer layers", add_layers(variant, variant->outer)))
		return false;
	if (variant->siblings && !is_fine("siblings", start_siblings()))
		return false;
	return !variant->own ||
	       is_fine("own layers", add_layers(variant, variant->own));
}

/* Calls */

static int call_create_ruleset(const FIXTURE_VARIANT(faults) *variant)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_net = ALL_NET,
		.handled_access_fs = LANDLOCK_ACCESS_FS_READ_DIR,
		.scoped = LANDLOCK_SCOPE_SIGNAL,
	};
	const int ret = create_ruleset(&attr, sizeof(attr), 0);

	if (ret < 0)
		return ret;
	scene.ruleset = ret;
	return 0;
}

static int call_add_port(const FIXTURE_VARIANT(faults) *variant)
{
	return add_port(scene.ruleset, variant->port, BIND_TCP | CONNECT_TCP);
}

static int call_create_extended(const FIXTURE_VARIANT(faults) *variant)
{
	const int fd = extended(TCP | UDP, SOCKET_CREATE);
	int ret;

	if (fd < 0)
		return fd;
	/* To look around takes such sockets. */
	ret = add_socket(fd, AF_INET, -1, 0);
	if (ret) {
		close(fd);
		return ret;
	}
	scene.ruleset = fd;
	return 0;
}

static int call_add_net(const FIXTURE_VARIANT(faults) *variant)
{
	return add_net(scene.ruleset, BIND_TCP | CONNECT_TCP, variant->port,
		       variant->port + 1, "192.0.2.0/24");
}

static int call_add_socket(const FIXTURE_VARIANT(faults) *variant)
{
	return add_socket(scene.ruleset, AF_UNIX, SOCK_DGRAM, 0);
}

static int call_create_observer(const FIXTURE_VARIANT(faults) *variant)
{
	const int ret = new_observer();

	if (ret < 0)
		return ret;
	scene.observer = ret;
	return fcntl(ret, F_SETFL, O_NONBLOCK) ? -errno : 0;
}

static int call_create_observed(const FIXTURE_VARIANT(faults) *variant)
{
	const int ret = observed(scene.observer, TCP);

	if (ret < 0)
		return ret;
	scene.ruleset = ret;
	return 0;
}

static int call_add_opened(const FIXTURE_VARIANT(faults) *variant)
{
	return add_opened(scene.ruleset, BIND_TCP, scene.opened);
}

static int call_add_path(const FIXTURE_VARIANT(faults) *variant)
{
	const struct landlock_path_beneath_attr attr = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_DIR,
		.parent_fd = scene.tmp,
	};

	return add_rule(scene.ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0);
}

static int call_restrict_self(const FIXTURE_VARIANT(faults) *variant)
{
	return restrict_self(variant->no_ruleset ? -1 : scene.ruleset,
			     variant->flags);
}

/* The child is as restricted as its parent, or there is no child. */
static int call_fork(const FIXTURE_VARIANT(faults) *variant)
{
	const pid_t child = fork();

	if (child == 0) {
		look(&scene.report->child);
		_exit(0);
	}
	return child < 0 ? -errno : wait_child(child);
}

/*
 * The test executes its own program.  With this variable, the program only
 * looks at what it may do.  The variable contains the descriptor of the report
 * and the number of ports.
 */
#define PROBE_ENV "PORTLOCK_FAULTS_PROBE"

static void __attribute__((constructor)) probe(void)
{
	const char *const told = getenv(PROBE_ENV);
	struct report *report;
	int fail_nth, report_fd, left;

	if (!told)
		return;
	/* An allocation may still fail here, but only one. */
	fail_nth = open_fail_nth(gettid());
	if (fail_nth < 0)
		fail_nth = open_fail_nth(gettid());
	if (fail_nth < 0 ||
	    sscanf(told, "%d,%d", &report_fd, &scene.num_ports) != 2)
		_exit(1);
	left = disarm(fail_nth);
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED,
		      report_fd, 0);
	if (left < 0 || report == MAP_FAILED)
		_exit(1);
	report->injected = left == 0;
	look(&report->child);
	_exit(0);
}

static int exec_with_fault(void)
{
	char value[32];
	char *const argv[] = { "faults_test", NULL };
	char *const envp[] = { value, NULL };
	const int fail_nth = open_fail_nth(gettid());
	int ret, left;

	snprintf(value, sizeof(value), PROBE_ENV "=%d,%d", scene.report_fd,
		 scene.num_ports);
	if (fail_nth < 0)
		return fail_nth;
	ret = arm(fail_nth, scene.nth);
	if (ret)
		return ret;
	syscall(__NR_execveat, scene.program, "", argv, envp, AT_EMPTY_PATH);
	ret = -errno;
	left = disarm(fail_nth);
	if (left < 0)
		return left;
	scene.report->injected = left == 0;
	return ret;
}

static int call_exec(const FIXTURE_VARIANT(faults) *variant)
{
	pid_t child;
	int status;

	/* This value stays if the process is killed. */
	scene.report->injected = true;
	child = fork();
	if (child == 0)
		_exit(-exec_with_fault());
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -errno;
	/* After its point of no return, execve(2) cannot return an error. */
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGKILL ||
				       WTERMSIG(status) == SIGSEGV ||
				       WTERMSIG(status) == SIGABRT ?
			       KILLED :
			       -EPROTO;
	/* The C library exits with this status if it cannot allocate memory. */
	if (WEXITSTATUS(status) == 127)
		return KILLED;
	return -WEXITSTATUS(status);
}

static int call_bind(const FIXTURE_VARIANT(faults) *variant)
{
	return bind_fd(scene.socket, AF_INET, variant->port);
}

static int call_connect(const FIXTURE_VARIANT(faults) *variant)
{
	return connect_fd(scene.socket, AF_INET, variant->port);
}

static int call_send(const FIXTURE_VARIANT(faults) *variant)
{
	return send_fd_to(scene.socket, AF_INET, variant->port);
}

static int call_listen(const FIXTURE_VARIANT(faults) *variant)
{
	return try_listen(scene.socket);
}

static int call_socket(const FIXTURE_VARIANT(faults) *variant)
{
	return new_socket(AF_UNIX, SOCK_DGRAM, 0);
}

static int call_set_option(const FIXTURE_VARIANT(faults) *variant)
{
	return set_option(scene.socket, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
}

static int call_shutdown(const FIXTURE_VARIANT(faults) *variant)
{
	return shutdown(scene.socket, SHUT_RDWR) ? -errno : 0;
}

/* Rounds */

enum round {
	/* Looks, and makes no call. */
	UNTOUCHED,
	/* Calls without a fault. */
	CLEAN,
	FAULT,
};

static bool arms_itself(const FIXTURE_VARIANT(faults) *variant)
{
	return variant->call == call_exec;
}

/*
 * Audit is on only for the call.  The records of what the test tries when it
 * looks around can cost more than all the rest.
 */
static bool turn_audit(const FIXTURE_VARIANT(faults) *variant, bool on)
{
	return !variant->logged || is_fine("audit", set_audit(on));
}

static void run(const FIXTURE_VARIANT(faults) *variant, enum round round)
{
	struct report *const report = scene.report;
	bool injected;
	int left, fd;

	if (!prepare(variant) || !turn_audit(variant, true))
		return;
	fd = variant->in_sibling ? scene.siblings[NUM_SIBLINGS - 1].fail_nth :
				   scene.fail_nth;

	if (round == FAULT && !arms_itself(variant) &&
	    !is_fine("arm", arm(fd, scene.nth)))
		return;
	if (round != UNTOUCHED)
		report->ret = variant->call(variant);
	left = disarm(fd);
	if (!is_fine("disarm", left) || !turn_audit(variant, false))
		return;
	if (!arms_itself(variant))
		report->injected = round == FAULT && left == 0;
	if (!is_fine("view", take_view(&report->after, variant->siblings)))
		return;
	if (round != FAULT || report->ret == variant->clean)
		return;

	scene.nth = 0;
	injected = report->injected;
	if (!turn_audit(variant, true))
		return;
	report->again = variant->call(variant);
	report->injected = injected;
	if (turn_audit(variant, false))
		is_fine("second view", take_view(&report->after_again,
						 variant->siblings));
}

static int run_round(const FIXTURE_VARIANT(faults) *variant, enum round round,
		     unsigned int nth)
{
	pid_t child;

	memset(scene.report, 0, sizeof(*scene.report));
	scene.nth = nth;
	/*
	 * A round is over before the test goes on.  So it can use the memory of
	 * the test, and needs no copy.  Only threads do: their stacks would stay.
	 */
	child = variant->siblings ? fork() : vfork();
	if (child == 0) {
		run(variant, round);
		_exit(0);
	}
	return child < 0 ? -errno : wait_child(child);
}

static bool may_fail_with(const FIXTURE_VARIANT(faults) *variant, int error)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(variant->errors); i++) {
		if (variant->errors[i] && error == -variant->errors[i])
			return true;
	}
	return false;
}

static bool same(const struct view *one, const struct view *other)
{
	return !memcmp(one, other, sizeof(*one));
}

static bool has_errors(const struct view *view)
{
	return view->caller.error || view->siblings[0].error ||
	       view->siblings[1].error || view->child.error;
}

FIXTURE_SETUP(faults)
{
	int i, fd;

	if (variant->is_extended && is_c_landlock())
		SKIP(return, C_LANDLOCK);
	if (access("/proc/self/fail-nth", W_OK))
		SKIP(return, "the kernel injects no faults");
	ASSERT_EQ(0, mount_debugfs());
	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		const int ret = turn_knob(i, false);

		if (ret == -ENOENT)
			SKIP(return, "the kernel has no %s", knobs[i].name);
		ASSERT_EQ(0, ret);
	}

	ASSERT_EQ(0, own_network());
	fd = memfd_create("report", 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, sizeof(struct report)));
	scene.report = mmap(NULL, sizeof(struct report),
			    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, scene.report);
	scene.report_fd = fd;
	scene.num_ports = variant->num_rules + 8;
	ASSERT_GE(MAX_PORTS, scene.num_ports);

	if (variant->logged) {
		const int ret = start_logging();

		if (ret == -ENOENT || ret == -EPROTONOSUPPORT)
			SKIP(return, "the kernel has no audit or no events");
		ASSERT_EQ(0, ret);
	}
}

FIXTURE_TEARDOWN(faults)
{
	int i;

	if (variant->logged)
		EXPECT_EQ(0, stop_logging());
	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		EXPECT_EQ(0, turn_knob(i, true));
}

/* Seconds, for a kernel with checkers in a guest without KVM. */
#define TIMEOUT 600

TEST_F_TIMEOUT(faults, every_allocation, TIMEOUT)
{
	const struct report *const report = scene.report;
	int faults = 0, failures = 0, silent = 0, spare = 0;
	struct view untouched, clean;
	unsigned int nth;

	ASSERT_EQ(0, run_round(variant, UNTOUCHED, 0));
	ASSERT_EQ(NULL, report->trouble)
		TH_LOG("%s: %s", report->trouble,
		       strerror(-report->trouble_error));
	untouched = report->after;
	ASSERT_FALSE(has_errors(&untouched));

	ASSERT_EQ(0, run_round(variant, CLEAN, 0));
	ASSERT_EQ(NULL, report->trouble);
	ASSERT_EQ(variant->clean, report->ret);
	clean = report->after;
	ASSERT_FALSE(has_errors(&clean));
	/* Otherwise the checks below could not see the effect of the call. */
	ASSERT_EQ(variant->no_trace, same(&untouched, &clean));

	for (nth = 1; spare < SPARE_ROUNDS; nth++) {
		ASSERT_GT(MAX_FAULTS, nth);
		ASSERT_EQ(0, run_round(variant, FAULT, nth));
		ASSERT_EQ(NULL, report->trouble)
			TH_LOG("fault %u: %s: %s", nth, report->trouble,
			       strerror(-report->trouble_error));
		if (report->injected)
			faults++;
		spare = report->injected ? 0 : spare + 1;

		if (report->ret == variant->clean) {
			silent += report->injected;
			EXPECT_TRUE(same(&clean, &report->after))
				TH_LOG("fault %u, which the call survived",
				       nth);
			continue;
		}
		failures++;
		EXPECT_TRUE(report->injected)
			TH_LOG("%s without a fault", strerror(-report->ret));
		EXPECT_TRUE(may_fail_with(variant, report->ret))
			TH_LOG("fault %u: %s", nth, strerror(-report->ret));
		EXPECT_TRUE(same(&untouched, &report->after))
			TH_LOG("fault %u changed something", nth);
		EXPECT_EQ(variant->clean, report->again)
			TH_LOG("fault %u: the second call: %s", nth,
			       strerror(-report->again));
		EXPECT_TRUE(same(&clean, &report->after_again))
			TH_LOG("fault %u changed what comes after", nth);
	}
	TH_LOG("%d faults: the call failed %d times and worked %d times",
	       faults, failures, silent);
	if (!variant->maybe_no_memory)
		EXPECT_LT(0, faults);
	if (variant->max_failures)
		EXPECT_GE(variant->max_failures, failures);
}

/* The table of cases */

#undef TCP
#define TCP (BIND_TCP | CONNECT_TCP)
#define READ_DIR LANDLOCK_ACCESS_FS_READ_DIR
#define TSYNC LANDLOCK_RESTRICT_SELF_TSYNC

FIXTURE_VARIANT_ADD(faults, create_ruleset)
{
	.call = call_create_ruleset,
	.errors = { ENOMEM },
};

FIXTURE_VARIANT_ADD(faults, add_first_port)
{
	.call = call_add_port,
	.errors = { ENOMEM },
	.net = TCP,
	.port = 1,
};

FIXTURE_VARIANT_ADD(faults, add_new_port)
{
	.call = call_add_port,
	.errors = { ENOMEM },
	.net = TCP,
	.num_rules = 3,
	.port = 5,
};

FIXTURE_VARIANT_ADD(faults, add_known_port)
{
	.call = call_add_port,
	.errors = { ENOMEM },
	.net = TCP,
	.num_rules = 3,
	.port = 2,
	.maybe_no_memory = true,
};

FIXTURE_VARIANT_ADD(faults, add_new_port_after_enforcing_one_rule)
{
	.call = call_add_port,
	.errors = { ENOMEM },
	.net = TCP,
	.num_rules = 1,
	.was_enforced = true,
	.port = 3,
};

FIXTURE_VARIANT_ADD(faults, add_first_port_after_enforcing_no_rule)
{
	.call = call_add_port,
	.errors = { ENOMEM },
	.net = TCP,
	.was_enforced = true,
	.port = 3,
};

FIXTURE_VARIANT_ADD(faults, add_new_port_after_enforcing_many_rules)
{
	.call = call_add_port,
	.errors = { ENOMEM },
	.net = TCP,
	.num_rules = COPIED_RULES,
	.was_enforced = true,
	.port = COPIED_RULES + 2,
};

/* C Landlock copies rules only when it enforces, and needs no memory here. */
FIXTURE_VARIANT_ADD(faults, add_known_port_after_enforcing_many_rules)
{
	.call = call_add_port,
	.errors = { ENOMEM },
	.net = TCP,
	.num_rules = COPIED_RULES,
	.was_enforced = true,
	.port = COPIED_RULES / 2,
	.maybe_no_memory = true,
};

FIXTURE_VARIANT_ADD(faults, add_path)
{
	.call = call_add_path,
	.errors = { ENOMEM },
	.net = TCP,
	.fs = READ_DIR,
	.num_rules = 3,
};

FIXTURE_VARIANT_ADD(faults, add_path_after_enforcing)
{
	.call = call_add_path,
	.errors = { ENOMEM },
	.net = TCP,
	.fs = READ_DIR,
	.num_rules = 3,
	.was_enforced = true,
};

FIXTURE_VARIANT_ADD(faults, restrict_first_layer)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.net = TCP,
	.num_rules = 3,
};

FIXTURE_VARIANT_ADD(faults, restrict_first_layer_without_rules)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.net = TCP,
};

FIXTURE_VARIANT_ADD(faults, restrict_first_layer_of_many_rules)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.net = TCP,
	.num_rules = MANY_RULES,
};

FIXTURE_VARIANT_ADD(faults, restrict_first_layer_of_paths)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.fs = READ_DIR,
};

FIXTURE_VARIANT_ADD(faults, restrict_first_layer_of_both)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.net = TCP,
	.fs = READ_DIR,
	.num_rules = 3,
};

FIXTURE_VARIANT_ADD(faults, restrict_with_frozen_rules)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.net = TCP,
	.num_rules = 3,
	.was_enforced = true,
};

FIXTURE_VARIANT_ADD(faults, restrict_inner_layer)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.net = TCP,
	.num_rules = 3,
	.outer = 1,
};

FIXTURE_VARIANT_ADD(faults, restrict_inner_layer_of_both)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.net = TCP,
	.fs = READ_DIR,
	.num_rules = 3,
	.outer = 1,
};

FIXTURE_VARIANT_ADD(faults, restrict_inner_layer_of_paths)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.fs = READ_DIR,
	.outer = 1,
};

FIXTURE_VARIANT_ADD(faults, restrict_sixteenth_layer)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.net = TCP,
	.fs = READ_DIR,
	.num_rules = 3,
	.outer = MAX_LAYERS - 1,
};

FIXTURE_VARIANT_ADD(faults, restrict_with_log_flags)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.net = TCP,
	.num_rules = 3,
	.outer = 1,
	.flags = LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF |
		 LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON |
		 LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF,
};

FIXTURE_VARIANT_ADD(faults, restrict_with_no_new_privs)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.net = TCP,
	.num_rules = 3,
	.flags = LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS,
};

/* With trace events of the ruleset and of the domain. */
FIXTURE_VARIANT_ADD(faults, restrict_while_logged)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.net = TCP,
	.fs = READ_DIR,
	.num_rules = 3,
	.outer = 1,
	.logged = true,
};

FIXTURE_VARIANT_ADD(faults, restrict_the_log)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.outer = 1,
	.no_ruleset = true,
	.flags = LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF,
	.no_trace = true,
};

FIXTURE_VARIANT_ADD(faults, restrict_siblings)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.net = TCP,
	.num_rules = 3,
	.siblings = true,
	.flags = TSYNC,
};

FIXTURE_VARIANT_ADD(faults, restrict_siblings_of_whom_one_fails)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.net = TCP,
	.num_rules = 3,
	.siblings = true,
	.in_sibling = true,
	.flags = TSYNC | LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS,
};

FIXTURE_VARIANT_ADD(faults, restrict_siblings_with_inner_layer)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.net = TCP,
	.fs = READ_DIR,
	.num_rules = 3,
	.outer = 1,
	.siblings = true,
	.flags = TSYNC | LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS,
};

FIXTURE_VARIANT_ADD(faults, restrict_siblings_outside_the_domain)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.net = TCP,
	.num_rules = 3,
	.own = 2,
	.siblings = true,
	.in_sibling = true,
	.flags = TSYNC,
};

FIXTURE_VARIANT_ADD(faults, restrict_siblings_with_sixteenth_layer)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.net = TCP,
	.num_rules = 3,
	.own = MAX_LAYERS - 1,
	.siblings = true,
	.flags = TSYNC,
};

/* All siblings get the domain of the caller. */
FIXTURE_VARIANT_ADD(faults, restrict_the_log_of_siblings)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.own = 1,
	.siblings = true,
	.no_ruleset = true,
	.flags = TSYNC | LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF,
};

FIXTURE_VARIANT_ADD(faults, restrict_the_log_of_a_sibling_that_fails)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.own = 1,
	.siblings = true,
	.in_sibling = true,
	.no_ruleset = true,
	.flags = TSYNC | LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF,
};

FIXTURE_VARIANT_ADD(faults, fork)
{
	.call = call_fork,
	.errors = { ENOMEM, EAGAIN },
	.outer = 2,
};

/* Without memory, execve(2) may also return E2BIG or ENOEXEC. */
FIXTURE_VARIANT_ADD(faults, exec)
{
	.call = call_exec,
	.errors = { ENOMEM, E2BIG, ENOEXEC, -KILLED },
	.outer = 2,
};

/*
 * A refused call stays refused if there is no memory for its record.  Only one
 * allocation may make the call fail in another way: if audit has ever been on,
 * the kernel copies the address before it calls the hook (audit_sockaddr()).
 */
#define MAY_FAIL_BEFORE_THE_HOOK .errors = { ENOMEM }, .max_failures = 1

FIXTURE_VARIANT_ADD(faults, bind_allowed)
{
	.call = call_bind,
	.errors = { ENOMEM, ENOBUFS, EADDRINUSE },
	.outer = 2,
	.type = SOCK_STREAM,
	.port = OPEN_PORT,
	.no_trace = true,
};

FIXTURE_VARIANT_ADD(faults, bind_allowed_while_logged)
{
	.call = call_bind,
	.errors = { ENOMEM, ENOBUFS, EADDRINUSE },
	.outer = 2,
	.type = SOCK_STREAM,
	.port = OPEN_PORT,
	.no_trace = true,
	.logged = true,
};

FIXTURE_VARIANT_ADD(faults, bind_denied)
{
	.call = call_bind,
	.clean = -EACCES,
	MAY_FAIL_BEFORE_THE_HOOK,
	.outer = 2,
	.type = SOCK_STREAM,
	.port = SHUT_PORT,
	.no_trace = true,
	.maybe_no_memory = true,
};

FIXTURE_VARIANT_ADD(faults, bind_denied_while_logged)
{
	.call = call_bind,
	.clean = -EACCES,
	MAY_FAIL_BEFORE_THE_HOOK,
	.outer = 2,
	.type = SOCK_STREAM,
	.port = SHUT_PORT,
	.no_trace = true,
	.logged = true,
};

FIXTURE_VARIANT_ADD(faults, connect_allowed)
{
	.call = call_connect,
	.errors = { ENOMEM, ENOBUFS, EADDRNOTAVAIL },
	.clean = -ECONNREFUSED,
	.outer = 2,
	.type = SOCK_STREAM,
	.port = OPEN_PORT,
	.no_trace = true,
};

FIXTURE_VARIANT_ADD(faults, connect_allowed_while_logged)
{
	.call = call_connect,
	.errors = { ENOMEM, ENOBUFS, EADDRNOTAVAIL },
	.clean = -ECONNREFUSED,
	.outer = 2,
	.type = SOCK_STREAM,
	.port = OPEN_PORT,
	.no_trace = true,
	.logged = true,
};

FIXTURE_VARIANT_ADD(faults, connect_denied)
{
	.call = call_connect,
	.clean = -EACCES,
	MAY_FAIL_BEFORE_THE_HOOK,
	.outer = 2,
	.type = SOCK_STREAM,
	.port = SHUT_PORT,
	.no_trace = true,
	.maybe_no_memory = true,
};

FIXTURE_VARIANT_ADD(faults, connect_denied_while_logged)
{
	.call = call_connect,
	.clean = -EACCES,
	MAY_FAIL_BEFORE_THE_HOOK,
	.outer = 2,
	.type = SOCK_STREAM,
	.port = SHUT_PORT,
	.no_trace = true,
	.logged = true,
};

FIXTURE_VARIANT_ADD(faults, send_allowed)
{
	.call = call_send,
	.errors = { ENOMEM, ENOBUFS, EAGAIN },
	.outer = 2,
	.outer_net = ALL_NET,
	.type = SOCK_DGRAM,
	.is_bound = true,
	.port = OPEN_PORT,
	.no_trace = true,
};

FIXTURE_VARIANT_ADD(faults, send_allowed_while_logged)
{
	.call = call_send,
	.errors = { ENOMEM, ENOBUFS, EAGAIN },
	.outer = 2,
	.outer_net = ALL_NET,
	.type = SOCK_DGRAM,
	.is_bound = true,
	.port = OPEN_PORT,
	.no_trace = true,
	.logged = true,
};

FIXTURE_VARIANT_ADD(faults, send_denied)
{
	.call = call_send,
	.clean = -EACCES,
	MAY_FAIL_BEFORE_THE_HOOK,
	.outer = 2,
	.outer_net = ALL_NET,
	.type = SOCK_DGRAM,
	.is_bound = true,
	.port = SHUT_PORT,
	.no_trace = true,
	.maybe_no_memory = true,
};

FIXTURE_VARIANT_ADD(faults, send_denied_while_logged)
{
	.call = call_send,
	.clean = -EACCES,
	MAY_FAIL_BEFORE_THE_HOOK,
	.outer = 2,
	.outer_net = ALL_NET,
	.type = SOCK_DGRAM,
	.is_bound = true,
	.port = SHUT_PORT,
	.no_trace = true,
	.logged = true,
};

FIXTURE_VARIANT_ADD(faults, autobind_allowed)
{
	.call = call_send,
	.errors = { ENOMEM, ENOBUFS, EAGAIN },
	.outer = 2,
	.outer_net = ALL_NET,
	.allows_autobind = true,
	.type = SOCK_DGRAM,
	.port = OPEN_PORT,
	.no_trace = true,
};

FIXTURE_VARIANT_ADD(faults, autobind_allowed_while_logged)
{
	.call = call_send,
	.errors = { ENOMEM, ENOBUFS, EAGAIN },
	.outer = 2,
	.outer_net = ALL_NET,
	.allows_autobind = true,
	.type = SOCK_DGRAM,
	.port = OPEN_PORT,
	.no_trace = true,
	.logged = true,
};

FIXTURE_VARIANT_ADD(faults, autobind_denied)
{
	.call = call_send,
	.clean = -EACCES,
	MAY_FAIL_BEFORE_THE_HOOK,
	.outer = 2,
	.outer_net = ALL_NET,
	.type = SOCK_DGRAM,
	.port = OPEN_PORT,
	.no_trace = true,
	.maybe_no_memory = true,
};

FIXTURE_VARIANT_ADD(faults, autobind_denied_while_logged)
{
	.call = call_connect,
	.clean = -EACCES,
	MAY_FAIL_BEFORE_THE_HOOK,
	.outer = 2,
	.outer_net = ALL_NET,
	.type = SOCK_DGRAM,
	.port = OPEN_PORT,
	.no_trace = true,
	.logged = true,
};

/* Extended rulesets, with rules about addresses */

FIXTURE_VARIANT_ADD(faults, create_extended)
{
	.call = call_create_extended,
	.errors = { ENOMEM },
	.is_extended = true,
};

FIXTURE_VARIANT_ADD(faults, add_first_net)
{
	.call = call_add_net,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.port = 1,
};

FIXTURE_VARIANT_ADD(faults, add_new_net)
{
	.call = call_add_net,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.num_rules = 3,
	.port = 5,
};

FIXTURE_VARIANT_ADD(faults, add_new_net_after_enforcing)
{
	.call = call_add_net,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.num_rules = 3,
	.was_enforced = true,
	.port = 5,
};

/* There are two rules for each port. */
FIXTURE_VARIANT_ADD(faults, add_new_net_after_enforcing_many_rules)
{
	.call = call_add_net,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.permissions = SOCKET_CREATE,
	.num_rules = COPIED_RULES / 2,
	.was_enforced = true,
	.port = COPIED_RULES / 2 + 2,
};

FIXTURE_VARIANT_ADD(faults, add_port_beside_nets)
{
	.call = call_add_port,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.num_rules = 3,
	.port = 5,
};

FIXTURE_VARIANT_ADD(faults, add_socket)
{
	.call = call_add_socket,
	.errors = { ENOMEM },
	.is_extended = true,
	.permissions = SOCKET_CREATE,
};

FIXTURE_VARIANT_ADD(faults, add_socket_after_enforcing)
{
	.call = call_add_socket,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.permissions = SOCKET_CREATE,
	.num_rules = 3,
	.was_enforced = true,
};

FIXTURE_VARIANT_ADD(faults, restrict_first_layer_of_nets)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.num_rules = 3,
};

FIXTURE_VARIANT_ADD(faults, restrict_first_layer_of_many_nets)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.permissions = SOCKET_CREATE,
	.num_rules = MANY_RULES,
};

FIXTURE_VARIANT_ADD(faults, restrict_first_layer_of_sockets)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.is_extended = true,
	.permissions = SOCKET_CREATE,
};

FIXTURE_VARIANT_ADD(faults, restrict_with_frozen_nets)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.num_rules = 3,
	.was_enforced = true,
};

FIXTURE_VARIANT_ADD(faults, restrict_inner_layer_of_nets)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.permissions = SOCKET_CREATE,
	.num_rules = 3,
	.outer = 1,
};

FIXTURE_VARIANT_ADD(faults, restrict_sixteenth_layer_of_nets)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.num_rules = 3,
	.outer = MAX_LAYERS - 1,
};

FIXTURE_VARIANT_ADD(faults, restrict_nets_while_logged)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.num_rules = 3,
	.outer = 1,
	.logged = true,
};

FIXTURE_VARIANT_ADD(faults, restrict_siblings_with_nets)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.num_rules = 3,
	.siblings = true,
	.flags = TSYNC,
};

FIXTURE_VARIANT_ADD(faults, bind_allowed_by_address)
{
	.call = call_bind,
	.errors = { ENOMEM, ENOBUFS, EADDRINUSE },
	.is_extended = true,
	.outer = 2,
	.type = SOCK_STREAM,
	.port = OPEN_PORT,
	.no_trace = true,
};

FIXTURE_VARIANT_ADD(faults, connect_denied_by_address_while_logged)
{
	.call = call_connect,
	.clean = -EACCES,
	MAY_FAIL_BEFORE_THE_HOOK,
	.is_extended = true,
	.outer = 2,
	.type = SOCK_STREAM,
	.port = SHUT_PORT,
	.no_trace = true,
	.logged = true,
};

FIXTURE_VARIANT_ADD(faults, send_allowed_by_address)
{
	.call = call_send,
	.errors = { ENOMEM, ENOBUFS, EAGAIN },
	.is_extended = true,
	.outer = 2,
	.outer_net = ALL_NET,
	.type = SOCK_DGRAM,
	.is_bound = true,
	.port = OPEN_PORT,
	.no_trace = true,
};

FIXTURE_VARIANT_ADD(faults, listen_denied)
{
	.call = call_listen,
	.clean = -EACCES,
	.is_extended = true,
	.outer = 2,
	.outer_net = TCP | LISTEN_TCP,
	.type = SOCK_STREAM,
	.is_bound = true,
	.port = SHUT_PORT,
	.no_trace = true,
	.maybe_no_memory = true,
};

FIXTURE_VARIANT_ADD(faults, socket_denied_while_logged)
{
	.call = call_socket,
	.clean = -EACCES,
	.is_extended = true,
	.permissions = SOCKET_CREATE,
	.outer = 2,
	.no_trace = true,
	.logged = true,
};

FIXTURE_VARIANT_ADD(faults, option_denied_while_logged)
{
	.call = call_set_option,
	.clean = -EACCES,
	.is_extended = true,
	.outer = 2,
	.type = SOCK_STREAM,
	.no_trace = true,
	.logged = true,
};

/* By the service port, which is 0. */
FIXTURE_VARIANT_ADD(faults, shutdown_denied_while_logged)
{
	.call = call_shutdown,
	.clean = -EACCES,
	.is_extended = true,
	.outer = 2,
	.outer_net = SHUTDOWN_TCP,
	.type = SOCK_STREAM,
	.no_trace = true,
	.logged = true,
};

/* Observers, permissive layers, and rules about a socket */

FIXTURE_VARIANT_ADD(faults, create_observer)
{
	.call = call_create_observer,
	.errors = { ENOMEM },
	.is_extended = true,
};

FIXTURE_VARIANT_ADD(faults, create_observed)
{
	.call = call_create_observed,
	.errors = { ENOMEM },
	.is_extended = true,
	.observed = true,
};

FIXTURE_VARIANT_ADD(faults, add_opened)
{
	.call = call_add_opened,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
};

FIXTURE_VARIANT_ADD(faults, add_known_opened_after_enforcing)
{
	.call = call_add_opened,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.num_rules = 3,
	.has_opened = true,
	.was_enforced = true,
};

FIXTURE_VARIANT_ADD(faults, restrict_first_layer_of_opened)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.has_opened = true,
};

FIXTURE_VARIANT_ADD(faults, restrict_observed)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.observed = true,
	.num_rules = 3,
	.outer = 1,
};

FIXTURE_VARIANT_ADD(faults, restrict_permissive)
{
	.call = call_restrict_self,
	.errors = { ENOMEM },
	.is_extended = true,
	.net = TCP,
	.observed = true,
	.num_rules = 3,
	.outer = 1,
	.flags = PORTLOCK_RESTRICT_SELF_PERMISSIVE,
};

/* There is a record whenever there is a refusal, and none else. */
FIXTURE_VARIANT_ADD(faults, bind_denied_while_observed)
{
	.call = call_bind,
	.clean = -EACCES,
	MAY_FAIL_BEFORE_THE_HOOK,
	.is_extended = true,
	.observed = true,
	.outer = 2,
	.type = SOCK_STREAM,
	.port = SHUT_PORT,
	.maybe_no_memory = true,
};

FIXTURE_VARIANT_ADD(faults, connect_denied_while_observed_and_logged)
{
	.call = call_connect,
	.clean = -EACCES,
	MAY_FAIL_BEFORE_THE_HOOK,
	.is_extended = true,
	.observed = true,
	.outer = 2,
	.type = SOCK_STREAM,
	.port = SHUT_PORT,
	.logged = true,
};

/* What a permissive layer lets pass is recorded as well. */
FIXTURE_VARIANT_ADD(faults, option_let_pass_while_logged)
{
	.call = call_set_option,
	.is_extended = true,
	.observed = true,
	.permissive = true,
	.outer = 2,
	.outer_net = SETSOCKOPT_TCP,
	.type = SOCK_STREAM,
	.logged = true,
};

TEST_HARNESS_MAIN
