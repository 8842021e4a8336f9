// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: observers and rules about single sockets, all at once
 *
 * Tasks on all processors are refused while others read, wait, close, pass the
 * observer on, and make and drop rulesets.  Each refusal says in its address
 * which one it is, so that each can be found: as one record, or in a count of
 * lost ones.
 */

#include <sys/epoll.h>

#include "races.h"
#include "connections.h"
#include "observers.h"

#define OPEN_PORT 1024

/* What hangs is ended by this signal, and the test then fails. */
static void limit_time(void)
{
	alarm(600);
}

/* Asks for the bind that has number @i, and must be refused. */
static int refused_bind(int fd, unsigned int i)
{
	union addr addr;
	const socklen_t len = loopback(&addr, AF_INET, OPEN_PORT);

	addr.in.sin_addr.s_addr = htonl(0x7f000000 | i);
	return bind(fd, &addr.sa, len) ? -errno : 0;
}

/* The number of the bind that a record is about. */
static unsigned int number_of(const struct portlock_event *event)
{
	__u32 address;

	memcpy(&address, event->address, sizeof(address));
	return ntohl(address) & 0xffffff;
}

/* Makes @num refusals in a process that @ruleset_fd restricts. */
static pid_t start_writer(int ruleset_fd, int cpu, unsigned int num)
{
	const pid_t child = fork();
	int fd, i;

	if (child)
		return child < 0 ? -errno : child;
	limit_time();
	pin(cpu);
	fd = make_socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || no_new_privs() || restrict_self(ruleset_fd, 0))
		_exit(1);
	for (i = 0; i < num; i++) {
		if (refused_bind(fd, i) != -EACCES)
			_exit(2);
	}
	_exit(0);
}

/* Whether the kernel has checkers, with which a second of work takes many. */
static bool has_checkers(void)
{
	return !access("/sys/kernel/debug/kmemleak", F_OK) ||
	       !access("/sys/kernel/debug/kcsan", F_OK);
}

#define CHECKED_DIVISOR 20

/* Streams: writers on all processors, and readers until the end */

#define MAX_WRITERS 4
#define MAX_READERS 3

/* As many refusals as an address of 127.0.0.0/8 can number, or fewer. */
#define MAX_REFUSALS (1 << 20)

enum way {
	/* Waits in read(2), and for a while after it. */
	SLOWLY = 1,
	/* Waits in read(2), poll(2) or epoll_wait(2). */
	BY_READ,
	BY_POLL,
	BY_EPOLL,
	/* Reads into a buffer that is not there, or is so for one record. */
	INTO_NOTHING,
	INTO_A_HOLE,
};

struct reader {
	pthread_t thread;
	enum way way;
	int fd;
	int epoll;
	unsigned long records;
	unsigned long lost;
	__u64 last_id;
	/* By writer, one more than the number of its last refusal. */
	unsigned int next[MAX_WRITERS];
	/* What is wrong, and the errno of a call. */
	const char *wrong;
	int error;
};

static struct {
	unsigned int num_writers;
	pid_t writers[MAX_WRITERS];
	unsigned long refusals;
	/* If a reader fails, its record may come after a later one. */
	bool in_order;
	/* There is one writer and one reader. */
	bool exact;
	/* Bits for the numbers of records, and for the refusals that came. */
	__u8 ids[MAX_REFUSALS / 4];
	__u8 refused[MAX_WRITERS][MAX_REFUSALS / 8];
} stream;

/* Sets a bit, and returns whether it was clear. */
static bool is_new(__u8 *bits, __u64 i)
{
	return !(__atomic_fetch_or(&bits[i / 8], 1 << i % 8,
				   __ATOMIC_SEQ_CST) &
		 1 << i % 8);
}

/* Returns the process of a writer, which may write before its parent knows it. */
static pid_t writer_of(__u64 cookie)
{
	pid_t writer;

	while (!(writer = __atomic_load_n(&stream.writers[cookie],
					  __ATOMIC_SEQ_CST)))
		sched_yield();
	return writer;
}

/* Returns what is wrong with a record, or NULL. */
static const char *check(struct reader *reader,
			 const struct portlock_event *event)
{
	const unsigned int number = number_of(event);

	if (event->size != sizeof(*event) || event->flags)
		return "a record has another size or flag";
	if (!event->id || event->id >= 8 * sizeof(stream.ids))
		return "a number is out of range";
	if (!is_new(stream.ids, event->id))
		return "a number came twice";
	if (stream.in_order && event->id <= reader->last_id)
		return "numbers do not rise";
	reader->last_id = event->id;
	reader->lost += event->lost;
	if (!event->access_net)
		return event->lost && !event->permissions ?
			       NULL : "a record tells nothing";

	reader->records++;
	if (event->cookie >= stream.num_writers ||
	    event->tid != writer_of(event->cookie) ||
	    event->access_net != BIND_TCP || event->port != OPEN_PORT ||
	    event->address_family != AF_INET)
		return "a record is about something else";
	if (!is_new(stream.refused[event->cookie], number))
		return "a refusal came twice";
	if (stream.in_order && number < reader->next[event->cookie])
		return "refusals are not in order";
	reader->next[event->cookie] = number + 1;
	if (stream.exact && number + 1 != reader->records + reader->lost)
		return "a loss was not told with the next record";
	return NULL;
}

/* Waits until there is more to read, if read(2) does not. */
static int wait_for_more(struct reader *reader)
{
	struct pollfd fd = {
		.fd = reader->fd,
		.events = POLLIN,
	};
	struct epoll_event event;
	const int ret = reader->way == BY_EPOLL ?
				epoll_wait(reader->epoll, &event, 1, -1) :
				poll(&fd, 1, -1);

	return ret == 1 ? 0 : -errno;
}

/* Reads once: returns how many records, or a negative errno. */
static int read_some(struct reader *reader)
{
	/* More than one buffer of the kernel's, and less than all records. */
	static __thread struct portlock_event events[64];
	const size_t page = sysconf(_SC_PAGESIZE);
	char *buffer = (char *)events;
	size_t size = sizeof(events);
	ssize_t ret;
	int i;

	if (reader->way == INTO_NOTHING || reader->way == INTO_A_HOLE) {
		static __thread char *map;

		if (!map) {
			map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			munmap(map + page, page);
		}
		size = 2 * sizeof(events[0]);
		buffer = map + page;
		if (reader->way == INTO_A_HOLE)
			buffer -= sizeof(events[0]) + 8;
	}
	ret = read(reader->fd, buffer, size);
	if (ret < 0)
		return -errno;
	if (ret % sizeof(events[0]))
		return -EIO;
	for (i = 0; !reader->wrong && i < ret / sizeof(events[0]); i++)
		reader->wrong = check(reader, (void *)(buffer +
						       i * sizeof(events[0])));
	return i;
}

static void *read_all(void *data)
{
	struct reader *const reader = data;
	int ret = 1;

	while (ret && !reader->wrong && !reader->error) {
		ret = read_some(reader);
		if (ret == -EAGAIN)
			reader->error = wait_for_more(reader);
		else if (ret < 0 && (ret != -EFAULT ||
				     reader->way != INTO_NOTHING))
			reader->error = ret;
		/* Checkers make writers slow: 150 us for a refusal. */
		if (reader->way == SLOWLY)
			pause_ms(has_checkers() ? 300 : 1);
	}
	return NULL;
}

/* The memory that grows if something leaks, in KiB. */
static long kernel_kb(void)
{
	static const char *const names[] = { "\nSUnreclaim:",
					     "\nVmallocUsed:" };
	char text[8192];
	long kb = 0;
	size_t i;

	if (read_text("/proc/meminfo", text, sizeof(text)))
		return -1;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		const char *const line = strstr(text, names[i]);

		if (!line)
			return -1;
		kb += atol(line + strlen(names[i]));
	}
	return kb;
}

/*
 * So many refusals would lose twice this, if each lost the smallest object that
 * the kernel allocates, which has eight bytes.
 */
#define LEAK_REFUSALS 1000000
#define LEAK_KB (LEAK_REFUSALS * 4 / 1024)

#define SETTLE_TRIES 40

FIXTURE(stream)
{
	int fd;
	struct reader readers[MAX_READERS];
};

FIXTURE_VARIANT(stream)
{
	unsigned int writers;
	unsigned long refusals;
	enum way ways[MAX_READERS];
};

/* clang-format off */
FIXTURE_VARIANT_ADD(stream, of_a_million_for_a_slow_reader)
{
	MAX_WRITERS, 1000000, { SLOWLY }
};
FIXTURE_VARIANT_ADD(stream, of_one_writer)
{
	1, 50000, { BY_READ }
};
FIXTURE_VARIANT_ADD(stream, of_one_writer_for_a_slow_reader)
{
	1, 50000, { SLOWLY }
};
FIXTURE_VARIANT_ADD(stream, for_some_who_wait_in_read)
{
	MAX_WRITERS, 50000, { BY_READ, BY_READ, SLOWLY }
};
FIXTURE_VARIANT_ADD(stream, for_some_who_wait_in_poll)
{
	MAX_WRITERS, 50000, { BY_POLL, BY_POLL, BY_POLL }
};
FIXTURE_VARIANT_ADD(stream, for_some_who_wait_in_epoll)
{
	MAX_WRITERS, 50000, { BY_EPOLL, BY_EPOLL, BY_POLL }
};
FIXTURE_VARIANT_ADD(stream, for_some_without_a_buffer)
{
	MAX_WRITERS, 50000, { BY_READ, INTO_NOTHING, INTO_A_HOLE }
};
/* clang-format on */

FIXTURE_SETUP(stream)
{
	cpu_set_t set;
	int i, num = 0;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, sched_getaffinity(0, sizeof(set), &set));
	for (i = 0; i < CPU_SETSIZE && num <= MAX_RACERS; i++) {
		if (CPU_ISSET(i, &set))
			cpus[num++] = i;
	}
	for (i = num; i <= MAX_RACERS; i++)
		cpus[i] = cpus[i % num];
	ASSERT_EQ(0, own_network());
	limit_time();
	self->fd = new_observer();
	ASSERT_LE(0, self->fd);
	stream.num_writers = variant->writers;
	stream.refusals = variant->refusals / variant->writers;
	if (has_checkers())
		stream.refusals /= CHECKED_DIVISOR;
	stream.in_order = variant->ways[1] != INTO_NOTHING;
	stream.exact = variant->writers == 1 && !variant->ways[1];
}

FIXTURE_TEARDOWN(stream)
{
}

/* Starts the readers, and returns how many there are. */
static int start_readers(struct reader *readers, const enum way *ways, int fd)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLET,
	};
	int i, ret;

	for (i = 0; i < MAX_READERS && ways[i]; i++) {
		readers[i].way = ways[i];
		readers[i].fd = fd;
		if (ways[i] == BY_POLL && fcntl(fd, F_SETFL, O_NONBLOCK))
			return -errno;
		if (ways[i] == BY_EPOLL) {
			readers[i].epoll = epoll_create1(EPOLL_CLOEXEC);
			if (epoll_ctl(readers[i].epoll, EPOLL_CTL_ADD, fd,
				      &event))
				return -errno;
		}
	}
	/* The file does not wait, or does, before the first of them reads. */
	for (i = 0; i < MAX_READERS && ways[i]; i++) {
		ret = pthread_create(&readers[i].thread, NULL, read_all,
				     &readers[i]);
		if (ret)
			return -ret;
	}
	return i;
}

TEST_F_TIMEOUT(stream, tells_or_counts_each_refusal, TIMEOUT)
{
	const unsigned long total = stream.refusals * stream.num_writers;
	const long before = kernel_kb();
	unsigned long records = 0, lost = 0;
	struct reader rest = {
		.way = BY_READ,
		.fd = self->fd,
	};
	long after = 0;
	pid_t writer;
	int i, num;

	ASSERT_LT(0, before);
	num = start_readers(self->readers, variant->ways, self->fd);
	ASSERT_LT(0, num);
	for (i = 0; i < stream.num_writers; i++) {
		const int ruleset = observed_with(self->fd, i, BIND_TCP, 0, 0);

		ASSERT_LE(0, ruleset);
		writer = start_writer(ruleset, i, stream.refusals);
		__atomic_store_n(&stream.writers[i], writer, __ATOMIC_SEQ_CST);
		ASSERT_LT(0, writer);
		rest.error = close(ruleset);
	}
	for (i = 0; i < stream.num_writers; i++)
		ASSERT_EQ(0, wait_child(stream.writers[i]));
	for (i = 0; i < num; i++) {
		const struct reader *const reader = &self->readers[i];

		ASSERT_EQ(0, pthread_join(reader->thread, NULL));
		EXPECT_EQ(NULL, reader->wrong)
			TH_LOG("reader %d: %s", i, reader->wrong);
		EXPECT_EQ(0, reader->error);
		records += reader->records;
		lost += reader->lost;
	}
	/* What came back from a reader at the end. */
	read_all(&rest);
	EXPECT_EQ(NULL, rest.wrong);
	if (stream.in_order)
		EXPECT_EQ(0, rest.records + rest.lost);
	records += rest.records;
	lost += rest.lost;
	EXPECT_EQ(total, records + lost)
		TH_LOG("%lu read, %lu lost", records, lost);
	EXPECT_LT(0, records);
	if (variant->ways[0] == SLOWLY)
		EXPECT_LT(0, lost);
	TH_LOG("%lu refusals: %lu were read, %lu were lost", total, records,
	       lost);

	/* It is over, and stays so. */
	EXPECT_EQ(POLLHUP, ready(self->fd));
	EXPECT_EQ(0, drain(self->fd));
	EXPECT_EQ(0, close(self->fd));
	if (total < LEAK_REFUSALS)
		return;
	for (i = 0; i < SETTLE_TRIES; i++) {
		after = kernel_kb();
		if (after <= before + LEAK_KB)
			break;
		pause_ms(250);
	}
	EXPECT_GE(before + LEAK_KB, after);
	TH_LOG("KiB of kernel memory: %ld, then %ld", before, after);
}

/* Hooks and readers that cannot go on */

#define COSTLY_REFUSALS 20000

/* With a reader, a refusal may take this many times as long. */
#define MAX_RATIO 3

enum pause {
	/* Nobody reads, and the ring is full. */
	ABSENT,
	/* Waits in read(2) all the time. */
	WAITING,
	SLOW,
	/* Was stopped in read(2). */
	STOPPED,
	/* Waits for the page that it reads a record into. */
	STUCK,
};

FIXTURE(reader)
{
	int fd;
	pid_t child;
};

FIXTURE_VARIANT(reader)
{
	enum pause pause;
};

/* clang-format off */
FIXTURE_VARIANT_ADD(reader, that_is_absent) { ABSENT };
FIXTURE_VARIANT_ADD(reader, that_waits) { WAITING };
FIXTURE_VARIANT_ADD(reader, that_is_slow) { SLOW };
FIXTURE_VARIANT_ADD(reader, that_is_stopped) { STOPPED };
FIXTURE_VARIANT_ADD(reader, that_is_stuck) { STUCK };
/* clang-format on */

FIXTURE_SETUP(reader)
{
	int userfault, i;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	if (variant->pause == STUCK && !missing_page(&userfault))
		SKIP(return, "no userfaultfd: %s", strerror(errno));
	for (i = 0; i <= MAX_RACERS; i++)
		cpus[i] = i % sysconf(_SC_NPROCESSORS_ONLN);
	ASSERT_EQ(0, own_network());
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, shared);
	limit_time();
	self->fd = new_observer();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(reader)
{
}

/* Reads in a process that does not have the @rulesets, as the variant says. */
static pid_t start_reader(enum pause pause, int fd, const int *rulesets)
{
	const pid_t child = fork();
	struct portlock_event events[64];
	char *buffer = (char *)events;
	int userfault;

	if (child)
		return child < 0 ? -errno : child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(1);
	close(rulesets[0]);
	close(rulesets[1]);
	if (pause == STUCK)
		buffer = missing_page(&userfault);
	while (read(fd, buffer, sizeof(events)) > 0) {
		if (pause == SLOW)
			pause_ms(1);
	}
	_exit(0);
}

/* The time that the processor has spent on this thread. */
static long own_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Returns what a refusal costs its caller, in ns. */
static long cost(int ruleset_fd)
{
	const pid_t child = fork();
	long begin;
	int fd, i;

	if (child) {
		const int ret = wait_child(child);

		return ret ? -abs(ret) : (long)shared->round;
	}
	limit_time();
	pin(0);
	fd = make_socket(AF_INET, SOCK_STREAM, 0);
	if (enforce(ruleset_fd))
		_exit(1);
	begin = own_ns();
	for (i = 0; i < COSTLY_REFUSALS; i++) {
		if (refused_bind(fd, i) != -EACCES)
			_exit(2);
	}
	shared->round = (own_ns() - begin) / COSTLY_REFUSALS;
	_exit(0);
}

/* Reads all that is there without waiting.  Returns what it tells of. */
static long told(struct __test_metadata *_metadata, int fd)
{
	struct portlock_event event;
	long sum = 0;

	ASSERT_EQ(0, fcntl(fd, F_SETFL, O_NONBLOCK));
	while (next_event(fd, &event) == 1)
		sum += event.lost + (event.access_net != 0);
	return sum;
}

TEST_F_TIMEOUT(reader, costs_a_hook_nothing, TIMEOUT)
{
	const int rulesets[] = { observed(self->fd, BIND_TCP),
				 observed(self->fd, BIND_TCP) };
	long alone, with_reader;
	int status;

	ASSERT_LE(0, rulesets[0]);
	ASSERT_LE(0, rulesets[1]);
	alone = cost(extended(BIND_TCP, 0));
	ASSERT_LT(0, alone);
	if (variant->pause != ABSENT) {
		self->child = start_reader(variant->pause, self->fd, rulesets);
		ASSERT_LT(0, self->child);
	}
	if (variant->pause == STOPPED) {
		/* It waits for the first record. */
		pause_ms(50);
		ASSERT_EQ(0, kill(self->child, SIGSTOP));
		ASSERT_EQ(self->child,
			  waitpid(self->child, &status, WUNTRACED));
	}
	if (variant->pause == STUCK) {
		/* It takes the first record, and nobody gets it. */
		const pid_t writer = start_writer(rulesets[1], 0, 1);

		ASSERT_EQ(0, wait_child(writer));
		while (ready(self->fd))
			pause_ms(1);
	}
	EXPECT_EQ(0, close(rulesets[1]));

	with_reader = cost(rulesets[0]);
	EXPECT_EQ(0, close(rulesets[0]));
	TH_LOG("ns for a refusal: %ld, and observed %ld", alone, with_reader);
	ASSERT_LT(0, with_reader);
	EXPECT_GE(MAX_RATIO * alone, with_reader);

	/* Others read all but what this one has. */
	switch (variant->pause) {
	case ABSENT:
		EXPECT_EQ(COSTLY_REFUSALS, told(_metadata, self->fd));
		break;
	case STOPPED:
		EXPECT_EQ(COSTLY_REFUSALS, told(_metadata, self->fd));
		EXPECT_EQ(0, kill(self->child, SIGCONT));
		EXPECT_EQ(0, wait_child(self->child));
		break;
	case STUCK:
		EXPECT_EQ(COSTLY_REFUSALS, told(_metadata, self->fd));
		/* What did not arrive is given back. */
		EXPECT_EQ(0, kill(self->child, SIGKILL));
		EXPECT_EQ(self->child, waitpid(self->child, &status, 0));
		EXPECT_EQ(1, told(_metadata, self->fd));
		break;
	default:
		EXPECT_EQ(0, wait_child(self->child));
	}
}

/* One whose page comes late gets its record then. */

struct place {
	int fd;
	char *page;
};

static void *read_one_record(void *data)
{
	const struct place *const place = data;

	return (void *)(intptr_t)read(place->fd, place->page,
				      sizeof(struct portlock_event));
}

TEST_F_TIMEOUT(races, a_reader_that_is_stuck_keeps_its_record, TIMEOUT)
{
	struct place place;
	struct portlock_event event;
	struct uffdio_zeropage zero = {};
	int userfault, ruleset;
	pthread_t thread;
	void *ret;

	place.page = missing_page(&userfault);
	if (!place.page)
		SKIP(return, "no userfaultfd: %s", strerror(errno));
	limit_time();
	place.fd = new_observer();
	ASSERT_LE(0, place.fd);
	ruleset = observed(place.fd, BIND_TCP);
	ASSERT_LE(0, ruleset);
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_one_record, &place));
	ASSERT_EQ(0, wait_child(start_writer(ruleset, 0, 1)));
	while (ready(place.fd))
		pause_ms(1);

	/* Others do not wait for it. */
	ASSERT_EQ(0, wait_child(start_writer(ruleset, 0, 2)));
	ASSERT_EQ(1, next_event(place.fd, &event));
	EXPECT_EQ(0, number_of(&event));
	EXPECT_EQ(2, event.id);
	zero.range.start = (uintptr_t)place.page;
	zero.range.len = sysconf(_SC_PAGESIZE);
	ASSERT_EQ(0, ioctl(userfault, UFFDIO_ZEROPAGE, &zero));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(sizeof(event), (intptr_t)ret);
	EXPECT_EQ(1, ((const struct portlock_event *)place.page)->id);
	ASSERT_EQ(1, next_event(place.fd, &event));
	EXPECT_EQ(3, event.id);
	EXPECT_EQ(0, event.lost);
	EXPECT_EQ(0, close(ruleset));
	EXPECT_EQ(0, drain(place.fd));
}

/*
 * An observer is closed while layers write to it, and while another thread is
 * in a call on it.  This thread either comes too late, or hears of its own
 * round.
 */

enum { CLOSE_CLOSE, CLOSE_CALL, CLOSE_REFUSED };

static enum way closing_way;
static int closing_epoll;

static void prepare_closing(void)
{
	limit_time();
	closing_epoll = epoll_create1(EPOLL_CLOEXEC);
	need(closing_epoll, "epoll");
}

static void close_observer(void)
{
	struct epoll_event event = {
		.events = EPOLLIN,
	};
	int i;

	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		race.fd = new_observer();
		need(race.fd, "observer");
		race.other_fd = observed_with(race.fd, i, BIND_TCP, 0, 0);
		need(race.other_fd, "ruleset");
		need(epoll_ctl(closing_epoll, EPOLL_CTL_ADD, race.fd, &event) ?
			     -errno : 0, "epoll_ctl");
		store(&race.finished, 0);
		meet_and_stagger();
		linger();
		count(CLOSE_CLOSE, close(race.fd) ? -errno : 0);
		meet();
	}
}

/* Is refused until the call of the other thread has ended. */
static void be_refused(void)
{
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);
	int i;

	need(fd, "socket");
	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		meet_and_stagger();
		need(restrict_self(race.other_fd, 0), "restrict_self");
		close(race.other_fd);
		do {
			must(count(CLOSE_REFUSED, refused_bind(fd, i)) ==
				     -EACCES, "a bind was not refused", 0);
		} while (!load(&race.finished));
		meet();
	}
}

static int call_on_observer(int round)
{
	struct portlock_event event = {};
	struct epoll_event ready_event;
	struct pollfd fd = {
		.fd = race.fd,
		.events = POLLIN,
	};
	int ret;

	switch (closing_way) {
	case BY_POLL:
		ret = poll(&fd, 1, -1);
		must(ret == 1 && (fd.revents == POLLNVAL ||
				  fd.revents == POLLIN),
		     "poll", fd.revents);
		return fd.revents == POLLIN ? COUNT_IN : -EBADF;
	case BY_EPOLL:
		/* What is closed is not there any more. */
		ret = epoll_wait(closing_epoll, &ready_event, 1, 10);
		must(ret == 0 || (ret == 1 && ready_event.events == EPOLLIN),
		     "epoll_wait", ret);
		return ret ? COUNT_IN : COUNT_OUT;
	default:
		ret = next_event(race.fd, &event);
		must(ret == 1 || ret == -EBADF, "read", ret);
		/* The youngest layer tells first. */
		must(ret < 0 || (event.cookie == round && event.id &&
				 number_of(&event) == round),
		     "a record of another round", event.cookie);
		return ret == 1 ? COUNT_IN : ret;
	}
}

static void use_while_closing(void)
{
	int i;

	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		meet_and_stagger();
		count(CLOSE_CALL, call_on_observer(i));
		store(&race.finished, 1);
		meet();
	}
}

static const struct plan closing_plan = {
	.prepare = prepare_closing,
	.racers = {
		close_observer,
		be_refused,
		use_while_closing,
	},
	.rounds = ROUNDS_OF_LAYERS,
	.operations = {
		"close",
		"call (in: there was a record)",
		"refusal",
	},
};

TEST_F_TIMEOUT(races, an_observer_is_closed_while_it_is_read, TIMEOUT)
{
	closing_way = BY_READ;
	expect_order(_metadata, &closing_plan);
}

TEST_F_TIMEOUT(races, an_observer_is_closed_while_it_is_polled, TIMEOUT)
{
	closing_way = BY_POLL;
	expect_order(_metadata, &closing_plan);
}

TEST_F_TIMEOUT(races, an_observer_is_closed_while_epoll_has_it, TIMEOUT)
{
	closing_way = BY_EPOLL;
	expect_order(_metadata, &closing_plan);
}

/*
 * One ruleset goes while another comes, is enforced in a child, and goes.  A
 * reader may see the end between them, and not while there is a writer.
 */

enum { END_SEEN, END_RECORDS };

#define NUM_OF_CHILD 3

static int end_closing;

static void drop_the_first(void)
{
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		race.fd = new_observer();
		need(race.fd, "observer");
		race.other_fd = observed(race.fd, BIND_TCP);
		need(race.other_fd, "ruleset");
		store(&race.started, 0);
		store(&end_closing, 0);
		meet_and_stagger();
		linger();
		close(race.other_fd);
		meet();
		meet();
	}
}

static void come_and_go(void)
{
	int i, ruleset;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		pid_t child;

		meet_and_stagger();
		/* At times late enough for the reader to see an end. */
		if (i % 4 == 0)
			pause_ms(1);
		ruleset = observed(race.fd, BIND_TCP);
		store(&race.started, 1);
		need(ruleset, "ruleset");
		child = start_writer(ruleset, i % 2, NUM_OF_CHILD);
		need(child, "child");
		/* Its layer is there until it has ended, and is reaped. */
		if (i % 2) {
			pause_ms(1);
			store(&end_closing, 1);
			close(ruleset);
			must(wait_child(child) == 0, "a child failed", 0);
		} else {
			must(wait_child(child) == 0, "a child failed", 0);
			store(&end_closing, 1);
			close(ruleset);
		}
		meet();
		meet();
	}
}

static void read_to_the_end(void)
{
	int i, j, ret;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		int sum = 0;
		bool is_over = false;

		meet_and_stagger();
		while (!is_over) {
			struct portlock_event event;
			const bool was_there = load(&race.started);

			ret = next_event(race.fd, &event);
			is_over = ret <= 0;
			sum += ret == 1;
			must(ret >= 0, "read", ret);
			must(!is_over || !was_there || load(&end_closing),
			     "the end came before the last writer went", 0);
		}
		count(END_SEEN, sum ? COUNT_OUT : COUNT_IN);
		meet();
		/* Nobody writes any more, so the rest has an end too. */
		for (j = 0; j < 2; j++)
			sum += drain(race.fd);
		must(ready(race.fd) == POLLHUP, "there is no end", 0);
		must(sum == NUM_OF_CHILD, "records are missing", sum);
		count(END_RECORDS, 0);
		close(race.fd);
		meet();
	}
}

TEST_F_TIMEOUT(races, the_end_comes_after_the_last_writer, TIMEOUT)
{
	static const struct plan plan = {
		.prepare = limit_time,
		.racers = {
			drop_the_first,
			come_and_go,
			read_to_the_end,
		},
		.rounds = ROUNDS_WITHOUT,
		.operations = {
			"end (in: between the writers)",
			"all records",
		},
	};

	expect_order(_metadata, &plan);
}

/* An observer is passed on, and inherited, while layers write to it. */

enum { PASS_CHILD, PASS_READ };

#define NUM_PASSED 8

static int pass_pair[2];

static void prepare_passing(void)
{
	limit_time();
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, pass_pair) ? -errno : 0,
	     "socketpair");
}

static void pass_on(void)
{
	int i;

	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		race.fd = new_nonblocking_observer();
		need(race.fd, "observer");
		race.other_fd = observed_with(race.fd, i, BIND_TCP, 0, 0);
		need(race.other_fd, "ruleset");
		meet_and_stagger();
		need(send_descriptor(pass_pair[0], race.fd), "send");
		/* Now it is only on its way. */
		close(race.fd);
		meet();
	}
}

static void be_refused_meanwhile(void)
{
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);
	int i, j;

	need(fd, "socket");
	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		meet_and_stagger();
		need(restrict_self(race.other_fd, 0), "restrict_self");
		for (j = 0; j < NUM_PASSED; j++)
			must(refused_bind(fd, j) == -EACCES,
			     "a bind was not refused", 0);
		close(race.other_fd);
		meet();
	}
}

static void read_what_was_passed(void)
{
	int i, fd, ret, sum;

	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		struct portlock_event event;
		pid_t child;

		meet_and_stagger();
		fd = receive_descriptor(pass_pair[1]);
		need(fd, "receive");
		child = fork();
		if (!child)
			_exit(next_event(fd, &event) == 1 ? 1 : 0);
		need(child, "fork");
		ret = wait_child(child);
		must(ret == 0 || ret == 1, "a child failed", ret);
		count(PASS_CHILD, ret ? COUNT_IN : COUNT_OUT);
		sum = ret;
		ret = next_event(fd, &event);
		must(ret == 1 || ret == -EAGAIN, "read", ret);
		count(PASS_READ, ret == 1 ? COUNT_IN : ret);
		sum += ret == 1;
		meet();
		sum += drain(fd);
		must(sum == NUM_PASSED, "records are missing", sum);
		close(fd);
	}
}

TEST_F_TIMEOUT(races, an_observer_is_passed_on_while_it_hears, TIMEOUT)
{
	static const struct plan plan = {
		.prepare = prepare_passing,
		.racers = {
			pass_on,
			be_refused_meanwhile,
			read_what_was_passed,
		},
		.rounds = ROUNDS_OF_LAYERS,
		.operations = {
			"read by a child (in: a record)",
			"read after it",
		},
	};

	expect_order(_metadata, &plan);
}

/*
 * A rule about a listener is added while it accepts, and while someone asks for
 * its cookie.  What it accepted meanwhile is granted.
 */

enum { ACCEPT_RULE, ACCEPT_ACCEPT, ACCEPT_COOKIE };

static int accept_client, accept_fd;
static __u64 accept_cookie;

static __u64 cookie_of(int fd)
{
	__u64 cookie = 0;
	socklen_t len = sizeof(cookie);

	need(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) ? -errno : 0,
	     "SO_COOKIE");
	return cookie;
}

/* Returns a bit for each that is wrong in a domain of the ruleset. */
static int look_at_connection(void)
{
	int fd, wrong = 0;

	if (enforce(race.other_fd))
		return 64;
	if (send_fd_to(accept_fd, 0, 0))
		wrong |= 1;
	if (send_fd_to(accept_client, 0, 0) != -EACCES)
		wrong |= 2;
	if (connect_to(accept_fd, "127.0.0.1", OPEN_PORT) != -EACCES)
		wrong |= 4;
	fd = try_accept(race.fd);
	if (fd < 0 || send_fd_to(fd, 0, 0))
		wrong |= 8;
	return wrong;
}

static void add_while_accepting(void)
{
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		int next, ret;
		pid_t child;

		/* It has no cookie yet. */
		race.fd = listen_at(0, "127.0.0.1", OPEN_PORT);
		need(race.fd, "listener");
		accept_client = dial(0, "127.0.0.1", 0, "127.0.0.1", OPEN_PORT);
		next = dial(0, "127.0.0.1", 0, "127.0.0.1", OPEN_PORT);
		need(accept_client, "client");
		need(next, "client");
		race.other_fd = extended(ALL_TCP, 0);
		need(race.other_fd, "ruleset");
		meet_and_stagger();
		count(ACCEPT_RULE, add_opened(race.other_fd,
					      ACCEPT_TCP | SEND_TCP, race.fd));
		meet();
		must(accept_cookie == cookie_of(race.fd),
		     "a socket has two cookies", 0);
		child = fork();
		if (!child)
			_exit(look_at_connection());
		need(child, "fork");
		ret = wait_child(child);
		must(ret == 0, "a connection is granted wrongly", -ret);
		close(accept_fd);
		close(accept_client);
		close(next);
		close(race.fd);
		close(race.other_fd);
	}
}

static void accept_meanwhile(void)
{
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		accept_fd = try_accept(race.fd);
		count(ACCEPT_ACCEPT, accept_fd < 0 ? accept_fd : 0);
		need(accept_fd, "accept");
		meet();
	}
}

static void ask_for_the_cookie(void)
{
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		accept_cookie = cookie_of(race.fd);
		count(ACCEPT_COOKIE, 0);
		meet();
	}
}

TEST_F_TIMEOUT(races, a_listener_is_granted_while_it_accepts, TIMEOUT)
{
	static const struct plan plan = {
		.prepare = limit_time,
		.racers = {
			add_while_accepting,
			accept_meanwhile,
			ask_for_the_cookie,
		},
		.rounds = ROUNDS_WITHOUT,
		.operations = {
			"add_rule",
			"accept",
			"SO_COOKIE",
		},
	};

	expect_order(_metadata, &plan);
}

/* A rule that is added while its ruleset is enforced is in it or is not. */

enum { RULE, RULE_ADDED, RULE_USED };

static int rule_sockets[ROUNDS_OF_LAYERS];

static void prepare_sockets(void)
{
	int i;

	limit_time();
	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		rule_sockets[i] = make_socket(AF_INET, SOCK_STREAM, 0);
		need(rule_sockets[i], "socket");
	}
}

static int use_socket(int i)
{
	int value, ret;
	socklen_t size = sizeof(value);

	ret = getsockopt(rule_sockets[i], SOL_SOCKET, SO_TYPE, &value, &size) ?
		      -errno : 0;
	must(ret == 0 || ret == -EACCES, "a socket cannot be used", ret);
	return ret;
}

/* Makes rulesets about all sockets but one, which comes meanwhile. */
static void add_while_enforcing(void)
{
	int i, j;

	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		race.fd = extended(GETSOCKOPT_TCP, 0);
		need(race.fd, "ruleset");
		for (j = 0; j < ROUNDS_OF_LAYERS; j++) {
			if (j != i)
				need(add_opened(race.fd, GETSOCKOPT_TCP,
						rule_sockets[j]), "rule");
		}
		meet_and_stagger();
		count(RULE_ADDED, add_opened(race.fd, GETSOCKOPT_TCP,
					     rule_sockets[i]));
		meet();
		close(race.fd);
	}
}

static void enforce_while_adding(void)
{
	int answers[ROUNDS_OF_LAYERS];
	int i, j;

	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		meet_and_stagger();
		need(restrict_self(race.fd, 0), "restrict_self");
		answers[i] = use_socket(i);
		count(RULE, answers[i] ? COUNT_OUT : COUNT_IN);
		meet();
		for (j = 0; j <= i; j++)
			must(use_socket(j) == answers[j], "an answer changed",
			     answers[j]);
		for (; j < ROUNDS_OF_LAYERS; j++)
			must(use_socket(j) == 0, "a rule is missing", j);
	}
}

TEST_F_TIMEOUT(races, rules_about_sockets_are_in_or_out, TIMEOUT)
{
	static const struct plan plan = {
		.prepare = prepare_sockets,
		.racers = {
			add_while_enforcing,
			enforce_while_adding,
			enforce_while_adding,
		},
		.rounds = ROUNDS_OF_LAYERS,
		.operations = {
			"rule in the domain",
			"add_rule",
		},
	};

	expect_order(_metadata, &plan);
}

TEST_HARNESS_MAIN
