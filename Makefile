# Siltstone. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help deps peers build bench-build bench bench-full bench-processes test run lint docs profile micro clean

SWIFT ?= swift
# Extra arguments of `siltstone demo`, for instance: make run DEMO='--events 1000000 --keep'
DEMO ?=
PACKAGES := liblz4-dev libzstd-dev libsnappy-dev liburing-dev pkg-config
PEER_PACKAGES := librocksdb-dev libleveldb-dev liblmdb-dev libsqlite3-dev
DOCS := docs

# The peers that this machine has: asked anew each time, since SwiftPM remembers what it found once (see
# Benchmarks/Package.swift). LevelDB brings no file for pkg-config.
PEERS = $(shell pkg-config --exists rocksdb && echo rocksdb; pkg-config --exists lmdb && echo lmdb; \
  pkg-config --exists sqlite3 && echo sqlite; test -e /usr/include/leveldb/c.h && echo leveldb)
# Where Benchmarks/ is built.
BENCH_BUILD ?= .build
# Where pkg-config found RocksDB, if that is not where the linker looks anyway.
ROCKSDB_PLACE = $(shell pkg-config --libs-only-L rocksdb 2>/dev/null | sed -n 's/^-L\([^ ]*\).*/\1/p')
# The cache goes by this package's own files, and would miss a new one of the engine's.
BENCH_FLAGS = -c release --scratch-path $(BENCH_BUILD) --disable-build-manifest-caching $(addprefix -Xlinker -rpath -Xlinker ,$(ROCKSDB_PLACE))

help:
	@echo 'make run     install what is missing, build, ingest real and generated data, print what was measured'
	@echo 'make test    install what is missing, build, run every test'
	@echo 'make build   the optimised tool, .build/release/siltstone'
	@echo 'make lint    check the formatting'
	@echo 'make docs    the documentation, as static pages in $(DOCS)/'
	@echo 'make profile WORKLOAD=fillrandom   a flame graph and processor time by room, in $(PROFILE)/'
	@echo 'make micro   the inner loops, one by one; with INSTRUCTIONS=1 counted by valgrind; LOOPS=merge for some'
	@echo 'make deps    install what is missing'
	@echo 'make bench   install peers, compare with them for ten minutes, write $(BENCH)/report.html'
	@echo 'make bench-full   the same for all workloads, with more keys: hours'
	@echo 'make bench-processes   several processes on one database against threads of one: five minutes'
	@echo 'make peers   install the engines to compare with'
	@echo 'make bench-build   the comparison, Benchmarks/.build/release/siltstone-bench'
	@echo 'make clean   remove everything that was built'

# The shell that installs $(1). It asks dpkg about each package, and touches the network only if one is missing. On other
# systems than Debian and Ubuntu it says what is needed and lets the build try.
define install
command -v dpkg-query >/dev/null || { echo 'note: not a Debian system; needed: $(1)' >&2; exit 0; }; \
missing=(); \
for package in $(1); do \
  status=$$(dpkg-query -W -f '$${Status}' "$$package" 2>/dev/null || true); \
  case "$$status" in *' ok installed') ;; *) \
    if [ "$$package" = pkg-config ] && command -v pkg-config >/dev/null; then continue; fi; \
    missing+=("$$package");; esac; \
done; \
if [ $${#missing[@]} -eq 0 ]; then exit 0; fi; \
echo "installing: $${missing[*]}" >&2; \
root=(); \
if [ "$$(id -u)" -ne 0 ]; then \
  command -v sudo >/dev/null || { echo "missing: $${missing[*]} (no sudo: install them as root)" >&2; exit 1; }; \
  root=(sudo); \
fi; \
"$${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q >&2; \
"$${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$${missing[@]}" >&2
endef

deps:
	@command -v $(SWIFT) >/dev/null || { \
	  echo 'Swift 6.3 or later is missing: https://www.swift.org/install/linux (then put it on the PATH)' >&2; exit 1; }
	@$(call install,$(PACKAGES))

# Engines to compare with.
peers: deps
	@$(call install,$(PEER_PACKAGES))

# With another RocksDB than the packaged one, in a place of its own, so that both can be compared in one run (as
# `--engine rocksdb,rocksdb@Benchmarks/.build-rocksdb/release/siltstone-bench`):
#   PKG_CONFIG_PATH=/opt/rocksdb/lib/pkgconfig make bench-build BENCH_BUILD=.build-rocksdb
# SwiftPM puts the system's libraries first, where the linker would take the packaged one all the same; so it gets a
# name that there is nowhere else.
bench-build: deps
	@if [ -n '$(ROCKSDB_PLACE)' ]; then \
	  place='$(CURDIR)/Benchmarks/$(BENCH_BUILD)/rocksdb'; mkdir -p "$$place"; \
	  ln -sf '$(ROCKSDB_PLACE)/librocksdb.so' "$$place/libsiltstone-rocksdb.so"; \
	  printf 'Name: rocksdb\nDescription: RocksDB\nVersion: %s\nCflags: %s\nLibs: -L%s -lsiltstone-rocksdb\n' \
	    "$$(pkg-config --modversion rocksdb)" "$$(pkg-config --cflags rocksdb)" "$$place" >"$$place/rocksdb.pc"; \
	fi
	cd Benchmarks && $(if $(ROCKSDB_PLACE),PKG_CONFIG_PATH='$(CURDIR)/Benchmarks/$(BENCH_BUILD)/rocksdb') \
	  SILTSTONE_PEERS='$(PEERS)' $(SWIFT) build $(BENCH_FLAGS) --product siltstone-bench

build: deps
	$(SWIFT) build -c release --product siltstone

# The tests of the tool start the built tool, so it is built first. The micro-benchmarks look into the engine, and are
# built to see that they still can.
test: deps
	$(SWIFT) build --product siltstone
	$(SWIFT) test
	cd Benchmarks && SILTSTONE_PEERS='$(PEERS)' $(SWIFT) test --disable-build-manifest-caching
	$(micro_build)

run: build
	"$$($(SWIFT) build -c release --show-bin-path)/siltstone" demo $(DEMO)

lint:
	$(SWIFT) format lint --strict --recursive Package.swift Sources Tests Benchmarks/Package.swift Benchmarks/Sources \
	  Benchmarks/Tests

# Without a plugin, so that the package has no dependency for it, and without the network.
docs: deps
	mkdir -p .build/symbol-graphs
	$(SWIFT) build --target Siltstone --scratch-path .build/docs -Xswiftc -emit-symbol-graph \
	  -Xswiftc -emit-symbol-graph-dir -Xswiftc $(CURDIR)/.build/symbol-graphs \
	  -Xswiftc -symbol-graph-minimum-access-level -Xswiftc public -Xswiftc -symbol-graph-skip-synthesized-members
	docc convert Sources/Siltstone/Siltstone.docc --additional-symbol-graph-dir .build/symbol-graphs \
	  --fallback-display-name Siltstone --fallback-bundle-identifier siltstone \
	  --transform-for-static-hosting --output-path $(DOCS)
	@echo 'to read them: python3 -m http.server -d $(DOCS), then http://localhost:8000/documentation/siltstone'

# The comparison, in a directory below .build that is removed afterwards. Extra arguments, for instance:
# make bench BENCH_ARGUMENTS='--workload fillrandom --keys 5000000'
BENCH := bench
BENCH_ARGUMENTS ?=
bench_run = mkdir -p $(BENCH) .build && "$$(cd Benchmarks && $(SWIFT) build $(BENCH_FLAGS) --show-bin-path)/siltstone-bench" \
  --dir .build --json $(BENCH)/report.json --html $(BENCH)/report.html

bench: peers
	$(MAKE) --no-print-directory bench-build
	$(bench_run) --keys 500000 --seconds 6 --rounds 3 \
	  --workload fillrandom,fillseq,overwrite,fillsync,readrandom,seekrandom,readseq,queue $(BENCH_ARGUMENTS)

bench-full: peers
	$(MAKE) --no-print-directory bench-build
	$(bench_run) --workload all --scale 5 --seconds 60 --rounds 5 $(BENCH_ARGUMENTS)

# What several processes on one database cost and are worth, for instance:
# make bench-processes BENCH_ARGUMENTS='--part kill --kills 1000'
bench-processes: bench-build
	mkdir -p $(BENCH) .build
	"$$(cd Benchmarks && $(SWIFT) build $(BENCH_FLAGS) --show-bin-path)/siltstone-bench" processes \
	  --dir .build --json $(BENCH)/processes.json $(BENCH_ARGUMENTS)

# A flame graph of one workload, and where its processor time goes, for instance:
# make profile WORKLOAD=readrandom KEYS=2000000 ENGINE=rocksdb
WORKLOAD ?= fillrandom
ENGINE ?= siltstone
KEYS ?=
PROFILE := profile

profile: bench-build
	@command -v perf >/dev/null || { $(call install,linux-perf); }
	"$$(cd Benchmarks && $(SWIFT) build -c release --show-bin-path)/siltstone-bench" profile --output $(PROFILE) \
	  --workload $(WORKLOAD) --engine $(ENGINE) $(if $(KEYS),--keys $(KEYS))

# The engine's inner loops, one by one, for instance: make micro LOOPS='merge block' INSTRUCTIONS=1
LOOPS ?=
INSTRUCTIONS ?=

micro_build = cd Benchmarks/Micro && $(SWIFT) build -c release --scratch-path ../.build-micro

micro: deps
	@test -z '$(INSTRUCTIONS)' || command -v valgrind >/dev/null || { $(call install,valgrind); }
	$(micro_build)
	Benchmarks/.build-micro/release/siltstone-microbench $(if $(INSTRUCTIONS),--instructions) $(LOOPS)

clean:
	rm -rf .build .build-* $(DOCS) $(PROFILE) $(BENCH) Benchmarks/.build Benchmarks/.build-*
