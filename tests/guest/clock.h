/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's clock as a counter of instructions: QEMU lets its time pass with
 * them, a nanosecond each (-icount shift=0,sleep=off).
 */

#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>
#include <time.h>

/* How often something is measured; the least counts. */
#define BATCHES 60

static inline uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

/* What it takes to look at the clock. */
static inline uint64_t clock_cost(void)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < BATCHES; i++) {
		const uint64_t begin = now();
		const uint64_t took = now() - begin;

		if (took < least)
			least = took;
	}
	return least;
}

#endif /* CLOCK_H */
