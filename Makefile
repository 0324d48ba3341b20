# Everboot: `make demo` shows an update and its fallbacks, `make test` runs every check.
# Each target sets up what it needs; a machine needs Node with npm, make and git.
# The pinned Node comes first in PATH; npm 9 makes no link to it in node_modules/.bin.
ARCH := $(subst aarch64,arm64,$(subst x86_64,x64,$(shell uname -m)))
export PATH := $(CURDIR)/node_modules/node-linux-$(ARCH)/bin:$(CURDIR)/node_modules/.bin:$(PATH)

.PHONY: help setup demo test qemu coverage check format build bench soak sim-nightly clean

help:
	@sed -n 's/^## //p' Makefile

## make setup   install the npm packages, a pinned Node 24 among them
setup: node_modules/.package-lock.json
node_modules/.package-lock.json: package-lock.json
	@npm ci
	@node -e "import('vitest/node')" 2>&- || $(SETUP_ON_PINNED_NODE)
	@touch $@

# An npm on Node 18 leaves out native packages that ask for more; npm on a copy of the pinned Node takes them.
SETUP_ON_PINNED_NODE = { room=$$(mktemp -d) && \
	cp node_modules/node-linux-$(ARCH)/bin/node $$room/node && PATH=$$room:$$PATH npm ci; \
	status=$$?; rm -rf $$room; exit $$status; }

## make demo    hub and emulated board: update, commit, bad updates, fallback
demo: setup
	@node everboot.ts demo $(DEMO)

## make test    lint, types and all tests (installs missing system tools when root on Debian)
test: check
	@node test/host-tools.ts
	@vitest run $(TESTS)

## make qemu    boards in QEMU: real U-Boot, kernel and agent through updates, fallbacks and power cuts
qemu: setup
	@node test/host-tools.ts
	@node everboot.ts qemu test $(QEMU)
	@vitest run --project whole test/live/qemu

## make coverage  every branch of the modules that decide what boots (make test includes it)
coverage: setup
	@node test/host-tools.ts
	@vitest run --config coverage.config.ts

## make check   format, lint and types
check: setup
	@biome check --error-on-warnings .
	@tsc

## make format  write the format that `make check` asks for
format: setup
	@biome check --write .

## make build   the JavaScript that the npm package ships, into dist/
build: setup
	@rm -rf dist
	@tsc -p tsconfig.build.json
	@for board in sim arm64 qemu-arm64 raspberry-pi; do cp -R images/boards/$$board/files dist/images/boards/$$board/; done
	@cp -R images/package/files dist/images/package/
	@cp -R proof/scenarios dist/proof/
	@node -e "import('./images/boards/sim/adapters/agent-bundle.ts').then(async (it) => \
	  fs.writeFileSync('dist/agent.mjs', await it.agentBundle()))"

## make bench   every benchmark under bench/, JSON lines
bench: setup
	@for file in bench/*.ts; do node "$$file" || exit 1; done

## make soak    MINUTES=n (5) of random blows on the real agent, board and hub; SOAK=--json, --seed N
MINUTES ?= 5
soak: setup
	@node test/host-tools.ts >&2
	@node test/live/soak/soak.ts --minutes $(MINUTES) $(SOAK)

## make sim-nightly  every everyday story cut twice in every way, all others once, 20,000 seeds: hours
sim-nightly: setup
	@node everboot.ts emulator sweep --scenario everyday --pieces 8 --depth 2 --sector 512
	@node everboot.ts emulator sweep --scenario everyday --pieces 8 --depth 2
	@node everboot.ts emulator sweep --pieces 8
	@node everboot.ts emulator swarm --seeds 20000 --from 10000

clean:
	@rm -rf dist coverage
