# SPDX-License-Identifier: GPL-2.0
# Portlock: Landlock's network sandbox as a Rust LSM. "make" alone prints what there is to make.

# The kernel's own make finds the top-level Kbuild when it builds the test module; this file is for
# people. Each step is a script under scripts/, which does nothing when its work is done.
export LINUX FRAGMENTS FORCE PORTLOCK_CACHE
MAKEFLAGS += --no-print-directory

# The harness runs makes of its own, which must not inherit this one's variables.
PYTHON ?= python3
HARNESS = @env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL $(PYTHON) tests/run.py
NAME ?=
COMPARE ?=
PEERS ?=
OPS ?=
SEED ?=
REPRO ?=
# The product's image, the two with checkers, and the one with what else can restrict a task.
PRODUCT = tests/config/product.config tests/config/test.config
IMAGE = arch/x86/boot/bzImage
FUZZ = $(if $(OPS),--ops $(OPS)) $(if $(SEED),--seed $(SEED))

.PHONY: help run test test-real programs shell portlock deb deb-test kernel kunit fuzz bench peers-kernel debug-kernel debug-test kcsan-kernel kcsan-test mutate proof
.PHONY: setup fetch apply export check-series lint clean
.NOTPARALLEL:

help:
	@echo 'Portlock: Landlock'"'"'s network sandbox as a Rust LSM, on Linux $(file < KERNEL_VERSION)'
	@echo
	@echo 'The two to start with:'
	@echo '  make run             build, boot in QEMU, and show a process holding itself to its ports'
	@echo '  make test            build, and run every test in QEMU;  NAME=pattern runs a part'
	@echo
	@echo 'To use it:'
	@echo '  make portlock        build/portlock, the command: run a program that can only use the network it was given'
	@echo
	@echo 'To look around:'
	@echo '  make run COMPARE=1   the same scene, then once more under stock Landlock'
	@echo '  make shell           a shell in a guest, with Portlock on'
	@echo
	@echo 'To install it:'
	@echo '  make deb             build/deb: Debian packages of the kernel, its headers and the command (long)'
	@echo '  make deb-test        install them in a Debian that starts in QEMU, restart it, and look around (long)'
	@echo
	@echo 'To test it in depth:'
	@echo '  make fuzz            random calls, compared with C Landlock and the specification;  OPS=n  SEED=n  REPRO=file'
	@echo '  make programs        real servers and clients from Debian, with the least rights that each needs;  NAME=curl'
	@echo '  make test-real       the command with real programs from Debian, and make deb-test (long);  NAME=curl: one program'
	@echo '  make debug-test      all tests on a kernel with KASAN, lockdep, kmemleak and injected faults (long)'
	@echo '  make kcsan-test      the race tests on a kernel that looks for data races (long)'
	@echo '  make bench           count what calls and domains cost: without Landlock, with C Landlock, with Portlock'
	@echo '  make bench PEERS=1   count what BPF, seccomp and TOMOYO add to a call, beside Portlock'
	@echo '  make mutate          break the code on purpose, and see that some test notices (long);  NAME=text  FROM=name'
	@echo '  make proof           make fuzz, debug-test, kcsan-test and mutate, in full (hours)'
	@echo
	@echo 'To work on it:'
	@echo '  make kunit           the unit tests under User-Mode Linux, the quick loop'
	@echo '  make kernel          build/kernel/arch/x86/boot/bzImage'
	@echo '  make apply           build/linux: the stock tree, the overlay, the patches;  FORCE=1 drops hand edits'
	@echo '  make lint            rustfmt, clippy, checkpatch, kernel-doc, shellcheck'
	@echo '  make check-series    build the kernel after each patch of the series (long);  FROM=n: start at the n-th'
	@echo '  make export          build/export: everything as a series of mails for git am'
	@echo
	@echo 'Run by the others when needed:'
	@echo '  make setup           find the tools, install what is missing (Debian 12 and 13)'
	@echo '  make fetch           get the stock tree;  LINUX=path names a tree or tarball'
	@echo '  make clean           remove build/; downloads and the compiler cache stay'

setup:
	@scripts/setup.sh

fetch: setup
	@scripts/fetch.sh

apply: fetch
	@scripts/apply.sh

kernel: apply
	@scripts/build.sh

kunit: apply
	@scripts/kunit.sh

portlock:
	@scripts/setup.sh portlock
	@scripts/portlock.sh

test: kernel
	$(if $(NAME),,@scripts/kunit.sh build && scripts/programs.sh && scripts/setup.sh portlock && scripts/portlock.sh)
	$(HARNESS) test $(if $(NAME),--name '$(NAME)') $(FUZZ)

# What takes too long for make test.
test-real: kernel portlock
	@scripts/real.sh
	$(HARNESS) real $(if $(NAME),--name '$(NAME)')
	$(if $(NAME),,@$(MAKE) deb-test)

programs: kernel
	@scripts/programs.sh
	$(HARNESS) programs $(if $(NAME),--name '$(NAME)')

deb: apply portlock
	@scripts/setup.sh deb
	@scripts/deb.sh

deb-test: deb
	@scripts/root.sh
	$(HARNESS) deb

fuzz: kernel
	$(HARNESS) fuzz $(FUZZ) $(if $(REPRO),--repro '$(REPRO)')

debug-kernel: apply
	@FRAGMENTS='$(PRODUCT) tests/config/debug.config' scripts/build.sh --out build/debug

# Emulated and with every checker on, a second of work takes many.
debug-test: debug-kernel
	$(HARNESS) test --kernel build/debug/$(IMAGE) --boots portlock --patience 8 $(if $(NAME),--name '$(NAME)',--kunit)
	$(if $(NAME),,$(HARNESS) fuzz --kernel build/debug/$(IMAGE) --ops $(or $(OPS),40000) $(if $(SEED),--seed $(SEED)))

kcsan-kernel: apply
	@FRAGMENTS='$(PRODUCT) tests/config/kcsan.config' scripts/build.sh --out build/kcsan

kcsan-test: kcsan-kernel
	$(HARNESS) test --kernel build/kcsan/$(IMAGE) --boots portlock --patience 8 --name '$(or $(NAME),portlock/(races|extended_races|observer_races|transfer_races|storm)_test)'

# BPF programs of LSM hooks need pahole, which describes the kernel's types to them.
peers-kernel: apply
	@scripts/setup.sh peers
	@PAHOLE=pahole FRAGMENTS='$(PRODUCT) tests/config/peers.config' scripts/build.sh --out build/peers

# What draws the plots is installed for the distribution's own Python.
with-peers = $(filter-out 0 n no,$(PEERS))
bench: PYTHON = /usr/bin/python3
bench: $(if $(with-peers),peers-kernel,kernel)
	@scripts/setup.sh bench
	$(HARNESS) bench $(if $(with-peers),--peers --kernel build/peers/$(IMAGE))

mutate: kernel
	@scripts/kunit.sh build
	$(HARNESS) mutate $(if $(NAME),--name '$(NAME)') $(if $(FROM),--from '$(FROM)')

# What make test leaves out, at full length.
proof: kernel debug-kernel kcsan-kernel
	@$(MAKE) fuzz OPS=$(or $(OPS),1000000)
	@$(MAKE) debug-test
	@$(MAKE) kcsan-test
	@PORTLOCK_ROUNDS=1000 $(HARNESS:@%=%) test --boots portlock --patience 8 --name 'portlock/(races|extended_races|observer_races|transfer_races)_test'
	@PORTLOCK_OPERATIONS=1000000 $(HARNESS:@%=%) test --boots portlock --name portlock/storm_test
	@$(MAKE) mutate

run: kernel
	$(HARNESS) scene $(if $(filter-out 0 n no,$(COMPARE)),--compare)

shell: kernel
	$(HARNESS) shell

export: apply
	@scripts/export.sh

check-series: apply
	@scripts/check-series.sh

lint: apply
	@scripts/lint.sh

clean:
	@rm -rf build/* build/.lock && if [ -L build ]; then :; elif [ -d build ]; then rmdir build; fi
