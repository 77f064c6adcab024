# Two commands are enough to begin with: `make demo` and `make test`. `make help` lists the rest.
# Go, make, bash and git must be there; what else a target needs it installs (as root on Debian) or names.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# All builds share these, and race runs differ in CGO_ENABLED alone: so the Kubernetes tree is compiled twice and not more often.
export CGO_ENABLED := 0
export GOFLAGS := -buildvcs=false
RACE := CGO_ENABLED=1 go test -race

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# BUILD_FLAGS adds to the build of the binaries: -trimpath for a release.
BUILD_FLAGS ?=
# LINK_FLAGS adds to the linker's: "-s -w" for an image, which is a third smaller without symbols.
LINK_FLAGS ?=
# TEST_FLAGS adds to every go test: TEST_FLAGS=-v, TEST_FLAGS='-run TestName'.
TEST_FLAGS ?=
# What runs without a control plane; the rest is end to end. Evaluated only by the targets that need it.
UNIT = $$(go list ./... | grep -vE '/test/e2e(/|$$)')
E2E = $$(go list ./test/e2e/... | grep -vE '/test/e2e/(page|watching|installed)$$')
COMMANDS := $(notdir $(patsubst %/main.go,%,$(wildcard cmd/*/main.go)))
# The modules below tools/ whose programs the tests run.
TOOLS := etcd kubernetes-1.36 kwok helm helm-4

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Show the daemon at work on a simulated cluster, for about a minute (DEMO_FLAGS=--keep stays up)
	@[ -x bin/poolkeeper ] || echo "Building bin/poolkeeper. The kube-scheduler's rules are part of it: the first time this compiles for some minutes."
	@go build $(BUILD_FLAGS) -ldflags '-X main.version=$(VERSION)' -o bin/poolkeeper ./cmd/poolkeeper
	@bin/poolkeeper demo $(DEMO_FLAGS)

.PHONY: build
build: ## Build bin/poolkeeper
	@for command in $(COMMANDS); do go build $(BUILD_FLAGS) -ldflags '$(LINK_FLAGS) -X main.version=$(VERSION)' -o bin/$$command ./cmd/$$command; done

.PHONY: image
image: ## Pack bin/poolkeeper.tar, the image, without Docker, and print its size (IMAGE=name:tag, ARCHIVE=file)
	@$(MAKE) -s build LINK_FLAGS='-s -w'
	@"$$(tools/tool image)/image" -out "$(or $(ARCHIVE),bin/poolkeeper.tar)" -name "$(or $(IMAGE),ghcr.io/poolkeeper/poolkeeper:$(VERSION))" -entrypoint /usr/local/bin/poolkeeper \
		/usr/local/bin/poolkeeper=bin/poolkeeper /etc/ssl/certs/ca-certificates.crt=/etc/ssl/certs/ca-certificates.crt /LICENSE=LICENSE

.PHONY: test
test: ## Everything that CI checks: format, vet, lint, generated files, tests with the race detector, end-to-end tests
	@tools/sections \
		"tools"                                              "$(MAKE) -s tools lint-tool race-tool" \
		"format"                                             "$(MAKE) -s format-check" \
		"vet"                                                "$(MAKE) -s vet" \
		"lint"                                               "$(MAKE) -s lint" \
		"generated files"                                    "$(MAKE) -s generate-check" \
		"unit, property and scenario tests, race detector on" "$(MAKE) -s race" \
		"the fast path against the kube-scheduler's plugins" "$(MAKE) -s verdicts" \
		"random days with faults and crashes"                "$(MAKE) -s faults" \
		"the replay of an outage"                            "$(MAKE) -s replay-outage" \
		"build"                                              "$(MAKE) -s build" \
		"the web page in a real browser"                     "$(MAKE) -s page" \
		"alerts and dashboard on a real Prometheus"          "$(MAKE) -s watching" \
		"end-to-end tests on a real control plane"           "$(MAKE) -s e2e" \
		"the chart installed, in pods of a real kubelet"     "$(MAKE) -s e2e-installed"

.PHONY: unit
unit: ## The fast loop: unit, property and scenario tests, without the race detector and without a control plane
	@go test $(TEST_FLAGS) $(UNIT)

.PHONY: race
race: race-tool ## The same tests with the race detector
	@$(RACE) -timeout 20m $(TEST_FLAGS) $(UNIT)

.PHONY: e2e
e2e: tools ## The tests on a real control plane: etcd, Kubernetes and kwok as processes
	@go test -count=1 -p 1 -timeout 40m $(TEST_FLAGS) $(E2E)

.PHONY: e2e-installed
e2e-installed: tools ## The chart really installed: the project's image in a real kubelet's pods beside kwok pools (needs root)
	@tools/need containerd:containerd runc:runc /usr/lib/cni/bridge:containernetworking-plugins ip:iproute2
	@go test -count=1 -timeout 15m $(TEST_FLAGS) ./test/e2e/installed

.PHONY: page
page: ## The web page in a real Chromium, by mouse and keyboard, checked with axe-core (pictures in bin/screenshots)
	@tools/need chromium:chromium npm:npm openssl:openssl
	@POOLKEEPER_AXE=$$(tools/axe) POOLKEEPER_SCREENSHOTS=$(CURDIR)/bin/screenshots go test -count=1 -timeout 10m $(TEST_FLAGS) ./test/e2e/page

.PHONY: screenshots
screenshots: ## The pictures of the README and of docs/dashboard.md, taken anew into docs/images
	@$(MAKE) -s page TEST_FLAGS='-run ThePicturesOfTheDocs'
	@for name in scale-up repair rollout dark; do install -m 644 bin/screenshots/$$name.png docs/images/page-$$name.png; done

.PHONY: watching
watching: ## The chart's alerts by promtool's unit tests, and every query of its Grafana dashboard on a real Prometheus that scrapes a real run
	@tools/need promtool:prometheus prometheus:prometheus
	@go test -count=1 -timeout 10m $(TEST_FLAGS) ./test/e2e/watching

.PHONY: local
local: ## A real control plane with kwok pools and the daemon for a person to try, until Ctrl-C
	@for module in etcd kubernetes-1.36 kwok; do tools/tool $$module >/dev/null; done
	@go build -o bin/local ./test/e2e/local
	@exec bin/local $(LOCAL_FLAGS)

.PHONY: vet
vet: ## go vet
	@go vet ./...

.PHONY: lint
lint: lint-tool ## golangci-lint with .golangci.yml
	@"$$(tools/tool golangci-lint)/golangci-lint" run ./...

.PHONY: format
format: lint-tool ## Format all Go files (gofumpt, and imports in three groups)
	@"$$(tools/tool golangci-lint)/golangci-lint" fmt

.PHONY: format-check
format-check: lint-tool ## Show what `make format` would change, and fail when there is anything
	@"$$(tools/tool golangci-lint)/golangci-lint" fmt --diff || { echo "run: make format"; exit 1; }

.PHONY: generate
generate: ## Write everything that is made from code: reference pages, tables, schemas
	@go generate ./...

.PHONY: generate-check
generate-check: ## Fail when a generated file is not what the code makes of it
	@tools/generated

.PHONY: bench
bench: ## The table of docs/performance.md, in some minutes (BENCH=regexp: those Go benchmarks instead; BENCH_FLAGS='-only up-')
ifdef BENCH
	@go test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 2h $(UNIT)
else
	@go run ./test/bench/table $(BENCH_FLAGS)
endif

.PHONY: day
day: ## A day in the life: 24 simulated hours of up to 270 nodes, printed and drawn into docs/day.svg (DAY_FLAGS='-seed 7 -nodes 100 -consolidate')
	@GOGC=300 GOMEMLIMIT=2GiB go run ./test/day -picture docs/day.svg $(DAY_FLAGS)

# What profile writes, and how often the workload is run for it.
PROFILES ?= bin/profiles
PROFILE_RUNS ?= 20
.PHONY: profile
profile: ## CPU and allocation profiles of one workload (WORKLOAD=idle-5000), and the first lines of each
	@mkdir -p $(PROFILES)
	@go test -run '^$$' -bench '^BenchmarkWorkloads$$/^$(or $(WORKLOAD),idle-5000)$$' -benchtime $(PROFILE_RUNS)x -benchmem -o $(PROFILES)/bench.test \
		-cpuprofile $(PROFILES)/$(or $(WORKLOAD),idle-5000).cpu -memprofile $(PROFILES)/$(or $(WORKLOAD),idle-5000).mem -memprofilerate 4096 ./test/bench
	@for kind in cpu mem; do \
		printf '\n==== %s\n' $$kind; \
		go tool pprof -top -cum -nodecount 40 -sample_index $$([ $$kind = cpu ] && echo cpu || echo alloc_space) \
			-focus 'bench\.\(\*house\)\.pass|bench\..*run' $(PROFILES)/bench.test $(PROFILES)/$(or $(WORKLOAD),idle-5000).$$kind 2>/dev/null | tail -n +4; \
	done

.PHONY: test-long
test-long: tools ## What is too slow for CI: the property tests with a hundred times as many random cases, a hundred million verdicts, mutants and 10,000 random days; takes hours
	@go test -count=1 -timeout 0 $(TEST_FLAGS) $$(tools/rapid-packages) -rapid.checks=10000
	@$(MAKE) -s verdicts VERDICTS=100000000
	@$(MAKE) -s mutants
	@$(MAKE) -s faults SEEDS=10000
	@$(MAKE) -s fuzz FUZZTIME=10m

.PHONY: promise
promise: tools ## Random workloads on a real control plane: every pod that a plan promised room for has to be bound (WORKLOADS=50, PROMISE_SEED=7)
	@WORKLOADS=$(WORKLOADS) PROMISE_SEED=$(PROMISE_SEED) go test -count=1 -v -timeout 60m -run Promised ./test/e2e/scenarios

.PHONY: handovers
handovers: tools ## Leadership changes hands in the middle of repairs, by SIGTERM, SIGKILL, and SIGSTOP past the lease (HANDOVERS=50), on a real control plane
	@HANDOVERS=$(or $(HANDOVERS),50) go test -count=1 -v -timeout 0 -run TestLeadershipThatChangesHands ./test/e2e/scenarios

.PHONY: kills
kills: tools ## Kill the daemon at any moment of repair after repair (KILLS=200), on a real control plane
	@KILLS=$(or $(KILLS),200) go test -count=1 -v -timeout 0 -run TestADaemonThatIsKilledAtAnyMoment ./test/e2e/scenarios

.PHONY: parity
parity: tools ## Play every scenario of test/parity on the simulated and on a real control plane, and compare what is decided; CI plays a few
	@POOLKEEPER_LONG=1 go test -count=1 -v -timeout 40m ./test/parity ./test/e2e/parity

.PHONY: modes
modes: tools ## What the daemon does in each of its modes and with which rights, from the API server's audit log
	@POOLKEEPER_LONG=1 go test -count=1 -v -timeout 20m -run TestEachMode ./test/e2e/providers

.PHONY: proxy
proxy: tools ## Repairs, scaling and a rollout with the API server behind a proxy that delays, drops and throttles (ROUNDS=10, PROXY_SEED=1)
	@ROUNDS=$(or $(ROUNDS),10) PROXY_SEED=$(PROXY_SEED) go test -count=1 -v -timeout 0 -run TestABadWay ./test/e2e/providers

.PHONY: outages
outages: tools ## Stop etcd, the provider and the API server in the middle of repair after repair, and start them again (OUTAGES=12), on a real control plane
	@OUTAGES=$(or $(OUTAGES),12) go test -count=1 -v -timeout 0 -run TestWhatTheDaemonNeeds ./test/e2e/providers

.PHONY: react
react: tools ## From the scheduler's word about a lone pod to the raised target: 300 and 1,000 nodes on a real control plane
	@POOLKEEPER_LONG=1 go test -count=1 -v -timeout 40m -run TestALonePodIsAnswered ./test/e2e/scenarios

.PHONY: burst
burst: tools ## A thousand pods at once on a real control plane: time until all run, size increases, CPUs
	@go test -count=1 -v -timeout 20m -run TestABurst ./test/e2e/scenarios

.PHONY: soak
soak: tools ## Let a cluster churn, and print whether anything of the daemon grows: 1,000 kwok nodes for an hour on a real control plane (NODES=60, SOAK=3m)
	@NODES=$(or $(NODES),1000) SOAK=$(or $(SOAK),1h) go test -count=1 -v -timeout 0 -run TestNothingGrows ./test/e2e/soak

.PHONY: start-large
start-large: tools ## Start the daemon in a cluster of 5,000 kwok nodes and 50,000 pods, and print how soon it is ready and its memory (NODES, PODS)
	@NODES=$(or $(NODES),5000) PODS=$(or $(PODS),50000) go test -count=1 -v -timeout 0 -run TestALargeCluster ./test/e2e/soak

.PHONY: idle-rpc
idle-rpc: tools ## What the daemon costs in an idle minute with an external provider: 500 nodes in 5 pools on a real control plane
	@POOLKEEPER_LONG=1 go test -count=1 -v -timeout 20m ./test/e2e/idle

.PHONY: verdicts
verdicts: ## Compare the fast path with the kube-scheduler's plugins, and print what was met (VERDICTS=100000000 for more than CI does, SEED=7, CASE=12)
	@VERDICTS=$(VERDICTS) SEED=$(SEED) CASE=$(CASE) GOGC=400 go test -count=1 -timeout 0 -v -run 'FastPath|SchedulersFramework|IsWrong' ./test/agreement

.PHONY: conformance
conformance: ## Run the conformance suite over every provider, and print which passes what
	@grep -rl --include='*_test.go' 'conformance\.Run(' cloudprovider | xargs -n1 dirname | sort -u | sed 's|^|./|' \
		| xargs go test -count=1 -v -run 'Provider|Conform' | go run ./cloudprovider/conformance/table

.PHONY: faults
faults: ## Live through random days with faults and crashes, and check the invariants (SEEDS=10000, FIRST_SEED=1, FOR=7m; EVENTS=3,7 with SEEDS=1)
	@GOGC=$(or $(GOGC),400) go test -count=1 -timeout 0 -v -run EveryDay ./test/faults -seeds=$(or $(SEEDS),300) -first-seed=$(or $(FIRST_SEED),1) -events=$(EVENTS) $(if $(FOR),-for=$(FOR))

.PHONY: fuzz
fuzz: ## Fuzz what comes from the cluster, files and clouds: each fuzz test for FUZZTIME=2m (FUZZ=pattern of folder or name)
	@tools/fuzz $(or $(FUZZTIME),2m) $(FUZZ)

.PHONY: mutants
mutants: ## Take away one safeguard at a time, and show which random day, scenario or test misses it (MUTANTS='-list', MUTANTS='-only breaker -seeds 20')
	@go run ./test/mutants $(MUTANTS)

.PHONY: replay-outage
replay-outage: ## Live through the outage of docs/incidents.md, and print what the daemon and the simple rule make of it
	@go test -count=1 -v -run ReplayOfTheOutage ./test/scenarios

.PHONY: endurance
endurance: ## Live through 10,000 node-hours of blips, restarts and clock jumps and 1,000 random kill schedules, and measure how soon illnesses are found among 1,000 nodes (NODE_HOURS, SCHEDULES, NODES); CI lives through few
	@go test -count=1 -v -timeout 0 ./test/endurance -node-hours=$(or $(NODE_HOURS),10000) -schedules=$(or $(SCHEDULES),1000) -nodes=$(or $(NODES),1000)

.PHONY: rollout
rollout: ## Roll 500 simulated nodes with 5,000 pods under 200 budgets, and print how long it took against its lower bound
	@go test -count=1 -v -timeout 0 -run Rollout ./test/rollout -large

.PHONY: tools
tools: ## Build the programs that the tests run; kept outside the tree, so this takes long only once
	@for module in $(TOOLS); do tools/tool $$module >/dev/null; done

.PHONY: lint-tool
lint-tool:
	@tools/tool golangci-lint >/dev/null

.PHONY: race-tool
race-tool:
	@tools/need gcc:gcc,libc6-dev

.PHONY: clean
clean: ## Remove what was built inside the tree
	@rm -rf bin
